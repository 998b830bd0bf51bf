/** Attacks with incoming HTLCs that are not worth what they say. */
import { equalOutPoints, toHex } from '@countersign/bitcoin';
import { describe, expect, it } from 'vitest';
import { htlc } from './channel-model.ts';
import { channelOf, hub, twin } from './hub.ts';
import { adding, OpenChannel, removing } from './open-channel.ts';

const NO_OVERRIDE = { limits: {}, severities: new Map(), sharedAllowlist: false };

describe('what comes in', () => {
  it('covers nothing while we have no commitment of our own to publish', () => {
    const signer = hub();
    const source = new OpenChannel({ peer: 'silent', isOutbound: false }, signer);
    const sink = channelOf(signer, 'sink');
    const coming = htlc('counterparty', 100_100, 'forward', 700_100);
    source.ask(source.model.setup());
    source.ask(source.model.signRemote(0, source.balances));
    source.ask(source.model.signRemote(1, adding(source.balances, coming)));
    source.peerRevokes();
    const going = twin(coming, 700_000);
    expect(sink.tagOf(sink.model.signRemote(1, adding(sink.balances, going)))).toBe(
      'policy-commitment-htlc-routing-balance',
    );
  });

  it('is not replaced by an HTLC on a funding that nobody has seen', () => {
    const signer = hub();
    const [source, sink] = [channelOf(signer, 'source'), channelOf(signer, 'sink')];
    const unseen = channelOf(signer, 'unseen', { isOutbound: false });
    signer.chain = {
      heightBlocks: 699_000,
      medianTimeSeconds: signer.nowSeconds,
      isFresh: true,
      outpoint: (outpoint) => {
        const found = [source, sink].find(({ model }) => equalOutPoints(model.funding.outpoint, outpoint));
        if (found === undefined) return { kind: 'unknown' };
        const { value: valueSat, script } = found.model.fundingOutput();
        return { kind: 'confirmed', depthBlocks: 6, valueSat, script, spent: null };
      },
    };
    signer.set = { limits: { fundingDepthBlocks: 0 } };
    const coming = htlc('counterparty', 100_100, 'swapped', 700_100);
    const going = twin(coming, 700_000, { amountMsat: 100_000_000n });
    source.update(adding(source.balances, coming));
    sink.update(adding(sink.balances, going));
    signer.set = { peers: new Map([[toHex(unseen.model.ref.peerId), { ...NO_OVERRIDE, zeroConf: true }]]) };
    unseen.update(adding(unseen.balances, coming));
    const without = removing(source.balances, coming, 'failed');
    expect(source.refused(source.model.signRemote(2, without))).toMatchObject({
      tag: 'policy-commitment-htlc-received-spends-active-utxo',
      temporary: true,
    });
    signer.ask({ name: 'countersign_preimages', preimages: [coming.preimage] });
    source.update(removing(source.balances, coming, 'settled'));
  });

  it('covers still when a higher fee rate trims it, and may return', () => {
    const signer = hub();
    // What is hidden may go back at the cost of dust outflow; here it may not.
    signer.set = { limits: { dustOutflowVelocity: { amountSat: 4_999n, per: 'day' } } };
    const source = channelOf(signer, 'source', { format: 'static_remotekey' });
    const sink = channelOf(signer, 'sink');
    const coming = htlc('counterparty', 5_000, 'small', 700_100);
    const going = twin(coming, 700_000);
    source.update(adding(source.balances, coming));
    sink.update(adding(sink.balances, going));
    source.update({ ...source.balances, feeratePerKw: 10_000 });
    const released = removing(source.balances, coming, 'failed');
    expect(source.tagOf(source.model.signRemote(3, released))).toBe('policy-commitment-dust-outflow');
    source.update({ ...source.balances, feeratePerKw: 1_000 });
    signer.ask({ name: 'countersign_preimages', preimages: [coming.preimage] });
    sink.update(removing(sink.balances, going, 'settled'));
    source.update(removing(source.balances, coming, 'settled'));
  });
});
