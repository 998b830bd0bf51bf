import { fromHex } from '@countersign/bitcoin';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Answer, compare, readRefusal } from '../src/replay/compare.ts';
import type { Expectation } from '../src/replay/recording.ts';

const text = (value: string) => new TextEncoder().encode(value);
const refusal = (value: string) => Uint8Array.of(0x0b, 0xb8, 0, 1, ...text(value), 0);
const reply = (hex: string): Answer => ({ kind: 'reply', body: fromHex(hex) });
const expected = (hex: string): Expectation => ({ kind: 'reply', body: fromHex(hex) });

describe('the verdict on an answer', () => {
  it('is identical for the recorded bytes and a mismatch for any other bytes', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 2, maxLength: 80 }),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (body, at, flip) => {
          const changed = body.slice();
          changed[at % body.length]! ^= flip;
          // A refusal, or INIT_REPLY_FAILURE with its free text, is judged otherwise.
          fc.pre(readRefusal(changed) === undefined && !(body[0] === 0 && body[1] === 115));
          expect(compare({ kind: 'reply', body }, { kind: 'reply', body: body.slice() }).kind).toBe(
            'identical',
          );
          expect(compare({ kind: 'reply', body }, { kind: 'reply', body: changed }).kind).toBe('mismatch');
        },
      ),
    );
  });

  it('names the first byte that differs', () => {
    expect(compare(expected('0070aabbcc'), reply('0070aadd'))).toEqual({
      kind: 'mismatch',
      what: 'differs from byte 3: expected bbcc, got dd',
    });
  });

  it('is a refusal with its tag for SignerError, whatever was recorded', () => {
    const body = refusal('policy-revoke-not-closed: the channel is closing [number=3]');
    const answer: Answer = { kind: 'reply', body };
    for (const recorded of [expected('0070'), { kind: 'fatal' }, { kind: 'client-closed' }] as const) {
      expect(compare(recorded, answer)).toEqual({
        kind: 'refused',
        tag: 'policy-revoke-not-closed',
        text: 'policy-revoke-not-closed: the channel is closing [number=3]',
      });
    }
  });

  it('does not take a SignerError without tag, or without its NUL, for a refusal', () => {
    expect(compare(expected('0070'), { kind: 'reply', body: refusal(' no tag') }).kind).toBe('mismatch');
    expect(compare(expected('0070'), { kind: 'reply', body: refusal('tag: x').subarray(0, -1) }).kind).toBe(
      'mismatch',
    );
  });

  it('is a refusal for the words that a splice gets where it was signed, and for nothing like it', () => {
    const signed = (signature: string) => {
      const bytes = new Uint8Array(64);
      bytes.set(text(signature));
      return Uint8Array.of(0, 112, ...bytes, 1);
    };
    const placeholder = signed('Countersign: not signed, commit-ments of this splice come first.');
    const recorded: Expectation = { kind: 'reply', body: signed('') };
    expect(compare(recorded, { kind: 'reply', body: placeholder })).toMatchObject({
      kind: 'refused',
      tag: 'splice-not-signed-yet',
    });
    for (const body of [
      signed('Countersign: signed'),
      placeholder.slice(0, -1),
      signed('countersign: not signed'),
    ])
      expect(compare(recorded, { kind: 'reply', body }).kind).toBe('mismatch');
    expect(compare(expected('0070'), { kind: 'reply', body: placeholder }).kind).toBe('mismatch');
  });

  it('names a claim that is signed whole where it was signed SINGLE|ANYONECANPAY, and nothing like it', () => {
    const signed = (signature: number, sighash: number) =>
      Uint8Array.of(0, 112, ...new Uint8Array(64).fill(signature), sighash);
    const recorded: Expectation = { kind: 'reply', body: signed(1, 0x83) };
    const told = (body: Uint8Array) => compare(recorded, { kind: 'reply', body });
    expect(told(signed(2, 0x01))).toMatchObject({ kind: 'refused', tag: 'signed-whole' });
    for (const body of [
      signed(2, 0x83),
      signed(2, 0x02),
      signed(2, 0x01).slice(0, -1),
      Uint8Array.of(0, 113),
    ])
      expect(told(body).kind).toBe('mismatch');
    const whole: Expectation = { kind: 'reply', body: signed(1, 0x01) };
    for (const sighash of [0x01, 0x83])
      expect(compare(whole, { kind: 'reply', body: signed(2, sighash) }).kind).toBe('mismatch');
  });

  it('is a refusal for a preapproval that is declined where it was approved, and for nothing like it', () => {
    for (const type of ['008a', '008b']) {
      expect(compare(expected(`${type}01`), reply(`${type}00`))).toMatchObject({
        kind: 'refused',
        tag: 'preapproval-declined',
      });
      expect(compare(expected(`${type}00`), reply(`${type}01`)).kind).toBe('mismatch');
      expect(compare(expected(`${type}01`), reply(`${type}02`)).kind).toBe('mismatch');
      expect(compare(expected(`${type}01`), reply(`${type}0000`)).kind).toBe('mismatch');
      expect(compare(expected(`${type}0100`), reply(`${type}00`)).kind).toBe('mismatch');
    }
    expect(compare(expected('008c01'), reply('008c00')).kind).toBe('mismatch');
    expect(compare(expected('008a01'), reply('008b00')).kind).toBe('mismatch');
    expect(compare(expected('008a01'), reply('00')).kind).toBe('mismatch');
  });

  it('compares number and not words of INIT_REPLY_FAILURE', () => {
    const recorded = expected('00730000000361626300');
    expect(compare(recorded, reply('007300000003646500')).kind).toBe('identical');
    expect(compare(recorded, reply('00730000000461626300')).kind).toBe('mismatch');
    expect(compare(expected('0070'), reply('00730000000300')).kind).toBe('mismatch');
  });

  it('takes a closed socket only where one was recorded', () => {
    expect(compare({ kind: 'client-closed' }, { kind: 'closed' }).kind).toBe('identical');
    expect(compare({ kind: 'fatal' }, { kind: 'closed' }).kind).toBe('identical');
    expect(compare(expected('0070'), { kind: 'closed' }).kind).toBe('mismatch');
    expect(compare({ kind: 'nothing' }, { kind: 'closed' }).kind).toBe('mismatch');
  });

  it('never takes a missing answer for the recorded one', () => {
    for (const answer of [
      { kind: 'timeout', waitedMs: 1000 },
      { kind: 'unsent', why: 'x' },
    ] as const) {
      for (const recorded of [expected('0070'), { kind: 'fatal' }, { kind: 'nothing' }] as const) {
        expect(compare(recorded, answer).kind).toBe('mismatch');
      }
    }
  });
});
