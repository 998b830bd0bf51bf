/**
 * Every commitment in the recordings of real CLN nodes: recognized, rebuilt byte for byte from its balances, and the
 * peer's signatures on it and on its HTLC transactions verified. Message fields: CLN `hsmd/hsmd_wire.csv`.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import {
  ANCHOR_SAT,
  type Basepoints,
  ByteReader,
  buildCommitment,
  buildHtlcTransactions,
  type CommitmentHtlc,
  type CommitmentMatch,
  type CommitmentScriptParams,
  commitmentFeeSat,
  commitmentNumberFrom,
  commitmentObscureFactor,
  compareOutputs,
  countersignatoryHtlcHash,
  deriveCommitmentKeys,
  fromHex,
  fundingScript,
  fundingSighash,
  hasAnchors,
  isCommitmentForm,
  matchCommitmentOutputs,
  msat,
  parseTransaction,
  type Sat,
  sat,
  serializeNoWitness,
  type Transaction,
  toHex,
  txid,
} from '../src/index.ts';
import { secp } from './bolt3-channel.ts';

const GET_CHANNEL_BASEPOINTS = 10;
const SIGN_REMOTE_COMMITMENT_TX = 19;
const SIGN_MUTUAL_CLOSE_TX = 21;
const SETUP_CHANNEL = 31;
const VALIDATE_COMMITMENT_TX = 35;

interface Line {
  readonly seq: number;
  readonly client: { readonly dbid: number; readonly peer_id: string } | null;
  readonly request: string | null;
  readonly reply: string | null;
}

interface Setup {
  readonly isOutbound: boolean;
  /** What the other side imposes on each side's `to_local`. */
  readonly delayBlocks: { readonly holder: number; readonly counterparty: number };
  readonly basepoints: Basepoints;
  readonly format: 'static_remotekey' | 'anchors_zero_fee_htlc';
}

/** What the messages of one channel told so far. */
interface Channel {
  own?: { readonly basepoints: Basepoints; readonly fundingKey: Uint8Array };
  setup?: Setup;
  remoteFundingKey?: Uint8Array;
  /** By funding outpoint: splices have several. */
  readonly valuesSat: Map<string, Sat>;
}

/** A commitment in a message, with the channel as it was then. */
interface Recorded extends Required<Channel> {
  readonly where: string;
  readonly broadcaster: 'holder' | 'counterparty';
  readonly tx: Transaction;
  readonly number: bigint;
  readonly htlcs: readonly CommitmentHtlc[];
  readonly feeratePerKw: number;
  /** Of the commitment, then of its HTLC transactions; only the holder's commitments come with them. */
  readonly signatures: readonly Uint8Array[];
}

interface Recordings {
  readonly commitments: readonly Recorded[];
  readonly closes: readonly Transaction[];
  /** By revocation basepoint of the broadcaster and commitment number. */
  readonly points: ReadonlyMap<string, Uint8Array>;
}

const outPointKey = (id: Uint8Array, vout: number): string => `${toHex(id)}:${vout}`;
const pointKey = (broadcaster: Basepoints, number: bigint): string =>
  `${toHex(broadcaster.revocation)}:${number}`;

const readBasepoints = (r: ByteReader): Basepoints => ({
  revocation: r.take(33),
  payment: r.take(33),
  htlc: r.take(33),
  delayedPayment: r.take(33),
});

function readSetup(r: ByteReader, channel: Channel): void {
  const isOutbound = r.u8() === 1;
  const valueSat = sat(r.u64be());
  r.take(8);
  channel.valuesSat.set(outPointKey(r.take(32), r.u16be()), valueSat);
  const counterparty = r.u16be();
  r.take(r.u16be());
  if (r.u8() === 1) r.u32be();
  const basepoints = readBasepoints(r);
  channel.remoteFundingKey = r.take(33);
  const holder = r.u16be();
  r.take(r.u16be());
  // Feature bit 22, option_anchors, counted from the end of channel_type.
  const isAnchors = ((r.take(r.u16be()).at(-3) ?? 0) & 0x40) !== 0;
  const format = isAnchors ? 'anchors_zero_fee_htlc' : 'static_remotekey';
  channel.setup = { isOutbound, delayBlocks: { holder, counterparty }, basepoints, format };
}

/** A transaction, then its PSBT. */
function readTransaction(r: ByteReader): Transaction {
  const tx = parseTransaction(r.take(r.u32be()));
  r.take(r.u32be());
  return tx;
}

/** Sides in messages are the holder's view: 0 the holder offered it, 1 the counterparty. */
const readHtlcs = (r: ByteReader, broadcasterSide: number): CommitmentHtlc[] =>
  Array.from({ length: r.u16be() }, () => ({
    direction: r.u8() === broadcasterSide ? ('offered' as const) : ('received' as const),
    amountMsat: msat(r.u64be()),
    paymentHash: r.take(32),
    cltvExpiry: r.u32be(),
  }));

function readSignature(r: ByteReader): Uint8Array {
  const signature = r.take(64);
  r.u8('sighash type');
  return signature;
}

