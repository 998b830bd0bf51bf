/**
 * The endgame: a strategy of the attacker is really played, on copies of signer and chain. Its transactions are mined, every
 * input verified; only what the signer itself publishes helps the owner. What the owner has in the end must be W.
 */
import { fromHex, toHex } from '../bitcoin/bytes.ts';
import { parseTx, type Tx } from '../bitcoin/transaction.ts';
import type { ChainSimulator } from '../chain/simulator.ts';
import type { Channel } from '../player/channel.ts';
import { Dice } from '../player/dice.ts';
import type { ChannelFile, Ending } from '../referee/channel-file.ts';
import { endingsOf } from '../referee/fundings.ts';
import type { Option, Problem } from '../referee/problem.ts';
import { leastWealth } from '../referee/wealth.ts';
import type { Subject } from '../subject.ts';
import { attackerClaim, completedEnding } from './attacker-claims.ts';
import type { Match } from './match.ts';

/**
 * `best`: what W says is worst for the owner. `breach`: a revoked commitment in every channel that has one. `breach-of-htlcs`: in one
 * channel alone, the one with most in HTLCs that the peer can claim, and waits with that. `random`: any endings, any preimages shown.
 */
export type EndgameKind = 'best' | 'breach' | 'breach-of-htlcs' | 'random';

export interface EndgameResult {
  readonly kind: EndgameKind;
  /** The highest that W was until then. */
  readonly expectedSat: number;
  /** W at the end, when nothing is open any more. */
  readonly reachedSat: number;
  /** What the owner may have less than expected: trimmed outputs, and what is not worth its fee. */
  readonly toleranceSat: number;
  readonly blocks: number;
  /** How each place ended, for the story. */
  readonly chosen: readonly string[];
  /** Transactions of the owner's that the chain did not take, with its reason. */
  readonly refusedRescues: readonly string[];
}

export const isShort = ({ expectedSat, reachedSat, toleranceSat }: EndgameResult): boolean =>
  reachedSat + toleranceSat < expectedSat;

/** An output below this is left alone: a claim would cost more. */
const UNECONOMIC_SAT = 3000;
/** Blocks after the last expiry and delay: for whatever needs another transaction. */
const REST_BLOCKS = 12;
const BLOCKS_MAX = 5000;
/** The signer's claims become urgent this long before an expiry. */
const HASTE_BLOCKS = 8;
const QUIET_BLOCKS = 4;
const POLL_BLOCKS = 16;
const BLOCK_SECONDS = 600;
const TXID_CHARS = 64;

interface Play {
  readonly file: ChannelFile;
  readonly channel: Channel;
  readonly ending: Ending | null;
}

/** `nonce`: of the choices that are left to chance. Null where the signer can't be copied. */
export async function playEndgame(match: Match, kind: EndgameKind, nonce = 0): Promise<EndgameResult | null> {
  const { world, referee } = match;
  const subject = await world.subject.fork?.();
  if (subject === undefined) return null;
  const rehearsal = new Endgame(match, { kind, nonce }, subject, world.chain.simulator.fork());
  const restore = referee.known.rehearse();
  try {
    return await rehearsal.run();
  } finally {
    restore();
    await subject.close();
  }
}

class Endgame {
  readonly #match: Match;
  readonly #kind: EndgameKind;
  readonly #subject: Subject;
  readonly #chain: ChainSimulator;
  readonly #dice: Dice;
  /** Hash → the expiry from which on the attacker shows its preimage. */
  readonly #reveals = new Map<string, number>();
  readonly #refused = new Set<string>();
  #blocks = 0;
  #lastTxHeight = 0;

  constructor(
    match: Match,
    { kind, nonce }: { readonly kind: EndgameKind; readonly nonce: number },
    subject: Subject,
    chain: ChainSimulator,
  ) {
    this.#match = match;
    this.#kind = kind;
    this.#subject = subject;
    this.#chain = chain;
    this.#dice = new Dice(match.world.config.seed + match.steps + 7919 * nonce);
  }

