/**
 * Shared by the host's tests: a signer on a real journal in a temporary directory, journals that are `late` or
 * `failing`, a few requests, and recorded sessions as requests and replies.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { fromHex, loadSecp256k1, type Secp256k1, sat } from '@countersign/bitcoin';
import {
  type ClientIdentity,
  KeyRing,
  MASTER_PERMISSIONS,
  networkByName,
  openHsmSecretSync,
  PERMISSION,
  type Policy,
  type Preset,
  policyOf as presetPolicy,
  Secret,
} from '@countersign/core';
import {
  type AuditEntry,
  type AuditHead,
  type IntegrityReport,
  type Journal,
  type JournalState,
  type JournalStats,
  openJournal,
  type RecordChange,
  type StoredRecord,
  StoreError,
} from '@countersign/store';
import { decodeMessage, type MessageOf, type Request } from '@countersign/wire';
import { type Answer, Signer, type SignerOptions } from '../src/index.ts';

export const secp = loadSecp256k1();

/** A directory that is removed after `body`; the store in it is made by who opens it. */
export async function inDirectory<T>(body: (directory: string) => Promise<T>): Promise<T> {
  const root = mkdtempSync(join(tmpdir(), 'countersign-host-'));
  try {
    return await body(join(root, 'store'));
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

export function openStore(directory: string): Journal {
  return openJournal(directory, {
    mode: 'open-or-create',
    randomBytes,
    monotonicMs: () => performance.now(),
  });
}

/** A journal in front of another: for journals that behave like a bad disk at the places a test names. */
class Fronting implements Journal {
  protected readonly journal: Journal;
  constructor(journal: Journal) {
    this.journal = journal;
  }
  get storeId(): Uint8Array {
    return this.journal.storeId;
  }
  get state(): JournalState {
    return this.journal.state;
  }
  get stats(): JournalStats {
    return this.journal.stats;
  }
  get auditHead(): AuditHead {
    return this.journal.auditHead;
  }
  read(key: string): StoredRecord | undefined {
    return this.journal.read(key);
  }
  keys(prefix: string): string[] {
    return this.journal.keys(prefix);
  }
  commit(changes: readonly RecordChange[], audit: readonly Uint8Array[]): Promise<void> {
    return this.journal.commit(changes, audit);
  }
  flushNow(): void {
    this.journal.flushNow();
  }
  settled(): Promise<void> {
    return this.journal.settled();
  }
  bind(name: string, value: Uint8Array): Promise<void> {
    return this.journal.bind(name, value);
  }
  audit(fromSeq: number, countMax: number): AuditEntry[] {
    return this.journal.audit(fromSeq, countMax);
  }
  verifyAudit(known?: AuditHead): Promise<AuditHead> {
    return this.journal.verifyAudit(known);
  }
  checkIntegrity(): Promise<IntegrityReport> {
    return this.journal.checkIntegrity();
  }
  close(): Promise<void> {
    return this.journal.close();
  }
}

/** Durable in the journal behind it, but says so only when the test lets it: what is enqueued first ends first. */
export class LateJournal extends Fronting {
  readonly #waiting: { resolve: () => void; reject: (error: Error) => void }[] = [];
  #last: Promise<void> = Promise.resolve();

  get waiting(): number {
    return this.#waiting.length;
  }

  override commit(changes: readonly RecordChange[], audit: readonly Uint8Array[]): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting.push({ resolve, reject });
    const done = Promise.all([this.journal.commit(changes, audit), promise]).then(() => {});
    this.#last = done;
    return done;
  }

  override settled(): Promise<void> {
    return this.#last;
  }

  /** The oldest commit is durable now. */
  release(): void {
    this.#waiting.shift()?.resolve();
  }

  /** The disk gives up: all that waits is lost. */
  fail(error: Error): void {
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }
}

export const late = (journal: Journal): LateJournal => new LateJournal(journal);

/** Takes `commits` commits, then the disk is full for good, as the contract of a journal has it. */
export class FailingJournal extends Fronting {
  #left: number;
  #failed = false;

  constructor(journal: Journal, commits: number) {
    super(journal);
    this.#left = commits;
  }

  override get state(): JournalState {
    return this.#failed ? 'failed' : super.state;
  }

  override read(key: string): StoredRecord | undefined {
    if (this.#failed) throw this.#refusal();
    return super.read(key);
  }

  override commit(changes: readonly RecordChange[], audit: readonly Uint8Array[]): Promise<void> {
    if (this.#failed) return Promise.reject(this.#refusal());
    if (this.#left > 0) {
      this.#left -= 1;
      return super.commit(changes, audit);
    }
    this.#failed = true;
    return Promise.reject(new StoreError('store-disk-full', 'writing the journal', { bytes_free: 0 }));
  }

  override flushNow(): void {
    if (this.#failed) throw this.#refusal();
    super.flushNow();
  }

  override settled(): Promise<void> {
    return this.#failed ? Promise.reject(this.#refusal()) : super.settled();
  }

  #refusal(): StoreError {
    return new StoreError('store-failed', 'the disk is full');
  }
}

export const failing = (journal: Journal, commits = 0): FailingJournal =>
  new FailingJournal(journal, commits);

/** The curve, counting every use of a private key that leaves a signature or a shared secret. */
export function countingSecp(): { readonly secp: Secp256k1; readonly signatures: () => number } {
  let count = 0;
  const counted =
    <A extends readonly unknown[], R>(use: (...args: A) => R) =>
    (...args: A): R => {
      count += 1;
      return use(...args);
    };
  const { signEcdsa, signEcdsaRecoverable, signSchnorr, ecdh } = secp;
  const uses = {
    signEcdsa: counted(signEcdsa),
    signEcdsaRecoverable: counted(signEcdsaRecoverable),
    signSchnorr: counted(signSchnorr),
    ecdh: counted(ecdh),
  };
  return { secp: { ...secp, ...uses }, signatures: () => count };
}

export function ringOf(seedByte: number, secp256k1: Secp256k1 = secp): KeyRing {
  const seed = Secret.copy(new Uint8Array(32).fill(seedByte), 32);
  return new KeyRing({ secp256k1, seed, bip32PublicVersion: networkByName('regtest')!.bip32Public });
}

export function policyOf(network = 'regtest', preset: Preset = 'permissive'): Policy {
  return presetPolicy(networkByName(network)!, preset);
}

export function signerOn(journal: Journal, options: Partial<SignerOptions> = {}): Signer {
  const ring = options.ring ?? ringOf(1);
  return new Signer({
    ring,
    secp,
    journal,
    policy: policyOf(),
    protocolVersion: 6,
    nowSeconds: () => 1_700_000_000,
    ...options,
  });
}

export const master: ClientIdentity = { channel: null, permissions: MASTER_PERMISSIONS };

/** The point of a private key made from a name: a public key of somebody, the same in every run. */
export function keyOf(name: string): Uint8Array {
  return secp.publicKey(createHash('sha256').update(name).digest());
}

export const peerId = keyOf('peer');

/** A client with all permissions of a channel's daemons. */
export function channelClient(dbid: number): ClientIdentity {
  const channelBits = PERMISSION.COMMITMENT_POINT | PERMISSION.SIGN_REMOTE_TX | PERMISSION.ECDH;
  return { channel: { peerId, dbid: BigInt(dbid) }, permissions: channelBits };
}

export const ecdhRequest: Request = { name: 'hsmd_ecdh_req', point: keyOf('somebody') };

/** Changes the state: the parameters of channel `dbid`. */
export function setupRequest(dbid: number, changed: Partial<MessageOf<'hsmd_setup_channel'>> = {}): Request {
  return {
    name: 'hsmd_setup_channel',
    isOutbound: true,
    channelValue: sat(1_000_000n),
    pushValue: 0n,
    fundingTxid: createHash('sha256').update(`funding ${dbid}`).digest(),
    fundingTxout: 0,
    localToSelfDelay: 144,
    localShutdownScript: new Uint8Array(0),
    localShutdownWalletIndex: undefined,
    remoteBasepoints: {
      revocation: keyOf('revocation'),
      payment: keyOf('payment'),
      htlc: keyOf('htlc'),
      delayedPayment: keyOf('delayed payment'),
    },
    remoteFundingPubkey: keyOf('funding'),
    remoteToSelfDelay: 144,
    remoteShutdownScript: new Uint8Array(0),
    // Bits 12 and 22.
    channelType: Uint8Array.of(0x40, 0x10, 0x00),
    ...changed,
  };
}

/** Reads the channel's record; changes it once, and nothing when it is marked already. */
export function forgetRequest(dbid: number): Request {
  return { name: 'hsmd_forget_channel', id: peerId, dbid: BigInt(dbid) };
}

/** `pending` until the promise settles. Of use for what must wait: what comes is awaited, however long the disk takes. */
export async function stateOf(promise: Promise<Answer>): Promise<'pending' | Answer['kind']> {
  const settled = promise.then(({ kind }) => kind);
  const pause = new Promise<'pending'>((resolve) => setTimeout(resolve, 20, 'pending'));
  return Promise.race([settled, pause]);
}

export interface RecordedExchange {
  readonly seq: number;
  readonly client: ClientIdentity;
  readonly request: Request;
  readonly reply: Uint8Array;
}

export interface RecordedSession {
  readonly ring: KeyRing;
  readonly exchanges: readonly RecordedExchange[];
}

interface Line {
  readonly seq: number;
  readonly client: { readonly dbid: number; readonly peer_id: string; readonly capabilities: number };
  readonly request: string;
  readonly reply: string | null;
}

const VECTORS = new URL('../../../vectors/cln/', import.meta.url);

/** What lightningd asked its hsmd and got, without the messages that start a process or a client. */
export function recordedSession(scenario: string, node: string): RecordedSession {
  const directory = new URL(`${scenario}/`, VECTORS);
  const meta: { nodes: Record<string, { hsm_secret_hex: string }> } = JSON.parse(
    readFileSync(new URL('meta.json', directory), 'utf8'),
  );
  const lines = gunzipSync(readFileSync(new URL(`${node}.jsonl.gz`, directory)))
    .toString('utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line): Line => JSON.parse(line));
  const ring = new KeyRing({
    secp256k1: secp,
    seed: openHsmSecretSync(fromHex(meta.nodes[node]!.hsm_secret_hex)).seed,
    bip32PublicVersion: networkByName('regtest')!.bip32Public,
  });
  return { ring, exchanges: lines.flatMap((line) => exchangeOf(line)) };
}

const OF_THE_PROCESS = ['hsmd_init', 'hsmd_dev_preinit', 'hsmd_client_hsmfd', 'unknown'];

function exchangeOf(line: Line): RecordedExchange[] {
  const decoded = decodeMessage(fromHex(line.request), 'request');
  if (!decoded.ok || line.reply === null || OF_THE_PROCESS.includes(decoded.message.name)) return [];
  const { message } = decoded;
  if (message.name === 'unknown') return [];
  const { dbid, peer_id, capabilities } = line.client;
  const channel = dbid === 0 ? null : { peerId: fromHex(peer_id), dbid: BigInt(dbid) };
  const client = { channel, permissions: BigInt(capabilities) };
  return [{ seq: line.seq, client, request: message, reply: fromHex(line.reply) }];
}
