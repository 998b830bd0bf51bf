/** Attacks on law 1, the ratchet: A01 to A19. */
import { cpSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isCommitmentForm } from '@countersign/bitcoin';
import { HsmdProcess, hsmdPath } from '@countersign/cli';
import { decodeMessage, encodeMessage, type Reply, type Request } from '@countersign/wire';
import { expect } from 'vitest';
import { initRequest } from '../../packages/cln/test/hsmd-under-test.ts';
import type { Balances } from '../../packages/core/test/channel-model.ts';
import { adding, removing } from '../../packages/core/test/open-channel.ts';
import { bytesOf } from '../../packages/core/test/test-signer.ts';
import { attacks, type Scenario } from './attack.ts';
import { LAW_1 } from './catalogue.ts';
import { AttackChannel } from './channel.ts';
import { fairClose } from './closing.ts';
import { forwardOver, paying } from './payments.ts';
import { AttackWorld, HUB, secp, type WorldOptions } from './world.ts';

const NOT_REVOKED = 'policy-commitment-holder-not-revoked';
const NOT_CLOSED = 'policy-revoke-not-closed';
const NEW_VALID = 'policy-revoke-new-commitment-valid';
const NEW_SIGNED = 'policy-revoke-new-commitment-signed';
const RETRY_SAME = 'policy-commitment-retry-same';
const PREVIOUS_REVOKED = 'policy-commitment-previous-revoked';
const CONSERVED = 'policy-commitment-balance-conserved';
const STORE = 'countersign';

const WITNESS = 'witness';
/** A witness file, which the attacker can write to no more than to the signer's memory. */
const WITNESSED: WorldOptions = {
  toml: `witness_file = "${WITNESS}"\n${HUB}`,
  prepare: (directory) => writeFileSync(join(directory, WITNESS), ''),
};

/** Of a signer that is at rest and goes on holding its lock. */
const copyStore = (from: string, to: string): void =>
  cpSync(from, to, { recursive: true, filter: (path) => !path.endsWith('.sock') });

/** The signer doesn't start on what is there after `change`. */
async function expectRolledBack(world: AttackWorld, change: () => void): Promise<void> {
  await expect(world.restartAfter(change)).rejects.toThrow('store-rolled-back');
  world.refusals.push({ request: 'hsmd_init', tag: 'store-rolled-back' });
}

const opened = (world: AttackWorld, ...options: ConstructorParameters<typeof AttackChannel>[1][]) =>
  new AttackChannel(world, options[0]).open();

/** Of ours only so much stays that we still have an output. */
const LEFT_MSAT = 10_000_000n;

/** As good as everything of ours to the peer. */
const allMoved = (balances: Balances): Balances => ({
  ...balances,
  holderMsat: LEFT_MSAT,
  counterpartyMsat: balances.counterpartyMsat + balances.holderMsat - LEFT_MSAT,
});

const feeratePlus = (balances: Balances, more: number): Balances => ({
  ...balances,
  feeratePerKw: balances.feeratePerKw + more,
});

/** After our own commitment was signed only its own kind of request is left, and gets the same signature again. */
async function onlyForceClose(channel: AttackChannel, first: Reply): Promise<void> {
  const again = await channel.ask(channel.model.signCommitment(channel.ourNumber, channel.balances));
  expect(again).toEqual(first);
}

