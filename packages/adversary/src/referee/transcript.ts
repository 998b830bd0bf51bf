/**
 * What each answered request gave to whoever holds the node: points, secrets, signatures. Every signature is checked
 * against what it should sign; one that no transaction can use was never released.
 */
import type { MessageOf, Reply, Request } from '@countersign/wire';
import { equalBytes } from '../bitcoin/bytes.ts';
import { verify } from '../bitcoin/keys.ts';
import { p2wpkh, p2wsh } from '../bitcoin/scripts.ts';
import { SIGHASH, sighashV0 } from '../bitcoin/sighash.ts';
import { outpointKey, type Tx } from '../bitcoin/transaction.ts';
import { type ChannelKind, fundingScript, toRemoteScript } from '../bolt3/index.ts';
import type { Client } from '../subject.ts';
import type { ChannelFile, ChannelTerms, Funding } from './channel-file.ts';
import {
  acceptClose,
  acceptCounterparty,
  acceptHolder,
  revokeCounterparty,
  revokeHolder,
} from './endings.ts';
import { isSecretOf, type Knowledge } from './knowledge.ts';
import { htlcSigned, sweepSigned } from './sweeps.ts';

const ANCHORS_BITS = [22, 23, 20, 21];

export class Transcript {
  readonly #known: Knowledge;

  constructor(known: Knowledge) {
    this.#known = known;
  }

  observed(client: Client, request: Request, reply: Reply): void {
    switch (request.name) {
      case 'hsmd_get_channel_basepoints':
        if (reply.name !== 'hsmd_get_channel_basepoints_reply') return;
        this.#basepoints(this.#known.file(request.peerid, request.dbid), reply);
        return;
      case 'hsmd_sign_commitment_tx':
        if (reply.name !== 'hsmd_sign_commitment_tx_reply') return;
        this.#fundingSigned(
          this.#known.file(request.peerId, request.channelDbid),
          request.tx.tx,
          0,
          reply.sig.signature,
        );
        return;
      case 'hsmd_sign_withdrawal':
      case 'hsmd_sign_anchorspend':
      case 'hsmd_sign_htlc_tx_mingle':
        if ('psbt' in reply) this.#known.released.psbtSigned(request.psbt.unsignedTx, reply.psbt);
        return;
      case 'hsmd_sign_any_delayed_payment_to_us':
      case 'hsmd_sign_any_remote_htlc_to_us':
      case 'hsmd_sign_any_penalty_to_us':
      case 'hsmd_sign_any_local_htlc_tx':
        if (reply.name !== 'hsmd_sign_tx_reply') return;
        sweepSigned(this.#known, this.#known.file(request.peerid, request.channelDbid), request, reply.sig);
        return;
      default:
        if (client.channel === null) return;
        this.#ofChannel(this.#known.file(client.channel.peerId, client.channel.dbid), request, reply);
        return;
    }
  }

