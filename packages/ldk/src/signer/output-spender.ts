/**
 * LDK's `OutputSpender`: what closed channels left to us, in one transaction to the wallet. LDK builds it unsigned; wallet coins
 * and to_remote outputs are signed in one request, each output that was delayed in one of its own.
 */
import {
  derivePublicKey,
  encodeScriptSignature,
  equalBytes,
  outPointToString,
  type Psbt,
  p2wpkhOfKey,
  p2wshOfScript,
  parsePsbt,
  psbtPartialSigs,
  type Sat,
  type Secp256k1,
  serializeTransaction,
  setPsbtWitnessUtxo,
  type Transaction,
  toLocalScript,
  toRemoteAnchoredScript,
} from '@countersign/bitcoin';
import type { HsmUtxo } from '@countersign/wire';
import {
  type DelayedPaymentOutputDescriptor,
  type OutPoint,
  OutputSpender,
  Result_C2Tuple_CVec_u8Zu64ZNoneZ_OK,
  Result_TransactionNoneZ,
  type SpendableOutputDescriptor,
  SpendableOutputDescriptor_DelayedPaymentOutput,
  SpendableOutputDescriptor_StaticOutput,
  SpendableOutputDescriptor_StaticPaymentOutput,
  type StaticPaymentOutputDescriptor,
  type TxOut,
  UtilMethods,
} from 'lightningdevkit';
import { CHANNEL_DBID, channelName, type SignerClient } from '../client.ts';
import { utxoOf, type WalletSigner } from '../wallet/wallet-signer.ts';
import { answered, orRefused, replyOf } from './answers.ts';
import type { ChannelBook } from './channel-book.ts';
import { type ChannelState, readParameters } from './channel-state.ts';

export interface SpenderParts {
  readonly client: SignerClient;
  readonly book: ChannelBook;
  readonly secp: Secp256k1;
  readonly wallet: WalletSigner;
  readonly onDeferred: () => void;
}

type Spend = Parameters<OutputSpender['spend_spendable_outputs']>;

/** How an input is claimed, and what its witness becomes. */
interface Claim {
  readonly utxo: HsmUtxo | null;
  /** Signs where that takes a request of its own. */
  readonly sign: ((tx: Transaction, psbt: Psbt, input: number) => Uint8Array[]) | null;
  /** Of what the PSBT came back with. */
  readonly witness: (signed: Psbt, input: number) => Uint8Array[];
}

const METHOD = 'spend_spendable_outputs';
const SIGHASH_ALL = 0x01;
const NOTHING = new Uint8Array(0);
/** LDK tells the point of the commitment and not its number: points up to here are tried when it is not remembered. */
const NUMBERS_TRIED_MAX = 100_000n;

export function outputSpender(parts: SpenderParts): OutputSpender {
  const spender = new Spender(parts);
  return OutputSpender.new_impl({
    spend_spendable_outputs: (...spend) =>
      answered({
        client: parts.client,
        method: METHOD,
        channelKeysId: null,
        work: () => Result_TransactionNoneZ.constructor_ok(spender.spend(spend)),
        otherwise: () => {
          parts.onDeferred();
          return Result_TransactionNoneZ.constructor_err();
        },
      }),
  });
}

class Spender {
  readonly #parts: SpenderParts;

  constructor(parts: SpenderParts) {
    this.#parts = parts;
  }

  spend([descriptors, outputs, change, feerate, locktime]: Spend): Uint8Array {
    const made = UtilMethods.constructor_SpendableOutputDescriptor_create_spendable_outputs_psbt(
      descriptors,
      outputs,
      change,
      feerate,
      locktime,
    );
    if (!(made instanceof Result_C2Tuple_CVec_u8Zu64ZNoneZ_OK))
      throw new Error('LDK cannot build the transaction: too little is left after its fee');
    const claims = new Map(descriptors.map((one) => [outpointOf(one), this.#claimOf(one)]));
    const psbt = this.#describe(parsePsbt(made.res.get_a()), claims);
    const utxos = [...claims.values()].flatMap(({ utxo }) => utxo ?? []);
    const signed = utxos.length === 0 ? psbt : this.#parts.wallet.signWallet(METHOD, psbt, utxos).psbt;
    const { unsignedTx } = psbt;
    const inputs = unsignedTx.inputs.map((input, index) => {
      const claim = claims.get(outPointToString(input));
      if (claim === undefined) throw new Error('LDK spends an output that it did not name');
      const witness = claim.sign?.(unsignedTx, psbt, index) ?? claim.witness(signed, index);
      return { ...input, witness };
    });
    this.#parts.wallet.coins.lend(inputs);
    return serializeTransaction({ ...unsignedTx, inputs });
  }

  /** What each input spends; the wallet's coins with the transactions that prove them. */
  #describe(psbt: Psbt, claims: ReadonlyMap<string, Claim>): Psbt {
    return psbt.unsignedTx.inputs.reduce((described, input, index) => {
      const utxo = claims.get(outPointToString(input))?.utxo;
      if (utxo === null || utxo === undefined) return described;
      const output = { value: utxo.amount, script: utxo.scriptPubkey };
      return this.#parts.wallet.prove(setPsbtWitnessUtxo(described, index, output), index);
    }, psbt);
  }

  #claimOf(descriptor: SpendableOutputDescriptor): Claim {
    if (descriptor instanceof SpendableOutputDescriptor_StaticOutput)
      return this.#claimWallet(descriptor.outpoint, descriptor.output);
    if (descriptor instanceof SpendableOutputDescriptor_StaticPaymentOutput)
      return this.#claimToRemote(descriptor.static_payment_output);
    if (descriptor instanceof SpendableOutputDescriptor_DelayedPaymentOutput)
      return this.#claimDelayed(descriptor.delayed_payment_output);
    throw new Error('LDK names an output of a kind that is not known');
  }

  #claimWallet(outpoint: OutPoint, { value, script_pubkey }: TxOut): Claim {
    const { keys } = this.#parts.wallet;
    const index = keys.indexOf(script_pubkey);
    if (index === undefined) throw new Error('an output whose key is none of the wallet’s');
    const publicKey = keys.publicKey(index);
    return {
      utxo: utxoOf(plain(outpoint), value as Sat, index, script_pubkey),
      sign: null,
      witness: (signed, input) => [partialSig(signed, input, publicKey), publicKey],
    };
  }

