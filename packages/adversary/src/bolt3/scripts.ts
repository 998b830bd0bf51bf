/**
 * The witness scripts of a channel: BOLT 3, "Commitment Transaction Outputs" and "HTLC-Timeout and HTLC-Success
 * Transactions". Words in the templates are opcodes or numbers, so that a template can be held against the BOLT line by line.
 */
import { compareBytes, concatBytes } from '../bitcoin/bytes.ts';
import { hash160, ripemd160 } from '../bitcoin/hash.ts';
import { assemble, opcodes, pushNumber } from '../bitcoin/scripts.ts';
import type { CommitmentKeys } from './keys.ts';

/** What the BOLTs call channel types, as far as they matter here. */
export type ChannelKind = 'static_remotekey' | 'anchors_zero_fee_htlc';

export interface HtlcTerms {
  readonly paymentHash: Uint8Array;
  readonly cltvExpiry: number;
}

/** The compiled words between the values, by the place in the source where the template stands. */
const compiled = new WeakMap<TemplateStringsArray, readonly Uint8Array[]>();

/** Opcode names without OP_, decimal numbers, and values between them: keys, hashes, delays, expiries. */
function template(parts: TemplateStringsArray, ...values: readonly (Uint8Array | number)[]): Uint8Array {
  let words = compiled.get(parts);
  if (words === undefined) {
    words = parts.map((part) => assemble(part.split(/\s+/).filter(Boolean).map(wordChunk)));
    compiled.set(parts, words);
  }
  const pieces = words.flatMap((piece, i) => {
    const value = values[i];
    return value === undefined ? [piece] : [piece, push(value)];
  });
  return concatBytes(...pieces);
}

function push(value: Uint8Array | number): Uint8Array {
  if (typeof value === 'number') return assemble([pushNumber(value)]);
  // A key or a hash: up to 75 bytes the opcode is the length.
  return concatBytes(Uint8Array.of(value.length), value);
}

function wordChunk(word: string): number | Uint8Array {
  if (/^\d+$/.test(word)) return pushNumber(Number(word));
  const opcode: unknown = Reflect.get(opcodes, `OP_${word}`);
  if (typeof opcode !== 'number') throw new Error(`no opcode ${word}`);
  return opcode;
}

/** "Funding Transaction Output" */
export function fundingScript(a: Uint8Array, b: Uint8Array): Uint8Array {
  const [lesser, greater] = compareBytes(a, b) < 0 ? [a, b] : [b, a];
  return template`2 ${lesser} ${greater} 2 CHECKMULTISIG`;
}

/** "`to_local` Output", and the output of every HTLC transaction. */
export function toLocalScript(keys: CommitmentKeys, toSelfDelayBlocks: number): Uint8Array {
  return template`
    IF
      ${keys.revocation}
    ELSE
      ${toSelfDelayBlocks} CHECKSEQUENCEVERIFY DROP ${keys.broadcasterDelayed}
    ENDIF
    CHECKSIG`;
}

/** "`to_remote` Output" with option_anchors. */
export const toRemoteScript = (paymentKey: Uint8Array): Uint8Array =>
  template`${paymentKey} CHECKSIGVERIFY 1 CHECKSEQUENCEVERIFY`;

/** "`to_local_anchor` and `to_remote_anchor` Output" */
export const anchorScript = (fundingKey: Uint8Array): Uint8Array =>
  template`${fundingKey} CHECKSIG IFDUP NOTIF 16 CHECKSEQUENCEVERIFY ENDIF`;

/** "Offered HTLC Outputs": by the broadcaster. */
export function offeredHtlcScript(kind: ChannelKind, keys: CommitmentKeys, htlc: HtlcTerms): Uint8Array {
  const revocationHash = hash160(keys.revocation);
  const paymentHash = ripemd160(htlc.paymentHash);
  if (kind === 'static_remotekey')
    return template`
      DUP HASH160 ${revocationHash} EQUAL
      IF
        CHECKSIG
      ELSE
        ${keys.otherHtlc} SWAP SIZE 32 EQUAL
        NOTIF
          DROP 2 SWAP ${keys.broadcasterHtlc} 2 CHECKMULTISIG
        ELSE
          HASH160 ${paymentHash} EQUALVERIFY
          CHECKSIG
        ENDIF
      ENDIF`;
  return template`
    DUP HASH160 ${revocationHash} EQUAL
    IF
      CHECKSIG
    ELSE
      ${keys.otherHtlc} SWAP SIZE 32 EQUAL
      NOTIF
        DROP 2 SWAP ${keys.broadcasterHtlc} 2 CHECKMULTISIG
      ELSE
        HASH160 ${paymentHash} EQUALVERIFY
        CHECKSIG
      ENDIF
      1 CHECKSEQUENCEVERIFY DROP
    ENDIF`;
}

/** "Received HTLC Outputs": by the broadcaster. */
export function receivedHtlcScript(kind: ChannelKind, keys: CommitmentKeys, htlc: HtlcTerms): Uint8Array {
  const revocationHash = hash160(keys.revocation);
  const paymentHash = ripemd160(htlc.paymentHash);
  if (kind === 'static_remotekey')
    return template`
      DUP HASH160 ${revocationHash} EQUAL
      IF
        CHECKSIG
      ELSE
        ${keys.otherHtlc} SWAP SIZE 32 EQUAL
        IF
          HASH160 ${paymentHash} EQUALVERIFY
          2 SWAP ${keys.broadcasterHtlc} 2 CHECKMULTISIG
        ELSE
          DROP ${htlc.cltvExpiry} CHECKLOCKTIMEVERIFY DROP
          CHECKSIG
        ENDIF
      ENDIF`;
  return template`
    DUP HASH160 ${revocationHash} EQUAL
    IF
      CHECKSIG
    ELSE
      ${keys.otherHtlc} SWAP SIZE 32 EQUAL
      IF
        HASH160 ${paymentHash} EQUALVERIFY
        2 SWAP ${keys.broadcasterHtlc} 2 CHECKMULTISIG
      ELSE
        DROP ${htlc.cltvExpiry} CHECKLOCKTIMEVERIFY DROP
        CHECKSIG
      ENDIF
      1 CHECKSEQUENCEVERIFY DROP
    ENDIF`;
}
