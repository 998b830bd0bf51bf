/**
 * The allowlist, as law 5 asks it: does the operator trust this output script? Addresses and scripts are compared,
 * extended public keys own the scripts of their receiving and change branches within the wallet's index window.
 */
import { equalBytes, fromHex, scriptToAddress } from '@countersign/bitcoin';
import type { Context } from '../context.ts';
import { ALLOWLIST_ID } from '../payments/approvals.ts';
import { type AllowlistEntry, allowlistRecords } from '../records/approval.ts';

export function isAllowlisted(ctx: Context, script: Uint8Array): boolean {
  const entries = [...ctx.policy.allowlist, ...(ctx.draft.get(allowlistRecords, ALLOWLIST_ID) ?? [])];
  if (entries.length === 0) return false;
  const address = scriptToAddress(script, ctx.policy.network.name);
  return entries.some((entry) => matches(ctx, entry, script, address));
}

function matches(ctx: Context, entry: AllowlistEntry, script: Uint8Array, address: string | null): boolean {
  switch (entry.kind) {
    case 'address':
      return address !== null && sameAddress(entry.text, address);
    case 'script':
      return isHex(entry.text) && equalBytes(fromHex(entry.text), script);
    case 'xpub':
      return ctx.keys.ownsScript(entry.text, script, ctx.policy.limits.walletIndexWindow);
    case 'payee':
      return false;
  }
}

const isHex = (text: string): boolean => text.length % 2 === 0 && /^[0-9a-fA-F]*$/.test(text);

/** BIP 173: an address may be written in capitals; base58 distinguishes them. */
function sameAddress(text: string, address: string): boolean {
  if (text === address) return true;
  return text === text.toUpperCase() && text.toLowerCase() === address;
}
