/** The signer in this process and the real one are the same signer: what one answers to a node, the other answers too. */
import { type Client, NODE, type Outcome, type Subject } from '@countersign/adversary';
import { loadSecp256k1, toHex } from '@countersign/bitcoin';
import { KeyRing, keyView, Secret } from '@countersign/core';
import type { Request } from '@countersign/wire';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ChannelModel } from '../../packages/core/test/channel-model.ts';
import { initRequest } from '../../packages/core/test/init-request.ts';
import { MinedChain } from '../../packages/core/test/mined-chain.ts';
import { adding, removing } from '../../packages/core/test/open-channel.ts';
import { bytesOf } from '../../packages/core/test/test-signer.ts';
import { NETWORK, TEST_SEED } from './owner.ts';
import { ProcessSubject } from './process-subject.ts';
import { MemorySubject } from './subject.ts';

const seed = Secret.copy(TEST_SEED, 32);
const bip32PublicVersion = NETWORK.bip32Public;
const keys = keyView(new KeyRing({ secp256k1: loadSecp256k1(), seed, bip32PublicVersion }));

let subjects: readonly Subject[] = [];
beforeAll(async () => {
  subjects = [await MemorySubject.create(), await ProcessSubject.create()];
});
afterAll(async () => {
  for (const subject of subjects) await subject.close();
});

const text = (outcome: Outcome): string =>
  JSON.stringify(outcome, (_, part: unknown) => {
    if (part instanceof Uint8Array) return toHex(part);
    return typeof part === 'bigint' ? `${part}` : part;
  });

/** Asks both; the one answer. */
async function both(client: Client, request: Request): Promise<Outcome> {
  const [one, other] = await Promise.all(subjects.map((subject) => subject.ask(client, request)));
  expect(text(one!), request.name).toBe(text(other!));
  return one!;
}

async function done(client: Client, request: Request): Promise<void> {
  expect(await both(client, request), request.name).toMatchObject({ kind: 'reply' });
}

const mined = new MinedChain();
async function mine(...transactions: Parameters<typeof mined.extend>): Promise<void> {
  const from = mined.tip.heightBlocks + 1;
  mined.extend(...transactions);
  mined.extendBy(2);
  const blocks = mined.blocks.slice(from);
  for (const subject of subjects) {
    subject.setClock(mined.tip.timeSeconds);
    const headers = blocks.map(({ header }) => header);
    expect(
      await subject.feedChain(
        headers,
        blocks.map(({ raw }) => raw),
      ),
    ).toBeNull();
  }
}

const model = new ChannelModel(keys, { isOutbound: false });
const client: Client = { channel: model.ref };
const theirs = {
  offeredBy: 'counterparty',
  amountMsat: 50_000_000n,
  preimage: bytesOf('a'),
  cltvExpiry: 200,
} as const;
const ours = {
  offeredBy: 'holder',
  amountMsat: 20_000_000n,
  preimage: bytesOf('b'),
  cltvExpiry: 100,
} as const;

it('both start, and open a channel once its funding is buried', async () => {
  await done(NODE, initRequest('regtest'));
  await done(NODE, { name: 'hsmd_new_channel', id: model.ref.peerId, dbid: model.ref.dbid });
  await done(client, model.setup());
  await done(client, model.validate(0));
  await done(client, model.signRemote(0));
  expect(await both(client, model.signRemote(1))).toMatchObject({ kind: 'refused', isTemporary: true });
  await mine([model.funding.tx]);
});

it('both give the same signatures and secrets, and the same refusals', async () => {
  const added = adding(model.initial, theirs);
  await done(client, model.signRemote(1, added));
  await done(client, model.validateRevocation(0));
  await done(client, model.validate(1, added));
  await done(client, model.revoke(0));
  expect(await both(client, model.signRemote(2, adding(added, ours)))).toMatchObject({ kind: 'refused' });
  expect(await both(client, model.signRemote(3, added))).toMatchObject({ kind: 'refused' });
  expect(await both(client, model.revoke(1))).toMatchObject({ kind: 'refused' });
  await done(client, model.signRemote(2, removing(added, theirs, 'failed')));
  const invstring = 'lnbcrt1';
  expect(await both(NODE, { name: 'hsmd_preapprove_invoice', invstring })).toMatchObject({ kind: 'refused' });
  const forget: Request = { name: 'hsmd_forget_channel', id: model.ref.peerId, dbid: model.ref.dbid };
  expect(await both(client, forget)).toMatchObject({ tag: 'policy-client-permission' });
  await done(client, model.getPoint(1));
});

it('both know after a restart what they knew before', async () => {
  for (const subject of subjects) await subject.restart();
  await done(client, model.revoke(0));
  expect(await both(client, model.signRemote(3))).toMatchObject({ kind: 'refused' });
  await mine();
});

it('both go on in a copy without a trace in the first', async () => {
  const firsts = subjects;
  const copies = await Promise.all(firsts.map((subject) => subject.fork!()));
  subjects = copies;
  await done(NODE, model.signCommitment(1, adding(model.initial, theirs)));
  expect(await both(client, model.revoke(1))).toMatchObject({ kind: 'refused' });
  for (const copy of copies) expect((await copy.rescues()).map(({ reason }) => reason)).toHaveLength(1);
  await Promise.all(copies.map((copy) => copy.close()));
  subjects = firsts;
  await done(client, model.validateRevocation(1));
});

it('both end a channel when the owner says so, and publish the same', async () => {
  const [peerId, dbid] = [model.ref.peerId, model.ref.dbid];
  for (const subject of subjects)
    expect(await subject.owner({ act: 'force-close', peerId, dbid })).toBeNull();
  const [one, other] = await Promise.all(subjects.map((subject) => subject.rescues()));
  expect(one!.length).toBeGreaterThan(0);
  expect(other!.map(({ raw }) => toHex(raw))).toEqual(one!.map(({ raw }) => toHex(raw)));
  expect(await both(client, model.revoke(1))).toMatchObject({ kind: 'refused' });
  for (const subject of subjects)
    expect(await subject.owner({ act: 'force-close', peerId, dbid: 999n })).not.toBeNull();
});
