/**
 * A real countersign-hsmd under preset hub, met as lightningd and its daemons meet it: requests go in as bytes on its
 * descriptors, replies and refusals come out. Whoever holds this holds the whole node, as the attacker does.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadSecp256k1, PSBT_IN, toHex } from '@countersign/bitcoin';
import { HsmdProcess, hsmdPath, readRefusal } from '@countersign/cli';
import {
  type ChannelRef,
  KeyRing,
  type KeyView,
  keyView,
  networkByName,
  PERMISSION,
  permissionFor,
  Secret,
} from '@countersign/core';
import { decodeMessage, encodeMessage, type MessageOf, type Reply, type Request } from '@countersign/wire';
import { initRequest } from '../../packages/core/test/init-request.ts';

import { bytesOf } from '../../packages/core/test/test-signer.ts';

export const secp = loadSecp256k1();
export const regtest = networkByName('regtest')!;

const CLOCK_SHIFT = new URL('clock-shift.ts', import.meta.url).href;
const ANSWER_WAIT_MS = 20_000;
const STATUS_WAIT_MS = 20_000;
/** Every bit that lightningd gives to a daemon of a channel. */
const ALL_BITS = 511n;

/** Whose invoices the operator's allowlist admits. */
export const PAYEE_SECRET = bytesOf('the payee on the allowlist');
export const PAYEE = secp.publicKey(PAYEE_SECRET);

/** What the operator of every attacked node wrote; a scenario may add lines. */
export const HUB = `[policy]
preset = "hub"

[allowlist]
payees = ["${toHex(PAYEE)}"]
`;

/** The signer's state, and its sockets, below lightningd's directory. */
export const STATE_DIRECTORY = 'countersign';

export interface WorldOptions {
  /** The whole of countersign.toml. */
  readonly toml?: string;
  /** Of the node: another seed is another node. */
  readonly seed?: Uint8Array;
  /** The hsmd protocol that lightningd speaks; below 6, points carry secrets. */
  readonly protocolVersion?: number;
  /** Puts more into lightningd's directory before the signer starts. */
  readonly prepare?: (directory: string) => void;
}

/** A request that was refused as it should be. */
export interface RefusedRequest {
  readonly request: string;
  readonly tag: string;
}

export class AttackWorld {
  readonly seed: Uint8Array;
  readonly keys: KeyView;
  readonly directory: string;
  /** Attacks that failed so far in this scenario. */
  refusals: RefusedRequest[] = [];
  #process: HsmdProcess;
  readonly #protocolVersion: number;
  readonly #clients = new Map<string, number>();
  #clientsOpened = 0;
  #dbids = 0n;
  /** Numbers what scenarios name, so that several can share one signer. */
  #scenario = 0;

  private constructor(directory: string, seed: Uint8Array, protocolVersion: number, process: HsmdProcess) {
    this.directory = directory;
    this.seed = seed;
    this.#protocolVersion = protocolVersion;
    this.#process = process;
    const ring = new KeyRing({
      secp256k1: secp,
      seed: Secret.copy(seed, 32),
      bip32PublicVersion: regtest.bip32Public,
    });
    this.keys = keyView(ring);
  }

  /** A node with a new store, its signer answering. */
  static async start(options: WorldOptions = {}): Promise<AttackWorld> {
    const { toml = HUB, seed = bytesOf('the attacked node'), protocolVersion = 6, prepare } = options;
    const directory = mkdtempSync(join(tmpdir(), 'countersign-attack-'));
    writeFileSync(join(directory, 'hsm_secret'), seed, { mode: 0o400 });
    writeFileSync(join(directory, 'countersign.toml'), toml);
    prepare?.(directory);
    const world = new AttackWorld(directory, seed, protocolVersion, spawn(directory));
    await world.#init();
    return world;
  }

  async #init(): Promise<void> {
    const [hsmWireMinVersion, hsmWireMaxVersion] = [4, this.#protocolVersion];
    const reply = await this.#request(0, initRequest('regtest', { hsmWireMinVersion, hsmWireMaxVersion }));
    if (reply.name !== 'hsmd_init_reply_v4') throw new Error(`INIT got ${shown(reply)}`);
  }

