/**
 * The requests that name a commitment or a close by its values (VLS's forms for LDK): the transaction is built here from the
 * channel's keys, and judged by the very code that judges one from the wire.
 */
import {
  buildHtlcTransactions,
  closingWithOutputs,
  commitmentWithOutputs,
  countersignatoryHtlcHash,
  countersignatoryHtlcSighash,
  createPsbt,
  type Sat,
  type Transaction,
} from '@countersign/bitcoin';
import type { BitcoinTx, HsmHtlc, MessageOf } from '@countersign/wire';
import { isLocked } from '../channel/locking.ts';
import { clientChannel, type OpenChannel, requireUnfrozenChannel } from '../channel/lookup.ts';
import type { FundingCandidate, HtlcRecord } from '../channel/record.ts';
import type { Context } from '../context.ts';
import { malformed } from '../form.ts';
import { refuse } from '../refusal.ts';
import type { Release } from '../release.ts';
import { chargeCommitmentFee } from '../spending/close.ts';
import { requireUsualFeerate } from '../spending/second-level.ts';
import { signMutualClose } from './closing.ts';
import {
  type Broadcaster,
  commitmentKeys,
  fundingSighash,
  htlcSeenBy,
  type JudgedCommitment,
  obscureFactorOf,
  requireCommitmentNumber,
  scriptParams,
} from './commitment.ts';
import { issueCounterpartyCommitment } from './counterparty.ts';
import { signHolderCommitment, validateCommitment } from './holder.ts';
import { htlcsFromWire } from './htlcs.ts';
import { rebuildOwn } from './rebuild.ts';
import { holderNotRevoked } from './rules.ts';

/** Values name no outpoint: the funding is the locked one, before a lock the one that was set up last. */
function fundingMeant({ record }: OpenChannel): FundingCandidate {
  const candidate = record.candidates.find((one) => isLocked(record, one)) ?? record.candidates.at(-1);
  return candidate ?? malformed('the channel has no funding');
}

/** What is left of a side after fee and trimming; 0 says that it has no output. */
const outputOf = (value: Sat): Sat | null => (value === 0n ? null : value);

const asWired = (tx: Transaction): BitcoinTx => ({ tx, psbt: createPsbt(tx) });

interface CommitmentValues {
  readonly number: number;
  readonly toLocalValue: Sat;
  readonly toRemoteValue: Sat;
  readonly htlcs: readonly HtlcRecord[];
}

/** `local` is the signer's side in these messages, whoever may publish the commitment. */
function buildFromValues(
  ctx: Context,
  channel: OpenChannel,
  candidate: FundingCandidate,
  broadcaster: Broadcaster,
  perCommitmentPoint: Uint8Array,
  { number, toLocalValue, toRemoteValue, htlcs }: CommitmentValues,
): BitcoinTx {
  const keys = commitmentKeys(ctx, channel, broadcaster, perCommitmentPoint);
  const [ours, theirs] = [outputOf(toLocalValue), outputOf(toRemoteValue)];
  const { transaction } = commitmentWithOutputs({
    ...scriptParams(ctx, channel, candidate, broadcaster, keys),
    funding: candidate.outpoint,
    commitmentNumber: number,
    obscureFactor: obscureFactorOf(ctx, channel),
    toLocalSat: broadcaster === 'holder' ? ours : theirs,
    toRemoteSat: broadcaster === 'holder' ? theirs : ours,
    htlcs: htlcs.map((htlc) => htlcSeenBy(broadcaster, htlc)),
  });
  return asWired(transaction);
}

const recordsOf = (htlcs: readonly HsmHtlc[]): readonly HtlcRecord[] => htlcsFromWire(htlcs, undefined);

/** vls_sign_remote_commitment_tx2 (1019): as 19, and as 20 for every HTLC of it. */
export function signRemoteByValues(
  ctx: Context,
  request: MessageOf<'vls_sign_remote_commitment_tx2'>,
): Release {
  const channel = requireUnfrozenChannel(ctx, clientChannel(ctx));
  const candidate = fundingMeant(channel);
  const { remotePerCommit, commitNum, htlcs, feerate } = request;
  if (!ctx.secp.isPublicKey(remotePerCommit)) malformed('the per-commitment point is no point on the curve');
  const values = { ...request, number: requireCommitmentNumber(commitNum), htlcs: recordsOf(htlcs) };
  const issued = issueCounterpartyCommitment(ctx, {
    name: 'hsmd_sign_remote_commitment_tx',
    tx: buildFromValues(ctx, channel, candidate, 'counterparty', remotePerCommit, values),
    remoteFundingKey: candidate.counterpartyFundingKey,
    remotePerCommit,
    optionStaticRemotekey: true,
    commitNum,
    htlcs,
    feerate,
  });
  return {
    kind: 'sign-commitment',
    channel: channel.ref,
    sighash: issued.sighash,
    perCommitmentPoint: remotePerCommit,
    htlcs: htlcSighashes(ctx, issued.channel, issued.judged),
  };
}

