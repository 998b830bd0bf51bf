/**
 * INIT in remote mode: lightningd waits until the signer is there and has answered. No key, no store and no curve is loaded in
 * this process; what its operator has to do meanwhile is told on the terminal too, as lightningd does not read its log's socket
 * yet.
 */
import { join, resolve } from 'node:path';
import { CountersignError } from '@countersign/bitcoin';
import { type Config, errorText, NODE_SOCKET, type RemoteConfig } from '@countersign/host';
import {
  type GreetingAsk,
  Presence,
  type SignerLink,
  SocketError,
  type UnixListener,
} from '@countersign/transport';
import type { Init, Opening, Surroundings } from '../door.ts';
import { RemoteDoor } from './door.ts';
import { openFeedSocket } from './feed-socket.ts';
import { type InitFailure, Introduction } from './introduction.ts';
import { type NodeChain, openNodeChain } from './node-chain.ts';
import { HELD_FILE, openHeldValues, PreimageDesk } from './preimages.ts';
import { isTaken, LINK_SOCKET, type LinkStanding, openStandingSocket } from './standing.ts';

/** lightningd's EXITCODE_HSM_GENERIC_ERROR: it prints the text and exits with this. */
const GENERIC_ERROR_CODE = 20;

export type Greet = (ask: GreetingAsk, signer: string) => Promise<void>;

/** A link that listens, and what the operator has to do for a signer to come. */
export interface Listening {
  readonly link: SignerLink;
  readonly advice: () => readonly string[];
  /** For the operator's commands; a transport that has none is not asked. */
  readonly standing?: () => LinkStanding;
}

export interface RemoteOptions {
  readonly config: Config;
  readonly remote: RemoteConfig;
  /** Begins to listen; `greet` is called before anything is asked of a process of the signer. Rejects with `CountersignError`. */
  readonly listen: (greet: Greet, log: Surroundings['log']) => Promise<Listening>;
  readonly tellTerminal: (text: string) => void;
  readonly monotonicMs: () => number;
  /** From 0 up to and without 1. */
  readonly random: () => number;
}

export async function openRemote(
  options: RemoteOptions,
  init: Init,
  surroundings: Surroundings,
): Promise<Opening> {
  const { config, remote, monotonicMs } = options;
  const { messageBytesMax } = config;
  const { log } = surroundings;
  if (await isTaken(join(config.stateDirectory, LINK_SOCKET))) {
    const where = resolve(config.stateDirectory);
    return failed(`another process is the node side of a signer in ${where}: no two nodes may share it`);
  }
  const failure = Promise.withResolvers<InitFailure>();
  const introduction = new Introduction({ init, messageBytesMax, log, onFailed: failure.resolve });
  // Afterwards lightningd has a log. A terminal may be a pipe that nobody reads: who writes to it stops there one day.
  const tellTerminal = (text: string): void => {
    if (introduction.reply === null) options.tellTerminal(text);
  };
  let listening: Listening;
  try {
    listening = await options.listen(introduction.greet, (level, text) => {
      log(level, text);
      if (level === 'unusual' || level === 'broken') tellTerminal(text);
    });
  } catch (error) {
    if (!(error instanceof CountersignError)) throw error;
    return failed(`${errorText(error)} (${error.code})`);
  }
  const { link } = listening;
  const presence = presenceOf({ ...options, tellTerminal }, listening, log);
  const preimages = preimageDesk(options, link, log);
  const feeds = await openFeeds(config, link, preimages, surroundings);
  const standing = await openStanding(config, listening, log);
  let chain: NodeChain | null = null;
  const onClose = async (): Promise<void> => {
    presence.close();
    await chain?.stop();
    await Promise.all([feeds?.close(), standing?.close(), link.close()]);
    preimages?.close();
  };
  const end = await Promise.race([failure.promise, presence.first()]);
  if (end === true && introduction.reply !== null) {
    if (feeds !== null)
      chain = await openNodeChain({ ...options, socketPath: feeds.path }, init, surroundings);
    const retryMs = remote.retrySeconds * 1000;
    const door = new RemoteDoor({ link, presence, messageBytesMax, retryMs, monotonicMs, onClose });
    return { ok: true, door, reply: { kind: 'body', body: introduction.reply } };
  }
  await onClose();
  if (typeof end === 'object') return end;
  return failed(
    `no signer came within ${remote.startPatienceSeconds} s (start_patience_seconds in [remote])`,
  );
}

function presenceOf(
  { remote, tellTerminal, monotonicMs }: RemoteOptions,
  { link, advice }: Listening,
  log: Surroundings['log'],
): Presence {
  return new Presence({
    link,
    advice,
    log,
    tellTerminal,
    startPatienceMs: milliseconds(remote.startPatienceSeconds),
    linkPatienceMs: milliseconds(remote.linkPatienceSeconds),
    monotonicMs,
  });
}

function failed(why: string): InitFailure {
  const errorMessage = `countersign: ${why}`;
  return { ok: false, how: 'failed', errorCode: GENERIC_ERROR_CODE, errorMessage, exitStatus: 242 };
}

/** VLS's protocol has no preimages. */
function preimageDesk(
  { config, remote }: RemoteOptions,
  link: SignerLink,
  log: Surroundings['log'],
): PreimageDesk | null {
  if (remote.transport === 'vls-grpc') return null;
  const held = openHeldValues(join(config.stateDirectory, HELD_FILE), log);
  const desk = new PreimageDesk({ link, held, log });
  desk.begin();
  return desk;
}

/** Without its socket the node side still signs: what feeds it says so by itself. */
async function openFeeds(
  config: Config,
  link: SignerLink,
  preimages: PreimageDesk | null,
  { log, onBug }: Surroundings,
): Promise<UnixListener | null> {
  try {
    const path = join(config.stateDirectory, NODE_SOCKET);
    return await openFeedSocket({ path, link, preimages, onBug });
  } catch (error) {
    if (!(error instanceof SocketError)) throw error;
    log('broken', `countersign: ${errorText(error)} (${error.code})`);
    return null;
  }
}

/** Without it the commands know less; nothing else needs it. */
async function openStanding(
  { stateDirectory }: Config,
  { standing }: Listening,
  log: Surroundings['log'],
): Promise<UnixListener | null> {
  if (standing === undefined) return null;
  try {
    return await openStandingSocket(join(stateDirectory, LINK_SOCKET), standing);
  } catch (error) {
    if (!(error instanceof SocketError)) throw error;
    log('unusual', `countersign: ${errorText(error)} (${error.code})`);
    return null;
  }
}

const milliseconds = (seconds: number | null): number | null => (seconds === null ? null : seconds * 1000);
