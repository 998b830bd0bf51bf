/** `countersign signer link`: the node that a signer knows, and its own key. Changes hold at once, also for a link that is up. */
import { linkFiles, type NodeConfig, readAddress } from '@countersign/daemon';
import { openIdentity, PinStore, readIdentity, stagedIdentity, stageIdentity } from '@countersign/transport';
import type { Command } from 'commander';
import { print, printJson } from '../admin/options.ts';
import { CommandError } from '../command-error.ts';
import { addNodeOptions, type NodeFlags, nodeIn, pairedNodeIn, readFrom } from '../signer/config-file.ts';
import { toldPlainly } from '../signer/failure.ts';
import { moment, table } from '../terminal.ts';

interface ListFlags extends NodeFlags {
  readonly json?: boolean;
}

export function addSignerLinkCommand(signer: Command): void {
  const link = signer
    .command('link')
    .summary('the node this signer knows')
    .description('The node that a signer is paired with, and its own key.');
  addNodeOptions(
    link
      .command('list')
      .description("This signer's key, and the node that it is paired with.")
      .option('--json', 'print JSON and nothing else'),
  ).action((flags: ListFlags) => toldPlainly(async () => list(flags)));
  addNodeOptions(
    link
      .command('revoke')
      .description(
        'Forget the key of the node: the connection ends within a second, and nothing is signed for it until it is paired again.',
      ),
  ).action((flags: NodeFlags) => toldPlainly(async () => revoke(flags)));
  addNodeOptions(
    link
      .command('rotate')
      .description(
        'Make a new key for this signer. The running link tells the node of it and changes to it by itself; until then the old one counts.',
      ),
  ).action((flags: NodeFlags) => toldPlainly(async () => rotate(flags)));
}

function filesOf(flags: NodeFlags) {
  const node = pairedNodeIn(readFrom(flags), flags.node);
  return { node, files: linkFiles(node.directory) };
}

function list(flags: ListFlags): void {
  const { link, directory } = nodeIn(readFrom(flags), flags.node);
  if (link.transport === 'link') listOfLink(directory, flags);
  else listOfVls(link, directory, flags);
}

function listOfLink(directory: string, flags: ListFlags): void {
  const files = linkFiles(directory);
  const own = readIdentity(files.identity)?.pin ?? null;
  const next = stagedIdentity(files.identity)?.pin ?? null;
  const nodes = PinStore.open(files.pins).list();
  const address = readAddress(files);
  if (flags.json === true) {
    printJson({
      pin: own,
      nextPin: next,
      address: address === null ? null : `${address.host}:${address.port}`,
      nodes: nodes.map((node) => ({ ...node })),
    });
    return;
  }
  const rows = [
    ['this signer', own ?? 'no key yet'],
    ...(next === null ? [] : [['its next key', next]]),
    ...nodes.map(({ pin, nextPin, sinceSeconds }) => [
      'the node',
      `${pin}${nextPin === null ? '' : `, next ${nextPin}`}, since ${moment(sinceSeconds)}`,
    ]),
    ...(address === null ? [] : [['paired at', `${address.host}:${address.port}`]]),
  ];
  print(table(rows, ['left', 'left']));
  if (nodes.length === 0) print(['Not paired: countersign signer pair TOKEN']);
}

type VlsLink = Extract<NodeConfig['link'], { transport: 'vls-grpc' }>;

/** Where TLS is wanted, the node's side needs this key before the signer runs for the first time. */
function listOfVls({ url, pin }: VlsLink, directory: string, { json }: ListFlags): void {
  const own = pin === null ? null : openIdentity(linkFiles(directory).identity).pin;
  const address = url.origin;
  if (json === true) {
    printJson({ transport: 'vls-grpc', pin: own, address, nodes: pin === null ? [] : [{ pin }] });
    return;
  }
  const rows = [
    ['this signer', own ?? 'no key: no TLS'],
    ['the node', pin ?? 'whoever listens there: no TLS'],
    ['dialled at', address],
  ];
  print(table(rows, ['left', 'left']));
}

function revoke(flags: NodeFlags): void {
  const { node, files } = filesOf(flags);
  const pins = PinStore.open(files.pins);
  for (const { name } of pins.list()) pins.revoke(name);
  print([`Forgotten: the node of ${node.name}. Pair again to serve it: countersign signer pair TOKEN`]);
}

function rotate(flags: NodeFlags): void {
  const { node, files } = filesOf(flags);
  const before = readIdentity(files.identity);
  if (before === undefined) {
    throw new CommandError(
      'usage',
      `node ${node.name} is not paired yet: there is no key to change`,
      'Pair first: countersign signer pair TOKEN.',
    );
  }
  const { pin } = stageIdentity(files.identity);
  print([
    `key now   ${before.pin}`,
    `next key  ${pin}`,
    'The link changes to it as soon as the node knows it: see "countersign signer link list".',
  ]);
}
