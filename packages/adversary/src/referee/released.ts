/**
 * Spends of the wallet that the signer signed and that are not in the chain: the attacker may publish any of them that do
 * not exclude each other. An input counts as signed only if its signature is valid for what it really spends.
 */
import { toHex } from '../bitcoin/bytes.ts';
import { fromScriptSignature, verify, verifySchnorr } from '../bitcoin/keys.ts';
import { partialSignatures, taprootSignature, type WirePsbt, withWalletWitnesses } from '../bitcoin/psbt.ts';
import { isP2sh, isP2tr, isP2wpkh, p2pkhScript, p2wpkh } from '../bitcoin/scripts.ts';
import { SIGHASH, sighashTaproot, sighashV0 } from '../bitcoin/sighash.ts';
import {
  type OutPoint,
  outpointKey,
  type Tx,
  type TxInput,
  type TxOutput,
  txidOf,
} from '../bitcoin/transaction.ts';
import { fundingScript } from '../bolt3/index.ts';
import { acceptClose } from './endings.ts';
import type { Knowledge } from './knowledge.ts';
import type { Option, Place } from './problem.ts';

interface Spend {
  readonly txid: string;
  readonly tx: Tx;
  /** The reply that has the signatures. */
  readonly psbt: WirePsbt;
  /** Positions of inputs with a valid signature of the owner's. */
  readonly signed: Set<number>;
}

const SIGHASH_TYPES: readonly number[] = [SIGHASH.ALL, SIGHASH.NONE, SIGHASH.SINGLE].flatMap((type) => [
  type,
  type | SIGHASH.ANYONECANPAY,
]);

export class Released {
  readonly #known: Knowledge;
  readonly #spends = new Map<string, Spend>();
  /** What the owner may lose of an outpoint by something signed for it. */
  readonly #losses = new Map<string, number>();
  #places: readonly Place[] | null = null;

  constructor(known: Knowledge) {
    this.#known = known;
  }

  lose(outpoint: string, lossSat: number): void {
    this.#losses.set(outpoint, Math.max(this.#losses.get(outpoint) ?? 0, lossSat));
  }

  lossOf(outpoint: string): number {
    return this.#losses.get(outpoint) ?? 0;
  }

  chainChanged(): void {
    this.#places = null;
  }

  psbtSigned(tx: Tx, psbt: WirePsbt): void {
    const txid = toHex(txidOf(tx));
    const spend = this.#spends.get(txid) ?? { txid, tx, psbt, signed: new Set<number>() };
    const spent = tx.inputs.map((input) => this.outputAt(input));
    tx.inputs.forEach((input, i) => {
      const type = this.#validType(tx, i, input, spent, psbt);
      if (type === undefined) return;
      spend.signed.add(i);
      const output = spent[i]!;
      // Anybody may change what such a signature does not cover.
      if (type !== SIGHASH.ALL && type !== SIGHASH.DEFAULT)
        this.lose(outpointKey(input), Number(output.value));
    });
    if (spend.signed.size === 0) return;
    this.#spends.set(txid, spend);
    this.#places = null;
  }

  /** Of a transaction in the chain, or of one that may come there. */
  outputAt(input: OutPoint): TxOutput | undefined {
    const txid = toHex(input.txid);
    const known = this.#known;
    return (
      known.book.outputAt(input) ??
      known.endingOf(txid)?.ending.tx.outputs[input.vout] ??
      this.#spends.get(txid)?.tx.outputs[input.vout]
    );
  }

