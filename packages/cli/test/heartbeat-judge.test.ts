/** What the monitor takes for an alarm, and what not: each with the value just inside of it. */
import type { Alarm, Deadline, HeartbeatInput } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { HeartbeatJudge, type Reading, type WatchLimits } from '../src/heartbeat/judge.ts';
import { Monitor } from '../src/heartbeat/monitor.ts';
import { CHANNEL, NODE, NOW, ring, ringOf, secp, signed, well } from './heartbeat-support.ts';

const LIMITS: WatchLimits = { maxAgeSeconds: 120, futureMaxSeconds: 60, lagMaxBlocks: null };
const judgeWith = (limits: Partial<WatchLimits> = {}): HeartbeatJudge =>
  new HeartbeatJudge(secp, ring.nodeId, { ...LIMITS, ...limits });

const read = (text: string): Reading => ({ ok: true, text });
const sequence = (start: number, count: number) => ({ sequence: { start, count } });

function codes(judge: HeartbeatJudge, changed: Partial<HeartbeatInput>, nowSeconds = NOW): string[] {
  return judge.judge(read(signed(changed)), nowSeconds).problems.map(({ code }) => code);
}

const alarm: Alarm = {
  code: 'breach',
  severity: 'critical',
  channel: CHANNEL,
  sinceHeightBlocks: 90,
  message: 'a revoked commitment',
  facts: {},
};
const deadline: Deadline = {
  channel: CHANNEL,
  heightBlocks: 110,
  blocksLeft: 10,
  level: 'critical',
  what: 'penalty',
  amountMsat: 7n,
};

describe('the judge of heartbeats', () => {
  it('finds nothing wrong with one that is well', () => {
    const { problems, heartbeat } = judgeWith().judge(read(signed()), NOW);
    expect(problems).toEqual([]);
    expect(heartbeat).toMatchObject({ nodeId: NODE });
  });

  it('tells what does not verify', () => {
    const judge = judgeWith();
    const of = (text: string) => judge.judge(read(text), NOW);
    expect(of('nonsense').problems).toMatchObject([{ code: 'malformed' }]);
    expect(of(signed({}, ringOf(2))).problems).toMatchObject([{ code: 'other-node' }]);
    const changed = of(signed().replace('"commits":1234', '"commits":1235'));
    expect(changed).toMatchObject({ problems: [{ code: 'signature' }], heartbeat: null });
  });

  it('tells one that is older than an earlier one, by start or by count', () => {
    const judge = judgeWith();
    expect(codes(judge, sequence(5, 7))).toEqual([]);
    expect(codes(judge, sequence(5, 8))).toEqual([]);
    for (const [start, count] of [
      [5, 7],
      [4, 99],
    ] as const)
      expect(codes(judge, sequence(start, count))).toEqual(['sequence-back']);
    // What went back is never the newest.
    expect(codes(judge, sequence(5, 8))).toEqual([]);
    expect(codes(judge, sequence(6, 1))).toEqual([]);
    expect(codes(judge, sequence(5, 100))).toEqual(['sequence-back']);
  });

  it('takes the same one again, until it is stale, but not another one of its number', () => {
    const judge = judgeWith();
    const text = signed();
    expect(judge.judge(read(text), NOW).problems).toEqual([]);
    expect(judge.judge(read(text.trimEnd()), NOW + 120).problems).toEqual([]);
    expect(judge.judge(read(text), NOW + 121).problems).toMatchObject([{ code: 'stale' }]);
    expect(codes(judge, { nowSeconds: NOW + 1 })).toEqual(['sequence-twice']);
  });

  it('tells one from the future', () => {
    expect(codes(judgeWith(), { nowSeconds: NOW + 60 })).toEqual([]);
    expect(codes(judgeWith(), { nowSeconds: NOW + 61 })).toEqual(['future']);
    // Its number counts all the same, and the next one is later.
    const judge = judgeWith();
    expect(codes(judge, { ...sequence(5, 2), nowSeconds: NOW + 61 })).toEqual(['future']);
    expect(codes(judge, sequence(5, 3))).toEqual([]);
  });

  it('tells a signer that lags, or follows no chain though it has to', () => {
    const chain = (lag: number) => ({ chain: { ...well.chain!, provenHeightBlocks: 100 - lag } });
    expect(codes(judgeWith(), chain(6))).toEqual([]);
    expect(codes(judgeWith(), chain(7))).toEqual(['lag']);
    expect(codes(judgeWith({ lagMaxBlocks: 2 }), chain(2))).toEqual([]);
    expect(codes(judgeWith({ lagMaxBlocks: 2 }), chain(3))).toEqual(['lag']);
    expect(codes(judgeWith(), { chain: null })).toEqual([]);
    expect(codes(judgeWith({ lagMaxBlocks: 6 }), { chain: null })).toEqual(['no-chain']);
  });

  it('tells critical alarms and near deadlines, one problem each', () => {
    const warn: Alarm = { ...alarm, code: 'promise-void', severity: 'warn', channel: null };
    expect(codes(judgeWith(), { alarms: [warn], deadlines: [{ ...deadline, level: 'urgent' }] })).toEqual([]);
    const store: Alarm = { ...alarm, code: 'store-failed', channel: null };
    const passed: Deadline = { ...deadline, level: 'passed', blocksLeft: -1, heightBlocks: 99 };
    const { problems } = judgeWith().judge(
      read(signed({ alarms: [warn, alarm, store], deadlines: [deadline, passed] })),
      NOW,
    );
    expect(problems.map(({ code }) => code)).toEqual(['alarm', 'alarm', 'deadline', 'deadline']);
    expect(new Set(problems.map(({ subject }) => subject)).size).toBe(4);
    expect(problems.map(({ message }) => message)).toEqual([
      `breach of channel ${CHANNEL}: a revoked commitment`,
      'store-failed: a revoked commitment',
      `penalty of channel ${CHANNEL}: -1 blocks left to height 99 (passed), 7 msat`,
      `penalty of channel ${CHANNEL}: 10 blocks left to height 110 (critical), 7 msat`,
    ]);
  });

  it('forgives a reading that fails while the last heartbeat is recent', () => {
    const failed: Reading = { ok: false, message: 'no such file' };
    const judge = judgeWith();
    expect(judge.judge(failed, NOW)).toMatchObject({
      problems: [{ code: 'unreachable', message: 'no such file' }],
      heartbeat: null,
    });
    judge.judge(read(signed()), NOW);
    expect(judge.judge(failed, NOW + 120).problems).toEqual([]);
    expect(judge.judge(failed, NOW + 121).problems).toMatchObject([
      { code: 'unreachable', message: 'no such file; the newest heartbeat is 121 s old' },
    ]);
  });
});

