/**
 * A node that forwards: one signer under preset `hub` with a channel upstream and one downstream, a chain view that
 * tests can shape, and what the signer has on record about payments and velocities.
 */
import {
  fundingScript,
  type OutPoint,
  outPointToString,
  p2wshOfScript,
  sat,
  sha256,
  toHex,
} from '@countersign/bitcoin';
import {
  type ApprovalPolicy,
  type ChainView,
  type ChannelRecord,
  channelRecords,
  type OutpointStatus,
  type PaymentRecord,
  paymentRecords,
  type Refusal,
  velocityRecords,
} from '@countersign/core';
import type { Reply, Request } from '@countersign/wire';
import { expect } from 'vitest';
import type { Balances, ModelHtlc, ModelOptions } from './channel-model.ts';
import { adding, OpenChannel, removing } from './open-channel.ts';
import { TestSigner } from './test-signer.ts';

export const HEIGHT_BLOCKS = 699_000;

/** Nobody approves anything. */
export const UNAPPROVED: ApprovalPolicy = { auto: 'none', autoPaymentVelocity: null, expirySeconds: 86_400 };

/** Payments are approved unasked up to this amount a day. */
export const budget = (amountSat: bigint): ApprovalPolicy => ({
  auto: 'velocity',
  autoPaymentVelocity: { amountSat, per: 'day' },
  expirySeconds: 86_400,
});

export type Settings = TestSigner['set'];

/** A signer under preset `hub` that approves nothing, unless told otherwise. */
export function hubSigner(set: Settings = {}): TestSigner {
  const signer = new TestSigner();
  signer.preset = 'hub';
  signer.set = { approvals: UNAPPROVED, ...set };
  return signer;
}

/** One opened channel of a hub. */
export function hubChannel(options: ModelOptions = {}, set: Settings = {}): OpenChannel {
  return new OpenChannel(options, hubSigner(set)).open();
}

/** What the signer would have proven about the chain; the tests are its blocks. */
export class FakeChain implements ChainView {
  heightBlocks = HEIGHT_BLOCKS;
  medianTimeSeconds = 1_700_000_000;
  isFresh = true;
  readonly #outpoints = new Map<string, OutpointStatus>();

  outpoint(outpoint: OutPoint): OutpointStatus {
    return this.#outpoints.get(outPointToString(outpoint)) ?? { kind: 'unknown' };
  }

  /** The channel's funding is `depthBlocks` deep, as it should be or with something else in it. */
  bury(
    channel: OpenChannel,
    depthBlocks: number,
    change: Partial<Extract<OutpointStatus, { kind: 'confirmed' }>> = {},
    funding = channel.model.funding,
  ): void {
    this.#outpoints.set(outPointToString(funding.outpoint), {
      kind: 'confirmed',
      depthBlocks,
      valueSat: sat(funding.valueSat),
      script: p2wshOfScript(fundingScript(channel.model.holderFundingKey, funding.peerKey)),
      spent: null,
      ...change,
    });
  }
}

export const hashOf = ({ preimage }: Pick<ModelHtlc, 'preimage'>): string => toHex(sha256(preimage));

/** The record of a payment, or null. */
export const paymentOf = (signer: TestSigner, htlc: Pick<ModelHtlc, 'preimage'>): PaymentRecord | null =>
  signer.state.read(paymentRecords, hashOf(htlc))?.value ?? null;

export function recordOf(channel: OpenChannel): ChannelRecord {
  const { peerId, dbid } = channel.model.ref;
  return channel.signer.state.read(channelRecords, `${toHex(peerId)}/${dbid}`)!.value!;
}

export const channelIdOf = ({ model }: OpenChannel): string => `${toHex(model.ref.peerId)}/${model.ref.dbid}`;

/** What flowed in a velocity's window, msat. */
export const flowOf = (signer: TestSigner, name: string): bigint =>
  (signer.state.read(velocityRecords, name)?.value?.amountsMsat ?? []).reduce((sum, one) => sum + one, 0n);

/** The node side delivers these preimages. */
export function deliver(signer: TestSigner, ...htlcs: readonly ModelHtlc[]): Reply {
  return signer.ask({ name: 'countersign_preimages', preimages: htlcs.map(({ preimage }) => preimage) });
}

/** Refused by exactly this tag; nothing changes but, at most, the list of what waits for approval. */
export function trips(channel: OpenChannel, request: Request, tag: string, facts: object = {}): Refusal {
  const { signer, model } = channel;
  const decision = signer.decide(request, signer.clientFor(request, model.ref));
  if (decision.kind === 'approved') return expect.fail(`${request.name} was approved, not refused by ${tag}`);
  expect(decision.refusal.tag, `${decision.refusal.message} ${refusalFacts(decision.refusal)}`).toBe(tag);
  expect(decision.refusal.facts).toMatchObject(facts);
  expect(decision.changes.map(({ kind }) => kind.name).filter((name) => name !== 'pending')).toEqual([]);
  return decision.refusal;
}

