/** Law 2's rules where only the records matter: dust and transfers by what flowed, settlements by what is known of a hash. */
import { EMPTY_PAYMENT, type PaymentRecord, paymentRecords, type VelocityLimit } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { scopeOf } from '../src/channel/live.ts';
import type { OpenChannel } from '../src/channel/lookup.ts';
import type { Fate, FundingCandidate } from '../src/channel/record.ts';
import type { Context } from '../src/context.ts';
import { chargeDust } from '../src/ledger/dust.ts';
import { hashHex } from '../src/ledger/htlc-set.ts';
import { predecessorOf } from '../src/ledger/judge.ts';
import { knowledgeAtRelease, knowledgeAtValidation, warnOfUnproven } from '../src/ledger/knowledge.ts';
import { chargeTransfer } from '../src/ledger/transfer.ts';
import { noteTrimLine } from '../src/ledger/trim-line.ts';
import { flowMsat, recordFlow } from '../src/policy/velocity.ts';
import { nodeRecords } from '../src/records/approval.ts';
import { trimLineRecords } from '../src/records/trim-line.ts';
import { RefusalSignal } from '../src/refusal.ts';
import { Draft } from '../src/state.ts';
import { flowOf, hubChannel, hubSigner, recordOf, type Settings } from './forwarder.ts';
import { record } from './ledger-model.ts';
import { MemoryState } from './memory-state.ts';
import { partWith } from './payment-part.ts';

const DAY: VelocityLimit = { amountSat: 1000n, per: 'day' };

function contextOf(set: Settings = {}, preset: 'hub' | 'permissive' = 'hub'): Context {
  const signer = hubSigner(set);
  signer.preset = preset;
  const draft = new Draft(new MemoryState());
  return {
    draft,
    policy: signer.policy,
    nowSeconds: 1_700_000_000,
    warnings: [],
    events: [],
  } as unknown as Context;
}

/** What is refused, or null. */
function refusalOf(action: () => void): RefusalSignal | null {
  try {
    action();
  } catch (error) {
    if (error instanceof RefusalSignal) return error;
    throw error;
  }
  return null;
}

describe('policy-commitment-dust-outflow, by what flowed', () => {
  const context = () => contextOf({ limits: { dustOutflowVelocity: DAY } });

  it('policy-commitment-dust-outflow: passes as much more as small payments were approved for, in whole satoshis', () => {
    const ctx = context();
    recordFlow(ctx, 'dust-approved', DAY, 500_999n);
    chargeDust(ctx, null, 'c', 1_500_000n);
    expect(flowMsat(ctx, 'dust-outflow', DAY)).toBe(1_500_000n);
    expect(refusalOf(() => chargeDust(ctx, null, 'c', 1n))).toMatchObject({
      rule: { tag: 'policy-commitment-dust-outflow' },
      facts: {
        channel: 'c',
        outflow_msat: 1n,
        outflow_before_msat: 1_500_000n,
        outflow_max_sat: 1500n,
        per: 'day',
      },
    });
    expect(flowMsat(ctx, 'dust-outflow', DAY)).toBe(1_500_000n);
  });

  it('policy-commitment-dust-outflow: passes what flows back, though more is out than may be', () => {
    const ctx = context();
    recordFlow(ctx, 'dust-outflow', DAY, 2_000_000n);
    chargeDust(ctx, null, 'c', -1n);
    expect(flowMsat(ctx, 'dust-outflow', DAY)).toBe(1_999_999n);
  });

  it('counts what is lost after a gain', () => {
    const channel = hubChannel();
    const { balances } = channel;
    const { holderMsat, counterpartyMsat } = balances;
    channel.update({
      ...balances,
      holderMsat: holderMsat + 500_000n,
      counterpartyMsat: counterpartyMsat - 500_000n,
    });
    expect(flowOf(channel.signer, 'dust-outflow')).toBe(0n);
    channel.update({ ...balances, counterpartyMsat: counterpartyMsat - 500_000n });
    expect(flowOf(channel.signer, 'dust-outflow')).toBe(500_000n);
  });
});

describe('policy-velocity-transferred, by what flowed', () => {
  const channel = { id: 'c' } as OpenChannel;
  const context = () => contextOf({ severities: new Map([['policy-velocity-transferred', 'error']]) });
  const scope = { peerId: new Uint8Array(33), fundings: [] };

  it('policy-velocity-transferred: passes what flows back, though more is out than may be', () => {
    const ctx = context();
    recordFlow(ctx, 'transfer/c', DAY, 2_000_000n);
    chargeTransfer(ctx, channel, scope, DAY, -1n);
    expect(flowMsat(ctx, 'transfer/c', DAY)).toBe(1_999_999n);
  });

  it('policy-velocity-transferred: trips one millisatoshi above, and names the window', () => {
    const messageOf = (per: VelocityLimit['per']) => {
      const ctx = context();
      const limit = { ...DAY, per };
      chargeTransfer(ctx, channel, scope, limit, 1_000_000n);
      const refusal = refusalOf(() => chargeTransfer(ctx, channel, scope, limit, 1n));
      expect(refusal?.facts).toMatchObject({ settled_before_msat: 1_000_000n, per });
      return refusal?.message;
    };
    expect(messageOf('hour')).toContain('than in an hour may');
    expect(messageOf('day')).toContain('than in a day may');
  });

  it('counts nothing where there is no limit', () => {
    const ctx = context();
    chargeTransfer(ctx, channel, scope, null, 5_000_000n);
    expect(ctx.draft.changes()).toEqual([]);
  });
});

