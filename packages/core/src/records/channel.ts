/**
 * The stored form of a channel, of the index from a funding outpoint to its channel, and of former channels
 * whose (peer, dbid) was used again.
 */
import { type Msat, msat, type OutPoint, type Sat, sat } from '@countersign/bitcoin';
import {
  bool,
  bytes,
  type Codec,
  choice,
  list,
  mapped,
  octets,
  option,
  pushValue,
  struct,
  u16,
  u32,
  u64,
} from '@countersign/wire';
import type {
  ChannelId,
  ChannelRecord,
  CommitmentContent,
  FundingCandidate,
  ValidatedCommitment,
} from '../channel/record.ts';
import { CANDIDATES_MAX, HTLCS_MAX, SPLICES_MAX, VARIANTS_MAX } from '../channel/record.ts';
import type { RecordKind } from './kind.ts';

const nullable = <T>(codec: Codec<T>): Codec<T | null> =>
  mapped(
    option(codec),
    (value) => value ?? null,
    (value) => value ?? undefined,
  );

const satoshis: Codec<Sat> = mapped(u64, sat, (value) => value);
const millisatoshis: Codec<Msat> = mapped(u64, msat, (value) => value);
/** Commitment numbers fit 48 bits, so the conversion is exact. */
const commitmentNumber: Codec<number> = mapped(u64, Number, BigInt);
const key33 = bytes(33);
const hash32 = bytes(32);
const signature64 = bytes(64);
const outpoint: Codec<OutPoint> = struct({ txid: hash32, vout: u32 });

const basepoints = struct({ revocation: key33, payment: key33, htlc: key33, delayedPayment: key33 });

const setup = struct({
  isOutbound: bool,
  format: choice({ static_remotekey: 1, anchors_zero_fee_htlc: 2 }, 'channel format'),
  channelType: octets,
  counterpartyToSelfDelayBlocks: u16,
  holderToSelfDelayBlocks: u16,
  counterpartyBasepoints: basepoints,
  holderShutdownScript: octets,
  holderShutdownWalletIndex: nullable(u32),
  counterpartyShutdownScript: octets,
});

const htlc = struct({
  offeredBy: choice({ holder: 0, counterparty: 1 }, 'HTLC side'),
  amountMsat: millisatoshis,
  paymentHash: hash32,
  cltvExpiry: u32,
});

const contentFields = {
  number: commitmentNumber,
  txid: hash32,
  feeratePerKw: u32,
  toHolderSat: nullable(satoshis),
  toCounterpartySat: nullable(satoshis),
  htlcs: list(htlc, HTLCS_MAX),
};

const issued: Codec<CommitmentContent> = struct(contentFields);
const validated: Codec<ValidatedCommitment> = struct({
  ...contentFields,
  signature: signature64,
  htlcSignatures: list(signature64, HTLCS_MAX),
});

const candidate: Codec<FundingCandidate> = struct({
  outpoint,
  valueSat: satoshis,
  pushValue,
  counterpartyFundingKey: key33,
  isSplice: bool,
  setUpAtNumber: commitmentNumber,
  fundingSigned: bool,
  validated: list(validated, 2),
  issued: list(issued, 2 * VARIANTS_MAX),
});

const channel: Codec<ChannelRecord> = struct({
  peerId: key33,
  dbid: u64,
  setup: nullable(setup),
  candidates: list(candidate, CANDIDATES_MAX),
  locked: nullable(outpoint),
  holderNextRevoke: commitmentNumber,
  counterpartyNextSign: commitmentNumber,
  counterpartyNextRevoke: commitmentNumber,
  counterpartyPoints: list(struct({ number: commitmentNumber, point: key33 }), 2),
  counterpartySecrets: list(struct({ index: u64, secret: hash32 }), 49),
  mutualCloseSigned: bool,
  holderSigned: nullable(commitmentNumber),
  splicesSigned: list(hash32, SPLICES_MAX),
  leaseSigned: bool,
  frozen: bool,
  forgotten: bool,
});

/** Id: `<peer id hex>/<dbid>`. */
export const channelRecords: RecordKind<ChannelRecord> = {
  name: 'channel',
  schemaVersion: 1,
  codec: channel,
  migrations: {},
};

/** Id: `<peer id hex>/<dbid>/<n>`: the n-th former life of that pair. */
export const formerChannelRecords: RecordKind<ChannelRecord> = { ...channelRecords, name: 'former-channel' };

const textEncoder = new TextEncoder();
const textDecoder = new TextDecoder('utf-8', { fatal: true });

/** Id: `<txid display hex>:<vout>`; the value is the channel whose candidate funding it is. */
export const fundingRecords: RecordKind<ChannelId> = {
  name: 'funding',
  schemaVersion: 1,
  codec: mapped(
    octets,
    (text) => textDecoder.decode(text),
    (text) => textEncoder.encode(text),
  ),
  migrations: {},
};

/** A channel nobody has set up yet. */
export function emptyChannel(peerId: Uint8Array, dbid: bigint): ChannelRecord {
  return {
    peerId,
    dbid,
    setup: null,
    candidates: [],
    locked: null,
    holderNextRevoke: 0,
    counterpartyNextSign: 0,
    counterpartyNextRevoke: 0,
    counterpartyPoints: [],
    counterpartySecrets: [],
    mutualCloseSigned: false,
    holderSigned: null,
    splicesSigned: [],
    leaseSigned: false,
    frozen: false,
    forgotten: false,
  };
}
