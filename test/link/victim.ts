/**
 * A node side with its paired signer, both in this process, that ask and answer all the time, and tell the parent how they are.
 * What the parent does to the open port must change none of it.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type LinkEvent, NodeSideLink, openIdentity, PinStore, SignerSideLink } from '@countersign/transport';

/** What the parent gets, several times a second. */
export interface Report {
  readonly port: number;
  readonly rssBytes: number;
  readonly heapBytes: number;
  /** Of buffers, outside of the heap. */
  readonly buffersBytes: number;
  readonly asked: number;
  /** Since the last report. */
  readonly tripsMs: readonly number[];
  readonly linksUp: number;
  readonly logLines: number;
  readonly refusals: readonly string[];
}

const REPORT_MS = 200;
const ASK_MS = 5;
const directory = mkdtempSync(join(tmpdir(), 'link-victim-'));
const path = (name: string): string => join(directory, name);
const pins = PinStore.open(path('pins.json'));
const signerPins = PinStore.open(path('signer-pins.json'));
pins.add('signer', openIdentity(path('signer.pem')).pin);
signerPins.add('node', openIdentity(path('node.pem')).pin);
const other = process.env.SECOND_SIGNER_PIN;
if (other !== undefined) pins.add('second', other);

let logLines = 0;
let linksUp = 0;
const reasons = new Set<string>();
const log = ({ event, facts }: LinkEvent): void => {
  logLines++;
  if (event === 'link-up') linksUp++;
  if (event === 'link-refused') reasons.add(String(facts.reason ?? event));
};
const node = await NodeSideLink.listen({
  listen: { kind: 'tcp', host: '127.0.0.1', port: 0, identityPath: path('node.pem'), pins },
  log,
});
const signer = SignerSideLink.dial({
  dial: {
    kind: 'tcp',
    host: '127.0.0.1',
    port: node.port,
    identityPath: path('signer.pem'),
    pins: signerPins,
    node: 'node',
  },
  handler: {
    ask: async (_client, body) => ({ kind: 'reply', body }),
    feed: async (_session, body) => ({ kind: 'reply', body }),
    feedEnded: () => {},
  },
  onBug: (error) => {
    throw error;
  },
  log: () => {},
});

const client = { peerId: null, dbid: 0n, permissions: 31n };
const body = new Uint8Array(1024).fill(5);
let asked = 0;
let trips: number[] = [];
let isOver = false;
process.once('disconnect', () => {
  isOver = true;
});

async function ask(): Promise<void> {
  while (!isOver) {
    const startedMs = performance.now();
    const answer = await node.ask(client, body);
    if (answer.kind !== 'reply' || answer.body.length !== body.length) throw new Error('another answer');
    trips.push(performance.now() - startedMs);
    asked++;
    await sleep(ASK_MS);
  }
}

async function report(): Promise<void> {
  while (!isOver) {
    const { rss, heapUsed, arrayBuffers: buffersBytes } = process.memoryUsage();
    const tripsMs = trips;
    trips = [];
    const { port } = node;
    const refusals = [...reasons];
    const sent: Report = {
      port,
      rssBytes: rss,
      heapBytes: heapUsed,
      buffersBytes,
      asked,
      tripsMs,
      linksUp,
      logLines,
      refusals,
    };
    if (process.connected) process.send?.(sent);
    await sleep(REPORT_MS);
  }
}

await Promise.all([ask(), report()]);
signer.close();
await node.close();
rmSync(directory, { recursive: true });
