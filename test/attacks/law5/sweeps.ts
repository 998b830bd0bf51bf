/** Law 5, sweeps of what a closed channel leaves. */
import { p2wshOfScript, psbtSpentOutput, sat, toLocalScript } from '@countersign/bitcoin';
import type { Request } from '@countersign/wire';
import { retx } from '../../../packages/core/test/channel-model.ts';
import { bytesOf } from '../../../packages/core/test/test-signer.ts';
import type { Scenario } from '../attack.ts';
import { opened } from '../channel.ts';
import { toStranger, toWallet } from '../wallet.ts';
import { anchorSpend, mingle } from './bumps.ts';
import { coin, GENERIC, UNKNOWN } from './shared.ts';

export const sweeps: readonly Scenario[] = [
  {
    id: 'A59',
    async run(world) {
      const channel = await opened(world);
      await channel.ask(channel.model.signCommitment(0, channel.balances));
      const sweep = channel.model.sweepDelayed(0, channel.balances);
      const value = psbtSpentOutput(sweep.tx.psbt, 0)!.value;
      const keeping = (keptSat: bigint) =>
        retx(sweep, (tx) => ({ outputs: [{ ...tx.outputs[0]!, value: sat(keptSat) }] }));
      await channel.refused(keeping(value / 100n), 'policy-sweep-fee-range');
      await channel.refused(keeping(value / 2n - 1n), 'policy-sweep-fee-range');
      await channel.ask(sweep);
    },
  },
  {
    id: 'A60',
    async run(world) {
      const channel = await opened(world);
      const { model } = channel;
      await channel.ask(model.signCommitment(0, channel.balances));
      const sweep = model.sweepDelayed(0, channel.balances);
      const { peerId: peerid, dbid: channelDbid } = model.ref;
      // BIP 68: without the delay in its own sequence the script does not open.
      const early = retx(sweep, (tx) => ({ inputs: [{ ...tx.inputs[0]!, sequence: 0xffff_fffd }] }));
      await channel.refused(early, 'policy-sweep-sequence');
      const two = retx(sweep, (tx) => ({
        inputs: [
          { ...tx.inputs[0]!, txid: bytesOf('another'), sequence: 144 },
          { ...tx.inputs[0]!, sequence: 1 },
        ],
      }));
      const second: Request = {
        ...two,
        name: 'hsmd_sign_any_delayed_payment_to_us',
        input: 1,
        peerid,
        channelDbid,
      };
      await channel.refused(second, ['policy-sweep-sequence', GENERIC]);
      world.refusals = world.refusals.filter(({ tag }) => tag !== GENERIC);
      await channel.ask(sweep);
    },
  },
  {
    id: 'A61',
    variant: 'an anchor spend',
    async run(world) {
      const channel = await opened(world);
      const fee = coin(world, 'fee');
      await channel.refused(await anchorSpend(channel, fee, [toStranger(298_000n)]), UNKNOWN);
      const half = [toStranger(150_000n), toWallet(world.keys, 6, 148_000n)];
      await channel.refused(await anchorSpend(channel, fee, half), UNKNOWN);
      await channel.ask(await anchorSpend(channel, fee));
    },
  },
  {
    id: 'A61',
    variant: 'a mingled HTLC transaction',
    async run(world) {
      const channel = await opened(world);
      await channel.peerOffers(channel.htlc('counterparty', 40_000, 'claimed'));
      const fee = coin(world, 'fee');
      const { ourNumber, balances } = channel;
      await channel.ask(channel.model.signCommitment(ourNumber, balances));
      await channel.refused(mingle(channel, ourNumber, balances, fee, [toStranger(298_000n)]), UNKNOWN);
      await channel.ask(mingle(channel, ourNumber, balances, fee, [toWallet(world.keys, 6, 298_000n)]));
    },
  },
  {
    id: 'A69',
    async run(world) {
      const channel = await opened(world);
      const { model } = channel;
      await channel.peerOffers(channel.htlc('counterparty', 40_000, 'claimed'));
      const [oldNumber, old] = [channel.ourNumber, channel.balances];
      const delayed = p2wshOfScript(
        toLocalScript(model.build('holder', oldNumber, old).keys, model.delayBlocks.holder),
      );
      await channel.goesOn();
      const fee = coin(world, 'fee');
      const { ourNumber, balances } = channel;
      await channel.ask(model.signCommitment(ourNumber, balances));
      // Ours to look at; the peer takes it with the revocation key.
      const toRevoked = { value: sat(298_000n), script: delayed };
      await channel.refused(mingle(channel, ourNumber, balances, fee, [toRevoked]), UNKNOWN);
      await channel.refused(mingle(channel, oldNumber, old, fee, []), UNKNOWN);
      await channel.ask(mingle(channel, ourNumber, balances, fee, [toWallet(world.keys, 6, 298_000n)]));
    },
  },
];
