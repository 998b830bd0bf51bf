/** Transaction ids, weights, script hashes and signature hashes against bitcoinjs-lib and @scure/btc-signer. */
import { RawTx, Transaction as ScureTransaction } from '@scure/btc-signer';
import { Transaction as BitcoinJsTransaction, payments } from 'bitcoinjs-lib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  broadcasterHtlcHash,
  buildCommitment,
  buildHtlcTransactions,
  buildLegacyClosing,
  buildSimpleClosing,
  countersignatoryHtlcHash,
  countersignatoryHtlcSighash,
  fundingScript,
  fundingSighash,
  SIGHASH,
  sat,
  serializeTransaction,
  type Transaction,
  toHex,
  txid,
  txidToHex,
  weight,
} from '../src/index.ts';
import {
  arbitraryCommitment,
  channel,
  FUNDING_SAT,
  keys,
  localFundingKey,
  remoteFundingKey,
} from './bolt3-channel.ts';

const script = fundingScript(localFundingKey, remoteFundingKey);
const runs = { numRuns: 60 };

const inBitcoinJs = (tx: Transaction): BitcoinJsTransaction =>
  BitcoinJsTransaction.fromBuffer(Buffer.from(serializeTransaction(tx)));

function inScure(tx: Transaction): ScureTransaction {
  return ScureTransaction.fromRaw(serializeTransaction(tx), {
    allowUnknownInputs: true,
    allowUnknownOutputs: true,
    disableScriptCheck: true,
  });
}

/** Our hash, bitcoinjs-lib's and scure's of input 0. */
function sighashes(tx: Transaction, witnessScript: Uint8Array, value: bigint, type: number): string[] {
  return [
    toHex(Uint8Array.from(inBitcoinJs(tx).hashForWitnessV0(0, Buffer.from(witnessScript), value, type))),
    toHex(inScure(tx).preimageWitnessV0(0, witnessScript, type, value)),
  ];
}

function expectSameTransaction(tx: Transaction): void {
  const other = inBitcoinJs(tx);
  expect(other.getId()).toBe(txidToHex(txid(tx)));
  expect(other.weight()).toBe(weight(tx));
  expect(toHex(Uint8Array.from(other.toBuffer()))).toBe(toHex(serializeTransaction(tx)));
  expect(RawTx.decode(serializeTransaction(tx)).outputs).toEqual(
    tx.outputs.map(({ value, script: to }) => ({ amount: value, script: to })),
  );
}

const p2wshOf = (witnessScript: Uint8Array): string =>
  toHex(Uint8Array.from(payments.p2wsh({ redeem: { output: Buffer.from(witnessScript) } }).output!));
const p2wpkhOf = (key: Uint8Array): string =>
  toHex(Uint8Array.from(payments.p2wpkh({ pubkey: Buffer.from(key) }).output!));

describe('random commitments', () => {
  const withOutputs = arbitraryCommitment.filter((params) => buildCommitment(params).outputs.length > 0);

  it('have the ids, bytes and weights other libraries give them', () => {
    fc.assert(
      fc.property(withOutputs, (params) => expectSameTransaction(buildCommitment(params).transaction)),
      runs,
    );
  });
  it('have the signature hash other libraries compute', () => {
    fc.assert(
      fc.property(withOutputs, (params) => {
        const { transaction } = buildCommitment(params);
        const hash = toHex(fundingSighash(transaction, script, FUNDING_SAT));
        expect(sighashes(transaction, script, FUNDING_SAT, SIGHASH.ALL)).toEqual([hash, hash]);
      }),
      runs,
    );
  });
  it('pay to the hashes of their witness scripts and keys', () => {
    fc.assert(
      fc.property(withOutputs, (params) => {
        for (const output of buildCommitment(params).outputs)
          expect(toHex(output.script)).toBe(
            output.witnessScript === null
              ? p2wpkhOf(keys.countersignatoryPayment)
              : p2wshOf(output.witnessScript),
          );
      }),
      runs,
    );
  });
  it('have HTLC transactions with the same ids, weights and signature hashes', () => {
    fc.assert(
      fc.property(withOutputs, (params) => {
        const { transaction, htlcs } = buildCommitment(params);
        const commitmentTxid = txid(transaction);
        for (const tx of buildHtlcTransactions({ ...params, commitmentTxid }, htlcs)) {
          expectSameTransaction(tx.transaction);
          const { witnessScript } = tx.spent;
          for (const [type, hash] of [
            [countersignatoryHtlcSighash(params.format), countersignatoryHtlcHash(tx, params.format)],
            [SIGHASH.ALL, broadcasterHtlcHash(tx)],
          ] as const)
            expect(sighashes(tx.transaction, witnessScript, tx.spentSat, type)).toEqual([
              toHex(hash),
              toHex(hash),
            ]);
        }
      }),
      { numRuns: 30 },
    );
  });
});

describe('closing transactions', () => {
  it('have the ids and signature hashes other libraries compute', () => {
    const ours = {
      balanceMsat: channel.toBroadcasterMsat,
      script: fundingScript(localFundingKey, localFundingKey),
    };
    const theirs = {
      balanceMsat: channel.toCountersignatoryMsat,
      script: Uint8Array.of(0x51, 0x20, ...new Uint8Array(32)),
    };
    const { funding } = channel;
    const results = [
      buildLegacyClosing({ funding, funder: ours, fundee: theirs, feeSat: sat(300), dustLimitSat: sat(546) }),
      buildSimpleClosing({
        funding,
        closer: ours,
        closee: theirs,
        feeSat: sat(300),
        locktime: 800_000,
        outputs: 'both',
      }),
    ];
    for (const result of results) {
      if (!result.ok) throw new Error(result.reason);
      expectSameTransaction(result.transaction);
      const hash = toHex(fundingSighash(result.transaction, script, FUNDING_SAT));
      expect(sighashes(result.transaction, script, FUNDING_SAT, SIGHASH.ALL)).toEqual([hash, hash]);
    }
  });
});
