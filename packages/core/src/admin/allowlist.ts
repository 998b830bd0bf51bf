/**
 * The allowlist: addresses, scripts and extended keys that money may go to, and nodes whose invoices may be paid. Every
 * entry is checked when it is added, so whoever reads the list may rely on its form.
 */
import {
  addressToScript,
  fromHex,
  type Secp256k1,
  scriptToAddress,
  sha256,
  toHex,
} from '@countersign/bitcoin';
import { base58check } from '@scure/base';
import type { Network } from '../network.ts';
import { ALLOWLIST_ID } from '../payments/approvals.ts';
import { shortText } from '../payments/description.ts';
import {
  ALLOWLIST_MAX,
  type AllowlistEntry,
  type AllowlistKind,
  allowlistRecords,
} from '../records/approval.ts';
import type { Draft } from '../state.ts';
import { type AdminPlace, fail } from './fault.ts';

/** BIP 141 and policy: longer scripts are no standard outputs. */
const SCRIPT_BYTES_MAX = 520;
/** BIP 32: version, depth, parent, child number, chain code, key. */
const XPUB_BYTES = 78;
const XPUB_KEY_AT = 45;

export function allowlist(draft: Draft): readonly AllowlistEntry[] {
  return draft.get(allowlistRecords, ALLOWLIST_ID) ?? [];
}

export function addToAllowlist(
  place: AdminPlace,
  kindGiven: AllowlistKind | null,
  textGiven: string,
): AllowlistEntry {
  const { draft, policy, secp, nowSeconds } = place;
  const kind = kindGiven ?? kindOf(textGiven);
  const text = canonicalText(kind, textGiven, policy.network, secp);
  const list = allowlist(draft);
  if (list.some((entry) => entry.text === text)) fail('entry-known', 'already on the allowlist', { text });
  if (list.length >= ALLOWLIST_MAX)
    fail('list-full', 'the allowlist is full', { entries_max: ALLOWLIST_MAX });
  const entry: AllowlistEntry = { kind, text, addedAtSeconds: nowSeconds };
  draft.put(allowlistRecords, ALLOWLIST_ID, [...list, entry]);
  place.events.push({ event: 'allowlist-added', facts: { kind, text } });
  return entry;
}

export function removeFromAllowlist(place: AdminPlace, textGiven: string): AllowlistEntry {
  const { draft, policy, secp } = place;
  const list = allowlist(draft);
  const entry =
    list.find(({ text }) => text === textGiven) ??
    list.find(({ kind, text }) => text === textIfValid(kind, textGiven, policy.network, secp));
  if (entry === undefined) fail('not-found', 'not on the allowlist', { text: shortText(textGiven) });
  draft.put(
    allowlistRecords,
    ALLOWLIST_ID,
    list.filter((one) => one !== entry),
  );
  place.events.push({ event: 'allowlist-removed', facts: { kind: entry.kind, text: entry.text } });
  return entry;
}

function kindOf(text: string): AllowlistKind {
  if (/^0[23][0-9a-f]{64}$/i.test(text)) return 'payee';
  if (/^(?:[0-9a-f]{2})+$/i.test(text)) return 'script';
  return /^[a-z]pub/.test(text) ? 'xpub' : 'address';
}

/** The one way to write this entry. */
function canonicalText(kind: AllowlistKind, given: string, network: Network, secp: Secp256k1): string {
  const text = textIfValid(kind, given, network, secp);
  if (text !== null) return text;
  fail('entry-invalid', `not ${DESCRIPTION[kind]}`, {
    kind,
    text: shortText(given),
    network: network.name,
    ...addressFault(kind, given, network),
  });
}

const DESCRIPTION: Readonly<Record<AllowlistKind, string>> = {
  address: 'an address of this network',
  script: `an output script in hex, at most ${SCRIPT_BYTES_MAX} bytes`,
  xpub: 'an extended public key of this network',
  payee: 'a node id: 33 bytes in hex, a point on the curve',
};

function addressFault(kind: AllowlistKind, text: string, network: Network): { reason?: string } {
  if (kind !== 'address') return {};
  const found = addressToScript(text, network.name);
  return found.ok ? {} : { reason: found.reason };
}

/** Null when it is none of that kind. */
function textIfValid(kind: AllowlistKind, text: string, network: Network, secp: Secp256k1): string | null {
  switch (kind) {
    case 'payee':
      if (!/^0[23][0-9a-f]{64}$/i.test(text)) return null;
      return secp.isPublicKey(fromHex(text)) ? text.toLowerCase() : null;
    case 'script': {
      const isScript = /^(?:[0-9a-f]{2})+$/i.test(text) && text.length <= 2 * SCRIPT_BYTES_MAX;
      return isScript ? text.toLowerCase() : null;
    }
    case 'address': {
      const found = addressToScript(text, network.name);
      return found.ok ? scriptToAddress(found.script, network.name) : null;
    }
    case 'xpub':
      return isExtendedPublicKey(text, network, secp) ? text : null;
  }
}

/** Serialized by BIP 32 with this network's version, so no private key and no other network's passes. */
function isExtendedPublicKey(text: string, network: Network, secp: Secp256k1): boolean {
  let bytes: Uint8Array;
  try {
    bytes = base58check(sha256).decode(text);
  } catch {
    return false;
  }
  if (bytes.length !== XPUB_BYTES) return false;
  const version = toHex(bytes.subarray(0, 4));
  if (version !== network.bip32Public.toString(16).padStart(8, '0')) return false;
  return secp.isPublicKey(bytes.subarray(XPUB_KEY_AT));
}
