/**
 * A channel's end as the chain monitor records it: a commitment in a block, its outputs with their roles, second-level
 * transactions. On a copy of the signer's state, so that one life can end in many ways.
 */
import { outPointToString, ripemd160, type Transaction, txid, txidToHex } from '@countersign/bitcoin';
import { Draft, type RecordKind } from '@countersign/core';
import type { ChainPlace } from '../src/chain/input.ts';
import { channelId } from '../src/channel/lookup.ts';
import { type ClosingKind, closingRecords, type HtlcStub, outputRecords } from '../src/records/chain.ts';
import { channelRecords } from '../src/records/channel.ts';
import { closingOutputs, secondLevelOutputs } from '../src/remedies/classify-outputs.ts';
import { candidateOf, type SetUpRecord } from '../src/remedies/closing-scripts.ts';
import { hashOf, type ModelHtlc } from './channel-model.ts';
import type { MemoryState } from './memory-state.ts';
import type { OpenChannel } from './open-channel.ts';
import { secp } from './test-signer.ts';

/** The height at which closes confirm. */
export const CLOSED_AT = 690_000;

export class ClosingModel {
  readonly channel: OpenChannel;
  readonly id: string;
  state: MemoryState;

  constructor(channel: OpenChannel) {
    this.channel = channel;
    this.id = channelId(channel.model.ref);
    this.state = channel.signer.state.copy();
  }

  stubId(number: number): string {
    return `${this.id}/${String(number).padStart(16, '0')}`;
  }

  put<T>(kind: RecordKind<T>, id: string, value: T | null): void {
    const draft = new Draft(this.state);
    draft.put(kind, id, value);
    this.state.apply(draft.changes());
  }

  get<T>(kind: RecordKind<T>, id: string): T | null {
    return this.state.read(kind, id)?.value ?? null;
  }

  /** What the chain's side of the signer has at hand. */
  get place(): ChainPlace {
    const { keys, policy, nowSeconds } = this.channel.signer;
    const { state } = this;
    const ids = (kind: string, prefix: string) =>
      state.keys
        .filter((key) => key.startsWith(`${kind}/${prefix}`))
        .map((key) => key.slice(kind.length + 1))
        .sort();
    const watch = {
      mayKnow: () => false,
      isWatched: () => false,
      fundingsOf: () => [],
      channels: () => [],
      ids,
    };
    return { draft: new Draft(state), policy, keys, secp, watch, nowSeconds, events: [] };
  }

  get record(): SetUpRecord {
    return this.get(channelRecords, this.id) as SetUpRecord;
  }

  outputsOf(kind: ClosingKind, number: number | null, tx: Transaction) {
    const { record } = this;
    const candidate = candidateOf(record, tx.inputs[0]!);
    return closingOutputs(this.place, { record, candidate, kind, number, tx });
  }

  /** The transaction confirms and closes the channel. */
  close(kind: ClosingKind, number: number | null, tx: Transaction, heightBlocks = CLOSED_AT): this {
    const id = txid(tx);
    const outputs = this.outputsOf(kind, number, tx);
    for (const { vout, role, htlc } of outputs) {
      const { value, script } = tx.outputs[vout]!;
      const created = { heightBlocks, valueSat: value, script };
      const record = { channel: this.id, role, htlc, created, spent: null };
      this.put(outputRecords, outPointToString({ txid: id, vout }), record);
    }
    const funding = { txid: tx.inputs[0]!.txid, vout: tx.inputs[0]!.vout };
    const vouts = outputs.map(({ vout }) => vout);
    this.put(closingRecords, this.id, { funding, heightBlocks, txid: id, kind, number, outputs: vouts });
    return this;
  }

  /** A transaction that spends watched outputs confirms. */
  confirm(tx: Transaction, heightBlocks: number): this {
    const closing = this.get(closingRecords, this.id)!;
    tx.inputs.forEach((input, inputIndex) => {
      const spentId = outPointToString(input);
      const output = this.get(outputRecords, spentId);
      if (output === null) return;
      const id = txid(tx);
      this.put(outputRecords, spentId, {
        ...output,
        spent: { heightBlocks, txid: id, inputIndex, preimage: null },
      });
      if (output.role !== 'htlc') return;
      const { place, record } = this;
      const [vout] = secondLevelOutputs(place, { record, closing, tx, inputIndex });
      if (vout === undefined) return;
      const { value, script } = tx.outputs[vout]!;
      this.put(outputRecords, `${txidToHex(id)}:${vout}`, {
        channel: this.id,
        role: 'second-level',
        htlc: output.htlc,
        created: { heightBlocks, valueSat: value, script },
        spent: null,
      });
    });
    return this;
  }
}

export const stubOf = (htlc: ModelHtlc): HtlcStub => ({
  isOfferedByHolder: htlc.offeredBy === 'holder',
  paymentHash160: ripemd160(hashOf(htlc)),
  cltvExpiry: htlc.cltvExpiry,
});
