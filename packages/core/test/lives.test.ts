/**
 * Properties of law 1: an honest channel is never refused, whatever life it has; no order of requests gets what the
 * oracle forbids; and one changed field in the next request gains nothing.
 */
import { toHex } from '@countersign/bitcoin';
import { perform, releasePerCommitmentSecret } from '@countersign/core';
import type { Reply, Request } from '@countersign/wire';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Balances,
  type Funding,
  htlc,
  type ModelHtlc,
  type ModelOptions,
  wireTx,
} from './channel-model.ts';
import { canonical } from './memory-state.ts';
import { adding, FORMATS, OpenChannel, removing } from './open-channel.ts';
import { Oracle } from './oracle.ts';
import { bytesOf, ringOf, secp, TestSigner } from './test-signer.ts';

const ring = ringOf('lives');

const arbitraryKind: fc.Arbitrary<ModelOptions> = fc.record({
  format: fc.constantFrom(...FORMATS),
  isOutbound: fc.boolean(),
});

/** A channel that every reply is reported of. */
class WatchedChannel extends OpenChannel {
  readonly oracle: Oracle;

  constructor(options: ModelOptions) {
    super(options, new TestSigner(ring));
    this.oracle = new Oracle(this.model, this.signer);
  }

  override ask(request: Request): Reply {
    const reply = super.ask(request);
    this.oracle.observe(request, reply);
    return reply;
  }

  /** Asks for what may be refused; the reply if it was not. */
  try(request: Request): Reply | null {
    const client = this.signer.clientFor(request, this.model.ref);
    const decision = this.signer.decide(request, client);
    if (decision.kind === 'refused') return null;
    this.signer.state.apply(decision.changes);
    const reply = perform(this.signer.ring, decision.release);
    this.oracle.observe(request, reply);
    return reply;
  }
}

/** An honest node and peer: each step is one they may take next, whatever number picks it. */
class HonestLife extends WatchedChannel {
  /** What both have agreed on and not committed to everywhere. */
  next: Balances;
  /** What a side has acknowledged last: updates up to there outlive a reconnection. */
  acknowledged: Balances;
  /** Signed for the peer, and validated, last. */
  signed: Balances;
  validated: Balances;
  /** The step that brought each. */
  readonly ages = new Map<Balances, number>();
  /** Signed for the peer and not revoked by it; validated and not revoked by us. */
  peerPending = false;
  holderPending = false;
  variants = 0;
  steps = 0;
  /** Requests that may be repeated at any time, with their replies. */
  repeatable = new Map<string, readonly (readonly [Request, Reply])[]>();

  constructor(options: ModelOptions) {
    super(options);
    this.next = this.balances;
    this.acknowledged = this.balances;
    this.signed = this.balances;
    this.validated = this.balances;
  }

