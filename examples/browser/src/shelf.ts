/**
 * What the page itself keeps, in localStorage: the seed, and the wallet's notes of its channel. Nothing that the signer believes: it
 * has its own store.
 */
import { fromHex, toHex } from '@countersign/bitcoin';
import type { Notes } from '../../shared/channel.ts';

const SEED = 'countersign-example/seed';
const BEGUN = 'countersign-example/begun';
const NOTES = 'countersign-example/notes';

export class Shelf {
  get seed(): Uint8Array | null {
    const text = localStorage.getItem(SEED);
    return text === null ? null : fromHex(text);
  }
  set seed(file: Uint8Array) {
    localStorage.setItem(SEED, toHex(file));
  }

  /** There has been a store. */
  get hasBegun(): boolean {
    return localStorage.getItem(BEGUN) !== null;
  }
  set hasBegun(begun: true) {
    localStorage.setItem(BEGUN, String(begun));
  }

  get notes(): Notes | null {
    const text = localStorage.getItem(NOTES);
    return text === null ? null : (JSON.parse(text) as Notes);
  }
  set notes(notes: Notes) {
    localStorage.setItem(NOTES, JSON.stringify(notes));
  }

  clear(): void {
    for (const key of [SEED, BEGUN, NOTES]) localStorage.removeItem(key);
  }
}
