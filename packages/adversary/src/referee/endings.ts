/**
 * How a channel may end: commitments of either side and closes come to be possible endings here, and revoked ones cease
 * to be. Each carries on the tallies of the one before it.
 */
import type { HsmHtlc, MessageOf } from '@countersign/wire';
import { EMPTY, toHex } from '../bitcoin/bytes.ts';
import { verify } from '../bitcoin/keys.ts';
import { SIGHASH, sighashV0 } from '../bitcoin/sighash.ts';
import { outpointKey, type Tx, txidOf, weightOf } from '../bitcoin/transaction.ts';
import {
  commitmentNumberOf,
  fundingScript,
  htlcFeeSat,
  makeObscurer,
  offeredHtlcScript,
  receivedHtlcScript,
} from '../bolt3/index.ts';
import type { ChannelFile, Ending, Funding } from './channel-file.ts';
import {
  type CommitmentReading,
  delayedScript,
  describeCommitment,
  keysOf,
  type ListedHtlc,
} from './describe.ts';
import { explainStep } from './explain.ts';
import { isSecretOf, type Knowledge } from './knowledge.ts';
import { addTallies, NO_TALLY, type Tally } from './problem.ts';
import { agreedFeeSat } from './terms.ts';
import { fundingValueSat } from './transcript.ts';

/** Outputs below it may be left out of a close, to the miners. */
const CLOSE_DUST_SAT = 546;

const listed = (htlcs: readonly HsmHtlc[]): ListedHtlc[] =>
  htlcs.map(({ side, amount, paymentHash, cltvExpiry }) => ({
    isOffered: side === 'local',
    amountMsat: amount,
    paymentHash,
    cltvExpiry,
  }));

function readingOf(
  known: Knowledge,
  file: ChannelFile,
  parts: Pick<CommitmentReading, 'side' | 'number' | 'tx' | 'perCommitmentPoint' | 'htlcs' | 'feeratePerKw'>,
): { readonly reading: CommitmentReading; readonly funding: Funding } | undefined {
  const input = parts.tx.inputs[0];
  const funding = input === undefined ? undefined : file.fundings.get(outpointKey(input));
  const { owner, terms } = file;
  if (funding === undefined || owner === null || terms === null) return undefined;
  const reading = {
    ...parts,
    owner,
    terms,
    peerFundingKey: funding.peerKey,
    fundingValueSat: fundingValueSat(known, funding),
    ownerTerms: known.terms,
  };
  return { reading, funding };
}

/** The signer took our next commitment as valid: it will revoke the one before, and can publish this one. */
export function acceptHolder(
  known: Knowledge,
  file: ChannelFile,
  request: MessageOf<'hsmd_validate_commitment_tx'>,
): void {
  const number = Number(request.commitNum);
  const perCommitmentPoint = file.points.get(number);
  const tx: Tx = request.tx.tx;
  if (perCommitmentPoint === undefined) return;
  const htlcs = listed(request.htlcs);
  const found = readingOf(known, file, {
    side: 'holder',
    number,
    tx,
    perCommitmentPoint,
    htlcs,
    feeratePerKw: request.feerate,
  });
  if (found === undefined) return;
  const { reading, funding } = found;
  const digest = sighashV0(
    tx,
    0,
    fundingScript(reading.owner.funding, funding.peerKey),
    BigInt(reading.fundingValueSat),
    SIGHASH.ALL,
  );
  const isComplete = verify(request.sig.signature, digest, funding.peerKey);
  const signatures = request.htlcSigs.map(({ signature }) => signature);
  const uselessHtlcs = uselessOf(reading, signatures);
  const parts = describeCommitment({ ...reading, uselessHtlcs });
  const previous = file.holder.findLast((one) => one.number < number) ?? file.holder.at(-1);
  const ending: Ending = {
    ...parts,
    tallies: talliesAfter(known, previous, parts),
    isReleased: false,
    isComplete,
  };
  // Of one number the last that was validated counts; another that was signed for broadcast stays.
  file.holder = [...file.holder.filter((one) => one.number !== number || one.isReleased), ending];
  known.addScript(delayedScript(reading), { delayed: { file, number } });
  known.addEnding(file, ending);
}

