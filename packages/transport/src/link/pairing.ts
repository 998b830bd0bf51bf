/**
 * Pairing as the commands use it: the node side makes a token and waits, the signer's side brings it. Afterwards each has the
 * other's key on its list, and the token is worth nothing.
 */
import { type LinkClock, type RandomBytes, systemClock, systemRandom } from './clock.ts';
import { Doorman } from './doorman.ts';
import { LinkError } from './error.ts';
import { type LinkIdentity, openIdentity } from './identity.ts';
import { LINK_LIMITS } from './limits.ts';
import { type LinkLog, RefusalLog } from './log.ts';
import { PairingBook } from './pairing-book.ts';
import { PairingDesk } from './pairing-desk.ts';
import {
  decodePairingReply,
  encodePairingRequest,
  isProof,
  type PairingEnds,
  type PairingRefusal,
  proofOf,
  receiveOne,
  ticketOf,
} from './pairing-proof.ts';
import {
  decodePairingToken,
  encodePairingToken,
  type PairingAddress,
  type PairingToken,
} from './pairing-token.ts';
import { checkPinName, type PinStore } from './pins.ts';
import { dialTls, PAIRING_PROTOCOL, peerOf } from './tls.ts';

export interface BeginPairingOptions {
  readonly book: PairingBook;
  readonly pins: PinStore;
  readonly identityPath: string;
  /** For the signer. */
  readonly name: string;
  /** Where the signer reaches this side. */
  readonly addresses: readonly PairingAddress[];
  readonly seconds?: number;
}

/** The token to carry over. Throws `pin-taken`, `pairing-token`, `pairing-refused`, `link-file`. */
export function beginPairing(options: BeginPairingOptions): {
  readonly token: string;
  readonly expiresAtSeconds: number;
} {
  const { book, pins, identityPath, name, addresses, seconds } = options;
  checkPinName(name);
  pins.refresh();
  if (pins.list().some((pin) => pin.name === name))
    throw new LinkError('pin-taken', `${name} is paired already: revoke it first, or take another name`);
  const { pin } = openIdentity(identityPath);
  const { secret, expiresAtSeconds } = book.begin(name, seconds);
  return { token: encodePairingToken({ addresses, pin, secret, expiresAtSeconds }), expiresAtSeconds };
}

export interface PairingDoorOptions {
  readonly host: string;
  readonly port: number;
  readonly identityPath: string;
  readonly pins: PinStore;
  readonly book: PairingBook;
  readonly log: LinkLog;
  readonly clock?: LinkClock;
  readonly onPaired: (name: string, pin: string) => void;
}

/** Wait for signers to be paired while no node side runs; nothing else is spoken at this door. Rejects as `Doorman.open`. */
export function openPairingDoor(options: PairingDoorOptions): Promise<Doorman> {
  const { host, port, identityPath, pins, book, log, clock = systemClock, onPaired } = options;
  const identity = openIdentity(identityPath);
  const desk = new PairingDesk({ book, pins, nodePin: () => identity.pin, clock, log, onPaired });
  return Doorman.open({
    host,
    port,
    identity,
    protocols: [PAIRING_PROTOCOL],
    limits: LINK_LIMITS,
    clock,
    refusals: new RefusalLog(log, clock),
    onVisitor: (visitor) => desk.serve(visitor),
  });
}

/** The pairings of a node side that runs: hand it to `NodeSideLink.listen`. */
export function pairingDesk(options: Omit<PairingDoorOptions, 'host' | 'port' | 'onPaired'>): PairingDesk {
  const { identityPath, book, pins, log, clock = systemClock } = options;
  return new PairingDesk({ book, pins, nodePin: () => openIdentity(identityPath).pin, clock, log });
}

export function openPairingBook(
  path: string,
  clock: LinkClock = systemClock,
  random: RandomBytes = systemRandom,
): PairingBook {
  return new PairingBook(path, clock, random);
}

