/**
 * What the signer has proven about the chain, as records: the tip, the recent headers, the outputs it watches, and the
 * closes it has seen. All of it follows from the blocks and the channels, so it can be
 * rebuilt by reading the blocks again. Every fact has its height, so a reorg takes back exactly what its blocks had brought.
 */
import type { Msat, Sat } from '@countersign/bitcoin';
import { bool, bytes, type Codec, choice, list, octets, struct, u32 } from '@countersign/wire';
import type { ChannelId } from '../channel/record.ts';
import { exactNumber, hash32, millisatoshis, nullable, outpoint, satoshis, text } from './codecs.ts';
import type { RecordKind } from './kind.ts';

/** BOLT 3: two main outputs, two anchors, 966 HTLCs. */
export const CLOSING_OUTPUTS_MAX = 970;
/** New HTLCs of one commitment number, all fundings and variants together. */
export const STUBS_MAX = 16_000;

/** A header of the chain with the most work. Heights in ids have ten digits, so that they sort. */
export interface HeaderRecord {
  /** 80 bytes as on the wire. */
  readonly header: Uint8Array;
  /** Internal byte order. */
  readonly hash: Uint8Array;
  /** Σ work from the first header the signer knows, 32 bytes big-endian; only differences mean anything. */
  readonly work: Uint8Array;
}

/** Id of the record of a block’s header: ids sort as heights do. */
export const heightId = (heightBlocks: number): string => String(heightBlocks).padStart(10, '0');

/** Id: `heightId`. The newest `HEADERS_KEPT`; older ones are gone. */
export const headerRecords: RecordKind<HeaderRecord> = {
  name: 'header',
  schemaVersion: 1,
  codec: struct({ header: bytes(80), hash: hash32, work: hash32 }),
  migrations: {},
};

/** The one record about the chain as a whole. */
export interface ChainRecord {
  /** The last header of the chain with the most work. */
  readonly tipHeightBlocks: number;
  readonly tipHash: Uint8Array;
  /** The oldest header on record. */
  readonly baseHeightBlocks: number;
  /** The contents of all blocks from the birthday to here are proven; the birthday minus one before the first. */
  readonly provenHeightBlocks: number;
  /** The first block whose content counts. */
  readonly birthdayHeightBlocks: number;
  /** A reorg deeper than the policy allows was shown: nothing that needs the chain until the operator has looked. */
  readonly lockedBy: { readonly forkHeightBlocks: number; readonly tipHash: Uint8Array } | null;
  /** The operator has looked: a chain with this block in it may replace ours, however deep it goes. */
  readonly admitted: Uint8Array | null;
  /** The operator wants contents read from this height on, which is older than the headers on record: begin anew there. */
  readonly restartHeightBlocks: number | null;
}

/** Id of the one record of `chainRecords`. */
export const CHAIN_ID = 'chain';

/** One record: where the chain with the most work ends. */
export const chainRecords: RecordKind<ChainRecord> = {
  name: 'chain',
  schemaVersion: 1,
  codec: struct({
    tipHeightBlocks: u32,
    tipHash: hash32,
    baseHeightBlocks: u32,
    provenHeightBlocks: u32,
    birthdayHeightBlocks: u32,
    lockedBy: nullable(struct({ forkHeightBlocks: u32, tipHash: hash32 })),
    admitted: nullable(hash32),
    restartHeightBlocks: nullable(u32),
  }),
  migrations: {},
};

/** What an output of a closing transaction is to us, BOLT 3 and BOLT 5. */
export type OutputRole =
  /** The 2-of-2. */
  | 'funding'
  /** Our main output: delayed on our commitment, to_remote on the peer's. */
  | 'main-holder'
  | 'main-counterparty'
  | 'anchor-holder'
  | 'anchor-counterparty'
  | 'htlc'
  /** Output of an HTLC transaction of the commitment's owner: delayed, or ours by the revocation key. */
  | 'second-level'
  /** An output of a commitment whose script nothing we know explains; or one that has a funding's name, and is none. */
  | 'unknown';

/** What is known of the HTLC behind an output. Of old commitments only the stub: `amountMsat` and `paymentHash` null. */
export interface OutputHtlc {
  readonly offeredBy: 'holder' | 'counterparty';
  /** RIPEMD160 of the payment hash, as the script has it. */
  readonly paymentHash160: Uint8Array;
  readonly cltvExpiry: number;
  readonly paymentHash: Uint8Array | null;
  readonly amountMsat: Msat | null;
}

/** The proven block that created an output. */
export interface OutputCreated {
  readonly heightBlocks: number;
  readonly valueSat: Sat;
  readonly script: Uint8Array;
}

/** The proven block that spent an output, and by what. */
export interface OutputSpent {
  readonly heightBlocks: number;
  readonly txid: Uint8Array;
  readonly inputIndex: number;
  /** A 32-byte element of the witness that hashes to the HTLC's payment hash; null for any other way to spend it. */
  readonly preimage: Uint8Array | null;
}

