/**
 * The heartbeat: what goes in comes out, nothing else verifies, it stays within its bounds whatever there is to tell, and
 * a signature over it is one over nothing else (attack A62).
 */
import { isDeepStrictEqual } from 'node:util';
import { equalBytes, fromHex, sha256, toHex } from '@countersign/bitcoin';
import {
  type Alarm,
  bip137Digest,
  bolt12Digest,
  canonicalJson,
  compareSequences,
  type Deadline,
  ENVELOPE_BYTES,
  enclose,
  gossipDigest,
  HEARTBEAT_ALARMS_MAX,
  HEARTBEAT_BYTES_MAX,
  HEARTBEAT_DEADLINES_MAX,
  type Heartbeat,
  heartbeatDigest,
  heartbeatOf,
  leaseDigest,
  lightningMessageDigest,
  readHeartbeat,
  signHeartbeat,
  verifyHeartbeat,
} from '@countersign/core';
import type { Reply, Request } from '@countersign/wire';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  alarm,
  arbitraryAlarm,
  arbitraryInput,
  bare,
  deadline,
  PEER_CHANNEL,
  ring,
  signed,
  whole,
} from './heartbeat-model.ts';
import { bytesOf, ringOf, secp, TestSigner } from './test-signer.ts';

const verify = (text: string, nodeId = ring.nodeId) => verifyHeartbeat(secp, text, nodeId);
const WHOLE = signed(heartbeatOf(whole));

/** The payload as anyone would read it. */
const parsed = (payload: string): Heartbeat => JSON.parse(payload);

