/**
 * check_future_secret: a secret that is right for a number this store never released proves a rollback, and the
 * channel signs no commitment and reveals nothing any more (rules, law 1).
 */
import { releasePerCommitmentSecret } from '@countersign/core';
import type { MessageOf } from '@countersign/wire';
import { describe, expect, it } from 'vitest';
import { htlc } from './channel-model.ts';
import { adding, OpenChannel } from './open-channel.ts';
import { bytesOf } from './test-signer.ts';

type CheckFutureSecret = MessageOf<'hsmd_check_future_secret'>;

const shown = (channel: OpenChannel, n: number, of = n): CheckFutureSecret => ({
  name: 'hsmd_check_future_secret',
  n: BigInt(n),
  commitmentSecret: releasePerCommitmentSecret(channel.signer.ring, channel.model.ref, of),
});

const YES = { name: 'hsmd_check_future_secret_reply', correct: true };
const NO = { name: 'hsmd_check_future_secret_reply', correct: false };

/** In the middle of an update with HTLCs. */
function running() {
  const channel = new OpenChannel().open();
  const balances = adding(channel.balances, htlc('holder', 20_000, 'a'), htlc('counterparty', 20_000, 'b'));
  channel.update(balances);
  channel.signRemote(balances);
  channel.validate(balances);
  return { channel, model: channel.model, balances };
}

describe('policy-channel-frozen', () => {
  const tag = 'policy-channel-frozen';

  it.each([1, 2, 50, 2 ** 48 - 1])(
    'policy-channel-frozen: trips after our secret %i, never released, was shown',
    (n) => {
      const { channel, model, balances } = running();
      expect(channel.ask(shown(channel, n))).toEqual(YES);
      const splice = model.spliceOf('splice');
      channel.ask(model.setup(splice));
      const requests = [
        model.revoke(0),
        model.revoke(1),
        model.validate(2, balances),
        model.signRemote(2, balances),
        model.signRemote(3, balances),
        model.validateRevocation(1),
        model.signCommitment(1, balances),
        model.mutualClose(model.closeTx(channel.balances)),
        model.mutualClose(model.build('holder', 1, balances).tx),
        model.signSplice(splice),
        ...model.signRemoteHtlcs(2, balances),
      ];
      for (const request of requests)
        expect(channel.refused(request), request.name).toMatchObject({
          tag,
          temporary: false,
          severity: 'error',
        });
      channel.signer.protocolVersion = 5;
      expect(channel.tagOf(model.getPoint(3))).toBe(tag);
      // Nor does a second set-up wake it.
      expect(channel.tagOf({ ...model.setup(), isOutbound: false, fundingTxid: bytesOf('x') })).toBe(
        'policy-channel-original-channel-id-reuse',
      );
    },
  );

  it('policy-channel-frozen: trips from the first commitment on when the secret came before the set-up', () => {
    const channel = new OpenChannel();
    expect(channel.ask(shown(channel, 7))).toEqual(YES);
    channel.ask(channel.model.setup());
    for (const request of [channel.model.validate(0), channel.model.signRemote(0)])
      expect(channel.tagOf(request)).toBe(tag);
  });

  it('policy-channel-frozen: trips for one channel only', () => {
    const { channel } = running();
    const other = new OpenChannel({ dbid: 2n }, channel.signer).open();
    channel.ask(shown(channel, 3));
    other.update(other.balances);
  });

  it('policy-channel-frozen: passes a secret this store has released', () => {
    const { channel } = running();
    const before = channel.signer.state.snapshot();
    expect(channel.ask(shown(channel, 0))).toEqual(YES);
    expect(channel.signer.state.snapshot()).toBe(before);
    channel.revoke();
    channel.peerRevokes();
    channel.update(channel.balances);
  });

  it('policy-channel-frozen: passes a wrong secret, or a right one under another number', () => {
    const { channel } = running();
    const before = channel.signer.state.snapshot();
    expect(channel.ask(shown(channel, 5, 6))).toEqual(NO);
    expect(channel.ask(shown(channel, 6, 5))).toEqual(NO);
    expect(channel.ask({ ...shown(channel, 5), commitmentSecret: bytesOf('guess') })).toEqual(NO);
    expect(channel.ask({ ...shown(channel, 5), commitmentSecret: new Uint8Array(32) })).toEqual(NO);
    expect(channel.signer.state.snapshot()).toBe(before);
    channel.revoke();
  });

  it('leaves sweeps: own delayed outputs, HTLCs, penalties, second-level transactions', () => {
    const { channel, model, balances } = running();
    channel.ask(model.signCommitment(1, balances));
    channel.ask(shown(channel, 9));
    channel.ask(model.sweepDelayed(1, balances));
    channel.ask(model.claimRemoteHtlc(1, balances));
    channel.ask(model.penalty(0, model.initial));
    for (const request of model.signLocalHtlcs(1, balances)) channel.ask(request);
  });

  it('answers a second proof without another change, and points go on', () => {
    const { channel, model } = running();
    channel.ask(shown(channel, 9));
    const before = channel.signer.state.snapshot();
    expect(channel.ask(shown(channel, 10))).toEqual(YES);
    channel.ask(model.getPoint(3));
    expect(channel.signer.state.snapshot()).toBe(before);
  });

  it('refuses a number beyond 48 bits', () => {
    const { channel } = running();
    expect(channel.tagOf({ ...shown(channel, 1), n: 2n ** 48n })).toBe('policy-generic-error');
    expect(channel.tagOf({ ...channel.model.getPoint(1), n: 2n ** 64n - 1n })).toBe('policy-generic-error');
  });
});
