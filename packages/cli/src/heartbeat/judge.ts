/**
 * Whether what was read is the heartbeat of a signer that is well: verified, later than the one before, neither old nor from
 * the future, and without a critical alarm or deadline. Pure but for what it remembers of the newest heartbeat seen.
 */
import type { Secp256k1 } from '@countersign/bitcoin';
import { compareSequences, type Heartbeat, type HeartbeatFault, verifyHeartbeat } from '@countersign/core';

/** Without a limit given: blocks are proven within minutes, and an hour is a long time. */
export const LAG_MAX_BLOCKS_DEFAULT = 6;

export interface WatchLimits {
  readonly maxAgeSeconds: number;
  readonly futureMaxSeconds: number;
  /** Null: the default, and no chain is demanded. */
  readonly lagMaxBlocks: number | null;
}

export type ProblemCode =
  | HeartbeatFault
  /** Nothing could be read, and nothing was that is recent enough. */
  | 'unreachable'
  /** An earlier one than was seen before: played again, or a signer on a store that was rolled back. */
  | 'sequence-back'
  /** Two heartbeats of one number: two signers with one state. */
  | 'sequence-twice'
  | 'stale'
  | 'future'
  | 'no-chain'
  | 'lag'
  | 'alarm'
  | 'deadline';

export interface Problem {
  readonly code: ProblemCode;
  /** The same as long as the problem is the same. */
  readonly subject: string;
  readonly message: string;
}

export type Reading =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly message: string };

export interface Judgement {
  readonly problems: readonly Problem[];
  /** The one read, if it is the node's. */
  readonly heartbeat: Heartbeat | null;
}

export class HeartbeatJudge {
  readonly #secp: Secp256k1;
  readonly #nodeId: Uint8Array;
  readonly #limits: WatchLimits;
  #newest: { readonly text: string; readonly heartbeat: Heartbeat } | null = null;

  constructor(secp: Secp256k1, nodeId: Uint8Array, limits: WatchLimits) {
    this.#secp = secp;
    this.#nodeId = nodeId;
    this.#limits = limits;
  }

  /** Signed text of the newest heartbeat seen; null before the first. */
  get newest(): string | null {
    return this.#newest?.text ?? null;
  }

  /** The newest one of an earlier life. False if it is none of this node's. */
  remember(text: string): boolean {
    const verdict = verifyHeartbeat(this.#secp, text.trimEnd(), this.#nodeId);
    if (verdict.ok) this.#newest = { text: text.trimEnd(), heartbeat: verdict.heartbeat };
    return verdict.ok;
  }

  judge(reading: Reading, nowSeconds: number): Judgement {
    if (!reading.ok) return { problems: this.#unread(reading.message, nowSeconds), heartbeat: null };
    const text = reading.text.trimEnd();
    const verdict = verifyHeartbeat(this.#secp, text, this.#nodeId);
    if (!verdict.ok) return { problems: [problem(verdict.fault, verdict.message)], heartbeat: null };
    const { heartbeat } = verdict;
    const problems = [
      ...this.#sequenceProblems(text, heartbeat),
      ...timeProblems(heartbeat, this.#limits, nowSeconds),
      ...chainProblems(heartbeat, this.#limits),
      ...toldProblems(heartbeat),
    ];
    if (this.#newest === null || compareSequences(heartbeat.sequence, this.#newest.heartbeat.sequence) > 0)
      this.#newest = { text, heartbeat };
    return { problems, heartbeat };
  }

  /** One reading that fails is no alarm while the last heartbeat is still recent. */
  #unread(message: string, nowSeconds: number): readonly Problem[] {
    const newest = this.#newest?.heartbeat;
    if (newest === undefined) return [problem('unreachable', message)];
    const ageSeconds = nowSeconds - newest.timeSeconds;
    if (ageSeconds <= this.#limits.maxAgeSeconds) return [];
    return [problem('unreachable', `${message}; the newest heartbeat is ${ageSeconds} s old`)];
  }

  #sequenceProblems(text: string, { sequence }: Heartbeat): readonly Problem[] {
    if (this.#newest === null) return [];
    const { heartbeat, text: newestText } = this.#newest;
    const order = compareSequences(sequence, heartbeat.sequence);
    const numbers = `${told(sequence)} after ${told(heartbeat.sequence)}`;
    if (order < 0) {
      const message = `an earlier heartbeat than one seen before (${numbers}): it is played again, or the signer's store was rolled back`;
      return [problem('sequence-back', message)];
    }
    if (order > 0 || text === newestText) return [];
    const message = `two different heartbeats with one number (${told(sequence)}): two signers run with one state`;
    return [problem('sequence-twice', message)];
  }
}

const told = ({ start, count }: Heartbeat['sequence']): string => `${start}/${count}`;

const problem = (code: ProblemCode, message: string, subject: string = code): Problem => ({
  code,
  subject,
  message,
});

function timeProblems(
  { timeSeconds }: Heartbeat,
  { maxAgeSeconds, futureMaxSeconds }: WatchLimits,
  nowSeconds: number,
): readonly Problem[] {
  const ageSeconds = nowSeconds - timeSeconds;
  if (ageSeconds > maxAgeSeconds) {
    return [problem('stale', `the heartbeat is ${ageSeconds} s old, at most ${maxAgeSeconds} s are allowed`)];
  }
  if (-ageSeconds > futureMaxSeconds) {
    const message = `the heartbeat is ${-ageSeconds} s from the future, at most ${futureMaxSeconds} s are allowed: one of the clocks is wrong`;
    return [problem('future', message)];
  }
  return [];
}

function chainProblems({ chain }: Heartbeat, { lagMaxBlocks }: WatchLimits): readonly Problem[] {
  if (chain === null) {
    return lagMaxBlocks === null ? [] : [problem('no-chain', 'the signer follows no chain')];
  }
  const max = lagMaxBlocks ?? LAG_MAX_BLOCKS_DEFAULT;
  const { lagBlocks, provenHeightBlocks } = chain;
  if (lagBlocks <= max) return [];
  const message = `the signer has proven blocks up to ${provenHeightBlocks}, ${lagBlocks} behind the tip; at most ${max} are allowed`;
  return [problem('lag', message)];
}

/** Alarms that only warn, and deadlines that are not near, are for whoever looks. */
function toldProblems({ alarms, deadlines }: Heartbeat): readonly Problem[] {
  const critical = alarms.filter(({ severity }) => severity === 'critical');
  const near = deadlines.filter(({ level }) => level === 'critical' || level === 'passed');
  return [
    ...critical.map(({ code, channel, message }) =>
      problem(
        'alarm',
        `${code}${channel === null ? '' : ` of channel ${channel}`}: ${message}`,
        `alarm ${code} ${channel}`,
      ),
    ),
    ...near.map(({ channel, heightBlocks, blocksLeft, level, what, amountMsat }) =>
      problem(
        'deadline',
        `${what} of channel ${channel}: ${blocksLeft} blocks left to height ${heightBlocks} (${level}), ${amountMsat} msat`,
        `deadline ${what} ${channel} ${heightBlocks} ${level}`,
      ),
    ),
  ];
}
