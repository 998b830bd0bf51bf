/**
 * Requests that use the node's identity: what is refused, and that no signature made in one domain can stand in
 * another (attack A62). That the answers are CLN's is tested against recordings elsewhere.
 */
import {
  concat,
  fromHex,
  fundingScript,
  fundingSighash,
  hash256,
  p2wpkhOfKey,
  sat,
  sha256,
  toHex,
} from '@countersign/bitcoin';
import { KeyRing, networkByName, paymentRecords, Secret } from '@countersign/core';
import type { Reply, Request } from '@countersign/wire';
import { describe, expect, it } from 'vitest';
import { bolt11Fields, CREATED_AT_SECONDS, encodeFields, words as wordsOf } from './invoices.ts';
import { canonical } from './memory-state.ts';
import { OpenChannel } from './open-channel.ts';
import { bytesOf, ringOf, secp, TestSigner } from './test-signer.ts';

const signer = new TestSigner();
const mnemonic = new TestSigner(ringOf('a mnemonic', 'mnemonic'));
const utf8 = new TextEncoder();
const generic = { tag: 'policy-generic-error', code: 'malformed' };

const notOnCurve = Uint8Array.from([2, ...new Uint8Array(31), 5]);

describe('ecdh_req', () => {
  it('refuses a point that is not on the curve', () => {
    expect(signer.refused({ name: 'hsmd_ecdh_req', point: notOnCurve })).toMatchObject(generic);
    const beyond = Uint8Array.from([3, ...new Uint8Array(32).fill(0xff)]);
    expect(signer.refused({ name: 'hsmd_ecdh_req', point: beyond })).toMatchObject(generic);
  });
  it('answers any point on it', () => {
    const secret = bytesOf('ephemeral');
    const reply = signer.ask({ name: 'hsmd_ecdh_req', point: secp.publicKey(secret) });
    expect(reply).toEqual({ name: 'hsmd_ecdh_resp', ss: secp.ecdh(signer.ring.nodeId, secret) });
  });
});

describe('wallet key checks', () => {
  const check = (index: number, pubkey: Uint8Array): Request => ({
    name: 'hsmd_check_pubkey',
    index,
    pubkey,
  });
  const check86 = (index: number, pubkey: Uint8Array): Request => ({
    name: 'hsmd_check_bip86_pubkey',
    index,
    pubkey,
  });
  const other = secp.publicKey(bytesOf('other'));

  it('refuse another key: a node that derives other keys must not go on', () => {
    const refusal = signer.refused(check(5, other));
    expect(refusal).toMatchObject({ tag: 'policy-key-use', facts: { index: 5, given: toHex(other) } });
    expect(mnemonic.refused(check86(5, other))).toMatchObject({ tag: 'policy-key-use' });
    // The right key under another index.
    expect(signer.refused(check(6, signer.ring.bip32PublicKey(5)))).toMatchObject({ tag: 'policy-key-use' });
  });
  it('answer the same key', () => {
    const reply = { ok: true };
    for (const index of [0, 5, 0x7fff_ffff]) {
      expect(signer.ask(check(index, signer.ring.bip32PublicKey(index)))).toMatchObject(reply);
      expect(mnemonic.ask(check86(index, mnemonic.ring.bip86PublicKey(index)))).toMatchObject(reply);
      expect(mnemonic.ask(check(index, mnemonic.ring.bip32PublicKey(index)))).toMatchObject(reply);
    }
  });
  it('answer the key of the wallet to a node that knows no other', () => {
    const seed = Secret.own(bytesOf('the seed of an LDK node'), 32);
    const bip32PublicVersion = networkByName('regtest')!.bip32Public;
    const ldk = new TestSigner(new KeyRing({ secp256k1: secp, seed, style: 'ldk', bip32PublicVersion }));
    for (const one of [mnemonic, ldk]) {
      for (const index of [0, 1, 2, 9])
        expect(one.ask(check(index, one.ring.walletPublicKey(index)))).toMatchObject({ ok: true });
      expect(one.refused(check(4, one.ring.walletPublicKey(5)))).toMatchObject({ tag: 'policy-key-use' });
    }
  });
  it('refuse hardened indexes, and BIP 86 where the secret has no such wallet', () => {
    for (const index of [0x8000_0000, 0xffff_ffff]) {
      expect(signer.refused(check(index, other))).toMatchObject(generic);
      expect(mnemonic.refused(check86(index, other))).toMatchObject(generic);
    }
    expect(signer.refused(check86(0, other))).toMatchObject(generic);
  });
});

