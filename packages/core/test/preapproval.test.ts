/**
 * Preapprovals over the wire: what an invoice must be, who approves it, and what stays on record (attacks A40–A42, A49).
 */
import { fromHex, toHex } from '@countersign/bitcoin';
import {
  type AllowlistEntry,
  type AutoApproval,
  allowlistRecords,
  networkByName,
  type PaymentRecord,
  paymentRecords,
  pendingRecords,
  type Refusal,
} from '@countersign/core';
import type { Reply, Request } from '@countersign/wire';
import { describe, expect, it } from 'vitest';
import { bolt11, bolt12, CREATED_AT_SECONDS, PAYEE, words } from './invoices.ts';
import { canonical } from './memory-state.ts';
import { partWith } from './payment-part.ts';
import { bytesOf, MASTER, secp, TestSigner } from './test-signer.ts';

const HASH = bytesOf('payment hash');
const hex = toHex(HASH);
const declined = { tag: 'policy-commitment-payment-approved', code: 'policy', temporary: false };
const DAY_SECONDS = 86_400;

export const payInvoice = (invstring: string, checkOnly = false): Request => ({
  name: 'hsmd_preapprove_invoice_check',
  invstring,
  checkOnly,
});
const payKeysend = (amountMsat: bigint, checkOnly = false, paymentHash = HASH): Request => ({
  name: 'hsmd_preapprove_keysend_check',
  destination: PAYEE,
  paymentHash,
  amountMsat: amountMsat as never,
  checkOnly,
});

interface Options {
  readonly auto?: AutoApproval;
  readonly budgetSat?: bigint;
  readonly set?: TestSigner['set'];
  readonly payees?: readonly Uint8Array[];
  readonly preset?: TestSigner['preset'];
}

export function payer({
  auto = 'allowlist',
  budgetSat,
  set = {},
  payees = [],
  preset = 'hub',
}: Options = {}) {
  const signer = new TestSigner();
  signer.preset = preset;
  signer.nowSeconds = CREATED_AT_SECONDS + 60;
  const autoPaymentVelocity =
    budgetSat === undefined ? null : ({ amountSat: budgetSat, per: 'day' } as const);
  signer.set = {
    ...set,
    approvals: { auto, autoPaymentVelocity, expirySeconds: 3600 },
    allowlist: payees.map(
      (payee): AllowlistEntry => ({ kind: 'payee', text: toHex(payee), addedAtSeconds: 0 }),
    ),
  };
  return signer;
}

const approvedReply = { name: 'hsmd_preapprove_invoice_reply', approved: true };
const record = (signer: TestSigner, hash = hex): PaymentRecord | null =>
  signer.state.read(paymentRecords, hash)?.value ?? null;

/** Asks, keeps the list of pending approvals, and returns the refusal. */
export function declinedBy(signer: TestSigner, request: Request): Refusal {
  const decision = signer.decide(request, MASTER);
  if (decision.kind === 'approved') expect.fail('was approved');
  signer.state.apply(decision.changes);
  return decision.refusal;
}

const pendingOf = (signer: TestSigner) => signer.state.read(pendingRecords, 'list')?.value ?? [];

/** Puts what law 3 would put when parts of the payment go out. */
function use(signer: TestSigner, change: Partial<PaymentRecord>, hash = hex): void {
  const stored = signer.state.read(paymentRecords, hash)!;
  const value = { ...stored.value!, ...change };
  signer.state.apply([{ kind: paymentRecords, id: hash, version: stored.version + 1, value }]);
}

