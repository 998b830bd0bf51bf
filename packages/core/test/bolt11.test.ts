/**
 * Reading BOLT 11 invoices. The first ones are BOLT 11's own examples, made again from what the BOLT says of them: its
 * signatures are deterministic (RFC 6979), so they are the same strings, known here by their SHA-256.
 */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { CURVE_ORDER, concat, FormError, fromHex, sha256, toHex } from '@countersign/bitcoin';
import { bech32 } from '@scure/base';
import { describe, expect, it } from 'vitest';
import { bolt11Payee, readBolt11, readInvoiceFields } from '../src/payments/bolt11.ts';
import { SHORT_TEXT_MAX } from '../src/payments/description.ts';
import {
  type Bolt11Options,
  bolt11,
  bolt11Fields,
  CREATED_AT_SECONDS,
  encodeFields,
  type Field,
  PAYEE,
  words,
} from './invoices.ts';
import { bytesOf, secp } from './test-signer.ts';

const utf8 = new TextEncoder();
const fingerprint = (text: string) => toHex(sha256(utf8.encode(text))).slice(0, 16);

const BOLT_SECRET = fromHex('e126f68f7eafcc8b74f54d269fe206be715000f94dac067d1c04a8ca3b2db734');
const BOLT_PAYEE = '03e7156ae33b0a208d0744199163177e909e80176e55d97a2f221ede0f934dd9ad';
const BOLT_HASH = fromHex('0001020304050607080900010203040506070809000102030405060708090102');
const secretField: Field = ['s', words(new Uint8Array(32).fill(0x11))];
const hashField: Field = ['p', words(BOLT_HASH)];
const text = (description: string): Field => ['d', words(utf8.encode(description))];
const features: Field = ['9', [16, 8, 0]];
const cake =
  'One piece of chocolate cake, one icecream cone, one pickle, one slice of swiss cheese, one slice of salami, one lollypop, one piece of cherry pie, one sausage, one cupcake, and one slice of watermelon';
const example = (hrp: string, fields: readonly Field[]): string =>
  bolt11({ hrp, fields, createdAtSeconds: 1_496_314_658, secret: BOLT_SECRET });

const donation = example('lnbc', [
  secretField,
  hashField,
  text('Please consider supporting this project'),
  features,
]);

describe('BOLT 11, examples', () => {
  it.each([
    [
      'a donation',
      donation,
      '01909c572bf4360a',
      { amountMsat: null, description: 'Please consider supporting this project' },
    ],
    [
      'a coffee within a minute',
      example('lnbc2500u', [secretField, hashField, text('1 cup coffee'), ['x', [1, 28]], features]),
      '53553d4022efe9d0',
      { amountMsat: 250_000_000n, expirySeconds: 60, description: '1 cup coffee' },
    ],
    [
      'nonsense in UTF-8',
      example('lnbc2500u', [secretField, hashField, text('ナンセンス 1杯'), ['x', [1, 28]], features]),
      '17abe4a341974793',
      { amountMsat: 250_000_000n, expirySeconds: 60, description: 'ナンセンス 1杯' },
    ],
    [
      'a list of things, hashed',
      example('lnbc20m', [secretField, hashField, ['h', words(sha256(utf8.encode(cake)))], features]),
      '85c32166dc5a739a',
      { amountMsat: 2_000_000_000n, description: '' },
    ],
  ] as const)('%s', (_, invoice, known, fields) => {
    expect(fingerprint(invoice)).toBe(known);
    const read = readBolt11(invoice);
    expect(read).toMatchObject({
      prefix: 'lnbc',
      createdAtSeconds: 1_496_314_658,
      expirySeconds: 3600,
      minFinalCltvExpiryBlocks: 18,
      claimedPayee: null,
      paymentHash: BOLT_HASH,
      features: Uint8Array.of(16, 8, 0),
      ...fields,
    });
    expect(toHex(bolt11Payee(secp, read)!)).toBe(BOLT_PAYEE);
  });
  it('all upper case is the same invoice', () => {
    expect(readBolt11(donation.toUpperCase())).toEqual(readBolt11(donation));
  });
  it('public-key recovery with a high-S signature gives a key', () => {
    const read = readBolt11(bolt11({ change: highS }));
    expect(bolt11Payee(secp, read)).not.toBeNull();
  });
  it('fields of a wrong length are skipped, and so are unknown ones and later ones of the same type', () => {
    const zeros = (length: number) => new Array<number>(length).fill(0);
    const junk: readonly Field[] = [
      ['2', zeros(3)],
      ['f', [19, ...zeros(32)]],
      ['p', zeros(51)],
      ['p', zeros(53)],
      ['h', zeros(51)],
      ['h', zeros(53)],
      ['s', zeros(51)],
      ['n', zeros(52)],
      ['n', zeros(54)],
    ];
    for (const fields of [
      [...junk, ...bolt11Fields({})],
      [...bolt11Fields({}), ...junk, ['p', words(bytesOf('another'))]],
    ] as (readonly Field[])[]) {
      const read = readBolt11(bolt11({ fields }));
      expect(read.paymentHash).toEqual(bytesOf('payment hash'));
      expect(bolt11Payee(secp, read)).toEqual(PAYEE);
    }
  });
});

