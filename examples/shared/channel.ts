/**
 * The wallet's side of one channel with Bob: what it remembers, and the requests that it makes of the signer. It holds no keys:
 * should it be taken over, it can ask for anything, and the signer decides. BOLT 3 comes from `@countersign/bitcoin`.
 */
import {
  type Basepoints,
  buildCommitment,
  type Commitment,
  commitmentObscureFactor,
  deriveCommitmentKeys,
  msat,
  type Secp256k1,
  sat,
  sha256,
} from '@countersign/bitcoin';
import type { HsmHtlc, Request } from '@countersign/wire';
import { type Ask, expectReply } from './ask.ts';
import type { Bob } from './bob.ts';

export const VALUE_SAT = 1_000_000n;
export const PUSH_SAT = 300_000n;
export const DBID = 1n;
const FEERATE_PER_KW = 1000;
const DELAY_BLOCKS = 144;
const DUST_LIMIT_SAT = 546n;
/** Far enough in the future for a payment that is there at once. */
const EXPIRY_BLOCKS = 700_000;
/** There is no Bitcoin network here: the transaction that funds the channel is imagined. */
const FUNDING = { txid: sha256(new TextEncoder().encode('an imagined funding transaction')), vout: 0 };
/** option_static_remotekey and option_anchors (BOLT 9). */
const CHANNEL_TYPE = Uint8Array.of(0x40, 0x10, 0x00);

/** Plain, so that it can be kept as JSON. What the signer believes does not depend on it. */
export interface Notes {
  /** Of the newest commitment on either side. */
  readonly number: number;
  readonly oursMsat: string;
  readonly bobsMsat: string;
  readonly payments: number;
  /** In satoshi, while it is under way. */
  readonly paying: number | null;
}

export const FIRST_NOTES: Notes = {
  number: 0,
  oursMsat: `${(VALUE_SAT - PUSH_SAT) * 1000n}`,
  bobsMsat: `${PUSH_SAT * 1000n}`,
  payments: 0,
  paying: null,
};

interface Htlc {
  readonly amountMsat: bigint;
  readonly paymentHash: Uint8Array;
}

export interface Split {
  readonly oursMsat: bigint;
  readonly bobsMsat: bigint;
  /** From us to Bob. */
  readonly htlcs: readonly Htlc[];
}

type Side = 'ours' | 'bobs';

export class Channel {
  notes: Notes;
  readonly #ask: Ask;
  readonly #secp: Secp256k1;
  readonly #bob: Bob;
  readonly #basepoints: Basepoints;
  readonly #fundingKey: Uint8Array;
  readonly #save: (notes: Notes) => void;

  private constructor(parts: ChannelParts, keys: { basepoints: Basepoints; fundingPubkey: Uint8Array }) {
    this.notes = parts.notes ?? FIRST_NOTES;
    this.#ask = parts.ask;
    this.#secp = parts.secp;
    this.#bob = parts.bob;
    this.#save = parts.save;
    this.#basepoints = keys.basepoints;
    this.#fundingKey = keys.fundingPubkey;
  }

  /** Opens a new channel, or goes on with the one that the notes tell of. */
  static async open(parts: ChannelParts): Promise<Channel> {
    const { ask, bob, notes } = parts;
    const id = bob.nodeId;
    await expectReply(ask, 'node', { name: 'hsmd_new_channel', id, dbid: DBID }, 'hsmd_new_channel_reply');
    const asked: Request = { name: 'hsmd_get_channel_basepoints', peerid: id, dbid: DBID };
    const channel = new Channel(
      parts,
      await expectReply(ask, 'node', asked, 'hsmd_get_channel_basepoints_reply'),
    );
    if (notes === null) await channel.#begin();
    else if (notes.paying !== null) await channel.pay(notes.paying);
    return channel;
  }

  get split(): Split {
    return { oursMsat: BigInt(this.notes.oursMsat), bobsMsat: BigInt(this.notes.bobsMsat), htlcs: [] };
  }