  /** Our output of a commitment of the peer's. */
  #claimToRemote(descriptor: StaticPaymentOutputDescriptor): Claim {
    const keysId = descriptor.get_channel_keys_id();
    const state = this.#channel(keysId, descriptor.get_channel_value_satoshis());
    const publicKey = state.keys?.basepoints.payment ?? NOTHING;
    const { value, script_pubkey } = descriptor.get_output();
    const isAnchors = !equalBytes(script_pubkey, p2wpkhOfKey(publicKey));
    const utxo: HsmUtxo = {
      ...utxoOf(plain(descriptor.get_outpoint()), value as Sat, 0, script_pubkey),
      closeInfo: {
        channelId: CHANNEL_DBID,
        peerId: channelName(keysId),
        commitmentPoint: undefined,
        optionAnchors: isAnchors,
        csv: 1,
      },
    };
    const last = isAnchors ? toRemoteAnchoredScript(publicKey) : publicKey;
    return { utxo, sign: null, witness: (signed, input) => [partialSig(signed, input, publicKey), last] };
  }

  /** Our own, after its delay: to_local, or the output of an HTLC transaction. */
  #claimDelayed(descriptor: DelayedPaymentOutputDescriptor): Claim {
    const state = this.#channel(descriptor.get_channel_keys_id(), descriptor.get_channel_value_satoshis());
    state.parameters ??= readParameters(descriptor.get_channel_transaction_parameters());
    const point = descriptor.get_per_commitment_point();
    const delayed = derivePublicKey(
      this.#parts.secp,
      state.keys?.basepoints.delayedPayment ?? NOTHING,
      point,
    );
    const revocation = descriptor.get_revocation_pubkey().to_public_key();
    const wscript = toLocalScript(
      { revocation, broadcasterDelayed: delayed },
      descriptor.get_to_self_delay(),
    );
    const value = descriptor.get_output().value as Sat;
    return {
      utxo: null,
      sign: (tx, psbt, input) => {
        const spent = setPsbtWitnessUtxo(psbt, input, { value, script: p2wshOfScript(wscript) });
        const signature = this.#signDelayed(
          state,
          this.#numberOf(state, point),
          { tx, psbt: spent },
          wscript,
          input,
        );
        return [signature, NOTHING, wscript];
      },
      witness: () => [],
    };
  }

  #signDelayed(
    state: ChannelState,
    commitNum: bigint,
    tx: { readonly tx: Transaction; readonly psbt: Psbt },
    wscript: Uint8Array,
    input: number,
  ): Uint8Array {
    orRefused(this.#parts.book.ready(METHOD, state, null));
    const { sig } = replyOf(
      this.#parts.client.ask<'hsmd_sign_any_delayed_payment_to_us'>(METHOD, state.keysId, {
        name: 'hsmd_sign_any_delayed_payment_to_us',
        commitNum,
        tx,
        wscript,
        input,
        peerid: channelName(state.keysId),
        channelDbid: CHANNEL_DBID,
      }),
    );
    return encodeScriptSignature(sig.signature, SIGHASH_ALL);
  }

  #channel(keysId: Uint8Array, valueSat: bigint): ChannelState {
    const state = this.#parts.book.channel(keysId, valueSat);
    if (state.keys === null) throw new Error('the signer could not be asked for the keys of the channel');
    return state;
  }

  #numberOf(state: ChannelState, point: Uint8Array): bigint {
    const known = state.numberOfPoint(point);
    if (known !== undefined) return known;
    for (let n = 0n; n < NUMBERS_TRIED_MAX; n++) {
      const { perCommitmentPoint } = replyOf(
        this.#parts.client.ask<'vls_get_per_commitment_point2'>(METHOD, state.keysId, {
          name: 'vls_get_per_commitment_point2',
          n,
        }),
      );
      if (!equalBytes(perCommitmentPoint, point)) continue;
      state.notePoint(n, point);
      return n;
    }
    throw new Error('none of the first commitments has this point');
  }
}

const plain = (outpoint: OutPoint) => ({ txid: outpoint.get_txid(), vout: outpoint.get_index() });

const outpointOf = (descriptor: SpendableOutputDescriptor): string =>
  outPointToString(plain(descriptor.spendable_outpoint()));

function partialSig(signed: Psbt, input: number, publicKey: Uint8Array): Uint8Array {
  const found = psbtPartialSigs(signed, input).find((one) => equalBytes(one.publicKey, publicKey));
  if (found === undefined) throw new Error('the signer left an input unsigned');
  return found.signature;
}
