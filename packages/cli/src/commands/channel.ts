/**
 * `countersign channel`: the operator's kill switch of one channel.
 */
import type { Command } from 'commander';
import { addSignerOptions, print, printJson, type SignerFlags, withSigner } from '../admin/options.ts';

export function addChannelCommand(program: Command): void {
  const channel = program
    .command('channel')
    .summary('stop signing for one channel, or go on')
    .description('The kill switch of one channel.');
  addSignerOptions(
    channel
      .command('freeze')
      .description('Sign no commitment, revocation or close for it until it is released.')
      .argument('<channel>', '<peer id>/<number>, as refusals and the audit log name it'),
  ).action((name: string, flags: SignerFlags) => set('channel-freeze', name, flags));
  addSignerOptions(
    channel
      .command('unfreeze')
      .description('Release it. A channel frozen by a proof of rollback stays frozen.')
      .argument('<channel>', '<peer id>/<number>'),
  ).action((name: string, flags: SignerFlags) => set('channel-unfreeze', name, flags));
}

async function set(
  op: 'channel-freeze' | 'channel-unfreeze',
  channel: string,
  flags: SignerFlags,
): Promise<void> {
  const result = await withSigner(flags, (client) => client.ask({ op, channel }));
  if (flags.json === true) return printJson(result.json);
  print([`${op === 'channel-freeze' ? 'Frozen' : 'Released'}: ${result.text('channel')}`]);
}
