/**
 * `countersign replay`: recorded sessions of real lightningd nodes, played through a real hsmd process and compared
 * byte for byte.
 */
import { findRule } from '@countersign/core';
import { type Command, InvalidArgumentError } from 'commander';
import { CommandError, EXIT } from '../command-error.ts';
import { hsmdPath, recordingsOf, scenariosAt, shownPath } from '../replay/bundled.ts';
import { type PlayResult, playRecording } from '../replay/player.ts';
import { Progress, type ProgressOutput, type Tally } from '../replay/progress.ts';
import { messageCount, type Recording, scenarioName } from '../replay/recording.ts';
import { renderReport } from '../replay/render.ts';
import { isFaithful, makeReport } from '../replay/report.ts';
import { createStateDirectory, removeStateDirectory } from '../replay/state-directory.ts';
import { chooseStyle, grouped, type Style } from '../terminal.ts';

interface ReplayFlags {
  readonly recording?: string;
  readonly hsmd?: string;
  readonly node?: string;
  readonly json?: boolean;
  readonly color: boolean;
  readonly keep?: boolean;
  readonly timeout: number;
}

/** What is shown as one line: a node's session, or all single cases together. */
interface Group {
  readonly label: string;
  readonly recordings: readonly Recording[];
}

const COLUMNS_DEFAULT = 100;
const COLUMNS_MAX = 120;
const ANSWER_WAIT_SECONDS_DEFAULT = 30;

const MORE_HELP = `
The recordings are sessions of Core Lightning with its own hsmd: opens, payments, forwards, closes, splices,
breaches. Each request goes through the sockets lightningd would use; each reply must be the recorded one, or a
typed refusal that says which rule forbids it.

Examples:
  countersign replay                                  all bundled recordings
  countersign replay --recording open-pay-close       one scenario
  countersign replay --recording breach --node l1     one node of it
  countersign replay --hsmd /usr/libexec/c-lightning/lightning_hsmd

Exit status: 0 faithful, 1 an answer was neither the recorded one nor a refusal, 2 wrong usage.`;

function positiveSeconds(text: string): number {
  const seconds = Number(text);
  if (!(seconds > 0 && seconds <= 3600))
    throw new InvalidArgumentError('Give seconds, more than 0 and at most 3600.');
  return seconds;
}

export function addReplayCommand(program: Command): void {
  program
    .command('replay')
    .summary('play recorded sessions of real nodes through an hsmd and compare every reply')
    .description(
      'Play recorded sessions of real lightningd nodes through a real hsmd process; compare byte for byte.',
    )
    .option(
      '--recording <dir>',
      'a directory with recordings, or the name of a bundled one (default: all bundled)',
    )
    .option(
      '--node <name>',
      'only this node of each scenario, e.g. l1; of the single cases, the case of this name',
    )
    .option('--hsmd <path>', 'the hsmd to run (default: countersign-hsmd)')
    .option(
      '--timeout <seconds>',
      'longest wait for one answer',
      positiveSeconds,
      ANSWER_WAIT_SECONDS_DEFAULT,
    )
    .option('--keep', "keep the hsmd's state directories and print where they are")
    .option('--json', 'print the report as JSON and nothing else')
    .option('--no-color', 'no colours (also: the environment variable NO_COLOR)')
    .addHelpText('after', MORE_HELP)
    .action(async (flags: ReplayFlags) => {
      process.exitCode = await replay(flags);
    });
}

function groupsOf(scenarios: readonly string[], node: string | undefined): Group[] {
  const groups = scenarios.flatMap((directory): Group[] => {
    const recordings = recordingsOf(directory, node);
    if (recordings[0]?.scenario !== 'synthetic') {
      return recordings.map((one) => ({
        label: `${scenarioName(directory)} ${one.node}`,
        recordings: [one],
      }));
    }
    return [{ label: node ?? 'single cases', recordings }];
  });
  if (groups.length === 0) {
    throw new CommandError(
      'recording-not-found',
      `no recording has a node "${node}"`,
      'Leave --node out to see their names.',
    );
  }
  return groups;
}

