/**
 * Whatever is said of a transaction with several inputs, in whatever order, by whatever requests: once all its inputs are truly
 * signed, its true fee is one that the limits allow (`policy-sweep-fee-range`, `policy-onchain-input-amounts-proven`).
 */
import {
  deriveRevocationPublicKey,
  p2wshOfScript,
  sat,
  type Transaction,
  type TxOutput,
  toLocalScript,
} from '@countersign/bitcoin';
import type { Request } from '@countersign/wire';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { input, psbtOf, wireTx } from './channel-model.ts';
import { coin, hubChannel, own } from './spending-model.ts';
import { bytesOf, secp } from './test-signer.ts';
import { spentBy, withdrawal } from './wallet-model.ts';

const FEERATE_MAX_PER_KW = 20_000;
const WEIGHT_MAX = 3_000;

/** What one request says of the amounts: of each input its true amount, a smaller, a larger one, or nothing. */
const saying = fc.constantFrom('true', 'true', 'true', 'less', 'more', 'nothing');

const game = fc.record({
  /** Swept outputs; the wallet's stands behind them. */
  amountsSat: fc.array(fc.integer({ min: 1_000, max: 400_000 }), { minLength: 1, maxLength: 3 }),
  walletSat: fc.option(fc.constantFrom(50_000, 300_000), { nil: undefined }),
  /** Of all that comes in. */
  outPercent: fc.oneof(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 80, max: 100 })),
  asks: fc.array(fc.record({ at: fc.nat(3), says: fc.array(saying, { minLength: 4, maxLength: 4 }) }), {
    minLength: 4,
    maxLength: 16,
  }),
});

it('policy-sweep-fee-range: passes no set of requests that makes a transaction valid with a fee above the limit', () => {
  const counts = { complete: 0, refused: 0 };
  fc.assert(
    fc.property(game, ({ amountsSat, walletSat, outPercent, asks }) => {
      const channel = hubChannel({}, { limits: { onchainFeerateMaxPerKw: FEERATE_MAX_PER_KW } });
      const { model, signer } = channel;
      const secret = model.peerPerCommitmentSecret(0);
      const keys = {
        revocation: deriveRevocationPublicKey(secp, model.holder.revocation, secp.publicKey(secret)),
        broadcasterDelayed: model.build('counterparty', 0, model.initial).keys.broadcasterDelayed,
      };
      const wscript = toLocalScript(keys, 720);
      const script = p2wshOfScript(wscript);
      const wallet = walletSat === undefined ? undefined : coin(signer, BigInt(walletSat));
      const spent: TxOutput[] = amountsSat.map((one) => ({ value: sat(BigInt(one)), script }));
      if (wallet !== undefined) spent.push(spentBy(wallet));
      const totalSat = spent.reduce((sum, { value }) => sum + value, 0n);
      const outSat = (totalSat * BigInt(outPercent)) / 100n;
      const tx: Transaction = {
        version: 2,
        inputs: spent.map((_, i) =>
          input(
            wallet !== undefined && i === spent.length - 1
              ? wallet.outpoint
              : { txid: bytesOf(`${i}`), vout: i },
          ),
        ),
        outputs: [own(signer, 2, outSat)],
        locktime: 0,
      };
      const signed = new Set<number>();
      for (const { at, says } of asks) {
        const index = at % spent.length;
        const said = spent.map((one, i) => {
          if (says[i] === 'nothing') return undefined;
          if (says[i] === 'true') return one;
          return { ...one, value: sat(says[i] === 'less' ? one.value / 9n + 1n : one.value * 3n) };
        });
        const isWallet = wallet !== undefined && index === spent.length - 1;
        const request: Request = isWallet
          ? withdrawal([{ ...wallet, amount: said[index]?.value ?? wallet.amount }], psbtOf(tx, said))
          : {
              name: 'hsmd_sign_any_penalty_to_us',
              revocationSecret: secret,
              tx: wireTx(tx, said),
              wscript,
              input: index,
              peerid: model.ref.peerId,
              channelDbid: model.ref.dbid,
            };
        const decision = signer.decide(request, signer.clientFor(request, model.ref));
        if (decision.kind === 'refused') {
          counts.refused += 1;
          continue;
        }
        signer.state.apply(decision.changes);
        // With another amount than the output has, the signature is none that the chain takes.
        const amount = isWallet ? (said[index]?.value ?? wallet.amount) : said[index]?.value;
        if (amount === spent[index]!.value) signed.add(index);
      }
      if (signed.size < spent.length) return;
      counts.complete += 1;
      const feeMaxSat = BigInt(Math.floor((FEERATE_MAX_PER_KW * WEIGHT_MAX) / 1000));
      expect(totalSat - outSat).toBeLessThanOrEqual(feeMaxSat);
    }),
    { numRuns: 150 },
  );
  expect(counts.complete).toBeGreaterThan(0);
  expect(counts.refused).toBeGreaterThan(5);
});
