/** The chain of the adversary's own: blocks, mempool, and scripts that are really run. */
export * from './block.ts';
export * from './coin.ts';
export { whyInputFails } from './interpreter.ts';
export { LayeredMap } from './layered-map.ts';
export type { PoolEntry, Submission } from './mempool.ts';
export * from './simulator.ts';
