/** A follower for a signer that is not in this process. */
import { networkByName } from '@countersign/core';
import { expect, it } from 'vitest';
import { parseConfig } from '../src/index.ts';
import { followFor } from '../src/start/follow.ts';

it('is made for what [chain] names, and asks nobody before it is started', async () => {
  const { chain } = parseConfig(
    '[chain]\nsource = "esplora"\nurl = "http://127.0.0.1:1/api"\n',
    'countersign.toml',
  );
  if (chain.source !== 'esplora') throw new Error('no Esplora server');
  const asked: string[] = [];
  const sink = new Proxy({}, { get: (_, name) => () => asked.push(String(name)) });
  const followed = await followFor({
    config: chain,
    network: networkByName('regtest')!,
    sink: sink as Parameters<typeof followFor>[0]['sink'],
    log: () => {},
    onBug: (error) => {
      throw error;
    },
    monotonicMs: () => 0,
    random: () => 0,
  });
  expect(asked).toEqual([]);
  await followed.stop();
});
