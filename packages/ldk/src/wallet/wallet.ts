/**
 * The wallet as an application uses it: addresses, balance, fundings of channels, payments, and LDK's source of coins. All keys
 * are the signer's; what is spent for anything but channels and fees needs the operator's word.
 */
import {
  createPsbt,
  PSBT_IN,
  type Psbt,
  type Sat,
  serializeTransaction,
  setPsbtInputField,
  setPsbtWitnessUtxo,
  toHex,
  txid,
} from '@countersign/bitcoin';
import type { MessageOf } from '@countersign/wire';
import {
  type CoinSelectionSource,
  type Logger,
  OutPoint,
  Result_CVec_UtxoZNoneZ,
  Result_CVec_u8ZNoneZ,
  Result_TransactionNoneZ,
  TxOut,
  Utxo,
  Wallet,
  WalletSource,
} from 'lightningdevkit';
import type { SignerClient } from '../client.ts';
import { answered, replyOf } from '../signer/answers.ts';
import type { Coin } from './coin-book.ts';
import { buildPayment, P2WPKH_WITNESS_WEIGHT, type UnsignedPayment } from './payment.ts';
import { utxoOf, type WalletSigner } from './wallet-signer.ts';

/** The output that a channel’s funding transaction is to have. */
export interface FundingOrder {
  readonly script: Uint8Array;
  readonly valueSat: bigint;
  readonly feeratePerKw: number;
}

/** Where that output will be once the transaction is signed and published. */
export interface UnsignedFunding {
  /** Internal byte order. */
  readonly txid: Uint8Array;
  readonly vout: number;
}

/** An empty scriptSig's length beside the witness. */
const SATISFACTION_WEIGHT = BigInt(4 + P2WPKH_WITNESS_WEIGHT);
const PAYMENTS_MAX = 256;
/** BIP 125: may be replaced. */
const SEQUENCE = 0xffff_fffd;

/** The wallet of an LDK node whose keys the signer holds. */
export class LdkWallet {
  readonly #client: SignerClient;
  readonly #signer: WalletSigner;
  readonly #payments = new Map<string, UnsignedPayment>();
  #nextIndex: number;
  #change: Uint8Array | null = null;

  constructor(client: SignerClient, signer: WalletSigner, firstIndex: number) {
    this.#client = client;
    this.#signer = signer;
    this.#nextIndex = firstIndex;
  }

  get heightBlocks(): number {
    return this.#signer.coins.heightBlocks;
  }

  /** The lowest index not handed out: `walletIndex` of the next life. */
  get nextIndex(): number {
    return this.#nextIndex;
  }

  /** A new address of the wallet, as a script. */
  receiveScript(): Uint8Array {
    const index = this.#nextIndex++;
    const script = this.#signer.keys.script(index);
    // The signer counts an address as ours up to a window above the highest that was handed out.
    const pubkey = this.#signer.keys.publicKey(index);
    replyOf(
      this.#client.ask<'hsmd_check_pubkey'>('receive', null, { name: 'hsmd_check_pubkey', index, pubkey }),
    );
    return script;
  }

  /** The same for the life of this object, so that a sweep made again pays the same script. */
  changeScript(): Uint8Array {
    this.#change ??= this.receiveScript();
    return this.#change;
  }

  balanceSat(): bigint {
    return this.#signer.coins.balanceSat();
  }

  /** Confirmed and free. */
  spendable(): readonly Coin[] {
    return this.#signer.coins.spendable();
  }

  /** All of one coin to a script, as the signer is asked for it (sign_withdrawal). */
  withdrawal(coin: Coin, script: Uint8Array, feeSat: bigint): MessageOf<'hsmd_sign_withdrawal'> {
    const { outpoint, output, keyIndex } = coin;
    const input = { ...outpoint, scriptSig: new Uint8Array(0), sequence: SEQUENCE, witness: [] };
    const outputs = [{ value: (output.value - feeSat) as Sat, script }];
    const psbt = describeCoins(createPsbt({ version: 2, inputs: [input], outputs, locktime: 0 }), [coin]);
    const inputs = [utxoOf(outpoint, output.value, keyIndex, output.script)];
    return { name: 'hsmd_sign_withdrawal', inputs, psbt };
  }

  owns(script: Uint8Array): boolean {
    return this.#signer.keys.indexOf(script) !== undefined;
  }

  blockConnected(raw: Uint8Array, heightBlocks: number): void {
    this.#signer.coins.blockConnected(raw, heightBlocks);
  }

  blockDisconnected(heightBlocks: number): void {
    this.#signer.coins.blockDisconnected(heightBlocks);
  }

