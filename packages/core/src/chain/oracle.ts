/**
 * Oracles that attest blocks, where the operator has configured some: strictly more than half of them must have signed a block
 * of this network, at this height, with this hash.
 */
import { equalBytes, type Secp256k1, taggedHash, toHex } from '@countersign/bitcoin';
import type { Warning } from '../context.ts';
import type { Policy } from '../policy/settings.ts';
import { ChainJudgement } from './judgement.ts';
import { chainOracleQuorum } from './rules.ts';

/** What somebody who is trusted with it says of a block. */
export interface OracleAttestation {
  /** BIP 340 key of the oracle, 32 bytes. */
  readonly oracle: Uint8Array;
  /** Chain hash of the network, internal byte order. */
  readonly chainHash: Uint8Array;
  readonly heightBlocks: number;
  /** Hash of the block, internal byte order. */
  readonly hash: Uint8Array;
  /** BIP 340, 64 bytes, over `attestationDigest`. */
  readonly signature: Uint8Array;
}

export interface AttestedBlock {
  readonly chainHash: Uint8Array;
  readonly heightBlocks: number;
  readonly hash: Uint8Array;
}

/** What an oracle signs: a tagged hash (BIP 340) of chain hash ‖ height, 4 bytes big-endian ‖ block hash. */
export function attestationDigest({ chainHash, heightBlocks, hash }: AttestedBlock): Uint8Array {
  const height = new Uint8Array(4);
  new DataView(height.buffer).setUint32(0, heightBlocks);
  return taggedHash('countersign/oracle', chainHash, height, hash);
}

function attests(secp: Secp256k1, block: AttestedBlock, given: OracleAttestation): boolean {
  const hasForm =
    given.oracle.length === 32 && given.signature.length === 64 && given.heightBlocks === block.heightBlocks;
  return (
    hasForm &&
    equalBytes(given.chainHash, block.chainHash) &&
    equalBytes(given.hash, block.hash) &&
    secp.verifySchnorr(attestationDigest(block), given.signature, given.oracle)
  );
}

/** Temporary: the missing ones may still attest. Without configured oracles there is nothing to require. */
export function requireOracleQuorum(
  { policy, secp }: { readonly policy: Policy; readonly secp: Secp256k1 },
  oracles: readonly Uint8Array[],
  block: Omit<AttestedBlock, 'chainHash'>,
  attestations: readonly OracleAttestation[],
): readonly Warning[] {
  const configured = new Set(oracles.map(toHex));
  const judgement = new ChainJudgement(policy);
  const attested: AttestedBlock = {
    chainHash: policy.network.chainHash,
    heightBlocks: block.heightBlocks,
    hash: block.hash,
  };
  const valid = attestations.filter(
    (given) => configured.has(toHex(given.oracle)) && attests(secp, attested, given),
  );
  const attesting = new Set(valid.map(({ oracle }) => toHex(oracle))).size;
  if (configured.size === 0 || 2 * attesting > configured.size) return judgement.warnings;
  const facts = {
    height_blocks: block.heightBlocks,
    oracles: configured.size,
    oracles_attesting: attesting,
    oracles_attesting_min: Math.floor(configured.size / 2) + 1,
  };
  judgement.violation(chainOracleQuorum, 'not more than half of the oracles attest the block', facts, true);
  return judgement.warnings;
}
