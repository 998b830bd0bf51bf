/**
 * The replay file: all that a run depends on, as JSON, read back strictly. A file of another form or version is refused with
 * the place where it differs; nothing is guessed.
 */
import type { FoundRun, RunMove, RunSetup } from './result.ts';

export const REPLAY_FORMAT = 'countersign-adversary-replay';
export const REPLAY_VERSION = 1;
const MOVES_MAX = 1_000_000;
const NUMBER_MAX = 0xffff_ffff;
const NAME = /^[a-z0-9]+(?:-[a-z0-9]+)*$/;

export interface Replay {
  readonly setup: RunSetup;
  readonly moves: readonly RunMove[];
}

export class ReplayFileError extends Error {
  override readonly name = 'ReplayFileError';
}

/** Of what was found, or of everything that was played. */
export function replayOf(setup: RunSetup, { seed, moves }: Pick<FoundRun, 'seed' | 'moves'>): Replay {
  return { setup: { ...setup, seed }, moves };
}

/** A move on each line, so that a person can take some out. Ends with a newline. */
export function writeReplay({ setup, moves }: Replay): string {
  const { seed, channels, isHonest, mutant, subject } = setup;
  const head = { format: REPLAY_FORMAT, version: REPLAY_VERSION };
  const fields = { ...head, seed, channels, isHonest, mutant, subject };
  const lines = Object.entries(fields).map(([name, value]) => `  "${name}": ${JSON.stringify(value)},`);
  const list = moves.map(({ kind, channel, a, b, c }) => `    ${JSON.stringify([kind, channel, a, b, c])}`);
  const played = list.length === 0 ? '[]' : `[\n${list.join(',\n')}\n  ]`;
  return `{\n${lines.join('\n')}\n  "moves": ${played}\n}\n`;
}

/** Throws `ReplayFileError`. */
export function readReplay(text: string): Replay {
  const file = objectOf(parsed(text));
  const known = ['format', 'version', 'seed', 'channels', 'isHonest', 'mutant', 'subject', 'moves'];
  for (const key of Object.keys(file)) if (!known.includes(key)) fault(`"${key}" has no meaning here`);
  if (file.format !== REPLAY_FORMAT) fault(`"format" is not "${REPLAY_FORMAT}"`);
  if (file.version !== REPLAY_VERSION) fault(`"version" is not ${REPLAY_VERSION}`);
  const { mutant, subject, isHonest } = file;
  if (typeof isHonest !== 'boolean') fault('"isHonest" is not true or false');
  if (mutant !== null && (typeof mutant !== 'string' || !NAME.test(mutant)))
    fault('"mutant" is no name and not null');
  if (subject !== 'memory' && subject !== 'process') fault('"subject" is not "memory" or "process"');
  const setup: RunSetup = {
    seed: numberOf(file.seed, '"seed"'),
    channels: numberOf(file.channels, '"channels"'),
    isHonest,
    mutant,
    subject,
  };
  return { setup, moves: movesOf(file.moves) };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return fault('the file is no JSON');
  }
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) fault('the file holds no object');
  return value as Readonly<Record<string, unknown>>;
}

function movesOf(value: unknown): readonly RunMove[] {
  if (!Array.isArray(value) || value.length > MOVES_MAX) fault('"moves" is no list that could be played');
  return value.map((one: unknown, i): RunMove => {
    const where = `move ${i}`;
    if (!Array.isArray(one) || one.length !== 5) fault(`${where} is not [kind, channel, a, b, c]`);
    const [kind, channel, a, b, c] = one as readonly unknown[];
    if (typeof kind !== 'string' || !NAME.test(kind)) fault(`${where} has no kind`);
    return {
      kind,
      channel: numberOf(channel, where),
      a: numberOf(a, where),
      b: numberOf(b, where),
      c: numberOf(c, where),
    };
  });
}

function numberOf(value: unknown, where: string): number {
  const isFit = typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= NUMBER_MAX;
  return isFit ? value : fault(`${where} is no whole number from 0 to ${NUMBER_MAX}`);
}

function fault(message: string): never {
  throw new ReplayFileError(message);
}