describe('policy-invoice-signature', () => {
  const tag = 'policy-invoice-signature';
  const other = secp.publicKey(bytesOf('another'));
  it.each([
    ['BOLT 11 that names another payee', bolt11({ more: [['n', words(other)]] })],
    ['BOLT 11 with no signature', bolt11({ change: () => new Uint8Array(65) })],
    ['BOLT 12 signed by another key', bolt12({ payee: other })],
    ['BOLT 12 with a changed signature', bolt12({ change: (signature) => signature.with(0, 9) })],
    ['BOLT 11 of mainnet', bolt11({ hrp: 'lnbc10u' })],
    ['BOLT 11 of signet', bolt11({ hrp: 'lntbs10u' })],
    ['BOLT 12 of mainnet', bolt12({ chain: null })],
    ['BOLT 12 of testnet', bolt12({ chain: networkByName('testnet')!.chainHash })],
  ])('policy-invoice-signature: trips on %s, whoever approves everything', (_, text) => {
    const signer = payer({ auto: 'all' });
    expect(declinedBy(signer, payInvoice(text))).toMatchObject({ tag });
    expect(signer.state.keys).toEqual([]);
  });
  it.each([
    ['BOLT 11', bolt11()],
    ['BOLT 11 that names its payee', bolt11({ more: [['n', words(PAYEE)]] })],
    ['BOLT 12', bolt12()],
  ])('policy-invoice-signature: passes %s', (_, text) => {
    expect(payer({ auto: 'all' }).ask(payInvoice(text))).toEqual(approvedReply);
  });
  it('policy-invoice-signature: passes invoices of each network on it', () => {
    for (const [name, hrp] of [
      ['bitcoin', 'lnbc1u'],
      ['testnet', 'lntb1u'],
      ['testnet4', 'lntb1u'],
      ['signet', 'lntbs1u'],
    ] as const) {
      const signer = payer({ auto: 'all' });
      signer.network = networkByName(name)!;
      signer.ask(payInvoice(bolt11({ hrp })));
      signer.ask(payInvoice(bolt12({ chain: signer.network.chainHash, hash: bytesOf('2') })));
      expect(declinedBy(signer, payInvoice(bolt11({ hash: bytesOf('3') })))).toMatchObject({ tag });
    }
  });
});

describe('policy-invoice-not-expired', () => {
  const tag = 'policy-invoice-not-expired';
  it.each([
    ['BOLT 11', bolt11(), 3600],
    ['BOLT 11 with its own expiry', bolt11({ more: [['x', [1, 28]]] }), 60],
    ['BOLT 12', bolt12(), 7200],
    ['BOLT 12 with its own expiry', bolt12({ expiry: '3c' }), 60],
  ])(
    'policy-invoice-not-expired: trips at the second %s expires, and passes the one before',
    (_, text, expiry) => {
      const signer = payer({ auto: 'all' });
      signer.nowSeconds = CREATED_AT_SECONDS + expiry;
      expect(declinedBy(signer, payInvoice(text))).toMatchObject({
        tag,
        facts: { payment_hash: hex, expired_at_seconds: CREATED_AT_SECONDS + expiry },
      });
      expect(signer.state.keys).toEqual([]);
      signer.nowSeconds -= 1;
      signer.ask(payInvoice(text));
    },
  );
  it('policy-invoice-not-expired: passes with a warning where the operator set warn', () => {
    const signer = payer({ auto: 'all', set: { severities: new Map([[tag, 'warn']]) } });
    signer.nowSeconds = CREATED_AT_SECONDS + 4000;
    expect(signer.decide(payInvoice(bolt11()), MASTER)).toMatchObject({ warnings: [{ tag }] });
  });
  it('policy-invoice-not-expired: passes an invoice of the future', () => {
    const signer = payer({ auto: 'all' });
    signer.nowSeconds = CREATED_AT_SECONDS - 1000;
    signer.ask(payInvoice(bolt11()));
  });
});

