/**
 * INIT in remote mode: lightningd waits until the signer is there and has answered. No key, no store and no curve is loaded in
 * this process; what its operator has to do meanwhile is told on the terminal, as lightningd does not read its log's socket yet.
 */
import { join } from 'node:path';
import { type Config, errorText, NODE_SOCKET, type RemoteConfig } from '@countersign/host';
import { LinkError, type SignerLink, SocketError, type UnixListener } from '@countersign/transport';
import { decodeMessage, MESSAGES } from '@countersign/wire';
import type { DoorAnswer, Init, Opening, Surroundings } from '../door.ts';
import { MASTER, RemoteDoor } from './door.ts';
import { openFeedSocket } from './feed-socket.ts';
import { Presence } from './presence.ts';
import { doorAnswer, typeOf } from './reply.ts';

/** lightningd's EXITCODE_HSM_GENERIC_ERROR: it prints the text and exits with this. */
const GENERIC_ERROR_CODE = 20;

/** A link that listens, and what the operator has to do for a signer to come. */
export interface Listening {
  readonly link: SignerLink;
  readonly advice: () => readonly string[];
}

export interface RemoteOptions {
  readonly config: Config;
  readonly remote: RemoteConfig;
  /** Begins to listen. Rejects with `LinkError`. */
  readonly listen: (log: Surroundings['log']) => Promise<Listening>;
  readonly tellTerminal: (text: string) => void;
  readonly monotonicMs: () => number;
}

export async function openRemote(
  options: RemoteOptions,
  init: Init,
  surroundings: Surroundings,
): Promise<Opening> {
  const { config, remote, tellTerminal, monotonicMs } = options;
  const { log } = surroundings;
  let listening: Listening;
  try {
    listening = await options.listen(log);
  } catch (error) {
    if (!(error instanceof LinkError)) throw error;
    return failed(`${errorText(error)} (${error.code})`);
  }
  const { link, advice } = listening;
  const presence = new Presence({
    link,
    advice,
    log,
    tellTerminal,
    startPatienceMs: milliseconds(remote.startPatienceSeconds),
    linkPatienceMs: milliseconds(remote.linkPatienceSeconds),
    monotonicMs,
  });
  const feeds = await openFeeds(config, link, surroundings);
  const onClose = async (): Promise<void> => {
    presence.close();
    await Promise.all([feeds?.close(), link.close()]);
  };
  if (!(await presence.first())) {
    await onClose();
    return failed(
      `no signer came within ${remote.startPatienceSeconds} s (start_patience_seconds in [remote])`,
    );
  }
  const greeting = [...(init.preinit === null ? [] : [init.preinit.body]), init.body];
  const opening = await initialize(link, greeting, config.messageBytesMax);
  if (!opening.ok) {
    await onClose();
    return opening;
  }
  const { initReply } = opening;
  const door = new RemoteDoor({
    link,
    presence,
    greeting,
    initReply,
    messageBytesMax: config.messageBytesMax,
    retryMs: remote.retrySeconds * 1000,
    log,
    monotonicMs,
    onClose,
  });
  return { ok: true, door, reply: { kind: 'body', body: initReply } };
}

type Failure = Extract<Opening, { ok: false }>;
type Initialized = { readonly ok: true; readonly initReply: Uint8Array } | Failure;

async function initialize(
  link: SignerLink,
  greeting: readonly Uint8Array[],
  messageBytesMax: number,
): Promise<Initialized> {
  let answer: DoorAnswer | null = null;
  for (const body of greeting) answer = doorAnswer(body, await link.ask(MASTER, body), messageBytesMax);
  if (answer?.kind !== 'body') {
    const why =
      answer?.kind === 'refused' ? `${answer.refusal.tag}: ${answer.refusal.message}` : 'it sent nothing';
    return failed(`the signer does not take INIT: ${why}`);
  }
  if (typeOf(answer.body) !== MESSAGES.hsmd_init_reply_failure.number)
    return { ok: true, initReply: answer.body };
  const decoded = decodeMessage(answer.body, 'reply');
  const isFailure = decoded.ok && decoded.message.name === 'hsmd_init_reply_failure';
  const { errorCode, errorMessage } = isFailure
    ? decoded.message
    : { errorCode: GENERIC_ERROR_CODE, errorMessage: '' };
  return {
    ok: false,
    how: 'failed',
    errorCode,
    errorMessage: `the signer says: ${errorMessage}`,
    exitStatus: 242,
  };
}

function failed(why: string): Failure {
  const errorMessage = `countersign: ${why}`;
  return { ok: false, how: 'failed', errorCode: GENERIC_ERROR_CODE, errorMessage, exitStatus: 242 };
}

/** Without its socket the node side still signs: what feeds it says so by itself. */
async function openFeeds(
  config: Config,
  link: SignerLink,
  { log, onBug }: Surroundings,
): Promise<UnixListener | null> {
  try {
    return await openFeedSocket({ path: join(config.stateDirectory, NODE_SOCKET), link, onBug });
  } catch (error) {
    if (!(error instanceof SocketError)) throw error;
    log('broken', `countersign: ${errorText(error)} (${error.code})`);
    return null;
  }
}

const milliseconds = (seconds: number | null): number | null => (seconds === null ? null : seconds * 1000);
