/**
 * `countersign audit` and `countersign explain`: what the signer did and refused, from its log, whose chain of hashes
 * can be verified.
 */
import { findRule, guideOf } from '@countersign/core';
import type { Command } from 'commander';
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
import { CommandError, EXIT } from '../command-error.ts';
import { grouped, moment, wrap } from '../terminal.ts';

const COUNT_DEFAULT = 20;
const PAGE_ENTRIES = 500;
const COLUMNS = 100;

interface ListFlags extends SignerFlags {
  readonly from?: number;
  readonly count: number;
  readonly refusals?: boolean;
}

export function addAuditCommand(program: Command): void {
  const audit = program
    .command('audit')
    .summary('read and verify the log of what was signed and refused')
    .description('The audit log: every change of state, every refusal, everything the operator did.');
  addSignerOptions(
    audit
      .command('list')
      .description('The newest entries, the oldest of them first.')
      .option('--from <number>', 'begin with this entry', positiveInteger)
      .option('--count <n>', 'how many', positiveInteger, COUNT_DEFAULT)
      .option('--refusals', 'only refusals'),
  ).action((flags: ListFlags) => withSigner(flags, (client) => list(client, flags)));
  addSignerOptions(
    audit
      .command('verify')
      .description(
        'Walk the whole chain of hashes. Keep the last hash elsewhere: it proves what came before it.',
      ),
  ).action((flags: SignerFlags) => withSigner(flags, (client) => verify(client, flags)));
}

export function addExplainCommand(program: Command): void {
  addSignerOptions(
    program
      .command('explain')
      .summary('why something was refused')
      .description('Why something was refused: the rule, what it compared, and what the rule is for.')
      .argument('<refusal>', "the number in lightningd's log or in countersign audit list", positiveInteger),
  ).action((seq: number, flags: SignerFlags) => withSigner(flags, (client) => explain(client, seq, flags)));
}

/** Entries from `from` on, page by page, until there are `count` that are wanted or no more. */
async function entriesFrom(
  client: AdminClient,
  from: number,
  count: number,
  isWanted: (entry: SignerAnswer) => boolean,
): Promise<SignerAnswer[]> {
  const found: SignerAnswer[] = [];
  for (let next = from; found.length < count; ) {
    const page = (await client.ask({ op: 'audit-list', from: next, count: PAGE_ENTRIES })).list('entries');
    const last = page.at(-1);
    if (last === undefined) break;
    found.push(...page.filter(isWanted).slice(0, count - found.length));
    next = last.number('seq') + 1;
  }
  return found;
}

const isRefusal = (entry: SignerAnswer): boolean => entry.at('body').has('refusal');

/** Without `--from`: the last ones, looked for backwards. */
async function newest(
  client: AdminClient,
  count: number,
  isWanted: (entry: SignerAnswer) => boolean,
): Promise<SignerAnswer[]> {
  let found: SignerAnswer[] = [];
  let before = (await client.ask({ op: 'status' })).at('audit').number('seq') + 1;
  while (before > 1 && found.length < count) {
    const from = Math.max(1, before - PAGE_ENTRIES);
    const entries = await entriesFrom(client, from, before - from, () => true);
    found = [...entries.filter((entry) => entry.number('seq') < before && isWanted(entry)), ...found];
    before = from;
  }
  return found.slice(-count);
}

async function list(client: AdminClient, flags: ListFlags): Promise<void> {
  const isWanted = flags.refusals === true ? isRefusal : () => true;
  const { from, count } = flags;
  const entries =
    from === undefined
      ? await newest(client, count, isWanted)
      : await entriesFrom(client, from, count, isWanted);
  if (flags.json === true) return printJson(entries.map(({ json }) => json));
  print(entries.length === 0 ? ['No such entries.'] : entries.flatMap(entryLines));
}