function terminalOutput(): ProgressOutput {
  const columns = Math.min(process.stdout.columns ?? COLUMNS_DEFAULT, COLUMNS_MAX);
  return {
    isLive: process.stdout.isTTY === true,
    columns,
    write: (text) => void process.stdout.write(text),
  };
}

const SILENT: ProgressOutput = { isLive: false, columns: COLUMNS_DEFAULT, write: () => {} };

function tallyOf(results: readonly PlayResult[]): Tally {
  const played = results.flatMap((result) => result.played);
  const count = (kind: string) => played.filter((one) => one.verdict.kind === kind).length;
  return {
    identical: count('identical'),
    refused: count('refused'),
    mismatches: count('mismatch'),
    faults: results.reduce((sum, result) => sum + result.faults.length, 0),
  };
}

interface Playing {
  readonly path: string;
  readonly answerWaitMs: number;
  readonly progress: Progress;
  readonly keep: boolean;
  readonly kept: string[];
}

async function playGroup(group: Group, playing: Playing): Promise<PlayResult[]> {
  const results: PlayResult[] = [];
  playing.progress.begin(
    group.label,
    group.recordings.reduce((sum, one) => sum + messageCount(one), 0),
  );
  for (const recording of group.recordings) {
    const directory = createStateDirectory(recording);
    try {
      const { path, answerWaitMs, progress } = playing;
      results.push(
        await playRecording(recording, {
          hsmdPath: path,
          directory,
          answerWaitMs,
          onPlayed: () => progress.step(),
        }),
      );
    } finally {
      if (playing.keep) playing.kept.push(`${recording.scenario} ${recording.node}: ${directory}`);
      else removeStateDirectory(directory);
    }
  }
  playing.progress.end(tallyOf(results));
  return results;
}

function header(path: string, groups: readonly Group[], style: Style): string {
  const requests = groups
    .flatMap((group) => group.recordings)
    .reduce((sum, one) => sum + messageCount(one), 0);
  return [
    `${style.bold('Replay')}  ${shownPath(path)}`,
    style.dim(
      `        ${grouped(requests)} recorded requests, each through the sockets lightningd would use`,
    ),
    '',
    '',
  ].join('\n');
}

/** The first sentence of a rule's documentation; undefined for tags that are no rule, of another hsmd say. */
function ruleSentence(tag: string): string | undefined {
  return /^.*?[.:](?= |$)/s.exec(findRule(tag)?.documentation ?? '')?.[0].replace(/:$/, '.');
}

async function replay(flags: ReplayFlags): Promise<number> {
  const path = hsmdPath(flags.hsmd);
  const groups = groupsOf(scenariosAt(flags.recording), flags.node);
  const output = flags.json === true ? SILENT : terminalOutput();
  const style = chooseStyle({
    isTerminal: process.stdout.isTTY === true,
    noColorVariable: process.env.NO_COLOR,
    colorOption: flags.color,
  });
  const kept: string[] = [];
  const playing: Playing = {
    path,
    answerWaitMs: flags.timeout * 1000,
    progress: new Progress(output, style),
    keep: flags.keep === true,
    kept,
  };
  output.write(header(path, groups, style));
  const results: PlayResult[] = [];
  for (const group of groups) results.push(...(await playGroup(group, playing)));
  const report = makeReport(path, results);
  if (flags.json === true) process.stdout.write(`${JSON.stringify({ ...report, kept }, null, 2)}\n`);
  else {
    const lines = renderReport(report, { style, columns: output.columns, explain: ruleSentence });
    if (kept.length > 0) lines.push('', '  State kept in', ...kept.map((line) => `    ${line}`));
    output.write(`${lines.join('\n')}\n`);
  }
  return isFaithful(report) ? EXIT.ok : EXIT.failed;
}
