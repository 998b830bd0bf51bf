import { RawTx } from '@scure/btc-signer';
import { Transaction as BitcoinjsTransaction } from 'bitcoinjs-lib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  ByteReader,
  ByteWriter,
  compactSizeLength,
  concat,
  equalBytes,
  equalOutPoints,
  FormError,
  fromHex,
  hasWitness,
  outPointFromString,
  outPointToString,
  parseTransaction,
  readCompactSize,
  sat,
  serializeNoWitness,
  serializeTransaction,
  type Transaction,
  toHex,
  txid,
  txidFromHex,
  txidToHex,
  weight,
  writeCompactSize,
  wtxid,
} from '../src/index.ts';
import { hash32, mutate, transaction, u32 } from './generators.ts';
import { psbtIn, recordedMessages } from './recordings.ts';

const plain = (b: Uint8Array): Uint8Array => Uint8Array.from(b);

/** BIP 143, "Native P2WPKH": the signed transaction. */
const SIGNED = fromHex(
  '01000000000102fff7f7881a8099afa6940d42d1e7f6362bec38171ea3edf433541db4e4ad969f00000000494830450221008b9d1dc26ba6a9cb62127b02742fa9d754cd3bebf337f7a55d114c8e5cdd30be022040529b194ba3f9281a99f2b1c0a19c0489bc22ede944ccf4ecbab4cc618ef3ed01eeffffffef51e1b804cc89d182d279655c3aa89e815b1b309fe287d9b2b55d57b90ec68a0100000000ffffffff02202cb206000000001976a9148280b37df378db99f66f85c95a783a76ac7a6d5988ac9093510d000000001976a9143bde42dbee7e4dbe6a21b2d50ce2f0167faa815988ac000247304402203609e17b84f6a7d30c80bfa610b5b4542f32a8a0d5447a12fb1366d7f01cc44a0220573a954c4518331561406f90300e8f3358f51928d43c212a8caed02de67eebee0121025476c2e83188368da1ff3e292e7acafcdb3566bb0ad253f62fc70f07aeee635711000000',
);
/** The genesis block's transaction, whose txid everyone knows. */
const GENESIS = fromHex(
  '01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff4d04ffff001d0104455468652054696d65732030332f4a616e2f32303039204368616e63656c6c6f72206f6e206272696e6b206f66207365636f6e64206261696c6f757420666f722062616e6b73ffffffff0100f2052a01000000434104678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb649f6bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5fac00000000',
);

const bare = { allowWitness: false } as const;

describe('canonical transactions', () => {
  it('the genesis transaction', () => {
    const tx = parseTransaction(GENESIS);
    expect(txidToHex(txid(tx))).toBe('4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b');
    expect(wtxid(tx)).toEqual(txid(tx));
    expect(weight(tx)).toBe(4 * GENESIS.length);
    expect(serializeTransaction(tx)).toEqual(GENESIS);
  });

  it('BIP 143, signed native P2WPKH', () => {
    const tx = parseTransaction(SIGNED);
    expect(serializeTransaction(tx)).toEqual(SIGNED);
    expect(hasWitness(tx)).toBe(true);
    expect(weight(tx)).toBe(3 * serializeNoWitness(tx).length + SIGNED.length);
  });

  it('parse, serialize, txid, wtxid and weight equal bitcoinjs', () => {
    fc.assert(
      fc.property(transaction, (tx) => {
        const raw = serializeTransaction(tx);
        const oracle = BitcoinjsTransaction.fromBuffer(raw);
        expect(plain(oracle.toBuffer())).toEqual(raw);
        expect(plain(oracle.getHash())).toEqual(txid(tx));
        if (hasWitness(tx)) expect(plain(oracle.getHash(true))).toEqual(wtxid(tx));
        expect(oracle.weight()).toBe(weight(tx));
        expect(parseTransaction(raw)).toEqual(tx);
        expect(parseTransaction(serializeNoWitness(tx), bare)).toEqual({
          ...tx,
          inputs: tx.inputs.map((input) => ({ ...input, witness: [] })),
        });
      }),
    );
  });

  it('read the same by scure', () => {
    fc.assert(
      fc.property(transaction, (tx) => {
        const oracle = RawTx.decode(serializeTransaction(tx));
        expect(oracle.inputs.map((i) => [toHex(i.txid), i.index])).toEqual(
          tx.inputs.map((i) => [txidToHex(i.txid), i.vout]),
        );
        expect(oracle.outputs.map((o) => o.amount)).toEqual(tx.outputs.map((o) => o.value));
        expect(oracle.lockTime).toBe(tx.locktime);
      }),
    );
  });

  it('those CLN sent survive unchanged', () => {
    let seen = 0;
    for (const { request, where } of recordedMessages()) {
      const found = psbtIn(request);
      if (found === undefined) continue;
      const raw = transactionBefore(request, found.at);
      if (raw === undefined) continue;
      seen++;
      const tx = parseTransaction(raw);
      if (!equalBytes(serializeTransaction(tx), raw)) expect.fail(where);
    }
    expect(seen).toBeGreaterThan(6000);
  });
});