/** The other signature of the same key: −s, and the other parity. */
function highS(signature: Uint8Array): Uint8Array {
  const number = (bytes: Uint8Array) => BigInt(`0x${toHex(bytes)}`);
  const s = number(CURVE_ORDER) - number(signature.subarray(32, 64));
  const flipped = signature[64]! ^ 1;
  return concat(signature.subarray(0, 32), fromHex(s.toString(16).padStart(64, '0')), Uint8Array.of(flipped));
}

describe('the payee of an invoice', () => {
  const named: Bolt11Options = { more: [['n', words(PAYEE)]] };
  it('is whom the n field names, with its low-S signature only', () => {
    const read = readBolt11(bolt11(named));
    expect(read.claimedPayee).toEqual(PAYEE);
    expect(bolt11Payee(secp, read)).toEqual(PAYEE);
    expect(bolt11Payee(secp, readBolt11(bolt11({ ...named, change: highS })))).toBeNull();
  });
  it('is nobody when another key signed for the one that is named', () => {
    expect(bolt11Payee(secp, readBolt11(bolt11({ ...named, secret: bytesOf('a thief') })))).toBeNull();
  });
  it('is nobody when the recovery id is none, also where the payee is named', () => {
    const change = (signature: Uint8Array) => signature.with(64, 4);
    expect(bolt11Payee(secp, readBolt11(bolt11({ ...named, change })))).toBeNull();
  });
  it('is another than before when anything of the invoice was changed', () => {
    const original = bech32.decode(bolt11() as `${string}1${string}`, false);
    for (const at of [0, 6, 20, 70, 130]) {
      const changed = original.words.map((word, i) => (i === at ? word ^ 1 : word));
      const read = readBolt11(bech32.encode(original.prefix, changed, false));
      expect(toHex(bolt11Payee(secp, read) ?? new Uint8Array(0))).not.toBe(toHex(PAYEE));
    }
    const dearer = readBolt11(bech32.encode('lnbcrt10m', original.words, false));
    expect(toHex(bolt11Payee(secp, dearer) ?? new Uint8Array(0))).not.toBe(toHex(PAYEE));
  });
  it.each([
    ['zero', (signature: Uint8Array) => new Uint8Array(65).fill(0, 0, signature.length)],
    ['with a recovery id of 4', (signature: Uint8Array) => signature.with(64, 4)],
    ['with r beyond the curve', (signature: Uint8Array) => signature.fill(0xff, 0, 32)],
  ])('is nobody when the signature is %s', (_, change) => {
    expect(bolt11Payee(secp, readBolt11(bolt11({ change })))).toBeNull();
  });
});

describe('the amount of an invoice', () => {
  it.each([
    ['lnbcrt', null],
    ['lnbcrt1', 100_000_000_000n],
    ['lnbcrt21m', 2_100_000_000n],
    ['lnbcrt2500u', 250_000_000n],
    ['lnbcrt1n', 100n],
    ['lnbcrt10p', 1n],
    ['lnbcrt9678785340p', 967_878_534n],
    ['lnbcrt21000000', 2_100_000_000_000_000_000n],
  ])('%s', (hrp, amountMsat) => {
    expect(readBolt11(bolt11({ hrp })).amountMsat).toBe(amountMsat);
  });
  it.each([
    'lnbcrt0',
    'lnbcrt01u',
    'lnbcrt1x',
    'lnbcrt1uu',
    'lnbcrt1.5u',
    'lnbcrt15p',
    'lnbcrt1p',
    'lnbcrt21000001',
    'lnbcrt2100000000000000001n',
    'lnbcrt999999999999999999999m',
  ])('%s is none', (hrp) => {
    expect(() => readBolt11(bolt11({ hrp }))).toThrow(FormError);
  });
});

