/** Attacks on law 4 by what the chain has, or has not: A17b, A37, A44 to A48. The signer is fed over its node.sock. */
import { fundingScript, p2wshOfScript, sat, type Transaction, txid } from '@countersign/bitcoin';
import type { Request } from '@countersign/wire';
import { expect } from 'vitest';
import type { Balances, Built, ModelHtlc } from '../../packages/core/test/channel-model.ts';
import { adding, removing } from '../../packages/core/test/open-channel.ts';
import { attacks } from './attack.ts';
import { LAW_4 } from './catalogue.ts';
import { CHAINED, type Miner, spending, withChain } from './chain.ts';
import { AttackChannel, htlcOf } from './channel.ts';
import { secp } from './world.ts';

const ACTIVE = 'policy-commitment-spends-active-utxo';
const COVERED = 'policy-commitment-htlc-received-spends-active-utxo';
const ONCHAIN = 'policy-channel-funding-onchain';
const ROUTING_BALANCE = 'policy-commitment-htlc-routing-balance';
const RANGE = 'policy-commitment-htlc-cltv-range';
const BALANCED = 'policy-routing-balanced';
const ABANDON = 'policy-routing-abandon-unresolved';
const VALID = 'policy-revoke-new-commitment-valid';
/** Defaults of test networks. */
const GRACE_BLOCKS = 2;
const CLAIM_MARGIN_BLOCKS = 2;

/** The peer's next commitment with these balances. */
const next = (channel: AttackChannel, balances: Balances): Request =>
  channel.model.signRemote(channel.theirNumber + 1, balances);

const unchanged = (channel: AttackChannel): Request =>
  next(channel, { ...channel.balances, feeratePerKw: channel.balances.feeratePerKw + 1 });

/** A payment that comes in on one channel and goes out on another. */
function forwardAt({ world, heightBlocks }: Miner): { received: ModelHtlc; offered: ModelHtlc } {
  return {
    received: htlcOf(world, 'counterparty', 100_200_000n, 'forward', heightBlocks + 100),
    offered: htlcOf(world, 'holder', 100_000_000n, 'forward', heightBlocks + 60),
  };
}

function outputOf(built: Built, { htlcs }: Balances, one: ModelHtlc): number {
  return built.commitment.htlcs.find(({ htlcIndex }) => htlcs[htlcIndex] === one)!.outputIndex;
}

/** A channel up to the lock whose funding transaction has another second output. */
async function fundedWith(
  miner: Miner,
  changed: (channel: AttackChannel) => Transaction['outputs'][number],
): Promise<{ channel: AttackChannel; funding: AttackChannel['funding'] }> {
  const channel = new AttackChannel(miner.world, { valueSat: 1_000_000_000n, peer: 'poor' });
  const { model } = channel;
  const outputs = [model.funding.tx.outputs[0]!, changed(channel)];
  const tx = { ...model.funding.tx, outputs };
  const funding = { ...model.funding, tx, outpoint: { txid: txid(tx), vout: 1 } };
  const { peerId: id, dbid } = model.ref;
  await channel.ask({ name: 'hsmd_new_channel', id, dbid });
  await channel.ask(model.setup(funding));
  await channel.ask({ ...model.validate(0, channel.balances, funding), feerate: 0 });
  await channel.ask({ ...model.signRemote(0, channel.balances, funding), feerate: 0 });
  await miner.mine(tx);
  await miner.mineEmpty(5);
  return { channel, funding };
}