describe('a heartbeat', () => {
  it('is told as it was made', () => {
    const verdict = verify(WHOLE);
    expect(verdict).toEqual({
      ok: true,
      heartbeat: {
        version: 1,
        chainHash: '0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206',
        nodeId: toHex(ring.nodeId),
        sequence: { start: 12, count: 3 },
        timeSeconds: 1_800_000_000,
        startedAtSeconds: 1_799_990_000,
        chain: {
          tipHeightBlocks: 100,
          tipHash: toHex(bytesOf('tip').reverse()),
          provenHeightBlocks: 98,
          medianTimeSeconds: 1_799_996_000,
          lagBlocks: 2,
        },
        deadlines: [deadline],
        alarms: [{ ...alarm, facts: { ...alarm.facts, at_stake_sat: '1152921504606846976' } }],
        cut: { deadlines: 0, alarms: 0 },
        counters: {
          channelsLive: 4,
          channels: { opening: 1, open: 2, closing: 1, closed: 9 },
          pendingApprovals: 2,
          commits: 1234,
          refusals: { total: 7, byTag: { 'policy-channel-frozen': 2, 'policy-generic-error': 5 } },
        },
        policy: { preset: 'hub', promise: 'kept', weakened: [], weakenedCut: 0 },
      },
    });
  });

  it('needs no chain, no store and no alarms', () => {
    const verdict = verify(signed(heartbeatOf(bare)));
    expect(verdict).toMatchObject({
      ok: true,
      heartbeat: {
        chain: null,
        deadlines: [],
        alarms: [],
        counters: { channelsLive: null, channels: null, refusals: { total: 0, byTag: {} } },
        policy: { weakened: ['policy-a', 'policy-fee'] },
      },
    });
  });

  it('stands on one line with or without its end', () => {
    expect(WHOLE.endsWith('"}\n')).toBe(true);
    expect(WHOLE.indexOf('\n')).toBe(WHOLE.length - 1);
    expect(verify(WHOLE.trimEnd()).ok).toBe(true);
    expect(verify(`${WHOLE}\n`)).toMatchObject({ ok: false, fault: 'malformed' });
    expect(verify(` ${WHOLE}`)).toMatchObject({ ok: false, fault: 'malformed' });
  });

  it('is refused with any single byte changed', () => {
    const bytes = Buffer.from(WHOLE, 'latin1');
    for (let at = 0; at < bytes.length; at++) {
      for (const flip of [0x01, 0x20, 0x80]) {
        const changed = Buffer.from(bytes);
        changed[at]! ^= flip;
        for (const encoding of ['latin1', 'utf8'] as const)
          expect(verify(changed.toString(encoding)).ok, `byte ${at} ^ ${flip}`).toBe(false);
      }
    }
  });

  it('is refused with a byte less or more', () => {
    for (let at = 0; at < WHOLE.length - 1; at++) {
      expect(verify(WHOLE.slice(0, at) + WHOLE.slice(at + 1)).ok, `without byte ${at}`).toBe(false);
      expect(verify(`${WHOLE.slice(0, at)} ${WHOLE.slice(at)}`).ok, `one more at ${at}`).toBe(false);
    }
  });

  it('is refused for another node, and says whose it is', () => {
    const other = ringOf('another seed');
    expect(verify(WHOLE, other.nodeId)).toEqual({
      ok: false,
      fault: 'other-node',
      message: expect.stringContaining(toHex(ring.nodeId)),
    });
    // Signed by one node in the name of another.
    expect(verify(signed(heartbeatOf(whole), other))).toMatchObject({ fault: 'signature' });
    expect(verify(signed(heartbeatOf(whole), other), other.nodeId)).toMatchObject({ fault: 'other-node' });
    // The other point of the same x coordinate: BIP 340 alone would not tell them apart.
    const mirrored = Uint8Array.from(ring.nodeId);
    mirrored[0]! ^= 1;
    expect(verify(WHOLE, mirrored)).toMatchObject({ fault: 'other-node' });
  });

  it('is refused for what is no node id', () => {
    for (const id of [
      new Uint8Array(0),
      new Uint8Array(32),
      new Uint8Array(33),
      new Uint8Array(33).fill(2, 0, 1),
    ])
      expect(verify(WHOLE, id).ok).toBe(false);
  });

  it('is signed by a node whose point has an odd y, and by one whose point has an even one', () => {
    const parities = new Set<number>();
    for (let i = 0; i < 16; i++) {
      const node = ringOf(`node ${i}`);
      parities.add(node.nodeId[0]!);
      const text = signed(heartbeatOf({ ...whole, nodeId: node.nodeId }), node);
      expect(verify(text, node.nodeId).ok).toBe(true);
    }
    expect(parities.size).toBe(2);
  });

  it('of a later version is told to be one', () => {
    const later = signed(canonicalJson({ nodeId: toHex(ring.nodeId), version: 2 }));
    expect(verify(later)).toMatchObject({
      ok: false,
      fault: 'version',
      message: expect.stringContaining('version 2'),
    });
  });

  it('is refused when it is signed and of another form', () => {
    const base = parsed(heartbeatOf(whole));
    const changes: readonly unknown[] = [
      { ...base, more: 1 },
      { ...base, version: '1' },
      { ...base, chain: undefined },
      { ...base, chain: [] },
      { ...base, timeSeconds: -1 },
      { ...base, timeSeconds: 1.5 },
      { ...base, timeSeconds: 2 ** 53 },
      { ...base, chainHash: 'AB'.repeat(32) },
      { ...base, nodeId: '04'.repeat(33) },
      { ...base, deadlines: {} },
      { ...base, deadlines: new Array(65).fill(parsed(heartbeatOf(whole)).deadlines[0]) },
      { ...base, deadlines: [{ ...base.deadlines[0], level: 'soon' }] },
      { ...base, deadlines: [{ ...base.deadlines[0], amountMsat: 5 }] },
      { ...base, deadlines: [{ ...base.deadlines[0], amountMsat: '05' }] },
      { ...base, alarms: [{ ...base.alarms[0], channel: 'x' }] },
      { ...base, alarms: [{ ...base.alarms[0], code: 'No Word' }] },
      { ...base, alarms: [{ ...base.alarms[0], facts: { a: null } }] },
      { ...base, alarms: [{ ...base.alarms[0], facts: { a: 0.5 } }] },
      { ...base, alarms: [{ ...base.alarms[0], message: 'x'.repeat(241) }] },
      { ...base, counters: { ...base.counters, refusals: { total: 0, byTag: [] } } },
      { ...base, policy: { ...base.policy, promise: 'maybe' } },
      { ...base, sequence: JSON.parse('{"__proto__":1,"count":1}') },
      null,
      5,
      [],
    ];
    for (const changed of changes) {
      // In the order of its keys, so that the form is all that is wrong with it.
      const payload = JSON.stringify(changed);
      const verdict = verify(signed(payload));
      expect(verdict, payload).toMatchObject({ ok: false, fault: 'malformed' });
      expect(verdict).not.toMatchObject({ message: expect.stringMatching(/: (?:text|JSON)$/) });
    }
  });

  it('is refused when it is signed and the text is not the canonical one', () => {
    const payload = heartbeatOf(whole);
    const texts = [
      payload.replace('{', '{ '),
      payload.replace('"tipHeightBlocks":100', '"tipHeightBlocks":1e2'),
      payload.replace('"tipHeightBlocks":100', '"tipHeightBlocks":100.0'),
      payload.replace('breach', '\\u0062reach'),
      payload.replace('"cut":', '"cut":{"alarms":0,"deadlines":0},"cut":'),
      payload.slice(0, -1),
      `${payload},`,
    ];
    for (const text of texts) {
      expect(text).not.toBe(payload);
      expect(verify(signed(text)), text).toMatchObject({ ok: false, fault: 'malformed' });
    }
  });

  it('takes no text that is none', () => {
    const signature = '00'.repeat(64);
    const texts = [
      '',
      '\n',
      '{}',
      '{"heartbeat":',
      enclose('', signature),
      enclose('x', signature),
      enclose('{"nodeId":"zz"}', signature),
      enclose('{"nodeId":"02"}', signature),
      enclose('{"nodeId":5}', signature),
      enclose('5', signature),
      enclose('['.repeat(16_000), signature),
      enclose('{}', 'ff'.repeat(64)),
      enclose('{}', 'FF'.repeat(64)),
      enclose('{}', '00'.repeat(63)),
      'x'.repeat(HEARTBEAT_BYTES_MAX + 1),
    ];
    for (const text of texts) expect(verify(text).ok, text.slice(0, 99)).toBe(false);
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(verify(text).ok).toBe(false);
        expect(verify(enclose(text, signature)).ok).toBe(false);
      }),
    );
  });
});

