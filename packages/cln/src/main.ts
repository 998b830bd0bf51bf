/**
 * `countersign-hsmd`: what lightningd starts in place of its hsmd. Descriptor 0 is the status socket, 3 the request
 * socket; it ends when lightningd hangs up (2), at SIGTERM (143) or SIGINT (130), each time with its store closed.
 * The signer runs in this process, or elsewhere (`mode` in countersign.toml): then no key ever enters it.
 */
import { randomBytes } from 'node:crypto';
import { fstatSync } from 'node:fs';
import { constants } from 'node:os';
import { CountersignError } from '@countersign/bitcoin';
import { type Config, DEFAULT_CONFIG, type RemoteConfig } from '@countersign/host';
import { FrameSocket } from '@countersign/transport';
import { CONFIG_VARIABLE, readConfig } from './config-file.ts';
import type { OpenDoor } from './door.ts';
import { Hsmd } from './hsmd.ts';
import type { RemoteOptions } from './remote/open.ts';
import { openStatusChannel } from './status.ts';
import { findLightningdVersion, VERSION_ADVICE, VERSION_VARIABLE, versionLine } from './version.ts';

const REQUEST_DESCRIPTOR = 3;

const HELP = `countersign-hsmd: the Countersign signer as a drop-in for Core Lightning's hsmd

lightningd starts it; point lightningd at it with
  lightningd --subdaemon=hsmd:/path/to/countersign-hsmd

  --version     print lightningd's version (lightningd checks that they are equal)
  --help        this text
  --developer   admit lightningd's developer messages (regtest only)
  --log-trace   send trace messages to lightningd's log

It ends when lightningd does. SIGTERM and SIGINT end it too, with its state closed in order, and lightningd after it.

Files, in lightningd's network directory (its working directory):
  hsm_secret         the node's secret, created if there is none
  countersign.toml   settings, optional (or the file that ${CONFIG_VARIABLE} names)
  countersign/       the signer's state: do not copy, restore or delete it

Environment:
  ${VERSION_VARIABLE}   what --version prints
  COUNTERSIGN_NODE          the Node.js executable to run on
`;

function isSocket(descriptor: number): boolean {
  try {
    return fstatSync(descriptor).isSocket();
  } catch {
    return false;
  }
}

async function printVersion(): Promise<void> {
  const config = readConfig();
  const configured = config instanceof CountersignError ? undefined : config.clnVersion;
  const found = await findLightningdVersion({
    environment: process.env,
    configured,
    parentPid: process.ppid,
  });
  if (found === undefined) {
    process.stderr.write(`countersign-hsmd: ${VERSION_ADVICE}\n`);
    process.exitCode = 1;
    return;
  }
  process.stdout.write(`${found.version}\n`);
}

/** What the mode needs is loaded at once, while lightningd is still on its way to INIT; what it does not need, never. */
function doorOf(config: Config): OpenDoor {
  return config.remote === null ? inPlaceDoor(config) : remoteDoor(config, config.remote);
}

function inPlaceDoor(config: Config): OpenDoor {
  const inPlace = import('./in-place.ts');
  const options = {
    config,
    randomBytes: (count: number) => Uint8Array.from(randomBytes(count)),
    monotonicMs: () => performance.now(),
    nowSeconds: () => Math.floor(Date.now() / 1000),
  };
  return async (init, surroundings) => (await inPlace).openInPlace(options, init, surroundings);
}

function remoteDoor(config: Config, remote: RemoteConfig): OpenDoor {
  const opening = import('./remote/open.ts');
  const listening = import('./remote/listen.ts');
  const options = {
    config,
    remote,
    random: () => Math.random(),
    tellTerminal: (text: string) => void process.stderr.write(`${text}\n`),
    monotonicMs: () => performance.now(),
  };
  return async (init, surroundings) => {
    const { listenForSigner } = await listening;
    const { openRemote } = await opening;
    const listen: RemoteOptions['listen'] = (greet, log) => listenForSigner(config, remote, greet, log);
    return openRemote({ ...options, listen }, init, surroundings);
  };
}

function runUnderLightningd(flags: ReadonlySet<string>): void {
  const status = openStatusChannel({ levelMin: flags.has('--log-trace') ? 'trace' : 'debug' });
  const die = (error: unknown) => {
    const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    process.exit(status.fail('internalError', text));
  };
  process.on('uncaughtException', die);
  process.on('unhandledRejection', die);
  // A terminal that is closed, or a pipe that nobody reads any more, is no reason to end the node.
  process.stderr.on('error', () => {});
  const config = readConfig();
  const configured = config instanceof CountersignError ? undefined : config.clnVersion;
  const version = versionLine(process.env[VERSION_VARIABLE]) ?? configured;
  if (version !== undefined) status.version(version);
  const { messageBytesMax } = config instanceof CountersignError ? DEFAULT_CONFIG : config;
  const hsmd = new Hsmd({
    openDoor: config instanceof CountersignError ? config : doorOf(config),
    messageBytesMax,
    endsAtHangUp: 'mode' in config && config.mode === 'remote',
    isDeveloper: flags.has('--developer'),
    status,
    master: FrameSocket.fromDescriptor(REQUEST_DESCRIPTOR, { frameBytesMax: messageBytesMax }),
    exit: (code) => process.exit(code),
  });
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => hsmd.stop(signal, 128 + constants.signals[signal]));
  }
  hsmd.run();
}

const flags = new Set(process.argv.slice(2));
if (flags.has('--help') || flags.has('-h')) process.stdout.write(HELP);
else if (flags.has('--version')) await printVersion();
else if (!isSocket(0) || !isSocket(REQUEST_DESCRIPTOR)) {
  process.stderr.write(`countersign-hsmd is started by lightningd and was not.\n\n${HELP}`);
  process.exitCode = 1;
} else runUnderLightningd(flags);
