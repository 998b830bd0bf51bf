/**
 * What each network's consensus demands of headers: proof-of-work limit, difficulty rules, first header. Values as in Bitcoin Core
 * (kernel/chainparams.cpp, 28.1); the genesis hashes are the chain hashes that the networks are known by.
 */
import { fromHex } from '@countersign/bitcoin';
import type { Network, NetworkName } from '../network.ts';
import { CHECKPOINTS, type Checkpoint } from './checkpoints.ts';

/** Blocks from one change of difficulty to the next. */
export const RETARGET_BLOCKS = 2016;
/** The time those should take. */
export const RETARGET_SECONDS = 14 * 24 * 3600;
export const SPACING_SECONDS = RETARGET_SECONDS / RETARGET_BLOCKS;
/** A header's time is above the median of so many before it. */
export const MEDIAN_HEADERS = 11;
/** How far a header's time may lie ahead of the signer's clock. */
export const FUTURE_SECONDS_MAX = 2 * 3600;
/** BIP 94: the first block of a period is at most so much older than the last of the one before. */
export const TIMEWARP_SECONDS_MAX = 600;
/** Test networks: a block so long after its parent may have the least difficulty. */
export const MIN_DIFFICULTY_AFTER_SECONDS = 2 * SPACING_SECONDS;

export interface ChainParams {
  /** The largest target, compact. */
  readonly limitBits: number;
  /** The difficulty is the same for ever (regtest). */
  readonly isFixed: boolean;
  /** Blocks after twenty minutes may have the least difficulty (testnet3, testnet4, regtest). */
  readonly allowsMinDifficulty: boolean;
  /** BIP 94: retargets start from the first block of a period, and periods may not overlap. */
  readonly enforcesBip94: boolean;
  /** From these heights on versions are at least 2, 3 and 4 (BIP 34, 66, 65). */
  readonly versionHeights: readonly [number, number, number];
  /** BIP 325: what a block's solution has to satisfy; null where proof of work is all. */
  readonly signetChallenge: Uint8Array | null;
  /** 80 bytes. */
  readonly genesis: Uint8Array;
  /** In ascending order of height; none where a start is at genesis. */
  readonly checkpoints: readonly Checkpoint[];
}

/** All genesis blocks but testnet4's have the same only transaction. */
const SATOSHI_ROOT = '3ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a';
const TESTNET4_ROOT = '4e7b2b9128fe0291db0693af2ae418b767e657cd407e80cb1434221eaea7a07a';

function genesis(root: string, timeSeconds: number, bits: number, nonce: number): Uint8Array {
  const header = new Uint8Array(80);
  const view = new DataView(header.buffer);
  view.setInt32(0, 1, true);
  header.set(fromHex(root), 36);
  view.setUint32(68, timeSeconds, true);
  view.setUint32(72, bits, true);
  view.setUint32(76, nonce, true);
  return header;
}

const MAIN = {
  limitBits: 0x1d00ffff,
  isFixed: false,
  allowsMinDifficulty: false,
  enforcesBip94: false,
  signetChallenge: null,
} as const;
const FROM_THE_START = [1, 1, 1] as const;

const PARAMS: Readonly<Record<NetworkName, ChainParams>> = {
  bitcoin: {
    ...MAIN,
    versionHeights: [227_931, 363_725, 388_381],
    checkpoints: CHECKPOINTS.bitcoin,
    genesis: genesis(SATOSHI_ROOT, 1_231_006_505, 0x1d00ffff, 2_083_236_893),
  },
  testnet: {
    ...MAIN,
    allowsMinDifficulty: true,
    versionHeights: [21_111, 330_776, 581_885],
    checkpoints: CHECKPOINTS.testnet,
    genesis: genesis(SATOSHI_ROOT, 1_296_688_602, 0x1d00ffff, 414_098_458),
  },
  testnet4: {
    ...MAIN,
    allowsMinDifficulty: true,
    enforcesBip94: true,
    versionHeights: FROM_THE_START,
    checkpoints: CHECKPOINTS.testnet4,
    genesis: genesis(TESTNET4_ROOT, 1_714_777_860, 0x1d00ffff, 393_743_547),
  },
  signet: {
    ...MAIN,
    limitBits: 0x1e0377ae,
    versionHeights: FROM_THE_START,
    // One of two keys; the default signet's.
    signetChallenge: fromHex(
      '512103ad5e0edad18cb1f0fc0d28a3d4f1f3e445640337489abb10404f2d1e086be430210359ef5021964fe22d6f8e05b2463c9540ce96883fe3b278760f048f5189f2e6c452ae',
    ),
    checkpoints: CHECKPOINTS.signet,
    genesis: genesis(SATOSHI_ROOT, 1_598_918_400, 0x1e0377ae, 52_613_770),
  },
  regtest: {
    ...MAIN,
    limitBits: 0x207fffff,
    isFixed: true,
    allowsMinDifficulty: true,
    versionHeights: FROM_THE_START,
    checkpoints: CHECKPOINTS.regtest,
    genesis: genesis(SATOSHI_ROOT, 1_296_688_602, 0x207fffff, 2),
  },
};

/** The consensus rules of a network, as far as headers go. */
export const chainParams = (network: Network): ChainParams => PARAMS[network.name];
