/**
 * What becomes of an operator's line: parsed, carried out on the running signer, answered with one line. Whoever reaches
 * it is the operator; the file mode of the socket is what says so.
 */
import { toHex, txidFromHex } from '@countersign/bitcoin';
import type { AdminError, AdminOperation, AdminResult, AuditEvent } from '@countersign/core';
import { type AuditEntry, type AuditHead, type Journal, StoreError } from '@countersign/store';
import type { ChainAnswer, ChainSide } from '../chain/side.ts';
import { isStoreFailure } from '../store-failure.ts';
import { pageOf, toJson } from './json.ts';
import { planJson } from './plan.ts';
import {
  ADMIN_LINE_BYTES_MAX,
  ADMIN_PROTOCOL_VERSION,
  type AdminReply,
  type AdminReplyError,
  type AdminRequest,
  type Json,
  operationOf,
  parseAdminRequest,
} from './protocol.ts';

export type AdminAnswer =
  | { readonly ok: true; readonly result: AdminResult }
  | { readonly ok: false; readonly error: AdminError | StoppedError };

/** The signer has stopped because its store failed. */
export interface StoppedError {
  readonly code: 'store-failed';
  readonly message: string;
  readonly facts: AdminError['facts'];
}

/** The part of the signer that the operator reaches. */
export interface OperatorSide {
  readonly journal: Pick<Journal, 'audit' | 'auditHead' | 'verifyAudit'>;
  administer(operation: AdminOperation): Promise<AdminAnswer>;
  /** What the operator did, where the change itself does not say so. */
  recordEvent(event: AuditEvent): void;
  /** What memory says now is on the disk. */
  settled(): Promise<void>;
  status(): object;
  /** The signed text of a new one. */
  heartbeat(): Promise<string>;
  readonly chain: Pick<
    ChainSide,
    'status' | 'tip' | 'unlock' | 'rescan' | 'remedies' | 'forceClose' | 'signed'
  >;
  /** The effective policy, for people or for programs. */
  policyText(format: 'text' | 'json'): string;
}

type Outcome =
  | { readonly ok: true; readonly result: Json }
  | { readonly ok: false; readonly error: AdminReplyError };

export class AdminDesk {
  readonly #side: OperatorSide;
  #isVerifying = false;

  constructor(side: OperatorSide) {
    this.#side = side;
  }

  /** The reply, without its newline. Rejects only for a bug of ours. */
  async answer(line: string): Promise<string> {
    const parsed = parseAdminRequest(line);
    if (!parsed.ok) return replyLine(parsed.id, badRequest(parsed.message));
    return replyLine(parsed.request.id, await this.#carryOut(parsed.request).catch(storeFailed));
  }

  async #carryOut(asked: AdminRequest): Promise<Outcome> {
    const operation = operationOf(asked);
    if (operation !== null) return this.#operate(operation, 'offset' in asked ? asked.offset : 0);
    switch (asked.op) {
      case 'policy-show':
        return page(pageOf(this.#policyLines(asked.format), asked.offset, (line) => line));
      case 'audit-list':
        return this.#auditList(asked.from, asked.count);
      case 'audit-verify':
        return this.#auditVerify();
      case 'heartbeat':
        // Whole and untouched, or its signature is worth nothing; far below a line.
        return page({ heartbeat: await this.#side.heartbeat() });
      case 'chain-status':
        return done(this.#side.chain.status());
      case 'chain-unlock':
        return this.#chained(this.#side.chain.unlock(txidFromHex(asked.tip)), { tipHash: asked.tip });
      case 'chain-rescan':
        return this.#rescan(asked.fromHeightBlocks);
      case 'remedies':
        return this.#remedies(asked.channel);
      case 'channel-close':
        return this.#close(asked.channel);
      default:
        return done(this.#side.status());
    }
  }

  async #operate(operation: AdminOperation, offset: number): Promise<Outcome> {
    const answer = await this.#side.administer(operation);
    if (!answer.ok) {
      const { code, message, facts } = answer.error;
      return { ok: false, error: { code, message, facts: toJson(facts) } };
    }
    const { result } = answer;
    switch (result.op) {
      case 'pending-list':
        return page(pageOf(result.pending, offset));
      case 'approvals-list':
        return page(pageOf(result.approvals, offset));
      case 'allowlist-list':
        return page(pageOf(result.entries, offset));
      default:
        return done(result);
    }
  }

  #policyLines(format: 'text' | 'json'): readonly string[] {
    return this.#side.policyText(format).trimEnd().split('\n');
  }

  #auditList(from: number, count: number): Outcome {
    const entries = this.#side.journal.audit(from, count);
    const { items } = pageOf(entries, 0, entryJson);
    return page({ entries: items, newest: this.#side.journal.auditHead.seq });
  }

  async #close(channel: string): Promise<Outcome> {
    const { chain } = this.#side;
    // Deadlines end channels too.
    this.#side.recordEvent({ event: 'channel-close-asked', facts: { channel } });
    const closed = await chain.forceClose(channel);
    if (closed.ok) return done(planJson(closed.plan, (remedy) => chain.signed(remedy)));
    const { message, facts } = closed.refusal;
    return { ok: false, error: { code: 'close-refused', message, facts: toJson(facts) } };
  }

  /** A commitment in it is one that may be published, which has to be on the disk before it is signed. */
  async #remedies(channel: string): Promise<Outcome> {
    const { chain } = this.#side;
    const plan = chain.remedies(channel);
    await this.#side.settled();
    return page(planJson(plan, (remedy) => chain.signed(remedy)));
  }

  async #rescan(fromHeightBlocks: number | null): Promise<Outcome> {
    const tip = this.#side.chain.tip();
    const from = fromHeightBlocks ?? tip?.birthdayHeightBlocks ?? 0;
    return this.#chained(this.#side.chain.rescan(fromHeightBlocks), {
      fromHeightBlocks: from,
      tipHeightBlocks: tip?.tipHeightBlocks ?? from,
    });
  }

