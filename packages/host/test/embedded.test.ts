/**
 * A signer in its node's own process: what it answers is durable when the call returns, and nothing a node sends makes it throw.
 */
import { join } from 'node:path';
import { FormError, msat, toHex } from '@countersign/bitcoin';
import { KeyRing, type KeyStyle, networkByName, Secret } from '@countersign/core';
import { type SyncDoorClient, SyncDoorError } from '@countersign/transport';
import {
  decodeMessage,
  encodeMessage,
  type MessageName,
  type MessageOf,
  type Request,
} from '@countersign/wire';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fractionsOf } from '../src/embedded/machine.ts';
import {
  type Config,
  DEFAULT_CONFIG,
  type EmbeddedSigner,
  openEmbeddedSigner,
  parseConfig,
  type Signer,
  SYSTEM_MACHINE,
} from '../src/index.ts';
import {
  channelClient,
  countingSecp,
  ecdhRequest,
  failing,
  forgetRequest,
  inDirectory,
  late,
  master,
  openStore,
  peerId,
  policyOf,
  ringOf,
  secp,
  setupRequest,
  signerOn,
} from './support.ts';

const regtest = networkByName('regtest')!;
const node: SyncDoorClient = { peerId: null, dbid: 0n, permissions: master.permissions };
const channel = (dbid: number): SyncDoorClient => ({
  peerId,
  dbid: BigInt(dbid),
  permissions: channelClient(dbid).permissions,
});

interface Opened extends EmbeddedSigner {
  readonly ask: (client: SyncDoorClient, request: Request) => MessageOf<MessageName>;
  readonly log: string[];
}

async function embedded(
  stateDirectory: string,
  body: (opened: Opened) => Promise<void>,
  configuration = '',
  changed: Partial<Config> = {},
  keyStyle?: KeyStyle,
): Promise<void> {
  const log: string[] = [];
  const opened = await openEmbeddedSigner({
    secp,
    seed: Secret.copy(new Uint8Array(32).fill(1), 32),
    ...(keyStyle !== undefined && { keyStyle }),
    network: regtest,
    config: { ...parseConfig(configuration, 'countersign.toml'), stateDirectory, ...changed },
    log: (level, text) => log.push(`${level} ${text}`),
    onBug: (error) => log.push(`bug ${String(error)}`),
  });
  const ask = (client: SyncDoorClient, request: Request) =>
    replyIn(opened.door.ask(client, encodeMessage(request)));
  try {
    await body({ ...opened, ask, log });
  } finally {
    await opened.close();
  }
  expect(log.filter((line) => line.startsWith('bug'))).toEqual([]);
}

function replyIn(body: Uint8Array): MessageOf<MessageName> {
  const decoded = decodeMessage(body, 'reply');
  if (!decoded.ok || decoded.message.name === 'unknown') throw new Error('no reply');
  return decoded.message;
}

const refusal = (text: RegExp) => ({ name: 'vls_signer_error', message: expect.stringMatching(text) });

