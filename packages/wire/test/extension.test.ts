import { FormError } from '@countersign/bitcoin';
import { describe, expect, test } from 'vitest';
import {
  BLOCK_CHUNK_BYTES_MAX,
  decodeMessage,
  definitionOf,
  encodeMessage,
  HEADERS_MAX,
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

const HASH = new Uint8Array(32).fill(0xab);
const TIP = {
  tipHeightBlocks: 900_000,
  tipHash: HASH,
  provenHeightBlocks: 899_999,
  birthdayHeightBlocks: 890_000,
  isLocked: true,
};

describe('the messages about the chain', () => {
  test('have the numbers 4001 to 4004, and replies 50 above', () => {
    const numbers = [
      'countersign_chain_tip',
      'countersign_headers',
      'countersign_block_chunk',
      'countersign_header_hash',
    ] as const;
    for (const [i, name] of numbers.entries()) {
      expect(definitionOf(name).number).toBe(4001 + i);
      expect(definitionOf(`${name}_reply`).number).toBe(4051 + i);
    }
  });

  test('countersign_chain_tip_reply is absent, or heights, hash and a flag', () => {
    const name = 'countersign_chain_tip_reply';
    const begins = { firstHeightBlocks: 1, lastHeightBlocks: 2016 };
    expect([...encodeMessage({ name, tip: undefined, begins })]).toEqual([
      0x0f, 0xd3, 0, 1, 0, 0, 0, 1, 0, 0, 7, 0xe0,
    ]);
    const bytes = encodeMessage({ name, tip: TIP, begins: undefined });
    expect(bytes).toHaveLength(2 + 1 + 4 + 32 + 4 + 4 + 1 + 1);
    expect(decodeMessage(bytes, 'reply')).toMatchObject({ ok: true, message: { name, tip: TIP } });
    expect(encodeMessage({ name: 'countersign_headers_reply', tip: TIP }).subarray(2)).toEqual(
      bytes.subarray(2, -1),
    );
  });

  test('countersign_headers holds 2,016 headers of 80 bytes', () => {
    const headers = Array.from({ length: HEADERS_MAX }, () => new Uint8Array(80));
    const most = encodeMessage({ name: 'countersign_headers', headers });
    expect(most).toHaveLength(4 + 161_280);
    expect(decodeMessage(most, 'request').ok).toBe(true);
    expect(() => encodeMessage({ name: 'countersign_headers', headers: [...headers, headers[0]!] })).toThrow(
      FormError,
    );
    expect(() => encodeMessage({ name: 'countersign_headers', headers: [new Uint8Array(81)] })).toThrow(
      FormError,
    );
    const cut = decodeMessage(most.subarray(0, most.length - 1), 'request');
    expect(cut.ok).toBe(false);
  });

  test('countersign_block_chunk holds 128 KiB', () => {
    const chunk = { name: 'countersign_block_chunk', heightBlocks: 5, offset: 6, totalBytes: 7 } as const;
    const most = encodeMessage({ ...chunk, content: new Uint8Array(BLOCK_CHUNK_BYTES_MAX) });
    expect(decodeMessage(most, 'request')).toMatchObject({ ok: true, message: chunk });
    const more = new Uint8Array(BLOCK_CHUNK_BYTES_MAX + 1);
    expect(() => encodeMessage({ ...chunk, content: more })).toThrow(FormError);
    new DataView(most.buffer).setUint32(14, BLOCK_CHUNK_BYTES_MAX + 1);
    expect(decodeMessage(most, 'request')).toMatchObject({
      ok: false,
      error: { facts: { field: 'content', max: BLOCK_CHUNK_BYTES_MAX } },
    });
  });

  test('countersign_header_hash_reply is absent or 32 bytes', () => {
    const name = 'countersign_header_hash_reply';
    expect(encodeMessage({ name, hash: undefined })).toHaveLength(3);
    expect(encodeMessage({ name, hash: HASH })).toHaveLength(35);
  });
});
