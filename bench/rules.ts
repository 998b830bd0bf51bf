/**
 * What the rules themselves cost: laws 2 to 4 and the limits on one commitment of the peer that adds one forwarded HTLC, or
 * has none at all, without curve, codec and disk. With few and many HTLCs standing, channels and payments on record.
 */
import {
  commitmentFeeSat,
  fundingScript,
  msat,
  p2wshOfScript,
  type Sat,
  type Secp256k1,
  sat,
  sha256,
  toHex,
} from '@countersign/bitcoin';
import {
  type ChainView,
  type ChannelRecord,
  type ChannelRef,
  type Context,
  channelRecords,
  Draft,
  EMPTY_PAYMENT,
  type KeyView,
  networkByName,
  paymentRecords,
  policyOf,
} from '@countersign/core';
import { replaceCandidate } from '../packages/core/src/channel/lookup.ts';
import type { CommitmentContent, HtlcRecord } from '../packages/core/src/channel/record.ts';
import { judgeDust } from '../packages/core/src/ledger/dust.ts';
import { sharingHtlcs } from '../packages/core/src/ledger/htlc-set.ts';
import { judgeLedger } from '../packages/core/src/ledger/judge.ts';
import { requireLimits } from '../packages/core/src/ledger/limits.ts';
import { judgePayments } from '../packages/core/src/payments/judge.ts';
import { emptyChannel } from '../packages/core/src/records/channel.ts';
import { requireTime } from '../packages/core/src/time/commitments.ts';
import { type CurveCounts, curveUs } from './curve.ts';
import { Records } from './records.ts';
import { summarize } from './statistics.ts';

const FORMAT = 'anchors_zero_fee_htlc';
const FEERATE_PER_KW = 1000;
const CAPACITY_SAT = 1_000_000_000n;
const HTLC_MSAT = 2_000_000n;
const EXPIRY_BLOCKS = 700_000;

const bytesOf = (label: string): Uint8Array => sha256(new TextEncoder().encode(label));
const refOf = (label: string): ChannelRef => ({ peerId: Uint8Array.of(2, ...bytesOf(label)), dbid: 1n });
const idOf = ({ peerId, dbid }: ChannelRef): string => `${toHex(peerId)}/${dbid}`;

const htlcOf = (offeredBy: HtlcRecord['offeredBy'], label: string, delta = 0): HtlcRecord => ({
  offeredBy,
  amountMsat: msat(HTLC_MSAT),
  paymentHash: bytesOf(label),
  cltvExpiry: EXPIRY_BLOCKS - delta,
});

const PEER_KEY = Uint8Array.of(2, ...bytesOf('a key'));

/** The commitment of a channel that we opened, with half of its value ours. */
function contentOf(number: number, htlcs: readonly HtlcRecord[], withLedger: boolean): CommitmentContent {
  const half = (CAPACITY_SAT * 1000n) / 2n;
  const standing = (by: HtlcRecord['offeredBy']) =>
    htlcs.reduce((sum, one) => (one.offeredBy === by ? sum + one.amountMsat : sum), 0n);
  const holderMsat = half - standing('holder');
  const feeSat = commitmentFeeSat(FORMAT, FEERATE_PER_KW, htlcs.length) + 660n;
  return {
    number,
    txid: bytesOf(`commitment ${number} ${htlcs.length}`),
    feeratePerKw: FEERATE_PER_KW,
    toHolderSat: sat(holderMsat / 1000n - feeSat) as Sat,
    toCounterpartySat: sat((half - standing('counterparty')) / 1000n) as Sat,
    htlcs,
    ledger: withLedger ? { holderMsat: msat(holderMsat), driftMsat: 0n, trimmed: [], fates: [] } : null,
  };
}

