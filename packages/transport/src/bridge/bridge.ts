/**
 * The side of the bridge that can wait: it listens for the signer, introduces the application to it, and carries requests and feeds.
 * It has no key but the one that says who it is on the link.
 */
import { writeFileSync } from 'node:fs';
import { CountersignError } from '@countersign/bitcoin';
import { LINK_LIMITS } from '../link/limits.ts';
import type { LinkEvent, LinkEventName } from '../link/log.ts';
import type { NodeAddress } from '../link/node-door.ts';
import { nodeLinkFiles } from '../link/node-files.ts';
import { NodeSideLink } from '../link/node-side.ts';
import { openPairingBook, pairingDesk } from '../link/pairing.ts';
import { PinStore } from '../link/pins.ts';
import { Presence, type PresenceLogLevel } from '../link/presence.ts';
import type { LinkFeed } from '../link/protocol.ts';
import { Asker, refusalBody } from './asker.ts';
import { Introduction } from './introduction.ts';
import {
  answersTogether,
  type BridgeSettings,
  encodeAnswer,
  type RemoteIdentity,
  readAsk,
  readTogether,
} from './messages.ts';

type Log = (level: PresenceLogLevel, text: string) => void;

/** A frame of the link holds a message, and who asks. */
const FRAME_EXTRA_BYTES = 256;

export class Bridge {
  readonly #settings: BridgeSettings;
  readonly #log: Log;
  readonly #failure = Promise.withResolvers<string>();
  readonly #introduction: Introduction;
  #link: NodeSideLink | null = null;
  #presence: Presence | null = null;
  #asker: Asker | null = null;
  #feed: LinkFeed | null = null;
  #isClosed = false;

  constructor(settings: BridgeSettings, log: Log) {
    this.#settings = settings;
    this.#log = log;
    const { network, keyStyle } = settings;
    this.#introduction = new Introduction({ network, keyStyle, log, onFailed: this.#failure.resolve });
  }

  /** Until a signer serves this node. Rejects with `CountersignError`; the caller closes it then. */
  async open(): Promise<RemoteIdentity> {
    const { messageBytesMax, patienceMs, startPatienceMs } = this.#settings;
    const address = addressOf(this.#settings, this.#log);
    const link = await NodeSideLink.listen({
      listen: address,
      greet: this.#introduction.greet,
      limits: { frameBytesMax: Math.max(LINK_LIMITS.frameBytesMax, messageBytesMax + FRAME_EXTRA_BYTES) },
      log: (event) => tell(event, this.#log),
    });
    this.#link = link;
    if (this.#isClosed) {
      await link.close();
      throw new CountersignError('sync-door-closed', 'the bridge was closed');
    }
    if (address.kind === 'tcp') rememberAddress(this.#settings, address.host, link.port);
    const presence = new Presence({
      link,
      advice: () => adviceFor(this.#settings, address, link.port),
      log: this.#log,
      tellTerminal: () => {},
      startPatienceMs,
      linkPatienceMs: patienceMs,
      monotonicMs: () => performance.now(),
    });
    this.#presence = presence;
    this.#asker = new Asker({ link, presence, messageBytesMax, patienceMs });
    this.#feed = link.openFeed();
    const end = await Promise.race([this.#failure.promise, presence.first()]);
    const { identity } = this.#introduction;
    if (end === true && identity !== null) return identity;
    const why = typeof end === 'string' ? `the signer does not serve this node: ${end}` : 'no signer came';
    throw new CountersignError('sync-door-unreachable', why);
  }

  /** Of a request as a carrier brings it, to a reply as it takes it. */
  readonly answer = async (request: Uint8Array): Promise<Uint8Array> => {
    const together = readTogether(request);
    if (together === null) return this.#answer(request);
    // All of them are on their way, in their order, before the first is answered.
    return answersTogether(await Promise.all(together.map((one) => this.#answer(one))));
  };

  async #answer(request: Uint8Array): Promise<Uint8Array> {
    const { client, body } = readAsk(request);
    const asker = this.#asker;
    if (asker === null) return encodeAnswer({ kind: 'unreachable', why: 'the bridge is not open yet' });
    return encodeAnswer(await asker.ask(client, body));
  }

  /** Rejects with `LinkError` once the link is closed, or when too much waits. */
  async feed(body: Uint8Array): Promise<Uint8Array> {
    if (this.#feed === null) throw new CountersignError('sync-door-closed', 'the bridge is not open');
    const answer = await this.#feed.ask(body);
    return answer.kind === 'reply' ? answer.body : refusalBody(answer.refusal);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#presence?.close();
    this.#feed?.close();
    await this.#link?.close();
  }
}

function addressOf({ listen, directory }: BridgeSettings, log: Log): NodeAddress {
  if ('path' in listen) return { kind: 'unix', path: listen.path };
  const files = nodeLinkFiles(directory);
  const pins = PinStore.open(files.pins);
  const identityPath = files.identity;
  const book = openPairingBook(files.pairings);
  const pairing = pairingDesk({ identityPath, pins, book, log: (event) => tell(event, log) });
  return { kind: 'tcp', ...listen, identityPath, pins, pairing };
}

/** For "countersign pair": an application has no countersign.toml. */
function rememberAddress({ directory }: BridgeSettings, host: string, port: number): void {
  const { listen } = nodeLinkFiles(directory);
  writeFileSync(listen, `${JSON.stringify({ host, port })}\n`, { mode: 0o600 });
}

function adviceFor({ directory }: BridgeSettings, address: NodeAddress, port: number): readonly string[] {
  if (address.kind === 'unix') return [`waiting for the signer at ${address.path}`];
  const { host, pins } = address;
  const waiting = `waiting for the signer at ${host.includes(':') ? `[${host}]` : host}:${port}`;
  const names = pins.list().map(({ name }) => name);
  if (names.length > 0)
    return [waiting, `paired with ${names.join(', ')}: see that "countersign signer run" runs there`];
  return [
    waiting,
    `no signer is paired with this node yet: run "countersign pair --node-directory ${directory}" here, ` +
      'then "countersign signer pair TOKEN" on the signer\'s machine',
  ];
}

/** What `Presence` and `Introduction` say in the words of the node's operator. */
const TOLD_ELSEWHERE: readonly LinkEventName[] = [
  'link-listening',
  'link-up',
  'link-down',
  'link-replaced',
  'link-closed',
  'link-greeting-failed',
];

function tell({ level, event, text }: LinkEvent, log: Log): void {
  const own: PresenceLogLevel = level === 'warn' ? 'unusual' : 'info';
  log(TOLD_ELSEWHERE.includes(event) ? 'debug' : own, `countersign: link: ${text}`);
}