describe('the monitor', () => {
  it('speaks when something changes, and only then', async () => {
    let text = signed();
    let now = NOW;
    const monitor = new Monitor({
      judge: judgeWith(),
      nodeId: NODE,
      read: async () => read(text),
      nowSeconds: () => now,
    });
    expect(monitor.isWell).toBe(false);
    expect(await monitor.round()).toMatchObject({
      event: 'well',
      nodeId: NODE,
      timeSeconds: NOW,
      text: `signer of node ${NODE}: is well`,
      problems: [],
      heartbeat: { timeSeconds: NOW, sequence: { start: 5, count: 1 }, tipHeightBlocks: 100 },
    });
    expect(monitor.isWell).toBe(true);
    expect(await monitor.round()).toBeNull();
    now += 121;
    expect(await monitor.round()).toMatchObject({ event: 'alarm', problems: [{ code: 'stale' }] });
    now += 1;
    expect(await monitor.round()).toBeNull();
    expect(monitor.isWell).toBe(false);
    text = signed({ ...sequence(5, 2), nowSeconds: now, alarms: [alarm], chain: null });
    expect(await monitor.round()).toMatchObject({
      event: 'changed',
      problems: [{ code: 'alarm' }],
      text: expect.stringContaining('STILL AN ALARM: breach of channel'),
      heartbeat: { tipHeightBlocks: null },
    });
    text = signed({ ...sequence(5, 3), nowSeconds: now });
    expect(await monitor.round()).toMatchObject({ event: 'recovered', problems: [] });
    expect(await monitor.round()).toBeNull();
  });

  it('begins with an alarm if there is one', async () => {
    const monitor = new Monitor({
      judge: judgeWith(),
      nodeId: NODE,
      read: async () => ({ ok: false, message: 'gone' }),
      nowSeconds: () => NOW,
    });
    expect(await monitor.round()).toMatchObject({ event: 'alarm', heartbeat: null });
  });
});
