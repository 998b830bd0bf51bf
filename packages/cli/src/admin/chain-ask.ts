/**
 * What `countersign chain` asks on `admin.sock`, and the form of the answers. Hashes are in display hex; `null` stands for
 * what there is not.
 *
 * `chain-status` →
 *   { source: "none" | "node" | "bitcoind" | "esplora",
 *     isFresh: boolean, lagSeconds: number | null,
 *     tip: { heightBlocks, hash, provenHeightBlocks, birthdayHeightBlocks } | null,
 *     lockedBy: { forkHeightBlocks, tipHash } | null,
 *     follower: { source: string, sourceHeightBlocks: number | null, problem: string | null,
 *                 progress: { phase: "headers" | "blocks", heightBlocks, targetHeightBlocks, fraction, perSecond,
 *                             secondsLeft: number | null } | null } | null }
 * `chain-unlock` with the hash of the tip that `lockedBy` names → { forkHeightBlocks, tipHash }
 * `chain-rescan` → { fromHeightBlocks, tipHeightBlocks }: blocks from there on are read again
 */
export type ChainAsk =
  | { readonly op: 'chain-status' }
  | { readonly op: 'chain-unlock'; readonly tip: string }
  | { readonly op: 'chain-rescan'; readonly fromHeightBlocks: number | null };