attacks('law 4, by the chain', LAW_4, [
  {
    id: 'A17b',
    alone: CHAINED,
    run: withChain(async (miner) => {
      const channel = await miner.open({ isOutbound: true });
      await channel.goesOn();
      const splice = channel.model.spliceOf('splice', 0n);
      await channel.ask(channel.model.setup(splice));
      await channel.ask(channel.model.signRemote(channel.theirNumber, channel.balances, splice));
      await channel.ask(channel.model.validate(channel.ourNumber, channel.balances, splice));
      await channel.ask(channel.model.signSplice(splice));
      await channel.refused(channel.model.lock(splice), VALID);
      // The node goes on as if it were locked: the old funding is still to be validated on.
      const balances = { ...channel.balances, feeratePerKw: channel.balances.feeratePerKw + 1 };
      await channel.ask(channel.model.validate(channel.ourNumber + 1, balances, splice));
      await channel.refused(channel.model.revoke(channel.ourNumber), VALID);
      await miner.mine(splice.tx);
      await channel.ask(channel.model.lock(splice));
      channel.fundings = [splice];
      await channel.goesOn();
    }),
  },
  {
    id: 'A37',
    variant: 'unconfirmed',
    alone: CHAINED,
    run: withChain(async (miner, world) => {
      const outgoing = await miner.open({ peer: 'downstream' });
      const incoming = new AttackChannel(world, { peer: 'upstream' });
      await incoming.begin();
      const { received, offered } = forwardAt(miner);
      await incoming.refused(next(incoming, adding(incoming.balances, received)), ACTIVE);
      await miner.mine(incoming.funding.tx);
      await miner.mineEmpty(2);
      await incoming.peerOffers(received);
      await outgoing.weOffer(offered);
    }),
  },
  {
    id: 'A37',
    variant: 'spent',
    alone: CHAINED,
    run: withChain(async (miner) => {
      const incoming = await miner.open({ peer: 'upstream' });
      const outgoing = await miner.open({ peer: 'downstream' });
      const { received, offered } = forwardAt(miner);
      const before = incoming.model.build('counterparty', 0, incoming.balances);
      await incoming.peerOffers(received);
      await miner.mine(before.tx);
      await outgoing.refused(next(outgoing, adding(outgoing.balances, offered)), COVERED);
      // Buried, it is what the channel came to: there is no such HTLC any more.
      await miner.mineEmpty(8);
      await outgoing.refused(next(outgoing, adding(outgoing.balances, offered)), ROUTING_BALANCE);
      await outgoing.goesOn();
    }),
  },
  {
    id: 'A37',
    variant: 'reorganised away',
    alone: CHAINED,
    run: withChain(async (miner) => {
      const outgoing = await miner.open({ peer: 'downstream' });
      const fork = miner.heightBlocks;
      const incoming = await miner.open({ peer: 'upstream' });
      const { received, offered } = forwardAt(miner);
      await incoming.peerOffers(received);
      await miner.reorganise(fork, spending(incoming.funding.tx, 0));
      await outgoing.refused(next(outgoing, adding(outgoing.balances, offered)), COVERED);
      await miner.mine(incoming.funding.tx);
      await outgoing.refused(next(outgoing, adding(outgoing.balances, offered)), COVERED);
      await miner.mineEmpty(2);
      await outgoing.weOffer(offered);
      await outgoing.peerSettles(offered);
      await incoming.weSettle(received);
    }),
  },
  {
    id: 'A44',
    alone: CHAINED,
    run: withChain(async (miner) => {
      const incoming = await miner.open({ peer: 'upstream' });
      const outgoing = await miner.open({ peer: 'downstream' });
      const { received, offered } = forwardAt(miner);
      await incoming.peerOffers(received);
      await outgoing.weOffer(offered);
      const deadline = offered.cltvExpiry + GRACE_BLOCKS;
      await miner.mineTo(deadline - 1);
      expect(await miner.alarms()).toEqual(['deadline']);
      const stays = unchanged(outgoing);
      await miner.mineTo(deadline);
      await outgoing.refused(stays, RANGE);
      await outgoing.refused(
        next(outgoing, adding(outgoing.balances, outgoing.htlc('counterparty', 20_000, 'more', 180))),
        RANGE,
      );
      const released = removing(incoming.balances, received, 'failed');
      await incoming.refused(next(incoming, released), ABANDON);
      expect(await miner.status()).toMatchObject({
        deadlines: [{ what: 'offered-htlc-expires', level: 'passed' }],
        alarms: [{ code: 'deadline' }],
      });
      expect(await miner.heartbeat()).toContain('deadline');
      // What the owner, or a source of the signer's own, would publish.
      const kinds = (await miner.remedies(outgoing)).map(({ kind }) => kind);
      expect(kinds).toContain('commitment');
      expect(kinds).toContain('htlc-timeout');
      await outgoing.peerFails(offered);
      await incoming.weFail(received);
      expect(await miner.alarms()).toEqual([]);
    }),
  },
  {
    id: 'A46',
    variant: 'a thousand satoshi',
    alone: CHAINED,
    run: withChain(async (miner) => {
      const { channel, funding } = await fundedWith(miner, ({ funding: { tx } }) => ({
        ...tx.outputs[1]!,
        value: sat(1000),
      }));
      await channel.refused(channel.model.lock(funding), ONCHAIN);
      const balances = { ...channel.balances, feeratePerKw: 1001 };
      await channel.refused(channel.model.signRemote(1, balances, funding), ONCHAIN);
      await (await miner.open()).goesOn();
    }),
  },
  {
    id: 'A46',
    variant: 'a script without us',
    alone: CHAINED,
    run: withChain(async (miner) => {
      const { channel, funding } = await fundedWith(miner, ({ model, funding: { tx } }) => ({
        value: tx.outputs[1]!.value,
        script: p2wshOfScript(
          fundingScript(model.funding.peerKey, secp.publicKey(new Uint8Array(32).fill(7))),
        ),
      }));
      await channel.refused(channel.model.lock(funding), ONCHAIN);
      const balances = { ...channel.balances, feeratePerKw: 1001 };
      await channel.refused(channel.model.signRemote(1, balances, funding), ONCHAIN);
      await (await miner.open()).goesOn();
    }),
  },
  {
    id: 'A47',
    alone: CHAINED,
    run: withChain(async (miner, world) => {
      const outgoing = await miner.open({ peer: 'downstream' });
      const fork = miner.heightBlocks;
      const bury = (funding: Transaction) => miner.mine(funding);
      const incoming = await new AttackChannel(world, { peer: 'upstream', bury }).open();
      const { received, offered } = forwardAt(miner);
      await incoming.peerOffers(received);
      const forwarded = next(outgoing, adding(outgoing.balances, offered));
      await outgoing.refused(forwarded, COVERED);
      await miner.mineEmpty(1);
      await outgoing.refused(forwarded, COVERED);
      // The double-spend that would have paid: nothing had gone out.
      await miner.reorganise(fork, spending(incoming.funding.tx, 0));
      await outgoing.refused(forwarded, COVERED);
      await outgoing.goesOn();
    }),
  },
  {
    id: 'A48',
    alone: CHAINED,
    run: withChain(async (miner) => {
      const incoming = await miner.open({ peer: 'upstream' });
      const outgoing = await miner.open({ peer: 'downstream' });
      const { received, offered } = forwardAt(miner);
      await incoming.peerOffers(received);
      await outgoing.weOffer(offered);
      const built = outgoing.model.build('counterparty', outgoing.theirNumber, outgoing.balances);
      const claim = spending(built.tx, outputOf(built, outgoing.balances, offered), [offered.preimage]);
      await miner.mine(built.tx, claim);
      const failed = removing(incoming.balances, received, 'failed');
      await incoming.refused(next(incoming, failed), BALANCED);
      await miner.mineEmpty(10);
      await incoming.refused(next(incoming, failed), BALANCED);
      await miner.mineTo(received.cltvExpiry - CLAIM_MARGIN_BLOCKS);
      expect(await miner.alarms()).toEqual(['deadline']);
      expect(await miner.heartbeat()).toContain('received-htlc-to-claim');
      const kinds = (await miner.remedies(incoming)).map(({ kind }) => kind);
      expect(kinds).toContain('commitment');
      expect(kinds).toContain('htlc-success');
      // Nobody told the signer of the preimage: it read the block.
      await incoming.weSettle(received);
      expect(await miner.alarms()).toEqual([]);
    }),
  },
]);
