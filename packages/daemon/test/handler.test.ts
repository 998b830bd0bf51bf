/** Requests from elsewhere, as a link hands them over: nothing but INIT before INIT, refusals as values, feeders without rights. */
import { MASTER_PERMISSIONS, PERMISSION, type Policy, policyOf } from '@countersign/core';
import { FeedDesk, Signer } from '@countersign/host';
import { openJournal } from '@countersign/store';
import type { LinkAnswer, LinkClient } from '@countersign/transport';
import { decodeMessage, encodeMessage, type MessageOf, type Reply, type Request } from '@countersign/wire';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { initRequest } from '../../core/test/init-request.ts';
import { FEEDS_MAX, type HandlerOptions, SignerHandler } from '../src/session/handler.ts';
import { keyOf, random, regtest, ringOf, secp, temporaryDirectory } from './support.ts';

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

const ring = ringOf(0x42);
const NODE: LinkClient = { peerId: null, dbid: 0n, permissions: MASTER_PERMISSIONS };
const peer = keyOf('peer');
const channeld = (dbid: bigint): LinkClient => ({
  peerId: peer,
  dbid,
  permissions: PERMISSION.COMMITMENT_POINT | PERMISSION.SIGN_REMOTE_TX | PERMISSION.ECDH,
});

interface World {
  readonly handler: SignerHandler;
  readonly signer: Signer;
  readonly bugs: unknown[];
  readonly seen: { readonly name: string; readonly refusal: unknown }[];
  readonly refused: string[];
  readonly auditSeq: () => number;
  ask(request: Request | Uint8Array, client?: LinkClient): Promise<LinkAnswer>;
  told(request: Request | Uint8Array, client?: LinkClient): Promise<Reply>;
}

function world(
  changed: Partial<HandlerOptions> = {},
  policy: Policy = policyOf(regtest, 'permissive'),
): World {
  const journal = openJournal(`${temporaryDirectory()}/state`, {
    mode: 'create',
    randomBytes: random,
    monotonicMs: () => performance.now(),
  });
  const signer = new Signer({
    ring,
    secp,
    journal,
    policy,
    protocolVersion: 6,
    nowSeconds: () => 1_700_000_000,
  });
  closers.push(() => journal.close());
  const bugs: unknown[] = [];
  const seen: World['seen'] = [];
  const refused: string[] = [];
  const handler = new SignerHandler({
    signer,
    ring,
    hsmSecretType: 0,
    network: regtest,
    feed: new FeedDesk(signer, null),
    messageBytesMax: 65_536,
    observer: { answered: ({ name, refusal }) => void seen.push({ name, refusal: refusal?.code ?? null }) },
    monotonicMs: () => performance.now(),
    randomBytes: random,
    onBug: (error) => void bugs.push(error),
    onInitialized: () => {},
    onRefused: ({ request, text }) => void refused.push(`${request}: ${text}`),
    ...changed,
  });
  const ask = (request: Request | Uint8Array, client = NODE): Promise<LinkAnswer> =>
    handler.ask(client, request instanceof Uint8Array ? request : encodeMessage(request));
  const told = async (request: Request | Uint8Array, client = NODE): Promise<Reply> =>
    replyOf(await ask(request, client));
  return { handler, signer, bugs, seen, refused, auditSeq: () => journal.auditHead.seq, ask, told };
}

function replyOf(answer: LinkAnswer): Reply {
  if (answer.kind === 'refused') throw new Error(`refused: ${answer.refusal.text}`);
  const decoded = decodeMessage(answer.body, 'reply');
  if (!decoded.ok || decoded.message.name === 'unknown') throw new Error('no reply');
  return decoded.message;
}

function refusalOf(answer: LinkAnswer) {
  if (answer.kind === 'reply') throw new Error('answered');
  return answer.refusal;
}

const ECDH: Request = { name: 'hsmd_ecdh_req', point: keyOf('somebody') };

