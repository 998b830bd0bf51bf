import { toHex } from '@countersign/bitcoin';
import { describe, expect, it } from 'vitest';
import { continueText, dbWriteId, parseRequest, RpcReader, resultText } from '../src/plugin/json-rpc.ts';
import { VALUES_MAX, valuesOf } from '../src/plugin/literals.ts';

const hex = (byte: number, length = 32): string => byte.toString(16).padStart(2, '0').repeat(length);
const found = (...statements: string[]): string[] => valuesOf(statements).map(toHex);

describe('32-byte values of SQL', () => {
  it('are found wherever they stand, in either case', () => {
    expect(
      found(
        `UPDATE channel_htlcs SET hstate=17, payment_key=x'${hex(1)}' WHERE id=5`,
        `INSERT INTO anything_at_all VALUES (X'${hex(0xab).toUpperCase()}', 'text', NULL,x'${hex(3)}')`,
      ),
    ).toEqual([hex(1), hex(0xab), hex(3)]);
  });

  it('are 32 bytes long and nothing else', () => {
    const others = [31, 33, 64, 65, 0].map((length) => `x'${hex(1, length)}'`);
    expect(found(`SELECT ${others.join(', ')}`)).toEqual([]);
    expect(found(`'${hex(1)}'`, hex(1), `x"${hex(1)}"`, `x'${hex(1).slice(1)}g'`)).toEqual([]);
  });

  it('come once each', () => {
    expect(found(`x'${hex(1)}' x'${hex(2)}'`, `X'${hex(1)}'`)).toEqual([hex(1), hex(2)]);
  });

  it('are bounded, however large a write is', () => {
    const one = (i: number): string => `x'${i.toString(16).padStart(64, '0')}'`;
    const statement = Array.from({ length: VALUES_MAX + 10 }, (_, i) => one(i)).join();
    expect(valuesOf([statement, statement])).toHaveLength(VALUES_MAX);
    expect(valuesOf(['x'.repeat(5_000_000)])).toEqual([]);
    expect(valuesOf(["x'".repeat(2_000_000)])).toEqual([]);
  });
});

describe('lightningd’s messages', () => {
  const one = '{"id":1,"method":"a"}';
  const two = '{"id":"x/2","method":"b","params":{"c":"\\n\\n"}}';

  it('are found in any chunking', () => {
    const bytes = Buffer.from(`${one}\n\n${two}\n\n`);
    for (let size = 1; size <= bytes.length; size++) {
      const reader = new RpcReader();
      const texts: string[] = [];
      for (let at = 0; at < bytes.length; at += size)
        texts.push(...reader.push(bytes.subarray(at, at + size)));
      expect(texts.map((text) => text.trim())).toEqual([one, two]);
    }
  });

  it('are writes to the database, told without being parsed', () => {
    const write = (params: string): string =>
      `{"jsonrpc":"2.0","id":"cln:db_write#7","method":"db_write","params":${params}}`;
    const plain = write('{"data_version":5,"writes":["UPDATE t SET b=X\'00\'"]}');
    expect(dbWriteId(plain)).toBe('"cln:db_write#7"');
    expect(dbWriteId(JSON.stringify(JSON.parse(plain), null, 2))).toBe('"cln:db_write#7"');
    expect(dbWriteId(plain.replace('"cln:db_write#7"', '12'))).toBe('12');
    expect(continueText('"cln:db_write#7"')).toBe(resultText('cln:db_write#7', { result: 'continue' }));
    expect(continueText('12')).toBe(resultText(12, { result: 'continue' }));
  });

  it('are parsed where letters stand for others, or anything is not as lightningd writes it', () => {
    const hex = 'ab'.repeat(32);
    for (const text of [
      `{"jsonrpc":"2.0","id":"1","method":"db_write","params":{"writes":["x\\u0027${hex}'"]}}`,
      '{"jsonrpc":"2.0","id":"\\"1","method":"db_write","params":{}}',
      '{"jsonrpc":"2.0","id":"1","method":"db_writes","params":{}}',
      '{"jsonrpc":"2.0","id":"1","method":"init","params":{"x":{"method":"db_write","y":1}}}',
      '{"id":"1","method":"db_write","params":{}}',
      '{"jsonrpc":"2.0","method":"db_write","params":{}}',
      '{"jsonrpc":"2.0","id":{},"method":"db_write","params":{}}',
      `{"jsonrpc":"2.0","id":"${'x'.repeat(300)}","method":"db_write","params":{}}`,
    ])
      expect(dbWriteId(text)).toBeUndefined();
  });

  it('are requests, notifications or neither', () => {
    expect(parseRequest(one)).toEqual({ id: 1, method: 'a', params: undefined });
    expect(parseRequest(two)).toEqual({ id: 'x/2', method: 'b', params: { c: '\n\n' } });
    expect(parseRequest('{"method":"shutdown"}')).toMatchObject({ id: undefined });
    for (const text of [
      '',
      'null',
      '7',
      '[]',
      '{}',
      '{"id":{},"method":"a"}',
      '{"method":5}',
      '{"id":1',
      '\u0000',
    ])
      expect(parseRequest(text)).toBeUndefined();
  });
});
