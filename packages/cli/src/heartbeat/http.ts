/** The two things the monitor does over HTTP: fetch a heartbeat, post an alarm. Time and size are bounded; redirects are not followed. */

import { CountersignError } from '@countersign/bitcoin';

export const HTTP_TIMEOUT_MS = 10_000;

/** Why it did not work, in words for a person. */
export class HttpError extends CountersignError {
  constructor(message: string) {
    super('http-failed', message);
    this.name = 'HttpError';
  }
}

export interface HttpOptions {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** The body as text, at most `bytesMax` long. Rejects with `HttpError`. */
export function getText(url: URL, bytesMax: number, options: HttpOptions = {}): Promise<string> {
  return exchange(url, { method: 'GET', headers: { accept: 'application/json' } }, options, (response) =>
    bodyOf(response, bytesMax),
  );
}

/** Resolves when the receiver has taken it (2xx). Rejects with `HttpError`. */
export function postJson(url: URL, body: object, options: HttpOptions = {}): Promise<void> {
  const headers = { 'content-type': 'application/json' };
  return exchange(url, { method: 'POST', headers, body: JSON.stringify(body) }, options, async (response) => {
    // What it answers is of no interest.
    await response.body?.cancel();
  });
}

async function exchange<T>(
  url: URL,
  request: { readonly method: string; readonly headers: Record<string, string>; readonly body?: string },
  { timeoutMs = HTTP_TIMEOUT_MS, signal }: HttpOptions,
  use: (response: Response) => Promise<T>,
): Promise<T> {
  const late = AbortSignal.timeout(timeoutMs);
  const ends = signal === undefined ? late : AbortSignal.any([late, signal]);
  try {
    const response = await fetch(url, { ...request, redirect: 'manual', signal: ends });
    if (!response.ok) {
      await response.body?.cancel();
      throw new HttpError(`${shown(url)} answered ${response.status}`);
    }
    return await use(response);
  } catch (error) {
    if (error instanceof HttpError) throw error;
    throw new HttpError(
      `${shown(url)}: ${late.aborted ? `no answer within ${timeoutMs} ms` : reason(error)}`,
    );
  }
}

/** Without the query: webhooks carry their secret there. The path may hold one too. */
const shown = (url: URL): string => url.origin;

/** What went wrong below fetch stands in the cause. */
function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message : error.message;
}

async function bodyOf(response: Response, bytesMax: number): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of response.body ?? []) {
    bytes += part.length;
    if (bytes > bytesMax) throw new HttpError(`the answer is longer than ${bytesMax} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString('latin1');
}