describe('before a node has introduced itself', () => {
  it('nothing is answered, and the refusal says that it will pass', async () => {
    const { ask, handler } = world();
    expect(handler.isInitialized).toBe(false);
    expect(refusalOf(await ask(ECDH))).toMatchObject({
      code: 'not-initialized',
      request: 'hsmd_ecdh_req',
      temporary: true,
      text: 'a request before INIT',
    });
  });

  it('only the node itself may introduce it', async () => {
    const { ask, handler } = world();
    const noMaster = { ...NODE, permissions: PERMISSION.ECDH };
    for (const client of [channeld(1n), { ...channeld(1n), permissions: MASTER_PERMISSIONS }, noMaster]) {
      expect(refusalOf(await ask(initRequest(), client))).toMatchObject({
        code: 'permission',
        temporary: false,
      });
    }
    expect(handler.isInitialized).toBe(false);
  });
});

describe('INIT of an application with LDK', () => {
  const init2 = (changed: Partial<MessageOf<'vls_hsmd_init2'>> = {}): MessageOf<'vls_hsmd_init2'> => ({
    name: 'vls_hsmd_init2',
    derivationStyle: 1,
    networkName: 'regtest',
    devSeed: undefined,
    devAllowlist: [],
    ...changed,
  });
  const info: Request = { name: 'vls_node_info' };

  it('is answered with who the signer is, and what it asks beside its rules', async () => {
    const { told, handler } = world();
    const { nodeId, bip32, bolt12 } = ring.identity;
    expect(await told(init2())).toEqual({ name: 'vls_hsmd_init2_reply', nodeId, bip32, bolt12 });
    expect(handler.isInitialized).toBe(true);
    expect(await told(info)).toMatchObject({ name: 'vls_node_info_reply', networkName: 'regtest', nodeId });
    expect(await told(ECDH)).toMatchObject({ name: 'hsmd_ecdh_resp' });
  });

  it.each([
    ['another network', init2({ networkName: 'bitcoin' })],
    ['another key style', init2({ derivationStyle: 2 })],
    ['a seed of its own', init2({ devSeed: new Uint8Array(32) })],
  ])('is refused with %s', async (_, message) => {
    const { ask, handler } = world();
    expect(refusalOf(await ask(message))).toMatchObject({ tag: 'policy-init-binding', temporary: false });
    expect(handler.isInitialized).toBe(false);
  });

  it('is for the node itself', async () => {
    const { ask, handler } = world();
    for (const message of [init2(), info])
      expect(refusalOf(await ask(message, channeld(1n)))).toMatchObject({ code: 'permission' });
    expect(handler.isInitialized).toBe(false);
  });
});

describe('INIT', () => {
  it('is answered with who the signer is, again and again, in the version asked for', async () => {
    const { told, handler, signer } = world();
    const reply = await told(initRequest('regtest', { hsmWireMaxVersion: 5 }));
    expect(reply).toMatchObject({ name: 'hsmd_init_reply_v4', hsmVersion: 5, nodeId: ring.nodeId });
    expect([handler.isInitialized, signer.protocolVersion]).toEqual([true, 5]);
    expect(await told(initRequest())).toMatchObject({ hsmVersion: 6 });
    expect(signer.protocolVersion).toBe(6);
    expect(await told(ECDH)).toMatchObject({ name: 'hsmd_ecdh_resp' });
  });

  it.each([
    ['another network', initRequest('signet'), /belong to regtest, the node is on signet/],
    [
      'keys of the node’s own',
      initRequest('regtest', { devForcePrivkey: new Uint8Array(32).fill(1) }),
      /not the node’s to choose/,
    ],
    [
      'a seed of the node’s own',
      initRequest('regtest', { devForceBip32Seed: new Uint8Array(32).fill(1) }),
      /not the node’s to choose/,
    ],
    [
      'a version of the future',
      initRequest('regtest', { hsmWireMinVersion: 7, hsmWireMaxVersion: 9 }),
      /speaks versions 4 to 6/,
    ],
    [
      'an unknown chain',
      initRequest('regtest', { chainparams: new Uint8Array(32) }),
      /a chain this signer does not know/,
    ],
  ])('with %s fails as CLN’s hsmd fails, and is on record', async (_, init, text) => {
    const { told, handler, auditSeq, refused } = world();
    const before = auditSeq();
    expect(await told(init)).toMatchObject({
      name: 'hsmd_init_reply_failure',
      errorCode: 20,
      errorMessage: expect.stringMatching(text),
    });
    // Also for who runs the signer.
    expect(refused).toEqual([expect.stringMatching(text)]);
    expect(handler.isInitialized).toBe(false);
    await expect.poll(auditSeq).toBe(before + 1);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(auditSeq()).toBe(before + 1);
  });

  it('that fails leaves what was negotiated before', async () => {
    const { told, handler } = world();
    await told(initRequest());
    await told(initRequest('signet'));
    expect(handler.isInitialized).toBe(true);
    expect(await told(ECDH)).toMatchObject({ name: 'hsmd_ecdh_resp' });
  });

  it('goes by a developer’s preinit, once', async () => {
    const { told, ask } = world();
    const preinit: MessageOf<'hsmd_dev_preinit'> = {
      name: 'hsmd_dev_preinit',
      tlvs: { failPreapprove: true, noPreapproveCheck: true },
    };
    expect(await ask(preinit)).toEqual({ kind: 'reply', body: new Uint8Array(0) });
    expect(refusalOf(await ask(preinit, channeld(1n)))).toMatchObject({ code: 'permission' });
    const { hsmCapabilities } = (await told(initRequest())) as MessageOf<'hsmd_init_reply_v4'>;
    expect(hsmCapabilities).not.toContain(51);
    const keysend: Request = {
      name: 'hsmd_preapprove_keysend',
      destination: peer,
      paymentHash: new Uint8Array(32),
      amountMsat: 1n as never,
    };
    expect(await told(keysend)).toMatchObject({ approved: false });
    const again = (await told(initRequest())) as MessageOf<'hsmd_init_reply_v4'>;
    expect(again.hsmCapabilities).toContain(51);
    expect(await told(keysend)).toMatchObject({ approved: true });
  });
});

