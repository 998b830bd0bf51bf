import { script as bitcoinjsScript, payments } from 'bitcoinjs-lib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  buildScript,
  classify,
  concat,
  decodeScriptNumber,
  encodeScriptNumber,
  FormError,
  fromHex,
  hash160,
  isWitnessProgram,
  loadSecp256k1,
  OP,
  p2pkhScript,
  p2shOfScript,
  p2trScript,
  p2wpkhOfKey,
  p2wshOfScript,
  parseScript,
  parseWitnessProgram,
  pushData,
  sha256,
  toHex,
} from '../src/index.ts';
import { bytes } from './generators.ts';

const plain = (b: Uint8Array | undefined): Uint8Array => Uint8Array.from(b ?? []);

describe('pushes (BIP 62 rule 3)', () => {
  it.each([
    ['', '00'],
    ['01', '51'],
    ['10', '60'],
    ['11', '0111'],
    ['00', '0100'],
    ['81', '4f'],
    ['0100', '020100'],
  ])('%s is pushed as %s', (data, expected) => {
    expect(toHex(pushData(fromHex(data)))).toBe(expected);
  });

  it('picks the length form at 75, 76, 255, 256 and 520 bytes, and stops there', () => {
    const start = (length: number) => toHex(pushData(new Uint8Array(length).fill(7)).slice(0, 3));
    expect([75, 76, 255, 256, 520].map(start)).toEqual(['4b0707', '4c4c07', '4cff07', '4d0001', '4d0802']);
    expect(() => pushData(new Uint8Array(521))).toThrow(FormError);
  });

  it('equals bitcoinjs for random elements, and reads back', () => {
    const element = fc.oneof(bytes(0, 300), fc.integer({ min: 0x61, max: 0xff }));
    fc.assert(
      fc.property(fc.array(element, { maxLength: 8 }), (elements) => {
        const built = buildScript(...elements);
        expect(built).toEqual(plain(bitcoinjsScript.compile(elements)));
        const back = parseScript(built);
        expect(back.map((e) => e.data ?? e.opcode)).toEqual(elements);
        expect(concat(...back.map((e) => (e.data ? pushData(e.data) : Uint8Array.of(e.opcode))))).toEqual(
          built,
        );
      }),
    );
  });
});

describe('script numbers', () => {
  it.each([
    [0, ''],
    [1, '01'],
    [-1, '81'],
    [127, '7f'],
    [128, '8000'],
    [-128, '8080'],
    [255, 'ff00'],
    [500_000_000, '0065cd1d'],
    [-255, 'ff80'],
    [0xffff_ffff, 'ffffffff00'],
  ])('%i is %s', (value, hex) => {
    expect(toHex(encodeScriptNumber(value))).toBe(hex);
    expect(decodeScriptNumber(fromHex(hex))).toBe(value);
  });

  it('round trip over five bytes, and equal bitcoinjs over four', () => {
    const max = 2 ** 39 - 1;
    fc.assert(
      fc.property(fc.integer({ min: -max, max }), (value) => {
        const encoded = encodeScriptNumber(value);
        expect(decodeScriptNumber(encoded)).toBe(value);
        if (Math.abs(value) < 2 ** 31) expect(encoded).toEqual(plain(bitcoinjsScript.number.encode(value)));
      }),
    );
  });

  it.each(['00', '80', '0100', '0180', '010000', 'ffffffffff00', '00000000000001'])('refuses %s', (hex) => {
    expect(() => decodeScriptNumber(fromHex(hex))).toThrow(FormError);
  });

  it('has at most the length asked for', () => {
    expect(decodeScriptNumber(fromHex('ffffff7f'), 4)).toBe(0x7fff_ffff);
    expect(() => decodeScriptNumber(fromHex('ffffffff00'), 4)).toThrow(FormError);
    expect(() => encodeScriptNumber(2 ** 53)).toThrow(FormError);
  });
});

