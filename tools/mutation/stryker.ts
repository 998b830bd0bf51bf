/** Stryker's configuration for one run of `run.ts`, which says by the environment what is mutated. */
import type { PartialStrykerOptions } from '@stryker-mutator/api/core';

const { MUTATED_FILES = '', MUTATION_REPORT = '' } = process.env;

const options: PartialStrykerOptions = {
  mutate: [MUTATED_FILES],
  testRunner: 'one-process',
  plugins: ['./tools/mutation/runner.ts'],
  testRunnerNodeArgs: ['--conditions=source'],
  coverageAnalysis: 'perTest',
  ignoreStatic: true,
  ignorePatterns: ['/bench', '/docs', '/test', '/biome.json'],
  disableTypeChecks: false,
  tsconfigFile: 'none: TypeScript 7 has no API that reads it, and nothing here needs it',
  packageManager: 'npm',
  tempDirName: '.stryker-tmp',
  cleanTempDir: 'always',
  allowConsoleColors: false,
  reporters: ['progress-append-only', 'json'],
  jsonReporter: { fileName: MUTATION_REPORT },
  // Only for what `run-test.ts` cannot stop: a test that waits for ever.
  timeoutMS: 120_000,
  dryRunTimeoutMinutes: 60,
};

export default options;
