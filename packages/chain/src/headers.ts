/**
 * Just enough of a header to keep a run of them in order: its hash and its parent's. Whether it is any good is for the
 * signer to judge.
 */
import { equalBytes, hash256 } from '@countersign/bitcoin';
import { HEADER_BYTES, SourceError } from './source.ts';

const PREVIOUS_AT = 4;
const PREVIOUS_END = 36;

export const headerAt = (headers: Uint8Array, index: number): Uint8Array =>
  headers.subarray(index * HEADER_BYTES, (index + 1) * HEADER_BYTES);

/** The hash of the last header of a run in which each is the child of the one before, the first of `previous`. */
export function linkedTo(previous: Uint8Array, headers: Uint8Array, name: string): Uint8Array {
  let hash = previous;
  for (let i = 0; i < headers.length / HEADER_BYTES; i++) {
    const header = headerAt(headers, i);
    if (!equalBytes(header.subarray(PREVIOUS_AT, PREVIOUS_END), hash)) {
      throw new SourceError(
        'chain-source-missing',
        `${name}: its headers are not of one chain; it may have changed to another one just now`,
      );
    }
    hash = hash256(header);
  }
  return hash;
}
