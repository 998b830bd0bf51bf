/**
 * The inputs of a PSBT that we may sign: named as ours, spent with the key that the output really belongs to, over the
 * whole transaction. What the transaction does with them is judged elsewhere.
 */
import {
  addPsbtBip32Derivation,
  addPsbtTapBip32Derivation,
  equalBytes,
  hash160,
  outPointToString,
  type Psbt,
  p2pkhScript,
  p2shOfScript,
  p2trScript,
  p2wpkhOfKey,
  p2wshOfScript,
  psbtSighashType,
  psbtSpentOutput,
  SIGHASH,
  segwitV0Midstate,
  segwitV0Sighash,
  setPsbtWitnessScript,
  setPsbtWitnessUtxo,
  type TxOutput,
  taprootKeySighash,
  taprootMidstate,
  taprootOutputKey,
  toRemoteAnchoredScript,
} from '@countersign/bitcoin';
import type { HsmUtxo } from '@countersign/wire';
import type { ChannelRef, Context } from '../context.ts';
import { malformed } from '../form.ts';
import { refuse } from '../refusal.ts';
import type { PsbtKey, Release } from '../release.ts';
import { keyUse, sighashRule } from './rules.ts';

/** Wallet inputs of one request. */
export const UTXOS_MAX = 1024;

/** An input we own: its key, and what the signature hash needs. */
export interface OwnedInput {
  readonly index: number;
  readonly key: PsbtKey;
  readonly publicKey: Uint8Array;
  readonly spent: TxOutput;
  /** BIP 143 script code; null for taproot. */
  readonly scriptCode: Uint8Array | null;
}

/** The inputs of the PSBT that the request names as ours; those it does not spend are ignored. */
export function claimInputs(
  ctx: Context,
  psbt: Psbt,
  utxos: readonly HsmUtxo[],
): { psbt: Psbt; owned: readonly OwnedInput[] } {
  if (utxos.length > UTXOS_MAX) malformed('too many inputs', { inputs: utxos.length, inputs_max: UTXOS_MAX });
  const places = new Map(psbt.unsignedTx.inputs.map((input, i) => [outPointToString(input), i]));
  const owned: OwnedInput[] = [];
  let described = psbt;
  for (const utxo of utxos) {
    const index = places.get(outPointToString(utxo.outpoint));
    if (index === undefined) continue;
    const told = owned.find((one) => one.index === index)?.spent ?? psbtSpentOutput(described, index);
    requireSameAmount(utxo, index, told);
    const claimed =
      utxo.closeInfo === undefined
        ? claimWallet(ctx, described, index, utxo, told)
        : claimToRemote(ctx, described, index, utxo, utxo.closeInfo, told);
    described = claimed.psbt;
    owned.push(claimed.input);
  }
  return { psbt: described, owned };
}

/** What is judged, what is signed and what the reply's PSBT says are one amount; the node's own records know it too. */
function requireSameAmount({ amount, outpoint }: HsmUtxo, input: number, told: TxOutput | undefined): void {
  if (told === undefined || told.value === amount) return;
  malformed('the request names another amount for this input than its PSBT', {
    input,
    outpoint: outPointToString(outpoint),
    amount_sat: amount,
    amount_in_psbt_sat: told.value,
  });
}

/** CLN names the key by its fingerprint and an all-zero path: the node can't know a better one. */
function origin(publicKey: Uint8Array) {
  return { fingerprint: hash160(publicKey).subarray(0, 4), path: [0] };
}

function claimWallet(ctx: Context, psbt: Psbt, index: number, utxo: HsmUtxo, told: TxOutput | undefined) {
  const publicKey = ctx.keys.walletPublicKey(utxo.keyindex);
  if (publicKey === null) malformed('wallet key index beyond 2^31', { index: utxo.keyindex });
  const spent = told ?? { value: utxo.amount, script: utxo.scriptPubkey };
  const { script } = spent;
  if (equalBytes(script, p2trScript(taprootOutputKey(ctx.secp, publicKey.subarray(1)).outputKey))) {
    const described = addPsbtTapBip32Derivation(psbt, index, {
      xOnlyKey: publicKey.subarray(1),
      leafHashes: [],
      ...origin(publicKey),
    });
    const key: PsbtKey = { kind: 'wallet-taproot', index: utxo.keyindex };
    return { psbt: described, input: { index, key, publicKey, spent, scriptCode: null } };
  }
  const program = p2wpkhOfKey(publicKey);
  if (!equalBytes(script, program) && !equalBytes(script, p2shOfScript(program))) {
    refuse(keyUse, 'the wallet key named for this input does not own the output it spends', {
      input: index,
      key_index: utxo.keyindex,
      outpoint: outPointToString(utxo.outpoint),
    });
  }
  const described = addPsbtBip32Derivation(psbt, index, { publicKey, ...origin(publicKey) });
  const key: PsbtKey = { kind: 'wallet', index: utxo.keyindex };
  return {
    psbt: described,
    input: { index, key, publicKey, spent, scriptCode: p2pkhScript(hash160(publicKey)) },
  };
}