  get process(): HsmdProcess {
    return this.#process;
  }

  /** What the signer told lightningd's log. */
  get log(): readonly string[] {
    return this.#process.statusMessages.flatMap((one) => (one.kind === 'log' ? [one.text] : []));
  }

  nextScenario(): void {
    this.#scenario += 1;
    this.refusals = [];
  }

  /** A name that no other scenario of this signer uses. */
  unique(label: string): string {
    return `${this.#scenario} ${label}`;
  }

  /** A channel number that no other scenario uses. */
  dbid(): bigint {
    this.#dbids += 1n;
    return this.#dbids;
  }

  /** The signer is stopped as lightningd stops it, or killed, and started again on the same files. */
  async restart(how: 'hang-up' | 'kill' = 'hang-up'): Promise<void> {
    if (how === 'kill') this.#process.kill();
    await this.#process.stop();
    this.#clients.clear();
    this.#process = spawn(this.directory);
    await this.#init();
  }

  /** Started again by a clock that shows another time, so many seconds from now. */
  async restartAt(secondsFromNow: number): Promise<void> {
    await this.#process.stop();
    this.#clients.clear();
    process.env.NODE_OPTIONS = `--import=${CLOCK_SHIFT}`;
    process.env.CLOCK_SHIFT_SECONDS = `${secondsFromNow}`;
    this.#process = spawn(this.directory);
    delete process.env.NODE_OPTIONS;
    delete process.env.CLOCK_SHIFT_SECONDS;
    await this.#init();
  }

  /** Stops and starts with something done to the files in between. */
  async restartAfter(change: () => void | Promise<void>): Promise<void> {
    await this.#process.stop();
    await change();
    this.#clients.clear();
    this.#process = spawn(this.directory);
    await this.#init();
  }

  writeToml(toml: string): void {
    writeFileSync(join(this.directory, 'countersign.toml'), toml);
  }

  /** The signer is started for another network, or with developer's secrets: its INIT fails. Then as before. */
  async refusedInit(
    network: string,
    tag: string,
    changed: Partial<MessageOf<'hsmd_init'>> = {},
  ): Promise<void> {
    await this.#process.stop();
    this.#clients.clear();
    this.#process = spawn(this.directory);
    const reply = await this.#request(0, initRequest(network, changed));
    if (reply.name !== 'hsmd_init_reply_failure') throw new Error(`INIT got ${shown(reply)}`);
    if (!reply.errorMessage.includes(tag)) throw new Error(reply.errorMessage);
    this.refusals.push({ request: 'hsmd_init', tag });
    await this.restart();
  }

  /** Hangs up as lightningd does; the exit status. */
  async stop(): Promise<number | null> {
    const exit = await this.#process.stop();
    rmSync(this.directory, { recursive: true, force: true });
    return exit.code;
  }

