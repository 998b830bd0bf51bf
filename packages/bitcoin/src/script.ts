/**
 * Bitcoin script: building with minimal pushes only, the standard output scripts, and strict reading. A built
 * script reads back to the same elements; a script that is truncated or not minimally pushed is a `FormError`.
 */
import { FormError } from './error.ts';
import { hash160, publicSha256 } from './hash.ts';

/** The opcodes Lightning and the standard output scripts use. */
export const OP = {
  OP_0: 0x00,
  OP_PUSHDATA1: 0x4c,
  OP_PUSHDATA2: 0x4d,
  OP_PUSHDATA4: 0x4e,
  OP_1NEGATE: 0x4f,
  OP_1: 0x51,
  OP_2: 0x52,
  OP_16: 0x60,
  OP_IF: 0x63,
  OP_NOTIF: 0x64,
  OP_ELSE: 0x67,
  OP_ENDIF: 0x68,
  OP_VERIFY: 0x69,
  OP_RETURN: 0x6a,
  OP_IFDUP: 0x73,
  OP_DROP: 0x75,
  OP_DUP: 0x76,
  OP_SWAP: 0x7c,
  OP_SIZE: 0x82,
  OP_EQUAL: 0x87,
  OP_EQUALVERIFY: 0x88,
  OP_ADD: 0x93,
  OP_HASH160: 0xa9,
  OP_CHECKSIG: 0xac,
  OP_CHECKSIGVERIFY: 0xad,
  OP_CHECKMULTISIG: 0xae,
  OP_CHECKLOCKTIMEVERIFY: 0xb1,
  OP_CHECKSEQUENCEVERIFY: 0xb2,
} as const;

const PUSH_BYTES_MAX = 520;

/** Where one opcode is the whole element, that; else null. */
function singleOpcode(element: number | Uint8Array): number | null {
  if (typeof element === 'number') return element;
  const { length } = element;
  if (length === 0) return OP.OP_0;
  const first = element[0]!;
  if (length === 1 && first >= 1 && first <= 16) return OP.OP_1 + first - 1;
  return length === 1 && first === 0x81 ? OP.OP_1NEGATE : null;
}

/** What stands before the bytes of a push. */
function pushHeadBytes(length: number): number {
  if (length > PUSH_BYTES_MAX) {
    throw new FormError('script push too long', { bytes: length, bytes_max: PUSH_BYTES_MAX });
  }
  if (length < OP.OP_PUSHDATA1) return 1;
  return length <= 0xff ? 2 : 3;
}

function elementBytes(element: number | Uint8Array): number {
  if (typeof element === 'number' || singleOpcode(element) !== null) return 1;
  return pushHeadBytes(element.length) + element.length;
}

/** Writes a push that is no single opcode, and returns where the next element goes. */
function writePush(script: Uint8Array, at: number, data: Uint8Array): number {
  const { length } = data;
  const headBytes = pushHeadBytes(length);
  if (headBytes === 1) script[at] = length;
  else {
    script[at] = headBytes === 2 ? OP.OP_PUSHDATA1 : OP.OP_PUSHDATA2;
    script[at + 1] = length & 0xff;
    if (headBytes === 3) script[at + 2] = length >> 8;
  }
  script.set(data, at + headBytes);
  return at + headBytes + length;
}

/** The shortest script that pushes `data` (BIP 62 rule 3), at most 520 bytes. */
export function pushData(data: Uint8Array): Uint8Array {
  return buildScript(data);
}

/** Minimal script number: sign-magnitude, little-endian, zero is empty. `value` a safe integer. */
export function encodeScriptNumber(value: number): Uint8Array {
  if (!Number.isSafeInteger(value)) throw new FormError('script number out of range');
  const out: number[] = [];
  let rest = Math.abs(value);
  while (rest > 0) {
    out.push(rest % 256);
    rest = Math.floor(rest / 256);
  }
  const top = out[out.length - 1];
  if (top !== undefined) {
    if ((top & 0x80) !== 0) out.push(value < 0 ? 0x80 : 0x00);
    else if (value < 0) out[out.length - 1] = top | 0x80;
  }
  return Uint8Array.from(out);
}