  async #chained(answered: Promise<ChainAnswer>, result: object): Promise<Outcome> {
    const answer = await answered;
    if (answer.ok) return done(result);
    const { message, facts } = answer.refusal;
    return { ok: false, error: { code: 'chain-refused', message, facts: toJson(facts) } };
  }

  /** Long on a large log: one at a time, and the signer goes on meanwhile. */
  async #auditVerify(): Promise<Outcome> {
    if (this.#isVerifying) {
      const message = 'another verification of the audit log is running: ask again when it is done';
      return { ok: false, error: { code: 'busy', message, facts: {} } };
    }
    this.#isVerifying = true;
    try {
      return done(headJson(await this.#side.journal.verifyAudit()));
    } catch (error) {
      if (error instanceof StoreError && error.code === 'store-corrupt') {
        return done({ sound: false, seq: Number(error.facts.seq), problem: error.message });
      }
      throw error;
    } finally {
      this.#isVerifying = false;
    }
  }
}

function headJson({ seq, hash }: AuditHead): object {
  return { sound: true, seq, hash: toHex(hash) };
}

function entryJson({ seq, hash, body }: AuditEntry): Json {
  const text = new TextDecoder().decode(body);
  return { seq, hash: toHex(hash), ...bodyJson(text) };
}

/** Entries of this version are objects; whatever else one holds is shown as text. */
function bodyJson(text: string): { readonly [key: string]: Json } {
  try {
    const value: Json = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return { body: value };
  } catch {
    // Shown as it is.
  }
  return { text: text.slice(0, ENTRY_CHARS_MAX) };
}

const done = (result: unknown): Outcome => page(toJson(result));

/** What is JSON already, and bounded. */
const page = (result: Json): Outcome => ({ ok: true, result });

/** Of an entry that is no object: half a line at most. */
const ENTRY_CHARS_MAX = 4096;

function storeFailed(error: unknown): Outcome {
  if (!isStoreFailure(error)) throw error;
  const { message, facts } = error;
  return { ok: false, error: { code: 'store-failed', message, facts: toJson(facts) } };
}

export function badRequest(message: string): Outcome {
  return { ok: false, error: { code: 'bad-request', message, facts: {} } };
}

export function replyLine(id: number | null, outcome: Outcome): string {
  const reply: AdminReply = { v: ADMIN_PROTOCOL_VERSION, id, ...outcome };
  const line = JSON.stringify(reply);
  if (Buffer.byteLength(line) < ADMIN_LINE_BYTES_MAX) return line;
  return replyLine(id, badRequest('the answer is larger than a line: ask for less'));
}
