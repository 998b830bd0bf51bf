/**
 * Approvals beside the wire: payments that came without a preapproval, fee budgets, the list of approvals, and what may
 * be forgotten when (attacks A42, A43).
 */
import { msat, toHex } from '@countersign/bitcoin';
import {
  approveUnasked,
  type ChainView,
  type Context,
  Draft,
  EMPTY_PAYMENT,
  mayRetire,
  onchainApprovalRecords,
  type PaymentApproval,
  type PaymentRecord,
  paymentRecords,
  pendingPayment,
  standingApproval,
  withoutExpiredApproval,
} from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { indexApproval, indexedApprovals, putPayment } from '../src/payments/approval-index.ts';
import { feeBudgetMsat, feeMaxMsat, requireWithinApproval } from '../src/payments/fee-budget.ts';
import { isUsed } from '../src/payments/retirement.ts';
import { defaultLimits } from '../src/policy/settings.ts';
import { APPROVAL_SLOTS, approvalIndexRecords, approvalSlotRecords } from '../src/records/approval.ts';
import { RefusalSignal } from '../src/refusal.ts';
import { PAYEE } from './invoices.ts';
import { canonical } from './memory-state.ts';
import { partWith } from './payment-part.ts';
import { bytesOf, MASTER, regtest, secp, TestSigner } from './test-signer.ts';

const HASH = bytesOf('payment hash');
const hex = toHex(HASH);
const YEAR_SECONDS = 365 * 86_400;

function signerWith(set: TestSigner['set'], preset: TestSigner['preset'] = 'hub'): TestSigner {
  const signer = new TestSigner();
  signer.preset = preset;
  signer.set = set;
  return signer;
}

const velocity = (amountSat: bigint, set: TestSigner['set'] = {}) =>
  signerWith({
    ...set,
    approvals: {
      auto: 'velocity',
      autoPaymentVelocity: { amountSat, per: 'day' },
      expirySeconds: 3600,
    },
  });

function contextOf(signer: TestSigner): Context {
  const { state, keys, protocolVersion, failPreapprovals, policy, nowSeconds, chain } = signer;
  return {
    draft: new Draft(state),
    client: MASTER,
    policy,
    keys,
    secp,
    protocolVersion,
    nowSeconds,
    chain,
    warnings: [],
    events: [],
    failPreapprovals,
  };
}

/** As law 3 does it: asks, and puts the approval on record. */
function offer(signer: TestSigner, amountMsat: bigint, hash = HASH): PaymentApproval | null {
  const ctx = contextOf(signer);
  const approval = approveUnasked(ctx, hash, msat(amountMsat));
  if (approval !== null) {
    const record = ctx.draft.get(paymentRecords, toHex(hash)) ?? EMPTY_PAYMENT;
    if (canonical(record.approval) !== canonical(approval))
      ctx.draft.put(paymentRecords, toHex(hash), { ...record, approval });
  }
  signer.state.apply(ctx.draft.changes());
  return approval;
}

const record = (signer: TestSigner, hash = hex) => signer.state.read(paymentRecords, hash)?.value ?? null;

function put(signer: TestSigner, value: PaymentRecord | null, hash = hex): void {
  const version = (signer.state.read(paymentRecords, hash)?.version ?? 0) + 1;
  signer.state.apply([{ kind: paymentRecords, id: hash, version, value }]);
}

function tagOf(action: () => void): string {
  try {
    action();
  } catch (error) {
    if (error instanceof RefusalSignal) return error.rule.tag;
    throw error;
  }
  return 'none';
}

const part = partWith();

const approval: PaymentApproval = {
  kind: 'invoice',
  amountMsat: msat(1_000_000n),
  feeBudgetMsat: msat(50_000n),
  payee: PAYEE,
  source: 'operator',
  approvedAtSeconds: 1_700_000_000,
  expiresAtSeconds: 1_700_003_600,
  keepUntilSeconds: 1_701_000_000,
};

