/**
 * LDK's `EcdsaChannelSigner` of one channel, answered by the signer. Every method is a question and a translation: nothing is
 * decided here, and nothing is thrown. What LDK would close a channel for is held back and asked again (`owed`).
 */
import { type Sat, type Secp256k1, sat } from '@countersign/bitcoin';
import type { MessageOf, Request } from '@countersign/wire';
import {
  type ChannelPublicKeys,
  type ChannelSignerInterface,
  EcdsaChannelSigner,
  type EcdsaChannelSignerInterface,
  Result__u832NoneZ,
  Result_C2Tuple_ECDSASignatureCVec_ECDSASignatureZZNoneZ,
  Result_ECDSASignatureNoneZ,
  Result_NoneNoneZ,
  Result_PublicKeyNoneZ,
  TwoTuple_ECDSASignatureCVec_ECDSASignatureZZ,
} from 'lightningdevkit';
import type { LdkRefusal, SignerClient } from '../client.ts';
import type { WalletSigner } from '../wallet/wallet-signer.ts';
import { answered, orRefused, Refused, replyOf } from './answers.ts';
import type { ChannelBook, FirstCommitment, KnowingAnswer, KnowingRequest } from './channel-book.ts';
import { type ChannelState, readParameters } from './channel-state.ts';
import { ChainClaims } from './claims.ts';
import { numberOf, readCommitment, readHolderCommitment } from './commitment-content.ts';
import { firstOf, signingOf, validationOf } from './commitment-requests.ts';

export interface ChannelSignerParts {
  readonly client: SignerClient;
  readonly book: ChannelBook;
  readonly secp: Secp256k1;
  readonly wallet: WalletSigner;
  /** LDK was told Err where it will ask again only when it is told to. */
  readonly onDeferred: () => void;
}

/** The same keys behind every object that LDK makes for a channel. */
export function channelSigner(
  parts: ChannelSignerParts,
  state: ChannelState,
  pubkeys: ChannelPublicKeys,
): EcdsaChannelSigner {
  const signer = new ChannelSigner(parts, state);
  return EcdsaChannelSigner.new_impl(signer.signing(), signer.ratchet(), pubkeys);
}

class ChannelSigner {
  readonly #parts: ChannelSignerParts;
  readonly #state: ChannelState;
  readonly #claims: ChainClaims;

  constructor(parts: ChannelSignerParts, state: ChannelState) {
    this.#parts = parts;
    this.#state = state;
    this.#claims = new ChainClaims(parts, state);
  }