const refusalFacts = ({ facts }: Refusal): string =>
  Object.entries(facts)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ');

/** The tags that a request is warned of; it is approved, and its changes are not kept. */
export function warningsOf(channel: OpenChannel, request: Request): readonly string[] {
  const decision = channel.signer.decide(request, channel.signer.clientFor(request, channel.model.ref));
  if (decision.kind === 'refused') return expect.fail(`refused: ${decision.refusal.tag}`);
  return decision.warnings.map(({ tag }) => tag);
}

export interface ForwarderOptions {
  readonly upstream?: ModelOptions;
  readonly downstream?: ModelOptions;
  readonly set?: Settings;
  readonly chain?: FakeChain | null;
}

/** Upstream the peer opened and has all the money, downstream we opened. */
export class Forwarder {
  readonly signer: TestSigner;
  readonly incoming: OpenChannel;
  readonly outgoing: OpenChannel;
  readonly chain: FakeChain | null;

  constructor({ upstream, downstream, set, chain = null }: ForwarderOptions = {}) {
    this.signer = hubSigner(set);
    this.chain = chain;
    this.incoming = new OpenChannel(
      { peer: 'upstream', isOutbound: false, pushMsat: 300_000_000n, ...upstream },
      this.signer,
    ).open();
    this.outgoing = new OpenChannel({ peer: 'downstream', ...downstream }, this.signer).open();
    if (chain !== null) {
      chain.bury(this.incoming, 6);
      chain.bury(this.outgoing, 6);
      this.signer.chain = chain;
    }
  }

  /** The upstream peer's HTLCs, irrevocably committed. */
  receive(...htlcs: readonly ModelHtlc[]): this {
    this.incoming.update(adding(this.incoming.balances, ...htlcs));
    return this;
  }

  /** Offered downstream, in both commitments. */
  offer(...htlcs: readonly ModelHtlc[]): this {
    this.outgoing.update(adding(this.outgoing.balances, ...htlcs));
    return this;
  }

  /** The request that offers them: the downstream peer's next commitment. */
  offering(...htlcs: readonly ModelHtlc[]): Request {
    const { model, counterpartyNumber, balances } = this.outgoing;
    return model.signRemote(counterpartyNumber + 1, adding(balances, ...htlcs));
  }

  settleOutgoing(one: ModelHtlc): this {
    this.outgoing.update(removing(this.outgoing.balances, one, 'settled'));
    return this;
  }

  failOutgoing(one: ModelHtlc): this {
    this.outgoing.update(removing(this.outgoing.balances, one, 'failed'));
    return this;
  }

  /** The incoming HTLC is gone, to us or back, in both commitments. */
  resolveIncoming(one: ModelHtlc, how: 'settled' | 'failed'): this {
    this.incoming.update(removing(this.incoming.balances, one, how));
    return this;
  }

  /** The request that lets it go: the upstream peer's next commitment. */
  resolvingIncoming(one: ModelHtlc, how: 'settled' | 'failed'): Request {
    const { model, counterpartyNumber, balances } = this.incoming;
    return model.signRemote(counterpartyNumber + 1, removing(balances, one, how));
  }

  /** The record of its payment. */
  payment(htlc: ModelHtlc): PaymentRecord | null {
    return paymentOf(this.signer, htlc);
  }
}

/** The peer's half of a forward and ours: same hash, less amount, earlier expiry. */
export function forwardOf(incoming: ModelHtlc, amountSat: number, deltaBlocks = 40): ModelHtlc {
  return {
    offeredBy: 'holder',
    amountMsat: BigInt(amountSat) * 1000n,
    preimage: incoming.preimage,
    cltvExpiry: incoming.cltvExpiry - deltaBlocks,
  };
}

/**
 * A next state that must not come about: refused by `tag` where something is given away by it, for the peer (cc), when
 * our commitment before is revoked (rev), and when ours is signed for broadcast (fc). Validating it gives nothing away.
 */
export function tripsWhereGiven(
  prepare: () => OpenChannel,
  bad: (channel: OpenChannel) => Balances,
  tag: string,
  facts: object = {},
): void {
  const cc = prepare();
  const shown = { ...facts, view: 'counterparty', number: cc.counterpartyNumber + 1 };
  trips(cc, cc.model.signRemote(cc.counterpartyNumber + 1, bad(cc)), tag, shown);
  const rev = prepare();
  rev.validate(bad(rev));
  trips(rev, rev.model.revoke(rev.holderNumber), tag, {
    ...facts,
    view: 'holder',
    number: rev.holderNumber + 1,
  });
  const fc = prepare();
  fc.validate(bad(fc));
  trips(fc, fc.model.signCommitment(fc.holderNumber + 1, bad(fc)), tag, {
    ...facts,
    view: 'holder',
    number: fc.holderNumber + 1,
  });
  // The way out is the commitment before.
  fc.ask(fc.model.signCommitment(fc.holderNumber, fc.balances));
}