describe('a payment that nobody asked approval for', () => {
  it('is approved within the automatic budget, which it is charged to in full, and not beyond', () => {
    const signer = velocity(1000n);
    expect(offer(signer, 600_000n)).toEqual({
      kind: 'unasked',
      amountMsat: 600_000n,
      feeBudgetMsat: 0n,
      payee: null,
      source: 'velocity',
      approvedAtSeconds: signer.nowSeconds,
      expiresAtSeconds: signer.nowSeconds + 3600,
      keepUntilSeconds: signer.nowSeconds + YEAR_SECONDS,
    });
    expect(offer(signer, 400_001n, bytesOf('2'))).toBeNull();
    expect(offer(signer, 400_000n, bytesOf('2'))).not.toBeNull();
    expect(offer(signer, 1n, bytesOf('3'))).toBeNull();
  });
  it('may rise with its next parts, and only what is new is charged', () => {
    const signer = velocity(1000n);
    offer(signer, 600_000n);
    put(signer, { ...record(signer)!, usedMsat: 600_000n });
    expect(offer(signer, 1_000_001n)).toBeNull();
    expect(offer(signer, 1_000_000n)).toMatchObject({ amountMsat: 1_000_000n });
    // Less, or as much, is covered already.
    const before = signer.state.snapshot();
    signer.nowSeconds += 1;
    expect(offer(signer, 1_000_000n)).toMatchObject({ approvedAtSeconds: signer.nowSeconds - 1 });
    expect(offer(signer, 999_999n)).toMatchObject({ amountMsat: 1_000_000n });
    expect(signer.state.snapshot()).toBe(before);
    expect(offer(signer, 1n, bytesOf('2'))).toBeNull();
  });
  it('is charged no more than once for what it rises by', () => {
    const signer = velocity(1000n);
    offer(signer, 300_000n);
    offer(signer, 400_000n);
    expect(offer(signer, 600_001n, bytesOf('2'))).toBeNull();
    expect(offer(signer, 600_000n, bytesOf('2'))).not.toBeNull();
  });
  it('is on the list of approvals, once', () => {
    const signer = velocity(1000n);
    for (const amountMsat of [300_000n, 400_000n]) {
      offer(signer, amountMsat);
      expect(indexedApprovals(new Draft(signer.state))).toEqual([{ kind: 'payment', id: hex }]);
    }
    expect(signer.state.read(approvalIndexRecords, 'index')!.value).toEqual({ oldest: 0, next: 1 });
  });
  it('does not rise once a part of it has settled', () => {
    for (const change of [
      { settledMsat: 1n },
      { parts: [{ ...part, settledHolderMsat: 1n }] },
      { parts: [part, { ...part, settledCounterpartyMsat: 1n }] },
    ]) {
      const signer = velocity(1000n);
      offer(signer, 100_000n);
      put(signer, { ...record(signer)!, ...change });
      expect(offer(signer, 100_001n)).toBeNull();
    }
  });
  it('does not add to another approval of its hash, nor to one of the operator', () => {
    for (const standing of [
      approval,
      { ...approval, kind: 'keysend', source: 'velocity' },
      { ...approval, kind: 'unasked' },
    ] as const) {
      const signer = velocity(10_000n);
      put(signer, { ...EMPTY_PAYMENT, approval: standing });
      expect(offer(signer, 1_000_001n)).toBeNull();
    }
  });
  it('takes the place of an approval that expired unused', () => {
    const signer = velocity(10_000n);
    put(signer, { ...EMPTY_PAYMENT, approval });
    signer.nowSeconds = approval.expiresAtSeconds - 1;
    expect(offer(signer, 5n)).toBeNull();
    signer.nowSeconds += 1;
    expect(offer(signer, 5n)).toMatchObject({ amountMsat: 5n, payee: null });
  });
  it('is approved by nobody where there is no budget, and by everybody where all is approved', () => {
    for (const auto of ['none', 'allowlist'] as const) {
      const approvals = {
        auto,
        autoPaymentVelocity: { amountSat: 10n, per: 'day' },
        expirySeconds: 1,
      } as const;
      expect(offer(signerWith({ approvals }), 1n)).toBeNull();
    }
    expect(
      offer(signerWith({ approvals: { auto: 'velocity', autoPaymentVelocity: null, expirySeconds: 1 } }), 1n),
    ).toBeNull();
    const all = signerWith({ approvals: { auto: 'all', autoPaymentVelocity: null, expirySeconds: 1 } });
    expect(offer(all, 10n ** 12n)).toMatchObject({ source: 'all' });
    expect(offer(new TestSigner(), 10n ** 12n)).toMatchObject({ source: 'all' });
  });
  it('passes with a warning where the rule only warns', () => {
    const tag = 'policy-commitment-payment-approved';
    const ctx = contextOf(velocity(1n, { severities: new Map([[tag, 'warn']]) }));
    expect(approveUnasked(ctx, HASH, msat(5000n))).toMatchObject({ source: 'all' });
    expect(ctx.warnings).toMatchObject([{ tag }]);
    expect(ctx.events).toMatchObject([{ event: 'payment-approved', facts: { source: 'all' } }]);
  });
  it('is bound by the payment velocity, the allowlist rule and the merchant rule', () => {
    const limits = { paymentVelocity: { amountSat: 1n, per: 'day' } } as const;
    const limited = velocity(100n, { limits });
    expect(tagOf(() => offer(limited, 1001n))).toBe('policy-commitment-payment-velocity');
    expect(offer(limited, 1000n)).not.toBeNull();
    const allowlisted = new Map([['policy-commitment-payment-allowlisted', 'error']] as const);
    expect(tagOf(() => offer(velocity(100n, { severities: allowlisted }), 1n))).toBe(
      'policy-commitment-payment-allowlisted',
    );
    const merchant = velocity(100n);
    merchant.preset = 'merchant';
    expect(tagOf(() => offer(merchant, 1n))).toBe('policy-merchant-no-sends');
  });
  it('is what the operator finds in the list', () => {
    expect(pendingPayment(HASH, msat(7n))).toEqual({
      id: hex,
      kind: 'payment',
      amountMsat: 7n,
      payee: null,
      outputs: [],
      feeSat: null,
      description: '',
      expiresAtSeconds: null,
    });
  });
});

