/**
 * Blocks that the signer takes for granted, so that it need not begin with the first. Hashes and targets are public data, taken
 * from Electrum's checkpoints.json of 1 July 2026 (last header of each period, and the target after it).
 */
import { fromHex } from '@countersign/bitcoin';
import type { NetworkName } from '../network.ts';

/** A block that this release knows. */
export interface Checkpoint {
  readonly heightBlocks: number;
  /** Internal byte order. */
  readonly hash: Uint8Array;
  /**
   * Bits of the header after it, which begins a period; null where they are not on record: then a start needs the
   * headers of the whole period before.
   */
  readonly nextBits: number | null;
}

const at = (heightBlocks: number, displayHex: string, nextBits: number | null = null): Checkpoint => ({
  heightBlocks,
  hash: fromHex(displayHex).reverse(),
  nextBits,
});

/** Ascending. Mainnet's begin with the last block before segwit. */
export const CHECKPOINTS: Readonly<Record<NetworkName, readonly Checkpoint[]>> = {
  bitcoin: [
    at(481_823, '000000000000000000cbeff0b533f8e1189cf09dfbebf57a8ebe349362811b80', 0x18013ce9),
    at(534_239, '0000000000000000002eca92f4e44dcf144115851689ace0ff4ce271792f16fe', 0x172f4f7b),
    at(586_655, '000000000000000000113978c5b95531173923ba81ed4d1df3b09db37ae0f0cf', 0x171f3a08),
    at(639_071, '0000000000000000000830b0a5ac4b78b5eb99209ebb4790be1fae1428c7f77c', 0x17103a15),
    at(691_487, '0000000000000000000b964e653343c6ae97d73db7f526cbc3187ff7829b0c42', 0x17149624),
    at(743_903, '000000000000000000018b957c6b644c23f532ab7d8fbbeca6fa77ad078a6b29', 0x1709a7af),
    at(796_319, '0000000000000000000062afa9e3b9df5eee17c2edfc89f60778afe3abccb593', 0x17058ebe),
    at(848_735, '0000000000000000000112beeccb1e3ba4e55ee2987685cc397cdd21e4c65fe2', 0x17035d25),
    at(901_151, '0000000000000000000108312d8ba9c66bf9c806b9c7bf2e923d282508941005', 0x17023a04),
    at(949_535, '0000000000000000000158e0e476f624bf4d50fd64f6ff418501fe55c7ff0dcf', 0x17020f79),
    at(951_551, '0000000000000000000195dd7790358834443ede81e6800d8c497aa58040790d', 0x1702068f),
    at(953_567, '00000000000000000001b315e72169bef4867bf780527aa97c625ee9c001dc5d', 0x170240c3),
  ],
  testnet: [at(5_011_775, '000000000000041b511bf0b926371d5045f70bbc30d36b66f1c84ed30d765886')],
  testnet4: [at(139_103, '000000000001fa52cf7346a418640560743e051f8096a21ca452f3569bfe4f9e')],
  signet: [at(308_447, '0000000fce481bd689af96794ea36ad8e80bc4635f068104aeff53bc17326ecf')],
  regtest: [],
};