  async #begin(): Promise<void> {
    const setup: Request = {
      name: 'hsmd_setup_channel',
      isOutbound: true,
      channelValue: sat(VALUE_SAT),
      pushValue: msat(PUSH_SAT * 1000n),
      fundingTxid: FUNDING.txid,
      fundingTxout: FUNDING.vout,
      localToSelfDelay: DELAY_BLOCKS,
      localShutdownScript: new Uint8Array(0),
      localShutdownWalletIndex: undefined,
      remoteBasepoints: this.#bob.basepoints,
      remoteFundingPubkey: this.#bob.fundingKey,
      remoteToSelfDelay: DELAY_BLOCKS,
      remoteShutdownScript: new Uint8Array(0),
      channelType: CHANNEL_TYPE,
    };
    await expectReply(this.#ask, 'channel', setup, 'hsmd_setup_channel_reply');
    await this.#takeOurs(0, this.split);
    await this.#signBobs(0, this.split);
    this.#note({});
  }

  /**
   * Pays Bob: the amount goes into an HTLC in both commitments, Bob shows the preimage, and it is his. Each step may be repeated, so
   * a page that was closed in between does them again. The payment must be approved before, or the signer refuses.
   */
  async pay(amountSat: number): Promise<void> {
    this.#note({ paying: amountSat });
    const amountMsat = BigInt(amountSat) * 1000n;
    const { number, payments } = this.notes;
    const { oursMsat, bobsMsat } = this.split;
    const paymentHash = this.paymentHash();
    const offered = { oursMsat: oursMsat - amountMsat, bobsMsat, htlcs: [{ amountMsat, paymentHash }] };
    await this.#signBobs(number + 1, offered);
    await this.#bobRevokes(number);
    await this.#takeOurs(number + 1, offered);
    await this.#revoke(number);
    const preimages = [this.#bob.preimage(payments)];
    await expectReply(
      this.#ask,
      'node',
      { name: 'countersign_preimages', preimages },
      'countersign_preimages_reply',
    );
    const settled = { oursMsat: offered.oursMsat, bobsMsat: bobsMsat + amountMsat, htlcs: [] };
    await this.#takeOurs(number + 2, settled);
    await this.#revoke(number + 1);
    await this.#signBobs(number + 2, settled);
    await this.#bobRevokes(number + 1);
    this.#note({
      number: number + 2,
      oursMsat: `${settled.oursMsat}`,
      bobsMsat: `${settled.bobsMsat}`,
      payments: payments + 1,
      paying: null,
    });
  }

  /** Of the next payment to Bob. */
  paymentHash(): Uint8Array {
    return sha256(this.#bob.preimage(this.notes.payments));
  }

  /** Bob's next commitment, for the signer to sign. */
  bobsRequest(number: number, split: Split): Request {
    const commitment = this.#commitment('bobs', number, split, this.#bob.point(number));
    return {
      name: 'vls_sign_remote_commitment_tx2',
      remotePerCommit: this.#bob.point(number),
      commitNum: BigInt(number),
      feerate: FEERATE_PER_KW,
      ...valuesOf(commitment, 'bobs'),
      htlcs: wireHtlcs(split),
    };
  }

  async #signBobs(number: number, split: Split): Promise<void> {
    const request = this.bobsRequest(number, split);
    await expectReply(this.#ask, 'channel', request, 'vls_sign_commitment_tx_with_htlcs_reply');
  }

  async #bobRevokes(number: number): Promise<void> {
    const revokeNum = BigInt(number);
    const perCommitmentSecret = this.#bob.secret(number);
    const request: Request = { name: 'hsmd_validate_revocation', revokeNum, perCommitmentSecret };
    await expectReply(this.#ask, 'channel', request, 'hsmd_validate_revocation_reply');
  }

  /** Our next commitment with Bob's signatures, for the signer to check and keep. */
  async #takeOurs(number: number, split: Split): Promise<void> {
    const asked: Request = { name: 'hsmd_get_per_commitment_point', n: BigInt(number) };
    const point = await expectReply(this.#ask, 'channel', asked, 'hsmd_get_per_commitment_point_reply');
    const ourPoint = point.perCommitmentPoint;
    const commitment = this.#commitment('ours', number, split, ourPoint);
    const signatures = this.#bob.sign(commitment, {
      ourPoint,
      ourFundingKey: this.#fundingKey,
      valueSat: VALUE_SAT,
      keys: this.#keys('ours', ourPoint),
      delayBlocks: DELAY_BLOCKS,
      feeratePerKw: FEERATE_PER_KW,
    });
    const request: Request = {
      name: 'vls_validate_commitment_tx2',
      commitNum: BigInt(number),
      feerate: FEERATE_PER_KW,
      ...valuesOf(commitment, 'ours'),
      htlcs: wireHtlcs(split),
      ...signatures,
    };
    await expectReply(this.#ask, 'channel', request, 'hsmd_validate_commitment_tx_reply');
  }

  async #revoke(number: number): Promise<void> {
    const request: Request = { name: 'hsmd_revoke_commitment_tx', commitNum: BigInt(number) };
    await expectReply(this.#ask, 'channel', request, 'hsmd_revoke_commitment_tx_reply');
  }

  #keys(side: Side, perCommitmentPoint: Uint8Array) {
    const [broadcaster, countersignatory] =
      side === 'ours' ? [this.#basepoints, this.#bob.basepoints] : [this.#bob.basepoints, this.#basepoints];
    return deriveCommitmentKeys(this.#secp, { perCommitmentPoint, broadcaster, countersignatory });
  }

  /** The transaction that `side` may publish. */
  #commitment(
    side: Side,
    number: number,
    { oursMsat, bobsMsat, htlcs }: Split,
    point: Uint8Array,
  ): Commitment {
    const isOurs = side === 'ours';
    return buildCommitment({
      format: 'anchors_zero_fee_htlc',
      keys: this.#keys(side, point),
      broadcasterFundingKey: isOurs ? this.#fundingKey : this.#bob.fundingKey,
      countersignatoryFundingKey: isOurs ? this.#bob.fundingKey : this.#fundingKey,
      toSelfDelayBlocks: DELAY_BLOCKS,
      funder: isOurs ? 'broadcaster' : 'countersignatory',
      funding: FUNDING,
      commitmentNumber: number,
      obscureFactor: commitmentObscureFactor(this.#basepoints.payment, this.#bob.basepoints.payment),
      dustLimitSat: sat(DUST_LIMIT_SAT),
      feeratePerKw: FEERATE_PER_KW,
      toBroadcasterMsat: msat(isOurs ? oursMsat : bobsMsat),
      toCountersignatoryMsat: msat(isOurs ? bobsMsat : oursMsat),
      htlcs: htlcs.map(({ amountMsat, paymentHash }) => ({
        direction: isOurs ? ('offered' as const) : ('received' as const),
        amountMsat: msat(amountMsat),
        paymentHash,
        cltvExpiry: EXPIRY_BLOCKS,
      })),
    });
  }

  #note(change: Partial<Notes>): void {
    this.notes = { ...this.notes, ...change };
    this.#save(this.notes);
  }
}

export interface ChannelParts {
  readonly ask: Ask;
  readonly secp: Secp256k1;
  readonly bob: Bob;
  /** Null for a channel that is not open yet. */
  readonly notes: Notes | null;
  readonly save: (notes: Notes) => void;
}

/** In these messages `local` is the signer's side, whoever may publish the commitment. */
function valuesOf({ outputs }: Commitment, side: Side) {
  const worth = (kind: string) => outputs.find((output) => output.kind === kind)?.value ?? sat(0);
  const [publishers, others] = [worth('to_local'), worth('to_remote')];
  return side === 'ours'
    ? { toLocalValue: publishers, toRemoteValue: others }
    : { toLocalValue: others, toRemoteValue: publishers };
}

const wireHtlcs = ({ htlcs }: Split): HsmHtlc[] =>
  htlcs.map(({ amountMsat, paymentHash }) => ({
    side: 'local',
    amount: msat(amountMsat),
    paymentHash,
    cltvExpiry: EXPIRY_BLOCKS,
  }));