describe('an approval for any amount', () => {
  const open = (source: PaymentApproval['source']): PaymentApproval => ({
    ...approval,
    amountMsat: null,
    feeBudgetMsat: msat(0n),
    source,
  });
  it('is bound by the first total that is offered, under the budget, and keeps payee and source', () => {
    const signer = velocity(1000n);
    put(signer, { ...EMPTY_PAYMENT, approval: open('allowlist') });
    expect(offer(signer, 1_000_001n)).toBeNull();
    expect(offer(signer, 1_000_000n)).toMatchObject({
      kind: 'unasked',
      amountMsat: 1_000_000n,
      payee: PAYEE,
      source: 'allowlist',
      keepUntilSeconds: approval.keepUntilSeconds,
    });
    expect(offer(signer, 1_000_001n)).toBeNull();
  });
  it('is not bound without a budget, except where all is approved', () => {
    const approvals = { autoPaymentVelocity: null, expirySeconds: 1 };
    for (const [auto, isBound] of [
      ['none', false],
      ['allowlist', false],
      ['velocity', false],
      ['all', true],
    ] as const) {
      const signer = signerWith({ approvals: { ...approvals, auto } });
      put(signer, { ...EMPTY_PAYMENT, approval: open('all') });
      expect(offer(signer, 1n) !== null, auto).toBe(isBound);
    }
  });
});

