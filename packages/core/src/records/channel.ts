/**
 * The stored form of a channel, of the index from a funding outpoint to its channel, and of former channels
 * whose (peer, dbid) was used again.
 */
import { ByteReader } from '@countersign/bitcoin';
import { bool, type Codec, choice, list, octets, pushValue, struct, u16, u32, u64 } from '@countersign/wire';
import type { ChannelId, ChannelRecord, Fate, FundingCandidate, Ledger } from '../channel/record.ts';
import { CANDIDATES_MAX, FATES_MAX, HTLCS_MAX, SPLICES_MAX, VARIANTS_MAX } from '../channel/record.ts';
import { withFirstLedgers } from '../ledger/first.ts';
import { DUST_LIMIT_MAX_SAT } from '../ledger/observe.ts';
import {
  exactNumber,
  hash32,
  key33,
  millisatoshis,
  nullable,
  outpoint,
  satoshis,
  signature64,
  signedMsat,
  text,
} from './codecs.ts';
import type { RecordKind } from './kind.ts';

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

const fate: Codec<Fate> = struct({
  paymentHash: hash32,
  amountMsat: millisatoshis,
  how: choice({ settled: 1, credited: 2 }, 'fate of an HTLC'),
});

const ledger: Codec<Ledger> = struct({
  holderMsat: millisatoshis,
  driftMsat: signedMsat,
  trimmed: list(htlc, HTLCS_MAX),
  fates: list(fate, FATES_MAX),
});

const contentFieldsV1 = {
  number: exactNumber,
  txid: hash32,
  feeratePerKw: u32,
  toHolderSat: nullable(satoshis),
  toCounterpartySat: nullable(satoshis),
  htlcs: list(htlc, HTLCS_MAX),
};
const contentFields = { ...contentFieldsV1, ledger: nullable(ledger) };
const signatures = { signature: signature64, htlcSignatures: list(signature64, HTLCS_MAX) };

const candidateFields = {
  outpoint,
  valueSat: satoshis,
  pushValue,
  counterpartyFundingKey: key33,
  isSplice: bool,
  setUpAtNumber: exactNumber,
  fundingSigned: bool,
};
const candidateV1 = struct({
  ...candidateFields,
  validated: list(struct({ ...contentFieldsV1, ...signatures }), 2),
  issued: list(struct(contentFieldsV1), 2 * VARIANTS_MAX),
});
const candidate: Codec<FundingCandidate> = struct({
  ...candidateFields,
  validated: list(struct({ ...contentFields, ...signatures }), 2),
  issued: list(struct(contentFields), 2 * VARIANTS_MAX),
});

const fieldsBefore = { peerId: key33, dbid: u64, setup: nullable(setup) };
const fieldsAfter = {
  locked: nullable(outpoint),
  holderNextRevoke: exactNumber,
  counterpartyNextSign: exactNumber,
  counterpartyNextRevoke: exactNumber,
  counterpartyPoints: list(struct({ number: exactNumber, point: key33 }), 2),
  counterpartySecrets: list(struct({ index: u64, secret: hash32 }), 49),
  mutualCloseSigned: bool,
  holderSigned: nullable(exactNumber),
  splicesSigned: list(hash32, SPLICES_MAX),
  leaseSigned: bool,
  frozen: bool,
};
const channelV1 = struct({
  ...fieldsBefore,
  candidates: list(candidateV1, CANDIDATES_MAX),
  ...fieldsAfter,
  forgotten: bool,
});
const channel: Codec<ChannelRecord> = struct({
  ...fieldsBefore,
  candidates: list(candidate, CANDIDATES_MAX),
  ...fieldsAfter,
  dustLimitsMaxSat: struct({ holder: u64, counterparty: u64 }),
  stopped: bool,
  forgotten: bool,
});

/** Version 1 had no ledgers: they begin with what the commitments show. */
function fromV1(bytes: Uint8Array): ChannelRecord {
  const reader = new ByteReader(bytes);
  const old = channelV1.read(reader);
  reader.end('channel record');
  return withFirstLedgers({
    ...old,
    candidates: old.candidates.map((one) => ({
      ...one,
      validated: one.validated.map((content) => ({ ...content, ledger: null })),
      issued: one.issued.map((content) => ({ ...content, ledger: null })),
    })),
    dustLimitsMaxSat: { holder: DUST_LIMIT_MAX_SAT, counterparty: DUST_LIMIT_MAX_SAT },
    stopped: false,
  });
}

/** Id: `<peer id hex>/<dbid>`. */
export const channelRecords: RecordKind<ChannelRecord> = {
  name: 'channel',
  schemaVersion: 2,
  codec: channel,
  migrations: { 1: fromV1 },
};

/** Id: `<peer id hex>/<dbid>/<n>`: the n-th former life of that pair. */
export const formerChannelRecords: RecordKind<ChannelRecord> = { ...channelRecords, name: 'former-channel' };

/** Id: `<txid display hex>:<vout>`; the value is the channel whose candidate funding it is. */
export const fundingRecords: RecordKind<ChannelId> = {
  name: 'funding',
  schemaVersion: 1,
  codec: text,
  migrations: {},
};

/** Id: a public key of a peer in hex (funding key, revocation or HTLC basepoint); the value is the channel it is used in. */
export const peerKeyRecords: RecordKind<ChannelId> = { ...fundingRecords, name: 'peer-key' };

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
    dustLimitsMaxSat: { holder: DUST_LIMIT_MAX_SAT, counterparty: DUST_LIMIT_MAX_SAT },
    stopped: false,
    forgotten: false,
  };
}
