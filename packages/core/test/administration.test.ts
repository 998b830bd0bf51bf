/**
 * What the operator does while the signer runs: pending approvals, approvals, the allowlist, the kill switch. Every
 * change has an event for the audit log, and an error changes nothing.
 */
import {
  concat,
  fromHex,
  msat,
  p2wpkhOfKey,
  sat,
  scriptToAddress,
  sha256,
  toHex,
} from '@countersign/bitcoin';
import {
  type AdminErrorCode,
  type AdminOperation,
  type AdminOutcome,
  type AdminResult,
  type AllowlistEntry,
  administer,
  allowlistRecords,
  channelRecords,
  EMPTY_PAYMENT,
  onchainApprovalRecords,
  type PaymentRecord,
  type PendingApproval,
  paymentRecords,
  pendingRecords,
  velocityRecords,
} from '@countersign/core';
import type { Request } from '@countersign/wire';
import { base58check } from '@scure/base';
import { describe, expect, it } from 'vitest';
import { ALLOWLIST_MAX } from '../src/records/approval.ts';
import { bolt11, bolt12, CREATED_AT_SECONDS, PAYEE } from './invoices.ts';
import { canonical } from './memory-state.ts';
import { OpenChannel } from './open-channel.ts';
import { partWith } from './payment-part.ts';
import { bytesOf, MASTER, secp, TestSigner } from './test-signer.ts';

const HASH = bytesOf('payment hash');
const hex = toHex(HASH);
const DAY_SECONDS = 86_400;

const pay = (invstring: string): Request => ({ name: 'hsmd_preapprove_invoice', invstring });
const keysend: Request = {
  name: 'hsmd_preapprove_keysend',
  destination: PAYEE,
  paymentHash: HASH,
  amountMsat: msat(7000n),
};

function strict(): TestSigner {
  const signer = new TestSigner();
  signer.preset = 'hub';
  signer.nowSeconds = CREATED_AT_SECONDS + 60;
  return signer;
}

/** Is declined, and waits. */
function decline(signer: TestSigner, request: Request): void {
  const decision = signer.decide(request, MASTER);
  expect(decision.kind).toBe('refused');
  signer.state.apply(decision.changes);
}

function run(signer: TestSigner, operation: AdminOperation): AdminOutcome {
  const { state, policy, nowSeconds } = signer;
  const before = state.snapshot();
  const outcome = administer({ state, policy, secp, nowSeconds }, operation);
  expect(canonical(administer({ state, policy, secp, nowSeconds }, operation))).toBe(canonical(outcome));
  state.expectUntouched();
  expect(state.snapshot()).toBe(before);
  return outcome;
}

/** Carried out; an error fails the test. Whatever changes is told to the audit log. */
function ok<O extends AdminOperation>(
  signer: TestSigner,
  operation: O,
): Extract<AdminResult, { op: O['op'] }> {
  const outcome = run(signer, operation);
  if (!outcome.ok) expect.fail(`${outcome.error.code}: ${outcome.error.message}`);
  expect(outcome.events.length > 0).toBe(outcome.changes.length > 0);
  signer.state.apply(outcome.changes);
  return outcome.result as Extract<AdminResult, { op: O['op'] }>;
}

function codeOf(signer: TestSigner, operation: AdminOperation): AdminErrorCode | 'none' {
  const outcome = run(signer, operation);
  return outcome.ok ? 'none' : outcome.error.code;
}

const eventsOf = (signer: TestSigner, operation: AdminOperation) => {
  const outcome = run(signer, operation);
  return outcome.ok ? outcome.events : [];
};

const approve = (
  id = hex,
  amountMsat: bigint | null = null,
  expirySeconds: number | null = null,
): AdminOperation & { op: 'approve' } => ({ op: 'approve', id, amountMsat, expirySeconds });

const record = (signer: TestSigner, hash = hex): PaymentRecord | null =>
  signer.state.read(paymentRecords, hash)?.value ?? null;

function put(signer: TestSigner, value: PaymentRecord, hash = hex): void {
  const version = (signer.state.read(paymentRecords, hash)?.version ?? 0) + 1;
  signer.state.apply([{ kind: paymentRecords, id: hash, version, value }]);
}

