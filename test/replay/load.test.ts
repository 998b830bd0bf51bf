/** 400 payments over one channel, both nodes: the longest recording. */
import { join } from 'node:path';
import { BUNDLED_RECORDINGS, loadScenario } from '@countersign/cli';
import { describe, it } from 'vitest';
import { expectFaithful } from './harness.ts';

const TIMEOUT_MS = 600_000;

describe('20-payments-load', () => {
  const recordings = loadScenario(join(BUNDLED_RECORDINGS, '20-payments-load'));
  it.each(recordings.map((one) => [one.node, one] as const))(
    '%s',
    { timeout: TIMEOUT_MS },
    async (_, recording) => {
      await expectFaithful(recording);
    },
  );
});
