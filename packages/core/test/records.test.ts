/**
 * Records as bytes: what is written comes back, and bytes of another form or a newer version stop the signer
 * instead of being guessed at. Drafts: several changes of one record are one step.
 */
import { concat } from '@countersign/bitcoin';
import {
  channelRecords,
  Draft,
  decodeRecord,
  encodeRecord,
  formerChannelRecords,
  fundingRecords,
  type RecordKind,
  recordKey,
} from '@countersign/core';
import { u32 } from '@countersign/wire';
import { describe, expect, it } from 'vitest';
import { channelId } from '../src/channel/lookup.ts';
import { emptyChannel } from '../src/records/channel.ts';
import { htlc } from './channel-model.ts';
import { canonical, MemoryState } from './memory-state.ts';
import { adding, KINDS, OpenChannel } from './open-channel.ts';

const number: RecordKind<number> = {
  name: 'number',
  schemaVersion: 3,
  codec: u32,
  migrations: { 2: (bytes) => bytes[0]! * 10 },
};

describe('a record', () => {
  it('begins with its schema version and comes back as it was', () => {
    const bytes = encodeRecord(number, 0x01020304);
    expect([...bytes]).toEqual([3, 1, 2, 3, 4]);
    expect(decodeRecord(number, bytes)).toBe(0x01020304);
  });

  it('of an older version is migrated', () => {
    expect(decodeRecord(number, Uint8Array.of(2, 7))).toBe(70);
  });

  it('of a newer version is refused', () => {
    expect(() => decodeRecord(number, Uint8Array.of(4, 0, 0, 0, 0))).toThrow(
      expect.objectContaining({
        code: 'record-newer-schema',
        facts: { schema_version: 4, schema_version_known: 3 },
      }),
    );
  });

  it.each([
    ['no bytes', []],
    ['an older version without migration', [1, 0, 0, 0, 0]],
    ['a byte missing', [3, 0, 0, 0]],
    ['a byte too many', [3, 0, 0, 0, 0, 0]],
  ])('with %s is unreadable', (_, bytes) => {
    expect(() => decodeRecord(number, Uint8Array.from(bytes))).toThrow(
      expect.objectContaining({ code: 'record-unreadable' }),
    );
  });
});

describe('channel records', () => {
  it.each(KINDS)('keep everything of a busy channel, %s', (_, options) => {
    const channel = new OpenChannel(options).open();
    channel.update(adding(channel.balances, htlc('holder', 20_000, 'a'), htlc('counterparty', 9_000, 'b')));
    channel.candidate(channel.model.spliceOf('splice'));
    channel.signRemote();
    channel.validate();
    const { value } = channel.signer.state.read(channelRecords, channelId(channel.model.ref))!;
    const bytes = encodeRecord(channelRecords, value!);
    expect(canonical(decodeRecord(channelRecords, bytes))).toBe(canonical(value));
    // Every byte short of it is noticed.
    for (let length = 0; length < bytes.length; length += 37)
      expect(() => decodeRecord(channelRecords, bytes.subarray(0, length))).toThrow(
        expect.objectContaining({ code: 'record-unreadable' }),
      );
    expect(() => decodeRecord(channelRecords, concat(bytes, Uint8Array.of(0)))).toThrow();
  });

  it('are named by peer and number; former ones by a third part', () => {
    const { ref } = new OpenChannel({ dbid: 18446744073709551615n }).model;
    expect(channelId(ref)).toMatch(/^0[23][0-9a-f]{64}\/18446744073709551615$/);
    expect(recordKey(channelRecords, channelId(ref))).toMatch(/^channel\/0/);
    expect(recordKey(formerChannelRecords, 'x/0')).toBe('former-channel/x/0');
  });

  it('of a funding are text in UTF-8', () => {
    expect(decodeRecord(fundingRecords, encodeRecord(fundingRecords, 'a/1'))).toBe('a/1');
    const bad = encodeRecord(fundingRecords, 'a/1');
    bad[bad.length - 1] = 0xff;
    expect(() => decodeRecord(fundingRecords, bad)).toThrow(
      expect.objectContaining({ code: 'record-unreadable' }),
    );
  });
});

describe('a draft', () => {
  const one = emptyChannel(new Uint8Array(33).fill(2), 1n);

  it('sees its own changes, and several of them are one version', () => {
    const state = new MemoryState();
    state.apply([{ kind: channelRecords, id: 'a', version: 1, value: one }]);
    const draft = new Draft(state);
    expect(draft.hasRead).toBe(false);
    draft.put(channelRecords, 'a', { ...one, dbid: 2n });
    draft.put(channelRecords, 'a', { ...one, dbid: 3n });
    draft.put(channelRecords, 'b', one);
    expect(draft.hasRead).toBe(false);
    expect(draft.get(channelRecords, 'a')?.dbid).toBe(3n);
    expect(draft.get(channelRecords, 'c')).toBeNull();
    expect(draft.hasRead).toBe(true);
    expect(
      draft.changes().map(({ id, version, value }) => [id, version, (value as typeof one).dbid]),
    ).toEqual([
      ['a', 2, 3n],
      ['b', 1, 1n],
    ]);
    expect(state.read(channelRecords, 'a')?.value?.dbid).toBe(1n);
  });

  it('may remove a record: its version goes on', () => {
    const state = new MemoryState();
    state.apply([{ kind: channelRecords, id: 'a', version: 1, value: one }]);
    state.apply([{ kind: channelRecords, id: 'a', version: 2, value: null }]);
    const draft = new Draft(state);
    expect(draft.get(channelRecords, 'a')).toBeNull();
    draft.put(channelRecords, 'a', one);
    expect(draft.changes()[0]?.version).toBe(3);
  });

  it('stops before a version is no exact number any more', () => {
    const state = { read: () => ({ version: Number.MAX_SAFE_INTEGER, value: null }) };
    expect(() => new Draft(state).put(channelRecords, 'a', one)).toThrow(
      expect.objectContaining({ code: 'invariant-broken' }),
    );
  });
});