function channelOf(ref: ChannelRef, htlcs: readonly HtlcRecord[]): ChannelRecord {
  const key = PEER_KEY;
  const candidate = {
    outpoint: { txid: bytesOf(`funding ${idOf(ref)}`), vout: 0 },
    valueSat: sat(CAPACITY_SAT),
    pushValue: 0n,
    counterpartyFundingKey: key,
    isSplice: false,
    setUpAtNumber: 0,
    fundingSigned: true,
    validated: [{ ...contentOf(7, htlcs, true), signature: new Uint8Array(64), htlcSignatures: [] }],
    issued: [contentOf(7, htlcs, true)],
  };
  return {
    ...emptyChannel(ref.peerId, ref.dbid),
    setup: {
      isOutbound: true,
      format: FORMAT,
      channelType: new Uint8Array(3),
      counterpartyToSelfDelayBlocks: 144,
      holderToSelfDelayBlocks: 144,
      counterpartyBasepoints: { revocation: key, payment: key, htlc: key, delayedPayment: key },
      holderShutdownScript: new Uint8Array(0),
      holderShutdownWalletIndex: null,
      counterpartyShutdownScript: new Uint8Array(0),
    },
    candidates: [candidate],
    holderNextRevoke: 7,
    counterpartyNextSign: 8,
    counterpartyNextRevoke: 7,
  };
}

interface Scene {
  readonly state: Records;
  readonly ref: ChannelRef;
  readonly standing: readonly HtlcRecord[];
}

/** `perSide` HTLCs stand in the channel, and `others` channels and past payments are on record beside it. */
function sceneOf(perSide: number, others: number): Scene {
  const state = new Records();
  const ref = refOf('downstream');
  const standing = Array.from({ length: perSide }, (_, i) => [
    htlcOf('holder', `out ${i}`, 40),
    htlcOf('counterparty', `in ${i}`),
  ]).flat();
  const upstream = refOf('upstream');
  const incoming = [
    ...Array.from({ length: Math.min(perSide, 482) }, (_, i) => htlcOf('counterparty', `out ${i}`)),
    htlcOf('counterparty', 'forward'),
  ];
  const ctx = contextOf(state);
  for (const [one, htlcs] of [
    [upstream, incoming],
    [ref, standing],
  ] as const) {
    const record = channelOf(one, htlcs);
    const id = idOf(one);
    const empty = {
      ...record,
      candidates: record.candidates.map((c) => ({ ...c, issued: [], validated: [] })),
    };
    judgePayments(ctx, { ref: one, id, record: empty, setup: record.setup! }, record);
    ctx.draft.put(channelRecords, id, record);
  }
  state.apply(ctx.draft.changes());
  for (let i = 0; i < others; i++) {
    const other = refOf(`other ${i}`);
    state.put(channelRecords, idOf(other), channelOf(other, []));
    state.put(paymentRecords, toHex(bytesOf(`past ${i}`)), { ...EMPTY_PAYMENT, settledMsat: 5n });
  }
  return { state, ref, standing };
}

const ourKey = Uint8Array.of(2, ...bytesOf('ours'));
const keys = { fundingPublicKey: () => ourKey } as unknown as KeyView;
const script = p2wshOfScript(fundingScript(ourKey, PEER_KEY));
const buried = {
  kind: 'confirmed',
  depthBlocks: 6,
  valueSat: sat(CAPACITY_SAT),
  script,
  spent: null,
} as const;
const chain: ChainView = {
  heightBlocks: EXPIRY_BLOCKS - 500,
  medianTimeSeconds: 1_700_000_000,
  isFresh: true,
  outpoint: () => buried,
};

function contextOf(state: Records): Context {
  return {
    draft: new Draft(state),
    client: { channel: null, permissions: 0n },
    policy: policyOf(networkByName('bitcoin')!, 'hub'),
    keys,
    secp: null as unknown as Secp256k1,
    protocolVersion: 6,
    nowSeconds: 1_700_000_000,
    chain,
    warnings: [],
    events: [],
    failPreapprovals: false,
  };
}

/** As the decoder makes them: new objects for every request. */
const copied = (htlcs: readonly HtlcRecord[]): readonly HtlcRecord[] =>
  htlcs.map((one) => ({ ...one, paymentHash: one.paymentHash.slice() }));

