/**
 * `countersign approvals`: what the node asked for and nobody had approved, and the operator's word on it.
 */

import { type Command, InvalidArgumentError } from 'commander';
import { addressOf } from '../admin/addresses.ts';
import type { SignerAnswer } from '../admin/answer.ts';
import type { AdminClient } from '../admin/client.ts';
import {
  addSignerOptions,
  positiveNumber,
  print,
  printJson,
  type SignerFlags,
  withSigner,
} from '../admin/options.ts';
import { CommandError } from '../command-error.ts';
import { moment } from '../terminal.ts';

interface ApproveFlags extends SignerFlags {
  readonly amountMsat?: string;
  readonly expiresHours?: number;
}

const MORE_HELP = `
What nobody approved is declined at once and listed here. After an approval the node asks again, and then it passes:
pay the invoice once more, repeat the withdrawal.

Examples:
  countersign approvals list
  countersign approvals approve 3f9a0c11                   the beginning of an id is enough
  countersign approvals approve 3f9a0c11 --amount-msat 50000 --expires-hours 2`;

export function addApprovalsCommand(program: Command): void {
  const approvals = program
    .command('approvals')
    .summary('see, approve and reject what the node asked for')
    .description('What the node asked for and nobody had approved, and what may still be used of approvals.')
    .addHelpText('after', MORE_HELP);
  addSignerOptions(
    approvals.command('list').description('What waits for approval, and the approvals in force.'),
  ).action((flags: SignerFlags) => withSigner(flags, (client) => list(client, flags)));
  addSignerOptions(
    approvals
      .command('approve')
      .description('Approve what waits under this id, once.')
      .argument('<id>', 'its id, or the beginning of it (8 characters or more)')
      .option('--amount-msat <n>', 'the amount that may be paid, where the request names none', amount)
      .option('--expires-hours <n>', 'how long the approval waits to be used', positiveNumber),
  ).action((id: string, flags: ApproveFlags) => withSigner(flags, (client) => approve(client, id, flags)));
  addSignerOptions(
    approvals
      .command('reject')
      .description('Take it off the list. The node may ask again.')
      .argument('<id>', 'its id, or the beginning of it'),
  ).action((id: string, flags: SignerFlags) =>
    withSigner(flags, (client) => end(client, 'reject', id, flags)),
  );
  addSignerOptions(
    approvals
      .command('revoke')
      .description('Take an approval back. What it already paid for goes on.')
      .argument('<id>', 'its id, or the beginning of it'),
  ).action((id: string, flags: SignerFlags) =>
    withSigner(flags, (client) => end(client, 'revoke', id, flags)),
  );
}

function amount(text: string): string {
  if (!/^[1-9]\d{0,18}$/.test(text))
    throw new InvalidArgumentError('Give millisatoshis, a whole number above 0.');
  return text;
}

async function list(client: AdminClient, flags: SignerFlags): Promise<void> {
  const network = (await client.ask({ op: 'status' })).text('network');
  const pending = await client.all({ op: 'pending-list' });
  const approved = await client.all({ op: 'approvals-list' });
  if (flags.json === true) {
    printJson({ pending: pending.map(({ json }) => json), approvals: approved.map(({ json }) => json) });
    return;
  }
  print([
    pending.length === 0 ? 'Nothing waits for approval.' : `Waiting for approval: ${pending.length}`,
    ...pending.flatMap((one) => ['', ...pendingLines(one, network)]),
    '',
    approved.length === 0 ? 'No approvals in force.' : `Approvals in force: ${approved.length}`,
    ...approved.flatMap((one) => ['', ...approvedLines(one, network)]),
  ]);
}

function pendingLines(one: SignerAnswer, network: string): string[] {
  const times = one.number('timesAsked');
  const asked = `${times === 1 ? 'once' : `${times} times`}, last ${moment(one.number('lastAskedAtSeconds'))}`;
  return [
    one.text('id'),
    ...row('kind', one.text('kind')),
    ...row('amount', amountText(one)),
    ...row('payee', one.textOrNull('payee')),
    ...outputRows(one, network),
    ...row('fee', one.has('feeSat') ? `${one.text('feeSat')} sat` : null),
    // Written by whoever wants to be paid.
    ...row('says', one.text('description') === '' ? null : `"${one.text('description')}"`),
    ...row('asked', asked),
    ...row('until', one.has('expiresAtSeconds') ? moment(one.number('expiresAtSeconds')) : null),
  ];
}

function approvedLines(one: SignerAnswer, network: string): string[] {
  return [
    one.text('id'),
    ...row('kind', one.text('kind')),
    ...row('amount', amountText(one)),
    ...row('fee', one.has('feeBudgetMsat') ? `at most ${one.text('feeBudgetMsat')} msat` : null),
    ...row('used', one.has('amountMsat') ? `${one.text('usedMsat')} msat` : null),
    ...row('payee', one.textOrNull('payee')),
    ...outputRows(one, network),
    ...row('by', one.text('source')),
    ...row('until', moment(one.number('expiresAtSeconds'))),
  ];
}

function row(name: string, value: string | null): string[] {
  return value === null ? [] : [`  ${name.padEnd(7)}${value}`];
}

function outputRows(one: SignerAnswer, network: string): string[] {
  return one.list('outputs').flatMap((output) => {
    if (!output.has('script')) return row('pays', output.plain);
    return row('pays', `${output.text('valueSat')} sat to ${addressOf(output.text('script'), network)}`);
  });
}

function amountText(one: SignerAnswer): string | null {
  const kind = one.text('kind');
  if (kind === 'onchain' || kind === 'splice-out') return null;
  return one.has('amountMsat') ? `${one.text('amountMsat')} msat` : 'any: the invoice names none';
}

async function approve(client: AdminClient, id: string, flags: ApproveFlags): Promise<void> {
  const target = await wholeId(client, 'pending-list', id);
  const expirySeconds = flags.expiresHours === undefined ? null : Math.ceil(flags.expiresHours * 3600);
  const result = await client.ask({
    op: 'approve',
    target,
    amountMsat: flags.amountMsat ?? null,
    expirySeconds,
  });
  if (flags.json === true) return printJson(result.json);
  const network = (await client.ask({ op: 'status' })).text('network');
  print(['Approved:', ...approvedLines(result.at('approval'), network), '', 'Let the node ask again.']);
}

async function end(
  client: AdminClient,
  op: 'reject' | 'revoke',
  id: string,
  flags: SignerFlags,
): Promise<void> {
  const target = await wholeId(client, op === 'reject' ? 'pending-list' : 'approvals-list', id);
  const result = await client.ask({ op, target });
  if (flags.json === true) return printJson(result.json);
  print([`${op === 'reject' ? 'Rejected' : 'Revoked'}: ${result.text('id')}`]);
}

const PREFIX_CHARS_MIN = 8;

/** The one id that begins so; what is no beginning of any is left to the signer to refuse. */
async function wholeId(
  client: AdminClient,
  op: 'pending-list' | 'approvals-list',
  id: string,
): Promise<string> {
  if (id.length < PREFIX_CHARS_MIN) {
    throw new CommandError(
      'usage',
      `"${id}" is too short for an id`,
      `Give at least ${PREFIX_CHARS_MIN} characters of it.`,
    );
  }
  const ids = (await client.all({ op })).map((one) => one.text('id'));
  const found = ids.filter((one) => one.startsWith(id));
  if (ids.includes(id) || found.length === 0) return id;
  if (found.length > 1) {
    throw new CommandError('usage', `${found.length} ids begin with "${id}"`, 'Give more of it.');
  }
  return found[0]!;
}
