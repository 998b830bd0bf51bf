/**
 * A channel that has been opened with a signer, and the honest steps from there: one full update of both sides, a
 * force close, a splice. Tests stop anywhere in between and ask for what they should not get.
 */
import type { Refusal } from '@countersign/core';
import type { Reply, Request } from '@countersign/wire';
import {
  type Balances,
  ChannelModel,
  type Funding,
  type ModelHtlc,
  type ModelOptions,
} from './channel-model.ts';
import { TestSigner } from './test-signer.ts';

/** The balances with these HTLCs added, each taken from who offers it. */
export function adding(balances: Balances, ...htlcs: readonly ModelHtlc[]): Balances {
  let { holderMsat, counterpartyMsat } = balances;
  for (const { offeredBy, amountMsat } of htlcs) {
    if (offeredBy === 'holder') holderMsat -= amountMsat;
    else counterpartyMsat -= amountMsat;
  }
  return { ...balances, holderMsat, counterpartyMsat, htlcs: [...balances.htlcs, ...htlcs] };
}

/** The balances with one HTLC gone: credited to its receiver, or back to who offered it. */
export function removing(balances: Balances, gone: ModelHtlc, how: 'settled' | 'failed'): Balances {
  const toHolder = (gone.offeredBy === 'holder') === (how === 'failed');
  return {
    ...balances,
    holderMsat: balances.holderMsat + (toHolder ? gone.amountMsat : 0n),
    counterpartyMsat: balances.counterpartyMsat + (toHolder ? 0n : gone.amountMsat),
    htlcs: balances.htlcs.filter((one) => one !== gone),
  };
}

export class OpenChannel {
  readonly signer: TestSigner;
  readonly model: ChannelModel;
  /** Of the last commitments signed and validated. */
  balances: Balances;
  /** Numbers of the current commitments. */
  holderNumber = 0;
  counterpartyNumber = 0;
  fundings: readonly Funding[];

  constructor(options: ModelOptions = {}, signer = new TestSigner()) {
    this.signer = signer;
    this.model = new ChannelModel(signer.keys, options);
    this.balances = this.model.initial;
    this.fundings = [this.model.funding];
  }

  ask(request: Request): Reply {
    return this.signer.ask(request, this.model.ref);
  }

  refused(request: Request): Refusal {
    return this.signer.refused(request, this.model.ref);
  }

  /** Tag of the refusal. */
  tagOf(request: Request): string {
    return this.refused(request).tag;
  }

  /** The channel's parameters and both commitments 0. */
  open(): this {
    this.ask(this.model.setup());
    this.ask(this.model.validate(0, this.balances));
    this.ask(this.model.signRemote(0, this.balances));
    return this;
  }

  /** The peer's next commitment on every funding, with its HTLCs. */
  signRemote(balances = this.balances): void {
    for (const funding of this.fundings) {
      this.ask(this.model.signRemote(this.counterpartyNumber + 1, balances, funding));
      for (const htlc of this.model.signRemoteHtlcs(this.counterpartyNumber + 1, balances, funding))
        this.ask(htlc);
    }
  }

  /** The peer revokes its current commitment. */
  peerRevokes(): void {
    this.ask(this.model.validateRevocation(this.counterpartyNumber));
    this.counterpartyNumber += 1;
  }

  /** Our next commitment on every funding. */
  validate(balances = this.balances): void {
    for (const funding of this.fundings)
      this.ask(this.model.validate(this.holderNumber + 1, balances, funding));
  }

  /** We revoke our current commitment. */
  revoke(): Reply {
    const reply = this.ask(this.model.revoke(this.holderNumber));
    this.holderNumber += 1;
    return reply;
  }

  /** Both sides move on to `balances`. */
  update(balances: Balances): this {
    this.signRemote(balances);
    this.peerRevokes();
    this.validate(balances);
    this.revoke();
    this.balances = balances;
    return this;
  }

  /** A candidate funding with both current commitments on it. */
  candidate(funding: Funding): Funding {
    this.ask(this.model.setup(funding));
    this.ask(this.model.validate(this.holderNumber, this.balances, funding));
    this.ask(this.model.signRemote(this.counterpartyNumber, this.balances, funding));
    this.fundings = [...this.fundings, funding];
    return funding;
  }

  lock(funding: Funding): void {
    this.ask(this.model.lock(funding));
    this.fundings = [funding];
  }
}

export const FORMATS = ['static_remotekey', 'anchors_zero_fee_htlc'] as const;
/** Every kind of channel: both types, both sides as funder. */
export const KINDS: readonly (readonly [string, ModelOptions])[] = FORMATS.flatMap((format) =>
  [true, false].map(
    (isOutbound) => [`${format}, ${isOutbound ? 'outbound' : 'inbound'}`, { format, isOutbound }] as const,
  ),
);
