/**
 * Remedies as whoever publishes them meets them: signed, judged by an independent interpreter, their fees and locks by the
 * outputs they really spend, and put into blocks one after the other until nothing is left to do.
 */
import {
  outPointToString,
  parseTransaction,
  type Transaction,
  type TxOutput,
  toHex,
  txid,
  weight,
} from '@countersign/bitcoin';
import { EMPTY_PAYMENT, paymentRecords } from '@countersign/core';
import { expect } from 'vitest';
import { signRemedy } from '../src/keys/sign-remedy.ts';
import type { Feerates } from '../src/remedies/fee-ladder.ts';
import { remediesOf } from '../src/remedies/plan.ts';
import type { Remedy, RemedyPlan } from '../src/remedies/remedy.ts';
import { hashOf, type ModelHtlc } from './channel-model.ts';
import { CLOSED_AT, ClosingModel } from './closing-model.ts';
import { scriptFault } from './script-interpreter.ts';

export const FEERATES: Feerates = { normalPerKw: 1000, urgentPerKw: 5000 };

/** A closing channel and the transactions of its chain. */
export class RemedyModel extends ClosingModel {
  /** Outputs of everything that could confirm, and where it did. */
  readonly #outputs = new Map<string, { readonly output: TxOutput; readonly heightBlocks: number | null }>();
  feerates = FEERATES;

  know(tx: Transaction, heightBlocks: number | null): this {
    tx.outputs.forEach((output, vout) => {
      this.#outputs.set(outPointToString({ txid: txid(tx), vout }), { output, heightBlocks });
    });
    return this;
  }

  override close(...args: Parameters<ClosingModel['close']>): this {
    super.close(...args);
    return this.know(args[2], args[3] ?? CLOSED_AT);
  }

  override confirm(tx: Transaction, heightBlocks: number): this {
    super.confirm(tx, heightBlocks);
    return this.know(tx, heightBlocks);
  }

  learn(...htlcs: readonly ModelHtlc[]): this {
    for (const htlc of htlcs) {
      const id = toHex(hashOf(htlc));
      this.put(paymentRecords, id, {
        ...(this.get(paymentRecords, id) ?? EMPTY_PAYMENT),
        preimage: htlc.preimage,
      });
    }
    return this;
  }

  plan(heightBlocks = CLOSED_AT): RemedyPlan {
    const { draft, keys, secp, policy } = this.place;
    return remediesOf({ draft, keys, secp, policy, heightBlocks, feerates: this.feerates }, this.id);
  }

  sign(remedy: Remedy): Transaction {
    return parseTransaction(signRemedy(this.channel.signer.ring, remedy));
  }

  /** The plan at that height, every transaction of it signed and judged. */
  judged(heightBlocks = CLOSED_AT): RemedyPlan {
    const plan = this.plan(heightBlocks);
    for (const remedy of plan.remedies) this.know(remedy.transaction, null);
    for (const remedy of plan.remedies) this.#judge(remedy);
    return plan;
  }

  #judge(remedy: Remedy): void {
    const raw = signRemedy(this.channel.signer.ring, remedy);
    const tx = parseTransaction(raw);
    expect(toHex(txid(tx))).toBe(toHex(txid(remedy.transaction)));
    let inSat = 0n;
    tx.inputs.forEach((input, i) => {
      const { output, heightBlocks } = this.#outputs.get(outPointToString(input))!;
      inSat += output.value;
      expect(scriptFault(raw, i, output), `${remedy.kind}, input ${i}`).toBeNull();
      expect(heightBlocks === null, 'after another').toBe(
        remedy.after !== null || remedy.kind === 'commitment',
      );
      const relative = input.sequence < 0x8000_0000 ? input.sequence & 0xffff : 0;
      if (heightBlocks !== null)
        expect(remedy.earliestHeightBlocks + 1 - heightBlocks).toBeGreaterThanOrEqual(relative);
    });
    const outSat = tx.outputs.reduce((sum, { value }) => sum + value, 0n);
    expect(inSat - outSat).toBe(remedy.feeSat);
    expect(tx.version).toBe(2);
    if (remedy.kind !== 'commitment') {
      expect(remedy.earliestHeightBlocks).toBeGreaterThanOrEqual(tx.locktime);
      expect(remedy.valueSat).toBe(outSat);
    }
    // A low-R signature has one byte less than the largest, some few less.
    const slack = remedy.weight - weight(tx);
    expect(slack).toBeGreaterThanOrEqual(0);
    expect(slack).toBeLessThanOrEqual(4 * tx.inputs.length);
    expect(weight(tx)).toBeLessThanOrEqual(400_000);
    if (remedy.isFinal) {
      expect(tx.outputs).toHaveLength(1);
      expect(this.channel.signer.keys.walletIndexOf(tx.outputs[0]!.script, 10)).not.toBeNull();
    }
    if (remedy.bump === 'replace')
      expect(tx.inputs.every(({ sequence }) => sequence <= 0xffff_fffd)).toBe(true);
  }

  /** Publishes what the plans say, block by block, until nothing is left: what came to us and what it cost. */
  carryOut(fromHeightBlocks = CLOSED_AT): {
    readonly savedSat: bigint;
    readonly feesSat: bigint;
    readonly left: RemedyPlan;
  } {
    let [savedSat, feesSat] = [0n, 0n];
    let height = fromHeightBlocks;
    for (;;) {
      const plan = this.judged(height);
      const primary = plan.remedies.filter(({ isFallback, after }) => !isFallback && after === null);
      if (primary.length === 0) return { savedSat, feesSat, left: plan };
      height = Math.max(height, Math.min(...primary.map((one) => one.earliestHeightBlocks)));
      const now = this.judged(height).remedies.filter(
        (one) => !one.isFallback && one.after === null && one.earliestHeightBlocks <= height,
      );
      height += 1;
      for (const remedy of now) {
        this.confirm(this.sign(remedy), height);
        feesSat += remedy.feeSat;
        if (remedy.isFinal) savedSat += remedy.valueSat;
      }
    }
  }
}
