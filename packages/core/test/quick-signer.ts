/**
 * The signer for properties of many steps: the same `decide`, records kept as values. What the slower one checks of
 * every decision (pure, repeatable, survives encoding) is checked here of every so many.
 */
import {
  type Change,
  type ChannelRef,
  type Decision,
  decide,
  decodeRecord,
  encodeRecord,
  type KeyRing,
  type KeyView,
  keyView,
  PERMISSION,
  type Policy,
  permissionFor,
  policyOf,
  type RecordKind,
  type Refusal,
  recordKey,
  type StateReader,
  type Versioned,
} from '@countersign/core';
import { decodeMessage, encodeMessage, type Request } from '@countersign/wire';
import { expect } from 'vitest';
import { canonical } from './memory-state.ts';
import { CHANNEL_PERMISSIONS, MASTER, regtest, secp } from './test-signer.ts';

/** One decision in so many is checked completely. */
const CHECKED_EVERY = 61;

class QuickState implements StateReader {
  readonly #records: Map<string, Versioned<unknown>>;

  constructor(records: ReadonlyMap<string, Versioned<unknown>> = new Map()) {
    this.#records = new Map(records);
  }

  read<T>(kind: RecordKind<T>, id: string): Versioned<T> | undefined {
    return this.#records.get(recordKey(kind, id)) as Versioned<T> | undefined;
  }

  apply(changes: readonly Change[]): void {
    for (const change of changes)
      this.#records.set(recordKey(change.kind, change.id), { version: change.version, value: change.value });
  }

  copy(): QuickState {
    return new QuickState(this.#records);
  }

  snapshot(): string {
    return canonical([...this.#records]);
  }
}

export class QuickSigner {
  readonly keys: KeyView;
  state = new QuickState();
  policy: Policy;
  nowSeconds = 1_700_000_000;
  /** Decisions asked of it. */
  steps = 0;

  constructor(ring: KeyRing, set: Parameters<typeof policyOf>[2] = {}) {
    this.keys = keyView(ring);
    this.policy = policyOf(regtest, 'hub', set);
  }

  decide(request: Request, channel: ChannelRef | null): Decision {
    this.steps += 1;
    const input = {
      state: this.state,
      client:
        permissionFor(request.name) === PERMISSION.MASTER
          ? MASTER
          : { channel, permissions: CHANNEL_PERMISSIONS },
      policy: this.policy,
      keys: this.keys,
      secp,
      protocolVersion: 6,
      failPreapprovals: false,
      nowSeconds: this.nowSeconds,
      chain: null,
    };
    const isChecked = this.steps % CHECKED_EVERY === 0;
    const before = isChecked ? this.state.snapshot() : '';
    const decision = decide(input, request);
    if (!isChecked) return decision;
    const decoded = decodeMessage(encodeMessage(request), 'request');
    if (!decoded.ok) throw new Error(`${request.name} does not decode`);
    expect(canonical(decide(input, decoded.message as Request))).toBe(canonical(decision));
    expect(this.state.snapshot()).toBe(before);
    for (const { kind, value } of decision.changes)
      if (value !== null)
        expect(canonical(decodeRecord(kind, encodeRecord(kind, value)))).toBe(canonical(value));
    return decision;
  }

  /** Decides and keeps the changes; the refusal, or null. */
  try(request: Request, channel: ChannelRef | null): Refusal | null {
    const decision = this.decide(request, channel);
    this.state.apply(decision.changes);
    return decision.kind === 'refused' ? decision.refusal : null;
  }

  /** An honest request. */
  ask(request: Request, channel: ChannelRef | null): void {
    const refusal = this.try(request, channel);
    if (refusal === null) return;
    const { tag, message, facts } = refusal;
    throw new Error(`honest ${request.name} refused: ${tag}: ${message} ${canonical(facts)}`);
  }

  /** The refusal of the first of these that is refused, asked one after the other; then all is as it was. */
  refusalOf(requests: readonly Request[], channel: ChannelRef | null): Refusal | null {
    const state = this.state;
    this.state = state.copy();
    try {
      for (const request of requests) {
        const refusal = this.try(request, channel);
        if (refusal !== null) return refusal;
      }
      return null;
    } finally {
      this.state = state;
    }
  }
}