describe('policy-payment-fee-budget', () => {
  const limits = defaultLimits(regtest);
  it('policy-payment-fee-budget: passes the base and a part of the amount, at most the hard maximum', () => {
    for (const [amountMsat, budgetMsat, maxMsat] of [
      [0n, 50_000n, 50_000n],
      [1_000_000n, 50_000n, 50_000n],
      [1_250_000n, 62_500n, 62_500n],
      [2_000_000n, 70_000n, 100_000n],
      [100_000_000n, 1_050_000n, 5_000_000n],
    ] as const) {
      expect(feeBudgetMsat(limits, amountMsat)).toBe(budgetMsat);
      expect(feeMaxMsat(limits, amountMsat)).toBe(maxMsat);
    }
  });
  const dear = { ...approval, amountMsat: msat(100_000_000n), feeBudgetMsat: msat(1_050_000n) };
  const judge = (signer: TestSigner, outMsat: bigint, given: PaymentApproval = dear) => {
    const ctx = contextOf(signer);
    return {
      tag: tagOf(() => requireWithinApproval(ctx, hex, given, outMsat, () => false)),
      warnings: ctx.warnings,
    };
  };
  it('policy-payment-fee-budget: trips on a millisatoshi more than the budget', () => {
    const signer = velocity(0n);
    expect(judge(signer, 101_050_000n).tag).toBe('none');
    expect(judge(signer, 101_050_001n).tag).toBe('policy-payment-fee-budget');
    expect(judge(signer, 105_000_000n).tag).toBe('policy-payment-fee-budget');
  });
  it('policy-commitment-payment-invoiced: trips beyond the hard maximum, whatever the fee rule is set to', () => {
    const tag = 'policy-payment-fee-budget';
    const warned = velocity(0n, { severities: new Map([[tag, 'warn']]) });
    expect(judge(warned, 101_050_001n)).toMatchObject({ tag: 'none', warnings: [{ tag }] });
    expect(judge(warned, 105_000_000n)).toMatchObject({ tag: 'none', warnings: [{ tag }] });
    expect(judge(warned, 105_000_001n).tag).toBe('policy-commitment-payment-invoiced');
    expect(judge(velocity(0n), 105_000_001n).tag).toBe('policy-commitment-payment-invoiced');
  });
  it('policy-commitment-payment-invoiced: trips on any more than an unasked payment, or one without an amount', () => {
    const unasked = { ...dear, kind: 'unasked', feeBudgetMsat: msat(0n) } as const;
    expect(judge(velocity(0n), 100_000_000n, unasked).tag).toBe('none');
    expect(judge(velocity(0n), 100_000_001n, unasked).tag).toBe('policy-commitment-payment-invoiced');
    const open = { ...dear, amountMsat: null, feeBudgetMsat: msat(0n) };
    expect(judge(velocity(0n), 0n, open).tag).toBe('none');
    expect(judge(velocity(0n), 1n, open).tag).toBe('policy-commitment-payment-invoiced');
  });
});

const chainAt = (medianTimeSeconds: number): ChainView => ({
  heightBlocks: 1,
  medianTimeSeconds,
  isFresh: true,
  outpoint: () => ({ kind: 'unknown' }),
});

describe('forgetting', () => {
  const unused: PaymentRecord = { ...EMPTY_PAYMENT, approval };
  const settled: PaymentRecord = { ...unused, usedMsat: 1_000_000n, settledMsat: 1_000_000n };
  const now = approval.expiresAtSeconds;

  it('an approval goes when it expires unused, by our own clock', () => {
    expect(withoutExpiredApproval(unused, now - 1)).toBe(unused);
    expect(withoutExpiredApproval(unused, now)).toEqual(EMPTY_PAYMENT);
    expect(withoutExpiredApproval({ ...unused, isDustCredited: true }, now)).toEqual(EMPTY_PAYMENT);
    expect(standingApproval(unused, now - 1)).toBe(approval);
    expect(standingApproval(unused, now)).toBeNull();
    expect(withoutExpiredApproval(EMPTY_PAYMENT, now)).toBe(EMPTY_PAYMENT);
    expect(standingApproval(EMPTY_PAYMENT, now)).toBeNull();
  });
  it.each([
    ['used', { usedMsat: 1n }],
    ['settled', { settledMsat: 1n }],
    ['standing', { parts: [{ ...part, outMsat: 1n }] }],
  ])('an approval that is %s stays, whatever the clock says (A43)', (_, change) => {
    const record = { ...unused, ...change };
    expect(isUsed(record)).toBe(true);
    expect(withoutExpiredApproval(record, Number.MAX_SAFE_INTEGER)).toBe(record);
    expect(standingApproval(record, Number.MAX_SAFE_INTEGER)).toBe(approval);
  });
  it('a paid hash stays until the time of the chain is past its invoice by a week (A43)', () => {
    const { keepUntilSeconds } = approval;
    for (const clock of [now, Number.MAX_SAFE_INTEGER]) {
      expect(mayRetire(settled, clock, null)).toBe(false);
      expect(mayRetire(settled, clock, chainAt(keepUntilSeconds))).toBe(false);
      expect(mayRetire(settled, clock, chainAt(keepUntilSeconds + 1))).toBe(true);
    }
    // While anything of it stands, nothing goes.
    const standing = { ...settled, parts: [part] };
    expect(mayRetire(standing, now, chainAt(keepUntilSeconds + 1))).toBe(false);
  });
  it('an invoice of ours stays as long, also when we paid it ourselves', () => {
    const invoice = { amountMsat: null, expiresAtSeconds: 1_800_000_000 };
    const keepUntilSeconds = 1_800_000_000 + 7 * 86_400;
    for (const record of [
      { ...EMPTY_PAYMENT, invoice },
      { ...settled, invoice },
    ]) {
      expect(mayRetire(record, now, null)).toBe(false);
      expect(mayRetire(record, now, chainAt(keepUntilSeconds))).toBe(false);
      expect(mayRetire(record, now, chainAt(keepUntilSeconds + 1))).toBe(true);
    }
  });
  it('an unused approval holds its record until it expires, a forward that is through holds nothing', () => {
    expect(mayRetire(unused, now - 1, null)).toBe(false);
    expect(mayRetire(unused, now, null)).toBe(true);
    expect(mayRetire({ ...EMPTY_PAYMENT, settledMsat: 5n, creditedMsat: 6n }, now, null)).toBe(true);
    expect(mayRetire({ ...EMPTY_PAYMENT, parts: [part] }, now, null)).toBe(false);
  });
});

