/**
 * A channel with two fundings that a peer alone paid for and can have mined both: rounds of an opening that do not exclude each other, each
 * with a push to us. What the chain has of it, and what the signer would publish.
 */
import { equalBytes, fundingScript, type Transaction, txid, txidToHex } from '@countersign/bitcoin';
import {
  alarmsOfChannel,
  type ClosingRecord,
  closingRecords,
  Draft,
  deadlinesOf,
  otherClosingRecords,
  type RemedyPlan,
  standingOf,
} from '@countersign/core';
import { signRemedy } from '../src/keys/sign-remedy.ts';
import { type ForceCloseOutcome, forceClose } from '../src/remedies/force-close.ts';
import { remediesOf } from '../src/remedies/plan.ts';
import { ChainedSigner } from './chained-signer.ts';
import type { Balances, Funding } from './channel-model.ts';
import { channelIdOf, recordOf } from './forwarder.ts';
import { OpenChannel } from './open-channel.ts';

const FEERATES = { normalPerKw: 2500, urgentPerKw: 12_500 };
/** The peer opens, and pushes this to us in each round. */
export const PUSHED_SAT = 300_000n;

/** Kinds of remedies with the transaction that they spend: `first`, `second`, or one that is in no block. */
type Planned = readonly [kind: string, of: string];

export class TwoFundings {
  readonly signer: ChainedSigner;
  readonly channel: OpenChannel;
  readonly first: Funding;
  readonly second: Funding;
  readonly id: string;
  /** Txid → what the tests call it. */
  readonly #names = new Map<string, string>();

  constructor(options: ConstructorParameters<typeof OpenChannel>[0] = {}, signer = new ChainedSigner()) {
    this.signer = signer;
    signer.set = { approvals: { auto: 'all', autoPaymentVelocity: null, expirySeconds: 86_400 } };
    const pushMsat = PUSHED_SAT * 1000n;
    this.channel = new OpenChannel(
      { peer: 'rounds', isOutbound: false, pushMsat, ...options },
      signer,
    ).open();
    const { model } = this.channel;
    this.first = model.funding;
    this.second = this.channel.candidate(model.newFunding('second round', this.first.valueSat));
    this.id = channelIdOf(this.channel);
    this.name(this.first.tx, 'first').name(this.second.tx, 'second');
  }

  name(tx: Transaction, name: string): this {
    this.#names.set(txidToHex(txid(tx)), name);
    return this;
  }

  mineFirst(): this {
    this.signer.mine(this.first.tx).mineEmpty(2);
    return this;
  }

  mineSecond(): this {
    this.signer.mine(this.second.tx);
    return this;
  }

  mineBoth(): this {
    return this.mineFirst().mineSecond();
  }

  /** A commitment of the peer's, or ours. */
  commitment(side: 'holder' | 'counterparty', number: number, on: Funding, balances?: Balances): Transaction {
    const { model } = this.channel;
    const { tx } = model.build(side, number, balances ?? this.channel.balances, on);
    this.name(tx, on === this.first ? 'close of the first' : 'close of the second');
    return tx;
  }

  /** The same with the witness that a spend of this funding has on the chain. */
  signed(tx: Transaction, on: Funding): Transaction {
    const script = fundingScript(this.channel.model.holderFundingKey, on.peerKey);
    const [empty, signature] = [new Uint8Array(0), new Uint8Array(71)];
    const witness = [empty, signature, signature, script];
    return { ...tx, inputs: tx.inputs.map((input) => ({ ...input, witness })) };
  }

  close(): ForceCloseOutcome {
    const { state, watch, chainInput, view } = this.signer;
    const place = { ...chainInput, watch, draft: new Draft(state), events: [] };
    const { heightBlocks } = view;
    const outcome = forceClose({ place, chain: view, heightBlocks, feerates: FEERATES }, this.id);
    if (outcome.ok) this.signer.state.apply(outcome.changes);
    return outcome;
  }

  get plan(): RemedyPlan {
    const { state, policy, keys, chainInput, view } = this.signer;
    const place = { ...chainInput, draft: new Draft(state), policy, keys, feerates: FEERATES };
    return remediesOf({ ...place, heightBlocks: view.heightBlocks }, this.id);
  }

  planned(plan = this.plan): readonly Planned[] {
    return plan.remedies.map(({ kind, inputs }) => [
      kind,
      this.#names.get(txidToHex(inputs[0]!.outpoint.txid)) ?? 'not mined',
    ]);
  }

  /** Everything of the plan that law 1 lets sign; what it does not throws. */
  signAll(plan = this.plan): readonly Uint8Array[] {
    return plan.remedies.map((remedy) => signRemedy(this.signer.ring, remedy));
  }

  /** Commitments of the plan, by the funding that they spend. */
  commitments(plan = this.plan): readonly { readonly of: string; readonly isReleased: boolean }[] {
    return plan.remedies
      .filter(({ kind }) => kind === 'commitment')
      .map(({ inputs, isReleased }) => ({
        of: this.#names.get(txidToHex(inputs[0]!.outpoint.txid))!,
        isReleased,
      }));
  }

  transactionOf(of: Funding): Transaction {
    return this.plan.remedies.find(
      ({ kind, inputs }) => kind === 'commitment' && equalBytes(inputs[0]!.outpoint.txid, of.outpoint.txid),
    )!.transaction;
  }

  get closing(): ClosingRecord | null {
    return this.signer.read(closingRecords, this.id);
  }

  get others(): readonly ClosingRecord[] {
    return this.signer.read(otherClosingRecords, this.id) ?? [];
  }

  get deadlines() {
    return deadlinesOf(this.signer.read, this.signer.policy, this.id, recordOf(this.channel));
  }

  get alarms(): readonly string[] {
    const { read, policy } = this.signer;
    return alarmsOfChannel(read, policy, this.id, recordOf(this.channel), []).map(({ code }) => code);
  }

  get standing() {
    return standingOf(this.signer.read, this.signer.policy, this.id, recordOf(this.channel));
  }
}

/** Spends these outputs to anyone, one transaction each. */
export const spends = (tx: Transaction, vouts: readonly number[]): readonly Transaction[] =>
  vouts.map((vout) => ({
    version: 2,
    inputs: [{ txid: txid(tx), vout, scriptSig: new Uint8Array(0), sequence: 0, witness: [] }],
    outputs: [{ value: tx.outputs[vout]!.value, script: Uint8Array.of(0x51) }],
    locktime: 0,
  }));