describe('what waits', () => {
  it('is listed, the newest last, without what has expired', () => {
    const signer = strict();
    decline(signer, pay(bolt11({ more: [['x', [3, 0]]] })));
    decline(signer, pay(bolt12({ hash: bytesOf('2') })));
    decline(signer, { ...keysend, paymentHash: bytesOf('3') } as Request);
    const kinds = () => ok(signer, { op: 'pending-list' }).pending.map(({ id, kind }) => [id, kind]);
    const all = [
      [hex, 'invoice'],
      [toHex(bytesOf('2')), 'invoice'],
      [toHex(bytesOf('3')), 'keysend'],
    ];
    expect(kinds()).toEqual(all);
    signer.nowSeconds = CREATED_AT_SECONDS + 95;
    expect(kinds()).toEqual(all);
    signer.nowSeconds += 1;
    expect(kinds()).toEqual(all.slice(1));
    expect(codeOf(signer, approve())).toBe('expired');
    signer.nowSeconds += 10 * DAY_SECONDS;
    expect(kinds()).toEqual(all.slice(2));
    expect(ok(strict(), { op: 'pending-list' }).pending).toEqual([]);
  });
  it('is approved: the node asks again and may pay', () => {
    const signer = strict();
    decline(signer, pay(bolt11()));
    expect(eventsOf(signer, approve())).toEqual([
      {
        event: 'approval-given',
        facts: {
          id: hex,
          kind: 'invoice',
          amount_msat: 1_000_000n,
          payee: toHex(PAYEE),
          expires_at_seconds: signer.nowSeconds + 3 * DAY_SECONDS,
        },
      },
    ]);
    const { approval } = ok(signer, approve());
    expect(approval).toEqual({
      id: hex,
      kind: 'invoice',
      amountMsat: 1_000_000n,
      feeBudgetMsat: 50_000n,
      usedMsat: 0n,
      payee: PAYEE,
      outputs: [],
      source: 'operator',
      approvedAtSeconds: signer.nowSeconds,
      expiresAtSeconds: signer.nowSeconds + 3 * DAY_SECONDS,
    });
    expect(record(signer)!.approval!.keepUntilSeconds).toBe(CREATED_AT_SECONDS + 3600 + 7 * DAY_SECONDS);
    expect(ok(signer, { op: 'pending-list' }).pending).toEqual([]);
    expect(ok(signer, { op: 'approvals-list' }).approvals).toEqual([approval]);
    signer.ask(pay(bolt11()));
    // Exactly this one: another payee or amount waits again, and so does another hash.
    for (const other of [
      bolt11({ hrp: 'lnbcrt20u' }),
      bolt11({ secret: bytesOf('another') }),
      bolt11({ hash: bytesOf('2') }),
    ])
      decline(signer, pay(other));
    decline(signer, keysend);
  });
  it('is approved as a keysend: hash and amount, and no payee', () => {
    const signer = strict();
    decline(signer, keysend);
    expect(ok(signer, approve()).approval).toMatchObject({ kind: 'keysend', amountMsat: 7000n, payee: null });
    expect(record(signer)!.approval!.keepUntilSeconds).toBe(signer.nowSeconds + 365 * DAY_SECONDS);
    signer.ask(keysend);
    decline(signer, { ...keysend, amountMsat: msat(7001n) } as Request);
  });
  it('is approved for an amount where the invoice names none, and only there for another', () => {
    const signer = strict();
    const open = bolt11({ hrp: 'lnbcrt' });
    decline(signer, pay(open));
    expect(codeOf(signer, approve())).toBe('amount-needed');
    for (const amount of [0n, -1n, 2_100_000_000_000_000_001n])
      expect(codeOf(signer, approve(hex, amount))).toBe('amount-invalid');
    expect(ok(signer, approve(hex, 5000n)).approval).toMatchObject({ amountMsat: 5000n, payee: PAYEE });
    signer.ask(pay(open));
    expect(record(signer)!.approval!.amountMsat).toBe(5000n);

    const named = strict();
    decline(named, pay(bolt11()));
    expect(codeOf(named, approve(hex, 1_000_001n))).toBe('amount-fixed');
    expect(codeOf(named, approve(hex, 1_000_000n))).toBe('none');
  });
  it('is approved with another amount when no invoice came with it', () => {
    const signer = strict();
    const pending: PendingApproval = {
      id: hex,
      kind: 'payment',
      firstAskedAtSeconds: 1,
      lastAskedAtSeconds: 2,
      timesAsked: 3,
      amountMsat: msat(100_000_000n),
      payee: null,
      outputs: [],
      feeSat: null,
      description: '',
      expiresAtSeconds: null,
    };
    signer.state.apply([{ kind: pendingRecords, id: 'list', version: 1, value: [pending] }]);
    expect(eventsOf(signer, approve())).toMatchObject([{ facts: { amount_msat: 100_000_000n } }]);
    expect(ok(signer, approve(hex, 110_000_000n)).approval).toMatchObject({
      kind: 'unasked',
      amountMsat: 110_000_000n,
      feeBudgetMsat: 1_150_000n,
      payee: null,
    });
  });
  it('waits for the time the operator gives, between a second and a year', () => {
    const signer = strict();
    decline(signer, keysend);
    for (const seconds of [0, -1, 1.5, Number.NaN, 365 * DAY_SECONDS + 1])
      expect(codeOf(signer, approve(hex, null, seconds))).toBe('expiry-invalid');
    for (const seconds of [1, 365 * DAY_SECONDS]) {
      const outcome = run(signer, approve(hex, null, seconds));
      expect(outcome).toMatchObject({
        ok: true,
        result: { approval: { expiresAtSeconds: signer.nowSeconds + seconds } },
      });
    }
    ok(signer, approve(hex, null, 1));
    signer.nowSeconds += 1;
    expect(ok(signer, { op: 'approvals-list' }).approvals).toEqual([]);
    decline(signer, keysend);
  });
  it('is not approved in the place of what is in flight or settled', () => {
    for (const change of [{ usedMsat: 1n }, { settledMsat: 1n }]) {
      const signer = strict();
      decline(signer, keysend);
      put(signer, { ...EMPTY_PAYMENT, ...change });
      expect(codeOf(signer, approve())).toBe('in-use');
    }
  });
  it('keeps what else is on record of the hash', () => {
    const signer = strict();
    decline(signer, keysend);
    const invoice = { amountMsat: null, expiresAtSeconds: 5 };
    put(signer, { ...EMPTY_PAYMENT, invoice });
    ok(signer, approve());
    expect(record(signer)).toMatchObject({ invoice, approval: { source: 'operator' } });
  });
  it('counts to the payment velocity when it is approved, and is not stopped by it', () => {
    const signer = strict();
    signer.set = { limits: { paymentVelocity: { amountSat: 6n, per: 'day' } } };
    decline(signer, keysend);
    ok(signer, approve());
    expect(signer.state.keys).toContain('velocity/payment');
    signer.ask(keysend);
    signer.set = { ...signer.set, approvals: { auto: 'all', autoPaymentVelocity: null, expirySeconds: 5 } };
    const other = { ...keysend, amountMsat: msat(1n), paymentHash: bytesOf('2') } as Request;
    expect(signer.refused(other).tag).toBe('policy-commitment-payment-velocity');
  });
  it('is rejected: gone from the list, and no approval', () => {
    const signer = strict();
    decline(signer, keysend);
    decline(signer, pay(bolt11({ hash: bytesOf('2') })));
    expect(eventsOf(signer, { op: 'reject', id: hex })).toEqual([
      { event: 'approval-rejected', facts: { id: hex, kind: 'keysend' } },
    ]);
    expect(ok(signer, { op: 'reject', id: hex })).toEqual({ op: 'reject', id: hex });
    expect(ok(signer, { op: 'pending-list' }).pending.map(({ id }) => id)).toEqual([toHex(bytesOf('2'))]);
    for (const operation of [approve(), { op: 'reject', id: hex }] as const)
      expect(codeOf(signer, operation)).toBe('not-found');
    decline(signer, keysend);
    ok(signer, approve());
  });
});

