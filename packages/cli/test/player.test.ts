import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromHex } from '@countersign/bitcoin';
import { afterAll, describe, expect, it } from 'vitest';
import { type PlayResult, playRecording } from '../src/replay/player.ts';
import type { RecordedMessage, Recording } from '../src/replay/recording.ts';

const scratch = mkdtempSync(join(tmpdir(), 'countersign-player-'));
afterAll(() => rmSync(scratch, { recursive: true }));

const FAKE = join(scratch, 'hsmd');
writeFileSync(
  FAKE,
  `#!/bin/sh\nexec "${process.execPath}" --conditions=source "${join(import.meta.dirname, 'fake-hsmd.ts')}" "$@"\n`,
);
chmodSync(FAKE, 0o755);

const PEER = '02'.repeat(33);
const NEW_CLIENT = `0009${PEER}00000000000000070000000000000000`;
const REFUSAL = `0bb80001${Buffer.from('policy-x: no').toString('hex')}00`;

function message(seq: number, over: Partial<RecordedMessage> = {}): RecordedMessage {
  return {
    seq,
    client: { id: 0, dbid: 0 },
    type: 27,
    typeName: 'DERIVE_SECRET',
    request: fromHex('001b'),
    expected: { kind: 'reply', body: fromHex('007f') },
    opensClient: null,
    recordedUs: 1,
    ...over,
  };
}

function opening(seq: number, client: number): RecordedMessage {
  return message(seq, {
    request: fromHex(NEW_CLIENT),
    expected: { kind: 'reply', body: fromHex('006d') },
    opensClient: client,
  });
}

let directories = 0;

function play(
  run: readonly RecordedMessage[],
  actions: readonly unknown[],
  answerWaitMs = 20_000,
): Promise<PlayResult> {
  directories += 1;
  const directory = mkdtempSync(join(scratch, `${directories}-`));
  writeFileSync(join(directory, 'fake.json'), JSON.stringify({ actions }));
  const recording: Recording = {
    scenario: 's',
    node: 'n',
    description: '',
    hsmSecret: new Uint8Array(32),
    runs: [run],
    exitStatus: 2,
  };
  return playRecording(recording, { hsmdPath: FAKE, directory, answerWaitMs });
}

const kinds = (result: PlayResult) => result.played.map((one) => one.verdict.kind);

describe('the player', () => {
  it('sees recorded, refused and other replies apart', async () => {
    const result = await play(
      [0, 1, 2].map((seq) => message(seq)),
      [{ reply: '007f' }, { reply: REFUSAL }, { reply: '007f00' }],
    );
    expect(kinds(result)).toEqual(['identical', 'refused', 'mismatch']);
    expect(result.faults).toEqual([]);
  });

  it('tells of a process that ends in the middle, and asks it nothing more', async () => {
    const result = await play([message(0), message(1), message(2)], [{ reply: '007f' }, { exit: 5 }]);
    expect(kinds(result)).toEqual(['identical', 'mismatch', 'mismatch']);
    expect(result.played[2]!.verdict).toMatchObject({ what: 'not asked: the hsmd ended at message 1' });
    expect(result.faults).toEqual(['ended with exit status 5, expected exit status 2']);
  });

  it('kills a process that does not answer', async () => {
    const result = await play([message(0), message(1)], [{ hang: true }], 1_500);
    expect(result.played[0]!.verdict).toMatchObject({
      what: expect.stringContaining('no answer within 1.5 s'),
    });
    expect(kinds(result)).toEqual(['mismatch', 'mismatch']);
    expect(result.faults).toEqual(['ended with signal SIGKILL, expected exit status 2']);
  });

  it('counts what a refused client would have asked as refused', async () => {
    const asked = message(1, { client: { id: 1, dbid: 7 } });
    const result = await play([opening(0, 1), asked], [{ reply: REFUSAL }]);
    expect(kinds(result)).toEqual(['refused', 'refused']);
  });

  it('sees a replaced client whose socket stays open', async () => {
    const result = await play(
      [opening(0, 1), opening(1, 2)],
      [
        { reply: '006d', passes: true },
        { reply: '006d', passes: true },
      ],
      10_000,
    );
    expect(kinds(result)).toEqual(['identical', 'identical']);
    expect(result.faults).toEqual(['client 1 was replaced by client 2, but its socket stayed open']);
  });

  it('lets a refusal stand for a fatal end, and then wants the exit of a hang-up', async () => {
    const fatal = message(0, { expected: { kind: 'fatal' } });
    expect((await play([fatal], [{ reply: REFUSAL }])).faults).toEqual([]);
    expect(kinds(await play([fatal], [{ reply: '007f' }]))).toEqual(['mismatch']);
  });

  it('says what to do when there is no such hsmd', async () => {
    const recording: Recording = {
      scenario: 's',
      node: 'n',
      description: '',
      hsmSecret: new Uint8Array(),
      runs: [[]],
      exitStatus: 2,
    };
    const played = playRecording(recording, {
      hsmdPath: join(scratch, 'none'),
      directory: scratch,
      answerWaitMs: 1,
    });
    await expect(played).rejects.toMatchObject({
      code: 'hsmd-not-found',
      advice: expect.stringContaining('--hsmd'),
    });
  });
});
