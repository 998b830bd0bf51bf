/**
 * Payments per second of two LDK nodes in one process: with LDK's own signer in memory, with Countersign in the node's process, and
 * with Countersign in a process of its own behind both forms of the bridge, taking turns in one run:
 * `node --conditions=source bench/ldk-payments.ts [payments]`. The other node has LDK's own signer everywhere.
 */
import { fork } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createInvoice,
  growLdkHeap,
  HUB_CONFIGURATION,
  LightningNode,
  loadLdk,
  type NodeKeys,
  openCountersignKeys,
  openKeysOver,
  ownKeys,
  payInvoice,
  WORLD_START_SECONDS,
  World,
} from '@countersign/playground';
import { openRemoteDoor } from '@countersign/transport/bridge';
import { milliseconds, ratio, summarize, timeUs } from './statistics.ts';
import { printRows } from './table.ts';

const PAYMENTS_DEFAULT = 200;
/** Until V8 has compiled what a payment runs. */
const WARM_UP_PAYMENTS = 100;
/** The same for all: what LDK's objects take before a garbage collection finds those that are no longer used. */
const HEAP_ROOM_BYTES = 128 * 1024 * 1024;
const AMOUNT_MSAT = 1_000_000n;
const BIRTHDAY = '[chain]\nsource = "node"\nbirthday_height = 1\n';
/** Payments of one run go beyond what the playground lets out a day. */
const CONFIGURATION = HUB_CONFIGURATION.replace(/amount_sat = [\d_]+/, 'amount_sat = 1_000_000_000');

type Signer = 'own' | 'in-process' | 'worker' | 'fifo';
const NAMES: Readonly<Record<Signer, string>> = {
  own: 'LDK’s own signer, in memory',
  'in-process': 'Countersign in the node’s process',
  worker: 'Countersign over the bridge, a thread',
  fifo: 'Countersign over the bridge, FIFOs',
};

interface Pair {
  readonly signer: Signer;
  readonly world: World;
  readonly alice: LightningNode;
  readonly bob: LightningNode;
  readonly timesUs: number[];
  /** Of this process, while its payments ran. */
  cpuUs: number;
}

const directory = mkdtempSync(join(tmpdir(), 'countersign-bench-'));
const bytes = (words: string): Uint8Array => Uint8Array.from(createHash('sha256').update(words).digest());
const chance = (count: number): Uint8Array => Uint8Array.from(randomBytes(count));

async function keysOf(signer: Signer, world: World): Promise<NodeKeys> {
  const { chain } = world;
  const own = join(directory, signer);
  mkdirSync(own, { mode: 0o700 });
  if (signer === 'own') return ownKeys(bytes(signer), WORLD_START_SECONDS);
  if (signer === 'in-process')
    return openCountersignKeys({
      seed: bytes(signer),
      stateDirectory: join(own, 'state'),
      chain,
      configuration: CONFIGURATION,
    });
  const path = join(own, 'link', 'signer.sock');
  const opening = openRemoteDoor({
    directory: own,
    listen: { path },
    network: 'regtest',
    bridge: signer,
    patienceMs: 60_000,
  });
  const tellTime = await startSigner(own, path);
  await tellTime(chain.nowSeconds);
  const keys = await openKeysOver(await opening, { chain, randomBytes: chance });
  return {
    ...keys,
    blockConnected: async (block) => {
      await tellTime(chain.nowSeconds);
      await keys.blockConnected(block);
    },
  };
}

/** Returns how to set its clock. */
async function startSigner(own: string, path: string): Promise<(seconds: number) => Promise<void>> {
  const child = fork(
    join(import.meta.dirname, '..', 'test', 'ldk', 'signer-child.ts'),
    [own, path, `${CONFIGURATION}\n${BIRTHDAY}`],
    { execArgv: ['--conditions=source', '--disable-warning=ExperimentalWarning'] },
  );
  child.once('exit', () => {
    throw new Error('the signer has ended');
  });
  await once(child, 'message');
  return async (seconds) => {
    child.send(seconds);
    await once(child, 'message');
  };
}

