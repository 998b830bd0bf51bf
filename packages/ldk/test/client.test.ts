/** Asking the signer: every outcome is a value, and the listeners hear of what was not answered, after the call. */
import { describe, expect, it } from 'vitest';
import { channelName, type LdkRefusal, SignerClient } from '../src/client.ts';
import { refusedWith, TestDoor, TogetherDoor } from './support.ts';

const KEYS_ID = new Uint8Array(32).fill(0xab);
const PING = { name: 'vls_get_per_commitment_point2', n: 7n } as const;
const POINT = new Uint8Array(33).fill(2);

function clientOf(door: TestDoor): { client: SignerClient; heard: LdkRefusal[] } {
  const client = new SignerClient(door);
  const heard: LdkRefusal[] = [];
  client.onRefusal((refusal) => heard.push(refusal));
  return { client, heard };
}

const ask = (client: SignerClient) => client.ask<'vls_get_per_commitment_point2'>('a method', KEYS_ID, PING);

describe('a question', () => {
  it('goes out under the name of the channel, and comes back as its reply', () => {
    const reply = { name: 'vls_get_per_commitment_point2_reply', perCommitmentPoint: POINT } as const;
    const door = new TestDoor(() => reply);
    const { client } = clientOf(door);
    expect(ask(client)).toEqual({ ok: true, reply });
    const [asked] = door.asked;
    expect(asked?.client.peerId).toEqual(channelName(KEYS_ID));
    expect(asked?.client.peerId?.[0]).toBe(0);
    expect(asked?.client.dbid).toBe(1n);
    expect(asked?.request).toEqual(PING);
  });

  it.each([
    ['policy-x: no [a=1]', 1, 'policy-x', false],
    ['policy-x: not yet [a=1] (temporary: try again later)', 1, 'policy-x', true],
    ['no-signer: it is away', 6, 'no-signer', true],
    ['without a tag', 2, 'without a tag', false],
  ])('refused with "%s" becomes a value', async (text, code, tag, temporary) => {
    const { client, heard } = clientOf(new TestDoor(() => refusedWith(text, code)));
    const expected = { method: 'a method', request: PING.name, tag, text, temporary };
    expect(ask(client)).toMatchObject({ ok: false, refusal: expected });
    expect(heard).toEqual([]);
    await Promise.resolve();
    expect(heard).toMatchObject([{ ...expected, channelKeysId: 'ab'.repeat(32) }]);
  });

  it.each([
    ['nobody', null],
    ['bytes that are no reply', Uint8Array.of(0xff)],
    ['a reply nobody knows', Uint8Array.of(0x7f, 0xff, 1)],
  ])('answered by %s is one that could not be asked', (_, answer) => {
    const { client } = clientOf(new TestDoor(() => answer));
    expect(ask(client)).toMatchObject({ ok: false, refusal: { tag: 'unreachable', temporary: true } });
  });

  it('of a feed is answered alike', async () => {
    const door = new TestDoor(() => refusedWith('policy-chain-validated: no work'));
    const { client } = clientOf(door);
    const tip = { name: 'countersign_chain_tip' } as const;
    expect(await client.feed<'countersign_chain_tip'>(tip)).toMatchObject({
      ok: false,
      refusal: { tag: 'policy-chain-validated' },
    });
    door.answer = () => null;
    expect(await client.feed<'countersign_chain_tip'>(tip)).toMatchObject({
      ok: false,
      refusal: { tag: 'unreachable' },
    });
  });
});

describe('several questions', () => {
  const reply = { name: 'vls_get_per_commitment_point2_reply', perCommitmentPoint: POINT } as const;
  const questions = [
    { channelKeysId: null, request: { name: 'countersign_preimages', preimages: [] } },
    { channelKeysId: KEYS_ID, request: PING },
    { channelKeysId: KEYS_ID, request: { ...PING, n: 8n } },
  ] as const;

  it('are not asked where the door takes one at a time', () => {
    const door = new TestDoor(() => reply);
    expect(clientOf(door).client.askTogether('a method', questions)).toBeNull();
    expect(door.asked).toEqual([]);
  });

  it('go at once, each under its name, and are answered in their order', () => {
    const learned = { name: 'countersign_preimages_reply', learned: 1 } as const;
    const door = new TogetherDoor((request) => (request.name === 'countersign_preimages' ? learned : reply));
    const asked = clientOf(door).client.askTogether('a method', questions);
    expect(asked).toEqual({ replies: [learned, reply, reply], refusal: null });
    expect(door.together).toEqual([3]);
    expect(door.asked.map(({ client }) => client.dbid)).toEqual([0n, 1n, 1n]);
  });

  it('are answered up to the first refusal, and nobody hears of what comes after it', async () => {
    const door = new TogetherDoor((request) =>
      request === door.asked[0]?.request ? reply : refusedWith('policy-x: no [a=1]'),
    );
    const { client, heard } = clientOf(door);
    const asked = client.askTogether('a method', questions);
    expect(asked).toMatchObject({ replies: [reply], refusal: { tag: 'policy-x', request: PING.name } });
    await Promise.resolve();
    expect(heard).toHaveLength(1);
  });

  it('are all without an answer where the door throws or says too little', () => {
    const door = new TogetherDoor(() => null);
    const { client } = clientOf(door);
    const nothing = { replies: [], refusal: { tag: 'unreachable', temporary: true } };
    expect(client.askTogether('a method', questions)).toMatchObject(nothing);
    door.askTogether = () => [];
    expect(client.askTogether('a method', questions)).toMatchObject(nothing);
  });
});
