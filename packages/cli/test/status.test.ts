import { fromHex } from '@countersign/bitcoin';
import { describe, expect, it } from 'vitest';
import { readStatistics, readStatus } from '../src/replay/status.ts';

const hex = (text: string) => Buffer.from(text).toString('hex');

describe('status messages', () => {
  it('reads version, log with and without peer, failure and bad request', () => {
    const peer = '02'.repeat(33);
    expect(readStatus(fromHex(`fff6${hex('v26.06')}00`))).toEqual({ kind: 'version', version: 'v26.06' });
    expect(readStatus(fromHex(`fff00600${hex('no')}00`))).toEqual({ kind: 'log', level: 6, text: 'no' });
    expect(readStatus(fromHex(`fff00301${peer}${hex('hm')}00`))).toEqual({
      kind: 'log',
      level: 3,
      text: 'hm',
    });
    expect(readStatus(fromHex(`fff203${hex('FATAL')}00`))).toEqual({ kind: 'fail', text: 'FATAL' });
    expect(readStatus(fromHex(`03e8${peer}${hex('bad')}000000`))).toEqual({
      kind: 'bad-request',
      text: 'bad',
    });
    expect(readStatus(fromHex('1234'))).toEqual({ kind: 'other', type: 0x1234 });
  });

  it('throws on a message that ends too early', () => {
    for (const short of ['', 'ff', 'fff006', 'fff00601'])
      expect(() => readStatus(fromHex(short))).toThrow(/truncated/);
  });
});

describe('the statistics line', () => {
  it('is read, missing numbers as 0', () => {
    expect(readStatistics('countersign stats {"commits":3,"batches":2,"records":9,"more":1}')).toEqual({
      commits: 3,
      batches: 2,
      records: 9,
    });
    expect(readStatistics('countersign stats {"commits":"3"}')).toEqual({
      commits: 0,
      batches: 0,
      records: 0,
    });
  });

  it('is nothing else', () => {
    for (const line of ['countersign stats', 'countersign stats {', 'countersign stats 5', '{"commits":3}']) {
      expect(readStatistics(line)).toBeUndefined();
    }
  });
});
