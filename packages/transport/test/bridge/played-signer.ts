/**
 * A signer in a thread of its own, as the test's thread sleeps while it asks. It dials the path it is given and does what the
 * request's text says: `echo TEXT`, `size N`, `after MS TEXT`, `hold TEXT` until `release`, `refuse`, `for-now`, `ending N`, `never`.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { decodeMessage, encodeMessage } from '@countersign/wire';
import type { LinkAnswer, LinkClient, RequestHandler } from '../../src/link/protocol.ts';
import { SignerSideLink } from '../../src/link/signer-side.ts';
import type { PlayedOptions } from './signer-thread.ts';

const { path, fill, refusesInit } = workerData as PlayedOptions;
let endings = 0;
const held: (() => void)[] = [];

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const replied = (body: Uint8Array | string): LinkAnswer => ({
  kind: 'reply',
  body: typeof body === 'string' ? new TextEncoder().encode(body) : body,
});

function refused(code: string, words: string, temporary: boolean): LinkAnswer {
  const facts = { limit_sat: 5n };
  const refusal = { code, tag: 'policy-test', request: 'x', channel: null, text: words, temporary };
  return { kind: 'refused', refusal: { ...refusal, auditId: 7, facts } };
}

function initReply(): LinkAnswer {
  if (refusesInit === true) return refused('policy', 'another network', false);
  const nodeId = Uint8Array.of(2, ...new Uint8Array(32).fill(fill));
  const bolt12 = Uint8Array.of(3, ...new Uint8Array(32).fill(1));
  const reply = { name: 'vls_hsmd_init2_reply', nodeId, bip32: new Uint8Array(78), bolt12 } as const;
  return replied(encodeMessage(reply));
}

async function answered(client: LinkClient, body: Uint8Array): Promise<LinkAnswer> {
  const decoded = decodeMessage(body, 'request');
  if (decoded.ok && decoded.message.name === 'vls_hsmd_init2') return initReply();
  const [verb, first = '', rest = ''] = /^(\S+) ?(\S*) ?([\s\S]*)$/.exec(text(body))?.slice(1) ?? [];
  parentPort?.postMessage({ asked: text(body).slice(0, 60) });
  switch (verb) {
    case 'size':
      return replied(new Uint8Array(Number(first)).fill(9));
    case 'after':
      await new Promise((resolve) => setTimeout(resolve, Number(first)));
      return replied(rest);
    case 'hold':
      await new Promise<void>((resolve) => void held.push(resolve));
      return replied(`${first} ${rest}`.trim());
    case 'release':
      for (const letGo of held.splice(0)) letGo();
      return replied('released');
    case 'who':
      return replied(`${client.peerId?.length ?? 'none'} ${client.dbid} ${client.permissions}`);
    case 'refuse':
      return refused('policy', 'no', false);
    case 'for-now':
      return refused('policy', 'not now', true);
    case 'ending':
      if (endings++ < Number(first)) return refused('not-initialized', 'ending', true);
      return replied('begun');
    case 'never':
      return new Promise(() => {});
    default:
      return replied(body);
  }
}

const handler: RequestHandler = {
  ask: answered,
  feed: async (_session, body) => (text(body) === 'refuse' ? refused('policy', 'no', false) : replied(body)),
  feedEnded: (session) => void parentPort?.postMessage({ feedEnded: session }),
};

const link = SignerSideLink.dial({
  dial: { kind: 'unix', path },
  handler,
  onBug: (error) => {
    throw error;
  },
  log: () => {},
  limits: { redialMs: 5, redialMsMax: 40 },
});
parentPort?.on('message', () => {
  link.close();
  parentPort?.close();
});