/** Everything that `sign_remote_commitment_tx` has judged after the form of the transaction. */
function judge({ state, ref }: Scene, given: CommitmentContent): void {
  const ctx = contextOf(state);
  const id = idOf(ref);
  const record = ctx.draft.get(channelRecords, id)!;
  const channel = { ref, id, record, setup: record.setup! };
  const candidate = record.candidates[0]!;
  const content = { ...given, htlcs: sharingHtlcs(given.htlcs, candidate.issued.at(-1)?.htlcs ?? []) };
  const proposal = { view: 'counterparty', candidate, content } as const;
  const step = judgeLedger(ctx, channel, proposal, true);
  requireLimits(ctx, channel, proposal, step);
  const judged = { ...content, ledger: step.ledger };
  const after = {
    ...replaceCandidate(record, { ...candidate, issued: [...candidate.issued, judged] }),
    counterpartyNextSign: content.number + 1,
  };
  requireTime(ctx, channel, proposal, step);
  judgeDust(ctx, channel, after);
  judgePayments(ctx, channel, after);
  ctx.draft.put(channelRecords, id, after);
  // The channel, and the payment of the HTLC that is new.
  const changes = given.htlcs.length === 0 ? 1 : 2;
  if (ctx.warnings.length > 0 || ctx.draft.changes().length < changes)
    throw new Error('the step was not what it should be');
}

function medianUs(scene: Scene, added: readonly HtlcRecord[], rounds: number): number {
  const times: number[] = [];
  // A quarter more, for the compiler.
  for (let i = -rounds / 4; i < rounds; i++) {
    const content = contentOf(8, copied([...scene.standing, ...added]), false);
    const started = process.hrtime.bigint();
    judge(scene, content);
    const took = Number(process.hrtime.bigint() - started) / 1000;
    if (i >= 0) times.push(took);
  }
  return summarize(times).p50Us;
}

/** What the curve does for one commitment of the peer without HTLCs: six keys derived, one signature. */
const COMMITMENT_CURVE: CurveCounts = {
  isPublicKey: 1,
  publicKeyTweakAdd: 4,
  publicKeyTweakMul: 2,
  publicKeyCombine: 1,
  signEcdsa: 1,
};
const CURVE_ROUNDS = 50;
const CURVE_BATCHES = 9;

export interface RulesRow {
  readonly name: string;
  readonly medianUs: number;
  /** The same decision with ten others on record, in the same run. */
  readonly referenceUs: number;
}

export interface RulesResult {
  readonly rows: readonly RulesRow[];
  readonly curveUs: number;
}

export function measureRules(secp: Secp256k1): RulesResult {
  const forward = [htlcOf('holder', 'forward', 40)];
  const cases = [
    { name: 'no HTLC', perSide: 0, added: [], rounds: 4000 },
    { name: 'one HTLC', perSide: 0, added: forward, rounds: 4000 },
    { name: '31 HTLCs per side', perSide: 30, added: forward, rounds: 2000 },
    { name: '483 HTLCs per side', perSide: 482, added: forward, rounds: 200 },
  ];
  const rows = cases.flatMap(({ name, perSide, added, rounds }) => {
    const [ten, many] = [sceneOf(perSide, 10), sceneOf(perSide, 10_000)];
    const referenceUs = medianUs(ten, added, rounds);
    return [
      { name: `${name}, 10 channels and payments`, medianUs: referenceUs, referenceUs },
      { name: `${name}, 10,000 of both`, medianUs: medianUs(many, added, rounds), referenceUs },
    ];
  });
  const counts = Object.fromEntries(
    Object.entries(COMMITMENT_CURVE).map(([operation, count]) => [operation, count * CURVE_ROUNDS]),
  );
  const batches = Array.from({ length: CURVE_BATCHES }, () => curveUs(secp, counts) / CURVE_ROUNDS);
  return { rows, curveUs: summarize(batches).p50Us };
}