  #remember(kind: string, requests: readonly Request[]): void {
    this.repeatable.set(
      kind,
      requests.map((request) => [request, this.ask(request)] as const),
    );
  }

  step(pick: number): void {
    this.steps += 1;
    const actions = this.actions();
    actions[pick % actions.length]!();
  }

  /** What may come next. */
  protected actions(): (() => void)[] {
    const actions = [() => this.change(), () => this.change(), () => this.repeat(), () => this.askPoint()];
    if (this.peerPending)
      actions.push(
        () => this.finishPeer(),
        () => this.finishPeer(),
      );
    else
      actions.push(
        () => this.startPeer(),
        () => this.startPeer(),
      );
    if (this.holderPending)
      actions.push(
        () => this.finishHolder(),
        () => this.finishHolder(),
      );
    else
      actions.push(
        () => this.startHolder(),
        () => this.startHolder(),
      );
    if (this.peerPending || this.holderPending) actions.push(() => this.reconnect());
    if (this.fundings.length < 3) actions.push(() => this.splice());
    if (this.fundings.length > 1) actions.push(() => this.settleFunding());
    return actions;
  }

  /** Add, settle, fail, or another feerate. */
  change(): void {
    // Only what both sides are irrevocably committed to is removed (BOLT 2).
    const oldest = this.next.htlcs.find((one) => this.balances.htlcs.includes(one));
    const kind = this.steps % 4;
    if (kind === 0) this.next = { ...this.next, feeratePerKw: 500 + ((this.steps * 37) % 1000) };
    else if (oldest !== undefined && (kind === 1 || this.next.htlcs.length > 4))
      // Whoever has fulfilled one never fails it, however often the link is lost in between.
      this.next = removing(this.next, oldest, oldest.preimage[0]! % 3 === 0 ? 'failed' : 'settled');
    else this.next = adding(this.next, this.newHtlc());
    this.ages.set(this.next, this.steps);
  }

  newHtlc(): ModelHtlc {
    const offeredBy = this.steps % 2 === 0 ? 'holder' : 'counterparty';
    // Dust and large ones, some of them equal.
    const amountSat = this.steps % 5 === 0 ? 300 : 5000 + (this.steps % 3) * 1000;
    // Two in a row may be equal; what was settled is not paid again.
    return htlc(offeredBy, amountSat, `htlc ${offeredBy} ${this.steps >> 1}`, 700_000 + (this.steps % 3));
  }

  startPeer(): void {
    const number = this.counterpartyNumber + 1;
    this.#remember(
      'cc',
      this.fundings.flatMap((funding) => [
        this.model.signRemote(number, this.next, funding),
        ...this.model.signRemoteHtlcs(number, this.next, funding),
      ]),
    );
    this.peerPending = true;
    this.signed = this.next;
    this.variants += 1;
  }

  finishPeer(): void {
    this.#remember('vr', [this.model.validateRevocation(this.counterpartyNumber)]);
    this.counterpartyNumber += 1;
    this.acknowledge(this.signed);
    this.peerPending = false;
    this.variants = 0;
  }

  startHolder(): void {
    const number = this.holderNumber + 1;
    this.#remember(
      'hc',
      this.fundings.map((funding) => this.model.validate(number, this.next, funding)),
    );
    this.holderPending = true;
    this.validated = this.next;
  }

  finishHolder(): void {
    this.#remember('rev', [this.model.revoke(this.holderNumber)]);
    this.holderNumber += 1;
    this.acknowledge(this.validated);
    this.holderPending = false;
  }

  /** One side may be behind the other. */
  acknowledge(balances: Balances): void {
    const age = (one: Balances) => this.ages.get(one) ?? 0;
    if (age(balances) >= age(this.acknowledged)) this.acknowledged = balances;
  }

  askPoint(): void {
    this.ask(this.model.getPoint(this.holderNumber + 1));
  }

  /** BOLT 2: updates that were not acknowledged are forgotten, and other ones take their numbers. */
  reconnect(): void {
    this.next = this.acknowledged;
    this.change();
    if (this.peerPending && this.variants < 8) this.startPeer();
    if (this.holderPending) this.startHolder();
  }

  repeat(): void {
    for (const requests of this.repeatable.values())
      for (const [request, reply] of requests) expect(this.ask(request)).toEqual(reply);
  }

  /** Both sides at the same state, nothing pending. */
  quiesce(): void {
    if (this.peerPending) this.finishPeer();
    if (this.holderPending) this.finishHolder();
    this.startPeer();
    this.finishPeer();
    this.startHolder();
    this.finishHolder();
    this.balances = this.next;
  }

  splice(): void {
    this.quiesce();
    const label = `splice ${this.steps}`;
    const funding = this.model.spliceOf(label, this.steps % 2 === 0 ? 10_000n : -3000n, this.fundings[0]);
    const sign = () => this.ask(this.model.signSplice(funding, this.fundings[0]));
    const isInitiator = this.steps % 2 === 0;
    this.candidate(funding);
    for (const one of this.model.signRemoteHtlcs(this.counterpartyNumber, this.balances, funding))
      this.ask(one);
    if (isInitiator || this.steps % 3 !== 0) sign();
    else this.fundings = this.fundings.slice(0, -1);
  }

  settleFunding(): void {
    const [, ...splices] = this.fundings;
    const winner = splices[this.steps % splices.length]!;
    this.lock(winner);
    this.repeatable.clear();
  }
}

const picks = (length: number) => fc.array(fc.nat(9999), { minLength: length / 2, maxLength: length });

describe('an honest channel', () => {
  it('is never refused: updates in any interleaving, reconnections, repetitions, splices', () => {
    fc.assert(
      fc.property(arbitraryKind, picks(40), (kind, choices) => {
        const life = new HonestLife(kind);
        life.open();
        for (const pick of choices) life.step(pick);
        // And at any point it may be closed, by force or by agreement.
        const last = choices.at(-1) ?? 0;
        const funding = life.fundings[last % life.fundings.length]!;
        if (last % 2 === 0) life.quiesce();
        if (last % 6 === 0 && life.balances.htlcs.length === 0)
          life.ask(life.model.mutualClose(life.model.closeTx(life.balances, 1000n, funding), funding));
        else if (last % 2 === 0)
          life.ask(life.model.signCommitment(life.holderNumber, life.balances, funding));
      }),
      { numRuns: 25, endOnFailure: true },
    );
  });

  it('is never refused below protocol version 6, where points carry the secrets', () => {
    fc.assert(
      fc.property(arbitraryKind, picks(20), (kind, choices) => {
        const life = new HonestLife(kind);
        life.signer.protocolVersion = 5;
        life.open();
        for (const pick of choices) life.step(pick);
      }),
      { numRuns: 10, endOnFailure: true },
    );
  });
});

