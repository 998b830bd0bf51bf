/**
 * The output scripts of BOLT 3, as witness scripts. HTLC scripts come from a template made once per commitment.
 * Keys are compressed points and taken as given; hashes, delays and expiries are checked for their range.
 */
import { compareBytes, concat } from '../bytes.ts';
import { FormError } from '../error.ts';
import { hash160, ripemd160 } from '../hash.ts';
import { once } from '../once.ts';
import { buildScript, encodeScriptNumber, OP, pushData } from '../script.ts';
import type { CommitmentFormat } from './format.ts';
import { hasAnchors } from './format.ts';
import type { CommitmentKeys } from './keys.ts';

/** BIP 68: relative locks in blocks have 16 bits. */
const CSV_BLOCKS_MAX = 0xffff;
/** BIP 65: absolute locks below this are block heights; BOLT 2 refuses HTLCs that expire at or beyond it. */
export const CLTV_EXPIRY_MAX = 499_999_999;
const ANCHOR_CSV_BLOCKS = 1;

function requireCsv(blocks: number): number {
  if (!Number.isInteger(blocks) || blocks < 0 || blocks > CSV_BLOCKS_MAX)
    throw new FormError('relative lock out of range', { blocks, max_blocks: CSV_BLOCKS_MAX });
  return blocks;
}

export function requireCltvExpiry(height: number): number {
  if (!Number.isInteger(height) || height < 0 || height > CLTV_EXPIRY_MAX)
    throw new FormError('cltv expiry out of range', { cltv_expiry: height, max: CLTV_EXPIRY_MAX });
  return height;
}

/** 2-of-2 of the funding keys, the lexicographically lesser first. */
export function fundingScript(fundingKeyA: Uint8Array, fundingKeyB: Uint8Array): Uint8Array {
  const aFirst = compareBytes(fundingKeyA, fundingKeyB) < 0;
  const [first, second] = aFirst ? [fundingKeyA, fundingKeyB] : [fundingKeyB, fundingKeyA];
  return buildScript(OP.OP_2, first, second, OP.OP_2, OP.OP_CHECKMULTISIG);
}

export type RevocableKeys = Pick<CommitmentKeys, 'revocation' | 'broadcasterDelayed'>;

/** Revocable at once by the other side, else the broadcaster's after `csvBlocks`. */
function revocableScript(keys: RevocableKeys, csvBlocks: number): Uint8Array {
  return buildScript(
    OP.OP_IF,
    keys.revocation,
    OP.OP_ELSE,
    encodeScriptNumber(requireCsv(csvBlocks)),
    OP.OP_CHECKSEQUENCEVERIFY,
    OP.OP_DROP,
    keys.broadcasterDelayed,
    OP.OP_ENDIF,
    OP.OP_CHECKSIG,
  );
}

/**
 * `to_local`. Where the broadcaster leased out its funds (CLN's option_will_fund), `leaseCsvBlocks` is what is left
 * of the lease and the longer lock applies.
 */
export function toLocalScript(
  keys: RevocableKeys,
  toSelfDelayBlocks: number,
  leaseCsvBlocks = 0,
): Uint8Array {
  return revocableScript(keys, Math.max(requireCsv(toSelfDelayBlocks), requireCsv(leaseCsvBlocks)));
}

/** The output of HTLC-timeout and HTLC-success transactions; a lease does not lengthen it. */
export function htlcTransactionOutputScript(keys: RevocableKeys, toSelfDelayBlocks: number): Uint8Array {
  return revocableScript(keys, toSelfDelayBlocks);
}

/**
 * `to_remote` of anchor types: one block of relative lock, or what is left of the lease where the
 * countersignatory leased out its funds. (Static_remotekey has a plain P2WPKH output, no witness script.)
 */
export function toRemoteAnchoredScript(
  countersignatoryPayment: Uint8Array,
  leaseCsvBlocks = ANCHOR_CSV_BLOCKS,
): Uint8Array {
  return buildScript(
    countersignatoryPayment,
    OP.OP_CHECKSIGVERIFY,
    encodeScriptNumber(Math.max(ANCHOR_CSV_BLOCKS, requireCsv(leaseCsvBlocks))),
    OP.OP_CHECKSEQUENCEVERIFY,
  );
}

/** Its owner's at once; anyone's after 16 blocks. */
export function anchorScript(fundingKey: Uint8Array): Uint8Array {
  return buildScript(
    fundingKey,
    OP.OP_CHECKSIG,
    OP.OP_IFDUP,
    OP.OP_NOTIF,
    OP.OP_16,
    OP.OP_CHECKSEQUENCEVERIFY,
    OP.OP_ENDIF,
  );
}