describe('the door of an embedded signer', () => {
  it('answers durably before it returns, and goes on from there when it is opened again', () =>
    inDirectory(async (directory) => {
      await embedded(directory, async ({ ask, journal }) => {
        await journal.settled();
        const { seq } = journal.auditHead;
        expect(ask(channel(1), setupRequest(1))).toEqual({ name: 'hsmd_setup_channel_reply' });
        expect(journal.stats.pendingCommits).toBe(0);
        expect(journal.auditHead.seq).toBeGreaterThan(seq);
      });
      await embedded(directory, async ({ ask }) => {
        expect(ask(channel(2), setupRequest(1))).toMatchObject(
          refusal(/^policy-channel-original-channel-id-reuse/),
        );
        expect(ask(channel(1), setupRequest(1))).toEqual({ name: 'hsmd_setup_channel_reply' });
      });
    }));

  it('gives the replies of the asynchronous signer', () =>
    inDirectory(async (directory) => {
      await embedded(directory, async ({ ask, signer, nodeId }) => {
        const reply = ask(node, ecdhRequest);
        expect(await signer.answer(master, ecdhRequest)).toEqual({ kind: 'reply', reply });
        expect(nodeId).toEqual(ringOf(1).nodeId);
      });
    }));

  it('refuses in text whatever does not decode, is unknown, or is a reply', () =>
    inDirectory(async (directory) => {
      await embedded(directory, async ({ door, journal }) => {
        await journal.settled();
        const { seq } = journal.auditHead;
        expect(replyIn(door.ask(node, Uint8Array.of(0)))).toMatchObject(refusal(/^policy-generic-error/));
        expect(replyIn(door.ask(node, Uint8Array.of(0x7f, 0xff)))).toMatchObject(
          refusal(/message_type=32767/),
        );
        await journal.settled();
        expect(journal.auditHead.seq).toBe(seq + 2);
        fc.assert(
          fc.property(fc.uint8Array({ maxLength: 200 }), fc.integer({ min: 0, max: 1200 }), (bytes, type) => {
            const body = Uint8Array.of(type >> 8, type & 255, ...bytes);
            expect(() => replyIn(door.ask(channel(3), body))).not.toThrow();
          }),
          { numRuns: 300 },
        );
      });
    }));

  it('takes several requests at once, each with a reply in its place', () =>
    inDirectory(async (directory) => {
      await embedded(directory, async ({ door, journal }) => {
        await journal.settled();
        const { batches } = journal.stats;
        const of = (client: SyncDoorClient, request: Request | Uint8Array) => ({
          client,
          request: request instanceof Uint8Array ? request : encodeMessage(request),
        });
        const ping = { name: 'vls_ping', id: 7, message: 'hello' } as const;
        const replies = door.askTogether!([
          of(channel(1), setupRequest(1)),
          of(node, Uint8Array.of(0x7f, 0xff)),
          of(node, ping),
          of(node, ecdhRequest),
        ]);
        expect(replies.map(replyIn)).toMatchObject([
          { name: 'hsmd_setup_channel_reply' },
          refusal(/message_type=32767/),
          { name: 'vls_pong', id: 7 },
          { name: 'hsmd_ecdh_resp' },
        ]);
        expect(journal.stats).toMatchObject({ pendingCommits: 0, batches: batches + 1 });
        expect(door.askTogether!([of(node, ping)]).map(replyIn)).toMatchObject([{ name: 'vls_pong' }]);
        const many = new Array(5).fill(of(channel(2), setupRequest(2)));
        expect(() => door.askTogether!(many)).toThrow(FormError);
        expect(replyIn(door.ask(channel(3), encodeMessage(setupRequest(2))))).toMatchObject({
          name: 'hsmd_setup_channel_reply',
        });
        await door.close();
        expect(() => door.askTogether!([of(node, ping)])).toThrow(SyncDoorError);
      });
    }));

  it('refuses in text a client that no channel can have', () =>
    inDirectory(async (directory) => {
      await embedded(directory, async ({ ask, journal }) => {
        const clients: readonly SyncDoorClient[] = [
          { ...channel(1), peerId: peerId.subarray(1) },
          { ...channel(1), peerId: new Uint8Array(0) },
          { ...channel(1), dbid: -1n },
          { ...channel(1), dbid: 1n << 64n },
          // Written one after the other, as the name of channel 12.
          { ...channel(2), peerId: Uint8Array.of(...peerId, 0x31) },
          // What a program without types may give: these have the keys of channel 12.
          { ...channel(1), dbid: '0x0c' as never },
          { ...channel(1), dbid: 12 as never },
          { ...channel(12), peerId: [...peerId] as never },
        ];
        expect(ask(channel(12), { name: 'hsmd_get_per_commitment_point', n: 0n })).toMatchObject({
          name: 'hsmd_get_per_commitment_point_reply',
        });
        for (const client of clients)
          expect(ask(client, setupRequest(1))).toMatchObject(refusal(/^policy-generic-error/));
        expect(journal.keys('channel/')).toEqual([]);
        expect(ask(channel(1), setupRequest(1))).toEqual({ name: 'hsmd_setup_channel_reply' });
      });
    }));

  it('keeps what it was told, whatever becomes of the caller’s memory', () =>
    inDirectory(async (directory) => {
      await embedded(directory, async ({ door, journal, signer }) => {
        const client = { ...channel(1), peerId: peerId.slice() };
        const request = encodeMessage(setupRequest(1));
        expect(replyIn(door.ask(client, request))).toEqual({ name: 'hsmd_setup_channel_reply' });
        const id = `${toHex(peerId)}/1`;
        const { value: before } = journal.read(`channel/${id}`)!;
        client.peerId.fill(0);
        request.fill(0);
        // What is in memory is written anew, twice: as it was.
        await signer.administer({ op: 'channel-freeze', channel: id });
        await signer.administer({ op: 'channel-unfreeze', channel: id });
        expect(journal.read(`channel/${id}`)!.value).toEqual(before);
      });
    }));

  it('keeps its limit in both directions', () =>
    inDirectory(async (directory) => {
      await embedded(
        directory,
        async ({ door }) => {
          const long = encodeMessage({ name: 'hsmd_sign_message', msg: new Uint8Array(64) });
          expect(replyIn(door.ask(node, long))).toMatchObject(refusal(/^policy-generic-error/));
          const short = encodeMessage({ name: 'vls_node_info' });
          expect(replyIn(door.ask(node, short))).toMatchObject(refusal(/^policy-generic-error: the reply/));
        },
        '',
        { messageBytesMax: 64 },
      );
    }));

  it('takes the chain from the node where the configuration says so', () =>
    inDirectory(async (directory) => {
      const tip = encodeMessage({ name: 'countersign_chain_tip' });
      await embedded(
        directory,
        async ({ door }) => {
          expect(replyIn(await door.feed(tip))).toMatchObject({
            name: 'countersign_chain_tip_reply',
            begins: undefined,
          });
        },
        '[chain]\nsource = "node"\nbirthday_height = 1\n',
      );
      await embedded(directory, async ({ door }) => {
        expect(replyIn(await door.feed(tip))).toMatchObject(refusal(/does not come from the node/));
      });
    }));

  it('is shut once, for good', () =>
    inDirectory(async (directory) => {
      await embedded(directory, async ({ door, close, journal }) => {
        await Promise.all([close(), close()]);
        expect(journal.state).toBe('closed');
        expect(() => door.ask(node, encodeMessage(ecdhRequest))).toThrow(SyncDoorError);
        await expect(door.feed(encodeMessage({ name: 'countersign_chain_tip' }))).rejects.toMatchObject({
          code: 'sync-door-closed',
        });
      });
    }));

  it('leaves nothing open when the store belongs to another seed', () =>
    inDirectory(async (directory) => {
      await embedded(directory, async () => {});
      const other = openEmbeddedSigner({
        secp,
        seed: Secret.copy(new Uint8Array(32).fill(2), 32),
        network: regtest,
        config: { ...DEFAULT_CONFIG, stateDirectory: directory },
        log: () => {},
        onBug: () => {},
      });
      await expect(other).rejects.toMatchObject({ code: 'store-bound-elsewhere' });
      await embedded(directory, async () => {});
    }));

  it('tells the operator where its socket can’t be opened, and signs', () =>
    inDirectory(async (directory) => {
      // Longer than a path of a Unix socket may be.
      await embedded(join(directory, 'x'.repeat(120)), async ({ ask, log }) => {
        expect(log.some((line) => line.startsWith('broken '))).toBe(true);
        expect(ask(node, ecdhRequest)).toMatchObject({ name: 'hsmd_ecdh_resp' });
      });
    }));
});