/** Anything a node could ask for: any number, any of a few contents, any funding, in any message that takes them. */
class Attack extends WatchedChannel {
  readonly contents: readonly Balances[];
  readonly candidates: readonly Funding[];

  constructor(options: ModelOptions) {
    super(options);
    const one = adding(this.balances, htlc('holder', 20_000, 'a'), htlc('counterparty', 9000, 'b'));
    this.contents = [this.balances, one, { ...one, feeratePerKw: 700 }];
    this.candidates = [this.model.funding, this.model.spliceOf('one'), this.model.spliceOf('two', -5000n)];
  }

  /** The request that `kind` picks, about a number near the current ones. */
  request(kind: number, offset: number, at: number, on: number): Request {
    const { model, oracle } = this;
    const balances = this.contents[at]!;
    const funding = this.candidates[Math.max(0, on - 3)]!;
    const ours = Math.max(0, oracle.secretsReleased.size + offset);
    const theirs = Math.max(0, oracle.peerRevoked.size + offset);
    const holder = model.build('holder', ours, balances, funding).tx;
    const ongoing: readonly (() => Request)[] = [
      () => model.signRemote(theirs, balances, funding),
      () => model.signRemote(theirs, balances, funding),
      () => model.validateRevocation(theirs),
      () => model.validate(ours, balances, funding),
      () => model.validate(ours, balances, funding),
      () => model.revoke(ours),
      () => model.revoke(ours),
      () => model.getPoint(ours + 2),
      () => model.setup(funding),
      () => model.signSplice(this.candidates[1 + (at % 2)]!),
    ];
    const rare: readonly (() => Request)[] = [
      () => model.signCommitment(ours, balances, funding),
      () => ({ ...model.signCommitment(ours, balances, funding), commitNum: BigInt(ours + at) }),
      () => model.mutualClose(holder, funding),
      () => model.mutualClose(model.closeTx(balances, BigInt(at), funding), funding),
      () => ({ ...model.mutualClose(holder, funding), name: 'hsmd_sign_splice_tx', inputIndex: 0 }),
      () => model.lock(funding),
      () => ({ name: 'hsmd_forget_channel', id: model.ref.peerId, dbid: model.ref.dbid }),
      () => ({ ...model.setup(funding), isOutbound: !model.isOutbound }),
      () => ({ ...model.validate(ours, balances, funding), commitNum: BigInt(ours + 1) }),
    ];
    return (kind < 62 ? ongoing[kind % ongoing.length] : rare[kind % rare.length])!();
  }
}

describe('any order of any requests', () => {
  const choice = fc.tuple(fc.nat(79), fc.constantFrom(0, 0, 1, 1, 1, -1, 2), fc.nat(2), fc.nat(5));

  it('gets no secret before its successor, and never a secret and a signature for one number', () => {
    const reached = { secrets: 0, broadcasts: 0, splices: 0 };
    fc.assert(
      fc.property(
        arbitraryKind,
        fc.constantFrom(5, 6),
        fc.array(choice, { minLength: 40, maxLength: 60 }),
        (kind, version, choices) => {
          const attack = new Attack(kind);
          attack.signer.protocolVersion = version;
          attack.open();
          for (const [what, offset, at, on] of choices) attack.try(attack.request(what, offset, at, on));
          reached.secrets += attack.oracle.secretsReleased.size;
          reached.broadcasts += attack.oracle.broadcast.size;
          reached.splices += attack.oracle.signedTransactions.size;
        },
      ),
      { numRuns: 35, endOnFailure: true },
    );
    // The attack does get somewhere: else the property would hold for nothing.
    for (const [what, count] of Object.entries(reached)) expect(count, what).toBeGreaterThan(0);
  });
});

/** What an attacker changes in a request: one number, point, secret, signature or outpoint. */
const flip = (bytes: Uint8Array, at: number): Uint8Array =>
  bytes.with(at % bytes.length, bytes[at % bytes.length]! ^ (1 << (at % 8)));