describe('transactions', () => {
  const txid = toHex(bytesOf('a transaction'));
  const outputs = [{ script: Uint8Array.of(0x51), valueSat: sat(5000n) }];
  const waiting = (id: string, kind: 'onchain' | 'splice-out') => {
    const signer = strict();
    const pending: PendingApproval = {
      id,
      kind,
      firstAskedAtSeconds: 1,
      lastAskedAtSeconds: 1,
      timesAsked: 1,
      amountMsat: null,
      payee: null,
      outputs,
      feeSat: sat(10n),
      description: '',
      expiresAtSeconds: null,
    };
    signer.state.apply([{ kind: pendingRecords, id: 'list', version: 1, value: [pending] }]);
    return signer;
  };
  it.each([
    [txid, 'onchain'],
    [`out:${'ab'.repeat(8)}`, 'splice-out'],
  ] as const)('%s is approved with its outputs, listed and revoked', (id, kind) => {
    const signer = waiting(id, kind);
    expect(codeOf(signer, approve(id, 5n))).toBe('amount-fixed');
    expect(eventsOf(signer, approve(id, null, 60))).toMatchObject([{ facts: { id, kind, outputs: 1 } }]);
    const { approval } = ok(signer, approve(id, null, 60));
    expect(approval).toEqual({
      id,
      kind,
      amountMsat: null,
      feeBudgetMsat: null,
      usedMsat: 0n,
      payee: null,
      outputs,
      source: 'operator',
      approvedAtSeconds: signer.nowSeconds,
      expiresAtSeconds: signer.nowSeconds + 60,
    });
    expect(signer.state.read(onchainApprovalRecords, id)!.value).toMatchObject({
      outputs,
      source: 'operator',
    });
    expect(ok(signer, { op: 'approvals-list' }).approvals).toEqual([approval]);
    const later = strict();
    later.state = signer.state.copy();
    later.nowSeconds += 60;
    expect(ok(later, { op: 'approvals-list' }).approvals).toEqual([]);
    expect(ok(signer, { op: 'revoke', id })).toEqual({ op: 'revoke', id });
    expect(ok(signer, { op: 'approvals-list' }).approvals).toEqual([]);
    expect(codeOf(signer, { op: 'revoke', id })).toBe('not-found');
  });
});

