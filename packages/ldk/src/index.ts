/** Countersign for LDK: the signer interfaces of npm `lightningdevkit`, answered by a Countersign signer. */
export type { BlockSource, FeedOutcome } from './chain/feed.ts';
export type { LdkRefusal, RefusalListener } from './client.ts';
export { CHANNEL_DBID, channelName } from './client.ts';
export * from './ldk-signer.ts';
export * from './wallet/coin-book.ts';
export { WalletKeys } from './wallet/keys.ts';
export * from './wallet/payment.ts';
export { type FundingOrder, LdkWallet, type UnsignedFunding } from './wallet/wallet.ts';