describe('strict reading', () => {
  it.each(['01', '4c', '4c01', '4d01', '4d0100', '4e010000', '4e01000000', '4bffff'])(
    'refuses the truncated %s',
    (hex) => {
      expect(() => parseScript(fromHex(hex))).toThrow(/truncated/);
    },
  );

  it.each(['0101', '0110', '0181', '4c00', '4c0107', '4d0100aa', '4e01000000aa', '4d4c00'])(
    'refuses %s, which has a shorter form',
    (hex) => {
      const padded = hex === '4d4c00' ? concat(fromHex(hex), new Uint8Array(76)) : fromHex(hex);
      expect(() => parseScript(padded)).toThrow(/not minimal/);
    },
  );

  it.each([75, 76, 255, 256, 520])('reads a push of %i bytes back', (length) => {
    const data = new Uint8Array(length).fill(7);
    expect(parseScript(pushData(data)).map((e) => e.data)).toEqual([data]);
  });

  it('refuses a push of 256 bytes in the four-byte form', () => {
    const push = concat(fromHex('4e00010000'), new Uint8Array(256));
    expect(() => parseScript(push)).toThrow(/not minimal/);
  });

  it('never throws anything but FormError, and only re-encodes to itself', () => {
    fc.assert(
      fc.property(bytes(0, 60), (script) => {
        let elements: ReturnType<typeof parseScript>;
        try {
          elements = parseScript(script);
        } catch (error) {
          expect(error).toBeInstanceOf(FormError);
          return;
        }
        expect(concat(...elements.map((e) => (e.data ? pushData(e.data) : Uint8Array.of(e.opcode))))).toEqual(
          script,
        );
      }),
      { numRuns: 1000 },
    );
  });
});

describe('output scripts', () => {
  const publicKey = loadSecp256k1().publicKey(sha256(Uint8Array.of(9)));
  const witnessScript = buildScript(publicKey, OP.OP_CHECKSIG);

  it('equal bitcoinjs', () => {
    expect(p2pkhScript(hash160(publicKey))).toEqual(plain(payments.p2pkh({ pubkey: publicKey }).output));
    expect(p2wpkhOfKey(publicKey)).toEqual(plain(payments.p2wpkh({ pubkey: publicKey }).output));
    expect(p2wshOfScript(witnessScript)).toEqual(
      plain(payments.p2wsh({ redeem: { output: witnessScript } }).output),
    );
    expect(p2shOfScript(witnessScript)).toEqual(
      plain(payments.p2sh({ redeem: { output: witnessScript } }).output),
    );
    expect(toHex(p2trScript(new Uint8Array(32).fill(5)))).toBe(`5120${'05'.repeat(32)}`);
  });

  it('classify to what they were built from', () => {
    expect(classify(p2pkhScript(hash160(publicKey)))).toEqual({ type: 'p2pkh', keyHash: hash160(publicKey) });
    expect(classify(p2shOfScript(witnessScript))).toEqual({
      type: 'p2sh',
      scriptHash: hash160(witnessScript),
    });
    expect(classify(p2wpkhOfKey(publicKey))).toEqual({ type: 'p2wpkh', keyHash: hash160(publicKey) });
    expect(classify(p2wshOfScript(witnessScript))).toEqual({
      type: 'p2wsh',
      scriptHash: sha256(witnessScript),
    });
    const outputKey = publicKey.slice(1);
    expect(classify(p2trScript(outputKey))).toEqual({ type: 'p2tr', outputKey });
    expect(classify(fromHex('51024e73'))).toEqual({ type: 'p2a' });
    expect(classify(fromHex('6a0401020304'))).toEqual({ type: 'op-return' });
    expect(classify(fromHex('60020102'))).toMatchObject({ type: 'witness-unknown', version: 16 });
    expect(classify(fromHex(`0015${'00'.repeat(21)}`))).toMatchObject({
      type: 'witness-unknown',
      version: 0,
    });
    for (const hex of ['', '51', '00', `76a914${'00'.repeat(20)}88ad`, `a914${'00'.repeat(20)}88`]) {
      expect(classify(fromHex(hex))).toEqual({ type: 'unknown' });
    }
  });

  it('refuse hashes of another length', () => {
    for (const length of [0, 19, 21, 31, 33]) {
      const hash = new Uint8Array(length);
      expect(() => p2pkhScript(hash)).toThrow(FormError);
      expect(() => p2trScript(hash)).toThrow(FormError);
    }
    expect(() => p2wpkhOfKey(new Uint8Array(65))).toThrow(FormError);
  });
});

describe('witness programs (BIP 141)', () => {
  it.each([
    ['00020102', { version: 0, program: '0102' }],
    ['51020102', { version: 1, program: '0102' }],
    [`6028${'ab'.repeat(40)}`, { version: 16, program: 'ab'.repeat(40) }],
  ])('%s', (hex, { version, program }) => {
    expect(parseWitnessProgram(fromHex(hex))).toEqual({ version, program: fromHex(program) });
  });

  it.each([
    ['1 byte of program', '000101'],
    ['41 bytes of program', `0029${'ab'.repeat(41)}`],
    ['OP_1NEGATE', '4f020102'],
    ['OP_NOP', '61020102'],
    ['OP_PUSHDATA1', '004c020102'],
    ['a byte left over', '0002010203'],
    ['a byte missing', '00030102'],
    ['nothing', ''],
  ])('not with %s', (_, hex) => {
    expect(isWitnessProgram(fromHex(hex))).toBe(false);
  });
});