describe('an approval', () => {
  const given = () => {
    const signer = strict();
    decline(signer, keysend);
    ok(signer, approve());
    return signer;
  };
  it('is revoked before it is used: nothing of it stays', () => {
    const signer = given();
    expect(eventsOf(signer, { op: 'revoke', id: hex })).toEqual([
      { event: 'approval-revoked', facts: { id: hex } },
    ]);
    ok(signer, { op: 'revoke', id: hex });
    expect(record(signer)).toBeNull();
    // Nor may anything leave as dust for it.
    const flow = signer.state.read(velocityRecords, 'dust-approved')!.value!.amountsMsat;
    expect(flow.reduce((sum, one) => sum + one, 0n)).toBe(0n);
    expect(codeOf(signer, { op: 'revoke', id: hex })).toBe('not-found');
    decline(signer, keysend);
  });
  it('is revoked in use: no more than what is used stays approved', () => {
    const signer = given();
    put(signer, { ...record(signer)!, usedMsat: 3000n });
    ok(signer, { op: 'revoke', id: hex });
    expect(record(signer)).toMatchObject({
      usedMsat: 3000n,
      approval: { kind: 'unasked', amountMsat: 3000n, feeBudgetMsat: 0n, source: 'operator' },
    });
  });
  it('is listed while it may be used or is in flight, automatic ones too', () => {
    const signer = given();
    signer.set = { approvals: { auto: 'all', autoPaymentVelocity: null, expirySeconds: 60 } };
    signer.ask(pay(bolt11({ hash: bytesOf('2') })));
    const listed = () => ok(signer, { op: 'approvals-list' }).approvals.map(({ id, source }) => [id, source]);
    expect(listed()).toEqual([
      [hex, 'operator'],
      [toHex(bytesOf('2')), 'all'],
    ]);
    signer.nowSeconds += 60;
    expect(listed()).toEqual([[hex, 'operator']]);
    const part = partWith({ outMsat: 7000n });
    put(signer, { ...record(signer)!, usedMsat: 7000n, parts: [part] });
    signer.nowSeconds += 10 * DAY_SECONDS;
    expect(ok(signer, { op: 'approvals-list' }).approvals).toMatchObject([{ id: hex, usedMsat: 7000n }]);
    put(signer, { ...record(signer)!, settledMsat: 7000n, parts: [] });
    expect(listed()).toEqual([]);
  });
});

