/**
 * `countersign allowlist`: destinations and payees that need no approval each time.
 */
import type { Json } from '@countersign/host';
import type { Command } from 'commander';
import type { SignerAnswer } from '../admin/answer.ts';
import { addSignerOptions, print, printJson, type SignerFlags, withSigner } from '../admin/options.ts';
import { moment, table } from '../terminal.ts';

const MORE_HELP = `
An entry is an address, a script in hex, an extended public key (every key below it), or a node id in hex: a payee of
payments. An extended public key is money's way out for ever: check it on the device it comes from.

Examples:
  countersign allowlist add bc1q… 02ab…
  countersign allowlist remove bc1q…`;

export function addAllowlistCommand(program: Command): void {
  const allowlist = program
    .command('allowlist')
    .summary('see and change where money may go without an approval')
    .description('Destinations and payees that need no approval each time.')
    .addHelpText('after', MORE_HELP);
  addSignerOptions(allowlist.command('list').description('All entries, the oldest first.')).action(list);
  addSignerOptions(
    allowlist.command('add').description('Add entries.').argument('<entry...>', 'what to add'),
  ).action((entries: string[], flags: SignerFlags) => change('allowlist-add', entries, flags));
  addSignerOptions(
    allowlist.command('remove').description('Remove entries.').argument('<entry...>', 'as listed'),
  ).action((entries: string[], flags: SignerFlags) => change('allowlist-remove', entries, flags));
}

const rowOf = (entry: SignerAnswer): string[] => [entry.text('kind'), entry.text('text')];

async function list(flags: SignerFlags): Promise<void> {
  const entries = await withSigner(flags, (client) => client.all({ op: 'allowlist-list' }));
  if (flags.json === true) return printJson(entries.map(({ json }) => json));
  if (entries.length === 0) return print(['The allowlist is empty.']);
  const rows = entries.map((entry) => [...rowOf(entry), `since ${moment(entry.number('addedAtSeconds'))}`]);
  print(table(rows, ['left', 'left', 'left']));
}

/** One after the other; the first that fails ends it, and what was done before stays done. */
async function change(
  op: 'allowlist-add' | 'allowlist-remove',
  entries: readonly string[],
  flags: SignerFlags,
): Promise<void> {
  const changed: Json[] = [];
  await withSigner(flags, async (client) => {
    for (const text of entries) {
      const entry = (await client.ask({ op, text })).at('entry');
      changed.push(entry.json);
      if (flags.json !== true)
        print([`${op === 'allowlist-add' ? 'Added' : 'Removed'} ${rowOf(entry).join(' ')}`]);
    }
  });
  if (flags.json === true) printJson(changed);
}