/** `bitcoin_tx` puts u32 length and transaction right before the PSBT: the only start that reaches it exactly. */
function transactionBefore(message: Uint8Array, end: number): Uint8Array | undefined {
  const view = new DataView(message.buffer, message.byteOffset);
  for (let at = end - 4 - 10; at >= 2; at--) {
    const length = view.getUint32(at);
    if (length === end - at - 4 && view.getUint32(at + 4) === 0x0200_0000) return message.slice(at + 4, end);
  }
  return undefined;
}

describe('hostile bytes', () => {
  it.each([
    ['segwit', SIGNED],
    ['bare', GENESIS],
  ])('%s, cut at every byte', (_, raw) => {
    for (let length = 0; length < raw.length; length++) {
      expect(() => parseTransaction(raw.slice(0, length))).toThrow(FormError);
    }
    expect(() => parseTransaction(concat(raw, Uint8Array.of(0)))).toThrow(/trailing/);
  });

  it('mutated: FormError, or a value that is exactly those bytes', () => {
    fc.assert(
      fc.property(fc.oneof(mutate(SIGNED), mutate(GENESIS)), fc.boolean(), (raw, allowWitness) => {
        let tx: Transaction;
        try {
          tx = parseTransaction(raw, { allowWitness });
        } catch (error) {
          expect(error).toBeInstanceOf(FormError);
          return;
        }
        expect(serializeTransaction(tx)).toEqual(raw);
      }),
      { numRuns: 3000 },
    );
  });

  const header = '02000000';
  const input = `${'11'.repeat(32)}0000000000ffffffff`;
  const output = '010000000000000000';
  const locktime = '00000000';
  it.each([
    ['a count of inputs that cannot be there', `${header}fdffff${input}`],
    ['a count of 2^32 outputs', `${header}01${input}ff0000000001000000`],
    ['a count of 2^63 inputs', `${header}ff0000000000000080`],
    ['a count not minimal', `${header}fd0100${input}01${output}${locktime}`],
    ['a script length not minimal', `${header}01${'11'.repeat(36)}fd0000ffffffff01${output}${locktime}`],
    ['segwit form without a witness', `${header}000101${input}01${output}00${locktime}`],
    ['an unknown segwit flag', `${header}000201${input}01${output}0101aa${locktime}`],
    ['segwit form without inputs', `${header}00010001${output}${locktime}`],
    ['21 million coins and one satoshi', `${header}01${input}010140075af075070000${locktime}`],
    ['a negative amount', `${header}01${input}01ffffffffffffffff00${locktime}`],
    ['outputs of 42 million coins', `${header}01${input}020040075af0750700000040075af075070000${locktime}`],
    ['a witness count past the end', `${header}000101${input}01${output}fdffff${locktime}`],
    ['inputs counted none, outputs one, in the wide form', `${header}0001${output}${locktime}`],
  ])('refuses %s', (_, hex) => {
    expect(() => parseTransaction(fromHex(hex))).toThrow(FormError);
  });

  it.each([
    ['input', `${header}fdffff${input}`],
    ['output', `${header}01${input}feffffff7f${output}`],
    ['witness', `${header}000101${input}01${output}fdffff${locktime}`],
  ])('refuses an impossible %s count before reading any of them', (what, hex) => {
    expect(() => parseTransaction(fromHex(hex))).toThrow(`truncated: ${what} count`);
  });

  it('accepts exactly 21 million coins', () => {
    const tx = parseTransaction(fromHex(`${header}01${input}010040075af075070000${locktime}`));
    expect(tx.outputs[0]?.value).toBe(2_100_000_000_000_000n);
  });

  it('does not allocate for what is not there', () => {
    const hostile = fromHex(`${header}01${'11'.repeat(36)}feffffff7f`);
    const before = process.memoryUsage().arrayBuffers;
    expect(() => parseTransaction(hostile)).toThrow(FormError);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1_000_000);
    expect(() => parseTransaction(new Uint8Array(4_000_001))).toThrow(/too large/);
  });
});

