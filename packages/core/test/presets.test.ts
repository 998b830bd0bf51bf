/**
 * What each preset lets through in this version: only `permissive` signs what laws 2 to 5 will judge; everything that
 * no such law is about goes on under every preset.
 */
import { msat } from '@countersign/bitcoin';
import {
  allRules,
  DECIDED_REQUESTS,
  LAWS,
  type Law,
  lawsMissing,
  type Preset,
  severityOf,
} from '@countersign/core';
import type { Request } from '@countersign/wire';
import { describe, expect, it } from 'vitest';
import { requireLaws } from '../src/policy/in-force.ts';
import { htlc } from './channel-model.ts';
import { adding, OpenChannel } from './open-channel.ts';
import { bytesOf, regtest, secp } from './test-signer.ts';
import { anchorspend, htlcTxMingle, walletUtxo, withdrawal } from './wallet-model.ts';

const STRICT: readonly Preset[] = ['wallet', 'merchant', 'hub'];

/** In the middle of an update, set up under `permissive`; every request that may come next, by what judges it. */
function requests() {
  const channel = new OpenChannel({ format: 'anchors_zero_fee_htlc' }).open();
  const { model, signer } = channel;
  const balances = adding(channel.balances, htlc('holder', 20_000, 'a'), htlc('counterparty', 20_000, 'b'));
  channel.update(balances);
  channel.validate(balances);
  channel.signRemote(balances);
  const { peerId, dbid } = model.ref;
  const onBehalf = { input: 0, peerid: peerId, channelDbid: dbid };
  const utxos = [walletUtxo(signer.keys, 3)];
  const { txid: fundingTxid, vout: fundingTxout } = model.funding.outpoint;
  const [local] = model.signLocalHtlcs(1, balances);
  const [remote] = model.signRemoteHtlcs(2, balances);
  const lawful: readonly Request[] = [
    model.signRemote(2, balances),
    remote!,
    model.validate(2, balances),
    model.revoke(1),
    model.signCommitment(1, balances),
    model.mutualClose(model.closeTx(channel.balances)),
    model.signSplice(model.spliceOf('splice')),
    local!,
    model.penalty(0, model.initial),
    { ...model.penalty(0, model.initial), ...onBehalf, name: 'hsmd_sign_any_penalty_to_us' },
    model.sweepDelayed(1, balances),
    { ...model.sweepDelayed(1, balances), ...onBehalf, name: 'hsmd_sign_any_delayed_payment_to_us' },
    model.claimRemoteHtlc(1, balances),
    { ...model.claimRemoteHtlc(1, balances), ...onBehalf, name: 'hsmd_sign_any_remote_htlc_to_us' },
    withdrawal(utxos),
    anchorspend(model.ref, utxos),
    htlcTxMingle(model.ref, utxos),
    { name: 'hsmd_check_outpoint', fundingTxid, fundingTxout },
    model.lock(model.funding),
    {
      name: 'hsmd_sign_option_will_fund_offer',
      fundingPubkey: model.funding.peerKey,
      blockheight: 1,
      channelFeeBaseMaxMsat: 1,
      channelFeeProportionalBasisMax: 1,
    },
  ];
  const free: readonly Request[] = [
    { name: 'hsmd_ecdh_req', point: secp.publicKey(bytesOf('e')) },
    { name: 'hsmd_derive_secret', info: bytesOf('info') },
    { name: 'hsmd_check_pubkey', index: 1, pubkey: signer.ring.bip32PublicKey(1) },
    { name: 'hsmd_sign_message', msg: bytesOf('msg') },
    { name: 'hsmd_bip137_sign_message', msg: bytesOf('msg'), keyidx: 1 },
    {
      name: 'hsmd_sign_invoice',
      hrp: new TextEncoder().encode('lnbcrt'),
      u5bytes: new Uint8Array(110),
    },
    {
      name: 'hsmd_sign_bolt12',
      messagename: 'invoice',
      fieldname: 'signature',
      merkleroot: bytesOf('root'),
      publictweak: new Uint8Array(0),
    },
    {
      name: 'hsmd_sign_bolt12_2',
      messagename: 'invoice',
      fieldname: 'signature',
      merkleroot: bytesOf('root'),
      info: new Uint8Array(0),
      publictweak: new Uint8Array(0),
    },
    { name: 'hsmd_node_announcement_sig_req', announcement: Uint8Array.of(1, 1, ...new Uint8Array(100)) },
    { name: 'hsmd_cupdate_sig_req', cu: Uint8Array.of(1, 2, ...new Uint8Array(136)) },
    { name: 'hsmd_new_channel', id: peerId, dbid },
    { name: 'hsmd_forget_channel', id: peerId, dbid },
    { name: 'hsmd_get_channel_basepoints', peerid: peerId, dbid },
    model.setup(),
    model.getPoint(2),
    { name: 'hsmd_check_future_secret', n: 7n, commitmentSecret: bytesOf('guess') },
    model.validateRevocation(1),
    { name: 'hsmd_get_output_scriptpubkey', channelId: dbid, peerId, commitmentPoint: undefined },
    { name: 'hsmd_preapprove_invoice', invstring: 'lnbcrt1' },
    { name: 'hsmd_preapprove_invoice_check', invstring: 'lnbcrt1', checkOnly: true },
    {
      name: 'hsmd_preapprove_keysend',
      destination: peerId,
      paymentHash: bytesOf('h'),
      amountMsat: msat(1000n),
    },
    {
      name: 'hsmd_preapprove_keysend_check',
      destination: peerId,
      paymentHash: bytesOf('h'),
      amountMsat: msat(1000n),
      checkOnly: false,
    },
    // Secrets that have left already say nothing new.
    model.revoke(0),
  ];
  return { channel, lawful, free };
}