/** Of the peer's HTLC transactions, in output order. All or none: one that is refused takes the commitment with it. */
function htlcSighashes(
  ctx: Context,
  channel: OpenChannel,
  { content, keys, match, toSelfDelayBlocks }: JudgedCommitment,
): readonly { readonly sighash: Uint8Array; readonly sighashType: number }[] {
  const outputs = match.htlcOutputs;
  if (outputs.length > 0) requireUsualFeerate(ctx, channel, [content]);
  const { format } = channel.setup;
  const { feeratePerKw, txid: commitmentTxid } = content;
  const params = { format, keys, toSelfDelayBlocks, feeratePerKw, commitmentTxid };
  const sighashType = countersignatoryHtlcSighash(format);
  return buildHtlcTransactions(params, outputs).map((one) => ({
    sighash: countersignatoryHtlcHash(one, format),
    sighashType,
  }));
}

/** vls_validate_commitment_tx2 (1035): as 35. */
export function validateByValues(ctx: Context, request: MessageOf<'vls_validate_commitment_tx2'>): Release {
  const channel = requireUnfrozenChannel(ctx, clientChannel(ctx));
  const { commitNum, htlcs, feerate, sig, htlcSigs } = request;
  const number = requireCommitmentNumber(commitNum);
  const point = ctx.keys.perCommitmentPoint(channel.ref, number);
  const values = { ...request, number, htlcs: recordsOf(htlcs) };
  // VLS's client writes ALL beside every signature: what they are signatures of follows from the channel's type.
  const sighash = countersignatoryHtlcSighash(channel.setup.format);
  return validateCommitment(ctx, {
    name: 'hsmd_validate_commitment_tx',
    tx: buildFromValues(ctx, channel, fundingMeant(channel), 'holder', point, values),
    htlcs,
    commitNum,
    feerate,
    sig,
    htlcSigs: htlcSigs.map(({ signature }) => ({ signature, sighash })),
  });
}

/** vls_sign_local_commitment_tx2 (1005): as 5, for the commitment that was validated under this number. */
export function signLocalByNumber(
  ctx: Context,
  request: MessageOf<'vls_sign_local_commitment_tx2'>,
): Release {
  const channel = requireUnfrozenChannel(ctx, clientChannel(ctx));
  const number = requireCommitmentNumber(request.commitNum);
  const meant = fundingMeant(channel);
  const content = meant.validated.find((one) => one.number === number);
  const own = content === undefined ? null : rebuildOwn(ctx, channel, meant, content);
  if (own === null) {
    refuse(holderNotRevoked, 'no commitment of ours with this number is validated and unrevoked', {
      number,
      first_unrevoked: channel.record.holderNextRevoke,
    });
  }
  const { transaction } = own;
  signHolderCommitment(ctx, channel, meant, transaction, number, own.content.txid);
  chargeCommitmentFee(ctx, channel, meant, transaction, number);
  return {
    kind: 'sign-funding',
    channel: channel.ref,
    sighash: fundingSighash(ctx, channel, meant, transaction),
    reply: 'hsmd_sign_commitment_tx_reply',
  };
}

/** vls_sign_mutual_close_tx2 (1021): as 21, for the close of `closing_signed` (BOLT 2). */
export function closeByValues(ctx: Context, request: MessageOf<'vls_sign_mutual_close_tx2'>): Release {
  const channel = requireUnfrozenChannel(ctx, clientChannel(ctx));
  const { outpoint, counterpartyFundingKey } = fundingMeant(channel);
  const { toLocalValue, toRemoteValue, localScript, remoteScript } = request;
  const closing = closingWithOutputs(outpoint, [
    { value: toLocalValue, script: localScript },
    { value: toRemoteValue, script: remoteScript },
  ]);
  if (closing === null) malformed('a close without any output');
  const message = {
    name: 'hsmd_sign_mutual_close_tx',
    tx: asWired(closing),
    remoteFundingKey: counterpartyFundingKey,
  } as const;
  // A path of one step is that below the wallet's account, which is all a wallet of ours has.
  const { localWalletPathHint: path } = request;
  return signMutualClose(ctx, message, path.length === 1 ? path : []);
}
