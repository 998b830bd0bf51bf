/**
 * LDK's requests name a commitment or a close by its values, and the signer builds the transaction (VLS's messages). Here the
 * referee builds it too, of its own accord, and reads the request as Core Lightning would have made it.
 */
import type { HsmHtlc, Reply, Request } from '@countersign/wire';
import { makeBitcoinTx } from '../bitcoin/psbt.ts';
import type { Tx } from '../bitcoin/transaction.ts';
import {
  ANCHOR_VALUE,
  buildCommitment,
  buildHtlcTransactions,
  buildLegacyClose,
  type Commitment,
  commitmentFeeSat,
  makeObscurer,
} from '../bolt3/index.ts';
import type { ChannelFile, Funding, Side } from './channel-file.ts';
import { keysOf } from './describe.ts';

type Named<N extends Request['name']> = Extract<Request, { name: N }>;
type BitcoinTx = Named<'hsmd_sign_mutual_close_tx'>['tx'];

/** A request of Core Lightning's, and what it got. */
export interface Exchange {
  readonly request: Request;
  readonly reply: Reply;
}

/** What is no request by values stays as it is; what can't be built (a channel without terms) gives nothing. */
export function asExchanges(file: ChannelFile | null, request: Request, reply: Reply): readonly Exchange[] {
  switch (request.name) {
    case 'vls_get_per_commitment_point2':
      return point(request, reply);
    case 'vls_validate_commitment_tx2':
      return file === null ? [] : validated(file, request, reply);
    case 'vls_sign_remote_commitment_tx2':
      return file === null ? [] : remoteSigned(file, request, reply);
    case 'vls_sign_local_commitment_tx2':
      return file === null ? [] : localSigned(file, request, reply);
    case 'vls_sign_mutual_close_tx2':
      return file === null ? [] : closed(file, request, reply);
    default:
      return [{ request, reply }];
  }
}

function point({ n }: Named<'vls_get_per_commitment_point2'>, reply: Reply): readonly Exchange[] {
  if (reply.name !== 'vls_get_per_commitment_point2_reply') return [];
  const { perCommitmentPoint } = reply;
  return [
    {
      request: { name: 'hsmd_get_per_commitment_point', n },
      reply: {
        name: 'hsmd_get_per_commitment_point_reply',
        perCommitmentPoint,
        oldCommitmentSecret: undefined,
      },
    },
  ];
}

function validated(
  file: ChannelFile,
  request: Named<'vls_validate_commitment_tx2'>,
  reply: Reply,
): readonly Exchange[] {
  const number = Number(request.commitNum);
  const own = file.points.get(number);
  const commitment = own === undefined ? null : built(file, 'holder', number, own, request);
  if (commitment === null) return [];
  const { commitNum, feerate, htlcs, sig, htlcSigs } = request;
  const tx = bitcoinTx(commitment.tx);
  return [
    { request: { name: 'hsmd_validate_commitment_tx', tx, htlcs, commitNum, feerate, sig, htlcSigs }, reply },
  ];
}

/** One exchange for the commitment and one for each of its HTLC transactions. */
function remoteSigned(
  file: ChannelFile,
  request: Named<'vls_sign_remote_commitment_tx2'>,
  reply: Reply,
): readonly Exchange[] {
  if (reply.name !== 'vls_sign_commitment_tx_with_htlcs_reply') return [];
  const { commitNum, feerate, htlcs, remotePerCommit } = request;
  const funding = fundingOf(file);
  const commitment = built(file, 'counterparty', Number(commitNum), remotePerCommit, request);
  if (commitment === null || funding === undefined) return [];
  const signed: Exchange = {
    request: {
      name: 'hsmd_sign_remote_commitment_tx',
      tx: bitcoinTx(commitment.tx),
      remoteFundingKey: funding.peerKey,
      remotePerCommit,
      optionStaticRemotekey: true,
      commitNum,
      htlcs,
      feerate,
    },
    reply: { name: 'hsmd_sign_tx_reply', sig: reply.sig },
  };
  const ofHtlcs = buildHtlcTransactions(commitment).flatMap(({ tx, witnessScript }, i): Exchange[] => {
    const sig = reply.htlcSigs[i];
    if (sig === undefined) return [];
    const asked: Request = {
      name: 'hsmd_sign_remote_htlc_tx',
      tx: bitcoinTx(tx),
      wscript: witnessScript,
      remotePerCommitPoint: remotePerCommit,
      optionAnchorOutputs: commitment.terms.kind === 'anchors_zero_fee_htlc',
    };
    return [{ request: asked, reply: { name: 'hsmd_sign_tx_reply', sig } }];
  });
  return [signed, ...ofHtlcs];
}

