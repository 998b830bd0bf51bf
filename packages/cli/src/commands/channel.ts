/**
 * `countersign channel`: the operator's kill switch of one channel, its end without the node, and what would save its funds now.
 */
import type { Command } from 'commander';
import type { SignerAnswer } from '../admin/answer.ts';
import { addSignerOptions, print, printJson, type SignerFlags, withSigner } from '../admin/options.ts';
import { grouped, table } from '../terminal.ts';

export function addChannelCommand(program: Command): void {
  const channel = program
    .command('channel')
    .summary('stop signing for one channel, or end it; what would save its funds')
    .description('The kill switch of one channel, and what would save its funds now.');
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
  addSignerOptions(
    channel
      .command('remedies')
      .description(
        'The transactions that would save the funds of this channel now, in the order to publish them. --json has them signed, unless the channel is open: then the signature would end it.',
      )
      .argument('<channel>', '<peer id>/<number>'),
  ).action((name: string, flags: SignerFlags) => remedies(name, flags));
  addSignerOptions(
    channel
      .command('close')
      .description(
        'End this channel without the node, for good: our newest commitment is signed, and no other state can follow. A signer that follows the chain itself publishes it, and claims whose deadline is near; the rest, such as our own balance after its delay, is for whoever asks "channel remedies --json" for it. A signer that hears of the chain from its node publishes nothing: take the transactions from --json and publish them in their order, now and whenever "channel remedies" has more.',
      )
      .argument('<channel>', '<peer id>/<number>, as refusals and the audit log name it')
      .requiredOption('--yes', 'it is meant: nothing takes this back'),
  ).action((name: string, flags: SignerFlags) => close(name, flags));
}

async function close(channel: string, flags: SignerFlags): Promise<void> {
  const result = await withSigner(flags, (client) => client.ask({ op: 'channel-close', channel }));
  if (flags.json === true) return printJson(result.json);
  print([`Ended: ${result.text('channel')}`, ...remedyLines(result)]);
}

async function remedies(channel: string, flags: SignerFlags): Promise<void> {
  const result = await withSigner(flags, (client) => client.ask({ op: 'remedies', channel }));
  if (flags.json === true) return printJson(result.json);
  print(remedyLines(result));
}

export function remedyLines(result: SignerAnswer): string[] {
  const plan = result.list('remedies');
  if (plan.length === 0) return ['Nothing to publish.', ...unclaimedLines(result)];
  const rows = plan.map((one) => [
    one.text('kind'),
    one.text('txid'),
    `${grouped(one.number('valueSat'))} sat`,
    `fee ${grouped(one.number('feeSat'))}`,
    timeText(one),
    noteText(one),
  ]);
  const more = result.number('remediesMore');
  return [
    ...table(rows, ['left', 'left', 'right', 'right', 'left', 'left']),
    ...(more > 0 ? [`… and ${more} more`] : []),
    ...unclaimedLines(result),
  ];
}

function timeText(one: SignerAnswer): string {
  const deadline = one.numberOrNull('deadlineHeightBlocks');
  const from = `from height ${grouped(one.number('earliestHeightBlocks'))}`;
  return deadline === null ? from : `${from}, before ${grouped(deadline)}`;
}

function noteText(one: SignerAnswer): string {
  if (!one.flag('isReleased')) return 'would end the channel';
  if (one.flag('isFallback')) return 'if another of these fails';
  return one.flag('isPunishable') ? 'the peer can take it' : '';
}

/** What stays where it is, and why. */
function unclaimedLines(result: SignerAnswer): string[] {
  return result
    .list('unclaimed')
    .map(
      (one) =>
        `left: ${one.text('outpoint')} (${grouped(one.number('valueSat'))} sat): ${one.text('reason')}`,
    );
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