describe('numbers and texts of an invoice', () => {
  it('are read where they are given', () => {
    const more: readonly Field[] = [
      ['x', [18, 14, 20, 0]],
      ['c', [4, 16]],
      ['9', [1, 0, 0]],
      ['m', [0, 7]],
      ['r', [1, 2, 3]],
    ];
    expect(readBolt11(bolt11({ more }))).toMatchObject({
      expirySeconds: 604_800,
      minFinalCltvExpiryBlocks: 144,
      features: Uint8Array.of(1, 0, 0),
      createdAtSeconds: CREATED_AT_SECONDS,
    });
    const expiry = (data: readonly number[]) => readBolt11(bolt11({ more: [['x', data]] })).expirySeconds;
    expect(expiry([])).toBe(0);
    expect(expiry(new Array<number>(9).fill(31))).toBe(32 ** 9 - 1);
  });
  it.each(['x', 'c'])('%s has no leading zero and no more than 45 bits', (letter) => {
    for (const data of [[0], [0, 5], new Array<number>(10).fill(1)])
      expect(() => readBolt11(bolt11({ more: [[letter, data]] }))).toThrow(FormError);
  });
  it('a description is kept short and cannot steer a terminal', () => {
    const described = (description: string) => readBolt11(bolt11({ description })).description;
    expect(described('a'.repeat(SHORT_TEXT_MAX))).toBe('a'.repeat(SHORT_TEXT_MAX));
    expect(described('a'.repeat(SHORT_TEXT_MAX + 1))).toBe(`${'a'.repeat(SHORT_TEXT_MAX - 1)}…`);
    expect(described('\u{1f600}'.repeat(150))).toBe(`${'\u{1f600}'.repeat(SHORT_TEXT_MAX - 1)}…`);
    expect(described('a\u001b[2J\nb\u202ec\u2028d')).toBe('a\ufffd[2J\ufffdb\ufffdc\ufffdd');
    const latin1: Field = ['d', words(Uint8Array.of(0x63, 0xe9))];
    const [secret, hash] = bolt11Fields({});
    expect(readBolt11(bolt11({ fields: [secret!, hash!, latin1] })).description).toBe('c\ufffd');
  });
});

describe('what is no invoice', () => {
  const [secret, hash, description] = bolt11Fields({}) as [Field, Field, Field];
  it.each<[string, string]>([
    ['nothing', ''],
    ['no bech32', 'lnbcrt1pretend'],
    ['a wrong checksum', bolt11().replace(/.$/, (last) => (last === 'q' ? 'p' : 'q'))],
    ['mixed case', bolt11().replace('lnbcrt', 'LNBCRT')],
    ['no separator', bolt11().slice(10)],
    ['too short for a signature', bech32.encode('lnbcrt', new Array<number>(110).fill(0), false)],
    ['an address', 'bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080'],
    ['another prefix', bolt11({ hrp: 'lnx10u' })],
    ['no payment hash', bolt11({ fields: [secret, description] })],
    ['no payment secret', bolt11({ fields: [hash, description] })],
    ['no description', bolt11({ fields: [secret, hash] })],
    ['two descriptions', bolt11({ more: [['h', words(bytesOf('h'))]] })],
    [
      'a payment hash that is not padded with zeros',
      bolt11({ fields: [secret, ['p', [...words(bytesOf('p')).slice(0, -1), 31]], description] }),
    ],
  ])('%s', (_, invoice) => {
    expect(() => readBolt11(invoice)).toThrow(FormError);
  });
  it('ends within a field', () => {
    const data = encodeFields(0, [secret, hash, description]);
    expect(readInvoiceFields('lnbcrt', data).expirySeconds).toBe(3600);
    for (const cut of [1, 2, 5])
      expect(() => readInvoiceFields('lnbcrt', data.subarray(0, -cut))).toThrow(FormError);
    expect(() => readInvoiceFields('lnbcrt', concat(data, Uint8Array.of(1)))).toThrow(FormError);
    expect(() => readInvoiceFields('lnbcrt', concat(data, Uint8Array.of(1, 0)))).toThrow(FormError);
    expect(() => readInvoiceFields('lnbcrt', data.subarray(0, 6))).toThrow(FormError);
    expect(() => readInvoiceFields('lnbcrt', data.with(30, 32))).toThrow(FormError);
  });
});

describe('invoices of real nodes', () => {
  it('all read, and are signed by the node they were asked of', () => {
    const path = new URL('../../../vectors/cln/20-payments-load/l1.jsonl.gz', import.meta.url);
    const lines = gunzipSync(readFileSync(path)).toString('utf8').trimEnd().split('\n');
    const payees = new Set<string>();
    let invoices = 0;
    for (const line of lines) {
      const { type, request } = JSON.parse(line) as { type: string; request: string };
      if (type !== 'WIRE_HSMD_PREAPPROVE_INVOICE_CHECK') continue;
      const bytes = fromHex(request);
      const read = readBolt11(new TextDecoder().decode(bytes.subarray(2, bytes.indexOf(0, 2))));
      expect(read).toMatchObject({ prefix: 'lnbcrt', amountMsat: 1_000_000n, expirySeconds: 604_800 });
      payees.add(toHex(bolt11Payee(secp, read)!));
      invoices += 1;
    }
    expect(invoices).toBe(205);
    expect([...payees]).toEqual(['02069ebcaa6232e825598dd357c48d6b054134fedada4262a75223a54ebe6a6cfe']);
  });
});