describe('bip137_sign_message', () => {
  it('refuses a hardened index and signs with the wallet key', () => {
    const msg = utf8.encode('hello');
    expect(signer.refused({ name: 'hsmd_bip137_sign_message', msg, keyidx: 0x8000_0000 })).toMatchObject(
      generic,
    );
    const reply = signer.ask({ name: 'hsmd_bip137_sign_message', msg, keyidx: 3 });
    if (reply.name !== 'hsmd_bip137_sign_message_reply') throw new Error(reply.name);
    const digest = hash256(utf8.encode('\x18Bitcoin Signed Message:\n'), Uint8Array.of(5), msg);
    expect(secp.verifyEcdsa(digest, reply.sig.signature, signer.ring.walletPublicKey(3))).toBe(true);
  });
});

describe('sign_invoice', () => {
  const ask = (hrp: string, words: readonly number[]): Request => ({
    name: 'hsmd_sign_invoice',
    hrp: utf8.encode(hrp),
    u5bytes: Uint8Array.from(words),
  });
  const words = [...encodeFields(CREATED_AT_SECONDS, bolt11Fields({}))];
  const invoiceOf = (one: TestSigner) =>
    one.state.read(paymentRecords, toHex(bytesOf('payment hash')))?.value?.invoice;
  it('refuses words beyond 5 bits and NUL in the prefix', () => {
    expect(signer.refused(ask('lnbcrt1', [...words, 32]))).toMatchObject(generic);
    expect(signer.refused(ask('lnbcrt\0', words))).toMatchObject(generic);
  });
  it('refuses what is no invoice of this network: another prefix, or fields that are none', () => {
    for (const hrp of [
      '',
      'ln',
      'lnbc1u',
      'lntb1u',
      'lnbcrtx',
      'lnbcrt1uu',
      'LNBCRT1u',
      'xlnbcrt',
      'lnbcrt1 ',
      'lnbcrt-1',
    ])
      expect(signer.refused(ask(hrp, words)), hrp).toMatchObject(generic);
    expect(signer.refused(ask('lnbcrt1u', words.slice(0, -1)))).toMatchObject(generic);
    expect(signer.refused(ask('lnbcrt1u', words.slice(0, 7)))).toMatchObject(generic);
    expect(signer.refused(ask('lnbcrt', new Array<number>(110).fill(0)))).toMatchObject(generic);
  });
  it('refuses an invoice that names another node as its payee, not one that names ours', () => {
    const naming = (payee: Uint8Array) => [
      ...encodeFields(5, bolt11Fields({ more: [['n', wordsOf(payee)]] })),
    ];
    expect(signer.refused(ask('lnbcrt', naming(secp.publicKey(bytesOf('other')))))).toMatchObject(generic);
    new TestSigner().ask(ask('lnbcrt', naming(signer.ring.nodeId)));
  });
  it.each([
    ['bitcoin', 'lnbc'],
    ['testnet', 'lntb'],
    ['testnet4', 'lntb'],
    ['signet', 'lntbs'],
  ])('knows the prefix of %s', (name, prefix) => {
    const other = new TestSigner();
    other.network = networkByName(name)!;
    other.ask(ask(`${prefix}20m`, words));
    expect(other.refused(ask('lnbcrt20m', words))).toMatchObject(generic);
  });
  it('signs the invoice, and knows its hash from then on', () => {
    const own = new TestSigner();
    expect(own.ask(ask('lnbcrt1u', words)).name).toBe('hsmd_sign_invoice_reply');
    const invoice = { amountMsat: 100_000n, expiresAtSeconds: CREATED_AT_SECONDS + 3600 };
    expect(invoiceOf(own)).toEqual(invoice);
    // Again, it changes nothing.
    const before = own.state.snapshot();
    own.ask(ask('lnbcrt1u', words));
    expect(own.state.snapshot()).toBe(before);
  });
  it('keeps the newest amount and the latest expiry of a hash, and everything else of its payment', () => {
    const own = new TestSigner();
    const hash = toHex(bytesOf('payment hash'));
    own.ask(ask('lnbcrt1u', words));
    const stored = own.state.read(paymentRecords, hash)!;
    const value = { ...stored.value!, usedMsat: 5n };
    own.state.apply([{ kind: paymentRecords, id: hash, version: stored.version + 1, value }]);
    own.ask(ask('lnbcrt', [...encodeFields(CREATED_AT_SECONDS - 1, bolt11Fields({}))]));
    expect(own.state.read(paymentRecords, hash)!.value).toMatchObject({
      usedMsat: 5n,
      invoice: { amountMsat: null, expiresAtSeconds: CREATED_AT_SECONDS + 3600 },
    });
    own.ask(ask('lnbcrt', [...encodeFields(CREATED_AT_SECONDS + 1, bolt11Fields({}))]));
    expect(invoiceOf(own)).toEqual({ amountMsat: null, expiresAtSeconds: CREATED_AT_SECONDS + 3601 });
  });
});

