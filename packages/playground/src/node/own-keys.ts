/**
 * A node with its keys in its own memory: LDK's KeysManager, which signs what it is asked, and a wallet of one key. The peers of
 * this world are such nodes, and so is the yardstick; a thief who gets hold of one gets all.
 */
import { publicKeyOf, sign } from '@countersign/adversary';
import {
  encodeScriptSignature,
  equalBytes,
  p2pkhScript,
  p2wpkhOfKey,
  parsePsbt,
  type Sat,
  SIGHASH,
  segwitV0Midstate,
  segwitV0Sighash,
  serializeTransaction,
  sha256,
  type Transaction,
  toHex,
  txid as txidOf,
} from '@countersign/bitcoin';
import { buildPayment, CoinBook } from '@countersign/ldk';
import {
  type CoinSelectionSource,
  KeysManager,
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
import type { ConnectedBlock } from '../chain/embedded-chain.ts';
import type { FundingOrder, NodeKeys, NodeWallet, UnsignedFunding } from './keys.ts';

export interface OwnKeys extends NodeKeys {
  readonly manager: KeysManager;
}

/** P2WPKH input: witness of 108, script length, sequence and outpoint are counted by LDK. */
const SATISFACTION_WEIGHT = 4n + 108n;

export class OwnWallet implements NodeWallet {
  readonly #secret: Uint8Array;
  readonly #publicKey: Uint8Array;
  readonly #script: Uint8Array;
  readonly book: CoinBook;
  readonly #fundings = new Map<string, Transaction>();

  constructor(secret: Uint8Array) {
    this.#secret = secret;
    this.#publicKey = publicKeyOf(secret);
    this.#script = p2wpkhOfKey(this.#publicKey);
    this.book = new CoinBook((script) => (equalBytes(script, this.#script) ? 0 : undefined));
  }

  receiveScript(): Uint8Array {
    return this.#script;
  }

  changeScript(): Uint8Array {
    return this.#script;
  }

  balanceSat(): bigint {
    return this.book.balanceSat();
  }

  buildFunding({ script, valueSat, feeratePerKw }: FundingOrder): UnsignedFunding | null {
    const payment = buildPayment(this.book.spendable(), {
      outputs: [{ script, value: valueSat as Sat }],
      changeScript: this.#script,
      feeratePerKw,
      locktime: 0,
    });
    if (payment === null) return null;
    this.book.reserve(payment.coins.map(({ outpoint }) => outpoint));
    const txid = txidOf(payment.tx);
    this.#fundings.set(toHex(txid), payment.tx);
    return { txid, vout: 0 };
  }

  signFunding(txid: Uint8Array): Uint8Array | null {
    const tx = this.#fundings.get(toHex(txid));
    return tx === undefined ? null : serializeTransaction(this.signOwn(tx));
  }

  /** Every input that spends a coin of this wallet. */
  signOwn(tx: Transaction): Transaction {
    const midstate = segwitV0Midstate(tx);
    const scriptCode = p2pkhScript(this.#script.slice(2));
    const inputs = tx.inputs.map((input, index) => {
      const coin = this.book.find(input);
      if (coin === undefined) return input;
      const digest = segwitV0Sighash(midstate, index, scriptCode, coin.output.value, SIGHASH.ALL);
      return {
        ...input,
        witness: [encodeScriptSignature(sign(digest, this.#secret), SIGHASH.ALL), this.#publicKey],
      };
    });
    return { ...tx, inputs };
  }

  coinSelection(logger: Logger): CoinSelectionSource {
    const source = WalletSource.new_impl({
      list_confirmed_utxos: () =>
        Result_CVec_UtxoZNoneZ.constructor_ok(
          this.book
            .spendable()
            .map(({ outpoint, output }) =>
              Utxo.constructor_new(
                OutPoint.constructor_new(outpoint.txid, outpoint.vout),
                TxOut.constructor_new(output.value, output.script),
                SATISFACTION_WEIGHT,
              ),
            ),
        ),
      get_change_script: () => Result_CVec_u8ZNoneZ.constructor_ok(this.#script),
      sign_psbt: (psbt) =>
        Result_TransactionNoneZ.constructor_ok(
          serializeTransaction(this.signOwn(parsePsbt(psbt).unsignedTx)),
        ),
    });
    return Wallet.constructor_new(source, logger).as_CoinSelectionSource();
  }
}

export function ownKeys(seed: Uint8Array, nowSeconds: number): OwnKeys & { readonly wallet: OwnWallet } {
  const manager = KeysManager.constructor_new(seed, BigInt(nowSeconds), 0);
  const wallet = new OwnWallet(sha256(new TextEncoder().encode('a wallet of one key'), seed));
  return {
    manager,
    entropySource: manager.as_EntropySource(),
    nodeSigner: manager.as_NodeSigner(),
    signerProvider: manager.as_SignerProvider(),
    outputSpender: manager.as_OutputSpender(),
    wallet,
    staticOutputsAreWallet: false,
    blockConnected: async ({ raw, heightBlocks }: ConnectedBlock) =>
      wallet.book.blockConnected(raw, heightBlocks),
    preapproveInvoice: () => true,
    preapproveBolt12Invoice: () => true,
    preapproveKeysend: () => true,
    announceChannel: () => {},
    handleBump: (event, handler) => handler.handle_event(event),
    retry: () => {},
    close: async () => {},
  };
}