describe('policy-commitment-payment-approved', () => {
  const tag = 'policy-commitment-payment-approved';
  it('policy-commitment-payment-approved: trips on an invoice nobody approved, and lists it', () => {
    const signer = payer();
    const text = bolt11({ description: 'one\ncoffee' });
    expect(declinedBy(signer, payInvoice(text))).toMatchObject({
      ...declined,
      facts: { payment_hash: hex, amount_msat: 1_000_000n, payee: toHex(PAYEE) },
    });
    const entry = {
      id: hex,
      kind: 'invoice',
      amountMsat: 1_000_000n,
      payee: PAYEE,
      description: 'one\ufffdcoffee',
      expiresAtSeconds: CREATED_AT_SECONDS + 3600,
      firstAskedAtSeconds: signer.nowSeconds,
      timesAsked: 1,
    };
    expect(pendingOf(signer)).toMatchObject([entry]);
    expect(record(signer)).toBeNull();
    signer.nowSeconds += 10;
    declinedBy(signer, payInvoice(text));
    expect(pendingOf(signer)).toMatchObject([
      { ...entry, timesAsked: 2, lastAskedAtSeconds: signer.nowSeconds },
    ]);
  });
  it.each([
    ['another payee is on the allowlist', payer({ payees: [secp.publicKey(bytesOf('another'))] })],
    ['the payee is, but nobody may approve', payer({ auto: 'none', payees: [PAYEE] })],
    ['the budget is of nobody', payer({ auto: 'allowlist', budgetSat: 1_000_000n })],
    ['there is a budget without an amount', payer({ auto: 'velocity' })],
  ])('policy-commitment-payment-approved: trips when %s', (_, signer) => {
    expect(declinedBy(signer, payInvoice(bolt11()))).toMatchObject({ tag });
  });
  it.each([
    ['BOLT 11', bolt11()],
    ['BOLT 12', bolt12()],
  ])('policy-commitment-payment-approved: passes %s of an allowlisted payee', (_, text) => {
    const signer = payer({ payees: [PAYEE] });
    const decision = signer.decide(payInvoice(text), MASTER);
    expect(decision).toMatchObject({
      kind: 'approved',
      events: [{ event: 'payment-approved', facts: { payment_hash: hex, source: 'allowlist' } }],
    });
    signer.ask(payInvoice(text));
    const { paymentHash: _hash, ...rest } = { paymentHash: HASH, ...record(signer)!.approval! };
    const expirySeconds = text.startsWith('lni') ? 7200 : 3600;
    expect(rest).toEqual({
      kind: 'invoice',
      amountMsat: 1_000_000n,
      // 50 sat and 1 %, but no more than the larger of 50 sat and 5 %.
      feeBudgetMsat: 50_000n,
      payee: PAYEE,
      source: 'allowlist',
      approvedAtSeconds: signer.nowSeconds,
      expiresAtSeconds: signer.nowSeconds + 3600,
      keepUntilSeconds: CREATED_AT_SECONDS + expirySeconds + 7 * DAY_SECONDS,
    });
  });
  it('policy-commitment-payment-approved: passes a payee that the operator put on the list', () => {
    const signer = payer();
    const entry = { kind: 'payee', text: toHex(PAYEE), addedAtSeconds: 1 } as const;
    signer.state.apply([{ kind: allowlistRecords, id: 'list', version: 1, value: [entry] }]);
    signer.ask(payInvoice(bolt11()));
    const script = { ...entry, kind: 'script' } as const;
    signer.state.apply([{ kind: allowlistRecords, id: 'list', version: 2, value: [script] }]);
    declinedBy(signer, payInvoice(bolt11({ hash: bytesOf('2') })));
  });
  it('policy-commitment-payment-approved: trips on a keysend to an allowlisted payee (A49)', () => {
    const signer = payer({ payees: [PAYEE] });
    expect(declinedBy(signer, payKeysend(1000n))).toMatchObject(declined);
    expect(pendingOf(signer)).toMatchObject([
      { id: hex, kind: 'keysend', amountMsat: 1000n, payee: PAYEE, expiresAtSeconds: null, description: '' },
    ]);
  });
  it('policy-commitment-payment-approved: passes a keysend within the budget, whoever it names', () => {
    const signer = payer({ auto: 'velocity', budgetSat: 1000n });
    signer.ask(payKeysend(900_000n));
    expect(record(signer)!.approval).toMatchObject({
      kind: 'keysend',
      payee: null,
      source: 'velocity',
      amountMsat: 900_000n,
      keepUntilSeconds: signer.nowSeconds + 365 * DAY_SECONDS,
    });
  });
  it('policy-commitment-payment-approved: passes what fits the budget with its fees, and trips on a satoshi more', () => {
    // 1,000 sat and 50 sat fee budget, twice, and a third for the rest.
    const signer = payer({ auto: 'velocity', budgetSat: 2100n + 151n });
    signer.ask(payInvoice(bolt11()));
    signer.ask(payInvoice(bolt11({ hash: bytesOf('2') })));
    const third = (sats: bigint) => bolt11({ hrp: `lnbcrt${sats}0n`, hash: bytesOf('3') });
    expect(declinedBy(signer, payInvoice(third(102n)))).toMatchObject({ tag });
    signer.ask(payInvoice(third(101n)));
    declinedBy(signer, payKeysend(0n, false, bytesOf('4')));
    // The window slides.
    signer.nowSeconds += DAY_SECONDS;
    signer.ask(payKeysend(1_000_000n, false, bytesOf('5')));
  });
  it('policy-commitment-payment-approved: passes everything, with a warning, where the operator set warn', () => {
    const signer = payer({ set: { severities: new Map([[tag, 'warn']]) } });
    const decision = signer.decide(payInvoice(bolt11()), MASTER);
    expect(decision).toMatchObject({ kind: 'approved', warnings: [{ tag, facts: { payment_hash: hex } }] });
    signer.ask(payInvoice(bolt11()));
    expect(record(signer)!.approval).toMatchObject({ source: 'all' });
  });
  it('policy-commitment-payment-approved: passes everything under permissive', () => {
    const signer = new TestSigner();
    signer.nowSeconds = CREATED_AT_SECONDS;
    expect(signer.decide(payInvoice(bolt11()), MASTER)).toMatchObject({ kind: 'approved', warnings: [] });
    signer.ask(payKeysend(5n));
  });
});

