/** A fully compromised node, played against a signer, and the referee who says what the owner is certain to keep. */
export * from './bitcoin/index.ts';
export * from './bolt3/index.ts';
export * from './chain/index.ts';
export * from './player/index.ts';
export * from './referee/payment.ts';
export * from './referee/problem.ts';
export * from './referee/referee.ts';
export * from './referee/terms.ts';
export * from './referee/wealth.ts';
export * from './report/index.ts';
export * from './search/endgame.ts';
export * from './search/greedy.ts';
export * from './search/match.ts';
export * from './search/random.ts';
export * from './search/replay.ts';
export * from './subject.ts';
