/**
 * The signer under attack in this process: the host's own way of a request over a journal in memory, requests and replies
 * through the wire's codecs both ways. Policy code, decisions and signatures are those of the real process; only the disk
 * and the sockets are missing.
 */
import type { Client, Outcome, OwnerAct, Rescue, Subject } from '@countersign/adversary';
import {
  blockHash,
  concat,
  equalBytes,
  FormError,
  loadSecp256k1,
  outPointToString,
  toHex,
  txid,
  txidToHex,
} from '@countersign/bitcoin';
import {
  type ClientIdentity,
  decideInit,
  isClaimable,
  KeyRing,
  MASTER_PERMISSIONS,
  outputRecords,
  type Policy,
  type Refusal,
  type Remedy,
  RUN_HEADERS_MAX,
  refusalText,
  Secret,
} from '@countersign/core';
import {
  bindStore,
  initReply,
  Memory,
  negotiateVersion,
  PROTOCOL_VERSION_MAX,
  parseConfig,
  policyFor,
  Signer,
} from '@countersign/host';
import { decodeMessage, encodeMessage, type MessageOf, type Reply, type Request } from '@countersign/wire';
import { MemoryJournal } from './memory-journal.ts';
import { NETWORK, ownerToml, TEST_SEED } from './owner.ts';

/** Every bit that lightningd gives to a daemon of a channel. */
const CHANNEL_PERMISSIONS = 511n;
const NODE_CLIENT: ClientIdentity = { channel: null, permissions: MASTER_PERMISSIONS };
/** A minute after the first block of regtest. */
export const CLOCK_BEGIN_SECONDS = 1_296_688_662;

export interface SubjectOptions {
  /** Follows no chain: for sessions that bring none. */
  readonly isBlind?: boolean;
  /** The whole of countersign.toml. */
  readonly toml?: string;
  /** A plain hsm_secret of CLN, 32 bytes. */
  readonly seed?: Uint8Array;
  /** The hsmd protocol that lightningd speaks; below 6, points carry secrets. */
  readonly protocolVersion?: number;
  readonly nowSeconds?: number;
}

/** What is the same for a signer, its restarts and its forks. */
interface Fixed {
  readonly isBlind: boolean;
  readonly ring: KeyRing;
  readonly policy: Policy;
  readonly protocolVersion: number;
}

const secp = loadSecp256k1();

const rings = new Map<string, KeyRing>();

/** One for each seed: what it derives, the wallet's thousand keys above all, is the same for every signer of that seed. */
function ringOf(seed: Uint8Array): KeyRing {
  const known = rings.get(toHex(seed));
  if (known !== undefined) return known;
  const ring = new KeyRing({
    secp256k1: secp,
    seed: Secret.copy(seed, 32),
    bip32PublicVersion: NETWORK.bip32Public,
  });
  rings.set(toHex(seed), ring);
  return ring;
}

/** Requests that do not encode are the attacker's bug, not an attack: nothing of them reaches a signer. */
const NOT_ENCODABLE = 'not-encodable';

export class MemorySubject implements Subject {
  readonly #fixed: Fixed;
  #journal: MemoryJournal;
  #signer: Signer;
  #nowSeconds: number;

  private constructor(fixed: Fixed, journal: MemoryJournal, nowSeconds: number) {
    this.#fixed = fixed;
    this.#journal = journal;
    this.#nowSeconds = nowSeconds;
    this.#signer = this.#start();
  }

  /** A new node: its store begun, bound and following the chain from block 1 on. */
  static async create(options: SubjectOptions = {}): Promise<MemorySubject> {
    const {
      toml = ownerToml(),
      seed = TEST_SEED,
      protocolVersion = PROTOCOL_VERSION_MAX,
      isBlind = false,
    } = options;
    const config = parseConfig(toml, 'countersign.toml');
    const policy = policyFor(config, NETWORK);
    const ring = ringOf(seed);
    const journal = new MemoryJournal(seed.slice(0, 16));
    await bindStore(journal, ring, policy);
    const { nowSeconds = CLOCK_BEGIN_SECONDS } = options;
    const subject = new MemorySubject({ ring, policy, protocolVersion, isBlind }, journal, nowSeconds);
    if (isBlind) return subject;
    const start = { birthdayHeightBlocks: 1, sourceHeightBlocks: 0 };
    await subject.#signer.chain.begin(start, new Uint8Array(0));
    return subject;
  }