describe('transactions without inputs (the global transaction of an empty PSBT)', () => {
  const none: Transaction = { version: 2, inputs: [], outputs: [], locktime: 7 };
  it('without outputs reads the same in both forms', () => {
    const raw = serializeTransaction(none);
    expect(toHex(raw)).toBe('02000000000007000000');
    expect(parseTransaction(raw)).toEqual(none);
    expect(parseTransaction(raw, bare)).toEqual(none);
  });

  it('with outputs reads in the bare form only', () => {
    const tx = { ...none, outputs: [{ value: sat(5), script: Uint8Array.of(0x51) }] };
    const raw = serializeTransaction(tx);
    expect(parseTransaction(raw, bare)).toEqual(tx);
    expect(() => parseTransaction(raw)).toThrow(FormError);
  });
});

describe('compact sizes', () => {
  it.each([0, 0xfc, 0xfd, 0xffff, 0x1_0000, 0xffff_ffff, 0x1_0000_0000, Number.MAX_SAFE_INTEGER])(
    '%i',
    (value) => {
      const writer = new ByteWriter(16);
      writeCompactSize(writer, value);
      const encoded = writer.finish();
      expect(encoded.length).toBe(compactSizeLength(value));
      expect(readCompactSize(new ByteReader(encoded))).toBe(value);
      for (let length = 0; length < encoded.length; length++) {
        expect(() => readCompactSize(new ByteReader(encoded.slice(0, length)))).toThrow(FormError);
      }
    },
  );

  it.each(['fdfc00', 'feffff0000', 'ffffffffff00000000', 'ff0000000000002000', 'ffffffffffffffffff'])(
    'refuses %s',
    (hex) => {
      expect(() => readCompactSize(new ByteReader(fromHex(hex)))).toThrow(FormError);
    },
  );
});

describe('outpoints and txids', () => {
  it('round trip through their text', () => {
    fc.assert(
      fc.property(hash32, u32, (id, vout) => {
        const text = outPointToString({ txid: id, vout });
        expect(text).toBe(`${Buffer.from(id).reverse().toString('hex')}:${vout}`);
        const back = outPointFromString(text);
        expect(equalOutPoints(back, { txid: id, vout })).toBe(true);
        expect(equalOutPoints(back, { txid: id, vout: vout ^ 1 })).toBe(false);
        expect(txidFromHex(txidToHex(id))).toEqual(id);
      }),
    );
  });

  it.each([
    '',
    'aa:0',
    `${'aa'.repeat(32)}`,
    `${'aa'.repeat(32)}:01`,
    `${'aa'.repeat(32)}:4294967296`,
    `${'AA'.repeat(32)}:0`,
  ])('refuses "%s"', (text) => {
    expect(() => outPointFromString(text)).toThrow(FormError);
  });

  it('refuses a txid of another length, in text and in a transaction', () => {
    expect(() => txidFromHex('aa')).toThrow(FormError);
    const input = {
      txid: new Uint8Array(31),
      vout: 0,
      scriptSig: new Uint8Array(0),
      sequence: 0,
      witness: [],
    };
    expect(() => serializeNoWitness({ version: 2, inputs: [input], outputs: [], locktime: 0 })).toThrow(
      FormError,
    );
  });
});
