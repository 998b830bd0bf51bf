/**
 * The index of what is watched, kept beside the records: filled once from their ids at start, then by every change. It
 * answers for each of a block's ten thousand inputs without reading a record.
 */
import { outPointFromString, txidToHex } from '@countersign/bitcoin';
import { fundingInputRecords, outputRecords } from '../records/chain.ts';
import { channelRecords, fundingRecords } from '../records/channel.ts';
import type { Change } from '../state.ts';
import type { WatchIndex } from './input.ts';

/** Lists the ids of one kind that have a value and begin with the prefix, ascending. */
export type ListIds = (kind: string, prefix: string) => readonly string[];

/** Enough of a txid to tell most of them apart without making a text of it; whoever makes two alike costs a look-up. */
export const txidMark = (txid: Uint8Array): number =>
  txid[0]! | (txid[1]! << 8) | (txid[2]! << 16) | ((txid[3]! & 0x3f) << 24);

/** What is watched on the chain, indexed in memory. */
export class WatchBook implements WatchIndex {
  readonly #outpoints = new Set<string>();
  /** Of everything that was ever watched in this run. */
  readonly #marks = new Set<number>();
  readonly #fundings = new Map<string, readonly number[]>();
  readonly #channels = new Set<string>();
  readonly #list: ListIds;

  constructor(list: ListIds) {
    this.#list = list;
    for (const id of list(fundingRecords.name, '')) this.#addFunding(id);
    for (const kind of [outputRecords, fundingInputRecords]) {
      for (const id of list(kind.name, '')) this.#addOutpoint(id);
    }
    for (const id of list(channelRecords.name, '')) this.#channels.add(id);
  }

  /** To be told of every change, in order. */
  apply(changes: readonly Change[]): void {
    for (const { kind, id, value } of changes) {
      const isThere = value !== null;
      if (kind.name === fundingRecords.name && isThere) this.#addFunding(id);
      else if (kind.name === channelRecords.name && isThere) this.#channels.add(id);
      else if (kind.name === fundingInputRecords.name && isThere) this.#addOutpoint(id);
      else if (kind.name === outputRecords.name) {
        if (isThere) this.#addOutpoint(id);
        else if (!this.#isFunding(id)) this.#outpoints.delete(id);
      }
    }
  }

  mayKnow(txid: Uint8Array): boolean {
    return this.#marks.has(txidMark(txid));
  }

  isWatched(outpoint: string): boolean {
    return this.#outpoints.has(outpoint);
  }

  fundingsOf(txid: string): readonly number[] {
    return this.#fundings.get(txid) ?? [];
  }

  channels(): Iterable<string> {
    return this.#channels;
  }

  ids(kind: string, prefix: string): readonly string[] {
    return this.#list(kind, prefix);
  }

  /** A funding stays a funding: a channel forgotten by its node may still be spent. */
  #addFunding(id: string): void {
    const { txid, vout } = outPointFromString(id);
    const hex = txidToHex(txid);
    const known = this.#fundings.get(hex) ?? [];
    if (known.includes(vout)) return;
    this.#fundings.set(hex, [...known, vout]);
    this.#outpoints.add(id);
    this.#marks.add(txidMark(txid));
  }

  #addOutpoint(id: string): void {
    this.#outpoints.add(id);
    this.#marks.add(txidMark(outPointFromString(id).txid));
  }

  #isFunding(id: string): boolean {
    const { txid, vout } = outPointFromString(id);
    return this.fundingsOf(txidToHex(txid)).includes(vout);
  }
}
