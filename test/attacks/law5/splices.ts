/** Law 5, splices. */
import type { Balances } from '../../../packages/core/test/channel-model.ts';
import type { Scenario } from '../attack.ts';
import { coinOf, opened } from '../channel.ts';
import { withdrawalOf } from '../wallet.ts';
import { COUNTERSIGNED, UNKNOWN } from './shared.ts';

export const splices: readonly Scenario[] = [
  {
    id: 'A63',
    variant: 'the new funding gives our share away',
    async run(world) {
      const channel = await opened(world);
      const { model } = channel;
      const splice = model.spliceOf(world.unique('splice'), 100_000n, channel.funding);
      await channel.ask(model.setup(splice));
      const given: Balances = {
        ...channel.balances,
        holderMsat: channel.balances.holderMsat - 200_000_000n,
        counterpartyMsat: channel.balances.counterpartyMsat + 200_000_000n,
      };
      // Nobody tells the signer the terms of a splice: it measures them by the transaction, when that is to be signed.
      await channel.ask(model.validate(0, given, splice));
      await channel.ask(model.signRemote(0, given, splice));
      const tag = 'policy-commitment-initial-funding-value';
      await channel.refused(model.signSplice(splice, channel.funding), tag);
      const fair = model.spliceOf(world.unique('fair splice'), 100_000n, channel.funding);
      await channel.ask(model.setup(fair));
      await channel.ask(model.validate(0, channel.balances, fair));
      await channel.ask(model.signRemote(0, channel.balances, fair));
      await channel.ask(model.signSplice(fair, channel.funding));
      channel.fundings = [channel.funding, fair];
      await channel.goesOn();
    },
  },
  {
    id: 'A63',
    variant: 'without countersigned commitments on it',
    async run(world) {
      const channel = await opened(world);
      const { model, funding } = channel;
      const splice = model.spliceOf(world.unique('splice'), 100_000n, funding);
      // As long as a coin of the wallet must be signed too, the shared input gives nothing away.
      await channel.ask(model.signSplice(splice, funding));
      const wallet = withdrawalOf(splice.tx, [coinOf(splice)], new Map([[1, model.fundingOutput(funding)]]));
      await channel.refused(wallet, UNKNOWN);
      world.refusals.pop();
      await channel.refused(model.signSpliceAlone(splice, funding), COUNTERSIGNED);
      await channel.ask(model.setup(splice));
      await channel.refused(wallet, COUNTERSIGNED);
      await channel.ask(model.validate(0, channel.balances, splice));
      await channel.ask(model.signRemote(0, channel.balances, splice));
      await channel.ask(model.signSplice(splice, funding));
      await channel.ask(wallet);
      channel.fundings = [funding, splice];
      await channel.goesOn();
    },
  },
];