function mutations(request: Request, at: number): Request[] {
  const changed: Request[] = [];
  const any = request as unknown as Record<string, unknown>;
  const put = (field: string, value: unknown) =>
    changed.push({ ...any, [field]: value } as unknown as Request);
  for (const field of ['commitNum', 'revokeNum', 'n'] as const) {
    const value = any[field];
    if (typeof value !== 'bigint') continue;
    put(field, value + 1n + BigInt(at % 3));
    put(field, value ^ (1n << BigInt(at % 50)));
    if (value > 0n) put(field, value - 1n);
  }
  const other = secp.publicKey(bytesOf(`another point ${at}`));
  for (const field of ['remotePerCommit', 'remotePerCommitPoint', 'remoteFundingKey'])
    if (field in any) put(field, other);
  if ('perCommitmentSecret' in request) put('perCommitmentSecret', flip(request.perCommitmentSecret, at));
  if ('sig' in request) put('sig', { ...request.sig, signature: flip(request.sig.signature, at) });
  if ('htlcSigs' in request && request.htlcSigs.length > 0) {
    const i = at % request.htlcSigs.length;
    const sig = request.htlcSigs[i]!;
    put('htlcSigs', request.htlcSigs.with(i, { ...sig, signature: flip(sig.signature, at) }));
    put('htlcSigs', request.htlcSigs.toSpliced(i, 1));
  }
  if ('tx' in request) {
    const { tx, psbt } = request.tx;
    const index = 'inputIndex' in request ? request.inputIndex : 0;
    const spends = tx.inputs[index]!;
    const outpoints = [{ ...spends, txid: flip(spends.txid, at) }];
    // A second-level transaction at another output commits to a script and an amount that output has not.
    if (request.name !== 'hsmd_sign_remote_htlc_tx') outpoints.push({ ...spends, vout: spends.vout ^ 1 });
    for (const one of outpoints) {
      const inputs = tx.inputs.with(index, one);
      put('tx', { tx: { ...tx, inputs }, psbt: { ...psbt, ...rebuilt({ ...tx, inputs }, psbt) } });
    }
  }
  if ('fundingTxid' in request && request.name === 'hsmd_lock_outpoint')
    put('fundingTxid', flip(request.fundingTxid, at));
  return changed;
}

/** The PSBT of another transaction, with the same fields. */
function rebuilt(tx: Parameters<typeof wireTx>[0], psbt: ReturnType<typeof wireTx>['psbt']) {
  const { psbt: bare } = wireTx(tx, []);
  return { unsignedTx: bare.unsignedTx, global: bare.global, inputs: psbt.inputs, outputs: psbt.outputs };
}

/** Everything of a reply that gives something away: signatures and secrets. */
function given(reply: Reply): string {
  if ('oldCommitmentSecret' in reply)
    return reply.oldCommitmentSecret === undefined ? 'no secret' : toHex(reply.oldCommitmentSecret);
  return canonical(reply);
}

/** An honest life that remembers all it was ever given, and mutates what it is about to ask. */
class MutatedLife extends HonestLife {
  readonly everGiven = new Set<string>();
  mutateAt = -1;
  seed = 0;

  override ask(request: Request): Reply {
    if (this.steps === this.mutateAt) {
      for (const mutated of mutations(request, this.seed)) this.#expectNothingNew(mutated, request);
    }
    const reply = super.ask(request);
    this.everGiven.add(given(reply));
    return reply;
  }

  /** In hex: what the revocation of our current commitment will reveal. */
  #nextSecret(): string {
    return toHex(releasePerCommitmentSecret(this.signer.ring, this.model.ref, this.holderNumber));
  }

  /** Refused, or what was given before, or what the unchanged request would get, or the next honest revocation. */
  #expectNothingNew(mutated: Request, original: Request): void {
    const answer = (request: Request) => {
      const decision = this.signer.decide(request, this.signer.clientFor(request, this.model.ref));
      return decision.kind === 'refused' ? null : given(perform(this.signer.ring, decision.release));
    };
    const got = answer(mutated);
    if (got === null || this.everGiven.has(got)) return;
    if (got === 'no secret' || (this.holderPending && got === this.#nextSecret())) return;
    expect(got, `${original.name} with one field changed`).toBe(answer(original));
  }
}

describe('one changed field in the next request', () => {
  it('is refused, or gives what was given anyway', () => {
    fc.assert(
      fc.property(
        arbitraryKind,
        fc.constantFrom(5, 6),
        picks(24),
        fc.nat(23),
        fc.nat(511),
        (kind, version, choices, mutateAt, seed) => {
          const life = new MutatedLife(kind);
          life.signer.protocolVersion = version;
          life.open();
          life.mutateAt = mutateAt;
          life.seed = seed;
          for (const pick of choices) life.step(pick);
        },
      ),
      { numRuns: 25, endOnFailure: true },
    );
  });
});
