/**
 * The wallet beside LDK: coins at the signer's keys, fundings and payments built here and signed there, and LDK's source of coins
 * for fee bumps. It asks the signer for the wallet's inputs of a transaction, and for our anchor with them.
 */
import {
  anchorScript,
  decodeScriptSignature,
  equalBytes,
  type OutPoint,
  outPointToString,
  PSBT_IN,
  type Psbt,
  p2wshOfScript,
  parsePsbt,
  psbtPartialSigs,
  psbtWitnessUtxo,
  type Sat,
  setPsbtInputField,
  setPsbtWitnessUtxo,
  type Transaction,
  toHex,
  txid,
} from '@countersign/bitcoin';
import type { HsmUtxo } from '@countersign/wire';
import { CHANNEL_DBID, channelName, type SignerClient } from '../client.ts';
import { replyOf } from '../signer/answers.ts';
import type { ChannelBook } from '../signer/channel-book.ts';
import type { ChannelState } from '../signer/channel-state.ts';
import { describeAnchor, emptyPsbt, keyOf } from '../signer/claims.ts';
import type { CoinBook } from './coin-book.ts';
import type { WalletKeys } from './keys.ts';

/** Transactions that LDK had the wallet sign and whose channel inputs it asks for next. */
const REMEMBERED_MAX = 64;

export interface SignedWallet {
  readonly psbt: Psbt;
  /** With the witnesses of the wallet's inputs. */
  readonly tx: Transaction;
}

export class WalletSigner {
  readonly keys: WalletKeys;
  readonly coins: CoinBook;
  readonly #client: SignerClient;
  readonly #book: ChannelBook;
  /** By unsigned transaction: what its inputs spend. */
  readonly #described = new Map<string, Psbt>();
  readonly #anchorSignatures = new Map<string, Uint8Array>();
  #bumping: Uint8Array | null = null;

  constructor(client: SignerClient, book: ChannelBook, keys: WalletKeys, coins: CoinBook) {
    this.#client = client;
    this.#book = book;
    this.keys = keys;
    this.coins = coins;
  }

  /** While LDK bumps HTLCs of this channel: `sign_psbt` doesn't say which it is. */
  bumping<T>(channelKeysId: Uint8Array, work: () => T): T {
    this.#bumping = channelKeysId;
    try {
      return work();
    } finally {
      this.#bumping = null;
    }
  }

  /** With what is known of its inputs. */
  described(tx: Transaction): Psbt {
    return this.#described.get(keyOf(tx)) ?? this.#withCoins(emptyPsbt(tx));
  }

  anchorSignature(id: Uint8Array): Uint8Array | undefined {
    return this.#anchorSignatures.get(toHex(id));
  }

  /** A PSBT of LDK's: wallet inputs, perhaps beside our anchor or HTLCs of ours. */
  signPsbt(method: string, bytes: Uint8Array): Transaction {
    const psbt = this.#withCoins(parsePsbt(bytes));
    const signed = this.#signWhole(method, psbt);
    this.coins.lend(signed.inputs);
    return signed;
  }

  #signWhole(method: string, psbt: Psbt): Transaction {
    const anchor = this.#findAnchor(psbt);
    if (anchor !== null) return this.#signWithAnchor(method, psbt, anchor);
    if (this.#bumping !== null) return this.#signBesideHtlcs(method, psbt, this.#bumping);
    return this.signWallet(method, psbt).tx;
  }