describe('a request', () => {
  it('is judged by what its client may ask', async () => {
    const { told, ask } = world();
    await told(initRequest());
    expect(
      refusalOf(await ask({ name: 'hsmd_new_channel', id: peer, dbid: 1n }, channeld(1n))),
    ).toMatchObject({
      code: 'permission',
    });
    expect(await told({ name: 'hsmd_new_channel', id: peer, dbid: 1n })).toMatchObject({
      name: 'hsmd_new_channel_reply',
    });
    // Without a peer there is no channel, whatever the number says.
    expect(
      refusalOf(
        await ask({ name: 'hsmd_get_per_commitment_point', n: 0n }, { ...channeld(1n), peerId: null }),
      ),
    ).toMatchObject({
      code: 'malformed',
    });
  });

  it('that the policy refuses fails alone, and carries its number in the audit log', async () => {
    const { told, ask, refused } = world();
    await told(initRequest());
    await told({ name: 'hsmd_new_channel', id: peer, dbid: 1n });
    const answer = await ask({ name: 'hsmd_revoke_commitment_tx', commitNum: 5n }, channeld(1n));
    const { code, auditId, channel, temporary } = refusalOf(answer);
    expect({ code, temporary }).toEqual({
      code: expect.stringMatching(/policy|malformed/),
      temporary: false,
    });
    expect(auditId).toEqual(expect.any(Number));
    expect(channel).toBe(`${Buffer.from(peer).toString('hex')}/1`);
    expect(refused).toHaveLength(1);
    expect(await told(ECDH, channeld(1n))).toMatchObject({ name: 'hsmd_ecdh_resp' });
  });

  it('of any bytes is answered', () =>
    fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 80 }),
        fc.bigInt({ min: 0n, max: 5n }),
        async (body, dbid) => {
          const { ask, bugs } = shared();
          const answer = await ask(body, channeld(dbid));
          expect(answer.kind).toMatch(/reply|refused/);
          expect(bugs).toEqual([]);
        },
      ),
      { numRuns: 200 },
    ));

  it.each([
    ['nothing', new Uint8Array(0)],
    ['half a type', Uint8Array.of(0)],
    ['an unknown type', Uint8Array.of(0xff, 0xff, 1)],
    ['a reply', encodeMessage({ name: 'hsmd_ecdh_resp', ss: new Uint8Array(32) })],
    ['too much', new Uint8Array(65_537)],
  ])('of %s is malformed', async (_, body) => {
    const { told, ask } = world();
    await told(initRequest());
    expect(refusalOf(await ask(body))).toMatchObject({ code: 'malformed', temporary: false });
  });

  it('whose reply no frame holds is refused, and nothing of it leaves', async () => {
    const { told, ask } = world({ messageBytesMax: 100 });
    // INIT's reply is longer than that.
    expect(refusalOf(await ask(encodeMessage(initRequest())))).toMatchObject({ code: 'malformed' });
    expect(told).toBeDefined();
  });

  it('is counted by a name of the table', async () => {
    const { told, ask, seen } = world();
    await ask(ECDH);
    await told(initRequest());
    await ask(Uint8Array.of(0xab, 0xcd));
    await ask(Uint8Array.of(1));
    expect(seen).toEqual([
      { name: 'hsmd_ecdh_req', refusal: 'not-initialized' },
      { name: 'hsmd_init', refusal: null },
      { name: 'unknown', refusal: 'malformed' },
      { name: 'unknown', refusal: 'malformed' },
    ]);
  });

  it('that meets a bug of ours says so, and is not answered', async () => {
    const { told, ask, bugs, signer } = world();
    await told(initRequest());
    signer.answer = () => Promise.reject(new RangeError('broken'));
    await expect(ask(ECDH)).rejects.toThrow(RangeError);
    expect(bugs).toEqual([new RangeError('broken')]);
  });
});