  #ofChannel(file: ChannelFile, request: Request, reply: Reply): void {
    switch (request.name) {
      case 'hsmd_setup_channel':
        this.#setUp(file, request);
        return;
      case 'hsmd_lock_outpoint':
        file.isLocked = true;
        return;
      case 'hsmd_get_per_commitment_point':
        if (reply.name !== 'hsmd_get_per_commitment_point_reply') return;
        file.points.set(Number(request.n), reply.perCommitmentPoint);
        this.#secret(file, Number(request.n) - 2, reply.oldCommitmentSecret);
        return;
      case 'hsmd_validate_commitment_tx':
        if (reply.name !== 'hsmd_validate_commitment_tx_reply') return;
        file.points.set(Number(request.commitNum) + 1, reply.nextPerCommitmentPoint);
        acceptHolder(this.#known, file, request);
        this.#secret(file, Number(request.commitNum) - 1, reply.oldCommitmentSecret);
        return;
      case 'hsmd_revoke_commitment_tx':
        if (reply.name !== 'hsmd_revoke_commitment_tx_reply') return;
        file.points.set(Number(request.commitNum) + 2, reply.nextPerCommitmentPoint);
        this.#secret(file, Number(request.commitNum), reply.oldCommitmentSecret);
        return;
      case 'hsmd_validate_revocation':
        revokeCounterparty(this.#known, file, Number(request.revokeNum), request.perCommitmentSecret);
        return;
      case 'hsmd_sign_remote_commitment_tx':
        if (reply.name !== 'hsmd_sign_tx_reply') return;
        this.#remoteSigned(file, request, reply.sig.signature);
        return;
      case 'hsmd_sign_mutual_close_tx':
        if (reply.name !== 'hsmd_sign_tx_reply') return;
        this.#fundingSigned(file, request.tx.tx, 0, reply.sig.signature);
        return;
      case 'hsmd_sign_splice_tx':
        if (reply.name !== 'hsmd_sign_tx_reply') return;
        this.#fundingSigned(file, request.tx.tx, request.inputIndex, reply.sig.signature);
        return;
      case 'hsmd_sign_remote_htlc_tx':
        if (reply.name !== 'hsmd_sign_tx_reply') return;
        htlcSigned(this.#known, file, request, reply.sig);
        return;
      case 'hsmd_sign_delayed_payment_to_us':
      case 'hsmd_sign_remote_htlc_to_us':
      case 'hsmd_sign_penalty_to_us':
        if (reply.name !== 'hsmd_sign_tx_reply') return;
        sweepSigned(this.#known, file, request, reply.sig);
        return;
      default:
    }
  }

  #basepoints(file: ChannelFile, reply: MessageOf<'hsmd_get_channel_basepoints_reply'>): void {
    const { revocation, payment, htlc, delayedPayment } = reply.basepoints;
    file.owner = { funding: reply.fundingPubkey, revocation, payment, htlc, delayedPayment };
    this.#known.addScript(p2wpkh(payment), { delayed: null });
    this.#known.addScript(p2wsh(toRemoteScript(payment)), { delayed: null });
  }

  #setUp(file: ChannelFile, request: MessageOf<'hsmd_setup_channel'>): void {
    const { revocation, payment, htlc, delayedPayment } = request.remoteBasepoints;
    const terms: ChannelTerms = {
      isOwnerFunder: request.isOutbound,
      kind: kindOf(request.channelType),
      peer: { revocation, payment, htlc, delayedPayment },
      peerDelayBlocks: request.localToSelfDelay,
      ownerDelayBlocks: request.remoteToSelfDelay,
      pushSat: Number(request.pushValue / 1000n),
    };
    if (file.terms !== null && !isSame(file.terms, terms)) this.#known.beginAgain(file);
    file.terms ??= terms;
    const outpoint = { txid: request.fundingTxid, vout: request.fundingTxout };
    const key = outpointKey(outpoint);
    file.fundings.set(key, {
      outpoint,
      valueSat: Number(request.channelValue),
      peerKey: request.remoteFundingPubkey,
      isRound: file.fundings.get(key)?.isRound ?? isOpening(file),
    });
    this.#known.addFunding(file, key);
  }

  #secret(file: ChannelFile, number: number, secret: Uint8Array | undefined): void {
    if (secret === undefined || number < 0 || !isSecretOf(secret, file.points.get(number))) return;
    revokeHolder(this.#known, file, number);
  }

  #remoteSigned(
    file: ChannelFile,
    request: MessageOf<'hsmd_sign_remote_commitment_tx'>,
    signature: Uint8Array,
  ): void {
    const tx: Tx = request.tx.tx;
    if (this.#validFunding(file, tx, 0, signature) === undefined) return;
    acceptCounterparty(this.#known, file, request, signature);
  }

  /** The owner's signature of a spend of the funding, whatever it is. */
  #fundingSigned(file: ChannelFile, tx: Tx, inputIndex: number, signature: Uint8Array): void {
    const key = this.#validFunding(file, tx, inputIndex, signature);
    if (key !== undefined) acceptClose(this.#known, file, tx, key, signature);
  }

  /** The key of the funding that a signature opens; undefined when it opens none. */
  #validFunding(file: ChannelFile, tx: Tx, inputIndex: number, signature: Uint8Array): string | undefined {
    const input = tx.inputs[inputIndex];
    const key = input === undefined ? '' : outpointKey(input);
    const funding = file.fundings.get(key);
    if (funding === undefined || file.owner === null) return undefined;
    const script = fundingScript(file.owner.funding, funding.peerKey);
    const value = BigInt(fundingValueSat(this.#known, funding));
    const digest = sighashV0(tx, inputIndex, script, value, SIGHASH.ALL);
    return verify(signature, digest, file.owner.funding) ? key : undefined;
  }
}

const isOpening = ({ isLocked, secretsReleasedMax, counterparty }: ChannelFile): boolean =>
  !isLocked && secretsReleasedMax < 0 && counterparty.every(({ number }) => number === 0);

/** The same channel: all but the push, which each funding has its own of. */
const isSame = (a: ChannelTerms, b: ChannelTerms): boolean =>
  a.isOwnerFunder === b.isOwnerFunder &&
  a.kind === b.kind &&
  a.peerDelayBlocks === b.peerDelayBlocks &&
  a.ownerDelayBlocks === b.ownerDelayBlocks &&
  Object.entries(a.peer).every(([name, key]) => equalBytes(key, Reflect.get(b.peer, name)));

/** What the chain shows, where it shows the outpoint; else what the request claimed. */
export function fundingValueSat(known: Knowledge, { outpoint, valueSat }: Funding): number {
  const output = known.book.outputAt(outpoint);
  return output === undefined ? valueSat : Number(output.value);
}

function kindOf(channelType: Uint8Array): ChannelKind {
  const hasBit = (bit: number) => {
    const byte = channelType[channelType.length - 1 - Math.floor(bit / 8)];
    return byte !== undefined && (byte >> (bit % 8)) % 2 === 1;
  };
  return ANCHORS_BITS.some(hasBit) ? 'anchors_zero_fee_htlc' : 'static_remotekey';
}