  /** sign_withdrawal (7). `others`: outputs of closed channels that belong to the wallet. */
  signWallet(method: string, psbt: Psbt, others: readonly HsmUtxo[] = []): SignedWallet {
    const named = new Set(others.map(({ outpoint }) => outPointToString(outpoint)));
    const inputs = [
      ...this.#utxos(psbt).filter(({ outpoint }) => !named.has(outPointToString(outpoint))),
      ...others,
    ];
    const answer = replyOf(
      this.#client.ask<'hsmd_sign_withdrawal'>(method, null, { name: 'hsmd_sign_withdrawal', inputs, psbt }),
    );
    return { psbt: answer.psbt, tx: this.#withWitnesses(answer.psbt) };
  }

  #signBesideHtlcs(method: string, psbt: Psbt, channelKeysId: Uint8Array): Transaction {
    this.#remember(psbt);
    const inputs = this.#utxos(psbt);
    if (inputs.length === 0) return psbt.unsignedTx;
    const answer = replyOf(
      this.#client.ask<'hsmd_sign_htlc_tx_mingle'>(method, null, {
        name: 'hsmd_sign_htlc_tx_mingle',
        peerid: channelName(channelKeysId),
        channelDbid: CHANNEL_DBID,
        inputs,
        psbt,
      }),
    );
    return this.#withWitnesses(answer.psbt);
  }

  #findAnchor(psbt: Psbt): { readonly state: ChannelState; readonly input: number } | null {
    for (const state of this.#book.all()) {
      if (state.keys === null) continue;
      const script = p2wshOfScript(anchorScript(state.keys.funding));
      const input = psbt.inputs.findIndex((_, index) => {
        const spent = psbtWitnessUtxo(psbt, index);
        return spent !== undefined && equalBytes(spent.script, script);
      });
      if (input !== -1) return { state, input };
    }
    return null;
  }

  #signWithAnchor(
    method: string,
    psbt: Psbt,
    { state, input }: { readonly state: ChannelState; readonly input: number },
  ): Transaction {
    const described = describeAnchor(psbt, input, state.keys?.funding ?? new Uint8Array(0));
    const signed = this.#askAnchor(method, state, described);
    this.#noteAnchor(signed, input, state);
    return this.#withWitnesses(signed);
  }

  /** sign_anchorspend (147) for the anchor at `input`, and whatever of the wallet is beside it. */
  signAnchor(method: string, state: ChannelState, psbt: Psbt, input: number): Uint8Array {
    const signed = this.#askAnchor(method, state, psbt);
    return this.#noteAnchor(signed, input, state);
  }

  #askAnchor(method: string, state: ChannelState, psbt: Psbt): Psbt {
    const answer = replyOf(
      this.#client.ask<'hsmd_sign_anchorspend'>(method, null, {
        name: 'hsmd_sign_anchorspend',
        peerid: channelName(state.keysId),
        channelDbid: CHANNEL_DBID,
        inputs: this.#utxos(psbt),
        psbt,
      }),
    );
    return answer.psbt;
  }

  #noteAnchor(signed: Psbt, input: number, { keys }: ChannelState): Uint8Array {
    const found = psbtPartialSigs(signed, input).find(
      ({ publicKey }) => keys !== null && equalBytes(publicKey, keys.funding),
    );
    if (found === undefined) throw new Error('the signer left the anchor unsigned');
    const { signature } = decodeScriptSignature(found.signature);
    bounded(this.#anchorSignatures, toHex(txid(signed.unsignedTx)), signature);
    return signature;
  }

  #remember(psbt: Psbt): void {
    bounded(this.#described, keyOf(psbt.unsignedTx), psbt);
  }

  /** What the wallet's inputs spend, with the transactions that prove it. */
  #withCoins(psbt: Psbt): Psbt {
    return psbt.unsignedTx.inputs.reduce((described, _, index) => this.prove(described, index), psbt);
  }

  /** The transaction that this input spends, where the wallet has it. */
  prove(psbt: Psbt, index: number): Psbt {
    const input = psbt.unsignedTx.inputs[index];
    const coin = input === undefined ? undefined : this.coins.find(input);
    if (coin === undefined) return psbt;
    const spent = setPsbtWitnessUtxo(psbt, index, coin.output);
    return setPsbtInputField(spent, index, PSBT_IN.NON_WITNESS_UTXO, coin.previous);
  }

  #utxos(psbt: Psbt): HsmUtxo[] {
    return psbt.unsignedTx.inputs.flatMap((input, index) => {
      const coin = this.coins.find(input);
      if (coin !== undefined) return [utxoOf(input, coin.output.value, coin.keyIndex, coin.output.script)];
      const spent = psbtWitnessUtxo(psbt, index);
      const keyIndex = spent === undefined ? undefined : this.keys.indexOf(spent.script);
      return spent === undefined || keyIndex === undefined
        ? []
        : [utxoOf(input, spent.value, keyIndex, spent.script)];
    });
  }

  #withWitnesses(psbt: Psbt): Transaction {
    const inputs = psbt.unsignedTx.inputs.map((input, index) => {
      const spent = psbtWitnessUtxo(psbt, index);
      const keyIndex = spent === undefined ? undefined : this.keys.indexOf(spent.script);
      if (keyIndex === undefined) return input;
      const publicKey = this.keys.publicKey(keyIndex);
      const own = psbtPartialSigs(psbt, index).find((one) => equalBytes(one.publicKey, publicKey));
      return own === undefined ? input : { ...input, witness: [own.signature, publicKey] };
    });
    return { ...psbt.unsignedTx, inputs };
  }
}

function bounded<V>(map: Map<string, V>, key: string, value: V): void {
  map.set(key, value);
  const [oldest] = map.keys();
  if (map.size > REMEMBERED_MAX && oldest !== undefined) map.delete(oldest);
}

export function utxoOf(outpoint: OutPoint, amount: Sat, keyindex: number, scriptPubkey: Uint8Array): HsmUtxo {
  return {
    outpoint: { txid: outpoint.txid, vout: outpoint.vout },
    amount,
    keyindex,
    isP2sh: false,
    scriptPubkey,
    closeInfo: undefined,
    isInCoinbase: false,
  };
}
