/**
 * How a channel may end: commitments of either side and closes come to be possible endings here, and revoked ones cease
 * to be. Each carries on the tallies of the one before it.
 */
import type { HsmHtlc, MessageOf } from '@countersign/wire';
import { EMPTY, fromHex, toHex } from '../bitcoin/bytes.ts';
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
import { type ChannelFile, type Ending, type Funding, type ListedHtlc, REVOKED_MAX } from './channel-file.ts';
import {
  type CommitmentReading,
  type Described,
  delayedScript,
  describeCommitment,
  keysOf,
} from './describe.ts';
import { explainStep, withoutIncome } from './explain.ts';
import { isSecretOf, type Knowledge } from './knowledge.ts';
import { type HtlcAtStake, NO_TALLY, type Tally } from './problem.ts';
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
  parts: Pick<CommitmentReading, 'side' | 'number' | 'tx' | 'htlcs' | 'feeratePerKw'>,
  perCommitmentPoint: Uint8Array,
): { readonly reading: CommitmentReading; readonly funding: Funding } | undefined {
  const input = parts.tx.inputs[0];
  const funding = input === undefined ? undefined : file.fundings.get(outpointKey(input));
  const { owner, terms } = file;
  if (funding === undefined || owner === null || terms === null) return undefined;
  const reading = {
    ...parts,
    keys: keysOf(parts.side, owner, terms, funding.peerKey, perCommitmentPoint),
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
  const parts = {
    side: 'holder',
    number,
    tx,
    htlcs: listed(request.htlcs),
    feeratePerKw: request.feerate,
  } as const;
  const found = readingOf(known, file, parts, perCommitmentPoint);
  if (found === undefined) return;
  const { reading, funding } = found;
  const fundingDigest = sighashV0(
    tx,
    0,
    fundingScript(reading.owner.funding, funding.peerKey),
    BigInt(reading.fundingValueSat),
    SIGHASH.ALL,
  );
  const described = withoutUseless(
    reading,
    describeCommitment(reading),
    request.htlcSigs.map(({ signature }) => signature),
  );
  const previous = beforeOf(file.holder, number, described.funding).at(-1) ?? file.holder.at(-1);
  const ending: Ending = {
    ...described,
    tallies: talliesAfter(known, previous, described),
    isReleased: false,
    isComplete: verify(request.sig.signature, fundingDigest, funding.peerKey),
    ownerSignature: null,
  };
  // Of one number on one funding the last that was validated counts; another that was signed for broadcast stays.
  const isReplaced = (one: Ending) =>
    one.number === number && one.funding === ending.funding && !one.isReleased;
  file.holder = [...file.holder.filter((one) => !isReplaced(one)), ending];
  known.addScript(delayedScript(reading), { delayed: { file, number } });
  known.addEnding(file, ending);
}

/** What a commitment follows: its predecessors on the same funding; on a new funding, what the others have of its number. */
function beforeOf(list: readonly Ending[], number: number, funding: string): readonly Ending[] {
  const same = list.filter((one) => one.number === number - 1 && one.funding === funding);
  return same.length > 0 ? same : list.filter((one) => one.number === number && one.funding !== funding);
}

/** HTLCs whose transaction the peer's signature does not fit are nothing that the owner can take. */
function withoutUseless(
  reading: CommitmentReading,
  described: Described,
  signatures: readonly Uint8Array[],
): Described {
  let next = 0;
  let isChanged = false;
  const meanings = described.meanings.map((meaning, vout) => {
    if (meaning.is !== 'htlc') return meaning;
    const signature = signatures[next++];
    if (signature !== undefined && fitsHtlc(reading, meaning.htlc, vout, signature)) return meaning;
    isChanged = true;
    return { ...meaning, htlc: { ...meaning.htlc, isOwnable: false } };
  });
  if (!isChanged) return described;
  const htlcs = meanings.flatMap((one) => (one.is === 'htlc' ? [one.htlc] : []));
  return { ...described, meanings, htlcs };
}

/** Whether the peer's signature opens the HTLC transaction of BOLT 3 for this output. */
function fitsHtlc(
  reading: CommitmentReading,
  stake: HtlcAtStake,
  vout: number,
  signature: Uint8Array,
): boolean {
  const { tx, terms, keys, feeratePerKw } = reading;
  const isAnchors = terms.kind === 'anchors_zero_fee_htlc';
  const isOffered = stake.direction === 'offered';
  const { value } = tx.outputs[vout]!;
  const htlc = { paymentHash: fromHex(stake.hash), cltvExpiry: stake.expiryBlocks };
  const script = isOffered
    ? offeredHtlcScript(terms.kind, keys, htlc)
    : receivedHtlcScript(terms.kind, keys, htlc);
  const feeSat = htlcFeeSat({ kind: terms.kind, feeratePerKw }, isOffered);
  const spend: Tx = {
    version: 2,
    inputs: [{ txid: txidOf(tx), vout, scriptSig: EMPTY, sequence: isAnchors ? 1 : 0, witness: [] }],
    outputs: [{ value: value - feeSat, script: delayedScript(reading) }],
    locktime: isOffered ? stake.expiryBlocks : 0,
  };
  const type = isAnchors ? SIGHASH.SINGLE_ANYONECANPAY : SIGHASH.ALL;
  return verify(signature, sighashV0(spend, 0, script, value, type), keys.otherHtlc);
}

/** The owner's signature for a commitment of the peer is out. */
export function acceptCounterparty(
  known: Knowledge,
  file: ChannelFile,
  request: MessageOf<'hsmd_sign_remote_commitment_tx'>,
  ownerSignature: Uint8Array,
): void {
  const number = Number(request.commitNum);
  const tx: Tx = request.tx.tx;
  const found = readingOf(
    known,
    file,
    { side: 'counterparty', number, tx, htlcs: listed(request.htlcs), feeratePerKw: request.feerate },
    request.remotePerCommit,
  );
  if (found === undefined) return;
  const parts = describeCommitment(found.reading);
  if (file.counterparty.some(({ txid }) => txid === parts.txid)) return;
  const befores = beforeOf(file.counterparty, number, parts.funding);
  const ending: Ending = {
    ...parts,
    tallies: bestTallies(known, befores, parts, file.counterparty.at(-1)),
    isReleased: true,
    isComplete: true,
    ownerSignature,
  };
  file.counterparty.push(ending);
  known.addEnding(file, ending);
}

/** Any other spend of the funding that the owner signed: our own commitment, a close, or what nobody should sign. */
export function acceptClose(
  known: Knowledge,
  file: ChannelFile,
  tx: Tx,
  fundingKey: string,
  ownerSignature: Uint8Array,
): void {
  const txid = toHex(txidOf(tx));
  const own = file.holder.find((one) => one.txid === txid);
  if (own !== undefined) {
    own.isReleased = true;
    own.ownerSignature = ownerSignature;
    return;
  }
  if (file.closes.some((one) => one.txid === txid)) return;
  const ending = {
    ...closeOf(known, file, tx, fundingKey, ownerSignature),
    // A commitment of ours that was never validated: only what scripts known by now give the owner counts.
    ...(isCommitment(file, tx) && { name: 'a commitment that nobody validated' }),
  };
  file.closes.push(ending);
  known.addEnding(file, ending);
}

function isCommitment(file: ChannelFile, tx: Tx): boolean {
  const { owner, terms } = file;
  if (owner === null || terms === null) return false;
  const [opener, accepter] = terms.isOwnerFunder ? [owner, terms.peer] : [terms.peer, owner];
  return commitmentNumberOf(tx, makeObscurer(opener.payment, accepter.payment)) !== undefined;
}

function closeOf(
  known: Knowledge,
  file: ChannelFile,
  tx: Tx,
  fundingKey: string,
  ownerSignature: Uint8Array,
): Ending {
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
  const isSplice = known.spliceOf(file, tx, toHex(txidOf(tx))) !== undefined;
  const feeSat =
    file.terms?.isOwnerFunder === true || isSplice
      ? Math.min(
          agreedFeeSat(paidSat, weightOf(tx) + CLOSE_WITNESS_WEIGHT, onchainFeeratePerKwMax),
          onchainFeeSatMax,
        )
      : 0;
  const newest = file.counterparty.at(-1);
  return {
    name: isSplice ? 'splice' : 'close',
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
    ownerSignature,
    keys: null,
    delayed: EMPTY,
    feeratePerKw: 0,
    bypassed: new Set(),
    early: new Map(),
  };
}

/** Two signatures, the funding script and what is around them. */
const CLOSE_WITNESS_WEIGHT = 222;

function talliesAfter(
  known: Knowledge,
  before: Ending | undefined,
  next: Pick<Ending, 'directSat' | 'htlcs'>,
): Map<string, Tally> {
  if (before === undefined) return new Map();
  const { tallies } = explainStep(before, next, (hash) => known.payments.isKnown(hash));
  const sum = new Map(before.tallies);
  for (const [hash, tally] of tallies) {
    const after = withoutIncome(sum.get(hash) ?? NO_TALLY, tally, known.coverableSat(hash));
    if (after.paidSat === 0 && after.creditedSat === 0) sum.delete(hash);
    else sum.set(hash, after);
  }
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
  settle(known, file);
}

/** The signer has the peer's secret, so that it can punish what has its point; a wrong one is worth nothing. */
export function revokeCounterparty(
  known: Knowledge,
  file: ChannelFile,
  number: number,
  secret: Uint8Array,
): void {
  const revoked = file.counterparty.filter(
    (one) => one.number === number && isSecretOf(secret, one.keys?.perCommitmentPoint),
  );
  if (revoked.length === 0) return;
  file.revokedMax = Math.max(file.revokedMax, number);
  if (!file.peerSecrets.insert(number, secret)) forgetSecrets(file);
  const isPunishable = (file.terms?.peerDelayBlocks ?? 0) >= known.terms.contestDelayBlocksMin;
  if (isPunishable) {
    file.counterparty = file.counterparty.filter((one) => !revoked.includes(one));
    file.revoked = [...file.revoked, ...revoked].slice(-REVOKED_MAX);
    file.unpunished.push(...revoked.filter(({ bypassed }) => bypassed.size > 0));
  }
  settle(known, file);
}

/** A secret that does not chain takes the place of older ones: what they would punish can't be punished any more. */
function forgetSecrets(file: ChannelFile): void {
  file.counterparty = [...file.revoked, ...file.counterparty];
  file.revoked = [];
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
  // What came in may have covered what has failed since.
  for (const hash of known.payments.surplus) known.takeIncome(hash);
}
