/** Dust outflow: what fails comes back, whichever commitment tells of it last. */
import { velocityRecords } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { channelOf, hub } from './hub.ts';

describe('invisible HTLCs', () => {
  it('that fail leave no outflow: the peer goes first', () => {
    const signer = hub();
    const channel = channelOf(signer, 'probed');
    const { balances } = channel;
    const probing = { ...balances, holderMsat: balances.holderMsat - 300_000n };
    const outflow = () =>
      (signer.state.read(velocityRecords, 'dust-outflow')?.value?.amountsMsat ?? []).reduce(
        (sum, one) => sum + one,
        0n,
      );
    for (let i = 0; i < 3; i++) {
      channel.update(probing);
      expect(outflow()).toBe(300_000n);
      // The peer removes it, so our commitment is the first without it.
      channel.validate(balances);
      channel.revoke();
      channel.signRemote(balances);
      channel.peerRevokes();
      expect(outflow()).toBe(0n);
    }
  });
});
