/**
 * The witness: one small file outside the store, where whoever can roll the store back cannot write. It holds the newest
 * link of the audit log that was durable, and which process serves now. A store that is older than its witness, or has
 * another history, is refused; a process that another one took over from stops.
 *
 * Nothing is released before `confirm` has written its link and then found itself the owner, and a new owner enters itself
 * before it compares links: so of two copies of a store, the one that does not have the newest link can't begin, and the one
 * that was taken over from releases nothing more. What is written after the store is never ahead of it. It is synced at
 * start and end only: a power cut may leave it behind, which hides a rollback to between then and now, and refuses nothing.
 * The link tells histories apart because every release has an entry and every run of the host enters a random number first.
 */
import { closeSync, constants, fstatSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs';
import { StoreError } from './error.ts';
import type { AuditHead } from './journal.ts';

/** What the witness needs to know of the store. */
export interface Witnessed {
  readonly head: AuditHead;
  /** Of the link with this number; undefined beyond the head. */
  readonly hashAt: (seq: number) => Uint8Array | undefined;
}

const OWNER_BYTES = 16;
const OWNER_LINE = /^countersign witness 1 ([0-9a-f]{32})\n$/;
const OWNER_LINE_BYTES = 55;
const LINK_LINE = /^([0-9]{16}) ([0-9a-f]{64})\n$/;
const LINK_LINE_BYTES = 82;
const FILE_BYTES = OWNER_LINE_BYTES + LINK_LINE_BYTES;

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const linkLine = ({ seq, hash }: AuditHead): string => `${`${seq}`.padStart(16, '0')} ${hex(hash)}\n`;

export class Witness {
  readonly #path: string;
  readonly #fd: number;
  readonly #owner: string;

  /**
   * Takes over from the process before, when the store is not behind what that one has shown.
   * @throws StoreError `store-witness`, `store-rolled-back`
   */
  constructor(path: string, store: Witnessed, randomBytes: (count: number) => Uint8Array) {
    this.#path = path;
    this.#owner = hex(randomBytes(OWNER_BYTES));
    this.#fd = this.#io('opening', () => openSync(path, constants.O_RDWR));
    try {
      this.#takeOver(store);
    } catch (cause) {
      closeSync(this.#fd);
      throw cause;
    }
  }

  #takeOver(store: Witnessed): void {
    // An empty file is the operator's word that the history begins here.
    const isNew = this.#io('reading', () => fstatSync(this.#fd).size) === 0;
    if (!isNew) this.#compare(store);
    const owner = `countersign witness 1 ${this.#owner}\n`;
    this.#writeDurably(isNew ? owner + linkLine(store.head) : owner);
    // What the process before has shown up to now; from now on it finds itself taken over from.
    this.#compare(store);
    this.#write(OWNER_LINE_BYTES, linkLine(store.head));
  }

  #compare({ head, hashAt }: Witnessed): void {
    const { link } = this.#read();
    const known = hashAt(link.seq);
    if (known !== undefined && hex(known) === link.hash) return;
    const facts = { witness: this.#path, seq: head.seq, seq_witnessed: link.seq };
    throw new StoreError(
      'store-rolled-back',
      head.seq < link.seq
        ? `it ends at audit entry ${head.seq}, and entry ${link.seq} was durable once`
        : `its audit entry ${link.seq} is not the one that was durable once: another store, or another copy's future`,
      facts,
    );
  }

  /**
   * This link is durable, and what it stands for is about to be released.
   * @throws StoreError `store-fenced`, `store-witness`
   */
  confirm(head: AuditHead): void {
    this.#requireOwner();
    this.#write(OWNER_LINE_BYTES, linkLine(head));
    this.#requireOwner();
  }

  #requireOwner(): void {
    const { owner } = this.#read();
    if (owner !== this.#owner)
      throw new StoreError('store-fenced', `${this.#path} names another process now`, {
        witness: this.#path,
      });
  }

  close(): void {
    try {
      this.#io('syncing', () => syncUnlessDenied(this.#fd));
    } finally {
      closeSync(this.#fd);
    }
  }

  #read(): { readonly owner: string; readonly link: { readonly seq: number; readonly hash: string } } {
    const buffer = Buffer.alloc(FILE_BYTES + 1);
    const count = this.#io('reading', () => readSync(this.#fd, buffer, 0, buffer.length, 0));
    const text = buffer.toString('latin1', 0, count);
    const [, owner] = OWNER_LINE.exec(text.slice(0, OWNER_LINE_BYTES)) ?? [];
    const [, seq, hash] = LINK_LINE.exec(text.slice(OWNER_LINE_BYTES)) ?? [];
    if (owner === undefined || seq === undefined || hash === undefined)
      throw new StoreError('store-witness', `${this.#path} is not a witness file`, { witness: this.#path });
    return { owner, link: { seq: Number(seq), hash } };
  }

  #write(at: number, text: string): void {
    const bytes = Buffer.from(text, 'latin1');
    this.#io('writing', () => writeSync(this.#fd, bytes, 0, bytes.length, at));
  }

  /** From the beginning of the file, by a descriptor whose writes are on the medium when they return. */
  #writeDurably(text: string): void {
    this.#io('writing', () => {
      const descriptor = openSync(this.#path, constants.O_WRONLY | constants.O_DSYNC);
      try {
        writeSync(descriptor, Buffer.from(text, 'latin1'), 0, text.length, 0);
      } finally {
        closeSync(descriptor);
      }
    });
  }

  #io<T>(doing: string, action: () => T): T {
    try {
      return action();
    } catch (cause) {
      const message = cause instanceof Error ? cause.message : String(cause);
      throw new StoreError(
        'store-witness',
        `${doing} ${this.#path}: ${message}`,
        { witness: this.#path },
        { cause },
      );
    }
  }
}

/** Node.js's permission model denies `fsync`; then the kernel writes back in its own time, as after a kill. */
function syncUnlessDenied(descriptor: number): void {
  try {
    fsyncSync(descriptor);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ERR_ACCESS_DENIED')) throw error;
  }
}
