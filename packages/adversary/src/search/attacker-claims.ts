/**
 * What the peers take of HTLC outputs on the chain, with nothing but their own keys and what the signer signed for them:
 * by preimage, or by timeout. BOLT 3, "HTLC-Timeout and HTLC-Success Transactions" and the scripts of both outputs.
 */
import { EMPTY } from '../bitcoin/bytes.ts';
import { sign, toScriptSignature } from '../bitcoin/keys.ts';
import { SIGHASH, sighashV0 } from '../bitcoin/sighash.ts';
import { type Tx, txidOf, withWitnesses } from '../bitcoin/transaction.ts';
import {
  derivePrivateKey,
  expiryWitness,
  fundingScript,
  fundingWitness,
  htlcFeeSat,
  htlcTransactionWitness,
  offeredHtlcScript,
  preimageWitness,
  receivedHtlcScript,
} from '../bolt3/index.ts';
import { ATTACKER_SCRIPT } from '../player/chain-feed.ts';
import type { Channel } from '../player/channel.ts';
import type { ChannelFile, Ending, ListedHtlc } from '../referee/channel-file.ts';
import type { Knowledge } from '../referee/knowledge.ts';
import { fundingValueSat } from '../referee/transcript.ts';

/** An ending with both signatures of its funding; null where the owner's is not out. */
export function completedEnding(
  known: Knowledge,
  file: ChannelFile,
  channel: Channel,
  ending: Ending,
): Tx | null {
  const funding = file.fundings.get(ending.funding);
  const { ownerSignature, tx } = ending;
  if (funding === undefined || file.owner === null || ownerSignature === null || tx.inputs.length !== 1)
    return null;
  const script = fundingScript(file.owner.funding, funding.peerKey);
  const digest = sighashV0(tx, 0, script, BigInt(fundingValueSat(known, funding)), SIGHASH.ALL);
  const peers = channel.peerSignature(digest);
  const witness = fundingWitness(
    { key: file.owner.funding, signature: toScriptSignature(ownerSignature, SIGHASH.ALL) },
    { key: funding.peerKey, signature: toScriptSignature(peers, SIGHASH.ALL) },
    script,
  );
  return withWitnesses(tx, [witness]);
}

export interface HtlcOutput {
  readonly ending: Ending;
  readonly vout: number;
  readonly listed: ListedHtlc;
}

/** `preimage` null: by timeout. Null where the peers can't: the signer gave them no signature for it. */
export function attackerClaim(
  known: Knowledge,
  file: ChannelFile,
  channel: Channel,
  output: HtlcOutput,
  preimage: Uint8Array | null,
): Tx | null {
  const { ending } = output;
  if (ending.keys === null || file.terms === null) return null;
  return ending.side === 'counterparty'
    ? byHtlcTransaction(known, file, channel, output, preimage)
    : byItself(file, channel, output, preimage);
}

function scriptOf(file: ChannelFile, { ending, listed }: HtlcOutput): Uint8Array {
  const isBroadcasters = listed.isOffered === (ending.side === 'holder');
  const make = isBroadcasters ? offeredHtlcScript : receivedHtlcScript;
  return make(file.terms!.kind, ending.keys!, listed);
}

/** From the owner's commitment. */
function byItself(file: ChannelFile, channel: Channel, output: HtlcOutput, preimage: Uint8Array | null): Tx {
  const { ending, vout, listed } = output;
  const script = scriptOf(file, output);
  const isAnchors = file.terms!.kind === 'anchors_zero_fee_htlc';
  const { value } = ending.tx.outputs[vout]!;
  const tx: Tx = {
    version: 2,
    inputs: [
      { txid: txidOf(ending.tx), vout, scriptSig: EMPTY, sequence: isAnchors ? 1 : 0xffff_fffd, witness: [] },
    ],
    outputs: [{ value, script: ATTACKER_SCRIPT }],
    locktime: preimage === null ? listed.cltvExpiry : 0,
  };
  const key = derivePrivateKey(channel.peer.secrets.htlc, ending.keys!.perCommitmentPoint);
  const signature = toScriptSignature(sign(sighashV0(tx, 0, script, value, SIGHASH.ALL), key), SIGHASH.ALL);
  const witness =
    preimage === null ? expiryWitness(signature, script) : preimageWitness(signature, preimage, script);
  return withWitnesses(tx, [witness]);
}

/** From the peer's own commitment, by the HTLC transaction that the owner signed. */
function byHtlcTransaction(
  known: Knowledge,
  file: ChannelFile,
  channel: Channel,
  output: HtlcOutput,
  preimage: Uint8Array | null,
): Tx | null {
  const { ending, vout, listed } = output;
  const given = known.htlcSignatures.get(`${ending.txid}:${vout}`);
  if (given === undefined) return null;
  const script = scriptOf(file, output);
  const kind = file.terms!.kind;
  const { value } = ending.tx.outputs[vout]!;
  // The broadcaster offered it where the owner received it.
  const feeSat = htlcFeeSat({ kind, feeratePerKw: ending.feeratePerKw }, !listed.isOffered);
  const tx: Tx = {
    version: 2,
    inputs: [
      {
        txid: txidOf(ending.tx),
        vout,
        scriptSig: EMPTY,
        sequence: kind === 'anchors_zero_fee_htlc' ? 1 : 0,
        witness: [],
      },
    ],
    outputs: [{ value: value - feeSat, script: ending.delayed }],
    locktime: preimage === null ? listed.cltvExpiry : 0,
  };
  const key = derivePrivateKey(channel.peer.secrets.htlc, ending.keys!.perCommitmentPoint);
  const own = toScriptSignature(sign(sighashV0(tx, 0, script, value, SIGHASH.ALL), key), SIGHASH.ALL);
  const owners = toScriptSignature(given.signature, given.sighash);
  return withWitnesses(tx, [htlcTransactionWitness(owners, own, preimage, script)]);
}
