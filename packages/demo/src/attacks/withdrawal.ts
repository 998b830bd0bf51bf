/**
 * The wallet as a thief in the node sees it: where the coins are is public, their keys are not there. Makes the transaction that
 * would take them all.
 */
import {
  createPsbt,
  PSBT_IN,
  type Sat,
  type Secp256k1,
  sat,
  setPsbtInputField,
  setPsbtWitnessUtxo,
} from '@countersign/bitcoin';
import { buildPayment, CoinBook, WalletKeys } from '@countersign/ldk';
import { THIEF_SCRIPT, type WithdrawalToThief } from './attack.ts';

const FEERATE_PER_KW = 1000;
const FEE_ROOM_SAT = 2000n;

export class WalletFromOutside {
  readonly #book: CoinBook;

  /** `extendedKey`: 78 bytes, as the signer hands it to its node. */
  constructor(secp: Secp256k1, extendedKey: Uint8Array) {
    const keys = new WalletKeys(secp, extendedKey);
    this.#book = new CoinBook((script) => keys.indexOf(script));
  }

  blockConnected(raw: Uint8Array, heightBlocks: number): void {
    this.#book.blockConnected(raw, heightBlocks);
  }

  balanceSat(): bigint {
    return this.#book.balanceSat();
  }

  /** Null without coins. */
  withdrawalToThief(): WithdrawalToThief | null {
    const coins = this.#book.spendable();
    const value = coins.reduce((sum, { output }) => sum + output.value, 0n) - FEE_ROOM_SAT;
    if (value < FEE_ROOM_SAT) return null;
    const outputs = [{ value: value as Sat, script: THIEF_SCRIPT }];
    const order = { outputs, changeScript: THIEF_SCRIPT, feeratePerKw: FEERATE_PER_KW, locktime: 0 };
    const payment = buildPayment(coins, order);
    if (payment === null) return null;
    let psbt = createPsbt(payment.tx);
    payment.coins.forEach(({ output, previous }, index) => {
      psbt = setPsbtWitnessUtxo(psbt, index, output);
      psbt = setPsbtInputField(psbt, index, PSBT_IN.NON_WITNESS_UTXO, previous);
    });
    const inputs = payment.coins.map(({ outpoint, output, keyIndex, isCoinbase }) => ({
      outpoint,
      amount: sat(output.value),
      keyindex: keyIndex,
      isP2sh: false,
      scriptPubkey: output.script,
      closeInfo: undefined,
      isInCoinbase: isCoinbase,
    }));
    return { inputs, psbt };
  }
}
