/** A channel with every kind of output, and every way to spend each: what a witness must and must not get past. */
import {
  buildCommitment,
  buildHtlcTransactions,
  type ChannelKind,
  type Commitment,
  type CommitmentHtlc,
  channelPoints,
  commitmentKeys,
  delayedPenaltyWitness,
  delayedWitness,
  derivePrivateKey,
  deriveRevocationPrivateKey,
  expiryWitness,
  fundingScript,
  fundingWitness,
  hash160,
  htlcDigestOfBroadcaster,
  htlcDigestOfOther,
  htlcPenaltyWitness,
  htlcTransactionWitness,
  keyHashWitness,
  makeChannelSecrets,
  makeObscurer,
  type OutPoint,
  p2pkhScript,
  p2wpkh,
  p2wsh,
  perCommitmentPoint,
  perCommitmentSecret,
  preimageWitness,
  SIGHASH,
  sha256,
  sighashV0,
  sign,
  signatureWitness,
  type Tx,
  type TxOutput,
  toScriptSignature,
  txidOf,
  type Witness,
  withWitnesses,
} from '../src/index.ts';

export const filled = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);
export const ours = makeChannelSecrets(filled(1));
export const theirs = makeChannelSecrets(filled(2));
const [us, them] = [channelPoints(ours), channelPoints(theirs)];
const NUMBER = 3;
const point = perCommitmentPoint(ours.seed, NUMBER);
const secret = perCommitmentSecret(ours.seed, NUMBER);
export const keys = commitmentKeys(us, them, point);
export const CAPACITY = 1_000_000n;
export const DELAY = 6;
export const EXPIRY = 150;
export const fundingWitnessScript = fundingScript(us.funding, them.funding);
export const fundingOutput: TxOutput = { value: CAPACITY, script: p2wsh(fundingWitnessScript) };
export const sweepScript = p2wpkh(us.payment);

const preimage = filled(0x99);
const htlcs: readonly CommitmentHtlc[] = [
  { isOffered: true, amountMsat: 50_000_000n, paymentHash: sha256(preimage), cltvExpiry: EXPIRY },
  { isOffered: false, amountMsat: 60_000_000n, paymentHash: sha256(preimage), cltvExpiry: EXPIRY },
];

export function commitmentOf(kind: ChannelKind, funding: OutPoint): Commitment {
  return buildCommitment({
    kind,
    funding,
    commitmentNumber: NUMBER,
    obscurer: makeObscurer(us.payment, them.payment),
    keys,
    toSelfDelayBlocks: DELAY,
    dustLimitSat: 546n,
    feeratePerKw: 1000,
    funder: 'broadcaster',
    toBroadcasterMsat: 500_000_000n,
    toOtherMsat: 390_000_000n,
    htlcs,
  });
}

export function signedCommitment({ tx }: Commitment): Tx {
  const digest = sighashV0(tx, 0, fundingWitnessScript, CAPACITY, SIGHASH.ALL);
  const by = (key: Uint8Array): Uint8Array => toScriptSignature(sign(digest, key), SIGHASH.ALL);
  const witness = fundingWitness(
    { key: us.funding, signature: by(ours.funding) },
    { key: them.funding, signature: by(theirs.funding) },
    fundingWitnessScript,
  );
  return withWitnesses(tx, [witness]);
}

export interface SpendCase {
  readonly name: string;
  readonly tx: Tx;
  readonly spent: TxOutput;
}

type Signer = (key: Uint8Array, type?: number) => Uint8Array;

/** One input, one output, signed in place. */
function sweep(
  outpoint: OutPoint,
  spent: TxOutput,
  scriptCode: Uint8Array,
  { sequence = 0, locktime = 0 }: Locks,
  witness: (sign: Signer) => Witness,
): Tx {
  const tx: Tx = {
    version: 2,
    inputs: [{ ...outpoint, scriptSig: new Uint8Array(0), sequence, witness: [] }],
    outputs: [{ value: spent.value - 300n, script: sweepScript }],
    locktime,
  };
  const signer: Signer = (key, type = SIGHASH.ALL) =>
    toScriptSignature(sign(sighashV0(tx, 0, scriptCode, spent.value, type), key), type);
  return withWitnesses(tx, [witness(signer)]);
}

const own = (base: Uint8Array): Uint8Array => derivePrivateKey(base, point);
const revocation = deriveRevocationPrivateKey(theirs.revocation, secret);

/** The HTLC transactions, signed by both. */
export function htlcCases(commitment: Commitment): SpendCase[] {
  return buildHtlcTransactions(commitment).map((one) => {
    const { isOffered } = one.htlc;
    const other = toScriptSignature(sign(htlcDigestOfOther(one), own(theirs.htlc)), one.otherSighashType);
    const broadcaster = toScriptSignature(sign(htlcDigestOfBroadcaster(one), own(ours.htlc)), SIGHASH.ALL);
    const witness = htlcTransactionWitness(
      other,
      broadcaster,
      isOffered ? null : preimage,
      one.witnessScript,
    );
    return {
      name: isOffered ? 'HTLC-timeout' : 'HTLC-success',
      tx: withWitnesses(one.tx, [witness]),
      spent: one.spent,
    };
  });
}

interface Locks {
  readonly sequence?: number;
  readonly locktime?: number;
}

/** Every other way to spend an output of the commitment; signed with what `instead` says in place of its locks. */
export function spendCases(commitment: Commitment, instead: Locks = {}): SpendCase[] {
  const hasAnchors = commitment.terms.kind === 'anchors_zero_fee_htlc';
  const csv = hasAnchors ? 1 : 0;
  return commitment.outputs.flatMap(({ role, value, script, witnessScript }, vout) => {
    const spent = { value, script };
    const code = witnessScript ?? p2pkhScript(hash160(them.payment));
    const one = (name: string, locks: Locks, witness: (by: Signer) => Witness): SpendCase => ({
      name: `${role} ${name}`,
      tx: sweep({ txid: txidOf(commitment.tx), vout }, spent, code, { ...locks, ...instead }, witness),
      spent,
    });
    const penalty = one('penalty', {}, (by) => htlcPenaltyWitness(by(revocation), keys.revocation, code));
    switch (role) {
      case 'to_local':
        return [
          one('delayed', { sequence: DELAY }, (by) => delayedWitness(by(own(ours.delayedPayment)), code)),
          one('penalty', {}, (by) => delayedPenaltyWitness(by(revocation), code)),
        ];
      case 'to_remote':
        return [
          one('by key', { sequence: csv }, (by) =>
            hasAnchors
              ? signatureWitness(by(theirs.payment), code)
              : keyHashWitness(by(theirs.payment), them.payment),
          ),
        ];
      case 'local_anchor':
        return [
          one('by key', {}, (by) => signatureWitness(by(ours.funding), code)),
          one('by anyone', { sequence: 16 }, () => [new Uint8Array(0), code]),
        ];
      case 'remote_anchor':
        return [one('by key', {}, (by) => signatureWitness(by(theirs.funding, 0x83), code))];
      case 'offered':
        return [
          penalty,
          one('preimage', { sequence: csv }, (by) => preimageWitness(by(own(theirs.htlc)), preimage, code)),
        ];
      case 'received':
        return [
          penalty,
          one('expiry', { sequence: csv, locktime: EXPIRY }, (by) =>
            expiryWitness(by(own(theirs.htlc)), code),
          ),
        ];
      default:
        return [];
    }
  });
}