const walletKey = secp.publicKey(bytesOf('a wallet'));
const script = p2wpkhOfKey(walletKey);
const address = scriptToAddress(script, 'regtest')!;
const extended = (version: string, key: Uint8Array): string =>
  base58check(sha256).encode(concat(fromHex(version), new Uint8Array(9), bytesOf('chain code'), key));
const tpub = extended('043587cf', walletKey);

describe('the allowlist', () => {
  const add = (text: string, kind: AllowlistEntry['kind'] | null = null) =>
    ({ op: 'allowlist-add', kind, text }) as const;
  const listed = (signer: TestSigner) =>
    ok(signer, { op: 'allowlist-list' }).entries.map(({ kind, text }) => [kind, text]);

  it.each([
    ['address', address],
    ['script', toHex(script)],
    ['xpub', tpub],
    ['payee', toHex(PAYEE)],
  ] as const)('takes a %s, by its form or by name, once, and lets it go', (kind, text) => {
    const signer = strict();
    expect(codeOf(signer, add(text, kind))).toBe('none');
    expect(eventsOf(signer, add(text))).toEqual([{ event: 'allowlist-added', facts: { kind, text } }]);
    const entry = { kind, text, addedAtSeconds: signer.nowSeconds };
    expect(ok(signer, add(text)).entry).toEqual(entry);
    expect(codeOf(signer, add(text))).toBe('entry-known');
    expect(listed(signer)).toEqual([[kind, text]]);
    expect(eventsOf(signer, { op: 'allowlist-remove', text })).toEqual([
      { event: 'allowlist-removed', facts: { kind, text } },
    ]);
    expect(ok(signer, { op: 'allowlist-remove', text }).entry).toEqual(entry);
    expect(listed(signer)).toEqual([]);
    expect(codeOf(signer, { op: 'allowlist-remove', text })).toBe('not-found');
  });
  it('knows an address in upper case for the same', () => {
    const signer = strict();
    ok(signer, add(address.toUpperCase()));
    expect(listed(signer)).toEqual([['address', address]]);
    expect(codeOf(signer, add(address))).toBe('entry-known');
    ok(signer, { op: 'allowlist-remove', text: address.toUpperCase() });
    expect(listed(signer)).toEqual([]);
  });
  it.each<[string, string, AllowlistEntry['kind'] | null]>([
    ['nothing', '', null],
    ['an address of mainnet', scriptToAddress(script, 'bitcoin')!, null],
    ['an address of testnet', scriptToAddress(script, 'testnet')!, null],
    [
      'an address with a wrong character',
      `${address.slice(0, -1)}${address.endsWith('q') ? 'p' : 'q'}`,
      null,
    ],
    ['an xpub of mainnet', extended('0488b21e', walletKey), null],
    ['an extended private key', extended('04358394', concat(new Uint8Array(1), bytesOf('k'))), null],
    ['a node id off the curve', `02${'ff'.repeat(32)}`, null],
    ['a node id in upper case', toHex(PAYEE).toUpperCase(), 'payee'],
    ['a node id as a script', toHex(PAYEE), 'script'],
    ['a script as a payee', toHex(script), 'payee'],
    ['an address as an xpub', address, 'xpub'],
    ['a script that pays nobody', '6a0401020304', null],
    ['a script in half a byte', `${toHex(script)}0`, null],
  ])('refuses %s', (_, text, kind) => {
    const signer = strict();
    const outcome = run(signer, add(text, kind));
    expect(outcome).toMatchObject({
      ok: false,
      error: { code: 'entry-invalid', facts: { network: 'regtest' } },
    });
  });
  it('shows the configured entries first, which only the file can take back', () => {
    const signer = strict();
    signer.set = { allowlist: [{ kind: 'payee', text: toHex(PAYEE), addedAtSeconds: 0 }] };
    ok(signer, add(address));
    expect(listed(signer)).toEqual([
      ['payee', toHex(PAYEE)],
      ['address', address],
    ]);
    expect(codeOf(signer, add(toHex(PAYEE)))).toBe('entry-known');
    expect(codeOf(signer, { op: 'allowlist-remove', text: toHex(PAYEE) })).toBe('not-possible');
  });
  it('lets a payment to its payees pass, until they are off again', () => {
    const signer = strict();
    decline(signer, pay(bolt11()));
    ok(signer, add(toHex(PAYEE)));
    signer.ask(pay(bolt11()));
    ok(signer, { op: 'allowlist-remove', text: toHex(PAYEE) });
    decline(signer, pay(bolt11({ hash: bytesOf('2') })));
  });
  it('holds 10,000 entries', () => {
    const signer = strict();
    const entries = Array.from(
      { length: ALLOWLIST_MAX - 1 },
      (_, i): AllowlistEntry => ({ kind: 'payee', text: `${i}`, addedAtSeconds: 1 }),
    );
    signer.state.apply([{ kind: allowlistRecords, id: 'list', version: 1, value: entries }]);
    ok(signer, add(address));
    expect(codeOf(signer, add(tpub))).toBe('list-full');
  });
});