  #start(): Signer {
    const { ring, policy, protocolVersion, isBlind } = this.#fixed;
    const signer = new Signer({
      ring,
      secp,
      journal: this.#journal,
      policy,
      protocolVersion,
      nowSeconds: () => this.#nowSeconds,
    });
    if (!isBlind) signer.chain.follow('node', null);
    return signer;
  }

  async ask(client: Client, request: Request): Promise<Outcome> {
    const sent = received(request);
    if (sent instanceof FormError) {
      return { kind: 'refused', tag: NOT_ENCODABLE, isTemporary: false, message: sent.message };
    }
    if (sent.name === 'hsmd_init') return this.#init(sent);
    if (sent.name === 'hsmd_client_hsmfd')
      return { kind: 'reply', reply: { name: 'hsmd_client_hsmfd_reply' } };
    const answer = await this.#signer.answer(identityOf(client), sent);
    if (answer.kind === 'refused') return refused(answer.refusal);
    return { kind: 'reply', reply: returned(answer.reply) };
  }

  /** As at every start of the node; one of another network, or with a developer's secrets, would not start. */
  #init(init: MessageOf<'hsmd_init'>): Outcome {
    const judged = decideInit(init, false);
    if (!judged.ok) return refused(judged.refusal);
    const { ring, protocolVersion } = this.#fixed;
    const isForced = init.devForcePrivkey ?? init.devForceBip32Seed ?? init.devForceChannelSecrets;
    if (judged.network.name !== NETWORK.name || isForced !== undefined || negotiateVersion(init) === null) {
      const message = 'the store belongs to another start';
      return { kind: 'refused', tag: 'policy-init-binding', isTemporary: false, message };
    }
    const reply = initReply({ ring, hsmSecretType: 0, preinit: null, protocolVersion });
    return { kind: 'reply', reply: returned(reply) };
  }

  async feedChain(headers: readonly Uint8Array[], blocks: readonly Uint8Array[]): Promise<string | null> {
    const { chain } = this.#signer;
    for (let from = 0; from < headers.length; from += RUN_HEADERS_MAX) {
      const answer = await chain.acceptHeaders(concat(...headers.slice(from, from + RUN_HEADERS_MAX)));
      if (!answer.ok) return refusalText(answer.refusal);
    }
    for (const block of blocks) {
      const { provenHeightBlocks } = chain.tip()!;
      const next = chain.headerHash(provenHeightBlocks + 1);
      // Of a branch that has no more work, or that is proven already.
      if (next === null || !equalBytes(next, blockHash(block.subarray(0, 80)))) continue;
      const answer = await chain.acceptBlock(block);
      if (!answer.ok) return refusalText(answer.refusal);
    }
    return null;
  }

  /**
   * What the signer's watcher publishes unasked, and of channels that are ending all the rest that the owner's recovery
   * would: delayed outputs, HTLC transactions that pay no fee by themselves. What is for the node to decide stays out.
   */
  async rescues(): Promise<readonly Rescue[]> {
    const { chain } = this.#signer;
    const found = new Map<string, Rescue>();
    for (const { id, raw, reason } of await chain.toPublish()) found.set(id, { raw, reason });
    const memory = new Memory(this.#journal);
    const heightBlocks = chain.tip()?.tipHeightBlocks ?? 0;
    for (const id of this.#channels()) {
      for (const remedy of chain.remedies(id).remedies) {
        const { isReleased, isOptional, earliestHeightBlocks, kind } = remedy;
        if (!isReleased || isOptional || earliestHeightBlocks > heightBlocks || !isOwed(memory, remedy))
          continue;
        const key = txidToHex(txid(remedy.transaction));
        if (!found.has(key))
          found.set(key, { raw: chain.signed(remedy), reason: `${kind} of channel ${id}` });
      }
    }
    return [...found.values()];
  }

  #channels(): readonly string[] {
    return this.#journal.keys('channel/').map((key) => key.slice('channel/'.length));
  }

  async owner(act: OwnerAct): Promise<string | null> {
    switch (act.act) {
      case 'approve': {
        const { id, amountMsat } = act;
        return problem(await this.#signer.administer({ op: 'approve', id, amountMsat, expirySeconds: null }));
      }
      case 'allow':
        return problem(await this.#signer.administer({ op: 'allowlist-add', kind: null, text: act.text }));
      case 'force-close': {
        const plan = await this.#signer.chain.close(`${toHex(act.peerId)}/${act.dbid}`);
        return plan.remedies.some(({ isReleased }) => isReleased)
          ? null
          : 'there is nothing that may be published';
      }
    }
  }

  async restart(): Promise<void> {
    this.#journal = this.#journal.reopen();
    this.#signer = this.#start();
  }

  setClock(seconds: number): void {
    this.#nowSeconds = Math.max(this.#nowSeconds, seconds);
  }

  async fork(): Promise<MemorySubject> {
    return new MemorySubject(this.#fixed, this.#journal.copy(), this.#nowSeconds);
  }

  async close(): Promise<void> {
    await this.#journal.close();
  }
}

const identityOf = ({ channel }: Client): ClientIdentity =>
  channel === null ? NODE_CLIENT : { channel, permissions: CHANNEL_PERMISSIONS };

function refused(refusal: Refusal): Outcome {
  const { tag, temporary } = refusal;
  return { kind: 'refused', tag, isTemporary: temporary, message: refusalText(refusal) };
}

/** As the signer reads it at the other end of a socket; the error of what has no encoding. */
function received(request: Request): Request | FormError {
  try {
    const decoded = decodeMessage(encodeMessage(request), 'request');
    if (!decoded.ok) return new FormError(decoded.error.message, decoded.error.facts);
    const { message } = decoded;
    return message.name === 'unknown' ? new FormError(`${request.name} does not read back`) : message;
  } catch (error) {
    if (error instanceof FormError) return error;
    throw error;
  }
}

/** As the node reads it. */
function returned(reply: Reply): Reply {
  const decoded = decodeMessage(encodeMessage(reply), 'reply');
  if (!decoded.ok) throw new FormError(decoded.error.message, decoded.error.facts);
  if (decoded.message.name === 'unknown') throw new FormError(`${reply.name} does not read back`);
  return decoded.message;
}

/** A claim by preimage that the node may leave undone, for an invoice of its own, is nobody's to publish. */
function isOwed(memory: Memory, { kind, channel, inputs }: Remedy): boolean {
  if (kind !== 'claim-preimage' && kind !== 'htlc-success') return true;
  return inputs.every(({ outpoint }) => {
    const hash = memory.read(outputRecords, outPointToString(outpoint))?.value?.htlc?.paymentHash ?? null;
    return (
      hash !== null &&
      isClaimable((recordKind, key) => memory.read(recordKind, key)?.value ?? null, channel, hash)
    );
  });
}

const problem = (answer: {
  readonly ok: boolean;
  readonly error?: { readonly message: string };
}): string | null => (answer.ok ? null : (answer.error?.message ?? 'not possible'));
