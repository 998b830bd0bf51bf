/**
 * `countersign pair`: lets one signer in. The token that it prints is carried to the signer's machine; whoever brings it first
 * within its time is paired, and it is worth nothing afterwards.
 */
import { networkInterfaces } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  beginPairing,
  LinkError,
  openPairingBook,
  openPairingDoor,
  PAIRING_SECONDS_DEFAULT,
  PAIRING_SECONDS_MAX,
  type PairingAddress,
  PinStore,
} from '@countersign/transport';
import { type Command, InvalidArgumentError } from 'commander';
import { positiveInteger, print, printJson } from '../admin/options.ts';
import { CommandError } from '../command-error.ts';
import { addNodeSideOptions, type NodeSide, type NodeSideFlags, nodeSideOf } from '../node/node-side.ts';
import { toldPlainly } from '../signer/failure.ts';
import { moment } from '../terminal.ts';

const NAME_DEFAULT = 'signer';
/** As many as a token holds. */
const ADDRESSES_MAX = 4;
const ANY_IPV4 = '0.0.0.0';
const WILDCARDS = [ANY_IPV4, '::', '::0'];

interface PairFlags extends NodeSideFlags {
  readonly name: string;
  readonly address?: readonly PairingAddress[];
  readonly seconds: number;
  readonly wait?: boolean;
}

export function addPairCommand(program: Command): void {
  addNodeSideOptions(
    program
      .command('pair')
      .summary('let a signer on another machine in')
      .description(
        'On the node’s machine: print a token for "countersign signer pair" on the signer’s machine. It says where this node listens and which key it has, and holds a secret that lets one signer in, once. Show it to nobody else.',
      )
      .option('--name <name>', 'how the signer is called here', nameOf, NAME_DEFAULT)
      .option(
        '--address <host:port>',
        'where the signer reaches this machine, if it is not where the node listens; may be repeated',
        addressOf,
      )
      .option(
        '--seconds <seconds>',
        `how long the token is good, at most ${PAIRING_SECONDS_MAX}`,
        positiveInteger,
        PAIRING_SECONDS_DEFAULT,
      )
      .option('--wait', 'listen here until the signer has come, while the node does not run')
      .option('--json', 'print JSON and nothing else'),
  ).action((flags: PairFlags) => toldPlainly(() => run(flags)));
}

function nameOf(text: string): string {
  if (/^[a-z0-9][a-z0-9._-]{0,31}$/.test(text)) return text;
  throw new InvalidArgumentError('Give up to 32 small letters, digits, dots, hyphens or underscores.');
}

function addressOf(text: string, before: readonly PairingAddress[] = []): readonly PairingAddress[] {
  const [, six, other, digits] = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(text) ?? [];
  const [host, port] = [six ?? other, Number(digits)];
  if (host === undefined || port < 1 || port > 65_535)
    throw new InvalidArgumentError('Give an address and a port: 192.168.1.5:9737 or [2001:db8::5]:9737.');
  if (before.length === ADDRESSES_MAX)
    throw new InvalidArgumentError(`A token holds at most ${ADDRESSES_MAX} addresses.`);
  return [...before, { host, port }];
}

async function run(flags: PairFlags): Promise<void> {
  const { name, seconds, json } = flags;
  const side = nodeSideOf(flags);
  const pins = PinStore.open(side.files.pins);
  const book = openPairingBook(side.files.pairings);
  const addresses = flags.address ?? addressesOf(side);
  const { token, expiresAtSeconds } = beginPairing({
    book,
    pins,
    identityPath: side.files.identity,
    name,
    addresses,
    seconds,
  });
  if (json === true) printJson({ token, name, expiresAtSeconds, addresses: addresses.map(textOf) });
  else print(explanation(side, token, flags, addresses, expiresAtSeconds));
  if (flags.wait === true) await waitForSigner(side, flags);
}

function explanation(
  { who }: NodeSide,
  token: string,
  { name, wait }: PairFlags,
  addresses: readonly PairingAddress[],
  expiresAtSeconds: number,
): string[] {
  return [
    'On the signer’s machine:',
    '',
    `  countersign signer pair ${token}`,
    '',
    'or, where others have accounts too: countersign signer pair --token-file -, and the token as its input.',
    `It is good until ${moment(expiresAtSeconds)}, once, for a signer that will be called "${name}",`,
    `and leads to ${addresses.map(textOf).join(', ')}.`,
    wait === true
      ? 'Waiting for it; Ctrl-C ends the wait.'
      : `${sentence(who.node)} has to run, or wait for its signer; else: countersign pair --wait`,
  ];
}

const sentence = (text: string): string => (text.startsWith('the ') ? `T${text.slice(1)}` : text);

const textOf = ({ host, port }: PairingAddress): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;

/** Where the node listens; on all interfaces: the addresses of this machine that others can reach. */
function addressesOf({ who, listen: { host, port } }: NodeSide): readonly PairingAddress[] {
  if (!WILDCARDS.includes(host)) return [{ host, port }];
  const found = Object.values(networkInterfaces())
    .flatMap((interfaces) => interfaces ?? [])
    .filter(({ internal, address }) => !internal && !address.startsWith('fe80:'))
    // Nobody listens at the others.
    .filter(({ family }) => family === 'IPv4' || host !== ANY_IPV4)
    .sort((a, b) => a.family.localeCompare(b.family))
    .map(({ address }) => ({ host: address, port }));
  if (found.length > 0) return found.slice(0, ADDRESSES_MAX);
  throw new CommandError(
    'usage',
    `${who.listener} listens at ${host}, and this machine has no address that others can reach`,
    'Say where the signer reaches it: --address HOST:PORT.',
  );
}

/** For as long as the token is good, unless the node's own process listens already. */
async function waitForSigner(
  { who, listen, files }: NodeSide,
  { name, seconds, json }: PairFlags,
): Promise<void> {
  const paired = Promise.withResolvers<string>();
  const door = await openPairingDoor({
    host: listen.host,
    port: listen.port,
    identityPath: files.identity,
    pins: PinStore.open(files.pins),
    book: openPairingBook(files.pairings),
    log: ({ level, text }) => {
      if (level === 'warn') process.stderr.write(`${text}\n`);
    },
    onPaired: (_, pin) => paired.resolve(pin),
  }).catch((error: unknown) => {
    if (isTaken(error)) return null;
    throw error;
  });
  if (door === null) {
    print(
      json === true
        ? []
        : [`Something listens there already: ${who.process}, if it runs, lets the signer in.`],
    );
    return;
  }
  const ended = new AbortController();
  const late = sleep(seconds * 1000, null, { signal: ended.signal }).catch(() => null);
  const pin = await Promise.race([paired.promise, late]);
  ended.abort();
  await door.close();
  if (pin === null)
    throw new CommandError(
      'operation-refused',
      'no signer came in time',
      'Make a new token: countersign pair.',
    );
  if (json === true) printJson({ paired: name, pin });
  else print([`Paired: ${name}`, `its key ${pin}`]);
}

function isTaken(error: unknown): boolean {
  if (!(error instanceof LinkError) || error.code !== 'link-listen-failed') return false;
  const { cause } = error;
  return cause instanceof Error && 'code' in cause && cause.code === 'EADDRINUSE';
}