  ratchet(): ChannelSignerInterface {
    return {
      get_per_commitment_point: (index) => this.#point(numberOf(index)),
      release_commitment_secret: (index) => this.#revoke(numberOf(index)),
      validate_holder_commitment: (holder, preimages) =>
        this.#validateHolder(() => holder.write(), preimages),
      validate_counterparty_revocation: (index, secret) => this.#validateRevocation(numberOf(index), secret),
      channel_keys_id: () => this.#state.keysId,
      provide_channel_parameters: (given) => {
        this.#guarded('provide_channel_parameters', undefined, () => {
          this.#state.parameters ??= readParameters(given);
        });
      },
    };
  }

  signing(): EcdsaChannelSignerInterface {
    const claims = this.#claims;
    return {
      sign_counterparty_commitment: (commitment, inbound, outbound) =>
        this.#signCounterparty(() => commitment.write(), [...inbound, ...outbound]),
      sign_holder_commitment: (holder) =>
        this.#signature('sign_holder_commitment', () => this.#signHolder(holder.write())),
      sign_justice_revoked_output: (tx, input, amount, secret) =>
        this.#signature('sign_justice_revoked_output', () => claims.revokedOutput(tx, input, amount, secret)),
      sign_justice_revoked_htlc: (tx, input, amount, secret, htlc) =>
        this.#signature('sign_justice_revoked_htlc', () =>
          claims.revokedHtlc(tx, input, amount, secret, htlc),
        ),
      sign_holder_htlc_transaction: (tx, input, descriptor) =>
        this.#signature('sign_holder_htlc_transaction', () => claims.holderHtlc(tx, input, descriptor)),
      sign_counterparty_htlc_transaction: (tx, input, amount, point, htlc) =>
        this.#signature('sign_counterparty_htlc_transaction', () =>
          claims.counterpartyHtlc(tx, input, amount, point, htlc),
        ),
      sign_closing_transaction: (closing) =>
        this.#signature('sign_closing_transaction', () =>
          this.#signClosing({
            toLocalValue: sat(closing.to_holder_value_sat()),
            toRemoteValue: sat(closing.to_counterparty_value_sat()),
            localScript: closing.to_holder_script(),
            remoteScript: closing.to_counterparty_script(),
          }),
        ),
      sign_holder_anchor_input: (tx, input) =>
        this.#signature('sign_holder_anchor_input', () => claims.holderAnchor(tx, input)),
      sign_channel_announcement_with_funding_key: (message) =>
        this.#signature('sign_channel_announcement_with_funding_key', () =>
          this.#signAnnouncement(message.write()),
        ),
      sign_splicing_funding_input: () =>
        this.#signature('sign_splicing_funding_input', () => {
          throw new Error('LDK 0.1 has no splices');
        }),
    };
  }

  #guarded<T>(method: string, fallback: T, work: () => T): T {
    return this.#or(method, work, () => fallback);
  }

  #or<T>(method: string, work: () => T, otherwise: (refusal: LdkRefusal) => T): T {
    const { client, onDeferred } = this.#parts;
    return answered({
      client,
      method,
      channelKeysId: this.#state.keysId,
      work,
      otherwise: (refusal) => {
        onDeferred();
        return otherwise(refusal);
      },
    });
  }

  #signature(method: string, work: () => Uint8Array): Result_ECDSASignatureNoneZ {
    return this.#or(
      method,
      () => Result_ECDSASignatureNoneZ.constructor_ok(work()),
      () => Result_ECDSASignatureNoneZ.constructor_err(),
    );
  }

  // ── The ratchet ──

  #point(number: bigint): Result_PublicKeyNoneZ {
    const method = 'get_per_commitment_point';
    return this.#or(
      method,
      () => Result_PublicKeyNoneZ.constructor_ok(this.#state.point(number) ?? this.#askPoint(method, number)),
      () => Result_PublicKeyNoneZ.constructor_err(),
    );
  }

  #askPoint(method: string, number: bigint): Uint8Array {
    const { perCommitmentPoint } = replyOf(
      this.#parts.client.ask<'vls_get_per_commitment_point2'>(method, this.#state.keysId, {
        name: 'vls_get_per_commitment_point2',
        n: number,
      }),
    );
    this.#state.notePoint(number, perCommitmentPoint);
    return perCommitmentPoint;
  }

  #revoke(number: bigint): Result__u832NoneZ {
    const method = 'release_commitment_secret';
    return this.#or(
      method,
      () => {
        this.#ready(method, null);
        const { oldCommitmentSecret, nextPerCommitmentPoint } = replyOf(
          this.#parts.client.ask<'hsmd_revoke_commitment_tx'>(method, this.#state.keysId, {
            name: 'hsmd_revoke_commitment_tx',
            commitNum: number,
          }),
        );
        // LDK asks for it next.
        this.#state.notePoint(number + 2n, nextPerCommitmentPoint);
        return Result__u832NoneZ.constructor_ok(oldCommitmentSecret);
      },
      () => Result__u832NoneZ.constructor_err(),
    );
  }

  #validateHolder(write: () => Uint8Array, preimages: readonly Uint8Array[]): Result_NoneNoneZ {
    const method = 'validate_holder_commitment';
    return this.#guardedRatchet(method, () => {
      const commitment = readHolderCommitment(write());
      this.#state.notePoint(commitment.number, commitment.perCommitmentPoint);
      this.#parts.book.standing(this.#state, 'holder', commitment.htlcs);
      const first = firstOf(commitment.number, commitment.toBroadcasterSat, commitment.toCountersignatorySat);
      const request = validationOf(commitment);
      return { first, preimages, request, also: this.#pointsAfter(commitment.number + 2n) };
    });
  }

  /** LDK asks for it next. */
  #pointsAfter(number: bigint): readonly Request[] {
    const isKnown = this.#state.point(number) !== undefined;
    return isKnown ? [] : [{ name: 'vls_get_per_commitment_point2', n: number }];
  }

  #validateRevocation(number: bigint, secret: Uint8Array): Result_NoneNoneZ {
    return this.#guardedRatchet('validate_counterparty_revocation', () => ({
      first: null,
      preimages: [],
      request: { name: 'hsmd_validate_revocation', revokeNum: number, perCommitmentSecret: secret },
    }));
  }

  /**
   * Err here closes the channel, so only a refusal for good is one. What can't be had now is owed: LDK goes on, and gets no
   * signature and no secret of this channel before the signer has taken it.
   */
  #guardedRatchet(method: string, make: () => KnowingRequest): Result_NoneNoneZ {
    const ok = () => Result_NoneNoneZ.constructor_ok();
    return this.#or(
      method,
      () => {
        const asking = make();
        const { book, onDeferred } = this.#parts;
        const answer = book.askKnowing(method, this.#state, asking);
        if (answer.kind === 'answered') {
          this.#notePoints(asking, answer);
          return ok();
        }
        const { preimages, request } = asking;
        const isOwing = this.#state.owed.length > 0;
        if (!answer.refusal.temporary && !isOwing) return Result_NoneNoneZ.constructor_err();
        // LDK tells of them only now.
        if (answer.kind === 'unlearned')
          this.#state.owed.push({ name: 'countersign_preimages', preimages: [...preimages] });
        this.#state.owed.push(request);
        onDeferred();
        return ok();
      },
      () => Result_NoneNoneZ.constructor_err(),
    );
  }

  /** The point of the next commitment, and the one after it. */
  #notePoints(
    { request }: KnowingRequest,
    { reply, also }: Extract<KnowingAnswer, { kind: 'answered' }>,
  ): void {
    if (request.name !== 'vls_validate_commitment_tx2') return;
    if (reply.name === 'hsmd_validate_commitment_tx_reply')
      this.#state.notePoint(request.commitNum + 1n, reply.nextPerCommitmentPoint);
    for (const one of also)
      if (one.name === 'vls_get_per_commitment_point2_reply')
        this.#state.notePoint(request.commitNum + 2n, one.perCommitmentPoint);
  }

  #ready(method: string, first: FirstCommitment | null): void {
    orRefused(this.#parts.book.ready(method, this.#state, first));
  }

  // ── Signatures ──

  #signCounterparty(
    write: () => Uint8Array,
    preimages: readonly Uint8Array[],
  ): Result_C2Tuple_ECDSASignatureCVec_ECDSASignatureZZNoneZ {
    const method = 'sign_counterparty_commitment';
    return this.#or(
      method,
      () => {
        const commitment = readCommitment(write());
        this.#parts.book.standing(this.#state, 'counterparty', commitment.htlcs);
        const answer = this.#parts.book.askKnowing(method, this.#state, {
          first: firstOf(commitment.number, commitment.toCountersignatorySat, commitment.toBroadcasterSat),
          preimages,
          request: signingOf(commitment),
        });
        if (answer.kind !== 'answered') throw new Refused(answer.refusal);
        const { sig, htlcSigs } = answer.reply as MessageOf<'vls_sign_commitment_tx_with_htlcs_reply'>;
        return Result_C2Tuple_ECDSASignatureCVec_ECDSASignatureZZNoneZ.constructor_ok(
          TwoTuple_ECDSASignatureCVec_ECDSASignatureZZ.constructor_new(
            sig.signature,
            htlcSigs.map(({ signature }) => signature),
          ),
        );
      },
      () => Result_C2Tuple_ECDSASignatureCVec_ECDSASignatureZZNoneZ.constructor_err(),
    );
  }

  #signHolder(written: Uint8Array): Uint8Array {
    const method = 'sign_holder_commitment';
    const commitment = readHolderCommitment(written);
    const { number, perCommitmentPoint } = commitment;
    this.#state.notePoint(number, perCommitmentPoint);
    this.#ready(method, null);
    // It may have been owed when the process ended. What the signer has it takes again; what it will not have it will not sign.
    this.#parts.client.ask(method, this.#state.keysId, validationOf(commitment));
    const { sig } = replyOf(
      this.#parts.client.ask<'vls_sign_local_commitment_tx2'>(method, this.#state.keysId, {
        name: 'vls_sign_local_commitment_tx2',
        commitNum: number,
      }),
    );
    return sig.signature;
  }

  #signClosing(values: {
    readonly toLocalValue: Sat;
    readonly toRemoteValue: Sat;
    readonly localScript: Uint8Array;
    readonly remoteScript: Uint8Array;
  }): Uint8Array {
    const method = 'sign_closing_transaction';
    this.#ready(method, null);
    const index = this.#parts.wallet.keys.indexOf(values.localScript);
    const { sig } = replyOf(
      this.#parts.client.ask<'vls_sign_mutual_close_tx2'>(method, this.#state.keysId, {
        name: 'vls_sign_mutual_close_tx2',
        ...values,
        localWalletPathHint: index === undefined ? [] : [index],
      }),
    );
    return sig.signature;
  }

  #signAnnouncement(unsigned: Uint8Array): Uint8Array {
    const ca = new Uint8Array(ANNOUNCEMENT_HEAD_BYTES + unsigned.length);
    new DataView(ca.buffer).setUint16(0, CHANNEL_ANNOUNCEMENT);
    ca.set(unsigned, ANNOUNCEMENT_HEAD_BYTES);
    const { bitcoinSignature } = replyOf(
      this.#parts.client.ask<'hsmd_cannouncement_sig_req'>(
        'sign_channel_announcement_with_funding_key',
        this.#state.keysId,
        { name: 'hsmd_cannouncement_sig_req', ca },
      ),
    );
    return bitcoinSignature;
  }
}

/** BOLT 7: the type, then four signatures, empty here. */
const CHANNEL_ANNOUNCEMENT = 256;
const ANNOUNCEMENT_HEAD_BYTES = 2 + 4 * 64;