describe('an invoice without an amount', () => {
  const text = bolt11({ hrp: 'lnbcrt' });
  it('is not approved by an allowlist alone: nothing says how much', () => {
    const signer = payer({ payees: [PAYEE] });
    expect(declinedBy(signer, payInvoice(text))).toMatchObject({
      ...declined,
      facts: { amount_msat: 'any' },
    });
    expect(pendingOf(signer)).toMatchObject([{ kind: 'invoice', amountMsat: null }]);
  });
  it.each([
    ['everything is approved', payer({ auto: 'all' }), 'all'],
    [
      'the payee is allowlisted and a budget binds the amount',
      payer({ auto: 'velocity', budgetSat: 1n, payees: [PAYEE] }),
      'allowlist',
    ],
    ['a budget binds the amount', payer({ auto: 'velocity', budgetSat: 1n }), 'velocity'],
  ] as const)('is approved for any amount when %s', (_, signer, source) => {
    signer.ask(payInvoice(text));
    expect(record(signer)!.approval).toMatchObject({
      amountMsat: null,
      feeBudgetMsat: 0n,
      source,
      payee: PAYEE,
    });
    // Asked again, it is the same; with an amount it is another.
    const before = signer.state.snapshot();
    signer.ask(payInvoice(text));
    expect(signer.state.snapshot()).toBe(before);
  });
});

describe('policy-commitment-payment-invoiced, preapproval', () => {
  const tag = 'policy-commitment-payment-invoiced';
  const approved = () => {
    const signer = payer({ auto: 'all' });
    signer.ask(payInvoice(bolt11()));
    return signer;
  };
  const changed = [
    ['another amount', payInvoice(bolt11({ hrp: 'lnbcrt20u' }))],
    ['another payee', payInvoice(bolt11({ secret: bytesOf('another') }))],
    ['a keysend', payKeysend(1_000_000n)],
  ] as const;
  it.each(changed)(
    'policy-commitment-payment-invoiced: passes %s for an unused hash, in the place of the first',
    (_, request) => {
      const signer = approved();
      const first = record(signer)!.approval;
      signer.ask(request);
      expect(canonical(record(signer)!.approval)).not.toBe(canonical(first));
      expect(record(signer)).toMatchObject({ usedMsat: 0n });
    },
  );
  const part = partWith({ outMsat: 1n });
  const uses = [
    ['is in flight', { usedMsat: 1n }],
    ['stands in a channel', { parts: [part] }],
    ['is settled', { settledMsat: 1n }],
  ] as const;
  for (const [what, change] of uses) {
    it.each(changed)(
      `policy-commitment-payment-invoiced: trips on %s when a part ${what} (A42)`,
      (_, request) => {
        const signer = approved();
        use(signer, change);
        const before = signer.state.snapshot();
        expect(declinedBy(signer, request)).toMatchObject({ tag, facts: { payment_hash: hex } });
        expect(signer.state.snapshot()).toBe(before);
      },
    );
    it(`policy-commitment-payment-invoiced: passes the same again when a part ${what}, and changes nothing`, () => {
      const signer = approved();
      use(signer, change);
      const before = signer.state.snapshot();
      signer.nowSeconds += 3000;
      signer.ask(payInvoice(bolt11()));
      expect(signer.state.snapshot()).toBe(before);
    });
  }
  it('policy-commitment-payment-invoiced: passes a keysend in the place of a payment nobody asked for', () => {
    const signer = approved();
    const unasked = { ...record(signer)!.approval!, kind: 'unasked', payee: null } as const;
    use(signer, { approval: unasked });
    signer.ask(payKeysend(1_000_000n));
    expect(record(signer)!.approval).toMatchObject({ kind: 'keysend', amountMsat: 1_000_000n });
  });
  it('policy-commitment-payment-invoiced: trips on an approval beside a forward of the same hash', () => {
    const signer = approved();
    use(signer, { approval: null, parts: [part] });
    expect(declinedBy(signer, payInvoice(bolt11()))).toMatchObject({ tag });
  });
  it('policy-commitment-payment-invoiced: passes an invoice whose hash waits with only incoming parts', () => {
    const signer = approved();
    use(signer, { approval: null, parts: [{ ...part, outMsat: 0n, inMsat: 5n }] });
    signer.ask(payInvoice(bolt11()));
    expect(record(signer)).toMatchObject({ approval: { source: 'all' }, parts: [{ inMsat: 5n }] });
  });
  it('an approval that expired unused is given anew', () => {
    const signer = approved();
    const first = record(signer)!.approval!;
    signer.nowSeconds = first.expiresAtSeconds - 1;
    // The invoice itself lives longer here.
    const longer = bolt11({ more: [['x', [18, 14, 20, 0]]], hash: bytesOf('2') });
    signer.ask(payInvoice(longer));
    const before = signer.state.snapshot();
    signer.nowSeconds += 3599;
    signer.ask(payInvoice(longer));
    expect(signer.state.snapshot()).toBe(before);
    signer.nowSeconds += 1;
    signer.ask(payInvoice(longer));
    expect(record(signer, toHex(bytesOf('2')))!.approval!.approvedAtSeconds).toBe(signer.nowSeconds);
  });
});

