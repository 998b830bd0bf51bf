/**
 * `npm run bench`: start-up, the rules, headers and blocks alone and through the signer, the link, the load of 400 payments, the disk. Everything in one run on
 * one machine, because only ratios travel. Prints tables and writes bench/results/latest.json.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { loadSecp256k1 } from '@countersign/bitcoin';
import { BUNDLED_RECORDINGS, loadScenario } from '@countersign/cli';
import { measureChain } from './chain.ts';
import { measureChainHost } from './chain-host-table.ts';
import { type CurveCounts, curveUs } from './curve.ts';
import { measureGroupCommit, measureSync } from './disk.ts';
import { measureLink, printLink } from './link.ts';
import { playInProcess, playThroughProcess } from './load.ts';
import { measureRules } from './rules.ts';
import { measureSigning } from './signing.ts';
import { measureStartUp } from './start-up.ts';
import { microseconds, milliseconds, ratio } from './statistics.ts';
import { printRows } from './table.ts';

const TYPES_SHOWN_COUNT_MIN = 100;

const recordings = loadScenario(join(BUNDLED_RECORDINGS, '20-payments-load'));
const secp = loadSecp256k1();
const machine = `${availableParallelism()} × ${cpus()[0]?.model.trim() ?? 'unknown'}, Node.js ${process.version}`;
console.log(machine);

const lightningHsmd = process.env.LIGHTNING_HSMD;
const startUp = await measureStartUp(recordings[0]!, lightningHsmd);
printRows(
  'Start to INIT reply, warm',
  ['', 'p50', 'p99', 'to bare node'],
  [
    [
      'countersign-hsmd',
      milliseconds(startUp.countersign.p50Us),
      milliseconds(startUp.countersign.p99Us),
      ratio(startUp.countersign.p50Us, startUp.bareNode.p50Us),
    ],
    ['node -e 0', milliseconds(startUp.bareNode.p50Us), milliseconds(startUp.bareNode.p99Us), '1×'],
    ...(startUp.lightningHsmd === null
      ? []
      : [
          [
            'lightning_hsmd',
            milliseconds(startUp.lightningHsmd.p50Us),
            milliseconds(startUp.lightningHsmd.p99Us),
            ratio(startUp.lightningHsmd.p50Us, startUp.bareNode.p50Us),
          ],
        ]),
  ],
);

const rules = measureRules(secp);
printRows(
  'The rules of one decision (laws 2 to 4), without curve, codec and disk',
  ['', 'p50', 'to the same with 10 on record', 'to its curve operations'],
  rules.rows.map((row) => [
    row.name,
    microseconds(row.medianUs),
    ratio(row.medianUs, row.referenceUs),
    ratio(row.medianUs, rules.curveUs),
  ]),
);

const chain = measureChain();
printRows(
  'Headers and blocks, without codec and disk',
  ['', 'time', 'rate', 'to their hashes alone'],
  chain.map((row) => [row.name, milliseconds(row.us), row.rate, ratio(row.us, row.hashesUs)]),
);

const chainHost = await measureChainHost(secp);

const link = await measureLink();
printLink(link);
const signing = await measureSigning(secp);

const sync = await measureSync();
const groupCommit = await measureGroupCommit();
printRows(
  'Disk: 4 KB written and synced, and the journal (2 KB per commit)',
  ['', 'per second', 'p50', 'p99', 'to one sync', 'commits per sync'],
  [
    [
      'write + fdatasync',
      Math.round(1e6 / sync.meanUs).toString(),
      milliseconds(sync.p50Us),
      milliseconds(sync.p99Us),
      '1×',
      '',
    ],
    ...groupCommit.map((row) => [
      `${row.callers} callers`,
      Math.round(row.commitsPerSecond).toString(),
      milliseconds(row.latency.p50Us),
      milliseconds(row.latency.p99Us),
      ratio(row.latency.p50Us, sync.p50Us),
      row.commitsPerBatch.toFixed(1),
    ]),
  ],
);

const inProcess = await playInProcess(recordings[0]!);
const throughProcess = await playThroughProcess([recordings[0]!]);
const peer = lightningHsmd === undefined ? null : await playThroughProcess([recordings[0]!], lightningHsmd);
const peerP50 = new Map(peer?.latencies.map((row) => [row.type, row.p50Us]));
const perType = throughProcess.latencies.flatMap((row) => {
  const inside = inProcess.perType.get(row.type);
  if (inside === undefined || row.count < TYPES_SHOWN_COUNT_MIN) return [];
  return [
    {
      ...row,
      inProcessUs: inside.times.p50Us,
      curveUs: curveUs(secp, inside.curve) / row.count,
      peerUs: peerP50.get(row.type) ?? 0,
    },
  ];
});
printRows(
  '400 payments, per message (p50; curve: mean of its curve operations alone)',
  [
    '',
    'count',
    'process',
    'in process',
    'curve',
    'process to curve',
    ...(peer === null ? [] : ['lightning_hsmd']),
  ],
  perType.map((row) => [
    row.type,
    row.count.toString(),
    milliseconds(row.p50Us),
    milliseconds(row.inProcessUs),
    milliseconds(row.curveUs),
    ratio(row.p50Us, row.curveUs),
    ...(peer === null ? [] : [milliseconds(row.peerUs)]),
  ]),
);

const allCurve = [...inProcess.perType.values()].reduce<CurveCounts>(
  (sum, { curve }) => addCounts(sum, curve),
  {},
);
const curveTotalUs = curveUs(secp, allCurve);
const commits = throughProcess.store?.commits ?? inProcess.commits;
const syncTotalUs = commits * sync.p50Us;
printRows(
  '400 payments in all',
  ['', 'time', 'to curve + syncs'],
  [
    ['curve operations alone', milliseconds(curveTotalUs), ''],
    [`${commits} syncs of 4 KB alone`, milliseconds(syncTotalUs), ''],
    [
      'signer in process',
      milliseconds(inProcess.totalUs),
      ratio(inProcess.totalUs, curveTotalUs + syncTotalUs),
    ],
    [
      'countersign-hsmd',
      milliseconds(throughProcess.playedMs * 1000),
      ratio(throughProcess.playedMs * 1000, curveTotalUs + syncTotalUs),
    ],
    ...(peer === null
      ? []
      : [
          [
            'lightning_hsmd (keeps no state)',
            milliseconds(peer.playedMs * 1000),
            ratio(peer.playedMs * 1000, curveTotalUs + syncTotalUs),
          ],
        ]),
  ],
);
console.log(
  `\n${throughProcess.store?.commitsPerSecond ?? '?'} commits and ${Math.round((throughProcess.requests * 1000) / throughProcess.playedMs)} requests per second, one at a time`,
);

const directory = join(import.meta.dirname, 'results');
mkdirSync(directory, { recursive: true });
const results = {
  machine,
  startUp,
  rules,
  chain,
  chainHost,
  link,
  signing,
  sync,
  groupCommit,
  perType,
  curveTotalUs,
  inProcessUs: inProcess.totalUs,
  process: { ...throughProcess, hsmd: 'countersign-hsmd' },
  lightningHsmd: peer === null ? null : { ...peer, hsmd: 'lightning_hsmd' },
};
writeFileSync(join(directory, 'latest.json'), `${JSON.stringify(results, null, 2)}\n`);

function addCounts(a: CurveCounts, b: CurveCounts): CurveCounts {
  const sum: Record<string, number> = { ...a };
  for (const [operation, count] of Object.entries(b)) sum[operation] = (sum[operation] ?? 0) + count;
  return sum;
}
