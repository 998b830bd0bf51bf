/** Law 5, spends of the wallet, and wallet money that raises fees. */
import {
  fundingScript,
  hash160,
  PSBT_OUT,
  type Psbt,
  p2wpkhOfKey,
  SIGHASH,
  sat,
  setPsbtSighashType,
  setPsbtWitnessScript,
  toHex,
  txid,
} from '@countersign/bitcoin';
import type { Scenario } from '../attack.ts';
import { opened } from '../channel.ts';
import { psbtWith, spend, toStranger, toWallet, walletCoin, withdrawalOf } from '../wallet.ts';
import { anchorSpend, withOurKey } from './bumps.ts';
import { coin, consolidation, FEE_SAT, KEY_USE, SIGHASH_RULE, UNKNOWN } from './shared.ts';

export const spends: readonly Scenario[] = [
  {
    id: 'A53',
    async run(world) {
      const one = coin(world, 'withdrawn');
      const tx = spend([one.utxo.outpoint], [toStranger(250_000n), toWallet(world.keys, 6, 49_500n)]);
      await world.refused(withdrawalOf(tx, [one]), UNKNOWN);
      await world.refused(withdrawalOf(tx, [one]), UNKNOWN);
      await world.ask(consolidation(world, one));
    },
  },
  {
    id: 'A54',
    async run(world) {
      const one = coin(world, 'approved', 900_000n);
      const stranger = toStranger(100_000n);
      const change = toWallet(world.keys, 6, 799_500n);
      const tx = spend([one.utxo.outpoint], [stranger, change]);
      await world.refused(withdrawalOf(tx, [one]), UNKNOWN);
      await world.operator('approve', { target: toHex(txid(tx).toReversed()) });
      const another = spend(
        [one.utxo.outpoint],
        [stranger, toStranger(50_000n, 'another'), toWallet(world.keys, 6, 749_500n)],
      );
      await world.refused(withdrawalOf(another, [one]), UNKNOWN);
      const twice = spend(
        [one.utxo.outpoint],
        [{ ...stranger, value: sat(200_000n) }, toWallet(world.keys, 6, 699_500n)],
      );
      await world.refused(withdrawalOf(twice, [one]), UNKNOWN);
      // The change goes to fees instead: not the transaction that was approved, and a fee out of range.
      const burnt = spend([one.utxo.outpoint], [stranger, toWallet(world.keys, 6, 99_500n)]);
      await world.refused(withdrawalOf(burnt, [one]), [UNKNOWN, 'policy-onchain-fee-range']);
      await world.ask(withdrawalOf(tx, [one]));
    },
  },
  {
    id: 'A54',
    variant: 'the approved one itself has a fee out of range',
    async run(world) {
      const one = coin(world, 'burnt', 900_000n);
      const tx = spend(
        [one.utxo.outpoint],
        [toStranger(100_000n, 'a payee'), toWallet(world.keys, 6, 99_500n)],
      );
      await world.refused(withdrawalOf(tx, [one]), [UNKNOWN, 'policy-onchain-fee-range']);
      await world.operator('approve', { target: toHex(txid(tx).toReversed()) }).catch(() => null);
      await world.refused(withdrawalOf(tx, [one]), 'policy-onchain-fee-range');
    },
  },
  {
    id: 'A55',
    async run(world) {
      const [a, b] = [coin(world, 'first', 5_000_000n), coin(world, 'second', 5_000_000n, 3)];
      const tx = spend([a.utxo.outpoint, b.utxo.outpoint], [toWallet(world.keys, 6, 5_000_500n)]);
      // Each time one of the amounts is false: together the two signatures spend ten million and pay five.
      for (const [low, high] of [
        [a, b],
        [b, a],
      ] as const) {
        const said = [low, high].map(({ utxo, parent }) => ({
          utxo: utxo === low.utxo ? { ...utxo, amount: sat(1000n) } : utxo,
          parent,
        }));
        const others = new Map(
          tx.inputs.map((_, i) => {
            const value = (i === 0 ? a : b) === low ? sat(1000n) : sat(5_000_000n);
            return [i, { value, script: (i === 0 ? a : b).utxo.scriptPubkey }] as const;
          }),
        );
        const psbt = psbtWith(tx, [], others);
        const inputs = said.map(({ utxo }) => utxo);
        await world.refused(
          { name: 'hsmd_sign_withdrawal', inputs, psbt },
          'policy-onchain-input-amounts-proven',
        );
      }
      await world.ask(consolidation(world, a, b));
    },
  },
  {
    id: 'A56',
    async run(world) {
      const one = coin(world, 'far change');
      const far = 2 ** 31 - 1;
      const script = p2wpkhOfKey(world.keys.walletPublicKey(far)!);
      const tx = spend([one.utxo.outpoint], [{ value: sat(299_500n), script }]);
      const request = withdrawalOf(tx, [one]);
      await world.refused(request, ['policy-onchain-wallet-path-predictable', UNKNOWN]);
      await world.refused(
        { ...request, psbt: withOutputOrigin(request.psbt, 0, world.keys.walletPublicKey(far)!, far) },
        ['policy-onchain-wallet-path-predictable', UNKNOWN],
      );
      world.refusals = world.refusals.map((refusal) => ({
        ...refusal,
        tag: 'policy-onchain-wallet-path-predictable',
      }));
      await world.ask(consolidation(world, one));
    },
  },
  {
    id: 'A64',
    async run(world) {
      const [a, b] = [coin(world, 'first'), coin(world, 'second', 300_000n, 3)];
      const honest = consolidation(world, a, b);
      if (honest.name !== 'hsmd_sign_withdrawal') throw new Error(honest.name);
      const types = [SIGHASH.NONE, SIGHASH.SINGLE, 0x81, 0x82, 0x83, 0x04, 0x101];
      for (const input of [0, 1])
        for (const type of types)
          await world.refused(
            { ...honest, psbt: setPsbtSighashType(honest.psbt, input, type) },
            SIGHASH_RULE,
          );
      await world.ask({ ...honest, psbt: setPsbtSighashType(honest.psbt, 0, SIGHASH.ALL) });
    },
  },
  {
    id: 'A64',
    variant: 'taproot, and an anchor spend',
    async run(world) {
      const one = walletCoin(world.keys, 2, 300_000n, world.unique('taproot'), 'p2tr');
      const request = consolidation(world, one);
      if (request.name !== 'hsmd_sign_withdrawal') throw new Error(request.name);
      for (const type of [SIGHASH.NONE, SIGHASH.SINGLE, 0x81, 0x83])
        await world.refused({ ...request, psbt: setPsbtSighashType(request.psbt, 0, type) }, SIGHASH_RULE);
      await world.ask(request);
      const channel = await opened(world);
      const anchor = await anchorSpend(channel, coin(world, 'fee'));
      for (const type of [SIGHASH.NONE, 0x81, 0x83]) {
        await channel.refused({ ...anchor, psbt: setPsbtSighashType(anchor.psbt, 0, type) }, SIGHASH_RULE);
        await channel.refused({ ...anchor, psbt: setPsbtSighashType(anchor.psbt, 1, type) }, SIGHASH_RULE);
      }
      await channel.ask(anchor);
    },
  },
  {
    id: 'A65',
    async run(world) {
      const channel = await opened(world);
      const { model, funding } = channel;
      const one = coin(world, 'fee');
      const outputs = [toWallet(world.keys, 6, one.utxo.amount + funding.valueSat - FEE_SAT)];
      const tx = spend([one.utxo.outpoint, funding.outpoint], outputs);
      const others = new Map([[1, model.fundingOutput(funding)]]);
      const psbt = withOurKey(psbtWith(tx, [one], others), 1, model.holderFundingKey);
      const script = fundingScript(model.holderFundingKey, funding.peerKey);
      const { peerId: peerid, dbid: channelDbid } = model.ref;
      for (const one of [psbt, setPsbtWitnessScript(psbt, 1, script)]) {
        const inputs = [coin(world, 'fee').utxo];
        await channel.refused(
          { name: 'hsmd_sign_anchorspend', peerid, channelDbid, inputs, psbt: one },
          KEY_USE,
        );
      }
      // As a coin of the wallet, which it is not.
      const { value: amount, script: scriptPubkey } = model.fundingOutput();
      const claimed = { ...one.utxo, outpoint: funding.outpoint, amount, scriptPubkey };
      await channel.refused({ name: 'hsmd_sign_withdrawal', inputs: [one.utxo, claimed], psbt }, KEY_USE);
      await channel.goesOn();
    },
  },
];

/** The PSBT says at which index of the wallet an output lies. */
function withOutputOrigin(psbt: Psbt, index: number, publicKey: Uint8Array, keyindex: number): Psbt {
  const path = Uint8Array.from([...hash160(publicKey).subarray(0, 4), 0, 0, 0, 0]);
  new DataView(path.buffer).setUint32(4, keyindex, true);
  const entry = { type: PSBT_OUT.BIP32_DERIVATION, keyData: publicKey, value: path };
  return { ...psbt, outputs: psbt.outputs.with(index, [entry, ...psbt.outputs[index]!]) };
}
