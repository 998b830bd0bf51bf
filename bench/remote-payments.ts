/**
 * Payments of real nodes, one after another: payers whose signer is CLN's own hsmd, Countersign in place, and Countersign on another
 * machine (its own process, over mutual TLS on the loopback), round about in one run. Needs LIGHTNINGD and BITCOIND as the live
 * suite does: `node --conditions=source bench/remote-payments.ts [rounds] [millisatoshi]`.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { fundWallet, openChannel, scidOf, waitForNoHtlcs } from '../test/live/channels.ts';
import { killAll } from '../test/live/daemon.ts';
import type { Lightningd } from '../test/live/lightningd.ts';
import { findPrograms } from '../test/live/options.ts';
import { invoice, send, waitPaid } from '../test/live/payments.ts';
import { type NodeWishes, World } from '../test/live/world.ts';
import { milliseconds, ratio, summarize, type Times, timeUs } from './statistics.ts';
import { printRows } from './table.ts';

const ROUNDS_DEFAULT = 20;
const PAYMENTS_PER_ROUND = 10;
const WARM_UP_PAYMENTS = 10;
/** Above the dust limits: of what is below, no commitment tells, so the signer never knows the hash and each write of the preimage waits. */
const AMOUNT_MSAT_DEFAULT = 1_000_000;

/** The payee has CLN's own hsmd in every pair: one signer is compared. */
const KINDS: readonly { readonly name: string; readonly payer: NodeWishes }[] = [
  { name: 'CLN’s own hsmd', payer: { hsmd: 'stock' } },
  { name: 'Countersign in place', payer: { hsmd: 'countersign', remote: false } },
  { name: 'Countersign over mTLS', payer: { hsmd: 'countersign', remote: true } },
  {
    name: 'the same, without plugin and chain',
    payer: { hsmd: 'countersign', remote: true, delivers: false, follows: false },
  },
];

interface Pair {
  readonly name: string;
  readonly payer: Lightningd;
  readonly payee: Lightningd;
  readonly scid: string;
  readonly timesUs: number[];
}

async function open(world: World, { name, payer: wishes }: (typeof KINDS)[number]): Promise<Pair> {
  const [payer, payee] = await world.start(wishes, { hsmd: 'stock' });
  if (payer === undefined || payee === undefined) throw new TypeError('two nodes were asked for');
  await fundWallet(payer, 2_000_000);
  await openChannel(payer, payee);
  return { name, payer, payee, scid: await scidOf(payer, payee), timesUs: [] };
}

/** From the order to the preimage; the invoice is there already. */
async function payOnce({ payer, payee, scid }: Pair, amountMsat: number): Promise<number> {
  const due = await invoice(payee, amountMsat);
  return timeUs(async () => {
    await send(payer, [{ node: payee, scid }], due);
    await waitPaid(payer, due);
  });
}

async function measure(rounds: number, amountMsat: number): Promise<readonly Pair[]> {
  const found = findPrograms(process.env, 'one');
  if ('missing' in found) throw new Error(found.missing.join('; '));
  const options = {
    signers: 'one',
    preset: 'hub',
    plugin: true,
    chain: true,
    remote: false,
    seed: 1,
  } as const;
  const world = await World.open('bench', found.programs, options);
  try {
    const pairs: Pair[] = [];
    for (const kind of KINDS) pairs.push(await open(world, kind));
    for (const pair of pairs) for (let i = 0; i < WARM_UP_PAYMENTS; i++) await payOnce(pair, amountMsat);
    for (let round = 0; round < rounds; round++) {
      for (const pair of pairs) {
        for (let i = 0; i < PAYMENTS_PER_ROUND; i++) pair.timesUs.push(await payOnce(pair, amountMsat));
        // What the last payment leaves to do must not fall into another's time.
        await waitForNoHtlcs(pair.payer, pair.payee);
      }
    }
    await world.stop();
    return pairs;
  } catch (error) {
    await world.crash();
    throw error;
  } finally {
    world.remove();
  }
}

process.on('exit', killAll);
const rounds = Number(process.argv[2] ?? ROUNDS_DEFAULT);
const amountMsat = Number(process.argv[3] ?? AMOUNT_MSAT_DEFAULT);
const machine = `${availableParallelism()} × ${cpus()[0]?.model.trim() ?? 'unknown'}, Node.js ${process.version}`;
console.log(machine);
const pairs = await measure(rounds, amountMsat);
const rows = pairs.map(({ name, timesUs }) => ({
  name,
  times: summarize(timesUs) satisfies Times,
  wallUs: timesUs.reduce((sum, one) => sum + one, 0),
}));
const [stock] = rows;
if (stock === undefined) throw new TypeError('nothing was measured');
printRows(
  `Payments of ${amountMsat / 1000} sat one after another, ${rounds} rounds of ${PAYMENTS_PER_ROUND}`,
  ['payer signed by', 'p50', 'p99', 'wall time', 'to CLN’s own', 'p50 to CLN’s own'],
  rows.map(({ name, times, wallUs }) => [
    name,
    milliseconds(times.p50Us),
    milliseconds(times.p99Us),
    `${(wallUs / 1e6).toFixed(1)} s`,
    ratio(wallUs, stock.wallUs),
    ratio(times.p50Us, stock.times.p50Us),
  ]),
);
const directory = join(import.meta.dirname, 'results');
mkdirSync(directory, { recursive: true });
writeFileSync(
  join(directory, 'remote-payments.json'),
  `${JSON.stringify({ machine, rounds, amountMsat, rows }, null, 2)}\n`,
);
process.exit(0);
