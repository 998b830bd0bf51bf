/**
 * What stands in a `vls_signer_error` (3000): a number for the kind of no, and the text that a node's operator reads. One
 * form for every place that says no, so that whoever reads it back finds the same parts.
 */
import type { Facts } from '@countersign/bitcoin';
import { encodeMessage } from './decode.ts';

/** By the stable names of the kinds. */
export const SIGNER_ERROR_CODES = {
  policy: 1,
  malformed: 2,
  permission: 3,
  'not-initialized': 4,
  'store-failed': 5,
  /** Said where no signer could be asked. */
  unreachable: 6,
} as const;

export type SignerErrorKind = keyof typeof SIGNER_ERROR_CODES;

export interface SignerErrorParts {
  /** The rule's public name. */
  readonly tag: string;
  readonly message: string;
  readonly facts: Facts;
  /** The same request may pass later without anyone changing anything. */
  readonly temporary: boolean;
}

/** Tag first, then the sentence, then the facts. */
export function signerErrorText({ tag, message, facts, temporary }: SignerErrorParts): string {
  const told = Object.entries(facts)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ');
  const later = temporary ? ' (temporary: try again later)' : '';
  return `${tag}: ${message}${told === '' ? '' : ` [${told}]`}${later}`;
}

/** Longest text of a refusal, in bytes: it ends up in logs. */
export const SIGNER_ERROR_BYTES_MAX = 4 * 1024;

/** The whole message. `kind` comes from elsewhere: one that nobody knows is that of a broken signer. */
export function encodeSignerError(kind: string, parts: SignerErrorParts): Uint8Array {
  const code = isKind(kind) ? SIGNER_ERROR_CODES[kind] : SIGNER_ERROR_CODES.malformed;
  const message = printableText(signerErrorText(parts), SIGNER_ERROR_BYTES_MAX);
  return encodeMessage({ name: 'vls_signer_error', code, message });
}

function isKind(kind: string): kind is SignerErrorKind {
  return Object.hasOwn(SIGNER_ERROR_CODES, kind);
}

/** A text without control characters, which CLN refuses; a long one keeps its beginning. */
export function printableText(text: string, bytesMax: number): string {
  const clean = Array.from(text.slice(0, bytesMax).toWellFormed(), (char) => (char < ' ' ? ' ' : char)).join(
    '',
  );
  const room = new Uint8Array(bytesMax);
  const { read } = new TextEncoder().encodeInto(clean, room);
  return clean.slice(0, read);
}