describe('the list of approvals', () => {
  const id = (n: number) => toHex(bytesOf(`approval ${n}`));
  const live = (source: PaymentApproval['source'], signer: TestSigner): PaymentRecord => ({
    ...EMPTY_PAYMENT,
    approval: { ...approval, source, expiresAtSeconds: signer.nowSeconds + 3600 },
  });
  const list = (signer: TestSigner) => indexedApprovals(new Draft(signer.state)).map((slot) => slot.id);
  function add(signer: TestSigner, n: number, source: PaymentApproval['source'] = 'velocity'): void {
    const { draft, ...rest } = contextOf(signer);
    draft.put(paymentRecords, id(n), live(source, signer));
    indexApproval({ ...rest, draft }, { kind: 'payment', id: id(n) });
    signer.state.apply(draft.changes());
  }
  const indexOf = (signer: TestSigner) => signer.state.read(approvalIndexRecords, 'index')?.value;

  it('is in the order they came, each once', () => {
    const signer = new TestSigner();
    expect(list(signer)).toEqual([]);
    for (const n of [1, 2, 3, 1]) add(signer, n);
    expect(list(signer)).toEqual([2, 3, 1].map(id));
  });
  it('clears what expired unused, at the old end, and removes what is empty then', () => {
    const signer = new TestSigner();
    for (const n of [1, 2, 3]) add(signer, n);
    put(signer, { ...record(signer, id(2))!, invoice: { amountMsat: null, expiresAtSeconds: 5 } }, id(2));
    signer.nowSeconds += 3600;
    add(signer, 4);
    expect(list(signer)).toEqual([id(4)]);
    expect(record(signer, id(1))).toBeNull();
    expect(record(signer, id(2))).toMatchObject({ approval: null, invoice: { expiresAtSeconds: 5 } });
    expect(signer.state.read(paymentRecords, id(3))).toMatchObject({ value: null });
  });
  it('keeps what is in flight and lets go of what is through', () => {
    const signer = new TestSigner();
    for (const n of [1, 2]) add(signer, n);
    put(signer, { ...record(signer, id(1))!, settledMsat: 5n }, id(1));
    put(signer, { ...record(signer, id(2))!, parts: [{ ...part, outMsat: 5n }] }, id(2));
    signer.nowSeconds += 3600;
    add(signer, 3);
    expect(list(signer)).toEqual([id(2), id(3)]);
    expect(record(signer, id(1))).toMatchObject({ settledMsat: 5n, approval: { source: 'velocity' } });
  });
  it('does not clear what its caller has just approved again', () => {
    const signer = new TestSigner();
    add(signer, 1);
    signer.nowSeconds += 3600;
    add(signer, 1);
    expect(list(signer)).toEqual([id(1)]);
    expect(record(signer, id(1))!.approval!.expiresAtSeconds).toBe(signer.nowSeconds + 3600);
  });
  it('clears approvals on chain as well', () => {
    const signer = new TestSigner();
    const { draft, ...rest } = contextOf(signer);
    const given = { outputs: [], source: 'operator', approvedAtSeconds: 1 } as const;
    for (const [name, expiresAtSeconds] of [
      ['gone', 0],
      ['expired', signer.nowSeconds],
      ['live', signer.nowSeconds + 1],
    ] as const) {
      if (name !== 'gone') draft.put(onchainApprovalRecords, name, { ...given, expiresAtSeconds });
      indexApproval({ ...rest, draft }, { kind: 'onchain', id: name });
    }
    indexApproval({ ...rest, draft }, { kind: 'onchain', id: 'live too' });
    signer.state.apply(draft.changes());
    expect(list(signer)).toEqual(['live', 'live too']);
    expect(signer.state.read(onchainApprovalRecords, 'expired')?.value ?? null).toBeNull();
  });
  it('lets go of at most four with each new one', () => {
    const signer = new TestSigner();
    for (let n = 0; n < 6; n++) add(signer, n);
    signer.nowSeconds += 3600;
    add(signer, 6);
    expect(list(signer)).toEqual([4, 5, 6].map(id));
  });
  it('holds 4,096: then the oldest automatic one goes, the operator’s stay', () => {
    const signer = new TestSigner();
    for (const n of [0, 1, 2]) add(signer, n, n === 2 ? 'velocity' : 'operator');
    const full = { oldest: 0, next: APPROVAL_SLOTS };
    signer.state.apply([
      { kind: approvalIndexRecords, id: 'index', version: 4, value: full },
      {
        kind: approvalSlotRecords,
        id: String(APPROVAL_SLOTS - 1),
        version: 1,
        value: { kind: 'payment', id: id(9) },
      },
    ]);
    add(signer, 10);
    expect(list(signer)).toEqual([9, 0, 1, 10].map(id));
    expect(indexOf(signer)).toEqual({ oldest: 3, next: APPROVAL_SLOTS + 3 });
    expect(record(signer, id(2))!.approval).not.toBeNull();
    // Slots that were lost do not stay in the way.
    add(signer, 11);
    expect(indexOf(signer)).toEqual({ oldest: 7, next: APPROVAL_SLOTS + 4 });
  });
  it('holds approvals on chain by the same rule', () => {
    const signer = new TestSigner();
    const { draft, ...rest } = contextOf(signer);
    const place = { ...rest, draft };
    for (const [name, source] of [
      ['a', 'operator'],
      ['b', 'all'],
    ] as const) {
      const expiresAtSeconds = signer.nowSeconds + 5;
      draft.put(onchainApprovalRecords, name, {
        outputs: [],
        source,
        approvedAtSeconds: 1,
        expiresAtSeconds,
      });
      indexApproval(place, { kind: 'onchain', id: name });
    }
    draft.put(approvalIndexRecords, 'index', { oldest: 0, next: APPROVAL_SLOTS });
    indexApproval(place, { kind: 'onchain', id: 'c' });
    signer.state.apply(draft.changes());
    expect(list(signer)).toEqual(['a', 'c']);
  });
});

describe('a payment record', () => {
  it('is removed when nothing is left in it, and not written when nothing was', () => {
    const signer = new TestSigner();
    put(signer, { ...EMPTY_PAYMENT, usedMsat: 1n });
    const draft = new Draft(signer.state);
    putPayment(draft, hex, EMPTY_PAYMENT);
    putPayment(draft, toHex(bytesOf('another')), EMPTY_PAYMENT);
    putPayment(draft, toHex(bytesOf('third')), { ...EMPTY_PAYMENT, parts: [part] });
    expect(draft.changes().map(({ id: changed, value }) => [changed, value === null])).toEqual([
      [hex, true],
      [toHex(bytesOf('third')), false],
    ]);
  });
});
