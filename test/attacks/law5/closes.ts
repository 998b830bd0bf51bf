/** Law 5, mutual closes. */
import { p2wpkhOfKey, toHex } from '@countersign/bitcoin';
import { bytesOf } from '../../../packages/core/test/test-signer.ts';
import type { Scenario } from '../attack.ts';
import { AttackChannel, opened } from '../channel.ts';
import { fairClose } from '../closing.ts';
import { toStranger } from '../wallet.ts';
import { HUB, secp } from '../world.ts';

export const closes: readonly Scenario[] = [
  {
    id: 'A57',
    variant: 'to a foreign script',
    async run(world) {
      const channel = await opened(world);
      const foreign = fairClose(channel, { script: toStranger(1n, 'the attacker').script });
      await channel.refused(foreign, 'policy-mutual-destination-allowlisted');
      await channel.goesOn();
      await channel.ask(fairClose(channel));
    },
  },
  {
    id: 'A57',
    variant: 'our output is short, and missing',
    async run(world) {
      for (const isOutbound of [true, false]) {
        const channel = await opened(world, { isOutbound });
        const tag = 'policy-mutual-value-matches-commitment';
        await channel.refused(fairClose(channel, { shortSat: 100_000n }), tag);
        const missing = fairClose(channel, { isOursMissing: true });
        await channel.refused(missing, [tag, 'policy-mutual-destination-allowlisted']);
        await channel.goesOn();
        await channel.ask(fairClose(channel));
      }
    },
  },
  {
    id: 'A57',
    variant: 'with HTLCs pending',
    async run(world) {
      const channel = await opened(world);
      const received = channel.htlc('counterparty', 40_000, 'pending');
      await channel.peerOffers(received);
      await channel.refused(fairClose(channel), 'policy-mutual-no-pending-htlcs');
      await channel.weFail(received);
      await channel.ask(fairClose(channel));
    },
  },
  {
    id: 'A58',
    alone: {},
    async run(world) {
      const script = p2wpkhOfKey(secp.publicKey(bytesOf('an address of the team')));
      const channel = new AttackChannel(world);
      await world.restartAfter(() =>
        world.writeToml(
          `${HUB}destinations = ["${toHex(script)}"]\n\n[policy.peer."${toHex(channel.model.ref.peerId)}"]\nshared_allowlist = true\n`,
        ),
      );
      await channel.open();
      await channel.refused(fairClose(channel, { script }), 'policy-onchain-shared-allowlist');
      await channel.ask(fairClose(channel));
      // With any other peer the address is as good as ours.
      const other = await opened(world, { peer: 'no team' });
      await other.ask(fairClose(other, { script }));
    },
  },
];