describe('the kill switch', () => {
  const idOf = ({ model }: OpenChannel) => `${toHex(model.ref.peerId)}/${model.ref.dbid}`;
  it('policy-channel-frozen: trips on everything but sweeps while the operator holds the channel', () => {
    const channel = new OpenChannel().open();
    channel.update(channel.balances);
    const { signer, model } = channel;
    const id = idOf(channel);
    expect(eventsOf(signer, { op: 'channel-freeze', channel: id })).toEqual([
      { event: 'channel-frozen', facts: { channel: id } },
    ]);
    expect(ok(signer, { op: 'channel-freeze', channel: id })).toEqual({ op: 'channel-freeze', channel: id });
    // Again, it changes nothing.
    ok(signer, { op: 'channel-freeze', channel: id });
    expect(eventsOf(signer, { op: 'channel-freeze', channel: id })).toEqual([]);
    for (const request of [
      model.signRemote(2, channel.balances),
      model.validate(2, channel.balances),
      model.validateRevocation(1),
      model.revoke(1),
      model.signCommitment(1),
      model.mutualClose(model.closeTx(channel.balances)),
    ]) {
      expect(channel.refused(request), request.name).toMatchObject({
        tag: 'policy-channel-frozen',
        facts: { channel: id },
      });
    }
    // Nor does the number begin a new life.
    const again = { ...model.setup(), isOutbound: false, fundingTxid: bytesOf('life 2') };
    expect(channel.tagOf(again)).toBe('policy-channel-original-channel-id-reuse');
    ok(signer, { op: 'channel-unfreeze', channel: id });
    channel.update(channel.balances);
  });
  it('holds a channel that never got beyond its setup, so its number begins no new life', () => {
    const channel = new OpenChannel();
    channel.ask(channel.model.setup());
    ok(channel.signer, { op: 'channel-freeze', channel: idOf(channel) });
    const again = { ...channel.model.setup(), isOutbound: false, fundingTxid: bytesOf('life 2') };
    expect(channel.tagOf(again)).toBe('policy-channel-original-channel-id-reuse');
    ok(channel.signer, { op: 'channel-unfreeze', channel: idOf(channel) });
    channel.ask(again);
  });
  it('policy-channel-frozen: passes other channels', () => {
    const signer = new TestSigner();
    const [held, other] = [new OpenChannel({}, signer).open(), new OpenChannel({ dbid: 2n }, signer).open()];
    ok(signer, { op: 'channel-freeze', channel: idOf(held) });
    other.update(other.balances);
  });
  it('below version 6, gives no old secret with a point', () => {
    const channel = new OpenChannel().open();
    channel.update(channel.balances);
    channel.signer.protocolVersion = 5;
    channel.validate(channel.balances);
    ok(channel.signer, { op: 'channel-freeze', channel: idOf(channel) });
    const point = (n: bigint): Request => ({ name: 'hsmd_get_per_commitment_point', n });
    expect(channel.tagOf(point(3n))).toBe('policy-channel-frozen');
  });
  it('does not undo a proof of rollback, and knows no other names', () => {
    const channel = new OpenChannel().open();
    const { signer } = channel;
    const id = idOf(channel);
    const stored = signer.state.read(channelRecords, id)!;
    const value = { ...stored.value!, frozen: true };
    signer.state.apply([{ kind: channelRecords, id, version: stored.version + 1, value }]);
    expect(codeOf(signer, { op: 'channel-unfreeze', channel: id })).toBe('not-possible');
    for (const name of ['', 'x', `${id}1`])
      for (const op of ['channel-freeze', 'channel-unfreeze'] as const)
        expect(codeOf(signer, { op, channel: name })).toBe('not-found');
  });
});