describe('policy-law-not-in-force', () => {
  const { channel, lawful, free } = requests();
  const tag = 'policy-law-not-in-force';
  const { signer } = channel;

  it.each(STRICT)('policy-law-not-in-force: trips under %s on all that laws 2 to 5 judge', (preset) => {
    signer.preset = preset;
    for (const request of lawful)
      expect(channel.refused(request), request.name).toMatchObject({
        tag,
        law: 'setup',
        severity: 'error',
        temporary: false,
        facts: { preset, laws_missing: expect.stringMatching(/^[2-5](,[2-5])*$/) },
      });
    // Below version 6 a point carries a secret.
    signer.protocolVersion = 5;
    expect(channel.tagOf(channel.model.getPoint(3))).toBe(tag);
    signer.protocolVersion = 6;
  });

  it.each([...STRICT, 'permissive'] as const)(
    'policy-law-not-in-force: passes under %s what no such law is about',
    (preset) => {
      signer.preset = preset;
      for (const request of free) {
        const decision = signer.decide(request, signer.clientFor(request, channel.model.ref));
        expect(decision.kind, request.name).toBe('approved');
      }
    },
  );

  it('policy-law-not-in-force: passes everything under permissive', () => {
    signer.preset = 'permissive';
    for (const request of lawful) {
      const decision = signer.decide(request, signer.clientFor(request, channel.model.ref));
      expect(decision.kind, request.name).toBe('approved');
    }
  });

  it('is asked about every request with a handler', () => {
    const covered = new Set([...lawful, ...free].map(({ name }) => name));
    const others = DECIDED_REQUESTS.filter((name) => !covered.has(name));
    // Announcements have a test of their own; BIP 86 keys exist for mnemonics only.
    expect([...others].sort()).toEqual([
      'hsmd_cannouncement_sig_req',
      'hsmd_check_bip86_pubkey',
      'hsmd_sign_any_cannouncement_req',
    ]);
  });

  it('lets through what only law 1 judges', () => {
    for (const preset of STRICT) requireLaws({ network: regtest, preset }, 'rev', 1);
  });

  it('says which laws are missing', () => {
    expect(lawsMissing([1, 2, 3, 4, 5])).toEqual([2, 3, 4, 5]);
    expect(lawsMissing([1])).toEqual([]);
    expect(lawsMissing()).toEqual(LAWS.filter((law) => !law.isInForce).map((law) => law.number));
  });

  it('has five laws, and no rule of another', () => {
    expect(LAWS.map((law) => law.number)).toEqual([1, 2, 3, 4, 5]);
    const known: readonly Law[] = [1, 2, 3, 4, 5, 'form', 'keys', 'setup'];
    for (const { law } of allRules()) expect(known).toContain(law);
  });
});

describe('severities', () => {
  it('warn only for soft rules under permissive', () => {
    for (const rule of allRules()) {
      for (const preset of STRICT) expect(severityOf({ network: regtest, preset }, rule)).toBe('error');
      const permissive = severityOf({ network: regtest, preset: 'permissive' }, rule);
      expect(permissive).toBe(rule.severity === 'soft' ? 'warn' : 'error');
    }
  });
});

describe('preapprovals', () => {
  const { channel, free } = requests();
  const asks = free.filter(({ name }) => name.startsWith('hsmd_preapprove'));
  const { signer } = channel;

  it('are given under permissive only, and leave no record', () => {
    expect(asks).toHaveLength(4);
    const before = signer.state.snapshot();
    for (const preset of [...STRICT, 'permissive'] as const) {
      signer.preset = preset;
      for (const request of asks)
        expect(channel.ask(request)).toEqual({
          name: request.name.replace('_check', '').concat('_reply'),
          approved: preset === 'permissive',
        });
    }
    expect(signer.state.snapshot()).toBe(before);
  });

  it("are declined when a developer's preinit says so", () => {
    signer.preset = 'permissive';
    signer.failPreapprovals = true;
    for (const request of asks) expect(channel.ask(request)).toMatchObject({ approved: false });
  });
});