/** Strict inverse of `encodeScriptNumber`: minimal, at most `lengthMax` bytes (BIP 65 and 112 allow 5, at most 6). */
export function decodeScriptNumber(bytes: Uint8Array, lengthMax = 5): number {
  const { length } = bytes;
  if (length > Math.min(lengthMax, 6)) throw new FormError('script number too long', { bytes: length });
  if (length === 0) return 0;
  const top = bytes[length - 1]!;
  if ((top & 0x7f) === 0 && (length === 1 || (bytes[length - 2]! & 0x80) === 0)) {
    throw new FormError('script number not minimal');
  }
  let value = top & 0x7f;
  for (let i = length - 2; i >= 0; i--) value = value * 256 + bytes[i]!;
  return (top & 0x80) !== 0 ? -value : value;
}

/** A number is an opcode, bytes are pushed minimally. */
export function buildScript(...elements: readonly (number | Uint8Array)[]): Uint8Array {
  let length = 0;
  for (const element of elements) length += elementBytes(element);
  const script = new Uint8Array(length);
  let at = 0;
  for (const element of elements) {
    const opcode = singleOpcode(element);
    if (opcode !== null) script[at++] = opcode;
    else if (typeof element !== 'number') at = writePush(script, at, element);
  }
  return script;
}

export interface ScriptElement {
  readonly opcode: number;
  /** What a push opcode puts on the stack (OP_0: empty, OP_1 … OP_16 and OP_1NEGATE: their number). */
  readonly data?: Uint8Array;
}

function isMinimalPush(opcode: number, data: Uint8Array): boolean {
  const { length } = data;
  const first = data[0];
  if (length === 0) return false;
  if (length === 1 && first !== undefined && ((first >= 1 && first <= 16) || first === 0x81)) return false;
  if (length < OP.OP_PUSHDATA1) return opcode === length;
  if (length <= 0xff) return opcode === OP.OP_PUSHDATA1;
  return opcode === (length <= 0xffff ? OP.OP_PUSHDATA2 : OP.OP_PUSHDATA4);
}

/** Bytes of the length field after a push opcode. */
const lengthFieldBytes = (opcode: number): number =>
  opcode === OP.OP_PUSHDATA1 ? 1 : opcode === OP.OP_PUSHDATA2 ? 2 : opcode === OP.OP_PUSHDATA4 ? 4 : 0;

/** The elements of a script. `FormError` for a truncated push or one that is not minimal. */
export function parseScript(script: Uint8Array): ScriptElement[] {
  const elements: ScriptElement[] = [];
  let at = 0;
  while (at < script.length) {
    const opcode = script[at++]!;
    if (opcode === OP.OP_0) elements.push({ opcode, data: new Uint8Array(0) });
    else if (opcode === OP.OP_1NEGATE) elements.push({ opcode, data: Uint8Array.of(0x81) });
    else if (opcode >= OP.OP_1 && opcode <= OP.OP_16)
      elements.push({ opcode, data: Uint8Array.of(opcode - OP.OP_1 + 1) });
    else if (opcode > OP.OP_PUSHDATA4) elements.push({ opcode });
    else {
      const fieldBytes = lengthFieldBytes(opcode);
      if (fieldBytes > script.length - at) throw new FormError('truncated script push', { offset: at });
      let length = fieldBytes === 0 ? opcode : 0;
      for (let i = fieldBytes - 1; i >= 0; i--) length = length * 256 + script[at + i]!;
      at += fieldBytes;
      if (length > script.length - at) throw new FormError('truncated script push', { offset: at });
      const data = script.slice(at, at + length);
      if (!isMinimalPush(opcode, data)) throw new FormError('script push not minimal', { offset: at });
      elements.push({ opcode, data });
      at += length;
    }
  }
  return elements;
}

function requireBytes(bytes: Uint8Array, length: number, what: string): Uint8Array {
  if (bytes.length !== length) {
    throw new FormError(`${what} has the wrong length`, { bytes: bytes.length, bytes_expected: length });
  }
  return bytes;
}

/** Pay to a 20-byte public key hash. */
export const p2pkhScript = (keyHash: Uint8Array): Uint8Array =>
  buildScript(
    OP.OP_DUP,
    OP.OP_HASH160,
    requireBytes(keyHash, 20, 'key hash'),
    OP.OP_EQUALVERIFY,
    OP.OP_CHECKSIG,
  );
/** Pay to a 20-byte script hash. */
export const p2shScript = (scriptHash: Uint8Array): Uint8Array =>
  buildScript(OP.OP_HASH160, requireBytes(scriptHash, 20, 'script hash'), OP.OP_EQUAL);
