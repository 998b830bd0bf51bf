/**
 * Law 1 written down a second time, from the outside: it sees requests and replies only, keeps its own books, and
 * fails the test at the first reply that should never have been given. It shares no code with the ratchet.
 */
import {
  commitmentNumberFrom,
  commitmentObscureFactor,
  isCommitmentForm,
  type OutPoint,
  outPointToString,
  toHex,
  txid,
} from '@countersign/bitcoin';
import { releasePerCommitmentSecret } from '@countersign/core';
import type { MessageOf, Reply, Request } from '@countersign/wire';
import { expect } from 'vitest';
import type { ChannelModel } from './channel-model.ts';
import { secp, type TestSigner } from './test-signer.ts';

/** What is known of one funding that was set up. */
interface KnownFunding {
  /** Set up when the channel was past its opening: it holds money of ours only once we sign what creates it. */
  readonly isSplice: boolean;
  readonly validated: Map<number, string>;
  /** Contents per number of the peer's commitments. */
  readonly issued: Map<number, Set<string>>;
}

export class Oracle {
  readonly #model: ChannelModel;
  readonly #signer: TestSigner;
  readonly #obscureFactor: bigint;
  readonly fundings = new Map<string, KnownFunding>();
  readonly signedTransactions = new Set<string>();
  readonly secretsReleased = new Set<number>();
  readonly broadcast = new Set<number>();
  readonly peerRevoked = new Set<number>();
  readonly points = new Map<number, string>();
  isClosed = false;
  locked: string | null = null;

  constructor(model: ChannelModel, signer: TestSigner) {
    this.#model = model;
    this.#signer = signer;
    const pair: [Uint8Array, Uint8Array] = [model.holder.payment, model.counterparty.payment];
    const [opener, accepter] = model.isOutbound ? pair : pair.toReversed();
    this.#obscureFactor = commitmentObscureFactor(opener!, accepter!);
  }

  /** An approved request and its reply. */
  observe(request: Request, reply: Reply): void {
    switch (request.name) {
      case 'hsmd_setup_channel':
        this.#setUp({ txid: request.fundingTxid, vout: request.fundingTxout });
        break;
      case 'hsmd_lock_outpoint':
        this.#lock(outPointToString({ txid: request.fundingTxid, vout: request.fundingTxout }));
        break;
      case 'hsmd_validate_commitment_tx':
        this.#validated(request);
        break;
      case 'hsmd_revoke_commitment_tx':
        this.#secret(reply, Number(request.commitNum));
        break;
      case 'hsmd_get_per_commitment_point':
        this.#secret(reply, Number(request.n) - 2);
        break;
      case 'hsmd_sign_remote_commitment_tx':
        this.#issued(request);
        break;
      case 'hsmd_validate_revocation':
        this.#peerRevokes(request);
        break;
      case 'hsmd_sign_commitment_tx':
      case 'hsmd_sign_mutual_close_tx':
        this.#spend(request.tx.tx, 0);
        break;
      case 'hsmd_sign_splice_tx':
        this.#spend(request.tx.tx, request.inputIndex);
        break;
    }
  }

