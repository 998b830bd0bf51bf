/**
 * Reading the witness scripts of a commitment's outputs back into their fields (BOLT 3 "Commitment Transaction
 * Outputs"). Nothing is judged: the keys are whatever stands there. Bytes that are no such script give null.
 */
import { FormError } from '../error.ts';
import { decodeScriptNumber, OP, parseScript, type ScriptElement } from '../script.ts';

export interface ReadHtlcFields {
  /** HASH160 of the revocation key. */
  readonly revocationHash: Uint8Array;
  readonly broadcasterHtlc: Uint8Array;
  readonly countersignatoryHtlc: Uint8Array;
  /** RIPEMD-160 of the payment hash. */
  readonly hash: Uint8Array;
  /** Anchor types lock every path but the revocation for one block. */
  readonly isLocked: boolean;
}

export type ReadScript =
  | {
      readonly kind: 'to_local';
      readonly revocation: Uint8Array;
      readonly delayBlocks: number;
      readonly broadcasterDelayed: Uint8Array;
    }
  /** Of anchor types; the P2WPKH of the others has no witness script. */
  | {
      readonly kind: 'to_remote';
      readonly countersignatoryPayment: Uint8Array;
      readonly lockBlocks: number;
    }
  | { readonly kind: 'anchor'; readonly fundingKey: Uint8Array }
  | ({ readonly kind: 'offered_htlc' } & ReadHtlcFields)
  | ({ readonly kind: 'received_htlc'; readonly cltvExpiry: number } & ReadHtlcFields);

/** The longest of them (an HTLC received, with anchors and the highest expiry) has 142 bytes. */
const SCRIPT_BYTES_MAX = 160;

/** An opcode, or a push that is read: of a key, of a 20-byte hash, of a number; or one of exactly the number 32. */
type Element = number | 'key' | 'hash' | 'number' | '32';

const PUSH_BYTES = { key: 33, hash: 20 } as const;

const TO_LOCAL: readonly Element[] = [
  OP.OP_IF,
  'key',
  OP.OP_ELSE,
  'number',
  OP.OP_CHECKSEQUENCEVERIFY,
  OP.OP_DROP,
  'key',
  OP.OP_ENDIF,
  OP.OP_CHECKSIG,
];

const TO_REMOTE: readonly Element[] = ['key', OP.OP_CHECKSIGVERIFY, 'number', OP.OP_CHECKSEQUENCEVERIFY];

const ANCHOR: readonly Element[] = [
  'key',
  OP.OP_CHECKSIG,
  OP.OP_IFDUP,
  OP.OP_NOTIF,
  OP.OP_16,
  OP.OP_CHECKSEQUENCEVERIFY,
  OP.OP_ENDIF,
];

const HTLC_HEAD: readonly Element[] = [
  OP.OP_DUP,
  OP.OP_HASH160,
  'hash',
  OP.OP_EQUAL,
  OP.OP_IF,
  OP.OP_CHECKSIG,
  OP.OP_ELSE,
  'key',
  OP.OP_SWAP,
  OP.OP_SIZE,
  '32',
  OP.OP_EQUAL,
];
const TWO_OF_TWO: readonly Element[] = [OP.OP_2, OP.OP_SWAP, 'key', OP.OP_2, OP.OP_CHECKMULTISIG, OP.OP_ELSE];
const CHECK_HASH: readonly Element[] = [OP.OP_HASH160, 'hash', OP.OP_EQUALVERIFY];
const ONE_BLOCK: readonly Element[] = [OP.OP_1, OP.OP_CHECKSEQUENCEVERIFY, OP.OP_DROP];

const OFFERED: readonly Element[] = [
  ...HTLC_HEAD,
  OP.OP_NOTIF,
  OP.OP_DROP,
  ...TWO_OF_TWO,
  ...CHECK_HASH,
  OP.OP_CHECKSIG,
  OP.OP_ENDIF,
];
const RECEIVED: readonly Element[] = [
  ...HTLC_HEAD,
  OP.OP_IF,
  ...CHECK_HASH,
  ...TWO_OF_TWO,
  OP.OP_DROP,
  'number',
  OP.OP_CHECKLOCKTIMEVERIFY,
  OP.OP_DROP,
  OP.OP_CHECKSIG,
  OP.OP_ENDIF,
];

/** The push as read by the template's element, or null where it is none. */
function readPush(expected: Exclude<Element, number>, data: Uint8Array | undefined): Uint8Array | null {
  if (data === undefined) return null;
  if (expected === 'number') return data;
  if (expected === '32') return data.length === 1 && data[0] === 32 ? data : null;
  return data.length === PUSH_BYTES[expected] ? data : null;
}

/** The keys, hashes and numbers in their order, or null where it is another script. */
function capture(script: readonly ScriptElement[], template: readonly Element[]): Uint8Array[] | null {
  if (script.length !== template.length) return null;
  const captured: Uint8Array[] = [];
  for (const [i, expected] of template.entries()) {
    const { opcode, data } = script[i]!;
    if (typeof expected === 'number') {
      if (opcode !== expected) return null;
      continue;
    }
    const push = readPush(expected, data);
    if (push === null) return null;
    if (expected !== '32') captured.push(push);
  }
  return captured;
}

function readHtlc(script: readonly ScriptElement[], isLocked: boolean): ReadScript | null {
  const end = isLocked ? [...ONE_BLOCK, OP.OP_ENDIF] : [OP.OP_ENDIF];
  const offered = capture(script, [...OFFERED, ...end]);
  if (offered !== null) {
    return {
      kind: 'offered_htlc',
      revocationHash: offered[0]!,
      countersignatoryHtlc: offered[1]!,
      broadcasterHtlc: offered[2]!,
      hash: offered[3]!,
      isLocked,
    };
  }
  const received = capture(script, [...RECEIVED, ...end]);
  if (received === null) return null;
  return {
    kind: 'received_htlc',
    revocationHash: received[0]!,
    countersignatoryHtlc: received[1]!,
    hash: received[2]!,
    broadcasterHtlc: received[3]!,
    cltvExpiry: decodeScriptNumber(received[4]!),
    isLocked,
  };
}

function readAny(script: readonly ScriptElement[]): ReadScript | null {
  const local = capture(script, TO_LOCAL);
  if (local !== null) {
    return {
      kind: 'to_local',
      revocation: local[0]!,
      delayBlocks: decodeScriptNumber(local[1]!),
      broadcasterDelayed: local[2]!,
    };
  }
  const remote = capture(script, TO_REMOTE);
  if (remote !== null) {
    return {
      kind: 'to_remote',
      countersignatoryPayment: remote[0]!,
      lockBlocks: decodeScriptNumber(remote[1]!),
    };
  }
  const anchor = capture(script, ANCHOR);
  if (anchor !== null) return { kind: 'anchor', fundingKey: anchor[0]! };
  return readHtlc(script, false) ?? readHtlc(script, true);
}

/** The script's kind and fields, or null: it is none that an output of a commitment has. */
export function readWitnessScript(script: Uint8Array): ReadScript | null {
  if (script.length > SCRIPT_BYTES_MAX) return null;
  try {
    return readAny(parseScript(script));
  } catch (error) {
    if (error instanceof FormError) return null;
    throw error;
  }
}
