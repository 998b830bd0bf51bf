/** The text of a refusal on the wire: its parts in order, without control characters, and never longer than a log line may be. */
import { describe, expect, it } from 'vitest';
import {
  decodeMessage,
  encodeSignerError,
  printableText,
  SIGNER_ERROR_BYTES_MAX,
  SIGNER_ERROR_CODES,
} from '../src/index.ts';

const PARTS = { tag: 'policy-x', message: 'no', facts: {}, temporary: false };

function told(bytes: Uint8Array): { readonly code: number; readonly message: string } {
  const decoded = decodeMessage(bytes, 'reply');
  if (!decoded.ok || decoded.message.name !== 'vls_signer_error') throw new Error('no refusal');
  return decoded.message;
}

describe('a refusal as a message', () => {
  it('says the tag, the sentence, the facts, and whether it may pass later', () => {
    const facts = { value_sat: 5n, name: 'x' };
    const { code, message } = told(encodeSignerError('policy', { ...PARTS, facts, temporary: true }));
    expect(code).toBe(SIGNER_ERROR_CODES.policy);
    expect(message).toBe('policy-x: no [value_sat=5 name=x] (temporary: try again later)');
    expect(told(encodeSignerError('policy', PARTS)).message).toBe('policy-x: no');
  });

  it('has a number for each kind; one that nobody knows is that of a broken signer', () => {
    for (const [kind, code] of Object.entries(SIGNER_ERROR_CODES))
      expect(told(encodeSignerError(kind, PARTS)).code).toBe(code);
    for (const kind of ['', 'toString', 'policy '])
      expect(told(encodeSignerError(kind, PARTS)).code).toBe(SIGNER_ERROR_CODES.malformed);
  });

  it('is cut to its length, between characters, and has none that a log cannot show', () => {
    const { message } = told(encodeSignerError('policy', { ...PARTS, message: 'é'.repeat(9_000) }));
    expect(new TextEncoder().encode(message).length).toBeLessThanOrEqual(SIGNER_ERROR_BYTES_MAX);
    expect(message.endsWith('é')).toBe(true);
    expect(printableText('a\nb\u0000c\ud800', 100)).toBe('a b c\ufffd');
  });
});
