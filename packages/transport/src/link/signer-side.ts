/**
 * The signer's side of a link: it dials out, so that its machine needs no open port, and hands what the node asks to the
 * handler. A lost connection is dialled again, for ever, with growing pauses; what was being decided goes on meanwhile.
 */
import { type Stats, statSync } from 'node:fs';
import { connect as connectUnix } from 'node:net';
import type { Duplex } from 'node:stream';
import { fraction, type LinkClock, type RandomBytes, systemClock, systemRandom } from './clock.ts';
import { LinkError } from './error.ts';
import { GREETINGS_MAX, ID_BYTES } from './frames.ts';
import { readIdentity } from './identity.ts';
import { KeyChange } from './key-change.ts';
import { Ledger } from './ledger.ts';
import { LINK_LIMITS, type LinkLimits } from './limits.ts';
import { type LinkEvent, type LinkLog, tellLimits } from './log.ts';
import type { PinStore } from './pins.ts';
import type { RequestHandler } from './protocol.ts';
import { SignerConnection, type SignerConnectionHandler } from './signer-connection.ts';
import { dialTls, LINK_PROTOCOL, peerOf } from './tls.ts';

export type SignerDial =
  | {
      readonly kind: 'tcp';
      readonly host: string;
      readonly port: number;
      /** Asked before each dialling: where the node is by now. Null: where it was. Must not throw. */
      readonly addressNow?: () => { readonly host: string; readonly port: number } | null;
      /** Must exist: pairing made it. */
      readonly identityPath: string;
      readonly pins: PinStore;
      /** The name under which the node's key is pinned. */
      readonly node: string;
    }
  | { readonly kind: 'unix'; readonly path: string };

/** `up`: the node asks here. `standby`: connected, another signer is asked. */
export type SignerLinkState = 'dialling' | 'up' | 'standby' | 'closed';

export interface SignerSideOptions {
  readonly dial: SignerDial;
  readonly handler: RequestHandler;
  /** The handler rejected: a bug of ours, the process must end. */
  readonly onBug: (error: unknown) => void;
  readonly limits?: Partial<LinkLimits>;
  readonly log: LinkLog;
  readonly clock?: LinkClock;
  readonly random?: RandomBytes;
}

/** A connection that lasted so long was a good one: the next pause is a short one again. */
const GOOD_CONNECTION_MS = 2_000;
/** Does nothing, this often. */
const ALIVE_MS = 3_600_000;

export class SignerSideLink {
  readonly #options: SignerSideOptions;
  readonly #limits: LinkLimits;
  readonly #clock: LinkClock;
  readonly #random: RandomBytes;
  readonly #log: LinkLog;
  readonly #instance: Uint8Array;
  readonly #ledger: Ledger;
  readonly #handler: SignerConnectionHandler;
  readonly #listeners = new Set<(state: SignerLinkState) => void>();
  /** Between two connections nothing else may keep the process, whose one purpose this is. */
  readonly #alive = setInterval(() => {}, ALIVE_MS);
  /** Of a node that is dialled by TCP. */
  #address = { host: '', port: 0 };
  #state: SignerLinkState = 'dialling';
  #connection: SignerConnection | null = null;
  #connectedAtMs = 0;
  #failures = 0;
  /** Being answered, also those of connections that are over. */
  #greetings = 0;
  #lastFailure = '';
  /** Set while nothing is dialled and nobody connected. */
  #cancelDial: (() => void) | null = null;
  #keys: KeyChange | null = null;
  #stopWatching: () => void = () => {};

