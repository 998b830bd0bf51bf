/**
 * The ways an LDK callback ends: whatever goes wrong inside becomes its Err and a note for the application. A throw would leave
 * LDK's WebAssembly with its locks taken, for good.
 */
import type { LdkRefusal, SignerClient } from '../client.ts';

/** Thrown inside a method of this package, and caught by `answered` only. */
export class Refused extends Error {
  readonly refusal: LdkRefusal;

  constructor(refusal: LdkRefusal) {
    super(refusal.text);
    this.name = 'Refused';
    this.refusal = refusal;
  }
}

/** Leaves the method when the refusal is one. */
export function orRefused(refusal: LdkRefusal | null): void {
  if (refusal !== null) throw new Refused(refusal);
}

/** The reply, or out of the method. */
export function replyOf<T>(
  asked: { readonly ok: true; readonly reply: T } | { readonly ok: false; readonly refusal: LdkRefusal },
): T {
  if (!asked.ok) throw new Refused(asked.refusal);
  return asked.reply;
}

export interface AnswerOptions<T> {
  readonly client: SignerClient;
  readonly method: string;
  readonly channelKeysId: Uint8Array | null;
  readonly work: () => T;
  readonly otherwise: (refusal: LdkRefusal) => T;
}

export function answered<T>({ client, method, channelKeysId, work, otherwise }: AnswerOptions<T>): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof Refused) return otherwise(error.refusal);
    const why = error instanceof Error ? `${error.name}: ${error.message}` : 'no reason';
    return otherwise(client.refuse(method, channelKeysId, null, `adapter: ${why}`));
  }
}
