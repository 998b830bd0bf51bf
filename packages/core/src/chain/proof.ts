/**
 * Proves what a block contains: all of it is read, hashed and held against its header, which is on record already. Leaves room for
 * other proofs of the same statement.
 */
import {
  BlockReader,
  type BlockTransaction,
  equalBytes,
  FormError,
  type ProvenBlock,
  txidToHex,
} from '@countersign/bitcoin';
import type { Warning } from '../context.ts';
import type { HeaderRecord } from '../records/chain.ts';
import { refuse } from '../refusal.ts';
import type { ChainPlace } from './input.ts';
import { ChainJudgement, refusingMalformed } from './judgement.ts';
import { chainParams } from './params.ts';
import { chainProof, chainValidated } from './rules.ts';
import { requireSignetSolution } from './signet.ts';

/** A block whose content is proven to be that of its header. */
export interface BlockProof {
  readonly block: ProvenBlock;
  readonly warnings: readonly Warning[];
}

/**
 * `pieces` are the whole block, in order. `onTransaction` sees every transaction once, before the block is proven: what it does must be
 * undone when this leaves with a refusal.
 */
export function proveBlock(
  { policy, secp }: Pick<ChainPlace, 'policy' | 'secp'>,
  expected: Pick<HeaderRecord, 'hash'> & { readonly heightBlocks: number },
  pieces: Uint8Array | Iterable<Uint8Array>,
  onTransaction: (transaction: BlockTransaction) => void,
): BlockProof {
  const reader = new BlockReader(onTransaction);
  const block = refusingMalformed(chainProof, () => {
    for (const piece of pieces instanceof Uint8Array ? [pieces] : pieces) reader.push(piece);
    return reader.finish();
  });
  if (!equalBytes(block.hash, expected.hash)) {
    refuse(chainProof, 'the block is not the one on record at this height', {
      height_blocks: expected.heightBlocks,
      hash: txidToHex(block.hash),
      expected: txidToHex(expected.hash),
    });
  }
  const judgement = new ChainJudgement(policy);
  const { signetChallenge } = chainParams(policy.network);
  if (signetChallenge !== null && expected.heightBlocks > 0) {
    try {
      requireSignetSolution(secp, signetChallenge, block);
    } catch (error) {
      if (!(error instanceof FormError)) throw error;
      const facts = { ...error.facts, height_blocks: expected.heightBlocks };
      judgement.violation(chainValidated, error.message, facts);
    }
  }
  return { block, warnings: judgement.warnings };
}
