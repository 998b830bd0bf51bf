/**
 * What law 5 remembers: the transactions that carry a signature of ours and what we put in, the fees it has counted,
 * the wallet outputs it knows of, and how many channels need a fee reserve.
 */
import { ByteReader, type OutPoint, type Sat } from '@countersign/bitcoin';
import { list, struct, u32 } from '@countersign/wire';
import { exactNumber, outpoint, satoshis } from './codecs.ts';
import type { RecordKind } from './kind.ts';

/** Inputs of ours in one transaction. */
export const SIGNED_INPUTS_MAX = 1024;
/** Inputs of a transaction that creates a funding, as many as the usual size has room for. */
export const FUNDING_INPUTS_MAX = 4096;
/** Outpoints whose fee is remembered in one bucket; the oldest goes, and its fee would be counted again. */
export const COUNTED_FEES_MAX = 512;
/** Wallet outputs the signer keeps in mind: the largest. */
export const WALLET_OUTPUTS_MAX = 128;

/** An input that we signed, with what of it was ours: all of a wallet output, our balance of a channel's funding. */
export interface SignedInput {
  readonly index: number;
  readonly valueSat: Sat;
}

export interface SignedTransaction {
  readonly inputs: readonly SignedInput[];
  /** All that it spends, if it created a funding that was known then; else empty. */
  readonly spends: readonly OutPoint[];
}

const signedInputs = list(struct({ index: u32, valueSat: satoshis }), SIGNED_INPUTS_MAX);

/**
 * Id: the txid in display hex. A channel whose funding is among them is in use, whichever the node told the signer of
 * first: the signature or the channel.
 */
export const signedTransactionRecords: RecordKind<SignedTransaction> = {
  name: 'signed-transaction',
  schemaVersion: 3,
  codec: struct({ inputs: signedInputs, spends: list(outpoint, FUNDING_INPUTS_MAX) }),
  migrations: {
    // Version 1 said all by being there.
    1: () => ({ inputs: [], spends: [] }),
    2: (bytes) => ({ inputs: signedInputs.read(new ByteReader(bytes)), spends: [] }),
  },
};

/**
 * Id: the txid in display hex, of a sweep with several inputs: those that were signed, each with its worth. Apart from the
 * wallet's, because a sweep is judged by other rules.
 */
export const signedSweepRecords: RecordKind<readonly SignedInput[]> = {
  name: 'signed-sweep',
  schemaVersion: 1,
  codec: signedInputs,
  migrations: {},
};

/** What a velocity has counted for spending one output. */
export interface CountedFee {
  readonly outpoint: OutPoint;
  readonly amountSat: Sat;
  readonly countedAtSeconds: number;
}

/** Id: `<velocity>/<two hex digits>`, a bucket of outpoints; so the number of records is bounded. */
export const countedFeeRecords: RecordKind<readonly CountedFee[]> = {
  name: 'counted-fee',
  schemaVersion: 1,
  codec: list(struct({ outpoint, amountSat: satoshis, countedAtSeconds: exactNumber }), COUNTED_FEES_MAX),
  migrations: {},
};

/** An output of our wallet, created by a transaction of ours and not spent by another since. */
export interface WalletOutput {
  readonly outpoint: OutPoint;
  readonly valueSat: Sat;
}

export interface WalletRecord {
  /** The largest ones. */
  readonly outputs: readonly WalletOutput[];
  /** Channels with anchors that live: their commitments can't pay for themselves. */
  readonly anchorChannels: number;
}

/** One record, id `wallet`. */
export const walletRecords: RecordKind<WalletRecord> = {
  name: 'wallet',
  schemaVersion: 1,
  codec: struct({
    outputs: list(struct({ outpoint, valueSat: satoshis }), WALLET_OUTPUTS_MAX),
    anchorChannels: u32,
  }),
  migrations: {},
};

export const EMPTY_WALLET: WalletRecord = { outputs: [], anchorChannels: 0 };