  /** Unsigned: the signer signs a funding only once it has the first commitment. Null when the coins do not suffice. */
  buildFunding({ script, valueSat, feeratePerKw }: FundingOrder): UnsignedFunding | null {
    const { coins } = this.#signer;
    const payment = buildPayment(coins.free(), {
      outputs: [{ script, value: valueSat as Sat }],
      changeScript: this.changeScript(),
      feeratePerKw,
      locktime: 0,
    });
    if (payment === null) return null;
    return { txid: this.#reserve(payment), vout: 0 };
  }

  /** Its coins are for nothing else until a block spends them, or it is dropped. */
  #reserve(payment: UnsignedPayment): Uint8Array {
    this.#signer.coins.reserve(payment.coins.map(({ outpoint }) => outpoint));
    const id = txid(payment.tx);
    this.#payments.set(toHex(id), payment);
    const [oldest] = this.#payments.keys();
    if (this.#payments.size > PAYMENTS_MAX && oldest !== undefined) this.#drop(oldest);
    return id;
  }

  /** For `FundingTxBroadcastSafe`: the transaction to publish. Null when it is none of ours, or the signer refused. */
  signFunding(id: Uint8Array): Uint8Array | null {
    const payment = this.#payments.get(toHex(id));
    return payment === undefined ? null : this.#sign('sign_funding', payment);
  }

  /** The channel did not come about, or the payment will not confirm: its coins are free again. `id`: internal byte order. */
  dropFunding(id: Uint8Array): void {
    this.#drop(toHex(id));
  }

  #drop(key: string): void {
    const payment = this.#payments.get(key);
    this.#payments.delete(key);
    if (payment !== undefined) this.#signer.coins.release(payment.coins.map(({ outpoint }) => outpoint));
  }

  /** Pays a script. The operator's approval, or an entry of the allowlist, is the signer's condition. */
  pay(order: FundingOrder): Uint8Array | null {
    const payment = buildPayment(this.#signer.coins.free(), {
      outputs: [{ script: order.script, value: order.valueSat as Sat }],
      changeScript: this.changeScript(),
      feeratePerKw: order.feeratePerKw,
      locktime: 0,
    });
    const signed = payment === null ? null : this.#sign('pay', payment);
    if (payment !== null && signed !== null) this.#reserve(payment);
    return signed;
  }

  #sign(method: string, { tx, coins }: UnsignedPayment): Uint8Array | null {
    const psbt = describeCoins(createPsbt(tx), coins);
    return answered<Uint8Array | null>({
      client: this.#client,
      method,
      channelKeysId: null,
      work: () => serializeTransaction(this.#signer.signWallet(method, psbt).tx),
      otherwise: () => null,
    });
  }

  /** For `BumpTransactionEventHandler`. */
  coinSelection(logger: Logger): CoinSelectionSource {
    return Wallet.constructor_new(this.walletSource(), logger).as_CoinSelectionSource();
  }

  walletSource(): WalletSource {
    const guarded = <T>(method: string, work: () => T, otherwise: () => T): T =>
      answered({ client: this.#client, method, channelKeysId: null, work, otherwise });
    return WalletSource.new_impl({
      list_confirmed_utxos: () =>
        guarded(
          'list_confirmed_utxos',
          () => Result_CVec_UtxoZNoneZ.constructor_ok(this.#utxos()),
          () => Result_CVec_UtxoZNoneZ.constructor_err(),
        ),
      get_change_script: () =>
        guarded(
          'get_change_script',
          () => Result_CVec_u8ZNoneZ.constructor_ok(this.changeScript()),
          () => Result_CVec_u8ZNoneZ.constructor_err(),
        ),
      sign_psbt: (psbt) =>
        guarded(
          'sign_psbt',
          () =>
            Result_TransactionNoneZ.constructor_ok(
              serializeTransaction(this.#signer.signPsbt('sign_psbt', psbt)),
            ),
          () => Result_TransactionNoneZ.constructor_err(),
        ),
    });
  }

  #utxos(): Utxo[] {
    return this.#signer.coins
      .spendable()
      .map(({ outpoint, output }) =>
        Utxo.constructor_new(
          OutPoint.constructor_new(outpoint.txid, outpoint.vout),
          TxOut.constructor_new(output.value, output.script),
          SATISFACTION_WEIGHT,
        ),
      );
  }
}

/** What the inputs spend, in the order of the coins, and the transactions that prove it. */
function describeCoins(psbt: Psbt, coins: readonly Coin[]): Psbt {
  return coins.reduce(
    (described, { output, previous }, index) =>
      setPsbtInputField(
        setPsbtWitnessUtxo(described, index, output),
        index,
        PSBT_IN.NON_WITNESS_UTXO,
        previous,
      ),
    psbt,
  );
}