describe('the sequence', () => {
  it('rises with the start, then with the count', () => {
    const order = [
      { start: 1, count: 9 },
      { start: 2, count: 1 },
      { start: 2, count: 2 },
      { start: 10, count: 0 },
    ];
    for (const [i, a] of order.entries())
      for (const [j, b] of order.entries()) expect(Math.sign(compareSequences(a, b))).toBe(Math.sign(i - j));
  });
});

describe('canonical JSON', () => {
  it('sorts keys, escapes what is no printable ASCII, and holds integers only', () => {
    const value = { b: [1, null, true], a: { é: 'x\u007f\u202e😀\ud800"\\\n' }, B: -5 };
    const text = canonicalJson(value);
    expect(text).toBe(
      '{"B":-5,"a":{"\\u00e9":"x\\u007f\\u202e\\ud83d\\ude00\\ud800\\"\\\\\\n"},"b":[1,null,true]}',
    );
    expect(JSON.parse(text)).toEqual(value);
    for (const number of [0.5, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY])
      expect(() => canonicalJson({ number })).toThrow('exact integers');
  });

  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4 },
      fc.constant(null),
      fc.boolean(),
      fc.maxSafeInteger(),
      fc.string({ unit: 'binary' }),
      fc.array(tie('tree'), { maxLength: 4 }),
      fc.dictionary(fc.string(), tie('tree'), { maxKeys: 4 }),
    ),
  }));

  /** -0 is 0 in it. */
  const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

  it('is one text for each value, and one value for each text', () => {
    fc.assert(
      fc.property(tree, tree, (a, b) => {
        const text = canonicalJson(a as never);
        expect(text).toMatch(/^[\x20-\x7e]*$/);
        expect(JSON.parse(text)).toEqual(plain(a));
        expect(canonicalJson(JSON.parse(text))).toBe(text);
        // Injective: another value, another text.
        const isSame = canonicalJson(b as never) === text;
        expect(isSame).toBe(isDeepStrictEqual(plain(a), plain(b)));
      }),
    );
  });
});