describe('get_output_scriptpubkey', () => {
  const channel = new OpenChannel();
  const { ref } = channel.model;
  const ask = (commitmentPoint: Uint8Array | undefined): Request => ({
    name: 'hsmd_get_output_scriptpubkey',
    channelId: ref.dbid,
    peerId: ref.peerId,
    commitmentPoint,
  });
  it('refuses a point off the curve', () => {
    expect(channel.refused(ask(notOnCurve))).toMatchObject(generic);
  });
  it('answers with the P2WPKH of the payment key, tweaked by the point if there is one', () => {
    const reply = channel.ask(ask(undefined));
    expect(reply).toMatchObject({ script: p2wpkhOfKey(channel.model.holder.payment) });
    const point = secp.publicKey(bytesOf('a point'));
    expect(channel.ask(ask(point))).toMatchObject({
      script: p2wpkhOfKey(signer.ring.toRemotePublicKey(ref, point)),
    });
  });
});

describe('sign_option_will_fund_offer', () => {
  it('signs the terms with the node key, under their own tag', () => {
    const channel = new OpenChannel();
    const request: Request = {
      name: 'hsmd_sign_option_will_fund_offer',
      fundingPubkey: channel.model.holderFundingKey,
      blockheight: 800_000,
      channelFeeBaseMaxMsat: 5000,
      channelFeeProportionalBasisMax: 100,
    };
    const reply = channel.ask(request);
    if (reply.name !== 'hsmd_sign_option_will_fund_offer_reply') throw new Error(reply.name);
    const terms = concat(
      utf8.encode('option_will_fund'),
      channel.model.holderFundingKey,
      Uint8Array.of(0, 12, 0x35, 0, 0, 0, 0x13, 0x88, 0, 100),
    );
    expect(secp.verifyEcdsa(sha256(terms), reply.rsig, signer.ring.nodeId)).toBe(true);
  });
});

