/** The signer in this process, as an attacked one: it answers as the host does, keeps what is durable, forks without a trace. */
import { type Client, NODE, type Outcome } from '@countersign/adversary';
import { loadSecp256k1, type OutPoint, type Transaction, toHex } from '@countersign/bitcoin';
import { KeyRing, keyView, Secret } from '@countersign/core';
import type { Request } from '@countersign/wire';
import { describe, expect, it } from 'vitest';
import { ChannelModel } from '../../packages/core/test/channel-model.ts';
import { initRequest } from '../../packages/core/test/init-request.ts';
import { MinedChain } from '../../packages/core/test/mined-chain.ts';
import { NETWORK, TEST_SEED } from './owner.ts';
import { MemorySubject } from './subject.ts';

const keys = keyView(
  new KeyRing({
    secp256k1: loadSecp256k1(),
    seed: Secret.copy(TEST_SEED, 32),
    bip32PublicVersion: NETWORK.bip32Public,
  }),
);

/** The peer opens and pushes, so that it needs no money of ours; its funding is mined. */
class Opened {
  readonly subject: MemorySubject;
  readonly model = new ChannelModel(keys, { isOutbound: false });
  readonly mined = new MinedChain();
  readonly client: Client = { channel: this.model.ref };

  constructor(subject: MemorySubject) {
    this.subject = subject;
  }

  static async on(subject: MemorySubject): Promise<Opened> {
    const opened = new Opened(subject);
    const { model } = opened;
    await opened.done({ name: 'hsmd_new_channel', id: model.ref.peerId, dbid: model.ref.dbid }, NODE);
    await opened.done(model.setup());
    await opened.done(model.validate(0));
    await opened.done(model.signRemote(0));
    await opened.mine(model.funding.tx);
    return opened;
  }

  async done(request: Request, client = this.client): Promise<Outcome> {
    const outcome = await this.subject.ask(client, request);
    expect(outcome, request.name).toMatchObject({ kind: 'reply' });
    return outcome;
  }

  async mine(...transactions: readonly Transaction[]): Promise<void> {
    const from = this.mined.tip.heightBlocks + 1;
    this.mined.extend(transactions);
    this.mined.extendBy(3);
    expect(await this.feed(this.subject, from)).toBeNull();
  }

  feed(subject: MemorySubject, from: number): Promise<string | null> {
    const blocks = this.mined.blocks.slice(from);
    subject.setClock(this.mined.tip.timeSeconds);
    return subject.feedChain(
      blocks.map(({ header }) => header),
      blocks.map(({ raw }) => raw),
    );
  }
}

const spends = (raw: Uint8Array, { txid }: OutPoint): boolean => toHex(raw).includes(toHex(txid));

describe('a signer in this process', () => {
  it('answers INIT as at every start, and refuses that of another network', async () => {
    const subject = await MemorySubject.create();
    const init = await subject.ask(NODE, initRequest('regtest'));
    expect(init).toMatchObject({ kind: 'reply', reply: { name: 'hsmd_init_reply_v4', hsmVersion: 6 } });
    expect(await subject.ask(NODE, initRequest('bitcoin'))).toMatchObject({ tag: 'policy-init-binding' });
  });

  it('refuses by the rules of its owner, with the tag', async () => {
    const subject = await MemorySubject.create();
    const { client, model } = new Opened(subject);
    expect(await subject.ask(client, model.signRemote(0))).toMatchObject({
      kind: 'refused',
      isTemporary: false,
    });
    // A daemon of a channel may not do what is the node's.
    const forget: Request = { name: 'hsmd_forget_channel', id: model.ref.peerId, dbid: model.ref.dbid };
    expect(await subject.ask(client, forget)).toMatchObject({
      kind: 'refused',
      tag: 'policy-client-permission',
    });
  });

  it('tells what it cannot send from what is refused', async () => {
    const subject = await MemorySubject.create();
    const point: Request = { name: 'hsmd_ecdh_req', point: new Uint8Array(5) };
    expect(await subject.ask(NODE, point)).toMatchObject({ kind: 'refused', tag: 'not-encodable' });
  });

  it('knows after a restart what it knew before', async () => {
    const opened = await Opened.on(await MemorySubject.create());
    const { subject, model, client } = opened;
    await opened.done(model.signRemote(1));
    await subject.restart();
    await opened.done(model.signRemote(1));
    expect(await subject.ask(client, model.signRemote(2))).toMatchObject({
      tag: 'policy-commitment-previous-revoked',
    });
    await opened.mine();
  });

  it('forks: what happens to the copy does not happen here, and both go on with the chain', async () => {
    const opened = await Opened.on(await MemorySubject.create());
    const { subject, model, client } = opened;
    const fork = await subject.fork();
    const { peerId, dbid } = model.ref;
    expect(await fork.owner({ act: 'force-close', peerId, dbid })).toBeNull();
    const stopped = await fork.ask(client, model.signRemote(1));
    expect(stopped).toMatchObject({ kind: 'refused' });
    const from = opened.mined.tip.heightBlocks + 1;
    await opened.mine();
    expect(await opened.feed(fork, from)).toBeNull();
    await opened.done(model.signRemote(1));
  });

  it('publishes nothing of an open channel, and our commitment once the owner ended it', async () => {
    const opened = await Opened.on(await MemorySubject.create());
    const { subject, model } = opened;
    expect(await subject.rescues()).toEqual([]);
    const { peerId, dbid } = model.ref;
    expect(await subject.owner({ act: 'force-close', peerId, dbid: dbid + 1n })).not.toBeNull();
    expect(await subject.owner({ act: 'force-close', peerId, dbid })).toBeNull();
    const rescues = await subject.rescues();
    expect(rescues).toHaveLength(1);
    expect(rescues[0]!.reason).toContain('commitment of channel');
    expect(spends(rescues[0]!.raw, model.funding.outpoint)).toBe(true);
  });

  it('takes blocks once, in order, and says what it would not take', async () => {
    const opened = await Opened.on(await MemorySubject.create());
    const { subject, mined } = opened;
    expect(await opened.feed(subject, 1)).toBeNull();
    const header = mined.tip.header.slice();
    header[70] = 1;
    expect(await subject.feedChain([header], [])).toContain('policy-chain-validated');
  });

  it('lets the owner approve what waits, and allow a destination', async () => {
    const subject = await MemorySubject.create();
    expect(await subject.owner({ act: 'approve', id: '00'.repeat(32), amountMsat: null })).not.toBeNull();
    expect(await subject.owner({ act: 'allow', text: 'no address' })).not.toBeNull();
    const text = 'bcrt1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qzf4jry';
    expect(await subject.owner({ act: 'allow', text })).toBeNull();
  });
});