describe('policy-commitment-payment-velocity', () => {
  const tag = 'policy-commitment-payment-velocity';
  const limits = { paymentVelocity: { amountSat: 2000n, per: 'day' } } as const;
  const third = bolt11({ hrp: 'lnbcrt10p', hash: bytesOf('3') });
  it('policy-commitment-payment-velocity: passes up to the limit and trips on a millisatoshi more (A41)', () => {
    const signer = payer({ auto: 'all', set: { limits } });
    signer.ask(payInvoice(bolt11()));
    signer.ask(payInvoice(bolt11({ hash: bytesOf('2') })));
    expect(declinedBy(signer, payInvoice(third))).toMatchObject({
      tag,
      facts: { amount_msat: 1n, approved_msat: 2_000_000n, velocity_max_msat: 2_000_000n },
    });
    // A restart empties nothing, and neither does a clock that goes back.
    signer.state = signer.state.copy();
    expect(declinedBy(signer, payInvoice(third))).toMatchObject({ tag });
    signer.nowSeconds -= 30;
    expect(declinedBy(signer, payInvoice(third))).toMatchObject({ tag });
    // What is approved already may be asked for again.
    signer.ask(payInvoice(bolt11()));
    signer.nowSeconds += DAY_SECONDS + 3600;
    signer.ask(payKeysend(2_000_000n, false, bytesOf('4')));
  });
  it('policy-commitment-payment-velocity: trips before the automatic budget is charged', () => {
    const signer = payer({ auto: 'velocity', budgetSat: 10_000n, set: { limits } });
    expect(declinedBy(signer, payKeysend(2_000_001n))).toMatchObject({ tag });
    expect(signer.state.keys).toEqual([]);
    signer.ask(payKeysend(2_000_000n));
    expect(signer.state.keys).toContain('velocity/payment');
    expect(signer.state.keys).toContain('velocity/payment-auto');
  });
  it('policy-commitment-payment-velocity: passes with a warning at warn, and goes on counting', () => {
    const severities = new Map([[tag, 'warn']] as const);
    const signer = payer({ auto: 'all', set: { limits, severities } });
    signer.ask(payKeysend(5_000_000n));
    const decision = signer.decide(payKeysend(1n, false, bytesOf('2')), MASTER);
    expect(decision).toMatchObject({ warnings: [{ tag, facts: { approved_msat: 5_000_000n } }] });
  });
  it('is told per hour and per week in words', () => {
    for (const [per, words] of [
      ['hour', 'an hour'],
      ['week', 'a week'],
    ] as const) {
      const signer = payer({ auto: 'all', set: { limits: { paymentVelocity: { amountSat: 0n, per } } } });
      expect(declinedBy(signer, payKeysend(1n)).message).toContain(words);
    }
  });
});