  /** The sighash type of a valid signature of the owner's; undefined where there is none. */
  #validType(
    tx: Tx,
    index: number,
    input: TxInput,
    spent: readonly (TxOutput | undefined)[],
    psbt: WirePsbt,
  ): number | undefined {
    const output = spent[index];
    if (output === undefined) return undefined;
    const { script, value } = output;
    if (isP2tr(script)) {
      const signature = taprootSignature(psbt, index);
      if (signature === undefined || spent.includes(undefined)) return undefined;
      const type = signature[64] ?? SIGHASH.DEFAULT;
      const digest = sighashTaproot(tx, index, spent as readonly TxOutput[], type);
      return verifySchnorr(signature.slice(0, 64), digest, script.slice(2)) ? type : undefined;
    }
    for (const { publicKey, signature } of partialSignatures(psbt, index)) {
      const read = fromScriptSignature(signature);
      if (read === undefined) continue;
      const program = p2wpkh(publicKey);
      const isWallet = isP2wpkh(script) ? toHex(program) === toHex(script) : isP2sh(script);
      if (isWallet) {
        // The type that is named beside a signature is anybody's to change: what it fits is what counts.
        const type = [read.sighashType, ...SIGHASH_TYPES].find((one) =>
          verify(read.signature, sighashV0(tx, index, p2pkhScript(program.slice(2)), value, one), publicKey),
        );
        if (type !== undefined) return type;
        continue;
      }
      if (this.#opensFunding(tx, index, input, value, publicKey, read)) return read.sighashType;
    }
    return undefined;
  }

  /** A funding smuggled in among the inputs. */
  #opensFunding(
    tx: Tx,
    index: number,
    input: TxInput,
    value: bigint,
    publicKey: Uint8Array,
    { signature, sighashType }: { readonly signature: Uint8Array; readonly sighashType: number },
  ): boolean {
    const key = outpointKey(input);
    const file = this.#known.fundingOf(key);
    const funding = file?.fundings.get(key);
    if (file?.owner == null || funding === undefined) return false;
    const digest = sighashV0(
      tx,
      index,
      fundingScript(file.owner.funding, funding.peerKey),
      value,
      sighashType,
    );
    if (!verify(signature, digest, publicKey)) return false;
    acceptClose(this.#known, file, tx, key, signature);
    return true;
  }

  /** With its witnesses; null where some input is not the wallet's. */
  completed(txid: string): Tx | null {
    const spend = this.#spends.get(txid);
    const spent = spend?.tx.inputs.map((input) => this.outputAt(input)) ?? [undefined];
    if (spend === undefined || spent.includes(undefined)) return null;
    const tx = withWalletWitnesses(spend.tx, spend.psbt, spent as readonly TxOutput[]);
    return tx.inputs.every(({ witness }) => witness.length > 0) ? tx : null;
  }

  /** Whether the attacker can publish it now. */
  isPublishable(txid: string): boolean {
    const spend = this.#spends.get(txid);
    if (spend === undefined || this.#known.book.depthOf(txid) > 0) return false;
    return spend.tx.inputs.every((input, i) => {
      if (this.#known.book.spenderOf(outpointKey(input)) !== undefined) return false;
      return spend.signed.has(i) || !this.#isOwners(input);
    });
  }

  #isOwners(input: TxInput): boolean {
    const key = outpointKey(input);
    if (this.#known.coins.coins.has(key) || this.#known.fundingOf(key) !== undefined) return true;
    const output = this.outputAt(input);
    return output !== undefined && this.#known.ownerScript(output.script) !== undefined;
  }

  /** What publishing it changes for the owner, channels that it funds left out. */
  changeOf(txid: string): number {
    const { tx } = this.#spends.get(txid)!;
    const known = this.#known;
    const spentSat = tx.inputs.reduce(
      (sum, input) => sum + (known.coins.coins.get(outpointKey(input))?.valueSat ?? 0),
      0,
    );
    const ownSat = tx.outputs.reduce(
      (sum, { value, script }) => (known.ownerScript(script) === undefined ? sum : sum + Number(value)),
      0,
    );
    const { approvedSat, feeSat } = known.coins.consent(txid, tx);
    const lossSat = spentSat - ownSat;
    return -lossSat + Math.max(0, Math.min(lossSat, approvedSat + feeSat));
  }

  /** One place for each set of spends that exclude each other; those that fund a channel are its own affair. */
  places(): readonly Place[] {
    this.#places ??= this.#group();
    return this.#places;
  }

  #group(): Place[] {
    const open = [...this.#spends.values()].filter(({ txid, tx }) => {
      const isFunding = tx.outputs.some((_, vout) => this.#known.fundingOf(`${txid}:${vout}`) !== undefined);
      return !isFunding && this.isPublishable(txid);
    });
    const groups: Spend[][] = [];
    for (const spend of open) {
      const keys = new Set(spend.tx.inputs.map(outpointKey));
      const group = groups.find((one) =>
        one.some(({ tx }) => tx.inputs.some((input) => keys.has(outpointKey(input)))),
      );
      if (group === undefined) groups.push([spend]);
      else group.push(spend);
    }
    return groups.map((group) => ({
      name: 'wallet',
      channel: null,
      options: [
        optionOf('nothing is published', null, 0),
        ...group.map(({ txid }) => optionOf(`spend ${txid}`, txid, this.changeOf(txid))),
      ],
    }));
  }
}

const optionOf = (name: string, txid: string | null, directSat: number): Option => ({
  name,
  txid,
  directSat,
  slackSat: 0,
  htlcs: [],
  tallies: new Map(),
});
