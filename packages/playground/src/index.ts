/** A small Lightning world in one process: chain, LDK nodes, signers. For the demo and the real-client suite. */
export * from './attack/attacks.ts';
export * from './attack/hostile-run.ts';
export * from './attack/recorder.ts';
export * from './chain/embedded-chain.ts';
export * from './node/countersign-keys.ts';
export * from './node/event-desk.ts';
export * from './node/keys.ts';
export * from './node/ldk-library.ts';
export * from './node/lightning-node.ts';
export * from './node/own-keys.ts';
export * from './node/parts.ts';
export * from './node/records.ts';
export * from './world/payments.ts';
export * from './world/small-world.ts';
export * from './world/thief.ts';
export * from './world/wire.ts';
export * from './world/world.ts';
