/**
 * The node side of a link: it listens, and has no keys but the one that says who it is. One signer is active; what is asked
 * waits for it, across lost connections, until it is answered once. Other pinned signers stand by or are refused.
 */

import { type LinkClock, type RandomBytes, systemClock, systemRandom } from './clock.ts';
import { LinkError } from './error.ts';
import { ID_BYTES } from './frames.ts';
import { KeyChange } from './key-change.ts';
import { LINK_LIMITS, type LinkLimits } from './limits.ts';
import { type LinkLog, RefusalLog, tellLimits } from './log.ts';
import { NodeConnection, type NodeConnectionHandler } from './node-connection.ts';
import { type Arrival, type NodeAddress, NodeDoor } from './node-door.ts';
import { Outbox } from './outbox.ts';
import { Place } from './place.ts';
import type { LinkAnswer, LinkClient, LinkFeed, LinkState, SignerLink } from './protocol.ts';
import { TakenPlaces } from './taken.ts';

/** Asks the signer that is being greeted. Rejects when its connection ends. */
export type GreetingAsk = (client: LinkClient, body: Uint8Array) => Promise<LinkAnswer>;

export interface NodeSideOptions {
  readonly listen: NodeAddress;
  /**
   * Called when a process of the signer is reached for the first time, before anything else is asked of it: repeat INIT
   * here, if lightningd has sent it already. A rejection drops the connection; the signer dials again.
   */
  readonly greet?: (ask: GreetingAsk, signer: string) => Promise<void>;
  /** What becomes of a second signer while one is active. */
  readonly otherSigners?: 'standby' | 'refuse';
  readonly limits?: Partial<LinkLimits>;
  readonly log: LinkLog;
  readonly clock?: LinkClock;
  readonly random?: RandomBytes;
}

export interface ConnectedSigner {
  /** As it is pinned. */
  readonly name: string;
  readonly address: string;
  readonly sinceSeconds: number;
  /** `greeted`: it is being told INIT. */
  readonly role: 'active' | 'greeted' | 'standby';
}

/** Never by itself: the two may not know of each other's signatures. */
function whoElse(standbys: readonly string[]): string {
  const names = standbys.join(', ');
  return `${names} stands by, and takes its place only by "countersign link promote"`;
}

export class NodeSideLink implements SignerLink {
  readonly #options: NodeSideOptions;
  readonly #limits: LinkLimits;
  readonly #clock: LinkClock;
  readonly #log: LinkLog;
  readonly #refusals: RefusalLog;
  readonly #run: Uint8Array;
  readonly #outbox: Outbox;
  readonly #listeners = new Set<(state: LinkState) => void>();
  /** All that are past the handshake, whether or not they have said hello. */
  readonly #connections = new Set<NodeConnection>();
  /** By name: those that know their role. */
  readonly #signers = new Map<string, NodeConnection>();
  readonly #handler: NodeConnectionHandler;
  readonly #arrivals = new Map<NodeConnection, Arrival>();
  #door: NodeDoor | null = null;
  #keys: KeyChange | null = null;
  #stopWatching: () => void = () => {};
  #state: LinkState = 'waiting';
  readonly #place: Place;
  readonly #taken: TakenPlaces;
  /** Processes that were greeted: the newest of the active signer. */
  #greeted = '';
  #feeds = 0;

