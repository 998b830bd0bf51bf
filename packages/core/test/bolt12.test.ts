/**
 * Reading BOLT 12 invoices: the BOLT's vectors for strings, Merkle roots and signatures, invoices of real nodes, and
 * what is none.
 */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { concat, FormError, fromHex, toHex } from '@countersign/bitcoin';
import { networkByName } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import {
  bolt12Bytes,
  isSignedByPayee,
  merkleRoot,
  readBolt12,
  readTlvStream,
} from '../src/payments/bolt12.ts';
import { bolt12, CREATED_AT_SECONDS, encodeBolt12, PAYEE, tlv } from './invoices.ts';
import { bytesOf, regtest, secp } from './test-signer.ts';

const vectors = <T>(name: string): readonly T[] =>
  JSON.parse(
    readFileSync(new URL(`../../../vectors/bolt12/${name}.json`, import.meta.url), 'utf8'),
  ) as readonly T[];

describe('BOLT 12, format-string-test.json', () => {
  it.each(
    vectors<{ comment: string; valid: boolean; string: string }>('format-string-test').map(
      ({ comment, valid, string }) => [comment, valid, string] as const,
    ),
  )('%s', (_, valid, string) => {
    if (valid) expect(readTlvStream(bolt12Bytes(string, 'lno')).length).toBeGreaterThan(0);
    else expect(() => readTlvStream(bolt12Bytes(string, 'lno'))).toThrow(FormError);
  });
});

interface SignatureVector {
  readonly comment: string;
  readonly 'first-tlv': string;
  readonly leaves: readonly Readonly<Record<string, string>>[];
  readonly merkle: string;
  readonly bolt12?: string;
}

describe('BOLT 12, signature-test.json', () => {
  const leafOf = (leaf: Readonly<Record<string, string>>): string =>
    Object.keys(leaf)
      .map((key) => /^H\(`LnLeaf`,([0-9a-f]+)\)$/.exec(key)?.[1])
      .find((tlvHex) => tlvHex !== undefined)!;
  it.each(vectors<SignatureVector>('signature-test').map((vector) => [vector.comment, vector] as const))(
    '%s',
    (_, vector) => {
      const stream = concat(...vector.leaves.map((leaf) => fromHex(leafOf(leaf))));
      expect(toHex(merkleRoot(readTlvStream(stream)))).toBe(vector.merkle);
      if (vector.bolt12 !== undefined) {
        const [prefix] = vector.bolt12.split('1') as [string];
        expect(toHex(merkleRoot(readTlvStream(bolt12Bytes(vector.bolt12, prefix))))).toBe(vector.merkle);
      }
    },
  );
});

describe('an invoice', () => {
  it('is read, and its payee signed it', () => {
    const invoice = readBolt12(bolt12());
    expect(invoice).toMatchObject({
      chainHash: regtest.chainHash,
      amountMsat: 1_000_000n,
      createdAtSeconds: CREATED_AT_SECONDS,
      expirySeconds: 7200,
      paymentHash: bytesOf('payment hash'),
      payee: PAYEE,
      description: 'an offer',
    });
    expect(isSignedByPayee(secp, invoice)).toBe(true);
    expect(readBolt12(bolt12().toUpperCase())).toEqual(invoice);
    expect(readBolt12(bolt12().replace(/(.{40})/g, '$1+\n '))).toEqual(invoice);
  });
  it('without a chain it is for bitcoin, without a description it has none, and it may set its expiry', () => {
    const invoice = readBolt12(bolt12({ chain: null, more: { 10: null }, expiry: '0e10' }));
    expect(invoice.chainHash).toEqual(networkByName('bitcoin')!.chainHash);
    expect(invoice).toMatchObject({ description: '', expirySeconds: 3600 });
    expect(isSignedByPayee(secp, invoice)).toBe(true);
  });
  it('may have fields that the signer does not know, and the signature covers them', () => {
    for (const more of [
      { 81: '01' },
      { 88: '02', 89: '6e6f7465' },
      { 1001: 'ff' },
      { 239: '', 250: '00' },
      { 300: 'aa' },
    ])
      expect(isSignedByPayee(secp, readBolt12(bolt12({ more })))).toBe(true);
  });
  it.each([
    ['another key signed', { payee: secp.publicKey(bytesOf('another')) }],
    ['the payee is no point', { payee: Uint8Array.from([2, ...new Uint8Array(31), 5]) }],
    ['the signature is changed', { change: (signature: Uint8Array) => signature.with(40, 1) }],
  ])('is not signed by its payee when %s', (_, options) => {
    expect(isSignedByPayee(secp, readBolt12(bolt12(options)))).toBe(false);
  });
  it('is not signed by its payee when any signed byte was changed', () => {
    const bytes = bolt12Bytes(bolt12(), 'lni');
    const records = readTlvStream(bytes);
    let at = 0;
    for (const { type, value, encoded } of records) {
      const last = at + encoded.length - 1;
      at += encoded.length;
      if (type === 240n || value.length === 0) continue;
      const changed = readBolt12(encodeBolt12('lni', bytes.with(last, bytes[last]! ^ 1)));
      expect(isSignedByPayee(secp, changed), `type ${type}`).toBe(false);
    }
  });
});

