/** `countersign link`: the signers that a node side knows, and its own key. Changes hold at once, also for a link that is up. */
import { type LinkStanding, readStanding } from '@countersign/cln';
import {
  openIdentity,
  openPairingBook,
  type Pin,
  PinStore,
  stagedIdentity,
  stageIdentity,
} from '@countersign/transport';
import type { Command } from 'commander';
import { print, printJson } from '../admin/options.ts';
import {
  addNodeSideOptions,
  type NodeSideFlags,
  type NodeSideWords,
  nodeSideOf,
  type VlsSide,
  vlsSideOf,
} from '../node/node-side.ts';
import { toldPlainly } from '../signer/failure.ts';
import { moment, table } from '../terminal.ts';

export function addLinkCommand(program: Command): void {
  const link = program
    .command('link')
    .summary('the signers a node side knows')
    .description(
      'On the node’s machine: the signers it knows, and its own key (lightningd with mode = "remote", or an application with LDK).',
    );
  addNodeSideOptions(
    link
      .command('list')
      .description(
        'This node side’s key, the signers that are paired with it, who of them is connected, and tokens that wait.',
      )
      .option('--json', 'print JSON and nothing else'),
  ).action((flags: NodeSideFlags) => toldPlainly(() => list(flags)));
  addNodeSideOptions(
    link
      .command('revoke')
      .description(
        'Forget a signer’s key: its connection ends within a second, and it gets no other. Or withdraw the token that waits for it.',
      )
      .argument('<name>', 'as "countersign link list" shows it'),
  ).action((name: string, flags: NodeSideFlags) => toldPlainly(async () => revoke(name, flags)));
  addNodeSideOptions(
    link
      .command('promote')
      .description(
        'Make another paired signer the active one. Only for one whose records hold all that the one before has signed: another would sign what was revoked.',
      )
      .argument('<name>', 'as "countersign link list" shows it'),
  ).action((name: string, flags: NodeSideFlags) => toldPlainly(async () => promote(name, flags)));
  addNodeSideOptions(
    link
      .command('rotate')
      .description(
        'Make a new key for this node side. The running link tells every signer of it and changes to it by itself; until all of them know it, the old one counts.',
      ),
  ).action((flags: NodeSideFlags) => toldPlainly(async () => rotate(flags)));
}

async function list(flags: NodeSideFlags): Promise<void> {
  const vls = vlsSideOf(flags);
  if (vls !== null) return listOfVls(vls, flags);
  const { who, files, socket } = nodeSideOf(flags);
  const own = openIdentity(files.identity).pin;
  const next = stagedIdentity(files.identity)?.pin ?? null;
  const pins = PinStore.open(files.pins);
  const waiting = openPairingBook(files.pairings).waiting();
  const standing = await readStanding(socket);
  if (flags.json === true) {
    printJson({
      pin: own,
      nextPin: next,
      state: standing?.state ?? null,
      active: pins.active,
      signers: pins.list().map((signer) => ({ ...signer, connected: connectedOf(signer, standing) })),
      pairings: waiting.map((pairing) => ({ ...pairing })),
    });
    return;
  }
  print([
    `this node side  ${own}`,
    ...(next === null ? [] : [`its next key    ${next}`]),
    '',
    ...signerLines(who, pins, standing),
    ...waiting.map(
      ({ name, expiresAtSeconds }) =>
        `A token for ${name} waits for its signer until ${moment(expiresAtSeconds)}.`,
    ),
  ]);
}

function listOfVls({ identityPath, pins }: VlsSide, { json }: NodeSideFlags): void {
  const { pin } = openIdentity(identityPath);
  if (json === true) {
    printJson({ transport: 'vls-grpc', pin, signers: pins.map((one) => ({ pin: one })) });
    return;
  }
  print([
    `this node side  ${pin}`,
    ...pins.map((one) => `signer          ${one}`),
    ...(pins.length > 0
      ? []
      : [
          '[remote] has no pins: no TLS, and whoever connects is the signer. With pins = ["…"] only that one is.',
        ]),
  ]);
}

function connectedOf({ name }: Pin, standing: LinkStanding | null) {
  const found = standing?.signers.find((signer) => signer.name === name);
  if (found === undefined) return null;
  const { role, address, sinceSeconds } = found;
  return { role, address, sinceSeconds };
}

function signerLines(who: NodeSideWords, pins: PinStore, standing: LinkStanding | null): string[] {
  const signers = pins.list();
  if (signers.length === 0) return ['No signer is paired: countersign pair'];
  const rows = signers.map((signer) => {
    const { name, pin, nextPin, sinceSeconds } = signer;
    const key = nextPin === null ? pin : `${pin}, next ${nextPin}`;
    return [name, key, moment(sinceSeconds), nowOf(signer, pins.active, standing)];
  });
  return [
    ...table([['signer', 'key', 'since', 'now'], ...rows], ['left', 'left', 'left', 'left']),
    ...(standing === null ? [`Who is connected is not known here: ${who.unknown}.`] : []),
  ];
}

function nowOf(signer: Pin, active: string | null, standing: LinkStanding | null): string {
  const isActive = signer.name === active;
  if (standing === null) return isActive ? 'active' : '–';
  const connected = connectedOf(signer, standing);
  if (connected === null) return isActive ? 'active, but away' : 'away';
  const role = connected.role === 'greeted' ? 'is being told INIT' : connected.role;
  return `${role}, connected since ${moment(connected.sinceSeconds)}`;
}

/** A name has a token that waits, or a key, or neither. */
function revoke(name: string, flags: NodeSideFlags): void {
  const { files } = nodeSideOf(flags);
  const isWithdrawn = openPairingBook(files.pairings).withdraw(name);
  const pins = PinStore.open(files.pins);
  if (isWithdrawn && !pins.list().some((pin) => pin.name === name)) {
    print([`Withdrawn: the token for ${name}. It lets nobody in any more.`]);
    return;
  }
  pins.revoke(name);
  print([`Forgotten: ${name}. Pair again to let it in: countersign pair`]);
}

function promote(name: string, flags: NodeSideFlags): void {
  const pins = PinStore.open(nodeSideOf(flags).files.pins);
  const before = pins.active;
  if (before === name) {
    print([`${name} is the active signer already.`]);
    return;
  }
  pins.activate(name);
  print([
    `The active signer is ${name} from now on${before === null ? '' : `, not ${before}`}: a running link changes to it within a second.`,
    ...(before === null
      ? []
      : [
          `Its records must hold all that ${before} has signed: see "Several signers" in docs/remote-link.md.`,
        ]),
  ]);
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
