/** What each key signs, and nothing else. */
import { concat, fundingScript, txid } from '@countersign/bitcoin';
import type { ModelHtlc } from '../../../packages/core/test/channel-model.ts';
import { bytesOf } from '../../../packages/core/test/test-signer.ts';
import type { Scenario } from '../attack.ts';
import { opened } from '../channel.ts';
import { announcement, bip143Preimage } from '../foreign.ts';
import { paying } from '../payments.ts';
import { spend, toStranger } from '../wallet.ts';
import { FEE_SAT, GENERIC, KEY_USE } from './shared.ts';

const utf8 = new TextEncoder();

export const keys: readonly Scenario[] = [
  {
    id: 'A62',
    variant: 'gossip that is none',
    async run(world) {
      const channel = await opened(world);
      const { tx } = channel.model.build('holder', 0, channel.balances);
      const foreign = [
        new Uint8Array(0),
        new Uint8Array(300),
        concat(Uint8Array.of(1, 0), new Uint8Array(500)),
      ];
      for (const announcement of foreign)
        await world.refused({ name: 'hsmd_node_announcement_sig_req', announcement }, GENERIC);
      for (const cu of [...foreign, concat(Uint8Array.of(1, 2), txid(tx))])
        await world.refused({ name: 'hsmd_cupdate_sig_req', cu }, GENERIC);
      await channel.goesOn();
    },
  },
  {
    id: 'A62',
    variant: 'invoices that are none, or of another network',
    async run(world) {
      for (const hrp of ['', 'lnbc1', 'lntb1', 'Lightning Signed Message:', 'lnbcrt1x', 'lnbcrt-1m'])
        await world.refused(
          { name: 'hsmd_sign_invoice', hrp: utf8.encode(hrp), u5bytes: new Uint8Array(200) },
          GENERIC,
        );
      const words = new Uint8Array(200).fill(32);
      await world.refused({ name: 'hsmd_sign_invoice', hrp: utf8.encode('lnbcrt'), u5bytes: words }, GENERIC);
      const short = new Uint8Array(3);
      await world.refused({ name: 'hsmd_sign_invoice', hrp: utf8.encode('lnbcrt'), u5bytes: short }, GENERIC);
    },
  },
  {
    id: 'A66',
    async run(world) {
      const channel = await opened(world);
      const { model, funding } = channel;
      const script = fundingScript(model.holderFundingKey, funding.peerKey);
      const tx = spend([funding.outpoint], [toStranger(funding.valueSat - FEE_SAT)]);
      const hidden = concat(
        Uint8Array.of(1, 0),
        new Uint8Array(256),
        bip143Preimage(tx, script, funding.valueSat),
      );
      const { peerId: peerid, dbid: channelDbid } = model.ref;
      await channel.refused({ name: 'hsmd_cannouncement_sig_req', ca: hidden }, KEY_USE);
      await channel.refused(
        { name: 'hsmd_sign_any_cannouncement_req', ca: hidden, peerid, channelDbid },
        KEY_USE,
      );
      const good = announcement(world, channel);
      await channel.refused(
        { name: 'hsmd_cannouncement_sig_req', ca: concat(good, new Uint8Array(1)) },
        KEY_USE,
      );
      await channel.ask({ name: 'hsmd_cannouncement_sig_req', ca: good });
      await channel.goesOn();
    },
  },
  {
    id: 'A67',
    variant: 'another network, on a store that serves one',
    alone: {},
    async run(world) {
      for (const network of ['bitcoin', 'signet'] as const)
        await world.refusedInit(network, 'store-bound-elsewhere');
    },
  },
  {
    id: 'A67',
    variant: 'developer fields on mainnet',
    async run(world) {
      const secret = bytesOf('forced');
      for (const forced of [
        { devForcePrivkey: secret },
        { devForceBip32Seed: secret },
        { devForceChannelSecretsShaseed: secret },
      ]) {
        await world.refusedInit('bitcoin', 'policy-init-binding', forced);
      }
    },
    alone: {},
  },
  {
    id: 'A68',
    async run(world) {
      const channel = await opened(world, { format: 'static_remotekey' });
      const ours: ModelHtlc[] = [];
      for (const amountSat of [30_000n, 31_000n, 32_000n]) ours.push(await paying(world, channel, amountSat));
      await channel.weOffer(...ours);
      const burning = { ...channel.balances, feeratePerKw: 250_000 };
      const tag = 'policy-commitment-fee-range';
      await channel.refused(channel.model.signRemote(channel.theirNumber + 1, burning), tag);
      await channel.validate(burning);
      await channel.refused(channel.model.revoke(channel.ourNumber), tag);
      await channel.refused(channel.model.signCommitment(channel.ourNumber + 1, burning), tag);
      await channel.goesOn();
      for (const one of ours) await channel.peerSettles(one);
    },
  },
];