function complete(channel: Channel): Required<Channel> {
  const { own, setup, remoteFundingKey, valuesSat } = channel;
  if (own === undefined || setup === undefined || remoteFundingKey === undefined)
    throw new Error('commitment before its channel');
  return { own, setup, remoteFundingKey, valuesSat };
}

/** Message 19, and the per-commitment point it tells. */
function readRemoteCommitment(r: ByteReader, channel: Channel, points: Map<string, Uint8Array>) {
  const tx = readTransaction(r);
  channel.remoteFundingKey = r.take(33);
  const point = r.take(33);
  r.u8('option_static_remotekey');
  const number = r.u64be();
  const known = complete(channel);
  points.set(pointKey(known.setup.basepoints, number), point);
  const htlcs = readHtlcs(r, 1);
  const feeratePerKw = r.u32be();
  return { ...known, broadcaster: 'counterparty' as const, tx, number, htlcs, feeratePerKw, signatures: [] };
}

/** Message 35. */
function readHolderCommitment(r: ByteReader, channel: Channel) {
  const tx = readTransaction(r);
  const htlcs = readHtlcs(r, 0);
  const number = r.u64be();
  const feeratePerKw = r.u32be();
  const signatures = [readSignature(r)];
  for (let count = r.u16be(); count > 0; count--) signatures.push(readSignature(r));
  return {
    ...complete(channel),
    broadcaster: 'holder' as const,
    tx,
    number,
    htlcs,
    feeratePerKw,
    signatures,
  };
}

function readRecordings(): Recordings {
  const commitments: Recorded[] = [];
  const closes: Transaction[] = [];
  const points = new Map<string, Uint8Array>();
  const folder = new URL('../../../vectors/cln/', import.meta.url);
  for (const scenario of readdirSync(folder)) {
    const directory = new URL(`${scenario}/`, folder);
    for (const file of readdirSync(directory).filter((name) => name.endsWith('.jsonl.gz'))) {
      const channels = new Map<string, Channel>();
      const channelOf = (peer: string, dbid: number | bigint): Channel => {
        const key = `${peer}:${dbid}`;
        const channel = channels.get(key) ?? { valuesSat: new Map() };
        channels.set(key, channel);
        return channel;
      };
      const text = gunzipSync(readFileSync(new URL(file, directory))).toString();
      for (const line of text.split('\n').filter((l) => l !== '')) {
        const { seq, client, request, reply } = JSON.parse(line) as Line;
        if (request === null || reply === null || client === null) continue;
        const where = `${scenario}/${file} ${seq}`;
        const r = new ByteReader(fromHex(request));
        const type = r.u16be();
        const channel = channelOf(client.peer_id, client.dbid);
        if (type === GET_CHANNEL_BASEPOINTS) {
          const answer = new ByteReader(fromHex(reply).subarray(2));
          const own = { basepoints: readBasepoints(answer), fundingKey: answer.take(33) };
          channelOf(toHex(r.take(33)), r.u64be()).own = own;
        } else if (type === SETUP_CHANNEL) readSetup(r, channel);
        else if (type === SIGN_MUTUAL_CLOSE_TX) closes.push(readTransaction(r));
        else if (type === SIGN_REMOTE_COMMITMENT_TX)
          commitments.push({ where, ...readRemoteCommitment(r, channel, points) });
        else if (type === VALIDATE_COMMITMENT_TX)
          commitments.push({ where, ...readHolderCommitment(r, channel) });
      }
    }
  }
  return { commitments, closes, points };
}

const { commitments, closes, points } = readRecordings();

function scriptParams(c: Recorded, perCommitmentPoint: Uint8Array): CommitmentScriptParams {
  const isHolder = c.broadcaster === 'holder';
  const [broadcaster, countersignatory] = isHolder
    ? [c.own.basepoints, c.setup.basepoints]
    : [c.setup.basepoints, c.own.basepoints];
  const [ours, theirs] = [c.own.fundingKey, c.remoteFundingKey];
  return {
    format: c.setup.format,
    keys: deriveCommitmentKeys(secp, { perCommitmentPoint, broadcaster, countersignatory }),
    broadcasterFundingKey: isHolder ? ours : theirs,
    countersignatoryFundingKey: isHolder ? theirs : ours,
    toSelfDelayBlocks: c.setup.delayBlocks[c.broadcaster],
    funder: isHolder === c.setup.isOutbound ? 'broadcaster' : 'countersignatory',
  };
}

/** No message carries the lease's end: found by trying every length CLN sells. */
function withLease(c: Recorded, params: CommitmentScriptParams): CommitmentScriptParams | null {
  for (let leaseCsvBlocks = 4032; leaseCsvBlocks > 3000; leaseCsvBlocks--) {
    const leased = { ...params, leaseCsvBlocks };
    if (matchCommitmentOutputs(c.tx, { ...leased, htlcs: c.htlcs }).ok) return leased;
  }
  return null;
}

