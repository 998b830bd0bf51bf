/** Where either end of the gRPC link says what happens to it; texts hold no secret and no bytes of a request. */

export type GrpcLogLevel = 'debug' | 'info' | 'unusual' | 'broken';
export type GrpcLog = (level: GrpcLogLevel, text: string) => void;

/** What the other side wrote, for a log or an error: one line of ASCII, no longer than `charactersMax`. */
export function foreignText(text: string, charactersMax = 512): string {
  const line = text.slice(0, charactersMax).replace(/[^\x20-\x7e]/g, '?');
  return text.length > charactersMax ? `${line}…` : line;
}

export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return foreignText(String(error));
  const cause = error.cause instanceof Error ? `: ${error.cause.message}` : '';
  return foreignText(error.message + cause);
}
