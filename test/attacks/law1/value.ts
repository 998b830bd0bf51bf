/** Law 1 with the others: what moves between channels and fundings while the ratchet turns. */
import { expect } from 'vitest';
import { removing } from '../../../packages/core/test/open-channel.ts';
import type { Scenario } from '../attack.ts';
import { AttackChannel, opened } from '../channel.ts';
import { forwardOver, paying } from '../payments.ts';
import { feeratePlus, NEW_VALID, onlyForceClose } from './shared.ts';

export const value: readonly Scenario[] = [
  {
    id: 'A16',
    variant: 'an outgoing HTLC settled without its preimage',
    async run(world) {
      const channel = await opened(world);
      const offered = await paying(world, channel, 50_000n);
      await channel.weOffer(offered);
      const given = removing(channel.balances, offered, 'settled');
      await channel.validate(given);
      await channel.refused(
        channel.model.signCommitment(channel.ourNumber + 1, given),
        'policy-commitment-payment-settled-preimage',
      );
      const signed = await channel.ask(channel.model.signCommitment(channel.ourNumber, channel.balances));
      await onlyForceClose(channel, signed);
    },
  },
  {
    id: 'A16',
    variant: 'an incoming HTLC dropped while the outgoing one stands',
    async run(world) {
      const { incoming, outgoing, received, offered } = await forwardOver(world);
      await incoming.peerOffers(received);
      await outgoing.weOffer(offered);
      const dropped = removing(incoming.balances, received, 'failed');
      await incoming.validate(dropped);
      await incoming.refused(
        incoming.model.signCommitment(incoming.ourNumber + 1, dropped),
        'policy-routing-balanced',
      );
      await incoming.ask(incoming.model.signCommitment(incoming.ourNumber, incoming.balances));
    },
  },
  {
    id: 'A17',
    async run(world) {
      const channel = await opened(world);
      const { model } = channel;
      const splice = model.spliceOf(world.unique('splice'), 50_000n, channel.funding);
      await channel.ask(model.setup(splice));
      await channel.ask(model.validate(0, channel.balances, splice));
      await channel.ask(model.signRemote(0, channel.balances, splice));
      await channel.ask(model.signSplice(splice, channel.funding));
      const next = feeratePlus(channel.balances, 1);
      await channel.ask(model.validate(1, next, splice));
      expect(await channel.refused(model.revoke(0), NEW_VALID)).toContain('on every live funding');
      await channel.ask(model.validate(1, next));
      await channel.revoke();
    },
  },
  {
    id: 'A17',
    variant: 'the next commitment on the old funding alone',
    async run(world) {
      const channel = await opened(world);
      const { model } = channel;
      const splice = model.spliceOf(world.unique('splice'), 50_000n, channel.funding);
      await channel.ask(model.setup(splice));
      await channel.ask(model.validate(0, channel.balances, splice));
      await channel.ask(model.signRemote(0, channel.balances, splice));
      await channel.ask(model.signSplice(splice, channel.funding));
      channel.fundings = [channel.funding, splice];
      const next = feeratePlus(channel.balances, 1);
      await channel.ask(model.validate(1, next));
      expect(await channel.refused(model.revoke(0), NEW_VALID)).toContain('(temporary');
      await channel.peerUpdates(next);
      await channel.goesOn();
    },
  },
  {
    id: 'A18',
    async run(world) {
      const channel = new AttackChannel(world, { isOutbound: true });
      await channel.open();
      const { model } = channel;
      // The second round has coins of its own, so both may confirm.
      const second = model.newFunding(world.unique('second round'), 1_000_000n);
      await channel.refusedWithin('policy-candidate-exclusive', [
        model.setup(second),
        model.signRemote(0, model.initial, second),
        model.validate(0, model.initial, second),
        channel.fundingRequest(second),
      ]);
      await channel.goesOn();
    },
  },
  {
    id: 'A19',
    async run(world) {
      const { incoming, outgoing, received, offered } = await forwardOver(world);
      await incoming.peerOffers(received);
      await outgoing.weOffer(offered);
      const { peerId: id, dbid } = outgoing.model.ref;
      expect(await world.ask({ name: 'hsmd_forget_channel', id, dbid })).toEqual({
        name: 'hsmd_forget_channel_reply',
      });
      const dropped = removing(incoming.balances, received, 'failed');
      await incoming.refused(
        incoming.model.signRemote(incoming.theirNumber + 1, dropped),
        'policy-routing-balanced',
      );
      await outgoing.peerFails(offered);
      await incoming.weFail(received);
    },
  },
];