  private constructor(options: SignerSideOptions) {
    const { limits, clock = systemClock, random = systemRandom, handler, onBug, log } = options;
    this.#options = options;
    if (options.dial.kind === 'tcp') this.#address = options.dial;
    this.#limits = { ...LINK_LIMITS, ...limits };
    this.#clock = clock;
    this.#random = random;
    this.#log = log;
    this.#instance = random(ID_BYTES);
    this.#ledger = new Ledger({ limits: this.#limits, handler, onBug });
    this.#handler = {
      active: (connection, run, outstanding) => {
        this.#ledger.attach(run, outstanding, connection, connection.frameBytesMax);
        this.#say('info', 'link-up', `connected to the node at ${this.target}`, {});
        tellLimits(log, this.#limits.frameBytesMax, connection.frameBytesMax, 'the node');
        this.#setState('up');
      },
      standby: () => {
        this.#say('info', 'link-standby', `the node at ${this.target} has another signer: standing by`, {});
        this.#setState('standby');
      },
      request: (frame) => this.#ledger.request(frame),
      ack: (ids) => this.#ledger.ack(ids),
      greeting: (connection, frame) => {
        if (this.#greetings >= GREETINGS_MAX)
          throw new LinkError('link-protocol', 'too many greetings at once');
        void this.#greeted(connection, frame);
      },
      nextKey: (connection, pin) => this.#keys?.theirs(connection, pin),
      nextKeyKnown: (connection, pin) => this.#keys?.known(connection, pin),
      closed: (connection, reason) => this.#onClosed(connection, reason),
    };
  }

  /** Begins to dial; the node side need not be there yet. */
  static dial(options: SignerSideOptions): SignerSideLink {
    const link = new SignerSideLink(options);
    link.#begin();
    return link;
  }

  get state(): SignerLinkState {
    return this.#state;
  }

  /** Whom it dials, for people. */
  get target(): string {
    const { dial } = this.#options;
    return dial.kind === 'unix' ? dial.path : `${this.#address.host}:${this.#address.port}`;
  }

  /** Requests undecided, and answers the node has not acknowledged. */
  get pending(): number {
    return this.#ledger.size;
  }

  onState(listener: (state: SignerLinkState) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** No further dialling. What is being decided goes on, but its answers reach nobody. */
  close(): void {
    if (this.#state === 'closed') return;
    this.#setState('closed');
    clearInterval(this.#alive);
    this.#cancelDial?.();
    this.#stopWatching();
    this.#keys?.close();
    this.#connection?.bye('closing');
    this.#ledger.detach();
  }

  #begin(): void {
    const { dial } = this.#options;
    if (dial.kind === 'tcp') {
      this.#stopWatching = dial.pins.onChange(() => this.#onPinsChanged());
      this.#keys = new KeyChange({
        identityPath: dial.identityPath,
        pins: dial.pins,
        clock: this.#clock,
        log: this.#log,
        connections: () => (this.#connection === null ? [] : [this.#connection]),
        names: () => [dial.node],
        adopted: () => this.#connection?.bye('rekeyed'),
      });
    }
    void this.#dial();
  }

  async #dial(): Promise<void> {
    this.#cancelDial = null;
    let socket: Duplex;
    let pin: string | null = null;
    try {
      if (this.#options.dial.kind === 'unix')
        socket = await dialUnix(this.#options.dial.path, this.#limits, this.#clock);
      else ({ socket, pin } = await this.#dialNode(this.#options.dial));
    } catch (error) {
      if (!(error instanceof LinkError)) throw error;
      this.#dialFailed(error);
      return;
    }
    if (this.#state === 'closed') {
      socket.destroy();
      return;
    }
    this.#connectedAtMs = this.#clock.monotonicMs();
    const name = this.#options.dial.kind === 'unix' ? 'node' : this.#options.dial.node;
    const [limits, clock, instance] = [this.#limits, this.#clock, this.#instance];
    this.#connection = new SignerConnection({ socket, name, pin, instance, limits, clock }, this.#handler);
    this.#keys?.announceTo(this.#connection);
  }

  /** Nothing was sent yet when the other end proves not to be the node. */
  async #dialNode(dial: Extract<SignerDial, { kind: 'tcp' }>): Promise<{ socket: Duplex; pin: string }> {
    const { pins, node } = dial;
    this.#address = dial.addressNow?.() ?? this.#address;
    const { host, port } = this.#address;
    const identity = readIdentity(dial.identityPath);
    if (identity === undefined) throw new LinkError('link-file', 'this side is not paired with the node yet');
    const [clock, timeoutMs] = [this.#clock, this.#limits.handshakeMs];
    const socket = await dialTls({ host, port, identity, protocol: LINK_PROTOCOL, timeoutMs, clock });
    try {
      const { pin } = peerOf(socket);
      pins.refresh();
      if (pins.find(pin)?.name !== node)
        throw new LinkError(
          'link-stranger',
          `who answers at ${host}:${port} is not ${node}: its key is ${pin}`,
          { pin },
        );
      pins.confirm(pin);
      return { socket, pin };
    } catch (error) {
      socket.destroy();
      throw error;
    }
  }

  #dialFailed(error: LinkError): void {
    if (this.#state === 'closed') return;
    this.#sayFailed(
      'link-dial-failed',
      `no connection to the node at ${this.target}: ${error.message}`,
      error,
    );
    this.#redial();
  }

  #onClosed(connection: SignerConnection, reason: LinkError): void {
    if (this.#connection !== connection) return;
    this.#connection = null;
    this.#ledger.detach();
    if (this.#state === 'closed') return;
    const lastedMs = this.#clock.monotonicMs() - this.#connectedAtMs;
    if (lastedMs >= GOOD_CONNECTION_MS) this.#failures = 0;
    this.#sayFailed(
      'link-down',
      `the connection to the node at ${this.target} is gone: ${reason.message}`,
      reason,
    );
    this.#setState('dialling');
    const { reason: bye } = reason.facts;
    // Somebody else has our place, or we are not wanted: no hurry to come back.
    if (bye === 'replaced' || bye === 'refused' || bye === 'revoked' || bye === 'version')
      this.#redialIn(this.#limits.redialUnwantedMs);
    else this.#redial();
  }

  /** The first time, then at each doubling: a node that is away, or does not want us, must not fill the log. */
  #sayFailed(event: 'link-dial-failed' | 'link-down', text: string, { code, facts }: LinkError): void {
    const isSame = this.#lastFailure === `${event} ${code}`;
    this.#lastFailure = `${event} ${code}`;
    if (isSame && (this.#failures & (this.#failures - 1)) !== 0) return;
    this.#say('warn', event, text, {
      code,
      reason: String(facts.reason ?? ''),
      attempts: this.#failures + 1,
    });
  }

  #redial(): void {
    const { redialMs, redialMsMax } = this.#limits;
    const pauseMs = Math.min(redialMsMax, redialMs * 2 ** Math.min(this.#failures, 20));
    this.#failures++;
    this.#redialIn(pauseMs);
  }

  /** From half of it up to all of it: many signers of one node must not come all at once. */
  #redialIn(pauseMs: number): void {
    this.#cancelDial?.();
    this.#cancelDial = this.#clock.after(
      pauseMs * (0.5 + fraction(this.#random) / 2),
      () => void this.#dial(),
    );
  }

  async #greeted(
    connection: SignerConnection,
    { id, client, body }: Parameters<SignerConnectionHandler['greeting']>[1],
  ): Promise<void> {
    const { handler, onBug } = this.#options;
    this.#greetings++;
    try {
      connection.answerGreeting(id, await handler.ask(client, body));
    } catch (error) {
      onBug(error);
    }
    this.#greetings--;
  }

  #onPinsChanged(): void {
    const { dial } = this.#options;
    const connection = this.#connection;
    if (dial.kind !== 'tcp') return;
    if (this.#cancelDial !== null) {
      // Paired anew, or the node has another key: nobody should wait out a pause for that.
      this.#cancelDial();
      void this.#dial();
      return;
    }
    if (connection === null || connection.pin === null) return;
    if (dial.pins.find(connection.pin)?.name === dial.node) return;
    this.#say('warn', 'link-revoked', `the key of ${dial.node} is no longer trusted`, { node: dial.node });
    connection.bye('revoked');
  }

  #setState(state: SignerLinkState): void {
    if (this.#state === state) return;
    this.#state = state;
    for (const listener of [...this.#listeners]) listener(state);
  }

  #say(level: LinkEvent['level'], event: LinkEvent['event'], text: string, facts: LinkEvent['facts']): void {
    this.#log({ level, event, text, facts });
  }
}

/** Rejects with `link-unreachable`; with `link-file` for a socket that a stranger could listen at: nobody proves anything there. */
function dialUnix(path: string, { handshakeMs }: LinkLimits, clock: LinkClock): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    requireOwnSocket(path);
    const socket = connectUnix({ path });
    const fail = (cause?: Error): void => {
      cancel();
      socket.destroy();
      reject(
        new LinkError('link-unreachable', cause?.message ?? 'no connection in time', { path }, { cause }),
      );
    };
    const cancel = clock.after(handshakeMs, () => fail());
    socket.once('error', fail);
    socket.once('connect', () => {
      cancel();
      socket.off('error', fail);
      resolve(socket);
    });
  });
}

/** As the node side makes it: of this user, for this user. One that is absent is told by the dialling. Throws `link-file`. */
function requireOwnSocket(path: string): void {
  let found: Stats | undefined;
  try {
    found = statSync(path, { throwIfNoEntry: false });
  } catch (cause) {
    throw new LinkError('link-file', `cannot look at ${path}`, {}, { cause });
  }
  if (found === undefined) return;
  if (found.uid !== process.getuid?.())
    throw new LinkError('link-file', `${path} belongs to another user: who listens there is not known`);
  if ((found.mode & 0o077) !== 0)
    throw new LinkError('link-file', `others may use ${path}: it is not as the node side makes it`);
}
