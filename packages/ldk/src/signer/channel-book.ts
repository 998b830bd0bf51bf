/** All channels the adapter has met, and how a channel is declared, set up and kept up with the signer. */
import { msat, type Sat, toHex } from '@countersign/bitcoin';
import { PREIMAGES_MAX, type Request } from '@countersign/wire';
import {
  type AnyReply,
  type Asked,
  CHANNEL_DBID,
  channelName,
  type LdkRefusal,
  type Question,
  type SignerClient,
} from '../client.ts';
import { ChannelState, type PartyKeys } from './channel-state.ts';
import { PreimageBook } from './preimage-book.ts';

/** What a first commitment tells of how the channel begins. */
export interface FirstCommitment {
  readonly number: bigint;
  readonly toLocalSat: bigint;
  readonly toRemoteSat: bigint;
}

/** A request of a channel that rests on preimages, and what would be good to know with its answer. */
export interface KnowingRequest {
  readonly first: FirstCommitment | null;
  readonly preimages: readonly Uint8Array[];
  readonly request: Request;
  readonly also?: readonly Request[];
}

export type KnowingAnswer =
  | { readonly kind: 'answered'; readonly reply: AnyReply; readonly also: readonly AnyReply[] }
  /** The preimages were: nothing rests on them yet. */
  | { readonly kind: 'unlearned'; readonly refusal: LdkRefusal }
  | { readonly kind: 'refused'; readonly refusal: LdkRefusal };

const NO_SCRIPT = new Uint8Array(0);

export class ChannelBook {
  readonly #client: SignerClient;
  readonly #channels = new Map<string, ChannelState>();
  /** By LDK's user_channel_id, until the channel has its keys. */
  readonly #announced = new Map<bigint, bigint>();
  readonly #pushed = new Map<string, bigint>();
  readonly #preimages = new PreimageBook();

  constructor(client: SignerClient) {
    this.#client = client;
  }

  announce(userChannelId: bigint, pushMsat: bigint): void {
    this.#announced.set(userChannelId, pushMsat);
  }

  /** A new channel has got its name. */
  named(keysId: Uint8Array, userChannelId: bigint): void {
    const pushMsat = this.#announced.get(userChannelId);
    this.#announced.delete(userChannelId);
    if (pushMsat !== undefined) this.#pushed.set(toHex(keysId), pushMsat);
  }

