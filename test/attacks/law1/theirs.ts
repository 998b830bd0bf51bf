/** Law 1, the peer's commitments: variants, numbers that are skipped, secrets that are none. */
import { adding } from '../../../packages/core/test/open-channel.ts';
import { bytesOf } from '../../../packages/core/test/test-signer.ts';
import type { Scenario } from '../attack.ts';
import { opened } from '../channel.ts';
import { forwardOver } from '../payments.ts';
import { secp } from '../world.ts';
import { allMoved, CONSERVED, feeratePlus, RETRY_SAME } from './shared.ts';

const PREVIOUS_REVOKED = 'policy-commitment-previous-revoked';

export const theirs: readonly Scenario[] = [
  {
    id: 'A07',
    variant: 'an outgoing HTLC in one variant, not in the other, and its cover used again elsewhere',
    async run(world) {
      const forward = await forwardOver(world);
      const { incoming, outgoing, other } = forward;
      await incoming.peerOffers(forward.received);
      // The peer of `outgoing` reconnects: its unacknowledged HTLC is forgotten, and so it seems to be free again.
      await outgoing.signPeer(adding(outgoing.balances, forward.offered));
      await outgoing.signPeer(feeratePlus(outgoing.balances, 1));
      const again = adding(other.balances, { ...forward.offered });
      await other.refused(
        other.model.signRemote(other.theirNumber + 1, again),
        'policy-commitment-htlc-routing-balance',
      );
      await outgoing.peerRevokes();
      await outgoing.validate(feeratePlus(outgoing.balances, 1));
      await outgoing.revoke();
      outgoing.balances = feeratePlus(outgoing.balances, 1);
      // Both variants are claimable until their number is revoked.
      await other.refused(
        other.model.signRemote(other.theirNumber + 1, again),
        'policy-commitment-htlc-routing-balance',
      );
      await outgoing.goesOn();
      await other.weUpdate(again);
      await other.peerSettles(other.balances.htlcs[0]!);
      await incoming.weSettle(forward.received);
    },
  },
  {
    id: 'A07',
    variant: 'a second variant that moves value',
    async run(world) {
      const channel = await opened(world);
      await channel.signPeer(feeratePlus(channel.balances, 1));
      await channel.refused(channel.model.signRemote(1, allMoved(channel.balances)), CONSERVED);
      await channel.signPeer(feeratePlus(channel.balances, 2));
      await channel.peerRevokes();
      await channel.validate(feeratePlus(channel.balances, 2));
      await channel.revoke();
      channel.balances = feeratePlus(channel.balances, 2);
      await channel.goesOn();
    },
  },
  {
    id: 'A07b',
    async run(world) {
      const channel = await opened(world);
      for (let i = 1; i <= 8; i++) await channel.signPeer(feeratePlus(channel.balances, i));
      await channel.refused(channel.model.signRemote(1, feeratePlus(channel.balances, 9)), RETRY_SAME);
      // Any of the eight can still be asked for again, and the channel goes on.
      await channel.weUpdate(feeratePlus(channel.balances, 3));
      await channel.goesOn();
    },
  },
  {
    id: 'A08',
    async run(world) {
      const channel = await opened(world);
      const next = feeratePlus(channel.balances, 1);
      await channel.signPeer(next);
      await channel.refused(channel.model.signRemote(2, next), PREVIOUS_REVOKED);
      await channel.refused(channel.model.signRemote(7, next), PREVIOUS_REVOKED);
      await channel.weUpdate(next);
      await channel.goesOn();
    },
  },
  {
    id: 'A09',
    variant: 'a wrong secret, and the right one for another number',
    async run(world) {
      const channel = await opened(world);
      const { model } = channel;
      await channel.goesOn();
      await channel.signPeer(feeratePlus(channel.balances, 1));
      const right = model.validateRevocation(1);
      await channel.refused({ ...right, perCommitmentSecret: bytesOf('wrong') }, PREVIOUS_REVOKED);
      const ofAnother = model.peerPerCommitmentSecret(2);
      await channel.refused({ ...right, perCommitmentSecret: ofAnother }, PREVIOUS_REVOKED);
      await channel.refused({ ...right, revokeNum: 0n }, PREVIOUS_REVOKED);
      await channel.refused(model.validateRevocation(2), PREVIOUS_REVOKED);
      await channel.weUpdate(feeratePlus(channel.balances, 1));
      await channel.goesOn();
    },
  },
  {
    id: 'A09',
    variant: 'one that opens its point and does not chain with the others',
    async run(world) {
      const channel = await opened(world);
      const { model } = channel;
      const loose = bytesOf(world.unique('a secret of no chain'));
      const next = feeratePlus(channel.balances, 1);
      await channel.ask(model.signRemote(1, next, channel.funding, { point: secp.publicKey(loose) }));
      await channel.peerRevokes();
      await channel.ask(model.signRemote(2, next));
      const revocation = { ...model.validateRevocation(1), perCommitmentSecret: loose };
      await channel.refused(revocation, PREVIOUS_REVOKED);
      // The peer can never revoke it: the honest end is to publish.
      await channel.ask(model.signCommitment(0, channel.balances));
    },
  },
];