export interface PairOptions {
  /** As the operator typed it. */
  readonly token: string;
  readonly identityPath: string;
  readonly pins: PinStore;
  /** For the node. */
  readonly name: string;
  readonly timeoutMs?: number;
  readonly clock?: LinkClock;
}

export interface Paired {
  readonly address: PairingAddress;
  /** Of the node side. */
  readonly pin: string;
}

/**
 * Bring the token to the node side. Again with the same token after a lost answer does no harm. Rejects with
 * `pairing-token`, `pairing-refused`, `link-unreachable`, `link-stranger`, `pin-taken`, `link-file`.
 */
export async function pair(options: PairOptions): Promise<Paired> {
  const { pins, name, identityPath, clock = systemClock } = options;
  const token = decodePairingToken(options.token);
  const nowMs = clock.nowMs();
  if (nowMs / 1000 >= token.expiresAtSeconds) throw expiredHere(nowMs);
  checkPinName(name);
  pins.refresh();
  const named = pins.list().find((pin) => pin.name === name);
  if (named !== undefined && named.pin !== token.pin)
    throw new LinkError('pin-taken', `${name} has another key: revoke it first, or take another name`);
  const identity = openIdentity(identityPath);
  let failure: unknown;
  for (const address of token.addresses) {
    try {
      await prove(address, token, identity, options);
      pins.add(name, token.pin);
      return { address, pin: token.pin };
    } catch (error) {
      // Another address helps when nobody, or somebody else, is at this one.
      if (
        !(error instanceof LinkError) ||
        (error.code !== 'link-unreachable' && error.code !== 'link-stranger')
      )
        throw error;
      failure = error;
    }
  }
  throw failure;
}

async function prove(
  { host, port }: PairingAddress,
  token: PairingToken,
  identity: LinkIdentity,
  { timeoutMs = LINK_LIMITS.handshakeMs, clock = systemClock }: PairOptions,
): Promise<void> {
  const socket = await dialTls({ host, port, identity, protocol: PAIRING_PROTOCOL, timeoutMs, clock });
  const cancel = clock.after(timeoutMs, () => socket.destroy());
  try {
    // Before anything of the secret leaves.
    const { pin, protocol } = peerOf(socket);
    if (pin !== token.pin || protocol !== PAIRING_PROTOCOL)
      throw new LinkError('link-stranger', `who answers at ${host}:${port} is not the node of the token`, {
        host,
        port,
      });
    const ends: PairingEnds = { socket, nodePin: token.pin, signerPin: identity.pin };
    const { secret } = token;
    socket.write(encodePairingRequest({ ticket: ticketOf(secret), proof: proofOf('signer', secret, ends) }));
    const reply = decodePairingReply(await receiveOne(socket));
    if (reply.kind === 'refused') throw refusedFor(reply.reason);
    if (!isProof(reply.proof, proofOf('node', secret, ends)))
      throw new LinkError('link-stranger', 'the node side does not know the token', { host, port });
  } finally {
    cancel();
    socket.destroy();
  }
}

const REASONS: Readonly<Record<PairingRefusal, string>> = {
  unknown: 'the node side knows no such pairing: make a new token',
  expired: 'the token has expired: make a new one',
  used: 'the token was used already: make a new one, and find out who did if it was not you',
  'name-taken':
    'the node side knows this signer under another name, or that name belongs to another signer by now',
  busy: 'too many attempts: wait a minute',
};

/** By a clock that is wrong, every new token would be as old. */
function expiredHere(nowMs: number): LinkError {
  const time = new Date(nowMs).toISOString().slice(0, 16).replace('T', ' ');
  return new LinkError(
    'pairing-refused',
    `the token has expired by the clock of this machine, ${time} UTC: make a new one, or set the clock`,
    { reason: 'expired' },
  );
}

function refusedFor(reason: PairingRefusal): LinkError {
  return new LinkError('pairing-refused', REASONS[reason], { reason });
}