describe('what is no invoice', () => {
  it.each<[string, string]>([
    ['nothing', ''],
    ['an offer', bolt12().replace('lni', 'lno')],
    ['no bech32', `${bolt12()}b`],
    ['not ASCII', `${bolt12()}é`],
    ['a part of a byte', `${bolt12().slice(0, -1)}`],
    ['no amount', bolt12({ more: { 170: null } })],
    ['no time', bolt12({ more: { 164: null } })],
    ['no payment hash', bolt12({ more: { 168: null } })],
    ['no node id', bolt12({ more: { 176: null } })],
    ['no signature', bolt12({ more: { 240: null } })],
    ['a short signature', bolt12({ change: (signature) => signature.subarray(1) })],
    ['a short payment hash', bolt12({ hash: new Uint8Array(31) })],
    ['a long node id', bolt12({ payee: new Uint8Array(34).fill(2) })],
    ['a short chain', bolt12({ chain: new Uint8Array(31) })],
    ['an amount with a leading zero', bolt12({ amount: '0010' })],
    ['an amount of nine bytes', bolt12({ amount: '010000000000000000' })],
    ['more than 21 million coins', bolt12({ amount: 'ffffffffffffffff' })],
    ['an expiry of five bytes', bolt12({ expiry: '0100000000' })],
    ['a time beyond any calendar', bolt12({ more: { 164: '01000000000001' } })],
  ])('%s', (_, text) => {
    expect(() => readBolt12(text)).toThrow(FormError);
  });
  it('the last times and amounts that are some', () => {
    expect(readBolt12(bolt12({ more: { 164: '01000000000000' } })).createdAtSeconds).toBe(2 ** 48);
    expect(readBolt12(bolt12({ expiry: 'ffffffff' })).expirySeconds).toBe(2 ** 32 - 1);
    expect(readBolt12(bolt12({ amount: '' })).amountMsat).toBe(0n);
    expect(readBolt12(bolt12({ amount: '1d24b2dfac520000' })).amountMsat).toBe(2_100_000_000_000_000_000n);
    expect(() => readBolt12(bolt12({ amount: '1d24b2dfac520001' }))).toThrow(FormError);
  });
});

describe('a TLV stream', () => {
  it.each<[string, string]>([
    ['a type twice', '01000100'],
    ['types that fall', '02000100'],
    ['a record that ends early', '010300'],
    ['a type without a length', '01'],
    ['a long form of a small type', 'fd00fc00'],
    ['a long form of a 16-bit type', 'fe0000ffff00'],
    ['a long form of a 32-bit type', 'ff00000000ffffffff00'],
    ['a long form of a length', '01fd000100'],
    ['a type cut off', 'fd01'],
    ['a length beyond memory', '01ffffffffffffffffff'],
  ])('%s is none', (_, hex) => {
    expect(() => readTlvStream(fromHex(hex))).toThrow(FormError);
  });
  it.each<[string, readonly bigint[]]>([
    ['', []],
    ['fc00fd00fd00', [252n, 253n]],
    ['fdffff00fe0001000000', [65_535n, 65_536n]],
    ['feffffffff00ff000000010000000000', [2n ** 32n - 1n, 2n ** 32n]],
    ['ffffffffffffffffff00', [2n ** 64n - 1n]],
  ])('%s is one', (hex, types) => {
    expect(readTlvStream(fromHex(hex)).map(({ type }) => type)).toEqual(types);
  });
  it('signs records, not signatures', () => {
    const some = [tlv(1, Uint8Array.of(1)), tlv(239, Uint8Array.of(2)), tlv(1001, Uint8Array.of(3))] as const;
    const [a, b, c] = some;
    const rootOf = (...parts: readonly Uint8Array[]) => toHex(merkleRoot(readTlvStream(concat(...parts))));
    const signed = rootOf(a, b, c);
    for (const type of [240, 300, 1000]) expect(rootOf(a, b, tlv(type, Uint8Array.of(9)), c)).toBe(signed);
    expect(rootOf(a, c)).not.toBe(signed);
    expect(() => rootOf(tlv(240, Uint8Array.of(1)))).toThrow(FormError);
  });
});

describe('invoices of real nodes', () => {
  it.each([
    ['l1', 5],
    ['l3', 1],
  ])('%s: all read and verify', (node, count) => {
    const path = new URL(`../../../vectors/cln/bolt12/${node}.jsonl.gz`, import.meta.url);
    const lines = gunzipSync(readFileSync(path)).toString('utf8').trimEnd().split('\n');
    const read = lines
      .map((line) => JSON.parse(line) as { type: string; request: string; t_us: number })
      .filter(({ type }) => type === 'WIRE_HSMD_PREAPPROVE_INVOICE_CHECK')
      .map(({ request, t_us }) => {
        const bytes = fromHex(request);
        const text = new TextDecoder().decode(bytes.subarray(2, bytes.indexOf(0, 2)));
        return { invoice: readBolt12(text), seconds: t_us / 1e6 };
      });
    expect(read.length).toBe(count);
    for (const { invoice, seconds } of read) {
      expect(isSignedByPayee(secp, invoice)).toBe(true);
      expect(invoice.chainHash).toEqual(regtest.chainHash);
      expect(invoice.createdAtSeconds).toBeLessThanOrEqual(seconds);
      expect(seconds - invoice.createdAtSeconds).toBeLessThan(invoice.expirySeconds);
    }
  });
});