/** BIP 141 version 0, 20-byte key hash. */
export const p2wpkhScript = (keyHash: Uint8Array): Uint8Array =>
  buildScript(OP.OP_0, requireBytes(keyHash, 20, 'key hash'));
/** BIP 141 version 0, 32-byte SHA-256 of the witness script. */
export const p2wshScript = (scriptHash: Uint8Array): Uint8Array =>
  buildScript(OP.OP_0, requireBytes(scriptHash, 32, 'script hash'));
/** BIP 341 version 1, 32-byte output key. */
export const p2trScript = (outputKey: Uint8Array): Uint8Array =>
  buildScript(OP.OP_1, requireBytes(outputKey, 32, 'output key'));

/** `p2wpkhScript` of a 33-byte public key. */
export const p2wpkhOfKey = (publicKey: Uint8Array): Uint8Array =>
  p2wpkhScript(hash160(requireBytes(publicKey, 33, 'public key')));
/** `p2wshScript` of a witness script. */
export const p2wshOfScript = (witnessScript: Uint8Array): Uint8Array =>
  p2wshScript(publicSha256(witnessScript));
/** `p2shScript` of a redeem script. */
export const p2shOfScript = (redeemScript: Uint8Array): Uint8Array => p2shScript(hash160(redeemScript));

export interface WitnessProgram {
  /** 0 … 16. */
  readonly version: number;
  /** 2 … 40 bytes. */
  readonly program: Uint8Array;
}

/** BIP 141: OP_0 or OP_1 … OP_16, then one direct push of 2 to 40 bytes, nothing else. */
export function parseWitnessProgram(script: Uint8Array): WitnessProgram | undefined {
  if (script.length < 4 || script.length > 42) return undefined;
  const opcode = script[0]!;
  if (opcode !== OP.OP_0 && (opcode < OP.OP_1 || opcode > OP.OP_16)) return undefined;
  if (script[1] !== script.length - 2) return undefined;
  return { version: opcode === OP.OP_0 ? 0 : opcode - OP.OP_1 + 1, program: script.slice(2) };
}

export const isWitnessProgram = (script: Uint8Array): boolean => parseWitnessProgram(script) !== undefined;

/** What an output script pays to. `witness-unknown` covers future versions and the impossible v0 lengths. */
export type ScriptClass =
  | { readonly type: 'p2pkh'; readonly keyHash: Uint8Array }
  | { readonly type: 'p2sh'; readonly scriptHash: Uint8Array }
  | { readonly type: 'p2wpkh'; readonly keyHash: Uint8Array }
  | { readonly type: 'p2wsh'; readonly scriptHash: Uint8Array }
  | { readonly type: 'p2tr'; readonly outputKey: Uint8Array }
  | { readonly type: 'p2a' }
  | { readonly type: 'witness-unknown'; readonly version: number; readonly program: Uint8Array }
  | { readonly type: 'op-return' }
  | { readonly type: 'unknown' };

function classifyWitness({ version, program }: WitnessProgram): ScriptClass {
  if (version === 0 && program.length === 20) return { type: 'p2wpkh', keyHash: program };
  if (version === 0 && program.length === 32) return { type: 'p2wsh', scriptHash: program };
  if (version === 1 && program.length === 32) return { type: 'p2tr', outputKey: program };
  if (version === 1 && program.length === 2 && program[0] === 0x4e && program[1] === 0x73)
    return { type: 'p2a' };
  return { type: 'witness-unknown', version, program };
}

export function classify(script: Uint8Array): ScriptClass {
  const witness = parseWitnessProgram(script);
  if (witness !== undefined) return classifyWitness(witness);
  const { length } = script;
  if (
    length === 25 &&
    script[0] === OP.OP_DUP &&
    script[1] === OP.OP_HASH160 &&
    script[2] === 20 &&
    script[23] === OP.OP_EQUALVERIFY &&
    script[24] === OP.OP_CHECKSIG
  ) {
    return { type: 'p2pkh', keyHash: script.slice(3, 23) };
  }
  if (length === 23 && script[0] === OP.OP_HASH160 && script[1] === 20 && script[22] === OP.OP_EQUAL) {
    return { type: 'p2sh', scriptHash: script.slice(2, 22) };
  }
  if (script[0] === OP.OP_RETURN) return { type: 'op-return' };
  return { type: 'unknown' };
}
