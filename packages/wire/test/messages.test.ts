import { isDeepStrictEqual } from 'node:util';
import { ByteReader, createPsbt, msat, sat, toHex } from '@countersign/bitcoin';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Decoded,
  decodeMessage,
  encodeMessage,
  MESSAGE_LIMITS,
  MESSAGES,
  type Message,
  type MessageKind,
  messageNames,
  type Shape,
} from '../src/index.ts';
import { arbitraryMessage, messageShape, sampleOf } from './arbitrary.ts';

const KINDS = ['request', 'reply', 'status'] as const satisfies readonly MessageKind[];

/** Whatever is accepted must be written back unchanged: no two encodings of one message. */
function expectRefusedOrExact(bytes: Uint8Array, decoded: Decoded<Message>): void {
  if (!decoded.ok) {
    if (decoded.error.code !== 'malformed') expect.fail(`unexpected ${decoded.error.code}`);
    return;
  }
  const again = encodeMessage(decoded.message, decoded.trailing);
  if (toHex(again) !== toHex(bytes)) expect.fail(`accepted, but written back otherwise: ${toHex(bytes)}`);
}

const endsOpen = (shape: Shape): boolean => {
  switch (shape.kind) {
    case 'struct':
      return shape.fields.length > 0 && endsOpen(shape.fields.at(-1)!.shape);
    case 'option':
    case 'named':
      return endsOpen(shape.of);
    default:
      return shape.kind === 'tlv' || shape.kind === 'rest';
  }
};

describe.each(messageNames)('%s', (name) => {
  const { kind } = MESSAGES[name];
  const sample = encodeMessage(sampleOf(name));

  test('any value comes back equal', () => {
    fc.assert(
      fc.property(arbitraryMessage(name), (message) => {
        const decoded = decodeMessage(encodeMessage(message), kind);
        return decoded.ok && decoded.trailing.length === 0 && isDeepStrictEqual(decoded.message, message);
      }),
      { numRuns: 25 },
    );
  });

  test('cut off at any byte is refused', () => {
    for (let length = 0; length < sample.length; length++) {
      const cut = sample.slice(0, length);
      const decoded = decodeMessage(cut, kind);
      // What ends with a TLV stream or with free bytes can be cut into a shorter, whole message.
      if (endsOpen(messageShape(name))) expectRefusedOrExact(cut, decoded);
      else if (decoded.ok) expect.fail(`accepted ${length} of ${sample.length} bytes`);
    }
  });

  test('one changed byte is refused or kept', () => {
    fc.assert(
      fc.property(fc.nat(sample.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const changed = sample.slice();
        changed[at]! ^= change;
        expectRefusedOrExact(changed, decodeMessage(changed, kind));
      }),
      { numRuns: 40 },
    );
  });
});

/** Where the lengths and counts of an encoded value stand: an independent walk along its description. */
function lengthFields(shape: Shape, reader: ByteReader, found: { at: number; bytes: 2 | 4 }[]): void {
  const length = (bits: 16 | 32): number => {
    found.push({ at: reader.offset, bytes: bits === 16 ? 2 : 4 });
    return bits === 16 ? reader.u16be() : reader.u32be();
  };
  switch (shape.kind) {
    case 'uint':
      reader.view(shape.bits / 8);
      return;
    case 'u64':
    case 'i64':
      reader.view(8);
      return;
    case 'bool':
    case 'choice':
      reader.u8();
      return;
    case 'bytes':
      reader.view(shape.length);
      return;
    case 'octets':
      reader.view(length(shape.prefixBits));
      return;
    case 'transaction':
    case 'psbt':
      reader.view(length(32));
      return;
    case 'text':
      while (reader.u8() !== 0);
      return;
    case 'option':
      if (reader.u8() === 1) lengthFields(shape.of, reader, found);
      return;
    case 'list':
      for (let left = length(shape.prefixBits); left > 0; left--) lengthFields(shape.of, reader, found);
      return;
    case 'struct':
      for (const field of shape.fields) lengthFields(field.shape, reader, found);
      return;
    case 'named':
      lengthFields(shape.of, reader, found);
      return;
    default:
      return;
  }
}

