/**
 * `npm run test:flood -- [--seconds 600] [--connections 10000]`: the flood of `flood.ts` for as long as one likes, with its figures.
 * Exit status 1 when the paired link was touched or memory grew beyond its bound.
 */
import { parseArgs } from 'node:util';
import { flood } from './flood.ts';

const MIB = 1024 * 1024;
/** Mostly what V8 and malloc let lie before they tidy up; it must not depend on how long the flood lasts. */
const GROWTH_BYTES_MAX = 256 * MIB;

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '600' },
    connections: { type: 'string', default: '10000' },
    rate: { type: 'string', default: String(MIB) },
  },
});

let shownAtMs = 0;
const result = await flood({
  seconds: Number(values.seconds),
  connections: Number(values.connections),
  garbageBytesPerSecond: Number(values.rate),
  onReport: ({ rssBytes, heapBytes, buffersBytes, asked, logLines }) => {
    if (performance.now() - shownAtMs < 10_000) return;
    shownAtMs = performance.now();
    console.log(
      `${mib(rssBytes)} resident, ${mib(heapBytes)} heap, ${mib(buffersBytes)} buffers, ${asked} requests answered, ${logLines} log lines`,
    );
  },
});
const grownBytes = result.rssMaxBytes - result.rssBeforeBytes;
console.log(`junk connections: ${result.opened}; garbage: ${mib(result.garbageBytes)}`);
console.log(
  `resident: ${mib(result.rssBeforeBytes)} before, ${mib(result.rssMaxBytes)} at most, ${mib(result.rssEndBytes)} after`,
);
console.log(
  `round trips of the paired link: ${shape(result.quietTripsMs)} before, ${shape(result.tripsMs)} under the flood`,
);
console.log(`connections of the paired link: ${result.linksUp}; log lines: ${result.logLines}`);
console.log(`reasons: ${result.refusals.join('; ')}`);
const isGood = result.victimAlive && result.linksUp === 1 && grownBytes < GROWTH_BYTES_MAX;
console.log(isGood ? 'the paired link was not touched' : 'FAILED');
process.exitCode = isGood ? 0 : 1;

function shape(timesMs: readonly number[]): string {
  const sorted = [...timesMs].sort((a, b) => a - b);
  const at = (share: number): string => (sorted[Math.floor(share * (sorted.length - 1))] ?? 0).toFixed(2);
  return `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, longest ${at(1)} ms`;
}

function mib(bytes: number): string {
  return `${(bytes / MIB).toFixed(0)} MiB`;
}