function entryLines(entry: SignerAnswer): string[] {
  const body = entry.at('body');
  const seq = String(entry.number('seq')).padStart(6);
  const time = body.numberOrNull('time');
  const head = `${seq}  ${time === null ? '' : moment(time)}  ${whatHappened(entry, body)}`;
  return [
    head.trimEnd(),
    ...detail('channel', body.textOrNull('channel')),
    ...detail(
      'changed',
      body.has('changed')
        ? body
            .list('changed')
            .map((one) => one.plain)
            .join(', ')
        : null,
    ),
    ...(body.has('warnings') ? body.list('warnings').flatMap((one) => detail('warning', ruleText(one))) : []),
    ...(body.has('events') ? body.list('events').flatMap((one) => detail('event', eventText(one))) : []),
  ];
}

function whatHappened(entry: SignerAnswer, body: SignerAnswer): string {
  if (!entry.has('body')) return entry.textOrNull('text') ?? '';
  if (body.has('refusal')) return `refused ${body.text('request')}: ${ruleText(body.at('refusal'))}`;
  return body.textOrNull('request') ?? body.textOrNull('operation') ?? '';
}

const detail = (name: string, value: string | null): string[] =>
  value === null ? [] : [`        ${name.padEnd(9)}${value}`];

function ruleText(one: SignerAnswer): string {
  return `${one.text('tag')}: ${one.text('message')}${factsText(one)}`;
}

const eventText = (one: SignerAnswer): string => `${one.text('event')}${factsText(one)}`;

function factsText(one: SignerAnswer): string {
  const facts = Object.entries(one.object('facts')).map(([name, value]) => `${name}=${value}`);
  return facts.length === 0 ? '' : ` [${facts.join(' ')}]`;
}

async function verify(client: AdminClient, flags: SignerFlags): Promise<void> {
  const result = await client.ask({ op: 'audit-verify' });
  const isSound = result.flag('sound');
  if (!isSound) process.exitCode = EXIT.failed;
  if (flags.json === true) return printJson(result.json);
  const seq = grouped(result.number('seq'));
  print([
    isSound
      ? `Sound: ${seq} entries, the newest ${result.text('hash')}`
      : `NOT SOUND at entry ${seq}: ${result.text('problem')}`,
  ]);
}

async function explain(client: AdminClient, seq: number, flags: SignerFlags): Promise<void> {
  const entry = (await client.ask({ op: 'audit-list', from: seq, count: 1 })).list('entries')[0];
  if (entry === undefined || entry.number('seq') !== seq || !isRefusal(entry)) {
    throw new CommandError(
      'operation-refused',
      `entry ${seq} of the audit log is no refusal`,
      'countersign audit list --refusals shows the refusals with their numbers.',
    );
  }
  if (flags.json === true) return printJson(entry.json);
  print(explanation(seq, entry.at('body')));
}

function explanation(seq: number, body: SignerAnswer): string[] {
  const refusal = body.at('refusal');
  const tag = refusal.text('tag');
  const rule = findRule(tag);
  const guide = guideOf(tag);
  const law =
    typeof refusal.at('law').json === 'number' ? `law ${refusal.number('law')}` : refusal.text('law');
  const facts = Object.entries(refusal.object('facts'));
  const time = body.numberOrNull('time');
  return [
    `Refusal ${seq}${time === null ? '' : `, ${moment(time)}`}`,
    '',
    ...wrap(refusal.text('message'), COLUMNS),
    ...(refusal.flag('temporary') ? ['It may pass later without anyone changing anything.'] : []),
    '',
    `  rule     ${tag} (${law}${rule === undefined ? '' : `, ${rule.severity}`})`,
    `  request  ${body.text('request')}`,
    ...(body.has('channel') ? [`  channel  ${body.text('channel')}`] : []),
    ...facts.map(([name, value]) => `  ${name} = ${value}`),
    ...(rule === undefined ? [] : ['', ...wrap(rule.documentation, COLUMNS)]),
    ...(guide === undefined
      ? []
      : ['', ...wrap(guide.means, COLUMNS), '', ...wrap(`What to do: ${guide.todo}`, COLUMNS)]),
    '',
    `More: docs/policies.md#${tag}, docs/refusals.md#${tag}`,
  ];
}