  private constructor(options: NodeSideOptions) {
    const { limits, clock = systemClock, random = systemRandom, log } = options;
    this.#options = options;
    this.#limits = { ...LINK_LIMITS, ...limits };
    this.#clock = clock;
    this.#log = log;
    this.#refusals = new RefusalLog(log, clock);
    this.#place = new Place(options.listen.kind === 'tcp' ? options.listen.pins : null, log);
    this.#taken = new TakenPlaces(this.#refusals);
    this.#run = random(ID_BYTES);
    this.#outbox = new Outbox(this.#limits, clock);
    this.#handler = {
      hello: (connection) => this.#onHello(connection),
      answered: (_connection, id, answer) => this.#outbox.answered(id, answer),
      nextKey: (connection, pin) => this.#keys?.theirs(connection, pin),
      nextKeyKnown: (connection, pin) => this.#keys?.known(connection, pin),
      closed: (connection, reason) => this.#onClosed(connection, reason),
    };
  }

  /** Rejects with `link-listen-failed`, `link-file`, or a `SocketError`. */
  static async listen(options: NodeSideOptions): Promise<NodeSideLink> {
    const link = new NodeSideLink(options);
    await link.#open();
    return link;
  }

  get state(): LinkState {
    return this.#state;
  }

  /** The name of the signer that is asked, connected or not; null before the first. */
  get activeSigner(): string | null {
    return this.#place.active;
  }

  /** Those that are connected now. */
  get signers(): readonly ConnectedSigner[] {
    return [...this.#signers.values()].map((connection) => {
      const { name, address, sinceSeconds } = connection;
      const isUp = this.#state === 'up';
      const role = name !== this.#place.active ? 'standby' : isUp ? 'active' : 'greeted';
      return { name, address, sinceSeconds, role };
    });
  }

  /** Names of the signers that wait to be promoted. */
  get standbys(): readonly string[] {
    return [...this.#signers.keys()].filter((name) => name !== this.#place.active);
  }

  /** Where it listens, when that is a TCP port. */
  get port(): number {
    return this.#door?.port ?? 0;
  }

  /** Requests without an answer. */
  get pending(): number {
    return this.#outbox.size;
  }

  ask(client: LinkClient, body: Uint8Array): Promise<LinkAnswer> {
    return this.#outbox.ask({ kind: 'client', client }, body);
  }

  openFeed(): LinkFeed {
    const session = ++this.#feeds;
    let isOpen = true;
    return {
      ask: (body) => this.#outbox.ask({ kind: 'feed', session }, body),
      close: () => {
        if (!isOpen) return;
        isOpen = false;
        this.#outbox.endFeed(session);
      },
    };
  }

  onState(listener: (state: LinkState) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Let another pinned signer be the active one, now or when it comes, and after a restart. For the operator alone: what this one
   * does not know of the signatures of the one before, it cannot refuse.
   */
  promote(name: string): void {
    if (this.#state === 'closed') return;
    const before = this.#place.active;
    this.#place.give(name);
    this.#placeMoved(before);
  }

  async close(): Promise<void> {
    if (this.#state === 'closed') return;
    this.#setState('closed');
    this.#stopWatching();
    this.#keys?.close();
    for (const connection of [...this.#connections]) connection.bye('closing');
    this.#outbox.close();
    this.#refusals.flush();
    await this.#door?.close();
    this.#say('info', 'link-closed', 'the link to the signer is closed', {});
  }

  async #open(): Promise<void> {
    const { listen } = this.#options;
    const door = await NodeDoor.open({
      address: listen,
      limits: this.#limits,
      clock: this.#clock,
      log: this.#log,
      refusals: this.#refusals,
      onArrival: (arrival) => this.#onArrival(arrival),
    });
    this.#door = door;
    if (listen.kind === 'tcp') {
      this.#stopWatching = listen.pins.onChange(() => this.#onPinsChanged());
      this.#keys = new KeyChange({
        identityPath: listen.identityPath,
        pins: listen.pins,
        clock: this.#clock,
        log: this.#log,
        connections: () => [...this.#signers.values()],
        names: () => listen.pins.list().map(({ name }) => name),
        adopted: (identity) => {
          door.setIdentity(identity);
          for (const connection of [...this.#connections]) connection.bye('rekeyed');
        },
      });
    }
    this.#say('info', 'link-listening', `waiting for the signer at ${door.name}`, { address: door.name });
  }

  #onArrival(arrival: Arrival): void {
    const { name, pin, address, socket } = arrival;
    // Of one name there is at most one that works and one that has just come.
    for (const one of [...this.#connections])
      if (one.name === name && one.instance === '') one.end(new LinkError('link-ended', 'a newer one came'));
    if (this.#connections.size >= this.#limits.connectionsMax) {
      this.#refusals.refused('link-refused', `too many connections of signers, one is ${name}`, {
        signer: name,
        address,
      });
      socket.destroy();
      return;
    }
    const [limits, clock] = [this.#limits, this.#clock];
    const connection = new NodeConnection({ socket, name, pin, address, limits, clock }, this.#handler);
    this.#connections.add(connection);
    this.#arrivals.set(connection, arrival);
  }

  #onHello(connection: NodeConnection): void {
    this.#arrivals.get(connection)?.admit();
    const { name, address } = connection;
    const before = this.#signers.get(name);
    if (this.#taken.sendsAway(connection, before)) return;
    const isActive = this.#place.claim(name);
    if (!isActive && this.#options.otherSigners === 'refuse') {
      this.#refusals.refused('link-refused', `${name} is not needed, ${this.#place.active} is the signer`, {
        signer: name,
        address,
      });
      connection.bye('refused');
      return;
    }
    this.#signers.set(name, connection);
    if (isActive) this.#outbox.detach();
    if (before !== undefined) {
      this.#say('info', 'link-replaced', `${name} has a new connection`, { signer: name, address });
      before.bye('replaced');
    }
    connection.welcome(this.#run, isActive, isActive ? this.#outbox.outstanding() : []);
    this.#keys?.announceTo(connection);
    if (isActive) void this.#greet(connection);
    else this.#say('info', 'link-standby', `${name} stands by`, { signer: name, address });
  }

  /** A process of the signer that has not heard of this node yet must, before it is asked anything. */
  async #greet(connection: NodeConnection): Promise<void> {
    const { name, instance } = connection;
    try {
      if (this.#greeted !== instance) await this.#greetInTime(connection);
    } catch (error) {
      if (!connection.isOpen) return;
      const reason = error instanceof Error ? error.message : String(error);
      const text = `${name} cannot serve this node: ${reason}`;
      this.#say('warn', 'link-greeting-failed', text, { signer: name });
      connection.bye('refused');
      this.#giveWay(name);
      return;
    }
    if (!this.#isActive(connection)) return;
    this.#greeted = instance;
    this.#place.serves(name);
    this.#outbox.attach(connection, connection.window);
    this.#setState('up');
    const { address } = connection;
    this.#say('info', 'link-up', `the signer ${name} is connected`, {
      signer: name,
      address,
      outstanding: this.pending,
    });
    tellLimits(this.#log, this.#limits.frameBytesMax, connection.window.frameBytesMax, name);
  }

  /** Rejects for a signer that must not be asked. One that says nothing at all is not waited for. */
  async #greetInTime(connection: NodeConnection): Promise<void> {
    const { greet } = this.#options;
    if (greet === undefined) return;
    const cancel = this.#clock.after(this.#limits.greetingMs, () => this.#onMute(connection));
    try {
      await greet((client, body) => connection.greet(client, body), connection.name);
    } finally {
      cancel();
    }
  }

  #onMute(connection: NodeConnection): void {
    if (!this.#isActive(connection)) return;
    const { name, address } = connection;
    const seconds = this.#limits.greetingMs / 1000;
    connection.bye('mute');
    const outcome = this.#giveWay(name);
    this.#refusals.refused('link-mute', `${name} did not answer INIT within ${seconds} s: ${outcome}`, {
      signer: name,
      address,
    });
  }

  /** What becomes of the place of a signer that cannot serve, in words. */
  #giveWay(name: string): string {
    const { standbys } = this;
    if (this.#place.giveWay(name, standbys)) {
      this.#placeMoved(name);
      return standbys[0] === undefined ? 'no other signer is connected' : `${standbys[0]} is asked instead`;
    }
    return standbys.length === 0 ? 'it may come again' : whoElse(standbys);
  }

  /** Another has the place by now, or nobody. */
  #placeMoved(beforeName: string | null): void {
    const name = this.#place.active;
    if (name === beforeName) return;
    this.#outbox.detach();
    if (this.#state === 'up') this.#setState('down');
    if (beforeName !== null) this.#signers.get(beforeName)?.bye('replaced');
    if (name === null) return;
    this.#say('warn', 'link-promoted', `${name} is the signer from now on`, { signer: name });
    const next = this.#signers.get(name);
    if (next === undefined) return;
    next.promote(this.#outbox.outstanding());
    void this.#greet(next);
  }

  #onClosed(connection: NodeConnection, reason: LinkError): void {
    this.#connections.delete(connection);
    const arrival = this.#arrivals.get(connection);
    this.#arrivals.delete(connection);
    arrival?.admit();
    const { name, address } = connection;
    if (this.#signers.get(name) !== connection) {
      if (connection.instance === '')
        this.#refusals.refused('link-refused', `${name} was not admitted: ${reason.message}`, {
          signer: name,
          address,
        });
      return;
    }
    const wasActive = name === this.#place.active;
    this.#signers.delete(name);
    if (!wasActive || this.#state === 'closed') return;
    this.#outbox.detach();
    if (this.#state === 'up') {
      this.#setState('down');
      this.#say('warn', 'link-down', `the signer ${name} is gone: ${reason.message}; requests wait for it`, {
        signer: name,
        reason: reason.code,
        outstanding: this.pending,
      });
    }
  }

  #onPinsChanged(): void {
    if (this.#options.listen.kind !== 'tcp') return;
    const { pins } = this.#options.listen;
    for (const connection of [...this.#connections]) {
      if (connection.pin !== null && pins.find(connection.pin)?.name === connection.name) continue;
      const { name, address } = connection;
      this.#say('warn', 'link-revoked', `the key of ${name} is no longer trusted`, { signer: name, address });
      connection.bye('revoked');
    }
    const before = this.#place.active;
    this.#place.pinsChanged(pins, this.standbys);
    this.#placeMoved(before);
  }

  #active(): NodeConnection | undefined {
    return this.#place.active === null ? undefined : this.#signers.get(this.#place.active);
  }

  #isActive(connection: NodeConnection): boolean {
    return connection.isOpen && this.#active() === connection;
  }

  #setState(state: LinkState): void {
    if (this.#state === state) return;
    this.#state = state;
    for (const listener of [...this.#listeners]) listener(state);
  }

  #say(
    level: 'info' | 'warn',
    event: Parameters<LinkLog>[0]['event'],
    text: string,
    facts: Parameters<LinkLog>[0]['facts'],
  ): void {
    this.#log({ level, event, text, facts });
  }
}