  /** Known, or declared to the signer now. A channel whose keys could not be had is tried again each time. */
  channel(keysId: Uint8Array, valueSat: bigint): ChannelState {
    const id = toHex(keysId);
    const known = this.#channels.get(id);
    if (known !== undefined && known.keys !== null) return known;
    const state = new ChannelState(keysId.slice(), valueSat, this.#keysOf(keysId));
    state.pushMsat = this.#pushed.get(id) ?? null;
    this.#channels.set(id, state);
    return state;
  }

  #keysOf(keysId: Uint8Array): PartyKeys | null {
    const name = channelName(keysId);
    const method = 'derive_channel_signer';
    const declared = this.#client.ask<'hsmd_new_channel'>(method, null, {
      name: 'hsmd_new_channel',
      id: name,
      dbid: CHANNEL_DBID,
    });
    if (!declared.ok) return null;
    const answer = this.#client.ask<'hsmd_get_channel_basepoints'>(method, null, {
      name: 'hsmd_get_channel_basepoints',
      peerid: name,
      dbid: CHANNEL_DBID,
    });
    if (!answer.ok) return null;
    return { funding: answer.reply.fundingPubkey, basepoints: answer.reply.basepoints };
  }

  find(keysId: Uint8Array): ChannelState | undefined {
    return this.#channels.get(toHex(keysId));
  }

  all(): IterableIterator<ChannelState> {
    return this.#channels.values();
  }

  /** Null when the signer has the channel's parameters and all that it is owed. */
  ready(method: string, state: ChannelState, first: FirstCommitment | null): LdkRefusal | null {
    const unready = this.#setUp(method, state, first);
    if (unready !== null) return unready;
    while (state.owed.length > 0) {
      const [request] = state.owed;
      const answer = this.#client.ask(method, state.keysId, request as Request);
      if (!answer.ok) return answer.refusal;
      state.owed.shift();
    }
    return null;
  }

  #setUp(method: string, state: ChannelState, first: FirstCommitment | null): LdkRefusal | null {
    if (state.isSetUp) return null;
    const { parameters } = state;
    if (parameters === null)
      return this.#client.refuse(
        method,
        state.keysId,
        null,
        'unsupported: LDK has not given the parameters of the channel',
      );
    const answer = this.#client.ask<'hsmd_setup_channel'>(method, state.keysId, {
      name: 'hsmd_setup_channel',
      isOutbound: parameters.isOutbound,
      channelValue: state.valueSat as Sat,
      pushValue: state.pushMsat ?? pushedIn(parameters.isOutbound, first),
      fundingTxid: parameters.funding.txid,
      fundingTxout: parameters.funding.vout,
      localToSelfDelay: parameters.counterpartyToSelfDelayBlocks,
      localShutdownScript: NO_SCRIPT,
      localShutdownWalletIndex: undefined,
      remoteBasepoints: parameters.counterparty.basepoints,
      remoteFundingPubkey: parameters.counterparty.funding,
      remoteToSelfDelay: parameters.holderToSelfDelayBlocks,
      remoteShutdownScript: NO_SCRIPT,
      channelType: parameters.channelType,
    });
    if (!answer.ok) return answer.refusal;
    state.isSetUp = true;
    this.#pushed.delete(toHex(state.keysId));
    return null;
  }

  /** What stands in the newest commitment of one side, before its preimages are told. */
  standing(
    { keysId }: ChannelState,
    broadcaster: 'holder' | 'counterparty',
    htlcs: readonly { readonly paymentHash: Uint8Array }[],
  ): void {
    this.#preimages.standing(`${toHex(keysId)} ${broadcaster}`, htlcs);
  }

  /**
   * Asks what rests on these preimages: behind them, at once where the door takes several. `also` is asked with it only then, and
   * whoever wants its answers has to do without if need be.
   */
  askKnowing(
    method: string,
    state: ChannelState,
    { first, preimages, request, also = [] }: KnowingRequest,
  ): KnowingAnswer {
    const isUsual = state.isSetUp && state.owed.length === 0;
    const together = isUsual ? this.#together(method, state, preimages, [request, ...also]) : null;
    if (together !== null) return together;
    const unlearned = this.learn(method, preimages);
    if (unlearned !== null) return { kind: 'unlearned', refusal: unlearned };
    const unready = this.ready(method, state, first);
    if (unready !== null) return { kind: 'refused', refusal: unready };
    const asked = this.#client.ask(method, state.keysId, request);
    if (!asked.ok) return { kind: 'refused', refusal: asked.refusal };
    return { kind: 'answered', reply: asked.reply, also: [] };
  }

  #together(
    method: string,
    { keysId }: ChannelState,
    preimages: readonly Uint8Array[],
    requests: readonly Request[],
  ): KnowingAnswer | null {
    const unknown = this.#preimages.unknown(preimages);
    const isMany = unknown.length > PREIMAGES_MAX;
    if (isMany || (unknown.length === 0 && requests.length === 1)) return null;
    const learning: Question[] =
      unknown.length === 0
        ? []
        : [{ channelKeysId: null, request: { name: 'countersign_preimages', preimages: unknown } }];
    const rest = requests.map((request) => ({ channelKeysId: keysId, request }));
    const asked = this.#client.askTogether(method, [...learning, ...rest]);
    if (asked === null) return null;
    const { replies, refusal } = asked;
    if (refusal !== null && replies.length < learning.length) return { kind: 'unlearned', refusal };
    this.#preimages.learned(unknown);
    const [reply, ...also] = replies.slice(learning.length);
    if (reply !== undefined) return { kind: 'answered', reply, also };
    return refusal === null ? null : { kind: 'refused', refusal };
  }

  /** They are durable before what follows is asked. LDK names each of them several times. */
  learn(method: string, preimages: readonly Uint8Array[]): LdkRefusal | null {
    const unknown = this.#preimages.unknown(preimages);
    for (let at = 0; at < unknown.length; at += PREIMAGES_MAX) {
      const some = unknown.slice(at, at + PREIMAGES_MAX);
      const answer: Asked<'countersign_preimages'> = this.#client.ask(method, null, {
        name: 'countersign_preimages',
        preimages: some,
      });
      if (!answer.ok) return answer.refusal;
      this.#preimages.learned(some);
    }
    return null;
  }
}

/** The other side's value in commitment 0 is what the funder gave away. Nothing says more in a later one. */
function pushedIn(isOutbound: boolean, first: FirstCommitment | null): bigint {
  if (first === null || first.number !== 0n) return 0n;
  return msat(1000n * (isOutbound ? first.toRemoteSat : first.toLocalSat));
}