export type HtlcKeys = Pick<CommitmentKeys, 'revocation' | 'broadcasterHtlc' | 'countersignatoryHtlc'>;

/** Makes the HTLC scripts of one commitment; `paymentHash` is the 32-byte SHA-256, `paymentHash160` its RIPEMD-160. */
export interface HtlcScripts {
  offered(paymentHash: Uint8Array): Uint8Array;
  received(paymentHash: Uint8Array, cltvExpiry: number): Uint8Array;
  offered160(paymentHash160: Uint8Array): Uint8Array;
  received160(paymentHash160: Uint8Array, cltvExpiry: number): Uint8Array;
}

/** What both HTLC scripts begin with: the revocation path, then the countersignatory's key and a size check. */
function htlcScriptHead(keys: HtlcKeys): Uint8Array {
  return buildScript(
    OP.OP_DUP,
    OP.OP_HASH160,
    hash160(keys.revocation),
    OP.OP_EQUAL,
    OP.OP_IF,
    OP.OP_CHECKSIG,
    OP.OP_ELSE,
    keys.countersignatoryHtlc,
    OP.OP_SWAP,
    OP.OP_SIZE,
    Uint8Array.of(32),
    OP.OP_EQUAL,
  );
}

/** What both end with. Anchor types lock every path but the revocation for one block. */
function htlcScriptTail(format: CommitmentFormat): Uint8Array {
  return hasAnchors(format)
    ? buildScript(
        OP.OP_ENDIF,
        Uint8Array.of(ANCHOR_CSV_BLOCKS),
        OP.OP_CHECKSEQUENCEVERIFY,
        OP.OP_DROP,
        OP.OP_ENDIF,
      )
    : buildScript(OP.OP_ENDIF, OP.OP_ENDIF);
}

/** The hash of the preimage as scripts carry it: RIPEMD-160 of the payment hash. */
function hashPush(paymentHash: Uint8Array): Uint8Array {
  if (paymentHash.length !== 32)
    throw new FormError('payment hash must be 32 bytes', { bytes: paymentHash.length });
  return ripemd160(paymentHash);
}

function require160(hash: Uint8Array): Uint8Array {
  if (hash.length !== 20) throw new FormError('payment hash must be 20 bytes here', { bytes: hash.length });
  return hash;
}

/** The parts around the hash, made when the first script is asked for: most commitments have no HTLC. */
export function htlcScripts(keys: HtlcKeys, format: CommitmentFormat): HtlcScripts {
  const templates = once(() => htlcTemplates(keys, format));
  return {
    offered: (paymentHash) => templates().offered160(hashPush(paymentHash)),
    received: (paymentHash, cltvExpiry) => templates().received160(hashPush(paymentHash), cltvExpiry),
    offered160: (hash) => templates().offered160(hash),
    received160: (hash, cltvExpiry) => templates().received160(hash, cltvExpiry),
  };
}

function htlcTemplates(
  keys: HtlcKeys,
  format: CommitmentFormat,
): Pick<HtlcScripts, 'offered160' | 'received160'> {
  const head = htlcScriptHead(keys);
  const tail = htlcScriptTail(format);
  const twoOfTwo = buildScript(
    OP.OP_2,
    OP.OP_SWAP,
    keys.broadcasterHtlc,
    OP.OP_2,
    OP.OP_CHECKMULTISIG,
    OP.OP_ELSE,
  );
  const checkHash = Uint8Array.of(OP.OP_HASH160, 20);
  const offeredHead = concat(head, Uint8Array.of(OP.OP_NOTIF, OP.OP_DROP), twoOfTwo, checkHash);
  const offeredTail = concat(Uint8Array.of(OP.OP_EQUALVERIFY, OP.OP_CHECKSIG), tail);
  const receivedHead = concat(head, Uint8Array.of(OP.OP_IF), checkHash);
  const receivedMiddle = concat(Uint8Array.of(OP.OP_EQUALVERIFY), twoOfTwo, Uint8Array.of(OP.OP_DROP));
  const receivedTail = concat(Uint8Array.of(OP.OP_CHECKLOCKTIMEVERIFY, OP.OP_DROP, OP.OP_CHECKSIG), tail);
  const offered160 = (hash: Uint8Array) => concat(offeredHead, require160(hash), offeredTail);
  const received160 = (hash: Uint8Array, cltvExpiry: number) =>
    concat(
      receivedHead,
      require160(hash),
      receivedMiddle,
      pushData(encodeScriptNumber(requireCltvExpiry(cltvExpiry))),
      receivedTail,
    );
  return { offered160, received160 };
}
