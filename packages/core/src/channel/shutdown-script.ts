/**
 * Whose an output script is: our wallet's at a named index, or one that the operator allowlisted.
 */
import {
  addressToScript,
  equalBytes,
  fromHex,
  p2shOfScript,
  p2trScript,
  p2wpkhOfKey,
  taprootOutputKey,
} from '@countersign/bitcoin';
import type { Context } from '../context.ts';
import { ALLOWLIST_ID } from '../payments/approvals.ts';
import { type AllowlistEntry, allowlistRecords } from '../records/approval.ts';

/** P2WPKH, P2SH of it, or P2TR of the wallet's key at `index`: what CLN's wallet pays itself to. */
export function isWalletScript(ctx: Context, script: Uint8Array, index: number): boolean {
  const { bip32PublicKey, bip86PublicKey } = ctx.keys;
  const keys = [bip32PublicKey(index), bip86PublicKey(index)].filter((key) => key !== null);
  return keys.some((key) => {
    const program = p2wpkhOfKey(key);
    const taproot = p2trScript(taprootOutputKey(ctx.secp, key.subarray(1)).outputKey);
    return [program, p2shOfScript(program), taproot].some((own) => equalBytes(own, script));
  });
}

/** Addresses and scripts of the allowlist. */
export function isAllowlistedScript(ctx: Context, script: Uint8Array): boolean {
  const entries = [...ctx.policy.allowlist, ...(ctx.draft.get(allowlistRecords, ALLOWLIST_ID) ?? [])];
  return entries.some((entry) => {
    const own = scriptOf(ctx, entry);
    return own !== null && equalBytes(own, script);
  });
}

function scriptOf(ctx: Context, { kind, text }: AllowlistEntry): Uint8Array | null {
  if (kind === 'script') return fromHex(text);
  if (kind !== 'address') return null;
  const found = addressToScript(text, ctx.policy.network.name);
  return found.ok ? found.script : null;
}