describe('a node that introduces itself as VLS’s clients do', () => {
  const init = (changed: Partial<MessageOf<'vls_hsmd_init2'>> = {}): Request => ({
    name: 'vls_hsmd_init2',
    derivationStyle: 1,
    networkName: 'regtest',
    devSeed: undefined,
    devAllowlist: [],
    ...changed,
  });

  it('learns who the signer is', () =>
    inDirectory(async (directory) => {
      await embedded(directory, async ({ ask, nodeId }) => {
        const { wallet: bip32, bolt12 } = ringOf(1).identity;
        expect(ask(node, init())).toEqual({ name: 'vls_hsmd_init2_reply', nodeId, bip32, bolt12 });
        expect(ask(node, { name: 'vls_node_info' })).toEqual({
          name: 'vls_node_info_reply',
          networkName: 'regtest',
          nodeId,
          bip32,
        });
        expect(ask(node, { name: 'vls_ping', id: 7, message: 'there?' })).toEqual({
          name: 'vls_pong',
          id: 7,
          message: 'there?',
        });
      });
    }));

  it('learns who it is where the seed was an LDK node’s', () =>
    inDirectory(async (directory) => {
      const ring = new KeyRing({
        secp256k1: secp,
        seed: Secret.copy(new Uint8Array(32).fill(1), 32),
        style: 'ldk',
        bip32PublicVersion: regtest.bip32Public,
      });
      const body = async ({ ask, nodeId }: Opened) => {
        const { wallet: bip32, bolt12 } = ring.identity;
        expect(nodeId).toEqual(ring.nodeId);
        const reply = { name: 'vls_hsmd_init2_reply', nodeId, bip32, bolt12 };
        expect(ask(node, init({ derivationStyle: 2 }))).toEqual(reply);
        expect(ask(node, init())).toMatchObject(refusal(/key_style=ldk key_style_asked=cln/));
      };
      await embedded(directory, body, '', {}, 'ldk');
      // The other style is another node: its state is not this one's.
      await expect(embedded(directory, body)).rejects.toMatchObject({ code: 'store-bound-elsewhere' });
    }));

  it('gets random bytes, new ones each time', () =>
    inDirectory(async (directory) => {
      await embedded(directory, async ({ ask }) => {
        const draw = () => {
          const reply = ask(node, { name: 'vls_get_secure_random_bytes' });
          return reply.name === 'vls_get_secure_random_bytes_reply' ? reply.randomBytes : undefined;
        };
        expect(draw()?.length).toBe(32);
        expect(draw()).not.toEqual(draw());
      });
    }));

  it.each([
    ['another network', init({ networkName: 'bitcoin' }), /network=regtest network_asked=bitcoin/],
    ['another key style', init({ derivationStyle: 2 }), /key_style=cln key_style_asked=ldk/],
    ['a key style nobody has', init({ derivationStyle: 9 }), /key_style_asked=9/],
    ['a seed of its own', init({ devSeed: new Uint8Array(32).fill(3) }), /not for the node to choose/],
    ['destinations of its own', init({ devAllowlist: ['bcrt1q'] }), /not for the node to choose/],
  ])('is refused with %s: policy-init-binding', (_, request, text) =>
    inDirectory(async (directory) => {
      await embedded(directory, async ({ ask, journal }) => {
        await journal.settled();
        const { seq } = journal.auditHead;
        const reply = ask(node, request);
        expect(reply).toMatchObject(refusal(/^policy-init-binding/));
        expect(reply).toMatchObject(refusal(text));
        await journal.settled();
        expect(journal.auditHead.seq).toBe(seq + 1);
      });
    }),
  );
});