let sharedWorld: World | undefined;
/** One that has been introduced, for properties. */
function shared(): World {
  if (sharedWorld === undefined) {
    sharedWorld = world();
    void sharedWorld.told(initRequest());
  }
  return sharedWorld;
}

describe('feeders', () => {
  const preimages: Request = { name: 'countersign_preimages', preimages: [] };
  const feed = (handler: SignerHandler, session: number, request: Request) =>
    handler.feed(session, encodeMessage(request));

  it('bring preimages, before INIT too, and have no other right', async () => {
    const { handler, told } = world();
    expect(replyOf(await feed(handler, 1, preimages))).toMatchObject({ name: 'countersign_preimages_reply' });
    await told(initRequest());
    for (const request of [
      ECDH,
      initRequest(),
      { name: 'hsmd_sign_message', msg: Uint8Array.of(1) } as const,
    ]) {
      expect(replyOf(await feed(handler, 1, request))).toMatchObject({ name: 'vls_signer_error' });
    }
    expect(replyOf(await handler.feed(1, Uint8Array.of(1)))).toMatchObject({ name: 'vls_signer_error' });
  });

  it('are as many as they may be, and make room when they leave', async () => {
    const { handler } = world();
    // What asks for more than it may is gone at once.
    for (let session = 100; session < 100 + FEEDS_MAX; session++) await feed(handler, session, ECDH);
    for (let session = 0; session < FEEDS_MAX; session++) await feed(handler, session, preimages);
    expect(refusalOf(await feed(handler, FEEDS_MAX, preimages))).toMatchObject({ code: 'malformed' });
    handler.feedEnded(3);
    handler.feedEnded(3);
    replyOf(await feed(handler, FEEDS_MAX, preimages));
  });
});

describe('the end', () => {
  it('waits for what was taken, and leaves what comes then to the next process', async () => {
    const { handler, told, ask, signer } = world();
    await told(initRequest());
    const { promise, resolve } = Promise.withResolvers<void>();
    const answer = signer.answer.bind(signer);
    signer.answer = async (...asked) => {
      await promise;
      return answer(...asked);
    };
    const taken = told(ECDH);
    expect(handler.inFlight).toBe(1);
    let isStopped = false;
    const stopped = handler.stop().then(() => {
      isStopped = true;
    });
    const late = Promise.race([
      ask(ECDH),
      handler.feed(1, encodeMessage({ name: 'countersign_preimages', preimages: [] })),
    ]);
    resolve();
    expect(await taken).toMatchObject({ name: 'hsmd_ecdh_resp' });
    await stopped;
    expect(isStopped).toBe(true);
    const nothing = new Promise((settle) => setTimeout(settle, 30, 'nothing'));
    expect(await Promise.race([late, nothing])).toBe('nothing');
  });

  it('is at once where nothing is asked', async () => {
    const { handler } = world();
    await handler.stop();
  });
});