  async run(): Promise<EndgameResult> {
    const { referee } = this.#match;
    const problem = referee.problem();
    const { wealthSat, choices, reveals } = leastWealth(problem);
    if (this.#kind === 'best') for (const [hash, expiry] of reveals) this.#reveals.set(hash, expiry);
    const options = problem.places.map((place, i) => this.#chosen(place.options, choices[i]!));
    const plays = this.#playsOf(problem, options);
    this.#broadcastAll(plays, options);
    await this.#mine();
    await this.#ownerCloses();
    const untilBlocks = this.#lastBlock(plays);
    while (this.#chain.height < untilBlocks && this.#blocks < BLOCKS_MAX) {
      for (const play of this.#onChain()) this.#attackersTake(play);
      // Nothing new: nothing that waits for its height or its age either.
      if (this.#isEventful()) await this.#ownersRescues();
      await this.#mine();
    }
    const reached = realised(referee.problem());
    return {
      kind: this.#kind,
      // Below its highest W may be by what was given the benefit of the doubt: here it must come.
      expectedSat: Math.max(wealthSat, referee.highSat),
      reachedSat: leastWealth(reached).wealthSat,
      toleranceSat: this.#toleranceSat(),
      blocks: this.#blocks,
      chosen: problem.places.map(({ name }, i) => `${name}: ${options[i]!.name}`),
      refusedRescues: [...this.#refused],
    };
  }

  #chosen(options: readonly Option[], best: number): Option {
    const playable = options.filter(({ name }) => !isUnplayable(name));
    if (this.#kind === 'best') return playable.includes(options[best]!) ? options[best]! : playable[0]!;
    return this.#dice.of(playable)!;
  }

  #playsOf(problem: Problem, options: readonly Option[]): Play[] {
    const { known } = this.#match.referee;
    const most = Math.max(...[...known.files.values()].map(inHtlcsOf));
    return problem.places.flatMap(({ channel: id, funding }, i): Play[] => {
      const file = id === null ? undefined : known.files.get(id);
      const channel = this.#match.world.channels.find(
        ({ terms }) => `${toHex(terms.peerId)}/${terms.dbid}` === id,
      );
      if (file === undefined || channel === undefined || funding === undefined) return [];
      if (known.book.spenderOf(funding) !== undefined) return [];
      const { txid } = options[i]!;
      const revoked = this.#revokedOf(file, funding, most);
      const ending = revoked ?? (txid === null ? null : (known.endingOf(txid)?.ending ?? null));
      return [{ file, channel, ending }];
    });
  }

  #revokedOf(file: ChannelFile, funding: string, most: number): Ending | undefined {
    const revoked = file.revoked.filter((one) => one.funding === funding);
    if (this.#kind === 'breach') return this.#dice.of(revoked);
    if (this.#kind !== 'breach-of-htlcs' || inHtlcsOf(file) < most) return undefined;
    return revoked.toSorted((a, b) => inHtlcs(b) - inHtlcs(a))[0];
  }

  #broadcastAll(plays: readonly Play[], options: readonly Option[]): void {
    const { known } = this.#match.referee;
    for (const { txid } of options) {
      const tx = txid === null ? null : known.released.completed(txid);
      if (tx !== null) this.#chain.submit(tx);
    }
    for (const { file, channel, ending } of plays) {
      const tx = ending === null ? null : completedEnding(known, file, channel, ending);
      if (tx !== null) this.#chain.submit(tx);
    }
  }

  /** Of everything that is not closed yet: as an owner does who found his node taken over. */
  async #ownerCloses(): Promise<void> {
    const { files, book } = this.#match.referee.known;
    for (const { peerId, dbid, closedBy, fundings } of files.values()) {
      const isFunded = [...fundings.keys()].some((key) => book.depthOf(key.slice(0, TXID_CHARS)) > 0);
      if (closedBy === null && isFunded) await this.#subject.owner({ act: 'force-close', peerId, dbid });
    }
  }

  async #ownersRescues(): Promise<void> {
    for (const { raw, reason } of await this.#subject.rescues()) {
      const result = this.#chain.submit(parseTx(raw));
      if (result.accepted || EXPECTED_REFUSALS.has(result.refusal.reason)) continue;
      this.#refused.add(`${reason}: ${result.refusal.reason}: ${result.refusal.detail}`);
    }
  }

  /**
   * Whether the owner could have something to do: shortly after anything was mined, about an expiry or the end of a delay. In
   * between, the signer is asked now and then only, as each answer costs signatures.
   */
  #isEventful(): boolean {
    const { height } = this.#chain;
    if (height - this.#lastTxHeight <= QUIET_BLOCKS || height % POLL_BLOCKS === 0) return true;
    return this.#onChain().some(({ file, ending }) => {
      const closedAt = this.#match.referee.known.book.find(ending!.txid)?.heightBlocks ?? height;
      const ages = [file.terms?.ownerDelayBlocks ?? 0, file.terms?.peerDelayBlocks ?? 0];
      const heights = [
        ...ages.map((age) => closedAt + age),
        ...ending!.htlcs.map(({ expiryBlocks }) => expiryBlocks),
      ];
      return heights.some((one) => height >= one - HASTE_BLOCKS && height <= one + QUIET_BLOCKS);
    });
  }

  async #mine(): Promise<void> {
    const { referee } = this.#match;
    const before = this.#chain.tip;
    this.#chain.mine({ timeSeconds: before.timeSeconds + BLOCK_SECONDS });
    const { headers, blocks } = this.#chain.branchFrom(before);
    this.#subject.setClock(this.#chain.tip.timeSeconds);
    await this.#subject.feedChain(headers, blocks);
    referee.blockConnected(this.#chain.tip.txs);
    this.#blocks += 1;
    if (this.#chain.tip.txs.length > 1) this.#lastTxHeight = this.#chain.height;
  }

  /** Fundings of channels that ended with a commitment, here or before. */
  #onChain(): Play[] {
    const { known } = this.#match.referee;
    return this.#match.world.channels.flatMap((channel): Play[] => {
      const file = known.files.get(`${toHex(channel.terms.peerId)}/${channel.terms.dbid}`);
      if (file === undefined) return [];
      const endingOf = (txid: string) => known.endingOf(txid)?.ending;
      return endingsOf({ book: known.book, endingOf }, file).map((ending) => ({ file, channel, ending }));
    });
  }

  #attackersTake({ file, channel, ending }: Play): void {
    const { known } = this.#match.referee;
    const isRevoked = ending!.side === 'counterparty' && !file.counterparty.includes(ending!);
    // What the peer takes it has on the second level, where it can be punished again.
    if (isRevoked && this.#kind === 'breach-of-htlcs') return;
    ending!.meanings.forEach((meaning, vout) => {
      if (meaning.is !== 'htlc' || known.book.spenderOf(`${ending!.txid}:${vout}`) !== undefined) return;
      const preimage = this.#preimageFor(meaning.listed.isOffered, meaning.htlc, isRevoked);
      if (preimage === undefined) return;
      const output = { ending: ending!, vout, listed: meaning.listed };
      const tx: Tx | null = attackerClaim(known, file, channel, output, preimage);
      if (tx !== null) this.#chain.submit(tx);
    });
  }

  /** Null: by timeout. Undefined: not now. */
  #preimageFor(
    isOffered: boolean,
    { hash, expiryBlocks }: { readonly hash: string; readonly expiryBlocks: number },
    isRevoked: boolean,
  ): Uint8Array | null | undefined {
    const { height } = this.#chain;
    if (!isOffered) return height >= expiryBlocks ? null : undefined;
    const preimage = this.#match.world.book.find(fromHex(hash))?.preimage;
    if (isRevoked) return preimage;
    const fromExpiry = this.#revealOf(hash, expiryBlocks);
    // In the last block in which the owner can't take it back, or at once where that is past.
    return fromExpiry !== null && expiryBlocks >= fromExpiry && height + 1 >= expiryBlocks
      ? preimage
      : undefined;
  }

  #revealOf(hash: string, expiryBlocks: number): number | null {
    if (this.#kind === 'best') return this.#reveals.get(hash) ?? null;
    const known = this.#reveals.get(hash);
    if (known !== undefined) return known < 0 ? null : known;
    const chosen = this.#dice.chance(60) ? expiryBlocks : -1;
    this.#reveals.set(hash, chosen);
    return chosen < 0 ? null : chosen;
  }

  #lastBlock(plays: readonly Play[]): number {
    let last = this.#chain.height;
    for (const { file } of [...plays, ...this.#onChain()]) {
      const delays = Math.max(file.terms?.ownerDelayBlocks ?? 0, file.terms?.peerDelayBlocks ?? 0);
      const expiries = file.endings.flatMap(({ htlcs }) => htlcs.map(({ expiryBlocks }) => expiryBlocks));
      const expiry = Math.max(this.#chain.height, ...expiries);
      last = Math.max(last, expiry + delays + REST_BLOCKS);
    }
    return last;
  }

  #toleranceSat(): number {
    const { referee } = this.#match;
    const endings = this.#onChain().map(({ ending }) => ending!);
    const slackSat = endings.reduce((sum, one) => sum + one.slackSat, 0);
    const outputs = endings.reduce((sum, { htlcs }) => sum + htlcs.length + 1, 0);
    return slackSat + referee.allowedSat + outputs * UNECONOMIC_SAT;
  }
}

/** In HTLCs that the peer could claim, one by one. */
const inHtlcs = ({ htlcs }: Ending): number =>
  htlcs.reduce((sum, { valueSat, direction }) => (direction === 'offered' ? sum + valueSat : sum), 0);

/** The most that a revoked commitment has in them. */
const inHtlcsOf = ({ revoked }: ChannelFile): number => Math.max(0, ...revoked.map(inHtlcs));

/** Taken already, or by somebody else, or not yet: said of every rescue again and again. */
const EXPECTED_REFUSALS = new Set<string>([
  'known',
  'replacement',
  'missing-input',
  'non-final',
  'sequence-lock',
]);

/** A funding can't be undone here: that takes a reorganization. */
const isUnplayable = (name: string): boolean =>
  name === 'the funding vanishes' || name === 'the funding is never published';

/** What is left when everything that is still open is lost. */
function realised(problem: Problem): Problem {
  return {
    ...problem,
    places: problem.places.map((place) => ({
      ...place,
      options: place.options.slice(0, 1).map((option) => ({
        ...option,
        directSat: place.channel === null ? option.directSat : 0,
        htlcs: [],
      })),
    })),
  };
}
