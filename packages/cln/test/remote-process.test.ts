/** A real countersign-hsmd in remote mode: what its clients ask, and what feeders bring. */
import { connect } from 'node:net';
import { join } from 'node:path';
import { FrameSocket, type LinkAnswer } from '@countersign/transport';
import { decodeMessage, encodeMessage } from '@countersign/wire';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { FakeBitcoind } from '../../chain/test/fake-bitcoind.ts';
import { afterTest, fileWith } from '../../chain/test/support.ts';
import { MinedChain } from '../../core/test/mined-chain.ts';
import { refusedBy } from './fake-link.ts';
import { DERIVE, ECDH, PEER, removeDirectories } from './hsmd-under-test.ts';
import { DERIVED, endRemotes, SHARED, serving, WAIT } from './remote-setting.ts';

afterEach(endRemotes);
afterAll(removeDirectories);

describe('requests', () => {
  it('reach the signer with who asked, and their answers come back', async () => {
    const { hsmd, signer } = await serving();
    const client = await hsmd.openClient(3n, 447n);
    expect(await client.ask(ECDH)).toMatchObject({ name: 'hsmd_ecdh_resp' });
    expect(await hsmd.master.ask(DERIVE)).toMatchObject({ name: 'hsmd_derive_secret_reply' });
    expect(signer.asked.slice(1)).toEqual([
      { client: { peerId: PEER, dbid: 3n, permissions: 447n }, name: 'hsmd_ecdh_req' },
      { client: { peerId: null, dbid: 0n, permissions: 1027n }, name: 'hsmd_derive_secret' },
    ]);
  });

  it('of one client do not wait for another’s', async () => {
    const { hsmd, signer } = await serving();
    const held = Promise.withResolvers<LinkAnswer>();
    signer.answering = ({ dbid }, name) => (name === 'hsmd_ecdh_req' && dbid === 1n ? held.promise : null);
    const [one, two] = [await hsmd.openClient(1n), await hsmd.openClient(2n)];
    await one.send(ECDH);
    expect(await two.ask(ECDH)).toMatchObject({ name: 'hsmd_ecdh_resp' });
    held.resolve(SHARED);
    expect(await one.reply()).toMatchObject({ name: 'hsmd_ecdh_resp' });
  });

  it('that are refused fail alone, with the reason and its number', async () => {
    const { hsmd, signer } = await serving();
    signer.answering = (_, name) => (name === 'hsmd_ecdh_req' ? refusedBy() : null);
    const client = await hsmd.openClient(3n);
    expect(await client.ask(ECDH)).toEqual({
      name: 'vls_signer_error',
      code: 1,
      message: 'policy-test: no [value_sat=5]',
    });
    await expect
      .poll(() => hsmd.logged('unusual'), WAIT)
      .toContain('refused hsmd_ecdh_req: policy-test: no [value_sat=5] (refusal 7)');
    signer.answering = () => null;
    expect(await client.ask(ECDH)).toMatchObject({ name: 'hsmd_ecdh_resp' });
    expect(await hsmd.master.ask(DERIVE)).toMatchObject({ name: 'hsmd_derive_secret_reply' });
  });

  it('that the client may not ask close its socket', async () => {
    const { hsmd, signer } = await serving();
    signer.answering = (_, name) => (name === 'hsmd_ecdh_req' ? refusedBy({ code: 'permission' }) : null);
    const client = await hsmd.openClient(3n);
    expect(await client.ask(ECDH)).toMatchObject({ name: 'vls_signer_error', code: 3 });
    expect(await client.receive()).toBe('closed');
    await hsmd.waitForStatus(({ name }) => name === 'hsmstatus_client_bad_request');
    expect(await hsmd.master.ask(DERIVE)).toMatchObject({ name: 'hsmd_derive_secret_reply' });
  });

  it('that are noise close the socket of who sent it, by the signer’s word', async () => {
    const { hsmd, signer } = await serving();
    const client = await hsmd.openClient(3n);
    expect(await client.ask(Uint8Array.of(0xff, 0xfe, 1, 2, 3))).toMatchObject({
      name: 'vls_signer_error',
      code: 2,
    });
    expect(await client.receive()).toBe('closed');
    expect(signer.asked.at(-1)?.name).toBe('unknown');
  });

  it('that are refused for the moment are asked again', async () => {
    const { hsmd, signer } = await serving();
    let left = 2;
    signer.answering = (_, name) =>
      name === 'hsmd_ecdh_req' && left-- > 0 ? refusedBy({ temporary: true }) : null;
    const client = await hsmd.openClient(3n);
    expect(await client.ask(ECDH)).toMatchObject({ name: 'hsmd_ecdh_resp' });
    expect(signer.asked.filter(({ name }) => name === 'hsmd_ecdh_req')).toHaveLength(3);
  });

  it('beyond the limit are refused here, and nothing of them travels', async () => {
    const { hsmd, signer } = await serving('');
    const client = await hsmd.openClient(3n);
    const asked = signer.asked.length;
    expect(await client.ask(new Uint8Array(4 * 1024 * 1024 + 1))).toMatchObject({
      name: 'vls_signer_error',
      code: 2,
      message: expect.stringContaining('larger than message_bytes_max'),
    });
    expect(signer.asked).toHaveLength(asked);
    expect(await hsmd.master.ask(DERIVE)).toMatchObject({ name: 'hsmd_derive_secret_reply' });
  });

  it.each<[string, LinkAnswer]>([
    ['nothing', { kind: 'reply', body: new Uint8Array(0) }],
    ['noise', { kind: 'reply', body: new Uint8Array(300_000).fill(0xaa) }],
    ['an answer to something else', DERIVED],
    ['a reply cut off', { kind: 'reply', body: (SHARED as { body: Uint8Array }).body.subarray(0, 9) }],
  ])('answered with %s are refused, and the node lives', async (_, answer) => {
    const { hsmd, signer } = await serving();
    signer.answering = (_client, name) => (name === 'hsmd_ecdh_req' ? answer : null);
    const client = await hsmd.openClient(3n);
    expect(await client.ask(ECDH)).toMatchObject({
      name: 'vls_signer_error',
      code: 2,
      message: expect.stringContaining("the signer's answer is none to this request"),
    });
    signer.answering = () => null;
    expect(await client.ask(ECDH)).toMatchObject({ name: 'hsmd_ecdh_resp' });
  });
});