  get #isEnding(): boolean {
    return this.isClosed || this.broadcast.size > 0;
  }

  #setUp(outpoint: OutPoint): void {
    const key = outPointToString(outpoint);
    if (this.fundings.has(key)) return;
    const isSplice = this.locked !== null || this.secretsReleased.size > 0 || this.points.has(1);
    this.fundings.set(key, { isSplice, validated: new Map(), issued: new Map() });
  }

  #lock(key: string): void {
    expect(this.fundings.get(key)?.validated.size, 'locked with a commitment of ours').toBeGreaterThan(0);
    if (this.locked !== key) this.#requireUnused(key);
    // Other rounds of the opening may still prove to be the mined one, and no lock ends a splice after that funding which we
    // signed; of everything else the lock is the end. The splices of these tests are rivals.
    const isFirst = !this.fundings.get(key)!.isSplice;
    const isOpening = isFirst && this.secretsReleased.size === 0;
    for (const [other, { isSplice }] of this.fundings) {
      const stays = isSplice ? (isFirst || this.locked === key) && this.#isSigned(other) : isOpening;
      if (other !== key && !stays) this.fundings.delete(other);
    }
    this.locked = key;
  }

  /** A splice that we signed a transaction for. */
  #isSigned(key: string): boolean {
    const [id] = key.split(':');
    return [...this.signedTransactions].some((one) => reversed(one) === id);
  }

  /** A round of the opening that is not the locked one. */
  #isDormant(key: string): boolean {
    return this.locked !== null && key !== this.locked && !this.fundings.get(key)!.isSplice;
  }

  /** A dormant round becomes the funding only where no other has a commitment beyond number 0. */
  #requireUnused(key: string): void {
    if (!this.#isDormant(key)) return;
    for (const [other, { validated, issued }] of this.fundings) {
      const numbers = [...validated.keys(), ...issued.keys()];
      expect(other !== key && numbers.some((n) => n > 0), 'two fundings in use after the lock').toBe(false);
    }
  }

  /** The first commitment beyond number 0 moves the lock to its funding. */
  #use(outpoint: OutPoint, number: number): void {
    const key = outPointToString(outpoint);
    if (number === 0 || !this.fundings.has(key) || !this.#isDormant(key)) return;
    this.#requireUnused(key);
    this.locked = key;
  }

  #fundingOf(request: { readonly tx: MessageOf<'hsmd_validate_commitment_tx'>['tx'] }): KnownFunding {
    const funding = this.fundings.get(outPointToString(request.tx.tx.inputs[0]!));
    expect(funding, 'spends a funding that was set up').toBeDefined();
    return funding!;
  }

  #validated(request: MessageOf<'hsmd_validate_commitment_tx'>): void {
    const number = Number(request.commitNum);
    this.#use(request.tx.tx.inputs[0]!, number);
    const { validated } = this.#fundingOf(request);
    const content = toHex(txid(request.tx.tx));
    if (validated.get(number) === content) return;
    expect(this.#isEnding, 'a new commitment of ours while closing').toBe(false);
    expect(this.secretsReleased.has(number), 'a revoked number validated anew').toBe(false);
    validated.set(number, content);
  }

  /** Fundings that may confirm with our money and on which we had a commitment to publish. */
  #live(): KnownFunding[] {
    return [...this.fundings]
      .filter(([key, { isSplice, validated }]) => {
        const isLive = isSplice ? this.#isSigned(key) || this.locked === key : !this.#isDormant(key);
        return validated.size > 0 && isLive;
      })
      .map(([, funding]) => funding);
  }

  #secret(reply: Reply, number: number): void {
    const secret = 'oldCommitmentSecret' in reply ? reply.oldCommitmentSecret : undefined;
    if (secret === undefined) return;
    const { ring } = this.#signer;
    expect(toHex(secret)).toBe(toHex(releasePerCommitmentSecret(ring, this.#model.ref, number)));
    if (this.secretsReleased.has(number)) return;
    expect(this.#isEnding, `secret ${number} while closing`).toBe(false);
    const live = this.#live();
    expect(live.length, `secret ${number} without a commitment`).toBeGreaterThan(0);
    for (const { validated } of live)
      expect(validated.has(number + 1), `secret ${number} before its successor`).toBe(true);
    for (let older = 0; older < number; older++)
      expect(this.secretsReleased.has(older), `secret ${number} before ${older}`).toBe(true);
    for (const key of this.fundings.keys()) if (this.#isDormant(key)) this.fundings.delete(key);
    this.secretsReleased.add(number);
  }

  #issued(request: MessageOf<'hsmd_sign_remote_commitment_tx'>): void {
    const number = Number(request.commitNum);
    this.#use(request.tx.tx.inputs[0]!, number);
    const { issued } = this.#fundingOf(request);
    const contents = issued.get(number) ?? new Set();
    expect(this.peerRevoked.has(number), `the peer's ${number} signed after its revocation`).toBe(false);
    for (let older = 0; older < number - 1; older++)
      expect(this.peerRevoked.has(older), `the peer's ${number} signed while ${older} stands`).toBe(true);
    const point = toHex(request.remotePerCommit);
    expect(this.points.get(number) ?? point, 'one point for a number').toBe(point);
    this.points.set(number, point);
    const content = `${toHex(txid(request.tx.tx))} ${request.htlcs.map((one) => `${one.side}${one.amount}${toHex(one.paymentHash)}${one.cltvExpiry}`).sort()}`;
    if (!contents.has(content))
      expect(this.#isEnding, "a new commitment of the peer's while closing").toBe(false);
    contents.add(content);
    expect(contents.size, 'variants of one number').toBeLessThanOrEqual(8);
    issued.set(number, contents);
  }

  #peerRevokes({ revokeNum, perCommitmentSecret }: MessageOf<'hsmd_validate_revocation'>): void {
    const number = Number(revokeNum);
    expect(toHex(secp.publicKey(perCommitmentSecret))).toBe(this.points.get(number));
    this.peerRevoked.add(number);
  }

  /** A signature of the funding key on a transaction that is no commitment of the peer. */
  #spend(tx: MessageOf<'hsmd_sign_commitment_tx'>['tx']['tx'], inputIndex: number): void {
    if (!isCommitmentForm(tx, inputIndex)) {
      // Before there is a commitment of ours on it, a splice is signed only while our wallet's signature is missing.
      const id = toHex(txid(tx));
      const known = [...this.fundings].some(
        ([key, { validated }]) => reversed(id) === key.split(':')[0] && validated.size > 0,
      );
      if (known || tx.inputs.length === 1) this.signedTransactions.add(id);
      // A splice creates a funding of this channel, now or later; everything else ends it.
      if (tx.inputs.length === 1 && inputIndex === 0) this.isClosed = true;
      return;
    }
    const number = Number(commitmentNumberFrom(tx, this.#obscureFactor)!);
    expect(this.secretsReleased.has(number), `commitment ${number} signed after its revocation`).toBe(false);
    const funding = this.fundings.get(outPointToString(tx.inputs[0]!));
    expect(funding?.validated.get(number), `commitment ${number} signed as validated last`).toBe(
      toHex(txid(tx)),
    );
    this.broadcast.add(number);
  }
}

/** The other byte order of a txid in hex. */
const reversed = (hex: string): string => hex.match(/../g)!.toReversed().join('');