async function open(signer: Signer): Promise<Pair> {
  const world = new World();
  const { chain } = world;
  const keys = await keysOf(signer, world);
  const alice = world.add(new LightningNode({ name: 'alice', keys, chain, ephemeral: bytes('a') }));
  const theirs = ownKeys(bytes(`${signer} bob`), WORLD_START_SECONDS);
  const bob = world.add(new LightningNode({ name: 'bob', keys: theirs, chain, ephemeral: bytes('b') }));
  await world.fund(alice, 12_000_000n);
  world.connect(alice, bob);
  await world.settle();
  await world.open(alice, bob, 10_000_000n);
  const { text } = createInvoice(bob, { amountMsat: 5_000_000_000n });
  if (!payInvoice(alice, text).sent) throw new Error('the first payment was declined');
  await world.settle();
  return { signer, world, alice, bob, timesUs: [], cpuUs: 0 };
}

/** There and back in turns: Countersign's node is payer as often as payee. */
async function payOnce(pair: Pair, i: number): Promise<number> {
  const { world, alice, bob } = pair;
  const [payer, payee] = i % 2 === 0 ? [alice, bob] : [bob, alice];
  const { text, paymentHash } = createInvoice(payee, { amountMsat: AMOUNT_MSAT });
  const before = process.cpuUsage();
  const us = await timeUs(async () => {
    if (!payInvoice(payer, text).sent) throw new Error('a payment was declined');
    await world.settle();
  });
  const { user, system } = process.cpuUsage(before);
  pair.cpuUs += user + system;
  if (!payer.desk.sent.has(paymentHash)) throw new Error('a payment did not arrive');
  return us;
}

const payments = Number(process.argv[2] ?? PAYMENTS_DEFAULT);
const only = process.argv[3]?.split(',') ?? Object.keys(NAMES);
const machine = `${availableParallelism()} × ${cpus()[0]?.model.trim() ?? 'unknown'}, Node.js ${process.version}`;
console.log(machine);
await loadLdk();
const pairs: Pair[] = [];
for (const signer of Object.keys(NAMES) as Signer[])
  if (only.includes(signer)) pairs.push(await open(signer));
growLdkHeap(HEAP_ROOM_BYTES);
// One payment each in turn: whatever else the machine does meets all of them.
for (let i = 0; i < WARM_UP_PAYMENTS + payments; i++) {
  for (const pair of pairs) {
    if (i === WARM_UP_PAYMENTS) pair.cpuUs = 0;
    const us = await payOnce(pair, i);
    if (i >= WARM_UP_PAYMENTS) pair.timesUs.push(us);
    // Outside of the time, for all alike: LDK's finalizers run in the event loop only.
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const rows = pairs.map(({ signer, timesUs, cpuUs }) => {
  const times = summarize(timesUs);
  return { signer, times, perSecond: 1e6 / times.meanUs, cpuUs: cpuUs / times.count };
});
const [first] = rows;
if (first === undefined) throw new TypeError('nothing was measured');
printRows(
  `${payments} payments of two LDK nodes, one after another`,
  [
    'one of them signed by',
    'a second',
    'p50',
    'p99',
    'rate to LDK’s own',
    'by p50',
    'processor, this process',
  ],
  rows.map(({ signer, times, perSecond, cpuUs }) => [
    NAMES[signer],
    perSecond.toFixed(1),
    milliseconds(times.p50Us),
    milliseconds(times.p99Us),
    ratio(perSecond, first.perSecond),
    ratio(first.times.p50Us, times.p50Us),
    milliseconds(cpuUs),
  ]),
);
const results = join(import.meta.dirname, 'results');
mkdirSync(results, { recursive: true });
writeFileSync(
  join(results, 'ldk-payments.json'),
  `${JSON.stringify({ machine, payments, rows }, null, 2)}\n`,
);
for (const { alice } of pairs) await alice.keys.close();
rmSync(directory, { recursive: true, force: true });
process.exit(0);
