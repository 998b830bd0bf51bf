/** Law 1, what the signer has on record: forgotten, rolled back, held twice, or cut off by a kill. */
import { cpSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { HsmdProcess, hsmdPath } from '@countersign/cli';
import { decodeMessage, encodeMessage, type Request } from '@countersign/wire';
import { expect } from 'vitest';
import { initRequest } from '../../../packages/core/test/init-request.ts';

import type { Scenario } from '../attack.ts';
import { type AttackChannel, opened } from '../channel.ts';
import { AttackWorld, HUB, type WorldOptions } from '../world.ts';
import { feeratePlus, NOT_REVOKED, RETRY_SAME } from './shared.ts';

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

export const records: readonly Scenario[] = [
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
];