/** An output that matters to a channel. */
export interface OutputRecord {
  readonly channel: ChannelId;
  readonly role: OutputRole;
  readonly htlc: OutputHtlc | null;
  /** Null only for a funding that no proven block has: `spent` then tells what took one of its inputs. */
  readonly created: OutputCreated | null;
  readonly spent: OutputSpent | null;
}

const htlc: Codec<OutputHtlc> = struct({
  offeredBy: choice({ holder: 0, counterparty: 1 }, 'HTLC side'),
  paymentHash160: bytes(20),
  cltvExpiry: u32,
  paymentHash: nullable(hash32),
  amountMsat: nullable(millisatoshis),
});

/** Id: `<txid display hex>:<vout>`. A funding has one from the first block that creates it on. */
export const outputRecords: RecordKind<OutputRecord> = {
  name: 'output',
  schemaVersion: 1,
  codec: struct({
    channel: text,
    role: choice(
      {
        funding: 1,
        'main-holder': 2,
        'main-counterparty': 3,
        'anchor-holder': 4,
        'anchor-counterparty': 5,
        htlc: 6,
        'second-level': 7,
        unknown: 8,
      },
      'role of an output',
    ),
    htlc: nullable(htlc),
    created: nullable(struct({ heightBlocks: u32, valueSat: satoshis, script: octets })),
    spent: nullable(struct({ heightBlocks: u32, txid: hash32, inputIndex: u32, preimage: nullable(hash32) })),
  }),
  migrations: {},
};

/** How a channel ended on the chain. */
export type ClosingKind =
  /** A close that both signed. */
  | 'mutual'
  /** A commitment of ours whose secret never left. */
  | 'holder'
  /** A commitment of ours whose secret the peer has: the node was rolled back, or is not ours any more. */
  | 'holder-revoked'
  /** A commitment of the peer that we signed and it has not revoked. */
  | 'counterparty'
  /** A breach: a commitment of the peer that it has revoked. */
  | 'counterparty-revoked'
  /** A commitment of the peer that this store never signed: the store is behind. */
  | 'counterparty-future'
  /** A spend of the funding that is none of these: nothing we signed, as far as the store knows. */
  | 'unknown';

/** How a channel went to the chain. */
export interface ClosingRecord {
  readonly funding: { readonly txid: Uint8Array; readonly vout: number };
  readonly heightBlocks: number;
  readonly txid: Uint8Array;
  readonly kind: ClosingKind;
  /** Commitment number; null for a mutual close and what is unknown. */
  readonly number: number | null;
  /** Outputs on record as `output/<txid>:<vout>`. */
  readonly outputs: readonly number[];
}

const closing: Codec<ClosingRecord> = struct({
  funding: outpoint,
  heightBlocks: u32,
  txid: hash32,
  kind: choice(
    {
      mutual: 1,
      holder: 2,
      'holder-revoked': 3,
      counterparty: 4,
      'counterparty-revoked': 5,
      'counterparty-future': 6,
      unknown: 7,
    },
    'kind of a close',
  ),
  number: nullable(exactNumber),
  outputs: list(u32, CLOSING_OUTPUTS_MAX),
});

/** Id: the channel's. */
export const closingRecords: RecordKind<ClosingRecord> = {
  name: 'closing',
  schemaVersion: 1,
  codec: closing,
  migrations: {},
};

/** Twice the fundings that a channel may have at a time. */
export const OTHER_CLOSINGS_MAX = 32;

/**
 * Id: the channel's. A peer can have several rounds of an opening mined that it alone paid for: the closes of those that the
 * channel does not live on, in the order in which they were seen.
 */
export const otherClosingRecords: RecordKind<readonly ClosingRecord[]> = {
  name: 'other-closing',
  schemaVersion: 1,
  codec: list(closing, OTHER_CLOSINGS_MAX),
  migrations: {},
};

/** Rounds of an opening that may spend one input. */
export const FUNDING_ROUNDS_MAX = 64;

/**
 * Id: an outpoint that a funding transaction of ours spends; the value names those transactions (display hex), the oldest
 * first. Once another transaction has spent it, they can not confirm any more.
 */
export const fundingInputRecords: RecordKind<readonly string[]> = {
  name: 'funding-input',
  schemaVersion: 1,
  codec: list(text, FUNDING_ROUNDS_MAX),
  migrations: {},
};

/** Enough of an HTLC to rebuild its scripts (BOLT 3 "Offered HTLC Outputs", "Received HTLC Outputs"). */
export interface HtlcStub {
  readonly isOfferedByHolder: boolean;
  readonly paymentHash160: Uint8Array;
  readonly cltvExpiry: number;
}

/**
 * Id: `<channel>/<commitment number, sixteen digits>`: HTLCs that the peer's commitment of that number was the first to have. The
 * price of punishing a breach of any age: without hash and expiry nobody can spend an HTLC output of an old commitment.
 * 25 bytes an HTLC, gone with the channel.
 */
export const stubRecords: RecordKind<readonly HtlcStub[]> = {
  name: 'htlc-stub',
  schemaVersion: 1,
  codec: list(struct({ isOfferedByHolder: bool, paymentHash160: bytes(20), cltvExpiry: u32 }), STUBS_MAX),
  migrations: {},
};
