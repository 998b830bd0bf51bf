import { defineConfig } from 'vitest/config';

export default defineConfig({
  resolve: { conditions: ['source'] },
  ssr: { resolve: { conditions: ['source'] } },
  test: {
    include: ['packages/*/test/**/*.test.ts', 'test/**/*.test.ts'],
    setupFiles: ['test/properties/setup.ts'],
    environment: 'node',
    pool: 'forks',
    // V8's book of code pages fails a check of its own now and then where threads come and go ("jit_page.has_value()", the process
    // aborts); only processors with memory protection keys keep it.
    execArgv: ['--no-memory-protection-keys'],
    // The default leaves a core to the one who watches; nobody does.
    maxWorkers: '100%',
    // They bound what hangs; how long the rest takes on a busy machine is no failure.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    // What a poll waits for comes, or the test fails: how soon says something of the machine only (the default is 1 s).
    expect: { poll: { timeout: 30_000 } },
    coverage: {
      provider: 'v8',
      include: ['packages/*/src/**/*.ts'],
      // The first runs in threads of its own only, the others in a browser: V8's coverage here sees neither.
      exclude: [
        'packages/host/src/release/worker.ts',
        'packages/store/src/indexeddb/**',
        'packages/transport/src/bridge/{thread,process}.ts',
      ],
      reporter: ['text-summary', 'json-summary'],
      // The executables (cln, cli) run as processes of their own in the tests, which V8's coverage here does not see.
      thresholds: {
        'packages/bitcoin/src/**': { lines: 99, branches: 98 },
        'packages/wire/src/**': { lines: 100, branches: 98 },
        'packages/core/src/**': { lines: 100, branches: 98 },
        'packages/host/src/**': { lines: 100, branches: 88 },
        'packages/store/src/**': { lines: 98, branches: 90 },
        'packages/chain/src/**': { lines: 95, branches: 85 },
        'packages/transport/src/**': { lines: 95, branches: 85 },
        'packages/adversary/src/{bitcoin,bolt3,chain}/**': { lines: 98, branches: 88 },
        'packages/daemon/src/**': { lines: 88, branches: 75 },
      },
    },
  },
});
