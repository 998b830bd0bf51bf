/**
 * The same game against a real countersign-hsmd: requests as bytes on descriptors as lightningd passes them, blocks over its
 * node.sock, the owner on its admin.sock. A hundred times slower, and nothing of it is shared with the test.
 */
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client, Outcome, OwnerAct, Rescue, Subject } from '@countersign/adversary';
import { blockHash, concat, equalBytes, FormError, fromHex, PSBT_IN, toHex } from '@countersign/bitcoin';
import { HsmdProcess, hsmdPath } from '@countersign/cli';
import { decodeMessage, encodeMessage, type Reply, type Request } from '@countersign/wire';
import { type ChainFeed, feedOverNodeSocket } from '../../packages/cln/src/plugin/chain-feed.ts';
import { initRequest } from '../../packages/core/test/init-request.ts';

import { ownerToml, TEST_SEED } from './owner.ts';
import { CLOCK_BEGIN_SECONDS, type SubjectOptions } from './subject.ts';

const CLOCK_FILE = new URL('clock-file.ts', import.meta.url).href;
const STATE_DIRECTORY = 'countersign';
const ANSWER_WAIT_MS = 20_000;
const STATUS_WAIT_MS = 20_000;
/** Every bit that lightningd gives to a daemon of a channel. */
const ALL_BITS = 511n;
const HEADERS_MAX = 2_000;

export class ProcessSubject implements Subject {
  readonly #directory: string;
  readonly #protocolVersion: number;
  #process: HsmdProcess;
  #feed: ChainFeed;
  /** By channel: the number of its client. */
  readonly #clients = new Map<string, number>();
  #clientsOpened = 0;
  /** As the admin socket names them: every channel that was asked about. */
  readonly #channels = new Set<string>();
  #nowSeconds: number;
  #initReply: Reply | null = null;

  private constructor(directory: string, protocolVersion: number, nowSeconds: number) {
    this.#directory = directory;
    this.#protocolVersion = protocolVersion;
    this.#nowSeconds = nowSeconds;
    this.#writeClock();
    this.#process = spawn(directory);
    this.#feed = feedOverNodeSocket({ socketPath: join(directory, STATE_DIRECTORY, 'node.sock') });
  }

  static async create(options: SubjectOptions = {}): Promise<ProcessSubject> {
    const { toml = ownerToml(), seed = TEST_SEED, protocolVersion = 6 } = options;
    const directory = mkdtempSync(join(tmpdir(), 'countersign-adversary-'));
    writeFileSync(join(directory, 'hsm_secret'), seed, { mode: 0o400 });
    writeFileSync(join(directory, 'countersign.toml'), toml);
    return ProcessSubject.#started(directory, protocolVersion, options.nowSeconds ?? CLOCK_BEGIN_SECONDS);
  }