/** Positions of HTLC outputs whose transaction the peer's signature does not fit. */
function uselessOf(reading: CommitmentReading, signatures: readonly Uint8Array[]): ReadonlySet<number> {
  const { tx, terms } = reading;
  const keys = keysOf(reading);
  const isAnchors = terms.kind === 'anchors_zero_fee_htlc';
  const parts = describeCommitment(reading);
  const useless = new Set<number>();
  let next = 0;
  parts.meanings.forEach((meaning, vout) => {
    if (meaning.is !== 'htlc') return;
    const signature = signatures[next++];
    const { hash, direction, expiryBlocks } = meaning.htlc;
    const isOffered = direction === 'offered';
    const htlc = reading.htlcs.find(
      (one) =>
        toHex(one.paymentHash) === hash &&
        one.cltvExpiry === expiryBlocks &&
        one.isOffered === isOffered &&
        one.amountMsat / 1000n === tx.outputs[vout]!.value,
    )!;
    const script = isOffered
      ? offeredHtlcScript(terms.kind, keys, htlc)
      : receivedHtlcScript(terms.kind, keys, htlc);
    const { value } = tx.outputs[vout]!;
    const feeSat = htlcFeeSat({ kind: terms.kind, feeratePerKw: reading.feeratePerKw }, isOffered);
    const spend: Tx = {
      version: 2,
      inputs: [{ txid: txidOf(tx), vout, scriptSig: EMPTY, sequence: isAnchors ? 1 : 0, witness: [] }],
      outputs: [{ value: value - feeSat, script: delayedScript(reading) }],
      locktime: isOffered ? expiryBlocks : 0,
    };
    const type = isAnchors ? SIGHASH.SINGLE_ANYONECANPAY : SIGHASH.ALL;
    const isValid =
      signature !== undefined && verify(signature, sighashV0(spend, 0, script, value, type), keys.otherHtlc);
    if (!isValid) useless.add(vout);
  });
  return useless;
}

/** The owner's signature for a commitment of the peer is out. */
export function acceptCounterparty(
  known: Knowledge,
  file: ChannelFile,
  request: MessageOf<'hsmd_sign_remote_commitment_tx'>,
): void {
  const number = Number(request.commitNum);
  const tx: Tx = request.tx.tx;
  const found = readingOf(known, file, {
    side: 'counterparty',
    number,
    tx,
    perCommitmentPoint: request.remotePerCommit,
    htlcs: listed(request.htlcs),
    feeratePerKw: request.feerate,
  });
  if (found === undefined) return;
  const parts = describeCommitment(found.reading);
  if (file.counterparty.some(({ txid }) => txid === parts.txid)) return;
  const befores = file.counterparty.filter((one) => one.number === number - 1);
  const ending: Ending = {
    ...parts,
    tallies: bestTallies(known, befores, parts, file.counterparty.at(-1)),
    isReleased: true,
    isComplete: true,
  };
  file.peerPoints.set(number, request.remotePerCommit);
  file.counterparty.push(ending);
  known.addEnding(file, ending);
}

/** Any other spend of the funding that the owner signed: our own commitment, a close, or what nobody should sign. */
export function acceptClose(known: Knowledge, file: ChannelFile, tx: Tx, fundingKey: string): void {
  const txid = toHex(txidOf(tx));
  const own = file.holder.find((one) => one.txid === txid);
  if (own !== undefined) {
    own.isReleased = true;
    file.isDirty = true;
    return;
  }
  if (file.closes.some((one) => one.txid === txid)) return;
  const ending = isCommitment(file, tx)
    ? strangeCommitment(known, file, tx, fundingKey)
    : closeOf(known, file, tx, fundingKey);
  file.closes.push(ending);
  known.addEnding(file, ending);
}

function isCommitment(file: ChannelFile, tx: Tx): boolean {
  const { owner, terms } = file;
  if (owner === null || terms === null) return false;
  const [opener, accepter] = terms.isOwnerFunder ? [owner, terms.peer] : [terms.peer, owner];
  return commitmentNumberOf(tx, makeObscurer(opener.payment, accepter.payment)) !== undefined;
}

/** A commitment of ours that was never validated: only what scripts known by now give the owner counts. */
function strangeCommitment(known: Knowledge, file: ChannelFile, tx: Tx, fundingKey: string): Ending {
  return { ...closeOf(known, file, tx, fundingKey), name: 'a commitment that nobody validated' };
}

