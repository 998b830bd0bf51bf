import { FormError } from '@countersign/bitcoin';
import { describe, expect, test } from 'vitest';
import {
  decodeMessage,
  definitionOf,
  encodeMessage,
  PREIMAGES_MAX,
  renderMessagesDocument,
} from '../src/index.ts';

const value = (i: number): Uint8Array => new Uint8Array(32).fill(i & 0xff);
const values = (count: number): Uint8Array[] => Array.from({ length: count }, (_, i) => value(i));

describe('countersign_preimages', () => {
  test('is number 4000, a u16 count and 32 bytes each', () => {
    const bytes = encodeMessage({ name: 'countersign_preimages', preimages: [value(1), value(2)] });
    expect([...bytes.subarray(0, 4)]).toEqual([0x0f, 0xa0, 0, 2]);
    expect(bytes).toHaveLength(4 + 64);
    expect([...encodeMessage({ name: 'countersign_preimages_reply', learned: 258 })]).toEqual([
      0x0f, 0xd2, 1, 2,
    ]);
  });

  test('holds at most 1,024 values', () => {
    const most = encodeMessage({ name: 'countersign_preimages', preimages: values(PREIMAGES_MAX) });
    expect(decodeMessage(most, 'request').ok).toBe(true);
    expect(() =>
      encodeMessage({ name: 'countersign_preimages', preimages: values(PREIMAGES_MAX + 1) }),
    ).toThrow(FormError);
    const more = new Uint8Array(4 + 32 * (PREIMAGES_MAX + 1));
    more.set(most);
    new DataView(more.buffer).setUint16(2, PREIMAGES_MAX + 1);
    const decoded = decodeMessage(more, 'request');
    if (decoded.ok) return expect.fail('accepted');
    expect(decoded.error).toMatchObject({
      code: 'malformed',
      facts: { field: 'preimages', count: PREIMAGES_MAX + 1, max: PREIMAGES_MAX },
    });
  });

  test('never enters a log: its values are marked as secret', () => {
    const { describe: shape } = definitionOf('countersign_preimages').fields.preimages!;
    expect(shape).toMatchObject({ kind: 'list', of: { kind: 'named', name: 'preimage', secret: true } });
    expect(renderMessagesDocument()).toContain('| `preimage` | 32 bytes; never logged |');
    expect(renderMessagesDocument()).toContain('`preimages` [preimage, at most 1024]');
  });
});
