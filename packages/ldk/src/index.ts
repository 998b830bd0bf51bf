/** Countersign for LDK: the signer interfaces of npm `lightningdevkit`, answered by a Countersign signer. */
export * from './wallet/coin-book.ts';
export * from './wallet/payment.ts';