describe('what is known of a hash', () => {
  const one = record('counterparty', 30_000_000n, 'one');
  const other = record('counterparty', 30_000_000n, 'other');
  const hash = one.paymentHash;
  const holding = hubChannel();
  const channel = { id: 'c', record: recordOf(holding) } as unknown as OpenChannel;
  const part = partWith();
  const preimage = new Uint8Array(32);
  const knowing = (value: Partial<PaymentRecord>, ctx = contextOf()) => {
    ctx.draft.put(paymentRecords, hashHex(hash), { ...EMPTY_PAYMENT, ...value });
    return ctx;
  };
  const fate = (how: Fate['how'], amountMsat: bigint, of = one): Fate =>
    ({ how, amountMsat, paymentHash: of.paymentHash }) as Fate;

  it('one view owes what the other credited, less what it has credited itself', () => {
    const owing = (value: Partial<PaymentRecord>, fates: readonly Fate[] = []) => {
      const ctx = knowing(value);
      return (['holder', 'counterparty'] as const).map((view) =>
        knowledgeAtRelease(ctx, channel, view, fates).owedMsat(hash),
      );
    };
    const credited = { ...part, creditMaxMsat: 50n, creditedHolderMsat: 10n, creditedCounterpartyMsat: 20n };
    const parts = [{ ...credited, channel: 'another', creditMaxMsat: 900n }, credited];
    expect(owing({ preimage, parts })).toEqual([40n, 30n]);
    const fates = [
      fate('credited', 5n),
      fate('settled', 7n),
      fate('credited', 9n, other),
      fate('credited', 1n),
    ];
    expect(owing({ preimage, parts }, fates)).toEqual([34n, 24n]);
    expect(owing({ preimage, parts }, [fate('credited', 35n)])).toEqual([5n, 0n]);
    // The balance alone told, without the preimage; and of another channel nothing is owed here.
    expect(owing({ parts })).toEqual([0n, 0n]);
    expect(owing({ preimage, parts: parts.slice(0, 1) })).toEqual([0n, 0n]);
    expect(knowledgeAtRelease(contextOf(), channel, 'holder', []).owedMsat(hash)).toBe(0n);
    expect(knowledgeAtValidation(knowing({ preimage, parts })).owedMsat(hash)).toBe(0n);
  });

  it('it backs an outgoing HTLC when one stands or was settled', () => {
    const backing = (ctx: Context) => [
      knowledgeAtRelease(ctx, channel, 'holder', []).backs(hash),
      knowledgeAtValidation(ctx).backs(hash),
    ];
    expect(backing(contextOf())).toEqual([false, false]);
    expect(backing(knowing({ parts: [part] }))).toEqual([false, false]);
    expect(backing(knowing({ parts: [part, { ...part, outMsat: 1n }] }))).toEqual([true, true]);
    expect(backing(knowing({ settledMsat: 1n }))).toEqual([true, true]);
  });

  it('a received one must be credited that released its preimage, unless it is our invoice or backs an outgoing one', () => {
    const must = (value: Partial<PaymentRecord>) =>
      knowledgeAtRelease(knowing(value), channel, 'holder', []).mustCredit(hash);
    expect(must({ preimage })).toBe(true);
    expect(must({})).toBe(false);
    expect(must({ preimage, invoice: { amountMsat: null, expiresAtSeconds: 1 } })).toBe(false);
    expect(must({ preimage, settledMsat: 1n })).toBe(false);
    // Paid before: what comes under the hash now may fail.
    expect(must({ preimage, creditedMsat: 1n, incomeMsat: 1n })).toBe(false);
    expect(must({ preimage, parts: [{ ...part, creditMaxMsat: 1n }] })).toBe(false);
    expect(must({ preimage, parts: [part] })).toBe(true);
    expect(knowledgeAtValidation(knowing({ preimage })).mustCredit(hash)).toBe(false);
  });

  it('without a preimage one may be settled that nothing incoming pays for, while the rule warns', () => {
    const incoming = { parts: [{ ...part, standingMsat: 1n }] };
    const may = (value: Partial<PaymentRecord> | null, ctx = contextOf()) =>
      knowledgeAtRelease(value === null ? ctx : knowing(value, ctx), channel, 'holder', []).maySettle(hash);
    expect(may(null)).toBe(true);
    expect(may({ parts: [part] })).toBe(true);
    expect(may(incoming)).toBe(false);
    expect(may({ ...incoming, preimage })).toBe(true);
    expect(may({ ...incoming, invoice: { amountMsat: null, expiresAtSeconds: 1 } })).toBe(true);
    expect(may(incoming, contextOf({}, 'permissive'))).toBe(true);
    // From the first preimage that the node side delivers the rule refuses.
    const delivering = (preset: 'hub' | 'permissive') => {
      const ctx = contextOf({}, preset);
      ctx.draft.put(nodeRecords, 'node', { walletIndexMax: 0, channelsLive: 0, deliversPreimages: true });
      return ctx;
    };
    expect(may({}, delivering('hub'))).toBe(false);
    expect(may({ preimage }, delivering('hub'))).toBe(true);
    expect(may(incoming, delivering('permissive'))).toBe(true);
  });

  it('policy-commitment-payment-settled-preimage: warns of what was settled without one', () => {
    const ctx = knowing({ preimage });
    warnOfUnproven(ctx, channel, []);
    warnOfUnproven(ctx, channel, [fate('settled', 5n), fate('credited', 5n, other)]);
    expect(ctx.warnings).toEqual([]);
    const third = record('holder', 1n, 'third');
    const fates = [
      fate('settled', 5n),
      fate('credited', 6n, other),
      fate('settled', 7n, other),
      fate('settled', 8n, third),
    ];
    warnOfUnproven(ctx, channel, fates);
    expect(ctx.warnings).toMatchObject([
      {
        tag: 'policy-commitment-payment-settled-preimage',
        facts: { channel: 'c', htlcs: 2, payment_hash: hashHex(other.paymentHash) },
      },
    ]);
    expect(scopeOf(channel.record).fundings).toHaveLength(1);
  });
});

