/**
 * `countersign status` and `countersign policy`: the running signer and the rules it goes by.
 */
import type { Command } from 'commander';
import type { SignerAnswer } from '../admin/answer.ts';
import { addSignerOptions, print, printJson, type SignerFlags, withSigner } from '../admin/options.ts';
import { grouped, moment, table } from '../terminal.ts';

export function addStatusCommand(program: Command): void {
  addSignerOptions(
    program
      .command('status')
      .summary('is the signer running, and is all well?')
      .description('The running signer: its node, its preset, its store, what waits for the operator.'),
  ).action(status);
}

async function status(flags: SignerFlags): Promise<void> {
  const result = await withSigner(flags, (client) => client.ask({ op: 'status' }));
  if (result.has('failure')) process.exitCode = 1;
  if (flags.json === true) return printJson(result.json);
  print(statusLines(result));
}

function statusLines(result: SignerAnswer): string[] {
  const failure = result.at('failure');
  const audit = result.at('audit');
  const rows = [
    [
      'signer',
      result.has('failure') ? `STOPPED: ${failure.text('message')} (${failure.text('code')})` : 'running',
    ],
    ['since', moment(result.number('startedAtSeconds'))],
    ['node', result.text('nodeId')],
    ['network', result.text('network')],
    ['preset', result.text('preset')],
    ...(result.has('failure')
      ? []
      : [
          ['approvals', `${result.number('pendingApprovals')} waiting`],
          ['preimages', result.flag('deliversPreimages') ? 'delivered by the node side' : 'not delivered'],
        ]),
    ['commits', grouped(result.at('journal').number('commits'))],
    ['audit log', `${grouped(audit.number('seq'))} entries, the newest ${audit.text('hash')}`],
  ];
  return table(rows, ['left', 'left']);
}

export function addPolicyCommand(program: Command): void {
  const policy = program.command('policy').description('The rules the running signer goes by.');
  addSignerOptions(
    policy.command('show').description('The policy in force, with every limit and what each rule does.'),
  ).action(show);
}

async function show(flags: SignerFlags): Promise<void> {
  const format = flags.json === true ? 'json' : 'text';
  const lines = await withSigner(flags, (client) => client.all({ op: 'policy-show', format }));
  // JSON escapes what a terminal must not get.
  print(lines.map((line) => (flags.json === true ? String(line.json) : line.plain)));
}
