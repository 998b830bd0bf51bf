/**
 * The tests that mutants of core meet: those of core that are about the law. Stryker works on a copy of the tree
 * whose node_modules lead back to the original, so the workspace's packages are named by their place in the copy.
 */
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const inTree = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const packages = ['bitcoin', 'wire', 'core', 'store', 'host'];

/** Names of test files, without folder and ending, that `run.ts` chose for the law. */
const tests = process.env.MUTATION_TESTS ?? '*';

export default defineConfig({
  root: inTree('.'),
  resolve: {
    conditions: ['source'],
    alias: packages.map((name) => ({
      find: `@countersign/${name}`,
      replacement: inTree(`packages/${name}/src/index.ts`),
    })),
  },
  ssr: { resolve: { conditions: ['source'] } },
  test: {
    include: tests.split(' ').map((name) => `packages/core/test/${name}.test.ts`),
    environment: 'node',
    testTimeout: 60_000,
  },
});