  async #request(client: number, request: Request): Promise<Reply> {
    const answer = await this.#process.request(client, encodeMessage(request));
    if (answer.kind !== 'reply') {
      throw new Error(`${request.name} got ${answer.kind}; ${this.#process.errorOutput}`);
    }
    const decoded = decodeMessage(answer.body, 'reply');
    if (!decoded.ok || decoded.message.name === 'unknown') {
      throw new Error(`${request.name} got ${toHex(answer.body)}`);
    }
    return decoded.message;
  }

  /** As which client a request goes out: the node's own, or the daemon of that channel. */
  async #clientFor(request: Request, channel: ChannelRef | null): Promise<number> {
    if (channel === null || permissionFor(request.name) === PERMISSION.MASTER) return 0;
    return this.#channelClient(channel);
  }

  async #channelClient(channel: ChannelRef): Promise<number> {
    const key = `${toHex(channel.peerId)}/${channel.dbid}`;
    const known = this.#clients.get(key);
    if (known !== undefined) return known;
    const { peerId: id, dbid } = channel;
    await this.#request(0, { name: 'hsmd_client_hsmfd', id, dbid, permissions: ALL_BITS });
    this.#clientsOpened += 1;
    if (!this.#process.acceptClient(this.#clientsOpened)) throw new Error('no descriptor followed');
    this.#clients.set(key, this.#clientsOpened);
    return this.#clientsOpened;
  }

  /** The reply, whatever it is. */
  async answer(request: Request, channel: ChannelRef | null = null): Promise<Reply> {
    return this.#request(await this.#clientFor(request, channel), request);
  }

  /** An honest request: a refusal ends the scenario. */
  async ask(request: Request, channel: ChannelRef | null = null): Promise<Reply> {
    const lines = this.#process.statusMessages.length;
    const reply = await this.answer(request, channel);
    const tag = await this.#refusalTag(request, reply, lines);
    if (tag !== null) throw new Error(`honest ${request.name} refused: ${this.#why(reply, lines)}`);
    return reply;
  }

  /** An attack: it must be refused with exactly this tag. */
  async refused(
    request: Request,
    tag: string | readonly string[],
    channel: ChannelRef | null = null,
  ): Promise<string> {
    const lines = this.#process.statusMessages.length;
    const reply = await this.answer(request, channel);
    const got = await this.#refusalTag(request, reply, lines);
    const tags = typeof tag === 'string' ? [tag] : tag;
    if (got === null)
      throw new Error(`${request.name} was answered, expected a refusal by ${tags.join(' or ')}`);
    const why = this.#why(reply, lines);
    if (!tags.includes(got))
      throw new Error(`${request.name} refused by ${got}, expected ${tags.join(' or ')}: ${why}`);
    this.refusals.push({ request: request.name, tag: got });
    return why;
  }

  /** Asked one after the other; one of them, and none before it, is refused by one of these tags. */
  async refusedWithin(
    tag: string | readonly string[],
    requests: readonly Request[],
    channel: ChannelRef | null = null,
  ): Promise<void> {
    for (const request of requests) {
      const reply = await this.answer(request, channel);
      if (reply.name !== 'vls_signer_error') continue;
      const got = tagOf(reply.message);
      if (!(typeof tag === 'string' ? [tag] : tag).includes(got)) throw new Error(reply.message);
      this.refusals.push({ request: request.name, tag: got });
      return;
    }
    throw new Error(`nothing was refused, expected ${tag}`);
  }

  /** As `refused`, whichever rule it is: several fields are wrong at once. */
  async refusedAnyhow(request: Request, channel: ChannelRef | null = null): Promise<string> {
    const reply = await this.answer(request, channel);
    if (reply.name !== 'vls_signer_error') throw new Error(`${request.name} was answered`);
    return reply.message;
  }

  /** Bytes that no honest program writes. Its client loses its connection for them, unless it is lightningd itself. */
  async refusedBytes(
    body: Uint8Array,
    request: string,
    tag: string,
    channel: ChannelRef | null = null,
  ): Promise<void> {
    const client = channel === null ? 0 : await this.#channelClient(channel);
    const answer = await this.#process.request(client, body);
    const refusal = answer.kind === 'reply' ? readRefusal(answer.body) : undefined;
    if (refusal?.tag !== tag) {
      throw new Error(`${request} got ${refusal?.text ?? answer.kind}, expected a refusal by ${tag}`);
    }
    this.refusals.push({ request, tag });
    if (client === 0) return;
    if (!(await this.#process.closesClient(client, STATUS_WAIT_MS))) throw new Error('its socket stays open');
    this.#clients.clear();
  }

  /** The tag an answer was refused by; null for an approval. */
  async #refusalTag(request: Request, reply: Reply, lines: number): Promise<string | null> {
    if (reply.name === 'vls_signer_error') return tagOf(reply.message);
    if (isPlaceholder(reply)) return this.#loggedTag(request, lines);
    if ('approved' in reply) return reply.approved ? null : this.#loggedTag(request, lines);
    // An anchor spend that is refused comes back as it was.
    if (reply.name !== 'hsmd_sign_anchorspend_reply' || request.name !== 'hsmd_sign_anchorspend') return null;
    const isSigned = reply.psbt.inputs.some((map) =>
      map.some(({ type }) => type === PSBT_IN.PARTIAL_SIG || type === PSBT_IN.TAP_KEY_SIG),
    );
    return isSigned || request.inputs.length === 0 ? null : this.#loggedTag(request, lines);
  }

  #refusedLine(lines: number): string | undefined {
    const since = this.#process.statusMessages.slice(lines);
    return since
      .flatMap((one) => (one.kind === 'log' ? [one.text] : []))
      .findLast((text) => text.startsWith('refused '));
  }

  /** `refused <request>: <tag>: …` on the status socket, which is not in step with the replies. */
  async #loggedTag(request: Request, lines: number): Promise<string> {
    const prefix = `refused ${request.name}: `;
    for (let waitedMs = 0; waitedMs < STATUS_WAIT_MS; waitedMs += 2) {
      const line = this.#refusedLine(lines);
      if (line?.startsWith(prefix) === true) return tagOf(line.slice(prefix.length));
      await sleep(2);
    }
    return 'declined without a reason in the log';
  }

  #why(reply: Reply, lines: number): string {
    return reply.name === 'vls_signer_error' ? reply.message : (this.#refusedLine(lines) ?? shown(reply));
  }

  /** Preimages that the node's plugin finds, told to the signer before lightningd goes on. */
  async learn(htlcs: readonly { readonly preimage: Uint8Array }[]): Promise<void> {
    await this.ask({ name: 'countersign_preimages', preimages: htlcs.map(({ preimage }) => preimage) });
  }

  /** What the operator says on the admin socket, which the node has no access to; the result. */
  async operator(op: string, fields: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    const socket = createConnection(join(this.directory, STATE_DIRECTORY, 'admin.sock'));
    try {
      socket.write(`${JSON.stringify({ v: 1, id: 1, op, ...fields })}\n`);
      for await (const line of createInterface({ input: socket })) {
        const answer: unknown = JSON.parse(line);
        if (typeof answer !== 'object' || answer === null || !('ok' in answer) || answer.ok !== true) {
          throw new Error(`${op} on the admin socket: ${line}`);
        }
        return answer;
      }
      throw new Error(`${op} on the admin socket: no answer`);
    } finally {
      socket.destroy();
    }
  }

  /** Still there, for lightningd itself and for the channel's daemon. */
  async expectAlive(channel: ChannelRef | null = null): Promise<void> {
    const info = new TextEncoder().encode('commando');
    const reply = await this.answer({ name: 'hsmd_derive_secret', info });
    if (reply.name !== 'hsmd_derive_secret_reply') throw new Error(`not alive: ${shown(reply)}`);
    if (channel === null) return;
    const point = await this.answer({ name: 'hsmd_get_per_commitment_point', n: 0n }, channel);
    if (point.name !== 'hsmd_get_per_commitment_point_reply') throw new Error(`not alive: ${shown(point)}`);
  }
}

function spawn(directory: string): HsmdProcess {
  return new HsmdProcess({ path: hsmdPath(undefined), directory, args: [], answerWaitMs: ANSWER_WAIT_MS });
}

function tagOf(text: string): string {
  return /^[a-z0-9]+(?:-[a-z0-9]+)*/.exec(text)?.[0] ?? text;
}

function shown(reply: Reply): string {
  return JSON.stringify(reply, (_, part: unknown) => {
    if (part instanceof Uint8Array) return toHex(part);
    return typeof part === 'bigint' ? `${part}` : part;
  });
}

/** What a splice gets in the place of a signature when it is asked for before its commitments: words. */
function isPlaceholder(reply: Reply): boolean {
  if (reply.name !== 'hsmd_sign_tx_reply') return false;
  return new TextDecoder().decode(reply.sig.signature).startsWith('Countersign: not signed');
}