describe('BOLT 12', () => {
  const merkleroot = bytesOf('a root');
  const base = { messagename: 'invoice_request', fieldname: 'signature', merkleroot } as const;
  it('signs with or without tweaks, each with a key of its own', () => {
    const none = new Uint8Array(0);
    const replies = [
      signer.ask({ name: 'hsmd_sign_bolt12', ...base, publictweak: bytesOf('tweak') }),
      signer.ask({ name: 'hsmd_sign_bolt12', ...base, publictweak: none }),
      signer.ask({ name: 'hsmd_sign_bolt12_2', ...base, info: none, publictweak: bytesOf('tweak') }),
      signer.ask({
        name: 'hsmd_sign_bolt12_2',
        ...base,
        info: bytesOf('info'),
        publictweak: bytesOf('tweak'),
      }),
    ];
    const sigs = replies.map((reply) => ('sig' in reply ? canonical(reply.sig) : reply.name));
    expect(new Set(sigs).size).toBe(4);
  });
});

describe('derive_secret', () => {
  const secretFor = (info: Uint8Array): string => {
    const reply = signer.ask({ name: 'hsmd_derive_secret', info });
    if (reply.name !== 'hsmd_derive_secret_reply') throw new Error(reply.name);
    return toHex(reply.secret);
  };
  it('never gives a key that has another use, whatever the info', () => {
    const { ring } = signer;
    const infos = [
      '',
      'nodeid',
      'peer seed',
      'per-peer seed',
      'c-lightning',
      'bip32 seed',
      'derived secrets',
      'bolt12',
    ];
    const publicKeys = infos.map((info) => toHex(secp.publicKey(fromHex(secretFor(utf8.encode(info))))));
    const { model } = new OpenChannel();
    const used = [
      ring.nodeId,
      ring.identity.bolt12,
      ring.walletPublicKey(0),
      model.holderFundingKey,
      ...Object.values(model.holder),
      model.point('holder', 0),
    ].map(toHex);
    for (const key of publicKeys) expect(used).not.toContain(key);
    expect(new Set(publicKeys).size).toBe(infos.length);
  });
});

describe('domain separation (A62)', () => {
  const node = signer.ring.nodeId;
  const channel = new OpenChannel().open();
  const { model } = channel;
  const commitment = model.build('holder', 0, model.initial).tx;
  const script = fundingScript(model.holderFundingKey, model.funding.peerKey);
  const commitmentHash = fundingSighash(commitment, script, sat(model.funding.valueSat));

  /** The signature in a reply, 64 bytes. */
  const signatureIn = (reply: Reply): Uint8Array => {
    if (!('sig' in reply)) throw new Error(`no signature in ${reply.name}`);
    return reply.sig instanceof Uint8Array ? reply.sig : reply.sig.signature;
  };

  it('no signature over free text or bytes is one of the funding key, or on a commitment', () => {
    const msg = commitmentHash;
    const requests: Request[] = [
      { name: 'hsmd_sign_message', msg },
      { name: 'hsmd_bip137_sign_message', msg, keyidx: 0 },
      {
        name: 'hsmd_sign_bolt12',
        messagename: '',
        fieldname: '',
        merkleroot: msg,
        publictweak: new Uint8Array(0),
      },
      {
        name: 'hsmd_sign_bolt12_2',
        messagename: '',
        fieldname: '',
        merkleroot: msg,
        info: msg,
        publictweak: msg,
      },
    ];
    for (const request of requests) {
      const signature = signatureIn(signer.ask(request));
      expect(signature).toHaveLength(64);
      for (const key of [model.holderFundingKey, node, signer.ring.walletPublicKey(0)]) {
        expect(secp.verifyEcdsa(commitmentHash, signature, key)).toBe(false);
        expect(secp.verifySchnorr(commitmentHash, signature, key.subarray(1))).toBe(false);
      }
    }
  });

  it('a signed message is no gossip, no invoice and no lease', () => {
    const body = bytesOf('signed part of a gossip message');
    const reply = signer.ask({ name: 'hsmd_sign_message', msg: body });
    for (const digest of [hash256(body), sha256(body), body])
      expect(secp.verifyEcdsa(digest, signatureIn(reply), node)).toBe(false);
  });
});