function closeOf(known: Knowledge, file: ChannelFile, tx: Tx, fundingKey: string): Ending {
  const funding = file.fundings.get(fundingKey)!;
  const meanings = tx.outputs.map(({ script }) => {
    const found = known.ownerScript(script);
    if (found === undefined) return { is: 'other' as const };
    return { is: found.delayed === null ? ('owner' as const) : ('owner-delayed' as const) };
  });
  const ownSat = tx.outputs.reduce(
    (sum, { value }, i) => (meanings[i]!.is === 'other' ? sum : sum + Number(value)),
    0,
  );
  const outSat = tx.outputs.reduce((sum, { value }) => sum + Number(value), 0);
  const paidSat = Math.max(0, fundingValueSat(known, funding) - outSat);
  const { onchainFeeratePerKwMax, onchainFeeSatMax } = known.terms;
  const feeSat =
    file.terms?.isOwnerFunder === true
      ? Math.min(
          agreedFeeSat(paidSat, weightOf(tx) + CLOSE_WITNESS_WEIGHT, onchainFeeratePerKwMax),
          onchainFeeSatMax,
        )
      : 0;
  const newest = file.counterparty.at(-1);
  return {
    name: 'close',
    side: 'close',
    number: -1,
    tx,
    txid: toHex(txidOf(tx)),
    funding: fundingKey,
    meanings,
    directSat: ownSat + feeSat,
    feeSat,
    slackSat: CLOSE_DUST_SAT + tx.outputs.length,
    htlcs: [],
    tallies: new Map(newest?.tallies),
    isReleased: true,
    isComplete: true,
    delayedScript: '',
    bypassed: new Set(),
    early: new Set(),
  };
}

/** Two signatures, the funding script and what is around them. */
const CLOSE_WITNESS_WEIGHT = 222;

function talliesAfter(
  known: Knowledge,
  before: Ending | undefined,
  after: Pick<Ending, 'directSat' | 'htlcs'>,
): Map<string, Tally> {
  if (before === undefined) return new Map();
  const { tallies } = explainStep(before, after, (hash) => known.payments.isKnown(hash));
  const sum = new Map(before.tallies);
  for (const [hash, tally] of tallies) sum.set(hash, addTallies(sum.get(hash) ?? NO_TALLY, tally));
  return sum;
}

/** Which of several variants came before: the one that the difference fits best, the newest of equals. */
function bestTallies(
  known: Knowledge,
  befores: readonly Ending[],
  after: Pick<Ending, 'directSat' | 'htlcs'>,
  newest: Ending | undefined,
): Map<string, Tally> {
  const isKnown = (hash: string) => known.payments.isKnown(hash);
  let best: Ending | undefined = befores.at(-1) ?? newest;
  let bestSat = Number.POSITIVE_INFINITY;
  for (const before of [...befores].reverse()) {
    const residualSat = Math.abs(explainStep(before, after, isKnown).residualSat);
    if (residualSat >= bestSat) continue;
    best = before;
    bestSat = residualSat;
  }
  return talliesAfter(known, best, after);
}

/** The secret of our commitment is out: whoever publishes it hands everything in it to the peer. */
export function revokeHolder(known: Knowledge, file: ChannelFile, number: number): void {
  if (number <= file.secretsReleasedMax) return;
  file.secretsReleasedMax = number;
  file.holder = file.holder.filter((one) => one.number > number || one.isReleased);
  file.isDirty = true;
  settle(known, file);
}

/** The signer has the peer's secret, so that it can punish; a wrong one is worth nothing. */
export function revokeCounterparty(
  known: Knowledge,
  file: ChannelFile,
  number: number,
  secret: Uint8Array,
): void {
  if (!isSecretOf(secret, file.peerPoints.get(number))) return;
  file.revokedMax = Math.max(file.revokedMax, number);
  const isPunishable = (file.terms?.peerDelayBlocks ?? 0) >= known.terms.contestDelayBlocksMin;
  const revoked = file.counterparty.filter((one) => one.number === number);
  if (isPunishable) {
    file.counterparty = file.counterparty.filter((one) => one.number !== number);
    file.unpunished.push(...revoked.filter(({ bypassed }) => bypassed.size > 0));
  }
  file.isDirty = true;
  settle(known, file);
}

/** What every ending agrees on is settled, and leaves their tallies. */
function settle(known: Knowledge, file: ChannelFile): void {
  const { endings } = file;
  const [first, ...others] = endings;
  if (first === undefined) return;
  for (const [hash, tally] of [...first.tallies]) {
    const isShared = others.every(({ tallies }) => {
      const other = tallies.get(hash);
      return other?.paidSat === tally.paidSat && other.creditedSat === tally.creditedSat;
    });
    if (!isShared) continue;
    for (const { tallies } of endings) tallies.delete(hash);
    known.payments.settle(hash, tally);
  }
}
