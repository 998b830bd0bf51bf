/**
 * From spawn to the reply to INIT, with a store and a compile cache that exist already: what a restart of lightningd
 * waits for. Beside it a bare Node.js, and Core Lightning's own hsmd where one is given.
 */
import { spawn } from 'node:child_process';
import {
  createStateDirectory,
  HsmdProcess,
  hsmdPath,
  type Recording,
  removeStateDirectory,
  startsAsDeveloper,
} from '@countersign/cli';
import { summarize, type Times, timeUs } from './statistics.ts';

const SPAWNS = 20;
const ANSWER_WAIT_MS = 20_000;
const INIT = 11;
const DEV_PREINIT = 99;

export interface StartUp {
  readonly countersign: Times;
  readonly bareNode: Times;
  /** Null without the environment variable LIGHTNING_HSMD. */
  readonly lightningHsmd: Times | null;
}

async function startOnce(path: string, recording: Recording, directory: string): Promise<number> {
  const run = recording.runs[0]!;
  let hsmd: HsmdProcess | undefined;
  const us = await timeUs(async () => {
    hsmd = new HsmdProcess({
      path,
      directory,
      args: startsAsDeveloper(run) ? ['--developer'] : [],
      answerWaitMs: ANSWER_WAIT_MS,
    });
    for (const message of run) {
      if (message.type === DEV_PREINIT) await hsmd.send(message.request);
      else if (message.type === INIT) {
        const answer = await hsmd.request(0, message.request);
        if (answer.kind !== 'reply') throw new Error(`${path}: INIT got ${answer.kind}`);
        return;
      }
    }
  });
  await hsmd?.stop();
  return us;
}

async function startMany(path: string, recording: Recording): Promise<Times> {
  const directory = createStateDirectory(recording);
  try {
    // The first makes the store, the second the compile cache in it.
    for (let warmUp = 0; warmUp < 3; warmUp++) await startOnce(path, recording, directory);
    const times: number[] = [];
    for (let i = 0; i < SPAWNS; i++) times.push(await startOnce(path, recording, directory));
    return summarize(times);
  } finally {
    removeStateDirectory(directory);
  }
}

async function bareNode(): Promise<Times> {
  const times: number[] = [];
  for (let i = 0; i < SPAWNS; i++) {
    times.push(
      await timeUs(
        () =>
          new Promise<void>((resolve, reject) => {
            spawn(process.execPath, ['-e', '0'], { stdio: 'ignore' })
              .once('exit', () => resolve())
              .once('error', reject);
          }),
      ),
    );
  }
  return summarize(times);
}

export async function measureStartUp(
  recording: Recording,
  lightningHsmd: string | undefined,
): Promise<StartUp> {
  return {
    countersign: await startMany(hsmdPath(undefined), recording),
    bareNode: await bareNode(),
    lightningHsmd: lightningHsmd === undefined ? null : await startMany(hsmdPath(lightningHsmd), recording),
  };
}