/**
 * Our output of a commitment that the peer published (to_remote). With anchors the script follows from the key and the lock
 * alone, and the reply says it, as CLN's does.
 */
function claimToRemote(
  ctx: Context,
  psbt: Psbt,
  index: number,
  utxo: HsmUtxo,
  close: NonNullable<HsmUtxo['closeInfo']>,
  told: TxOutput | undefined,
) {
  const channel: ChannelRef = { peerId: close.peerId, dbid: close.channelId };
  const commitmentPoint = close.commitmentPoint ?? null;
  const publicKey = ctx.keys.paymentPublicKey(channel, commitmentPoint);
  const key: PsbtKey = { kind: 'to-remote', channel, commitmentPoint };
  const witnessScript = close.optionAnchors ? toRemoteAnchoredScript(publicKey, close.csv) : null;
  const script = witnessScript === null ? p2wpkhOfKey(publicKey) : p2wshOfScript(witnessScript);
  const spent = told ?? { value: utxo.amount, script: witnessScript === null ? utxo.scriptPubkey : script };
  if (!equalBytes(spent.script, script)) {
    refuse(keyUse, 'the payment key of this channel does not own the output this input spends', {
      input: index,
      outpoint: outPointToString(utxo.outpoint),
    });
  }
  const named = addPsbtBip32Derivation(psbt, index, { publicKey, ...origin(publicKey) });
  const described =
    witnessScript === null
      ? named
      : setPsbtWitnessUtxo(setPsbtWitnessScript(named, index, witnessScript), index, spent);
  const scriptCode = witnessScript ?? p2pkhScript(hash160(publicKey));
  return { psbt: described, input: { index, key, publicKey, spent, scriptCode } };
}

function requireWholeTransaction(psbt: Psbt, input: OwnedInput): void {
  const asked = psbtSighashType(psbt, input.index);
  const isTaproot = input.scriptCode === null;
  if (asked === undefined || asked === SIGHASH.ALL || (isTaproot && asked === SIGHASH.DEFAULT)) return;
  refuse(sighashRule, 'the PSBT asks for a signature that does not commit to the whole transaction', {
    input: input.index,
    sighash_type: asked,
  });
}

/** Signs them over the whole transaction, whatever the PSBT asks for. */
export function signInputs(
  psbt: Psbt,
  owned: readonly OwnedInput[],
  reply: Extract<Release, { kind: 'sign-psbt' }>['reply'],
): Release {
  const segwit = segwitV0Midstate(psbt.unsignedTx);
  const needsTaproot = owned.some((input) => input.scriptCode === null);
  const taproot = needsTaproot ? taprootMidstate(psbt.unsignedTx, allSpent(psbt, owned)) : null;
  const signatures = owned.map((input) => {
    requireWholeTransaction(psbt, input);
    const sighash =
      input.scriptCode === null
        ? taprootKeySighash(taproot!, input.index)
        : segwitV0Sighash(segwit, input.index, input.scriptCode, input.spent.value, SIGHASH.ALL);
    return { input: input.index, key: input.key, publicKey: input.publicKey, sighash };
  });
  return { kind: 'sign-psbt', psbt, signatures, reply };
}

/** BIP 341 signs what every input spends, so the PSBT must tell it of all of them. */
function allSpent(psbt: Psbt, owned: readonly OwnedInput[]): readonly TxOutput[] {
  const known = new Map(owned.map((input) => [input.index, input.spent]));
  return psbt.unsignedTx.inputs.map((_, index) => {
    const spent = known.get(index) ?? psbtSpentOutput(psbt, index);
    return spent ?? malformed('a taproot signature needs to know what every input spends', { input: index });
  });
}