describe('policy-commitment-payment-allowlisted', () => {
  const tag = 'policy-commitment-payment-allowlisted';
  const severities = new Map([[tag, 'error']] as const);
  it('policy-commitment-payment-allowlisted: trips on an unlisted payee and on every keysend', () => {
    const signer = payer({ auto: 'all', set: { severities } });
    expect(declinedBy(signer, payInvoice(bolt11()))).toMatchObject({ tag, facts: { payee: toHex(PAYEE) } });
    const listed = payer({ auto: 'all', payees: [PAYEE], set: { severities } });
    expect(declinedBy(listed, payKeysend(1n))).toMatchObject({ tag, facts: { payee: 'not proven' } });
    expect(listed.state.keys).toEqual([]);
  });
  it('policy-commitment-payment-allowlisted: passes an invoice of a listed payee, and everything while it is off', () => {
    payer({ auto: 'all', payees: [PAYEE], set: { severities } }).ask(payInvoice(bolt11()));
    payer({ auto: 'all' }).ask(payInvoice(bolt11()));
    payer({ auto: 'all' }).ask(payKeysend(1n));
  });
});

describe('policy-merchant-no-sends', () => {
  const tag = 'policy-merchant-no-sends';
  it('policy-merchant-no-sends: trips on every payment of a merchant', () => {
    const signer = payer({ auto: 'all', preset: 'merchant', payees: [PAYEE] });
    expect(declinedBy(signer, payInvoice(bolt11()))).toMatchObject({ tag });
    expect(declinedBy(signer, payKeysend(1n))).toMatchObject({ tag });
    expect(signer.state.keys).toEqual([]);
  });
  it('policy-merchant-no-sends: passes them elsewhere', () => {
    for (const preset of ['wallet', 'hub'] as const) payer({ auto: 'all', preset }).ask(payInvoice(bolt11()));
    const off = new Map([[tag, 'off']] as const);
    payer({ auto: 'all', preset: 'merchant', set: { severities: off } }).ask(payInvoice(bolt11()));
  });
});

describe('a preapproval', () => {
  const forms: readonly (readonly [string, Request, Request])[] = [
    ['of an invoice', payInvoice(bolt11(), true), { name: 'hsmd_preapprove_invoice', invstring: bolt11() }],
    [
      'of a keysend',
      payKeysend(7n, true),
      { name: 'hsmd_preapprove_keysend', destination: PAYEE, paymentHash: HASH, amountMsat: 7n as never },
    ],
  ];
  it.each(forms)('%s leaves nothing on record when it is a check', (_, check, real) => {
    const signer = payer({ auto: 'all' });
    expect((signer.ask(check) as Extract<Reply, { approved: boolean }>).approved).toBe(true);
    expect(signer.state.keys).toEqual([]);
    signer.ask(real);
    expect(record(signer)!.approval).not.toBeNull();
    const strict = payer();
    expect(declinedBy(strict, check)).toMatchObject(declined);
    expect(strict.state.keys).toEqual([]);
  });
  it.each(forms)('%s is declined, and nothing else, when a developer said so', (_, check, real) => {
    const signer = payer({ auto: 'all' });
    signer.failPreapprovals = true;
    for (const request of [check, real]) {
      expect((signer.ask(request) as Extract<Reply, { approved: boolean }>).approved).toBe(false);
      expect(signer.state.keys).toEqual([]);
    }
  });
  it.each([
    ['text that is no invoice', payInvoice('lnbcrt1pretend')],
    ['an offer', payInvoice(bolt12().replace('lni', 'lno'))],
    ['a BOLT 12 string that is no invoice', payInvoice('lni1qq')],
    ['nothing', payInvoice('')],
    [
      'a destination off the curve',
      { ...payKeysend(1n), destination: fromHex(`02${'ff'.repeat(32)}`) } as Request,
    ],
  ])('of %s is malformed', (_, request) => {
    const signer = payer({ auto: 'all' });
    expect(declinedBy(signer, request)).toMatchObject({ tag: 'policy-generic-error', code: 'malformed' });
    expect(signer.state.keys).toEqual([]);
  });
});