describe('length fields', () => {
  const targets = messageNames.flatMap((name) => {
    const bytes = encodeMessage(sampleOf(name));
    const reader = new ByteReader(bytes);
    reader.u16be();
    const found: { at: number; bytes: 2 | 4 }[] = [];
    lengthFields(messageShape(name), reader, found);
    return found.map((field) => ({ name, message: bytes, ...field }));
  });

  test('are found', () => {
    expect(targets.length).toBeGreaterThan(80);
  });

  test('set to their maximum, all are refused without a large allocation', () => {
    const before = process.memoryUsage();
    for (const { name, message, at, bytes } of targets) {
      const hostile = message.slice().fill(0xff, at, at + bytes);
      expect(decodeMessage(hostile, MESSAGES[name].kind).ok, name).toBe(false);
    }
    const after = process.memoryUsage();
    expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(32 * 1024 * 1024);
    expect(after.heapUsed - before.heapUsed).toBeLessThan(128 * 1024 * 1024);
  });
});

describe('any bytes', () => {
  const numbers = messageNames.map((name) => MESSAGES[name].number);

  test('never throw, and what is accepted is written back', () => {
    fc.assert(
      fc.property(fc.constantFrom(...numbers), fc.uint8Array({ maxLength: 200 }), (number, body) => {
        const bytes = Uint8Array.of(number >> 8, number & 0xff, ...body);
        for (const kind of KINDS) expectRefusedOrExact(bytes, decodeMessage(bytes, kind));
      }),
      { numRuns: 3000 },
    );
  });

  test('shorter than a type are refused', () => {
    for (const length of [0, 1])
      expect(decodeMessage(new Uint8Array(length), 'request')).toMatchObject({
        ok: false,
        error: { code: 'malformed' },
      });
  });

  test('longer than the limit are refused, at the limit they are not', () => {
    const { messageBytesMax } = MESSAGE_LIMITS;
    expect(messageBytesMax).toBe(4 * 1024 * 1024);
    const atLimit = new Uint8Array(messageBytesMax).fill(0xee);
    expect(decodeMessage(atLimit, 'request').ok).toBe(true);
    expect(decodeMessage(new Uint8Array(messageBytesMax + 1), 'request')).toMatchObject({
      ok: false,
      error: { code: 'oversized', facts: { max_bytes: messageBytesMax } },
    });
    expect(decodeMessage(new Uint8Array(11), 'request', { messageBytesMax: 10 }).ok).toBe(false);
  });
});

describe('decodeMessage', () => {
  test('direction tells 1000 apart', () => {
    const ping = encodeMessage({ name: 'vls_ping', id: 1, message: 'hello' });
    expect(decodeMessage(ping, 'request')).toMatchObject({ ok: true, message: { name: 'vls_ping' } });
    expect(decodeMessage(ping, 'status').ok).toBe(false);
    const bad = encodeMessage({
      name: 'hsmstatus_client_bad_request',
      id: new Uint8Array(33).fill(2),
      description: 'not allowed',
      msg: new Uint8Array(2),
    });
    expect(bad.slice(0, 2)).toEqual(ping.slice(0, 2));
    expect(decodeMessage(bad, 'status')).toMatchObject({ ok: true, message: { description: 'not allowed' } });
  });

  test('a reply’s number is unknown among requests', () => {
    const reply = encodeMessage({ name: 'hsmd_new_channel_reply' });
    expect(decodeMessage(reply, 'request')).toMatchObject({
      ok: true,
      message: { name: 'unknown', type: 130 },
    });
  });

  test('says which field of which message is wrong, and never its bytes', () => {
    const init = sampleOf('hsmd_init');
    const bytes = encodeMessage(init);
    bytes[2 + 8 + 32] = 2;
    expect(decodeMessage(bytes, 'request')).toMatchObject({
      ok: false,
      error: { facts: { message_name: 'hsmd_init', message_type: 11, field: 'hsmEncryptionKey' } },
    });
  });

  test('a field inside a list is named with its path', () => {
    const message = encodeMessage({
      name: 'vls_sign_commitment_tx_with_htlcs_reply',
      sig: { signature: new Uint8Array(64), sighash: 1 },
      htlcSigs: [],
    });
    message[2 + 64] = 2;
    expect(decodeMessage(message, 'reply')).toMatchObject({
      error: { facts: { field: 'sig.sighash', value: 2 } },
    });
  });
});