/** The balances that give the main outputs of `match`, to the satoshi. */
function balances(c: Recorded, match: CommitmentMatch, { format, funder }: CommitmentScriptParams) {
  const costSat =
    commitmentFeeSat(format, c.feeratePerKw, match.htlcOutputs.length) +
    (hasAnchors(format) ? 2n * ANCHOR_SAT : 0n);
  const balanceMsat = (output: Sat | null, costs: bigint) =>
    msat(output === null ? 0n : 1000n * (output + costs));
  return {
    toBroadcasterMsat: balanceMsat(match.toLocalSat, funder === 'broadcaster' ? costSat : 0n),
    toCountersignatoryMsat: balanceMsat(match.toRemoteSat, funder === 'countersignatory' ? costSat : 0n),
  };
}

function obscureFactorOf({ own, setup }: Recorded): bigint {
  const [ours, theirs] = [own.basepoints.payment, setup.basepoints.payment];
  return setup.isOutbound ? commitmentObscureFactor(ours, theirs) : commitmentObscureFactor(theirs, ours);
}

interface Verified {
  readonly leased: boolean;
  readonly htlcSignatures: number;
  readonly commitmentSignatures: number;
}

function verify(c: Recorded, perCommitmentPoint: Uint8Array): Verified {
  const plain = scriptParams(c, perCommitmentPoint);
  const isPlain = matchCommitmentOutputs(c.tx, { ...plain, htlcs: c.htlcs }).ok;
  const params = isPlain ? plain : withLease(c, plain);
  const match = params === null ? null : matchCommitmentOutputs(c.tx, { ...params, htlcs: c.htlcs });
  if (params === null || match === null || !match.ok) throw new Error(`${c.where}: not recognized`);
  const input = c.tx.inputs[0]!;
  const obscureFactor = obscureFactorOf(c);
  expect(commitmentNumberFrom(c.tx, obscureFactor)).toBe(c.number);
  const built = buildCommitment({
    ...params,
    ...balances(c, match, params),
    funding: { txid: input.txid, vout: input.vout },
    commitmentNumber: c.number,
    obscureFactor,
    dustLimitSat: sat(546),
    feeratePerKw: c.feeratePerKw,
    htlcs: c.htlcs,
  });
  expect(toHex(serializeNoWitness(built.transaction)), c.where).toBe(toHex(serializeNoWitness(c.tx)));
  expect(built.htlcs).toEqual(match.htlcOutputs);
  const [commitmentSignature, ...htlcSignatures] = c.signatures;
  if (commitmentSignature !== undefined) {
    const script = fundingScript(c.own.fundingKey, c.remoteFundingKey);
    const hash = fundingSighash(c.tx, script, c.valuesSat.get(outPointKey(input.txid, input.vout))!);
    expect(secp.verifyEcdsa(hash, commitmentSignature, c.remoteFundingKey), c.where).toBe(true);
    const txs = buildHtlcTransactions(
      { ...params, feeratePerKw: c.feeratePerKw, commitmentTxid: txid(c.tx) },
      match.htlcOutputs,
    );
    expect(
      txs.map((tx, i) =>
        secp.verifyEcdsa(
          countersignatoryHtlcHash(tx, params.format),
          htlcSignatures[i]!,
          params.keys.countersignatoryHtlc,
        ),
      ),
    ).toEqual(htlcSignatures.map(() => true));
  }
  return {
    leased: params !== plain,
    htlcSignatures: htlcSignatures.length,
    commitmentSignatures: commitmentSignature === undefined ? 0 : 1,
  };
}

describe('commitments of recorded CLN nodes', () => {
  it('are recognized, rebuilt byte for byte, and the peer’s signatures verify', () => {
    const counts = { commitments: 0, leased: 0, commitmentSignatures: 0, htlcSignatures: 0 };
    for (const c of commitments) {
      const broadcaster = c.broadcaster === 'holder' ? c.own.basepoints : c.setup.basepoints;
      const verified = verify(c, points.get(pointKey(broadcaster, c.number))!);
      counts.commitments++;
      counts.leased += verified.leased ? 1 : 0;
      counts.commitmentSignatures += verified.commitmentSignatures;
      counts.htlcSignatures += verified.htlcSignatures;
    }
    // As many as the recordings hold: none may be skipped.
    expect(counts).toEqual({
      commitments: 3657,
      leased: 14,
      commitmentSignatures: 1828,
      htlcSignatures: 924,
    });
  });
  it('are told from their mutual closes', () => {
    expect(closes.length).toBeGreaterThan(0);
    expect(closes.some((tx) => isCommitmentForm(tx))).toBe(false);
    expect(commitments.every(({ tx }) => isCommitmentForm(tx))).toBe(true);
  });
  it('close with the sequence, locktime and order of the closing transactions built here', () => {
    const sequences = new Set<number>();
    for (const { version, inputs, outputs, locktime } of closes) {
      const { sequence } = inputs[0]!;
      sequences.add(sequence);
      expect([version, inputs.length]).toEqual([2, 1]);
      if (sequence === 0xffffffff) expect(locktime).toBe(0);
      expect(outputs.toSorted(compareOutputs)).toEqual(outputs);
    }
    expect(sequences).toEqual(new Set([0xffffffff, 0xfffffffd]));
  });
});