const ratchet: readonly Scenario[] = [
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
    id: 'A11',
    variant: 'with other parameters',
    async run(world) {
      const channel = await opened(world);
      const { model } = channel;
      await channel.goesOn();
      const forget: Request = { name: 'hsmd_forget_channel', id: model.ref.peerId, dbid: model.ref.dbid };
      await channel.ask(forget);
      await channel.ask({ name: 'hsmd_new_channel', id: model.ref.peerId, dbid: model.ref.dbid });
      const anew = model.newFunding(world.unique('anew'), 2_000_000n);
      const setup = { ...model.setup(anew), localToSelfDelay: 721 };
      await channel.refused(setup, 'policy-channel-original-channel-id-reuse');
      await channel.refused(
        { ...model.setup(anew), isOutbound: true },
        'policy-channel-original-channel-id-reuse',
      );
      await channel.goesOn();
    },
  },
  {
    id: 'A11',
    variant: 'with the same parameters on another funding',
    async run(world) {
      const channel = await opened(world);
      const { model } = channel;
      await channel.goesOn();
      await channel.goesOn();
      await channel.ask({ name: 'hsmd_forget_channel', id: model.ref.peerId, dbid: model.ref.dbid });
      const anew = model.newFunding(world.unique('anew'), 2_000_000n);
      await channel.ask(model.setup(anew));
      await channel.refused(model.validate(0, model.initial, anew), NOT_REVOKED);
      await channel.refused(model.signRemote(0, model.initial, anew), RETRY_SAME);
      await channel.goesOn();
    },
  },
  {
    id: 'A12',
    alone: {},
    async run(world) {
      const channel = await opened(world);
      const old = channel.balances;
      await channel.goesOn();
      const [store, copy] = [join(world.directory, STORE), join(world.directory, 'yesterday')];
      await world.restartAfter(() => cpSync(store, copy, { recursive: true }));
      const secrets = [1, 2].map(() => channel);
      for (const one of secrets) await one.goesOn();
      const reply = await channel.ask(channel.model.revoke(2));
      if (reply.name !== 'hsmd_revoke_commitment_tx_reply') throw new Error(reply.name);
      await world.restartAfter(() => {
        rmSync(store, { recursive: true });
        cpSync(copy, store, { recursive: true });
      });
      // The peer has the secret of number 2, and shows it when the node reconnects.
      const shown: Request = {
        name: 'hsmd_check_future_secret',
        n: 2n,
        commitmentSecret: reply.oldCommitmentSecret,
      };
      expect(await channel.ask(shown)).toMatchObject({ correct: true });
      const current = feeratePlus(old, 1);
      await channel.refused(channel.model.signCommitment(1, current), 'policy-channel-frozen');
      await channel.refused(channel.model.revoke(1), 'policy-channel-frozen');
      await channel.refused(channel.model.signRemote(2, current), 'policy-channel-frozen');
    },
  },
  {
    id: 'A12',
    variant: 'with a witness file',
    alone: WITNESSED,
    async run(world) {
      const channel = await opened(world);
      const store = join(world.directory, STORE);
      await world.restartAfter(() => cpSync(store, `${store}-yesterday`, { recursive: true }));
      await channel.goesOn();
      // Killed, so that nothing was told that the store ends.
      await world.restart('kill');
      await expectRolledBack(world, () => {
        renameSync(store, `${store}-today`);
        renameSync(`${store}-yesterday`, store);
      });
      // A deleted store is an old one too.
      await expectRolledBack(world, () => rmSync(store, { recursive: true }));
      await world.restartAfter(() => {
        rmSync(store, { recursive: true });
        renameSync(`${store}-today`, store);
      });
      await channel.goesOn();
    },
  },
  {
    id: 'A13',
    variant: 'two copies, with a witness file',
    alone: WITNESSED,
    async run(world) {
      const channel = await opened(world);
      const store = join(world.directory, STORE);
      const witness = JSON.stringify(join(world.directory, WITNESS));
      // A copy of before the first began would be too old.
      const other = await AttackWorld.start({
        toml: `witness_file = ${witness}\n${HUB}`,
        prepare: (directory) => copyStore(store, join(directory, STORE)),
      });
      try {
        // Each copy would sign another number 1; only the one that began last gets to.
        const { model } = channel;
        const mine = model.signRemote(channel.theirNumber + 1, feeratePlus(channel.balances, 1));
        const theirs = model.signRemote(channel.theirNumber + 1, feeratePlus(channel.balances, 2));
        await channel.refused(mine, 'store-fenced');
        await other.ask(theirs, model.ref);
        copyStore(join(other.directory, STORE), `${store}-newest`);
      } finally {
        await other.stop();
      }
      await expectRolledBack(world, () => {});
      await world.restartAfter(() => {
        rmSync(store, { recursive: true });
        renameSync(`${store}-newest`, store);
      });
    },
  },
  {
    id: 'A13',
    alone: {},
    async run(world) {
      const channel = await opened(world);
      const second = new HsmdProcess({
        path: hsmdPath(undefined),
        directory: world.directory,
        args: [],
        answerWaitMs: 20_000,
      });
      const answer = await second.request(0, encodeMessage(initRequest('regtest')));
      await second.stop();
      if (answer.kind !== 'reply') throw new Error(answer.kind);
      const decoded = decodeMessage(answer.body, 'reply');
      if (!decoded.ok || decoded.message.name !== 'hsmd_init_reply_failure') throw new Error('it started');
      expect(decoded.message.errorMessage).toContain('store-locked');
      world.refusals.push({ request: 'hsmd_init', tag: 'store-locked' });
      await channel.goesOn();
    },
  },
  {
    id: 'A14',
    alone: {},
    async run(world) {
      const channel = await opened(world);
      const old = channel.balances;
      for (let round = 0; round < 2; round++) {
        const next = feeratePlus(channel.balances, 1);
        const { model, ourNumber, theirNumber } = channel;
        await killedIn(world, channel, model.validate(ourNumber + 1, next), round);
        await killedIn(world, channel, model.revoke(ourNumber), round + 1);
        await killedIn(world, channel, model.signRemote(theirNumber + 1, next), round + 2);
        await killedIn(world, channel, model.validateRevocation(theirNumber), round);
        channel.ourNumber += 1;
        channel.theirNumber += 1;
        channel.balances = next;
      }
      await channel.refused(channel.model.signCommitment(0, old), NOT_REVOKED);
      await channel.goesOn();
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

const withOtherLaws: readonly Scenario[] = [
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

const bytesOf64 = (label: string): Uint8Array => Buffer.concat([bytesOf(label), bytesOf(`${label} 2`)]);

/** The request is in flight when the process dies; asked again after a new start, it gets the same reply. */
async function killedIn(
  world: AttackWorld,
  channel: AttackChannel,
  request: Request,
  delayMs: number,
): Promise<void> {
  const asked = world.answer(request, channel.model.ref).catch(() => null);
  await sleep(delayMs);
  world.process.kill();
  const first = await asked;
  await world.restart('kill');
  const again = await channel.ask(request);
  if (first !== null) expect(again, request.name).toEqual(first);
  expect(await channel.ask(request), request.name).toEqual(again);
}

attacks('law 1: the ratchet', LAW_1, [...ratchet, ...withOtherLaws]);