describe('encodeMessage', () => {
  test('an unknown message keeps its type and body', () => {
    const message = { name: 'unknown', type: 0xabcd, body: Uint8Array.of(1, 2) } as const;
    expect(toHex(encodeMessage(message))).toBe('abcd0102');
    expect(() => encodeMessage({ ...message, type: 0x1_0000 })).toThrow('out of range');
  });

  test('refuses values no encoding has', () => {
    expect(() =>
      encodeMessage({ name: 'hsmd_check_pubkey', index: -1, pubkey: new Uint8Array(33).fill(2) }),
    ).toThrow('out of range');
    expect(() => encodeMessage({ name: 'hsmd_ecdh_req', point: new Uint8Array(33) })).toThrow('first byte');
    const named = (first: number) => new Uint8Array(33).fill(9).fill(first, 0, 1);
    for (const first of [0, 2, 3]) encodeMessage({ name: 'hsmd_new_channel', id: named(first), dbid: 1n });
    for (const first of [1, 4, 0xff])
      expect(() => encodeMessage({ name: 'hsmd_new_channel', id: named(first), dbid: 1n })).toThrow(
        'first byte',
      );
    expect(() => encodeMessage({ name: 'hsmd_ecdh_req', point: new Uint8Array(32).fill(2) })).toThrow(
      'wrong number',
    );
    expect(() => encodeMessage({ name: 'vls_ping', id: 1, message: 'two\nlines' })).toThrow(
      'control character',
    );
    expect(() => encodeMessage({ name: 'hsmd_sign_message', msg: new Uint8Array(65_536) })).toThrow(
      'too many bytes',
    );
  });

  test('refuses a name outside the table', () => {
    expect(() => encodeMessage({ name: 'toString' } as unknown as Message)).toThrow('not in the table');
  });

  test('the largest commitment, 483 HTLCs, fits and comes back', () => {
    const output = { value: sat(1000), script: new Uint8Array(34) };
    const input = {
      txid: new Uint8Array(32),
      vout: 0,
      scriptSig: new Uint8Array(0),
      sequence: 0,
      witness: [],
    };
    const tx = {
      version: 2,
      inputs: [input],
      outputs: new Array<typeof output>(487).fill(output),
      locktime: 0,
    };
    const htlc = { side: 'local', amount: msat(5), paymentHash: new Uint8Array(32), cltvExpiry: 5 } as const;
    const sig = { signature: new Uint8Array(64), sighash: 1 };
    const message: Message = {
      name: 'hsmd_validate_commitment_tx',
      tx: { tx, psbt: createPsbt(tx) },
      htlcs: new Array<typeof htlc>(483).fill(htlc),
      commitNum: 5n,
      feerate: 253,
      sig,
      htlcSigs: new Array<typeof sig>(483).fill(sig),
    };
    const decoded = decodeMessage(encodeMessage(message), 'request');
    expect(decoded.ok && isDeepStrictEqual(decoded.message, message)).toBe(true);
  });

  test('refuses to grow beyond the limit', () => {
    const message = { name: 'hsmd_sign_message', msg: new Uint8Array(100) } as const;
    expect(encodeMessage(message, undefined, { messageBytesMax: 104 })).toHaveLength(104);
    expect(() => encodeMessage(message, undefined, { messageBytesMax: 103 })).toThrow('too large');
  });
});
