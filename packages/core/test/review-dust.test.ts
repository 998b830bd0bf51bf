/** Dust outflow: what fails comes back, whichever commitment tells of it last. */
import { sha256, toHex } from '@countersign/bitcoin';
import { paymentRecords, velocityRecords } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { htlc } from './channel-model.ts';
import { channelOf, hub } from './hub.ts';
import { adding, removing } from './open-channel.ts';

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

  it('that only one view shows leave no record of their payment', () => {
    const signer = hub();
    const channel = channelOf(signer, 'one view');
    const { balances } = channel;
    const shown = htlc('holder', 600, 'small', 700_000);
    const hidden = { ...balances, holderMsat: balances.holderMsat - shown.amountMsat };
    channel.signRemote(hidden);
    channel.peerRevokes();
    channel.validate(adding(balances, shown));
    channel.revoke();
    const record = () => signer.state.read(paymentRecords, toHex(sha256(shown.preimage)))?.value ?? null;
    expect(record()).not.toBeNull();
    channel.validate(removing(adding(balances, shown), shown, 'settled'));
    channel.revoke();
    expect(record()).toBeNull();
  });
});
