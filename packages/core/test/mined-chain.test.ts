/** The generator of chains makes what it says: the real genesis, linked headers, branches that differ. */
import { hash256, toHex } from '@countersign/bitcoin';
import { networkByName } from '@countersign/core';
import { expect, test } from 'vitest';
import { MinedChain } from './mined-chain.ts';

test('a mined chain begins at the genesis of regtest and is linked', () => {
  const chain = new MinedChain();
  chain.extendBy(20);
  expect(toHex(chain.blocks[0]!.hash)).toBe(toHex(networkByName('regtest')!.chainHash));
  for (const [height, block] of chain.blocks.entries()) {
    expect(block.heightBlocks).toBe(height);
    expect(toHex(block.hash)).toBe(toHex(hash256(block.raw.subarray(0, 80))));
    if (height > 0) expect(toHex(block.header.subarray(4, 36))).toBe(toHex(chain.blocks[height - 1]!.hash));
    expect(block.hash[31]).toBeLessThan(0x80);
  }
  expect(chain.headers(3, 5).length).toBe(240);
});

test('two branches of a mined chain differ from the fork on', () => {
  const chain = new MinedChain();
  chain.extendBy(5);
  const fork = chain.forkAt(3);
  fork.extendBy(2);
  expect(toHex(fork.blocks[3]!.hash)).toBe(toHex(chain.blocks[3]!.hash));
  expect(toHex(fork.blocks[4]!.hash)).not.toBe(toHex(chain.blocks[4]!.hash));
});