describe('whatever there is to tell', () => {
  it('the text is bounded, readable, deterministic, and tells the worst', () => {
    fc.assert(
      fc.property(arbitraryInput, (input) => {
        const payload = heartbeatOf(input);
        expect(heartbeatOf({ ...input, alarms: input.alarms.toReversed() }).length).toBe(payload.length);
        expect(payload.length + ENVELOPE_BYTES).toBeLessThanOrEqual(HEARTBEAT_BYTES_MAX);
        const read = readHeartbeat(payload);
        expect(read.alarms.length).toBeLessThanOrEqual(HEARTBEAT_ALARMS_MAX);
        expect(read.deadlines.length).toBeLessThanOrEqual(HEARTBEAT_DEADLINES_MAX);
        expect(read.alarms.length + read.cut.alarms).toBe(input.alarms.length);
        expect(read.deadlines.length + read.cut.deadlines).toBe(input.deadlines.length);
        expect(read.policy.weakened.length + read.policy.weakenedCut).toBe(input.policy.weakened.length);
        const isCritical = (one: { severity: string }): boolean => one.severity === 'critical';
        if (input.alarms.some(isCritical)) expect(read.alarms[0]!.severity).toBe('critical');
        if (read.alarms.some((one) => !isCritical(one))) {
          expect(read.alarms.filter(isCritical).length).toBe(input.alarms.filter(isCritical).length);
        }
      }),
      { numRuns: 150 },
    );
  });

  it('different inputs have different texts', () => {
    fc.assert(
      fc.property(
        fc.array(arbitraryAlarm, { maxLength: 3 }),
        fc.array(arbitraryAlarm, { maxLength: 3 }),
        (a, b) => {
          const [one, other] = [a, b].map((alarms) => heartbeatOf({ ...whole, alarms }));
          const told = [one!, other!].map((text) => JSON.stringify(readHeartbeat(text).alarms));
          expect(one === other).toBe(told[0] === told[1]);
        },
      ),
    );
  });

  it('more deadlines and alarms than fit are cut from the least severe on', () => {
    const levels = ['warn', 'urgent', 'critical', 'passed'] as const;
    const deadlines: Deadline[] = Array.from({ length: 200 }, (_, i) => ({
      ...deadline,
      level: levels[i % 4]!,
      blocksLeft: 200 - i,
    }));
    const { deadlines: kept, cut } = readHeartbeat(heartbeatOf({ ...whole, alarms: [], deadlines }));
    expect(kept.length + cut.deadlines).toBe(200);
    expect(kept.length).toBeGreaterThan(50);
    expect(kept.slice(0, 50).every(({ level }) => level === 'passed')).toBe(true);
    expect(kept[0]!.blocksLeft).toBe(1);
    expect(kept.slice(50).every(({ level }) => level === 'critical')).toBe(true);
    const alarms: Alarm[] = Array.from({ length: 100 }, (_, i) => ({
      ...alarm,
      severity: i < 90 ? 'warn' : 'critical',
      channel: i % 2 === 0 ? null : PEER_CHANNEL,
      sinceHeightBlocks: i === 95 ? null : i,
      facts: {},
    }));
    const both = readHeartbeat(heartbeatOf({ ...whole, alarms, deadlines }));
    expect(both.alarms.filter(({ severity }) => severity === 'critical')).toHaveLength(10);
    expect(both.alarms.slice(0, 10).map(({ sinceHeightBlocks }) => sinceHeightBlocks)).toEqual([
      90,
      92,
      94,
      96,
      98,
      null,
      91,
      93,
      97,
      99,
    ]);
    // Alarms that only warn give way to deadlines that have passed or soon will.
    expect(both.deadlines.some(({ level }) => level === 'critical')).toBe(true);
    expect(both.deadlines.some(({ level }) => level === 'urgent')).toBe(false);
  });

  it('fill the text to its bound and never beyond', () => {
    const rooms = Array.from({ length: 240 }, (_, i) => {
      const first: Alarm = { ...alarm, message: 'x'.repeat(i) };
      const deadlines = new Array<Deadline>(64).fill(deadline);
      const input = { ...whole, alarms: [first, ...new Array<Alarm>(20).fill(alarm)], deadlines };
      return HEARTBEAT_BYTES_MAX - ENVELOPE_BYTES - heartbeatOf(input).length;
    });
    expect(Math.min(...rooms)).toBeGreaterThanOrEqual(0);
    expect(Math.min(...rooms)).toBeLessThan(5);
    expect(Math.max(...rooms)).toBeLessThan(400);
  });

  it('at most 64 of each, though more would fit', () => {
    const short: Alarm = { ...alarm, channel: null, sinceHeightBlocks: null, message: '', facts: {} };
    const { alarms, cut } = readHeartbeat(heartbeatOf({ ...bare, alarms: new Array<Alarm>(70).fill(short) }));
    expect([alarms.length, cut.alarms]).toEqual([64, 6]);
  });

  it('texts and facts are cut, numbers that JSON cannot hold become text', () => {
    const facts = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`fact_${i}`, i]));
    const long = '😀'.repeat(300);
    const [told] = readHeartbeat(
      heartbeatOf({ ...whole, alarms: [{ ...alarm, message: long, facts: { rate: 0.25, ...facts } }] }),
    ).alarms;
    expect(told!.message).toBe(`${'😀'.repeat(239)}…`);
    expect(Object.keys(told!.facts)).toHaveLength(12);
    expect(told!.facts).toMatchObject({ rate: '0.25', fact_0: 0, fact_10: 10 });
  });

  it('the most frequent refusals stand alone, and all are counted', () => {
    const refusalsByTag = new Map(Array.from({ length: 40 }, (_, i) => [`policy-${i}`, i % 20]));
    const { counters } = readHeartbeat(
      heartbeatOf({ ...whole, counters: { ...whole.counters, refusalsByTag } }),
    );
    expect(counters.refusals.total).toBe(380);
    expect(Object.keys(counters.refusals.byTag)).toHaveLength(16);
    expect(counters.refusals.byTag).toMatchObject({ 'policy-19': 19, 'policy-39': 19, 'policy-12': 12 });
  });

  it('the longest lists of tags leave room for alarms', () => {
    const tags = Array.from({ length: 100 }, (_, i) => `policy-${i}-`.padEnd(120, 'x'));
    const input = {
      ...whole,
      alarms: new Array<Alarm>(64).fill({ ...alarm, message: 'é'.repeat(500) }),
      counters: { ...whole.counters, refusalsByTag: new Map(tags.map((tag) => [tag, 1])) },
      policy: { ...whole.policy, weakened: tags },
    };
    const payload = heartbeatOf(input);
    expect(payload.length + ENVELOPE_BYTES).toBeLessThanOrEqual(HEARTBEAT_BYTES_MAX);
    const { alarms, policy } = readHeartbeat(payload);
    expect(alarms.length).toBeGreaterThan(2);
    expect([policy.weakened.length, policy.weakenedCut]).toEqual([48, 52]);
  });
});

