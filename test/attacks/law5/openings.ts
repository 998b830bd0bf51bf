/** Law 5, openings: what a funding transaction must be. */
import { fundingScript, p2wshOfScript, sat, type TxOutput, txid } from '@countersign/bitcoin';
import type { Funding } from '../../../packages/core/test/channel-model.ts';
import { bytesOf } from '../../../packages/core/test/test-signer.ts';
import type { Scenario } from '../attack.ts';
import { AttackChannel, coinOf, opened } from '../channel.ts';
import { toStranger, withdrawalOf } from '../wallet.ts';
import { secp } from '../world.ts';
import { COUNTERSIGNED, UNKNOWN } from './shared.ts';

export const openings: readonly Scenario[] = [
  {
    id: 'A50',
    async run(world) {
      const channel = new AttackChannel(world);
      const setup = channel.model.setup();
      const ours = 'policy-channel-contest-delay-range-holder';
      const theirs = 'policy-channel-contest-delay-range-counterparty';
      // BOLT 2: what we name is imposed on the peer, and the other way round. Regtest: 4 to 2016 blocks.
      for (const localToSelfDelay of [0, 1, 3]) await channel.refused({ ...setup, localToSelfDelay }, theirs);
      for (const remoteToSelfDelay of [2017, 60_000])
        await channel.refused({ ...setup, remoteToSelfDelay }, ours);
      await channel.open();
      await channel.goesOn();
    },
  },
  ...(
    [
      [
        "the attacker's script",
        'policy-onchain-output-scriptpubkey',
        (output) => ({ ...output, script: toStranger(1n).script }),
      ],
      [
        "a 2-of-2 with the attacker's key in our place",
        'policy-onchain-output-scriptpubkey',
        (output, funding) => ({
          ...output,
          script: p2wshOfScript(fundingScript(secp.publicKey(bytesOf('not ours')), funding.peerKey)),
        }),
      ],
      [
        'one satoshi less',
        'policy-onchain-output-match-commitment',
        (output) => ({ ...output, value: sat(output.value - 1n) }),
      ],
      [
        'one satoshi more',
        'policy-onchain-output-match-commitment',
        (output) => ({ ...output, value: sat(output.value + 1n) }),
      ],
    ] as readonly (readonly [string, string, (output: TxOutput, funding: Funding) => TxOutput])[]
  ).map(
    ([variant, tag, change]): Scenario => ({
      id: 'A51',
      variant,
      async run(world) {
        const channel = new AttackChannel(world, { isOutbound: true });
        const { model, funding } = channel;
        const tx = {
          ...funding.tx,
          outputs: funding.tx.outputs.with(1, change(funding.tx.outputs[1]!, funding)),
        };
        const wrong: Funding = { ...funding, tx, outpoint: { txid: txid(tx), vout: 1 } };
        await channel.ask(model.setup(wrong));
        await channel.ask(model.signRemote(0, channel.balances, wrong));
        await channel.ask(model.validate(0, channel.balances, wrong));
        await channel.refused(withdrawalOf(tx, [coinOf(funding)]), tag);
        const honest = await opened(world, { isOutbound: true });
        await honest.goesOn();
      },
    }),
  ),
  {
    id: 'A52',
    async run(world) {
      const channel = new AttackChannel(world, { isOutbound: true });
      const { model } = channel;
      await channel.refused(channel.fundingRequest(), UNKNOWN);
      world.refusals.pop();
      await channel.ask(model.setup());
      await channel.refused(channel.fundingRequest(), COUNTERSIGNED);
      await channel.ask(model.signRemote(0, channel.balances));
      await channel.refused(channel.fundingRequest(), COUNTERSIGNED);
      await channel.ask(model.validate(0, channel.balances));
      await channel.fund();
      await channel.ask(model.lock(channel.funding));
      await channel.goesOn();
    },
  },
];
