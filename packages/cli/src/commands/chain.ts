/**
 * `countersign chain`: what the running signer knows of the chain, how far its catch-up is, and what the operator may do when it
 * has locked itself.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { durationText } from '@countersign/chain';
import { type Command, InvalidArgumentError } from 'commander';
import type { SignerAnswer } from '../admin/answer.ts';
import type { AdminClient } from '../admin/client.ts';
import {
  addSignerOptions,
  positiveInteger,
  print,
  printJson,
  type SignerFlags,
  withSigner,
} from '../admin/options.ts';
import { EXIT } from '../command-error.ts';
import { bar, chooseStyle, grouped, type Style, table } from '../terminal.ts';

const BAR_COLUMNS = 32;
const WATCH_MS = 500;
const ERASE_LINE = '\r\u001b[2K';

interface StatusFlags extends SignerFlags {
  readonly watch?: boolean;
}

interface RescanFlags extends SignerFlags {
  readonly from?: number;
}

export function addChainCommand(program: Command): void {
  const chain = program
    .command('chain')
    .summary('what the signer knows of the chain')
    .description(
      'The signer proves headers and blocks itself; these commands show and steer how it gets them.',
    );
  addSignerOptions(
    chain
      .command('status')
      .description(
        'Tip, proven blocks, source, and how far a catch-up is. Exit status 1 if something is wrong.',
      )
      .option('--watch', 'stay until the signer has caught up, with a progress bar on a terminal'),
  ).action((flags: StatusFlags) => withSigner(flags, (client) => status(client, flags)));
  addSignerOptions(
    chain
      .command('unlock')
      .description(
        'Take the chain that locked the signer. It replaces more blocks than the policy allows: compare its tip with sources that do not depend on your node first.',
      )
      .argument('<tip>', 'the hash of its tip, as status shows it', blockHash),
  ).action((tip: string, flags: SignerFlags) => withSigner(flags, (client) => unlock(client, tip, flags)));
  addSignerOptions(
    chain
      .command('rescan')
      .description('Read the contents of blocks again, for example after a channel was recovered.')
      .option('--from <height>', 'begin with this block (default: the birthday)', positiveInteger),
  ).action((flags: RescanFlags) => withSigner(flags, (client) => rescan(client, flags)));
}

function blockHash(text: string): string {
  if (/^[0-9a-f]{64}$/i.test(text)) return text.toLowerCase();
  throw new InvalidArgumentError('Give the hash of a block, 64 hex digits.');
}

async function status(client: AdminClient, flags: StatusFlags): Promise<void> {
  if (flags.watch === true) await watch(client);
  const result = await client.ask({ op: 'chain-status' });
  if (!isWell(result)) process.exitCode = EXIT.failed;
  if (flags.json === true) return printJson(result.json);
  print(statusLines(result, styleOf(process.stdout)));
}

/** Nothing to follow is as the operator wants it. */
function isWell(result: SignerAnswer): boolean {
  if (result.text('source') === 'none') return true;
  const isCritical = result.list('alarms').some((alarm) => alarm.text('severity') === 'critical');
  return (
    !result.has('lockedBy') && result.flag('isFresh') && !result.at('follower').has('problem') && !isCritical
  );
}

function styleOf(output: NodeJS.WriteStream): Style {
  return chooseStyle({
    isTerminal: output.isTTY === true,
    noColorVariable: process.env.NO_COLOR,
    colorOption: true,
  });
}

/** Draws on standard error, so that what is piped away stays clean. Ends with the catch-up, or what keeps it from going on. */
async function watch(client: AdminClient): Promise<void> {
  const { stderr } = process;
  const isLive = stderr.isTTY === true;
  for (;;) {
    const follower = (await client.ask({ op: 'chain-status' })).at('follower');
    const isUnderWay = follower.has('progress') && !follower.has('problem');
    if (isLive) stderr.write(ERASE_LINE);
    if (!isUnderWay) return;
    if (isLive) stderr.write(progressLine(follower.at('progress'), styleOf(stderr)));
    await pause(WATCH_MS);
  }
}

function statusLines(result: SignerAnswer, style: Style): string[] {
  const source = result.text('source');
  if (source === 'none' && !result.has('tip')) return ['No source: see [chain] in docs/configuration.md.'];
  const follower = result.at('follower');
  const rows = [
    ['source', sourceText(source, follower)],
    ...(result.has('tip') ? tipRows(result.at('tip')) : [['tip', 'none yet: the chain has not begun']]),
    ['view', viewText(result, style)],
    ...(follower.has('problem') ? [['problem', style.red(follower.text('problem'))]] : []),
  ];
  return [
    ...table(rows, ['left', 'left']),
    ...(follower.has('progress') ? [progressLine(follower.at('progress'), style)] : []),
    ...(result.has('lockedBy') ? lockLines(result.at('lockedBy'), style) : []),
    ...listed(
      'Alarms',
      result.list('alarms').map((alarm) => alarmLine(alarm, style)),
    ),
    ...listed(
      'Deadlines',
      table(result.list('deadlines').map(deadlineRow), ['right', 'right', 'left', 'right', 'left']),
    ),
  ];
}