describe('node.sock', () => {
  async function feeding(state: string, count: number) {
    const replies: string[] = [];
    const feeders = Array.from({ length: count }, () => new FrameSocket(connect(join(state, 'node.sock'))));
    for (const frames of feeders)
      frames.start({
        frame: (body) => {
          const decoded = decodeMessage(body, 'reply');
          replies.push(decoded.ok ? decoded.message.name : 'malformed');
        },
        closed: () => {},
      });
    return { feeders, replies };
  }

  it('takes what feeders bring to the signer, each connection for itself', async () => {
    const { state, signer } = await serving();
    const { feeders, replies } = await feeding(state, 2);
    for (const frames of feeders) frames.send(encodeMessage({ name: 'countersign_chain_tip' }));
    await expect.poll(() => replies.length, WAIT).toBe(2);
    expect(signer.fed.map(({ name }) => name)).toEqual(['countersign_chain_tip', 'countersign_chain_tip']);
    expect(new Set(signer.fed.map(({ session }) => session)).size).toBe(2);
    for (const frames of feeders) frames.destroy();
    await expect.poll(() => signer.ended.length, WAIT).toBe(2);
  });

  it('takes preimages while the signer says nothing, and they are in front of what is asked next', async () => {
    const { state, hsmd, signer } = await serving();
    const asked: string[] = [];
    const silence = Promise.withResolvers<LinkAnswer>();
    signer.answering = (_client, name) => {
      asked.push(name);
      return name === 'countersign_preimages' ? silence.promise : null;
    };
    const { feeders, replies } = await feeding(state, 1);
    const client = await hsmd.openClient(3n);
    feeders[0]!.send(encodeMessage({ name: 'countersign_preimages', preimages: [new Uint8Array(32)] }));
    await expect.poll(() => replies, WAIT).toEqual(['countersign_preimages_reply']);
    expect(await client.ask(ECDH)).toMatchObject({ name: 'hsmd_ecdh_resp' });
    expect(asked).toEqual(['countersign_preimages', 'hsmd_ecdh_req']);
    silence.resolve({
      kind: 'reply',
      body: encodeMessage({ name: 'countersign_preimages_reply', learned: 1 }),
    });
  });

  it('takes the chain to the signer, where [chain] names a source for this side', async () => {
    const chain = new MinedChain();
    chain.extendBy(3);
    const fake = await FakeBitcoind.start(chain);
    afterTest(() => fake.stop());
    const cookie = fileWith(fake.cookie);
    const { hsmd, signer } = await serving(
      `[chain]\nsource = "bitcoind"\nurl = "${fake.url.href}"\ncookie_file = "${cookie}"\npoll_seconds = 1\n`,
    );
    await expect.poll(() => signer.fed.map(({ name }) => name), WAIT).toContain('countersign_chain_tip');
    await expect
      .poll(() => hsmd.logged('info').join('\n'), WAIT)
      .toContain('countersign: chain: following bitcoind at');
    expect((await hsmd.hangUp()).code).toBe(2);
  });
});