  static async #started(directory: string, version: number, nowSeconds: number): Promise<ProcessSubject> {
    const subject = new ProcessSubject(directory, version, nowSeconds);
    await subject.#init();
    return subject;
  }

  async #init(): Promise<void> {
    const [hsmWireMinVersion, hsmWireMaxVersion] = [4, this.#protocolVersion];
    this.#initReply = await this.#request(
      0,
      initRequest('regtest', { hsmWireMinVersion, hsmWireMaxVersion }),
    );
    if (this.#initReply.name !== 'hsmd_init_reply_v4') throw new Error(`INIT got ${this.#initReply.name}`);
  }

  async ask(client: Client, request: Request): Promise<Outcome> {
    if (request.name === 'hsmd_init' && this.#initReply !== null)
      return { kind: 'reply', reply: this.#initReply };
    if (request.name === 'hsmd_client_hsmfd')
      return { kind: 'reply', reply: { name: 'hsmd_client_hsmfd_reply' } };
    const number = await this.#clientOf(client);
    const lines = this.#process.statusMessages.length;
    try {
      encodeMessage(request);
    } catch (error) {
      if (!(error instanceof FormError)) throw error;
      return { kind: 'refused', tag: 'not-encodable', isTemporary: false, message: error.message };
    }
    const reply = await this.#request(number, request);
    const text = await this.#refusalText(request, reply, lines);
    if (text === null) return { kind: 'reply', reply };
    const tag = /^[a-z0-9]+(?:-[a-z0-9]+)*/.exec(text)?.[0] ?? text;
    // A client without the permission has lost its connection.
    if (tag === 'policy-client-permission' && client.channel !== null) this.#clients.delete(keyOf(client));
    return {
      kind: 'refused',
      tag,
      isTemporary: text.includes('(temporary: try again later)'),
      message: text,
    };
  }

  async #clientOf(client: Client): Promise<number> {
    if (client.channel === null) return 0;
    const known = this.#clients.get(keyOf(client));
    if (known !== undefined) return known;
    this.#channels.add(keyOf(client));
    const { peerId: id, dbid } = client.channel;
    await this.#request(0, { name: 'hsmd_client_hsmfd', id, dbid, permissions: ALL_BITS });
    this.#clientsOpened += 1;
    if (!this.#process.acceptClient(this.#clientsOpened)) throw new Error('no descriptor followed');
    this.#clients.set(keyOf(client), this.#clientsOpened);
    return this.#clientsOpened;
  }

  async #request(client: number, request: Request): Promise<Reply> {
    const answer = await this.#process.request(client, encodeMessage(request));
    if (answer.kind !== 'reply')
      throw new Error(`${request.name} got ${answer.kind}; ${this.#process.errorOutput}`);
    const decoded = decodeMessage(answer.body, 'reply');
    if (decoded.ok && decoded.message.name !== 'unknown') return decoded.message;
    throw new Error(`${request.name} got ${toHex(answer.body)}`);
  }

  /** Null for an approval. Some replies say no without a reason; that stands in lightningd's log. */
  async #refusalText(request: Request, reply: Reply, lines: number): Promise<string | null> {
    if (reply.name === 'vls_signer_error') return reply.message;
    if (!isSilentNo(request, reply)) return null;
    const prefix = `refused ${request.name}: `;
    for (let waitedMs = 0; waitedMs < STATUS_WAIT_MS; waitedMs += 2) {
      const since = this.#process.statusMessages.slice(lines);
      const line = since.find((one) => one.kind === 'log' && one.text.startsWith(prefix));
      if (line?.kind === 'log') return line.text.slice(prefix.length).replace(/ \(refusal \d+\)$/, '');
      await sleep(2);
    }
    return 'declined';
  }

  async feedChain(headers: readonly Uint8Array[], blocks: readonly Uint8Array[]): Promise<string | null> {
    for (let from = 0; from < headers.length; from += HEADERS_MAX) {
      const answer = await this.#feed.acceptHeaders(concat(...headers.slice(from, from + HEADERS_MAX)));
      if (!answer.ok) return answer.message;
    }
    for (const block of blocks) {
      const tip = await this.#feed.tip();
      const next = await this.#feed.headerHash((tip?.provenHeightBlocks ?? 0) + 1);
      if (next === null || !equalBytes(next, blockHash(block.subarray(0, 80)))) continue;
      const answer = await this.#feed.acceptBlock(block);
      if (!answer.ok) return answer.message;
    }
    return null;
  }

  /** What the operator is shown and may publish; a signer that the node feeds publishes nothing by itself. */
  async rescues(): Promise<readonly Rescue[]> {
    const found: Rescue[] = [];
    const heightBlocks = (await this.#feed.tip())?.tipHeightBlocks ?? 0;
    for (const channel of this.#channels) {
      const answer = await this.#operator('remedies', { channel });
      const { remedies = [] } = (answer.result ?? {}) as { readonly remedies?: readonly ShownRemedy[] };
      for (const { kind, raw, earliestHeightBlocks } of remedies) {
        if (raw === null || earliestHeightBlocks > heightBlocks) continue;
        found.push({ raw: fromHex(raw), reason: `${kind} of channel ${channel}` });
      }
    }
    return found;
  }

  async owner(act: OwnerAct): Promise<string | null> {
    switch (act.act) {
      case 'approve': {
        const amountMsat = act.amountMsat === null ? null : `${act.amountMsat}`;
        return problem(await this.#operator('approve', { target: act.id, amountMsat }));
      }
      case 'allow':
        return problem(await this.#operator('allowlist-add', { text: act.text }));
      case 'force-close':
        return problem(
          await this.#operator('channel-close', { channel: `${toHex(act.peerId)}/${act.dbid}` }),
        );
    }
  }

  async #operator(op: string, fields: Readonly<Record<string, unknown>>): Promise<AdminLine> {
    const socket = createConnection(join(this.#directory, STATE_DIRECTORY, 'admin.sock'));
    try {
      socket.write(`${JSON.stringify({ v: 1, id: 1, op, ...fields })}\n`);
      for await (const line of createInterface({ input: socket })) return JSON.parse(line);
      throw new Error(`${op} on the admin socket: no answer`);
    } finally {
      socket.destroy();
    }
  }

  async restart(): Promise<void> {
    this.#process.kill();
    await this.#process.stop();
    this.#clients.clear();
    this.#process = spawn(this.#directory);
    await this.#init();
  }

  setClock(seconds: number): void {
    this.#nowSeconds = Math.max(this.#nowSeconds, seconds);
    this.#writeClock();
  }

  #writeClock(): void {
    writeFileSync(join(this.#directory, 'clock'), `${this.#nowSeconds}`);
  }

  /** The process ends, its files are copied, and both start: what is not durable is lost to both. */
  async fork(): Promise<ProcessSubject> {
    await this.#process.stop();
    const directory = mkdtempSync(join(tmpdir(), 'countersign-adversary-'));
    cpSync(this.#directory, directory, { recursive: true, filter: (path) => !path.endsWith('.sock') });
    this.#clients.clear();
    this.#process = spawn(this.#directory);
    await this.#init();
    const copy = await ProcessSubject.#started(directory, this.#protocolVersion, this.#nowSeconds);
    for (const channel of this.#channels) copy.#channels.add(channel);
    return copy;
  }

  async close(): Promise<void> {
    this.#feed.close();
    await this.#process.stop();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

interface ShownRemedy {
  readonly kind: string;
  readonly raw: string | null;
  readonly earliestHeightBlocks: number;
}

interface AdminLine {
  readonly ok: boolean;
  readonly result?: unknown;
  readonly error?: { readonly message: string };
}

const problem = ({ ok, error }: AdminLine): string | null => (ok ? null : (error?.message ?? 'not possible'));

/** As the admin socket names a channel. */
const keyOf = ({ channel }: Client): string =>
  channel === null ? '' : `${toHex(channel.peerId)}/${channel.dbid}`;

function spawn(directory: string): HsmdProcess {
  process.env.NODE_OPTIONS = `--import=${CLOCK_FILE}`;
  process.env.ADVERSARY_CLOCK_FILE = join(directory, 'clock');
  try {
    return new HsmdProcess({ path: hsmdPath(undefined), directory, args: [], answerWaitMs: ANSWER_WAIT_MS });
  } finally {
    delete process.env.NODE_OPTIONS;
    delete process.env.ADVERSARY_CLOCK_FILE;
  }
}

function isSilentNo(request: Request, reply: Reply): boolean {
  if ('approved' in reply) return !reply.approved;
  // A splice that is asked for before its commitments gets words in the place of a signature.
  if (reply.name === 'hsmd_sign_tx_reply')
    return new TextDecoder().decode(reply.sig.signature).startsWith('Countersign: not signed');
  if (reply.name !== 'hsmd_sign_anchorspend_reply' || request.name !== 'hsmd_sign_anchorspend') return false;
  const signatures: readonly number[] = [PSBT_IN.PARTIAL_SIG, PSBT_IN.TAP_KEY_SIG];
  const isSigned = reply.psbt.inputs.some((map) => map.some(({ type }) => signatures.includes(type)));
  return !isSigned && request.inputs.length > 0;
}
