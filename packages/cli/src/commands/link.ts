/** `countersign link`: the signers that a node side knows, and its own key. Changes hold at once, also for a link that is up. */
import { openIdentity, PinStore, stagedIdentity, stageIdentity } from '@countersign/transport';
import type { Command } from 'commander';
import { print, printJson } from '../admin/options.ts';
import { addNodeSideOptions, type NodeSideFlags, nodeSideOf } from '../node/node-side.ts';
import { toldPlainly } from '../signer/failure.ts';
import { moment, table } from '../terminal.ts';

export function addLinkCommand(program: Command): void {
  const link = program
    .command('link')
    .summary('the signers a node side knows')
    .description('On the node’s machine: the signers it knows, and its own key (mode = "remote").');
  addNodeSideOptions(
    link
      .command('list')
      .description('This node side’s key, and the signers that are paired with it.')
      .option('--json', 'print JSON and nothing else'),
  ).action((flags: NodeSideFlags) => toldPlainly(async () => list(flags)));
  addNodeSideOptions(
    link
      .command('revoke')
      .description('Forget a signer’s key: its connection ends within a second, and it gets no other.')
      .argument('<name>', 'as "countersign link list" shows it'),
  ).action((name: string, flags: NodeSideFlags) => toldPlainly(async () => revoke(name, flags)));
  addNodeSideOptions(
    link
      .command('rotate')
      .description(
        'Make a new key for this node side. The running link tells every signer of it and changes to it by itself; until all of them know it, the old one counts.',
      ),
  ).action((flags: NodeSideFlags) => toldPlainly(async () => rotate(flags)));
}

function list(flags: NodeSideFlags): void {
  const { files } = nodeSideOf(flags);
  const own = openIdentity(files.identity).pin;
  const next = stagedIdentity(files.identity)?.pin ?? null;
  const signers = PinStore.open(files.pins).list();
  if (flags.json === true) {
    printJson({ pin: own, nextPin: next, signers: signers.map((signer) => ({ ...signer })) });
    return;
  }
  print([
    `this node side  ${own}`,
    ...(next === null ? [] : [`its next key    ${next}`]),
    '',
    ...(signers.length === 0
      ? ['No signer is paired: countersign pair']
      : table(
          [
            ['signer', 'key', 'since'],
            ...signers.map(({ name, pin, nextPin, sinceSeconds }) => [
              name,
              nextPin === null ? pin : `${pin}, next ${nextPin}`,
              moment(sinceSeconds),
            ]),
          ],
          ['left', 'left', 'left'],
        )),
  ]);
}

function revoke(name: string, flags: NodeSideFlags): void {
  PinStore.open(nodeSideOf(flags).files.pins).revoke(name);
  print([`Forgotten: ${name}. Pair again to let it in: countersign pair`]);
}

function rotate(flags: NodeSideFlags): void {
  const { files } = nodeSideOf(flags);
  const before = openIdentity(files.identity).pin;
  const { pin } = stageIdentity(files.identity);
  print([
    `key now   ${before}`,
    `next key  ${pin}`,
    'The link changes to it as soon as every signer knows it: see "countersign link list".',
  ]);
}
