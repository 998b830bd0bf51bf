/**
 * The output scripts that a single key owns, as wallets make them: P2WPKH, P2SH-P2WPKH, P2TR without scripts (BIP 86), and
 * P2PKH.
 */
import { hash160 } from './hash.ts';
import { p2pkhScript, p2shOfScript, p2trScript, p2wpkhOfKey } from './script.ts';
import type { Secp256k1 } from './secp256k1.ts';
import { taprootOutputKey, xOnlyKey } from './taproot.ts';

/** What a wallet of CLN's can spend: P2WPKH, P2SH-P2WPKH and P2TR of a 33-byte public key. */
export function keyScripts(secp: Secp256k1, publicKey: Uint8Array): readonly Uint8Array[] {
  const program = p2wpkhOfKey(publicKey);
  const { outputKey } = taprootOutputKey(secp, xOnlyKey(publicKey));
  return [program, p2shOfScript(program), p2trScript(outputKey)];
}

/** As `keyScripts`, and P2PKH, which other wallets have. */
export function anyKeyScripts(secp: Secp256k1, publicKey: Uint8Array): readonly Uint8Array[] {
  return [...keyScripts(secp, publicKey), p2pkhScript(hash160(publicKey))];
}
