/**
 * Which output scripts are our wallet's: those of keys up to a window above the highest index in use. The window moves
 * with the addresses the node hands out and the outputs it spends, never further than its own length at a time.
 */

import { equalBytes, keyScripts } from '@countersign/bitcoin';
import type { Context, KeyPlace } from '../context.ts';
import { enforce } from '../policy/enforce.ts';
import type { PolicyScope } from '../policy/settings.ts';
import { EMPTY_NODE, nodeRecords } from '../records/approval.ts';
import { walletPathPredictable } from './rules.ts';

/** A million addresses: beyond, an attacker would make the signer derive for ever. */
export const WALLET_INDEX_MAX = 1_000_000;
const NODE_ID = 'node';

function highestIndex(ctx: Context): number {
  return (ctx.draft.get(nodeRecords, NODE_ID) ?? EMPTY_NODE).walletIndexMax;
}

/** The highest wallet index an output of ours may have. */
export function walletIndexLimit(ctx: Context): number {
  return Math.min(highestIndex(ctx) + ctx.policy.limits.walletIndexWindow, WALLET_INDEX_MAX);
}

export function isOurs(ctx: Context, script: Uint8Array): boolean {
  return ctx.keys.walletIndexOf(script, walletIndexLimit(ctx)) !== null;
}

/**
 * The node uses this index. Recorded in steps of an eighth of the window, so that a start of lightningd, which checks
 * all of its keys one by one, does not write a record for each.
 */
export function noteWalletIndex(ctx: Context, index: number): void {
  const highest = highestIndex(ctx);
  const step = Math.max(1, Math.floor(ctx.policy.limits.walletIndexWindow / 8));
  if (index < highest + step || index > walletIndexLimit(ctx)) return;
  const node = ctx.draft.get(nodeRecords, NODE_ID) ?? EMPTY_NODE;
  ctx.draft.put(nodeRecords, NODE_ID, { ...node, walletIndexMax: index });
}

/**
 * Whether the script is our wallet's at one of these indices, which the node claims. One beyond the window breaks
 * `policy-onchain-wallet-path-predictable`; where that only warns, it counts as ours.
 */
export function isOursAtHint(
  ctx: Context,
  script: Uint8Array,
  hints: readonly number[],
  scope: PolicyScope | null,
): boolean {
  const index = hints.find((hint) => ownsAt(ctx, script, hint));
  if (index === undefined) return false;
  enforce(ctx, walletPathPredictable, scope, {
    message: 'an output of ours at an index far above all in use: nobody would find it',
    facts: { index, index_max: walletIndexLimit(ctx) },
  });
  return true;
}

const ownsAt = (ctx: Context, script: Uint8Array, index: number): boolean =>
  walletScriptsAt(ctx, index).some((own) => equalBytes(own, script));

/** None where BIP 32 has no key. */
export function walletScriptsAt(ctx: KeyPlace, index: number): readonly Uint8Array[] {
  const key = ctx.keys.walletPublicKey(index);
  return key === null ? [] : keyScripts(ctx.secp, key);
}
