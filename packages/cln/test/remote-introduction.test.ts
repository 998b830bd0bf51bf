/** INIT to each process of a signer elsewhere: the first answers lightningd, the others must be the same. */
import type { LinkAnswer, LinkClient } from '@countersign/transport';
import { decodeMessage, encodeMessage, type MessageOf, type Reply } from '@countersign/wire';
import { beforeEach, describe, expect, it } from 'vitest';
import { initRequest } from '../../core/test/init-request.ts';
import type { Init } from '../src/door.ts';
import { type InitFailure, Introduction } from '../src/remote/introduction.ts';
import { refusedBy } from './fake-link.ts';
import { POINT } from './hsmd-under-test.ts';

const replied = (message: Reply): LinkAnswer => ({ kind: 'reply', body: encodeMessage(message) });
const initReply = (fill: number, hsmVersion = 6): Reply => ({
  name: 'hsmd_init_reply_v4',
  hsmVersion,
  hsmCapabilities: [5, 19],
  nodeId: Uint8Array.of(2, ...new Uint8Array(32).fill(fill)),
  bip32: new Uint8Array(78),
  bolt12: POINT,
  tlvs: {},
});

const INIT = encodeMessage(initRequest('regtest'));
const PREINIT = encodeMessage({ name: 'hsmd_dev_preinit', tlvs: {} });

function messageIn<N extends 'hsmd_init' | 'hsmd_dev_preinit'>(bytes: Uint8Array): MessageOf<N> {
  const decoded = decodeMessage(bytes, 'request');
  if (!decoded.ok) throw new Error('no message');
  return decoded.message as MessageOf<N>;
}

const init = (isDeveloper: boolean): Init => ({
  message: messageIn<'hsmd_init'>(INIT),
  body: INIT,
  preinit: isDeveloper ? { message: messageIn<'hsmd_dev_preinit'>(PREINIT), body: PREINIT } : null,
});

const logged: string[] = [];
const failures: InitFailure[] = [];

function introduction(isDeveloper = false): Introduction {
  return new Introduction({
    init: init(isDeveloper),
    messageBytesMax: 4 * 1024 * 1024,
    log: (level, text) => void logged.push(`${level} ${text}`),
    onFailed: (failure) => void failures.push(failure),
  });
}

/** A signer that answers INIT like this; what it was asked. */
function signer(answer: LinkAnswer) {
  const asked: { client: LinkClient; body: Uint8Array }[] = [];
  const ask = async (client: LinkClient, body: Uint8Array): Promise<LinkAnswer> => {
    asked.push({ client, body });
    return Buffer.compare(body, INIT) === 0 ? answer : { kind: 'reply', body: new Uint8Array(0) };
  };
  return { asked, ask };
}

beforeEach(() => {
  logged.length = 0;
  failures.length = 0;
});

describe('the first signer', () => {
  it('is asked INIT as lightningd itself, and its reply is lightningd’s', async () => {
    const intro = introduction();
    const { ask, asked } = signer(replied(initReply(1)));
    await intro.greet(ask, 'cellar');
    expect(asked).toEqual([{ client: { peerId: null, dbid: 0n, permissions: 1027n }, body: INIT }]);
    expect(intro.reply).toEqual(encodeMessage(initReply(1)));
    expect(failures).toEqual([]);
  });

  it('hears of a developer’s preinit before', async () => {
    const { ask, asked } = signer(replied(initReply(1)));
    await introduction(true).greet(ask, 'cellar');
    expect(asked.map(({ body }) => body)).toEqual([PREINIT, INIT]);
  });

  it.each<[string, LinkAnswer, number, string]>([
    [
      'that refuses',
      refusedBy({ tag: 'policy-init-binding', text: 'the node is on another network' }),
      20,
      'countersign: the signer does not serve this node: policy-init-binding: the node is on another network',
    ],
    [
      'that cannot start',
      replied({ name: 'hsmd_init_reply_failure', errorCode: 22, errorMessage: 'countersign: no keys' }),
      22,
      'countersign: the signer does not serve this node: no keys',
    ],
    [
      'that answers something else',
      replied({ name: 'hsmd_lock_outpoint_reply' }),
      20,
      'it is of another type',
    ],
    ['that answers nothing', { kind: 'reply', body: new Uint8Array(0) }, 20, 'it is of another type'],
    ['that answers noise', { kind: 'reply', body: Uint8Array.of(0, 114, 1, 2, 3) }, 20, 'truncated'],
  ])('%s ends the start, with its reason', async (_, answer, errorCode, text) => {
    const intro = introduction();
    await expect(intro.greet(signer(answer).ask, 'cellar')).rejects.toThrow(text);
    expect(intro.reply).toBeNull();
    expect(failures).toEqual([
      { ok: false, how: 'failed', errorCode, errorMessage: expect.stringContaining(text), exitStatus: 242 },
    ]);
  });
});

describe('a process of the signer that comes later', () => {
  it('is told INIT again, and may be asked when it is the same', async () => {
    const intro = introduction(true);
    await intro.greet(signer(replied(initReply(1))).ask, 'cellar');
    const again = signer(replied(initReply(1)));
    await intro.greet(again.ask, 'cellar');
    expect(again.asked.map(({ body }) => body)).toEqual([PREINIT, INIT]);
    expect(logged).toEqual(['info countersign: the signer cellar has started anew; it was told INIT again']);
  });

  it.each<[string, LinkAnswer, RegExp]>([
    ['has other keys', replied(initReply(2)), /it has other keys, or is of another version/],
    ['is of another version', replied(initReply(1, 5)), /it has other keys, or is of another version/],
    ['refuses', refusedBy({ text: 'not for you' }), /policy-test: not for you/],
    [
      'failed',
      replied({ name: 'hsmd_init_reply_failure', errorCode: 20, errorMessage: 'no keys' }),
      /no keys/,
    ],
  ])('is sent away, once loudly, when it %s', async (_, answer, why) => {
    const intro = introduction();
    await intro.greet(signer(replied(initReply(1))).ask, 'cellar');
    for (let i = 0; i < 3; i++) await expect(intro.greet(signer(answer).ask, 'attic')).rejects.toThrow(why);
    expect(logged).toHaveLength(1);
    expect(logged[0]).toMatch(
      /^broken countersign: the signer attic was sent away: .*Requests wait for the right one$/,
    );
    expect(failures).toEqual([]);
    expect(intro.reply).toEqual(encodeMessage(initReply(1)));
    await intro.greet(signer(replied(initReply(1))).ask, 'cellar');
  });
});
