/**
 * Plays one recording through the built countersign-hsmd and checks it against the list of explained refusals.
 */
import {
  createStateDirectory,
  hsmdPath,
  type PlayResult,
  playRecording,
  type Recording,
  removeStateDirectory,
} from '@countersign/cli';
import { expect } from 'vitest';
import { EXPLAINED } from './explained.ts';

const ANSWER_WAIT_MS = 30_000;

export async function play(recording: Recording): Promise<PlayResult> {
  const directory = createStateDirectory(recording);
  try {
    return await playRecording(recording, {
      hsmdPath: hsmdPath(undefined),
      directory,
      answerWaitMs: ANSWER_WAIT_MS,
    });
  } finally {
    removeStateDirectory(directory);
  }
}

/** Numbers of the refused messages by tag. */
function refusedByTag(result: PlayResult): Record<string, number[]> {
  const refused = result.played.flatMap(({ message, verdict }) =>
    verdict.kind === 'refused' ? [{ tag: verdict.tag, seq: message.seq }] : [],
  );
  const byTag = Map.groupBy(refused, (one) => one.tag);
  return Object.fromEntries([...byTag].map(([tag, group]) => [tag, group.map((one) => one.seq)]));
}

/** No answer but recorded ones and explained refusals; every process ended as it should. */
export async function expectFaithful(recording: Recording): Promise<PlayResult> {
  const result = await play(recording);
  const mismatches = result.played.flatMap(({ message, verdict }) =>
    verdict.kind === 'mismatch' ? [`${message.seq} ${message.typeName}: ${verdict.what}`] : [],
  );
  expect(mismatches).toEqual([]);
  expect(result.faults).toEqual([]);
  const explained = EXPLAINED[`${recording.scenario}/${recording.node}`] ?? [];
  const expected = Object.fromEntries(explained.map(({ tag, messages }) => [tag, messages]));
  expect(refusedByTag(result)).toEqual(expected);
  return result;
}
