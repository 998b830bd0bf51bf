/** Law 1, our own commitments: published once revoked, revoked once published, or validated without what that takes. */
import { isCommitmentForm } from '@countersign/bitcoin';
import { expect } from 'vitest';
import { adding } from '../../../packages/core/test/open-channel.ts';
import { bytesOf } from '../../../packages/core/test/test-signer.ts';
import type { Scenario } from '../attack.ts';
import { opened } from '../channel.ts';
import { fairClose } from '../closing.ts';
import { secp } from '../world.ts';
import { allMoved, CONSERVED, feeratePlus, NEW_VALID, NOT_REVOKED, onlyForceClose } from './shared.ts';

const NOT_CLOSED = 'policy-revoke-not-closed';
const NEW_SIGNED = 'policy-revoke-new-commitment-signed';

const bytesOf64 = (label: string): Uint8Array => Buffer.concat([bytesOf(label), bytesOf(`${label} 2`)]);

export const ours: readonly Scenario[] = [
  {
    id: 'A01',
    variant: 'as it was',
    async run(world) {
      const channel = await opened(world);
      const old = channel.balances;
      await channel.goesOn();
      await channel.refused(channel.model.signCommitment(0, old), NOT_REVOKED);
      await channel.goesOn();
    },
  },
  {
    id: 'A01',
    variant: 'under the number of the current one',
    async run(world) {
      const channel = await opened(world, { isOutbound: true });
      const old = channel.balances;
      await channel.goesOn();
      await channel.refused({ ...channel.model.signCommitment(0, old), commitNum: 1n }, NOT_REVOKED);
      await channel.goesOn();
    },
  },
  {
    id: 'A01',
    variant: 'called a mutual close, and called a splice',
    async run(world) {
      const channel = await opened(world);
      const { model } = channel;
      const { tx } = model.build('holder', 0, channel.balances);
      expect(isCommitmentForm(tx)).toBe(true);
      await channel.goesOn();
      const close = model.mutualClose(tx);
      await channel.refused(close, NOT_REVOKED);
      await channel.refused({ ...close, name: 'hsmd_sign_splice_tx', inputIndex: 0 }, NOT_REVOKED);
      await channel.goesOn();
    },
  },
  {
    id: 'A02',
    async run(world) {
      const channel = await opened(world);
      await channel.validate(feeratePlus(channel.balances, 1));
      const signed = await channel.ask(channel.model.signCommitment(0, channel.balances));
      await channel.refused(channel.model.revoke(0), NOT_CLOSED);
      await onlyForceClose(channel, signed);
    },
  },
  {
    id: 'A03',
    async run(world) {
      const channel = await opened(world);
      const signed = await channel.ask(channel.model.signCommitment(0, channel.balances));
      await channel.refused(channel.model.signRemote(1, allMoved(channel.balances)), NOT_CLOSED);
      await channel.refused(channel.model.signRemote(1, feeratePlus(channel.balances, 1)), NOT_CLOSED);
      await onlyForceClose(channel, signed);
    },
  },
  {
    id: 'A04',
    variant: 'revoke_commitment_tx',
    async run(world) {
      const channel = await opened(world);
      await channel.refused(channel.model.revoke(0), NEW_VALID);
      await channel.refused(channel.model.revoke(1), NEW_VALID);
      await channel.goesOn();
    },
  },
  {
    id: 'A04',
    variant: 'get_per_commitment_point of protocol 5',
    alone: { protocolVersion: 5 },
    async run(world) {
      const channel = await opened(world);
      await channel.refused(channel.model.getPoint(2), NEW_VALID);
      await channel.validate(feeratePlus(channel.balances, 1));
      await channel.refused(channel.model.getPoint(3), NEW_VALID);
      const point = await channel.ask(channel.model.getPoint(2));
      if (point.name !== 'hsmd_get_per_commitment_point_reply') throw new Error(point.name);
      expect(secp.publicKey(point.oldCommitmentSecret!)).toEqual(channel.model.point('holder', 0));
    },
  },
  {
    id: 'A04',
    variant: 'validate_commitment_tx of protocol 4, signed wrongly and signed well',
    alone: { protocolVersion: 4 },
    async run(world) {
      const channel = await opened(world);
      const next = channel.model.validate(1, feeratePlus(channel.balances, 1));
      const forged = { ...next, sig: { ...next.sig, signature: bytesOf64('forged') } };
      await channel.refused(forged, NEW_SIGNED);
      await channel.refused(channel.model.revoke(0), NEW_VALID);
      const reply = await channel.ask(next);
      if (reply.name !== 'hsmd_validate_commitment_tx_reply') throw new Error(reply.name);
      expect(reply.oldCommitmentSecret).toBeUndefined();
      world.refusals = world.refusals.filter(({ tag }) => tag === NEW_VALID);
    },
  },
  {
    id: 'A05',
    async run(world) {
      const channel = await opened(world);
      const htlcs = [1, 2, 3, 4, 5, 6].map((i) => channel.htlc('counterparty', 5000 * i, `htlc ${i}`));
      const next = adding(channel.balances, ...htlcs);
      const request = channel.model.validate(1, next);
      for (const i of [0, 3, 5]) {
        const good = request.htlcSigs[i]!;
        const bad = { ...good, signature: request.htlcSigs[(i + 1) % 6]!.signature };
        await channel.refused({ ...request, htlcSigs: request.htlcSigs.with(i, bad) }, NEW_SIGNED);
        await channel.refused({ ...request, htlcSigs: request.htlcSigs.toSpliced(i, 1) }, NEW_SIGNED);
      }
      await channel.refused(channel.model.revoke(0), NEW_VALID);
      await channel.peerUpdates(next);
      await channel.goesOn();
    },
  },
  {
    id: 'A06',
    variant: 'the one that was replaced is not published',
    async run(world) {
      const channel = await opened(world);
      const [first, second] = ['first', 'second'].map((label) =>
        adding(channel.balances, channel.htlc('counterparty', 20_000, label)),
      );
      await channel.ask(channel.model.validate(1, first));
      await channel.ask(channel.model.validate(1, second));
      await channel.revoke();
      channel.balances = second!;
      await channel.refused(channel.model.signCommitment(1, first), NOT_REVOKED);
      const signed = await channel.ask(channel.model.signCommitment(1, second));
      await onlyForceClose(channel, signed);
    },
  },
  {
    id: 'A06',
    variant: 'the unfair one is not even validated',
    async run(world) {
      const channel = await opened(world);
      await channel.validate(feeratePlus(channel.balances, 1));
      await channel.refused(channel.model.validate(1, allMoved(channel.balances)), CONSERVED);
      await channel.revoke();
      channel.balances = feeratePlus(channel.balances, 1);
      await channel.signPeer(channel.balances);
      await channel.peerRevokes();
      await channel.goesOn();
    },
  },
  {
    id: 'A10',
    async run(world) {
      const channel = await opened(world);
      const { model } = channel;
      await channel.validate(feeratePlus(channel.balances, 1));
      const signed = await channel.ask(fairClose(channel));
      await channel.refused(model.signRemote(1, allMoved(channel.balances)), NOT_CLOSED);
      await channel.refused(model.validate(1, feeratePlus(channel.balances, 2)), NOT_CLOSED);
      await channel.refused(model.revoke(0), NOT_CLOSED);
      expect(await channel.ask(fairClose(channel))).toEqual(signed);
    },
  },
  {
    id: 'A15',
    async run(world) {
      const channel = await opened(world);
      const received = channel.htlc('counterparty', 30_000, 'received');
      await channel.peerOffers(received);
      const [old, number] = [channel.balances, channel.ourNumber];
      await channel.weFail(received);
      const [second] = channel.model.signLocalHtlcs(number, old);
      await channel.refused(second!, NOT_REVOKED);
      await channel.refused({ ...second!, commitNum: BigInt(number + 1) }, 'policy-htlc-belongs');
      world.refusals.pop();
      await channel.goesOn();
    },
  },
];