const listed = (title: string, lines: readonly string[]): string[] =>
  lines.length === 0 ? [] : ['', `${title}:`, ...lines.map((line) => `  ${line}`)];

function alarmLine(alarm: SignerAnswer, style: Style): string {
  const isCritical = alarm.text('severity') === 'critical';
  const head = (isCritical ? style.red : style.yellow)(`${alarm.text('severity')}: ${alarm.text('code')}`);
  const channel = alarm.textOrNull('channel');
  return `${head}: ${alarm.text('message')}${channel === null ? '' : ` (channel ${channel})`}`;
}

function deadlineRow(deadline: SignerAnswer): string[] {
  const left = deadline.number('blocksLeft');
  return [
    grouped(deadline.number('heightBlocks')),
    left < 0 ? `${grouped(-left)} blocks ago` : `in ${grouped(left)} blocks`,
    `${deadline.text('level')}: ${deadline.text('what')}`,
    `${deadline.text('amountMsat')} msat`,
    deadline.text('channel'),
  ];
}

function sourceText(source: string, follower: SignerAnswer): string {
  if (source === 'none') return 'none now: see [chain] in docs/configuration.md';
  if (source === 'node') return 'the node, over node.sock';
  const height = follower.numberOrNull('sourceHeightBlocks');
  const name = follower.textOrNull('source') ?? source;
  return height === null ? `${name}, not reached yet` : `${name}, at height ${grouped(height)}`;
}

function tipRows(tip: SignerAnswer): string[][] {
  const birthday = tip.number('birthdayHeightBlocks');
  const proven = tip.number('provenHeightBlocks');
  const provenText = proven < birthday ? 'none yet' : `from ${grouped(birthday)} to ${grouped(proven)}`;
  return [
    ['tip', `${grouped(tip.number('heightBlocks'))} ${tip.text('hash')}`],
    ['proven', provenText],
  ];
}

function viewText(result: SignerAnswer, style: Style): string {
  const lag = result.numberOrNull('lagSeconds');
  const age = lag === null ? '' : `, the last block ${durationText(Math.max(0, lag))} ago`;
  return result.flag('isFresh') ? `${style.green('fresh')}${age}` : `${style.yellow('not fresh')}${age}`;
}

export function progressLine(progress: SignerAnswer, style: Style): string {
  const fraction = Math.min(1, Math.max(0, progress.number('fraction')));
  const left = progress.numberOrNull('secondsLeft');
  const percent = (Math.floor(fraction * 1000) / 10).toFixed(1).padStart(5);
  const heights = `${grouped(progress.number('heightBlocks'))} of ${grouped(progress.number('targetHeightBlocks'))}`;
  const time = left === null ? '' : `, about ${durationText(left)} left`;
  return `${progress.text('phase').padEnd(7)} ${bar(fraction, BAR_COLUMNS, style)} ${percent} %  ${heights}${time}`;
}

function lockLines(lockedBy: SignerAnswer, style: Style): string[] {
  const fork = grouped(lockedBy.number('forkHeightBlocks'));
  const tip = lockedBy.text('tipHash');
  return [
    '',
    style.red(
      `LOCKED: a chain with more work replaces all blocks above height ${fork}, deeper than the policy allows.`,
    ),
    `Its tip is ${tip}.`,
    'Requests that need the chain are refused until you have looked. Compare with sources that do not depend on your',
    `node; if it is the real chain: countersign chain unlock ${tip}`,
  ];
}

async function unlock(client: AdminClient, tip: string, flags: SignerFlags): Promise<void> {
  const result = await client.ask({ op: 'chain-unlock', tip });
  if (flags.json === true) return printJson(result.json);
  print([`Unlocked: the chain of ${result.text('tipHash')} is taken as soon as its headers come again.`]);
}

async function rescan(client: AdminClient, flags: RescanFlags): Promise<void> {
  const result = await client.ask({ op: 'chain-rescan', fromHeightBlocks: flags.from ?? null });
  if (flags.json === true) return printJson(result.json);
  const [from, tip] = [result.number('fromHeightBlocks'), result.number('tipHeightBlocks')];
  print([
    `Reading blocks ${grouped(from)} to ${grouped(tip)} again; what needs the chain waits for it.`,
    'countersign chain status --watch shows how far it is.',
  ]);
}
