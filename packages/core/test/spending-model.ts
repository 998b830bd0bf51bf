/**
 * Law 5 as tests ask it: a signer under `hub`, wallet transactions with any outputs, approvals and an allowlist as the
 * operator would give them.
 */
import { type Psbt, sat, type Transaction, type TxOutput, txid, txidToHex } from '@countersign/bitcoin';
import {
  allowlistRecords,
  onchainApprovalRecords,
  type PendingApproval,
  pendingRecords,
  type policyOf,
} from '@countersign/core';
import type { HsmUtxo, MessageOf, Request } from '@countersign/wire';
import type { RecordKind } from '../src/records/kind.ts';
import { input, type ModelOptions, psbtOf } from './channel-model.ts';
import { OpenChannel } from './open-channel.ts';
import { TestSigner } from './test-signer.ts';
import { spentBy, walletScript, walletUtxo, withdrawal } from './wallet-model.ts';

type Set = NonNullable<Parameters<typeof policyOf>[2]>;

export function hub(set: Set = {}): TestSigner {
  const signer = new TestSigner();
  signer.preset = 'hub';
  signer.set = set;
  return signer;
}

/** A channel opened under `hub`; the gifts and payments of the opening are nobody's business here. */
export function hubChannel(options: ModelOptions = {}, set: Set = {}): OpenChannel {
  return new OpenChannel(options, hub(set)).open();
}

/** Writes a record as another request, or the operator, would have. */
export function put<T>(signer: TestSigner, kind: RecordKind<T>, id: string, value: T): void {
  const version = (signer.state.read(kind, id)?.version ?? 0) + 1;
  signer.state.apply([{ kind: kind as RecordKind<unknown>, id, version, value }]);
}

export function approveOutputs(
  signer: TestSigner,
  id: string,
  outputs: readonly { readonly script: Uint8Array; readonly valueSat: bigint }[],
  expiresAtSeconds = signer.nowSeconds + 3600,
): void {
  put(signer, onchainApprovalRecords, id, {
    outputs: outputs.map(({ script, valueSat }) => ({ script, valueSat: sat(valueSat) })),
    source: 'operator',
    approvedAtSeconds: signer.nowSeconds,
    expiresAtSeconds,
  });
}

export function allow(
  signer: TestSigner,
  kind: 'address' | 'script' | 'xpub',
  ...texts: readonly string[]
): void {
  const entries = texts.map((text) => ({ kind, text, addedAtSeconds: signer.nowSeconds }));
  put(signer, allowlistRecords, 'list', entries);
}

/** What is asked of the operator after this request was refused. */
export function pendingOf(
  signer: TestSigner,
  request: Request,
  channel: OpenChannel | null = null,
): PendingApproval {
  const decision = signer.decide(request, signer.clientFor(request, channel?.model.ref ?? null));
  if (decision.kind !== 'refused') throw new Error(`${request.name} was approved`);
  const list = decision.changes.find((one) => one.kind.name === pendingRecords.name)?.value;
  const [last] = (list as readonly PendingApproval[] | undefined)?.slice(-1) ?? [];
  if (last === undefined) throw new Error(`nothing pending: ${decision.refusal.tag}`);
  return last;
}

export const own = (signer: TestSigner, index: number, valueSat: bigint): TxOutput => ({
  value: sat(valueSat),
  script: walletScript(signer.keys, index, 'p2tr'),
});

export const output = (script: Uint8Array, valueSat: bigint): TxOutput => ({ value: sat(valueSat), script });

export interface Spend {
  readonly tx: Transaction;
  readonly psbt: Psbt;
  readonly request: MessageOf<'hsmd_sign_withdrawal'>;
  readonly txid: string;
}

/** Spends wallet outputs of ours to `outputs`; `change` to the transaction itself. */
export function spend(
  utxos: readonly HsmUtxo[],
  outputs: readonly TxOutput[],
  change: Partial<Transaction> = {},
): Spend {
  const inputs = utxos.map(({ outpoint }) => input(outpoint));
  const tx: Transaction = { version: 2, inputs, outputs, locktime: 0, ...change };
  const psbt = psbtOf(tx, utxos.map(spentBy));
  return { tx, psbt, request: withdrawal(utxos, psbt), txid: txidToHex(txid(tx)) };
}

/** One wallet output of ours of this worth. */
export const coin = (signer: TestSigner, valueSat = 1_000_000n, index = 3): HsmUtxo =>
  walletUtxo(signer.keys, index, 'p2wpkh', valueSat);
