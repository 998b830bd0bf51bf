/** Scripts of standard outputs, and the assembler for others. Sources: BIP 16, 141, 173, 341, 350. */
import { bech32, bech32m } from '@scure/base';
import { opcodes, script } from 'bitcoinjs-lib';
import { concatBytes, EMPTY } from './bytes.ts';
import { hash160, sha256 } from './hash.ts';
import { taprootOutputKey, xOnly } from './keys.ts';

export { opcodes };

/** Opcodes as numbers, pushes as bytes, in the shortest form. */
export const assemble = (chunks: readonly (number | Uint8Array)[]): Uint8Array => script.compile([...chunks]);

/** A number as a script pushes it: OP_0, OP_1 to OP_16, or the bytes of a script number. */
export function pushNumber(value: number): number | Uint8Array {
  if (value === 0) return opcodes.OP_0 as number;
  if (value >= 1 && value <= 16) return (opcodes.OP_1 as number) + value - 1;
  return script.number.encode(value);
}

/** 0x00 then 20 or 32 bytes; 0x51 then 32 bytes. */
function witnessProgram(version: number, program: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(2 + program.length);
  bytes[0] = version === 0 ? 0 : 0x50 + version;
  bytes[1] = program.length;
  bytes.set(program, 2);
  return bytes;
}

export const p2wpkh = (publicKey: Uint8Array): Uint8Array => witnessProgram(0, hash160(publicKey));
export const p2wsh = (witnessScript: Uint8Array): Uint8Array => witnessProgram(0, sha256(witnessScript));
/** Of an output key. */
export const p2tr = (outputKey: Uint8Array): Uint8Array => witnessProgram(1, outputKey);
/** BIP 86, of a compressed public key. */
export const p2trOfKey = (publicKey: Uint8Array): Uint8Array => p2tr(taprootOutputKey(xOnly(publicKey)));
export const p2sh = (redeemScript: Uint8Array): Uint8Array =>
  concatBytes(Uint8Array.of(0xa9, 0x14), hash160(redeemScript), Uint8Array.of(0x87));
/** Of the key's hash; BIP 143's script code of p2wpkh too. */
export const p2pkhScript = (keyHash: Uint8Array): Uint8Array =>
  concatBytes(Uint8Array.of(0x76, 0xa9, 0x14), keyHash, Uint8Array.of(0x88, 0xac));

export const isP2wpkh = (bytes: Uint8Array): boolean =>
  bytes.length === 22 && bytes[0] === 0x00 && bytes[1] === 20;
export const isP2wsh = (bytes: Uint8Array): boolean =>
  bytes.length === 34 && bytes[0] === 0x00 && bytes[1] === 32;
export const isP2tr = (bytes: Uint8Array): boolean =>
  bytes.length === 34 && bytes[0] === 0x51 && bytes[1] === 32;
export const isP2sh = (bytes: Uint8Array): boolean =>
  bytes.length === 23 && bytes[0] === 0xa9 && bytes[1] === 0x14 && bytes[22] === 0x87;

const REGTEST_PREFIX = 'bcrt';

/** The regtest address of a witness program; undefined for other scripts. */
export function addressOf(outputScript: Uint8Array): string | undefined {
  const [first, length] = outputScript;
  if (first === undefined || length !== outputScript.length - 2) return undefined;
  const version = first === 0 ? 0 : first - 0x50;
  if (version < 0 || version > 16) return undefined;
  const coder = version === 0 ? bech32 : bech32m;
  return coder.encode(REGTEST_PREFIX, [version, ...coder.toWords(outputScript.subarray(2))]);
}

/** The script of a regtest segwit address. Throws on other text. */
export function scriptOfAddress(address: string): Uint8Array {
  const isV0 = bech32.decodeUnsafe(address) !== undefined;
  const coder = isV0 ? bech32 : bech32m;
  const { prefix, words } = coder.decode(address as `${string}1${string}`);
  const [version = -1] = words;
  if (prefix !== REGTEST_PREFIX || version < 0 || version > 16 || isV0 !== (version === 0))
    throw new Error(`not a regtest segwit address: ${address}`);
  return witnessProgram(version, coder.fromWords(words.slice(1)));
}

/** The scriptSig of p2sh-p2wpkh: one push of the redeem script. */
export const pushScript = (bytes: Uint8Array): Uint8Array => (bytes.length === 0 ? EMPTY : assemble([bytes]));
