/**
 * The allowlist that the operator keeps while the signer runs, beside the configured one: addresses, scripts and extended
 * keys that money may go to, and nodes whose invoices may be paid. Every entry is checked before it is on the list.
 */
import { addressToScript, type Secp256k1, scriptToAddress } from '@countersign/bitcoin';
import type { Network } from '../network.ts';
import { ALLOWLIST_ID } from '../payments/approvals.ts';
import { shortText } from '../payments/description.ts';
import { isNodeId, readDestination, readPayee } from '../policy/allowlist-entry.ts';
import {
  ALLOWLIST_MAX,
  type AllowlistEntry,
  type AllowlistKind,
  allowlistRecords,
} from '../records/approval.ts';
import { type AdminPlace, fail } from './fault.ts';

/** Configured entries first: they stand in the file, and only there they can be removed. */
export function allowlist({ draft, policy }: AdminPlace): readonly AllowlistEntry[] {
  return [...policy.allowlist, ...(draft.get(allowlistRecords, ALLOWLIST_ID) ?? [])];
}

export function addToAllowlist(
  place: AdminPlace,
  kindGiven: AllowlistKind | null,
  textGiven: string,
): AllowlistEntry {
  const { draft, policy, secp, nowSeconds } = place;
  const { kind, text } = readEntry(kindGiven, textGiven, policy.network, secp);
  if (allowlist(place).some((entry) => entry.text === text)) {
    fail('entry-known', 'this stands on the allowlist already', { kind, text });
  }
  const list = draft.get(allowlistRecords, ALLOWLIST_ID) ?? [];
  if (list.length >= ALLOWLIST_MAX)
    fail('list-full', 'the allowlist is full', { entries_max: ALLOWLIST_MAX });
  const entry: AllowlistEntry = { kind, text, addedAtSeconds: nowSeconds };
  draft.put(allowlistRecords, ALLOWLIST_ID, [...list, entry]);
  place.events.push({ event: 'allowlist-added', facts: { kind, text } });
  return entry;
}

export function removeFromAllowlist(place: AdminPlace, textGiven: string): AllowlistEntry {
  const { draft, policy } = place;
  const list = draft.get(allowlistRecords, ALLOWLIST_ID) ?? [];
  const text = canonicalText(textGiven, policy.network);
  const entry = list.find((one) => one.text === text);
  if (entry === undefined) {
    if (policy.allowlist.some((one) => one.text === text)) {
      fail('not-possible', 'this entry stands in the configuration: remove it there', { text });
    }
    fail('not-found', 'not on the allowlist', { text: shortText(textGiven) });
  }
  draft.put(
    allowlistRecords,
    ALLOWLIST_ID,
    list.filter((one) => one !== entry),
  );
  place.events.push({ event: 'allowlist-removed', facts: { kind: entry.kind, text } });
  return entry;
}

/** An address has one form that scripts turn into; the other kinds are written in one way only. */
function canonicalText(text: string, network: Network): string {
  const address = addressToScript(text, network.name);
  return (address.ok ? scriptToAddress(address.script, network.name) : null) ?? text;
}

function readEntry(
  kindGiven: AllowlistKind | null,
  text: string,
  network: Network,
  secp: Secp256k1,
): { readonly kind: AllowlistKind; readonly text: string } {
  const isPayee = kindGiven === 'payee' || (kindGiven === null && isNodeId(text));
  const entry = isPayee ? readPayee(text, secp) : readDestination(text, network, secp);
  const shown = { text: shortText(text), network: network.name };
  if (!entry.ok) fail('entry-invalid', entry.reason, shown);
  const { kind } = entry;
  if (kindGiven !== null && kindGiven !== kind) fail('entry-invalid', `this is no ${kindGiven}`, shown);
  return { kind, text: entry.text };
}