/** The one that was validated last under its number: the signer has no other to sign. */
function localSigned(
  file: ChannelFile,
  { commitNum }: Named<'vls_sign_local_commitment_tx2'>,
  reply: Reply,
): readonly Exchange[] {
  const own = file.holder.filter(({ number }) => number === Number(commitNum)).at(-1);
  const funding = fundingOf(file);
  if (own === undefined || funding === undefined) return [];
  const { peerId, dbid: channelDbid } = file;
  const tx = bitcoinTx(own.tx);
  const remoteFundingKey = funding.peerKey;
  return [
    {
      request: { name: 'hsmd_sign_commitment_tx', peerId, channelDbid, tx, remoteFundingKey, commitNum },
      reply,
    },
  ];
}

function closed(
  file: ChannelFile,
  request: Named<'vls_sign_mutual_close_tx2'>,
  reply: Reply,
): readonly Exchange[] {
  const funding = fundingOf(file);
  if (funding === undefined) return [];
  const side = (sat: bigint, script: Uint8Array) => ({ amountMsat: sat * 1000n, script });
  const tx = buildLegacyClose({
    funding: funding.outpoint,
    funder: side(request.toLocalValue, request.localScript),
    other: side(request.toRemoteValue, request.remoteScript),
    feeSat: 0n,
    dustLimitSat: 1n,
  });
  const remoteFundingKey = funding.peerKey;
  return [{ request: { name: 'hsmd_sign_mutual_close_tx', tx: bitcoinTx(tx), remoteFundingKey }, reply }];
}

/** LDK knows no splices here: one funding, or the newest round of it. */
const fundingOf = (file: ChannelFile): Funding | undefined => [...file.fundings.values()].at(-1);

interface Values {
  readonly feerate: number;
  /** Of the owner's output, after fee and trimming; 0 says that there is none. */
  readonly toLocalValue: bigint;
  readonly toRemoteValue: bigint;
  readonly htlcs: readonly HsmHtlc[];
}

/** The values are what is left after the fee, so the fee is put back to whoever the builder takes it from. */
function built(
  file: ChannelFile,
  side: Side,
  number: number,
  perCommitmentPoint: Uint8Array,
  { feerate, toLocalValue, toRemoteValue, htlcs }: Values,
): Commitment | null {
  const { owner, terms } = file;
  const funding = fundingOf(file);
  if (owner === null || terms === null || funding === undefined) return null;
  const { kind, isOwnerFunder } = terms;
  const isOwners = side === 'holder';
  const [opener, accepter] = isOwnerFunder ? [owner, terms.peer] : [terms.peer, owner];
  const isOwnPaid = isOwnerFunder === isOwners;
  const anchorsSat = kind === 'anchors_zero_fee_htlc' ? 2n * ANCHOR_VALUE : 0n;
  const feeSat = commitmentFeeSat({ kind, feeratePerKw: feerate }, htlcs.length) + anchorsSat;
  const [own, other] = isOwners ? [toLocalValue, toRemoteValue] : [toRemoteValue, toLocalValue];
  const withFee = (sat: bigint, isPaid: boolean): bigint => (sat + (isPaid ? feeSat : 0n)) * 1000n;
  return buildCommitment({
    kind,
    funding: funding.outpoint,
    commitmentNumber: number,
    obscurer: makeObscurer(opener.payment, accepter.payment),
    keys: keysOf(side, owner, terms, funding.peerKey, perCommitmentPoint),
    toSelfDelayBlocks: isOwners ? terms.ownerDelayBlocks : terms.peerDelayBlocks,
    // Whatever is named has an output.
    dustLimitSat: 1n,
    feeratePerKw: feerate,
    funder: isOwnPaid ? 'broadcaster' : 'other',
    toBroadcasterMsat: withFee(own, isOwnPaid),
    toOtherMsat: withFee(other, !isOwnPaid),
    htlcs: htlcs.map(({ side: by, amount, paymentHash, cltvExpiry }) => ({
      isOffered: (by === 'local') === isOwners,
      amountMsat: amount,
      paymentHash,
      cltvExpiry,
    })),
  });
}

/** The referee looks at the transaction only. */
const bitcoinTx = (tx: Tx): BitcoinTx => makeBitcoinTx(tx, []);