describe('a signer that answers now', () => {
  const setup = (signer: Signer, dbid: number) => signer.answerNow(channelClient(dbid), setupRequest(dbid));

  it('has on disk what it answers to, also what it only read', () =>
    inDirectory(async (directory) => {
      const journal = openStore(directory);
      const signer = signerOn(journal);
      const pending = signer.answer(channelClient(1), setupRequest(1));
      expect(journal.stats.pendingCommits).toBe(1);
      // Reads what the request before it has changed.
      expect(signer.answerNow(channelClient(1), setupRequest(1)).kind).toBe('reply');
      expect(journal.stats.pendingCommits).toBe(0);
      expect((await pending).kind).toBe('reply');
      await journal.close();
    }));

  it('has on disk what it asks the operator about, when the refusal is told', () =>
    inDirectory(async (directory) => {
      const journal = openStore(directory);
      const signer = signerOn(journal, { policy: policyOf('regtest', 'hub') });
      const asking = {
        name: 'hsmd_preapprove_keysend_check',
        destination: peerId,
        paymentHash: new Uint8Array(32).fill(1),
        amountMsat: msat(1000n),
        checkOnly: false,
      } as const;
      expect(signer.answerNow(master, asking)).toMatchObject({
        kind: 'refused',
        refusal: { code: 'policy' },
      });
      expect(journal.stats).toMatchObject({ pendingCommits: 0, commits: 1 });
      // A refusal that asks nobody anything need not be.
      expect(setup(signer, 1).kind).toBe('reply');
      const stolen = signer.answerNow(channelClient(3), setupRequest(1));
      expect(stolen).toMatchObject({ kind: 'refused', refusal: { code: 'policy' } });
      expect(journal.stats.pendingCommits).toBe(1);
      await journal.close();
    }));

  it('decides several in their order, and makes all of them durable at once', () =>
    inDirectory(async (directory) => {
      const journal = openStore(directory);
      const signer = signerOn(journal);
      await journal.settled();
      const before = journal.stats;
      const of = (dbid: number, request: Request) => ({ client: channelClient(dbid), request });
      const answers = signer.answerAllNow([
        of(1, setupRequest(1)),
        // Rests on the one before it: that funding is taken.
        of(2, setupRequest(1)),
        of(2, setupRequest(2)),
      ]);
      expect(answers).toMatchObject([
        { kind: 'reply', reply: { name: 'hsmd_setup_channel_reply' } },
        { kind: 'refused', refusal: { tag: 'policy-channel-original-channel-id-reuse' } },
        { kind: 'reply', reply: { name: 'hsmd_setup_channel_reply' } },
      ]);
      expect(journal.stats.pendingCommits).toBe(0);
      expect(journal.stats.batches).toBe(before.batches + 1);
      expect(journal.stats.commits).toBe(before.commits + 3);
      expect(signer.answerAllNow([])).toEqual([]);
      await journal.close();
    }));

  it('gives nothing of several away when one of them is lost', () =>
    inDirectory(async (directory) => {
      const { secp: counted, signatures } = countingSecp();
      const journal = failing(openStore(directory), 1);
      const signer = signerOn(journal, { ring: ringOf(1, counted) });
      const asked = [
        { client: master, request: ecdhRequest },
        { client: channelClient(1), request: setupRequest(1) },
        { client: channelClient(2), request: setupRequest(2) },
      ];
      const failed = { kind: 'refused', refusal: { code: 'store-failed' } };
      expect(signer.answerAllNow(asked)).toMatchObject([failed, failed, failed]);
      expect(signer.answerAllNow(asked.slice(0, 1))).toMatchObject([failed]);
      expect(signatures()).toBe(0);
      await journal.close();
    }));

  it('stops for good with its store, and signs nothing', () =>
    inDirectory(async (directory) => {
      const { secp: counted, signatures } = countingSecp();
      const journal = failing(openStore(directory), 1);
      const signer = signerOn(journal, { ring: ringOf(1, counted) });
      expect(setup(signer, 1).kind).toBe('reply');
      expect(setup(signer, 2)).toMatchObject({ kind: 'refused', refusal: { code: 'store-failed' } });
      expect(signer.failure).not.toBeNull();
      for (const request of [ecdhRequest, forgetRequest(1)]) {
        expect(signer.answerNow(master, request)).toMatchObject({ refusal: { code: 'store-failed' } });
      }
      expect(signatures()).toBe(0);
      await journal.close();
    }));

  it('answers nothing that a store on its way out no longer takes', () =>
    inDirectory(async (directory) => {
      const journal = openStore(directory);
      const signer = signerOn(journal);
      const closed = journal.close();
      expect(setup(signer, 1)).toMatchObject({ kind: 'refused', refusal: { code: 'store-failed' } });
      await closed;
    }));

  it('believes the sync, not the promise: a commit that is lost is never answered', () =>
    inDirectory(async (directory) => {
      const journal = late(openStore(directory));
      journal.flushNow = () => {
        throw new RangeError('of the store itself');
      };
      const signer = signerOn(journal);
      expect(setup(signer, 1)).toMatchObject({ kind: 'refused', refusal: { tag: 'store-io' } });
      journal.release();
      await journal.close();
    }));
});

it('the machine of a signer: clocks that go, and chance', () => {
  const { randomBytes, monotonicMs, nowSeconds } = SYSTEM_MACHINE;
  expect(randomBytes(16).length).toBe(16);
  expect(randomBytes(16)).not.toEqual(randomBytes(16));
  const before = monotonicMs();
  expect(monotonicMs()).toBeGreaterThanOrEqual(before);
  expect(Number.isInteger(nowSeconds())).toBe(true);
});

it('chance as fractions, whatever else lies in the buffer', () => {
  const drawn = (bytes: Uint8Array) => fractionsOf({ randomBytes: () => bytes })();
  expect(drawn(new Uint8Array(4))).toBe(0);
  expect(drawn(Uint8Array.of(0x80, 0, 0, 0))).toBe(0.5);
  expect(drawn(new Uint8Array(4).fill(255))).toBeLessThan(1);
  expect(drawn(Uint8Array.of(9, 9, 9, 0x40, 0, 0, 0, 9).subarray(3, 7))).toBe(0.25);
});
