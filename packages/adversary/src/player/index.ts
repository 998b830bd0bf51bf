/** The player: a node and its peers, honest or not. */
export { ATTACKS } from './attack/index.ts';
export * from './channel.ts';
export * from './dice.ts';
export { HONEST } from './honest/index.ts';
export * from './moves.ts';
export * from './run.ts';
export * from './state.ts';
export * from './step-log.ts';
export * from './update-log.ts';
export { type ChainChange, NOBODY, type Witness as RunWitness } from './witness.ts';
export * from './world.ts';
