import { inspect } from 'node:util';
import { serialize } from 'node:v8';
import { FormError, InvariantError, loadSecp256k1, toHex } from '@countersign/bitcoin';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as exported from '../../src/keys/index.ts';
import { KeyRing } from '../../src/keys/keyring.ts';
import { reveal, Secret, withTemporary } from '../../src/keys/secret.ts';

const BYTES = Uint8Array.from({ length: 32 }, (_, i) => 0xa0 + i);
const HEX = toHex(BYTES);

/** Every way a value ends up in text: none may contain the bytes in hex, decimal, base64 or raw form. */
function leaks(text: string): boolean {
  const forms = [HEX, Buffer.from(BYTES).toString('base64'), [...BYTES].join(','), [...BYTES].join(', ')];
  const rawTail = Buffer.from(BYTES).toString('latin1').slice(4);
  return forms.some((form) => text.includes(form)) || text.includes(rawTail) || text.includes('160, 161');
}

describe('Secret', () => {
  const secret = Secret.copy(BYTES, 32);

  it('prints as [secret] however it is printed', () => {
    const printed = [
      String(secret),
      `${secret}`,
      secret.toString(),
      ['', secret].join('x'),
      inspect(secret),
      inspect({ nested: [secret] }, { depth: 9, showHidden: true }),
      inspect(secret, { customInspect: false, showHidden: true }),
      new Error(`bad ${secret}`).message,
      inspect(new Error('x', { cause: secret })),
      Object.keys(secret).join(),
      JSON.stringify(Object.getOwnPropertyNames(secret)),
      serialize({ ...secret }).toString('latin1'),
    ];
    for (const text of printed) expect(leaks(text), text).toBe(false);
    expect(String(secret)).toBe('[secret]');
    expect(inspect({ key: secret })).toBe('{ key: [secret] }');
  });

  it('cannot be encoded as JSON', () => {
    expect(() => JSON.stringify({ a: [secret] })).toThrow(TypeError);
  });

  it('does not survive a structured clone', () => {
    expect(leaks(inspect(structuredClone({ ...secret }), { showHidden: true }))).toBe(false);
    let text = '';
    try {
      text = inspect(structuredClone(secret), { showHidden: true, customInspect: false });
    } catch {
      text = 'refused';
    }
    expect(leaks(text)).toBe(false);
  });

  it('compares by content, of both kinds', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        fc.nat(255),
        fc.integer({ min: 1, max: 255 }),
        (bytes, at, flip) => {
          const other = bytes.slice();
          other[at % 32]! ^= flip;
          const one = Secret.copy(bytes, 32);
          expect(one.equals(bytes)).toBe(true);
          expect(one.equals(Secret.copy(bytes, 32))).toBe(true);
          expect(one.equals(other)).toBe(false);
          expect(one.equals(bytes.subarray(1))).toBe(false);
        },
      ),
    );
  });

  it('copies or takes over, and refuses other lengths', () => {
    const mine = BYTES.slice();
    const copy = Secret.copy(mine, 32);
    mine.fill(0);
    expect(copy.equals(BYTES)).toBe(true);
    const buffer = Buffer.from(BYTES);
    const ofBuffer = Secret.copy(buffer, 32);
    buffer.fill(0);
    expect(ofBuffer.equals(BYTES)).toBe(true);
    const given = BYTES.slice();
    const owned = Secret.own(given, 32);
    owned.wipe();
    expect(given).toEqual(new Uint8Array(32));
    const wrong = BYTES.slice(0, 31);
    expect(() => Secret.own(wrong, 32)).toThrow(FormError);
    expect(wrong).toEqual(new Uint8Array(31));
    expect(() => Secret.copy(BYTES, 64)).toThrow(FormError);
  });

  it('is of no use after wiping', () => {
    const gone = Secret.copy(BYTES, 32);
    const bytes = reveal(gone);
    {
      using scoped = gone;
      expect(scoped.isWiped).toBe(false);
    }
    expect(gone.isWiped).toBe(true);
    expect(bytes).toEqual(new Uint8Array(32));
    expect(() => reveal(gone)).toThrow(InvariantError);
    expect(() => gone.equals(BYTES)).toThrow(InvariantError);
    expect(() => secret.equals(gone)).toThrow(InvariantError);
    expect(gone.length).toBe(32);
  });

  it('withTemporary wipes also when the use throws', () => {
    const key = BYTES.slice();
    expect(() =>
      withTemporary(key, () => {
        throw new FormError('no');
      }),
    ).toThrow(FormError);
    expect(key).toEqual(new Uint8Array(32));
  });
});

describe('the folder keys/', () => {
  it('exports no way to read a secret', () => {
    for (const name of ['reveal', 'withTemporary', 'ringSecrets', 'channelKeys', 'withWalletKey']) {
      expect(exported).not.toHaveProperty(name);
    }
  });

  it('a key ring shows nothing secret when inspected or encoded', () => {
    const ring = new KeyRing({
      secp256k1: loadSecp256k1(),
      seed: Secret.copy(BYTES, 32),
      bip32PublicVersion: 0x043587cf,
      force: { nodePrivateKey: Secret.copy(BYTES, 32) },
    });
    const texts = [
      inspect(ring, { depth: 20, showHidden: true }),
      JSON.stringify({ ...ring, secp256k1: undefined }),
      String(ring),
    ];
    for (const text of texts) expect(leaks(text), text).toBe(false);
  });
});
