/**
 * What an operator may write on the allowlist, told from the text: an address, an extended public key, an output script
 * in hex, or the node id of a payee. A text that is none of them for this network is a typed fault with words for people.
 */
import {
  type AddressFault,
  addressToScript,
  classify,
  fromHex,
  type Secp256k1,
  scriptToAddress,
  sha256,
} from '@countersign/bitcoin';
import { base58check } from '@scure/base';
import type { Network } from '../network.ts';
import type { AllowlistKind } from '../records/approval.ts';

/** An entry that was understood, or why it was not. */
export type AllowlistReading =
  /** `text` in the one way to write it, as whoever looks for an entry compares it. */
  | { readonly ok: true; readonly kind: AllowlistKind; readonly text: string }
  | { readonly ok: false; readonly reason: string };

/** 4 version, 1 depth, 4 parent, 4 child number, 32 chain code, 33 key (BIP 32 "Serialization format"). */
const EXTENDED_KEY_BYTES = 78;
const KEY_OFFSET = 45;
/** A serialized extended key in base58check has 111 or 112 characters. */
const EXTENDED_KEY = /^[1-9A-HJ-NP-Za-km-z]{107,115}$/;
/** As much as any standard output script has. */
const SCRIPT_HEX = /^(?:[0-9a-f]{2}){3,83}$/;
const PUBLIC_KEY_HEX = /^0[23][0-9a-f]{64}$/;

const base58 = base58check(sha256);
const fault = (reason: string): AllowlistReading => ({ ok: false, reason });

/** Has the form of one: whether it is a point is another question. */
export const isNodeId = (text: string): boolean => PUBLIC_KEY_HEX.test(text);

/** An entry for payees from what the operator wrote: a node id. */
export function readPayee(text: string, secp: Secp256k1): AllowlistReading {
  if (!isNodeId(text))
    return fault('a payee is a node id: 66 hex digits in lower case that begin with 02 or 03');
  if (!secp.isPublicKey(fromHex(text))) return fault('this node id is no point on the curve');
  return { ok: true, kind: 'payee', text };
}

/** An entry for destinations from what the operator wrote: address, script or extended public key. */
export function readDestination(text: string, network: Network, secp: Secp256k1): AllowlistReading {
  if (EXTENDED_KEY.test(text)) return readExtendedKey(text, network, secp);
  if (isNodeId(text)) return fault('this is a node id or public key: node ids are payees');
  if (SCRIPT_HEX.test(text)) return readScript(text);
  const address = addressToScript(text, network.name);
  if (!address.ok) return fault(addressWords(address.reason, network));
  return { ok: true, kind: 'address', text: scriptToAddress(address.script, network.name) ?? text };
}

function addressWords(reason: AddressFault, network: Network): string {
  switch (reason) {
    case 'other-chain':
      return `this address is of another network than ${network.name}`;
    case 'checksum':
      return 'the checksum of this address is wrong: a character is missing or mistyped';
    case 'witness-program':
      return 'this address has a valid checksum, but stands for no output script';
    case 'not-an-address':
      return 'this is no address, no extended public key and no output script in hex';
  }
}

function readScript(text: string): AllowlistReading {
  const { type } = classify(fromHex(text));
  if (type === 'unknown' || type === 'op-return') {
    return fault('this script is of no form that pays somebody (P2PKH, P2SH, or a witness program)');
  }
  return { ok: true, kind: 'script', text };
}

function readExtendedKey(text: string, network: Network, secp: Secp256k1): AllowlistReading {
  let key: Uint8Array;
  try {
    key = base58.decode(text);
  } catch {
    return fault('the checksum of this extended public key is wrong: a character is missing or mistyped');
  }
  if (key.length !== EXTENDED_KEY_BYTES) return fault('this is no extended public key');
  const first = key[KEY_OFFSET];
  if (first === 0)
    return fault('this is an extended PRIVATE key: remove it here, and treat it as known to others');
  const version = new DataView(key.buffer, key.byteOffset).getUint32(0);
  if (version !== network.bip32Public || !secp.isPublicKey(key.subarray(KEY_OFFSET))) {
    const prefix = network.isMainnet ? 'xpub' : 'tpub';
    return fault(`this is no extended public key of ${network.name}: such a key begins with ${prefix}`);
  }
  return { ok: true, kind: 'xpub', text };
}
