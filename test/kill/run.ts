/**
 * `npm run test:kill -- --rounds 200 --seed 1`: kills countersign-hsmd at random moments and checks what it remembers.
 * Ends with 1 at any failure; the seed repeats the run.
 */
import { parseArgs } from 'node:util';
import { hsmdPath } from '@countersign/cli';
import { killRounds } from './rounds.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '50' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    hsmd: { type: 'string' },
  },
});
const rounds = Number(values.rounds);
const seed = Number(values.seed);
if (!(Number.isSafeInteger(rounds) && rounds > 0 && Number.isSafeInteger(seed))) {
  console.error('--rounds and --seed are whole numbers');
  process.exit(2);
}

console.log(`killing countersign-hsmd in ${rounds} rounds, --seed ${seed}`);
const summary = await killRounds({
  rounds,
  seed,
  hsmdPath: hsmdPath(values.hsmd),
  onRound: (round, result) => {
    const state = result.failures.length === 0 ? 'ok' : 'FAILED';
    console.log(
      `${String(round).padStart(5)}  ${state}  ${result.node}: ${result.retried} asked again, ${result.advanced} new, killed ${result.killedAt}, ${result.store.records} records`,
    );
  },
});
console.log(
  `${summary.rounds} rounds: ${summary.advanced} new replies, ${summary.retried} asked again, ${summary.inFlight} kills with a request in flight, ${summary.failures.length} failures`,
);
for (const failure of summary.failures) console.error(failure);
process.exitCode = summary.failures.length === 0 ? 0 : 1;