describe('the commitment that is followed', () => {
  const holding = hubChannel();
  const [candidate] = recordOf(holding).candidates;
  const [validated] = candidate!.validated;
  const [issued] = candidate!.issued;
  const having = (changes: Partial<FundingCandidate>): FundingCandidate => ({ ...candidate!, ...changes });
  const at = <C extends { readonly number: number }>(content: C, number: number, txid = number): C => ({
    ...content,
    number,
    txid: new Uint8Array(32).fill(txid),
  });

  it('in our view is the judged one before', () => {
    const one = having({ validated: [at(validated!, 4), at(validated!, 5)] });
    const before = (number: number, from = one) =>
      predecessorOf({ view: 'holder', candidate: from, content: at(validated!, number) });
    expect(before(6)).toBe(one.validated[1]);
    expect(before(5)).toBe(one.validated[0]);
    expect(before(4)).toBeUndefined();
    const unjudged = having({ validated: [{ ...at(validated!, 5), ledger: null }] });
    expect(before(6, unjudged)).toBeUndefined();
  });

  it("in the peer's is the last variant before, else an earlier variant of the same number, and of 0 none", () => {
    const one = having({ issued: [at(issued!, 0), at(issued!, 4, 1), at(issued!, 4, 2), at(issued!, 6)] });
    const before = (number: number) =>
      predecessorOf({ view: 'counterparty', candidate: one, content: at(issued!, number) });
    expect(before(5)).toBe(one.issued[2]);
    expect(before(4)).toBe(one.issued[2]);
    expect(before(6)).toBe(one.issued[3]);
    expect(before(1)).toBe(one.issued[0]);
    expect(before(0)).toBeUndefined();
    expect(before(3)).toBeUndefined();
  });
});

describe('the trim line', () => {
  it('is noted of commitments whose HTLC transactions pay fees, the highest lately, with the time it was seen', () => {
    const ctx = contextOf();
    const line = () => ctx.draft.get(trimLineRecords, 'line');
    noteTrimLine(ctx, 'anchors_zero_fee_htlc', 5000);
    expect(line()).toBeNull();
    noteTrimLine(ctx, 'static_remotekey', 1000);
    expect(line()).toEqual({ belowSat: 1703n, seenAtSeconds: 1_700_000_000 });
    const later = { ...ctx, nowSeconds: ctx.nowSeconds + 60 };
    noteTrimLine(later, 'static_remotekey', 1000);
    noteTrimLine(later, 'static_remotekey', 999);
    expect(line()).toEqual({ belowSat: 1703n, seenAtSeconds: 1_700_000_000 });
    noteTrimLine(later, 'static_remotekey', 2000);
    expect(line()).toEqual({ belowSat: 2406n, seenAtSeconds: 1_700_000_060 });
  });
});
