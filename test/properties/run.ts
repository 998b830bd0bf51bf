/**
 * `npm run test:properties -- [--rounds 20] [--seed S] [FILE…]`: the files with properties, a round for each seed from S on (a random
 * one without it), or only the files named. Stops at the first round that fails, with exit status 1; its seed repeats it.
 */
import { spawnSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { SEED_VARIABLE, seedFrom } from './seed.ts';

const ROUNDS_MAX = 100_000;

const { values, positionals } = parseArgs({
  options: {
    rounds: { type: 'string', default: '20' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 30)) },
  },
  allowPositionals: true,
});
const rounds = Number(values.rounds);
if (!(Number.isSafeInteger(rounds) && rounds > 0 && rounds <= ROUNDS_MAX)) fail('--rounds is a whole number');
let first: number;
try {
  first = seedFrom(values.seed);
  seedFrom(String(first + rounds - 1));
} catch (error) {
  fail(String(error));
}
const files = positionals.length > 0 ? positionals : filesWithProperties();

for (let round = 0; round < rounds; round++) {
  const seed = first + round;
  console.log(`round ${round + 1} of ${rounds}, --seed ${seed}: ${files.length} files`);
  const { status } = spawnSync(
    'npx',
    ['vitest', 'run', '--reporter=dot', '--coverage.enabled=false', ...files],
    {
      env: { ...process.env, [SEED_VARIABLE]: String(seed) },
      stdio: 'inherit',
    },
  );
  if (status === 0) continue;
  console.error(`FAILED; again with: npm run test:properties -- --rounds 1 --seed ${seed}`);
  process.exit(1);
}
console.log(`${rounds} rounds, every property held`);

/** All that call fast-check's `assert`, themselves or by a file beside them. */
function filesWithProperties(): string[] {
  return globSync(['packages/*/test/**/*.test.ts', 'test/**/*.test.ts'])
    .filter((file) => /\bfc\.(assert|sample)\b/.test(readFileSync(file, 'utf8')))
    .sort();
}

function fail(reason: string): never {
  console.error(reason);
  process.exit(2);
}