describe('domain separation (A62)', () => {
  const signer = new TestSigner();
  const node = signer.ring.nodeId;
  const utf8 = new TextEncoder();
  const payload = heartbeatOf({ ...whole, nodeId: node });
  const digest = heartbeatDigest(payload);
  const tagHash = sha256(utf8.encode('countersign/heartbeat'));
  /** What SHA-256 gets to see for a heartbeat. */
  const preimage = Uint8Array.from([...tagHash, ...tagHash, ...utf8.encode(payload)]);

  it('the digest is the tagged hash of BIP 340', () => {
    expect(digest).toEqual(sha256(preimage));
  });

  /**
   * Two different inputs of SHA-256 with one result would be a collision. A transaction's hash (BIP 143), gossip, signed texts and
   * BIP 137 are double hashes, whose outer input has 32 bytes; the others begin otherwise.
   */
  it('no other digest that the node key signs has an input like it', () => {
    expect(preimage.length).toBeGreaterThan(64);
    const starts = ['ln', 'option_will_fund'].map((text) => utf8.encode(text));
    for (const start of starts) expect(equalBytes(preimage.subarray(0, start.length), start)).toBe(false);
    for (const tag of ['TapSighash', 'TapLeaf', 'TapTweak', 'BIP0340/challenge', 'LnLeaf', 'lightning'])
      expect(equalBytes(tagHash, sha256(utf8.encode(tag)))).toBe(false);
  });

  it('no name of a BOLT 12 message or field makes the tag of a heartbeat', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (message, field) => {
        expect(bolt12Digest(message, field, digest)).not.toEqual(heartbeatDigest(payload));
        expect(`lightning${message}${field}`).not.toBe('countersign/heartbeat');
      }),
    );
  });

  it('whatever the node has signed is no heartbeat', () => {
    const merkleroot = digest;
    const none = new Uint8Array(0);
    const tag = 'countersign/heartbeat';
    const requests: Request[] = [
      ...[preimage, utf8.encode(payload), digest].map((msg): Request => ({ name: 'hsmd_sign_message', msg })),
      ...[preimage, digest].map((msg): Request => ({ name: 'hsmd_bip137_sign_message', msg, keyidx: 0 })),
      ...['', tag, `/../${tag}`].flatMap((name): Request[] => [
        { name: 'hsmd_sign_bolt12', messagename: name, fieldname: '', merkleroot, publictweak: none },
        { name: 'hsmd_sign_bolt12', messagename: '', fieldname: name, merkleroot, publictweak: none },
        {
          name: 'hsmd_sign_bolt12_2',
          messagename: name,
          fieldname: '',
          merkleroot,
          info: none,
          publictweak: none,
        },
      ]),
    ];
    const signatures = requests.map((request) => signatureIn(signer.ask(request)));
    expect(new Set(signatures.map(toHex)).size).toBeGreaterThan(7);
    for (const signature of signatures) {
      expect(secp.verifySchnorr(digest, signature, node.subarray(1))).toBe(false);
      expect(verifyHeartbeat(secp, enclose(payload, toHex(signature)), node)).toMatchObject({
        fault: 'signature',
      });
    }
    // No invoice begins like that, and what is no invoice is not signed at all.
    const invoice: Request = { name: 'hsmd_sign_invoice', hrp: preimage, u5bytes: new Uint8Array(200) };
    expect(signer.refused(invoice)).toMatchObject({ tag: 'policy-generic-error' });
  });

  it('a heartbeat is nothing else that is signed', () => {
    const signature = signHeartbeat(signer.ring, payload);
    const text = utf8.encode(payload);
    const merkle = sha256(text);
    const digests = [
      digest,
      merkle,
      sha256(merkle),
      lightningMessageDigest(text),
      bip137Digest(text),
      bolt12Digest('invoice', 'signature', merkle),
      bolt12Digest('', '', digest),
      gossipDigest('channel_update', Uint8Array.from([1, 2, ...new Uint8Array(64), ...text])),
      leaseDigest({
        fundingPubkey: node,
        leaseExpiry_height: 1,
        channelFeeMaxBase_msat: 1,
        channelFeeMaxProportional_ppt: 1,
      }),
    ];
    for (const one of digests) {
      expect(secp.verifyEcdsa(one, signature, node)).toBe(false);
      const isBip340 = secp.verifySchnorr(one, signature, node.subarray(1));
      expect(isBip340).toBe(one === digest);
    }
    for (const recoveryId of [0, 1, 2, 3])
      expect(secp.recoverEcdsa(digest, signature, recoveryId)).not.toEqual(node);
  });

  /** The signature in a reply, 64 bytes. */
  function signatureIn(reply: Reply): Uint8Array {
    if (!('sig' in reply)) throw new Error(`no signature in ${reply.name}`);
    return reply.sig instanceof Uint8Array ? reply.sig : reply.sig.signature;
  }

  it('verifies with another implementation of BIP 340', async () => {
    const { schnorr } = await import('@noble/curves/secp256k1.js');
    const signature = signHeartbeat(signer.ring, payload);
    expect(schnorr.verify(signature, digest, node.subarray(1))).toBe(true);
    expect(fromHex(toHex(signature))).toEqual(signature);
  });
});
