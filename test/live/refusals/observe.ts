/** Tries one row of the refusal table with running nodes and says what was seen. */
import { channelsWith } from '../channels.ts';
import { find } from '../json-value.ts';
import type { Lightningd } from '../lightningd.ts';
import type { Programs, SignerChoice } from '../options.ts';
import { sleep, TimeoutError, within } from '../wait.ts';
import { World } from '../world.ts';
import { type Row, type Stage, waitRefused } from './row.ts';

const ROW_TIMEOUT_MS = 90_000;
/** How long the node is watched after the refusal, and after each start. */
const WATCH_MS = 1_500;

export interface Seen {
  readonly row: Row;
  /** What the operator's command said. */
  readonly said: string;
  /** The log's line about the refusal. */
  readonly logged: string;
  readonly lives: boolean;
  /** What became of the channel, for a node that lives; how it starts again, for one that does not. */
  readonly after: string;
}

/** What differs from run to run is left out: ids, keys, ports, numbers of processes. */
function settled(text: string): string {
  return text
    .replace(/0bb80001[0-9a-f]+/g, '‹refusal›')
    .replace(/[0-9a-f]{60,}/g, '‹id›')
    .replace(/127\.0\.0\.1:\d+/g, '‹address›')
    .replace(/died \(\d+\)/g, 'died')
    .replace(/no answer in \d+ ms/g, 'no answer')
    .trim();
}

const ABOUT = /0bb80001|STATUS_FAIL|Invalid check_|hsm failure|unknown message type|Bad derive/;

function loggedLine(l1: Lightningd, from: number): string {
  const lines = `${l1.log().slice(from)}\n${l1.output()}`.split('\n');
  const line = lines.find((one) => ABOUT.test(one)) ?? '';
  return settled(
    line
      .replace(/^\S+Z /, '')
      .replace(/^\S*-(\w+)-chan#\d+:/, '$1:')
      .replace(/^(\S+\s+)\S+-(\w+)-chan#\d+:/, '$1$2:'),
  );
}

async function watch(l1: Lightningd): Promise<boolean> {
  for (let i = 0; i < WATCH_MS / 25 && l1.ended === undefined; i++) await sleep(25);
  return l1.ended === undefined;
}

async function channelAfter({ l1, l2 }: Stage): Promise<string> {
  const channel = (await channelsWith(l1, l2)).at(-1);
  if (channel === undefined) return 'no channel';
  return `channel ${find(channel, 'state')}`;
}

/** Whether the node starts while still refused, and once it is refused no more. */
async function startsAgain(l1: Lightningd): Promise<string> {
  const starts = async (): Promise<boolean> => {
    await l1.start().catch(() => undefined);
    const lives = await watch(l1);
    await l1.crash();
    return lives;
  };
  const refused = await starts();
  l1.refuseNoMore();
  const approved = await starts();
  if (!approved) return 'does not start again';
  return refused ? 'starts again' : 'starts again only when no longer refused';
}

export async function observe(row: Row, programs: Programs, signers: SignerChoice): Promise<Seen> {
  const world = await World.open(`refuse-${row.message}`, programs, {
    signers,
    preset: 'permissive',
    plugin: false,
    chain: false,
    remote: false,
    seed: 1,
  });
  try {
    const [l1, l2] = await world.pair({ ...row.wishes?.l1, refuses: true }, row.wishes?.l2 ?? {});
    const stage = { world, l1, l2 };
    const from = l1.log().length;
    const said = await within(`row ${row.message}`, ROW_TIMEOUT_MS, row.act(stage));
    await waitRefused(l1);
    if (l1.refusals() === 0) throw new TimeoutError(`${row.asker} did not ask ${row.message} (${row.when})`);
    const lives = await watch(l1);
    const after = lives ? await channelAfter(stage) : await startsAgain(l1);
    const seen = { row, said: settled(said ?? ''), logged: loggedLine(l1, from), lives, after };
    await world.crash();
    world.remove();
    return seen;
  } catch (error) {
    await world.crash();
    throw new Error(`row ${row.message} ${row.name}, ${row.when}; kept ${world.directory}`, { cause: error });
  }
}
