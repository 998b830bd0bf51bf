/**
 * Addresses and the output scripts they stand for: bech32 (BIP 173), bech32m (BIP 350), and base58check for P2PKH and
 * P2SH. A text that is no address of the chain in question is a typed result, not an exception: operators type them.
 */
import { base58check, bech32, bech32m } from '@scure/base';
import { concat } from './bytes.ts';
import { sha256 } from './hash.ts';
import { buildScript, classify, OP, p2pkhScript, p2shScript, parseWitnessProgram } from './script.ts';

/** As Bitcoin Core names its chains. */
export type AddressChain = 'bitcoin' | 'testnet' | 'testnet4' | 'signet' | 'regtest';

interface AddressForms {
  readonly hrp: string;
  readonly p2pkhVersion: number;
  readonly p2shVersion: number;
}

const MAIN: AddressForms = { hrp: 'bc', p2pkhVersion: 0, p2shVersion: 5 };
const TEST: AddressForms = { hrp: 'tb', p2pkhVersion: 111, p2shVersion: 196 };
const FORMS: Readonly<Record<AddressChain, AddressForms>> = {
  bitcoin: MAIN,
  testnet: TEST,
  testnet4: TEST,
  signet: TEST,
  regtest: { ...TEST, hrp: 'bcrt' },
};

export type AddressResult =
  | { readonly ok: true; readonly script: Uint8Array }
  | { readonly ok: false; readonly reason: AddressFault };

/** `other-chain`: a well-formed address, of another chain than the one asked for. */
export type AddressFault = 'not-an-address' | 'checksum' | 'other-chain' | 'witness-program';

/** BIP 173: no address is longer. */
const ADDRESS_CHARS_MAX = 90;
const base58 = base58check(sha256);

const fault = (reason: AddressFault): AddressResult => ({ ok: false, reason });

/** The output script of an address of `chain`. */
export function addressToScript(address: string, chain: AddressChain): AddressResult {
  if (address.length > ADDRESS_CHARS_MAX) return fault('not-an-address');
  const separator = address.lastIndexOf('1');
  const hrp = separator < 0 ? '' : address.slice(0, separator).toLowerCase();
  const isSegwit = Object.values(FORMS).some((forms) => forms.hrp === hrp);
  return isSegwit ? segwitScript(address, hrp, chain) : base58Script(address, chain);
}

/** BIP 350: version 0 has a bech32 checksum, every later version a bech32m one. */
function segwitScript(address: string, hrp: string, chain: AddressChain): AddressResult {
  const plain = bech32.decodeUnsafe(address);
  const modified = bech32m.decodeUnsafe(address);
  const words = plain?.words ?? modified?.words;
  if (words === undefined) return fault('checksum');
  const version = words[0];
  if (version === undefined || version > 16) return fault('witness-program');
  if ((version === 0) !== (plain !== undefined)) return fault('checksum');
  const program = bech32.fromWordsUnsafe(words.slice(1));
  if (program === undefined) return fault('witness-program');
  const script = buildScript(version === 0 ? OP.OP_0 : OP.OP_1 + version - 1, program);
  const isValid =
    parseWitnessProgram(script) !== undefined &&
    (version !== 0 || program.length === 20 || program.length === 32);
  if (!isValid) return fault('witness-program');
  return hrp === FORMS[chain].hrp ? { ok: true, script } : fault('other-chain');
}

function base58Script(address: string, chain: AddressChain): AddressResult {
  let payload: Uint8Array;
  try {
    payload = base58.decode(address);
  } catch {
    return fault(/^[1-9A-HJ-NP-Za-km-z]{25,}$/.test(address) ? 'checksum' : 'not-an-address');
  }
  if (payload.length !== 21) return fault('not-an-address');
  const version = payload[0];
  const hash = payload.slice(1);
  const { p2pkhVersion, p2shVersion } = FORMS[chain];
  if (version === p2pkhVersion) return { ok: true, script: p2pkhScript(hash) };
  if (version === p2shVersion) return { ok: true, script: p2shScript(hash) };
  const isKnown = Object.values(FORMS).some((f) => version === f.p2pkhVersion || version === f.p2shVersion);
  return fault(isKnown ? 'other-chain' : 'not-an-address');
}

/** The address of an output script on `chain`; null where the script has none. */
export function scriptToAddress(script: Uint8Array, chain: AddressChain): string | null {
  const { hrp, p2pkhVersion, p2shVersion } = FORMS[chain];
  const witness = parseWitnessProgram(script);
  if (witness !== undefined) {
    const { version, program } = witness;
    if (version === 0 && program.length !== 20 && program.length !== 32) return null;
    const words = [version, ...bech32.toWords(program)];
    return version === 0 ? bech32.encode(hrp, words) : bech32m.encode(hrp, words);
  }
  const kind = classify(script);
  if (kind.type === 'p2pkh') return base58.encode(concat(Uint8Array.of(p2pkhVersion), kind.keyHash));
  if (kind.type === 'p2sh') return base58.encode(concat(Uint8Array.of(p2shVersion), kind.scriptHash));
  return null;
}
