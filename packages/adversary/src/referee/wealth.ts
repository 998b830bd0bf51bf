/**
 * W: the least that the owner gets, over all strategies of the attacker. A strategy takes one option in each place and
 * decides for each payment hash whether and when its preimage is shown. Places that share no hash are independent; those
 * that do are searched together, with a bound. The result is exact.
 */
import { worstOutcome } from './payment.ts';
import {
  addTallies,
  approvedLoss,
  type HtlcAtStake,
  NO_TALLY,
  type Option,
  type PaymentFacts,
  type Problem,
  type Strategy,
  type Tally,
} from './problem.ts';

/** An option with what its hashes come to that concern no other place. */
interface Candidate {
  /** Of its place. */
  readonly index: number;
  readonly valueSat: number;
  readonly slackSat: number;
  /** By shared hash. */
  readonly shared: ReadonlyMap<string, Stake>;
}

interface Stake {
  readonly htlcs: readonly HtlcAtStake[];
  readonly tally: Tally;
}

const NOTHING: Stake = { htlcs: [], tally: NO_TALLY };

/** What options say of a hash, by hash. */
function stakesOf(option: Option): Map<string, Stake> {
  const stakes = new Map<string, Stake>();
  for (const [hash, tally] of option.tallies) stakes.set(hash, { htlcs: [], tally });
  for (const htlc of option.htlcs) {
    const { htlcs, tally } = stakes.get(htlc.hash) ?? NOTHING;
    stakes.set(htlc.hash, { htlcs: [...htlcs, htlc], tally });
  }
  return stakes;
}

/**
 * Exact minimum. Within a group of places tied by hashes the search is exponential in the worst case (options to the power
 * of places) and bounded by the best play so far; groups are small, as a payment runs over few channels.
 * `withSlack` counts what may be the owner's as the owner's.
 */
export function leastWealth(problem: Problem, withSlack = false): Strategy {
  const { places, baseSat } = problem;
  const stakes = places.map(({ options }) => options.map(stakesOf));
  const groups = groupsOf(stakes);
  const choices = places.map(() => 0);
  const reveals = new Map<string, number>();
  let wealthSat = baseSat;
  for (const group of groups) {
    const search = new GroupSearch(problem, stakes, group, withSlack);
    wealthSat += search.bestSat;
    for (const [i, choice] of search.best) choices[i] = choice;
  }
  let slackSat = 0;
  places.forEach(({ options }, i) => {
    slackSat += options[choices[i]!]?.slackSat ?? 0;
  });
  collectReveals(problem, stakes, choices, reveals);
  return { wealthSat, slackSat, choices, reveals };
}

/** Places tied by hashes that more than one of them has, each group with its shared hashes. */
function groupsOf(stakes: readonly (readonly ReadonlyMap<string, Stake>[])[]): Group[] {
  const placesOf = new Map<string, Set<number>>();
  stakes.forEach((options, place) => {
    for (const hash of options.flatMap((one) => [...one.keys()])) {
      const known = placesOf.get(hash);
      if (known === undefined) placesOf.set(hash, new Set([place]));
      else known.add(place);
    }
  });
  const root = stakes.map((_, i) => i);
  const find = (i: number): number => {
    let at = i;
    while (root[at] !== at) at = root[at]!;
    return at;
  };
  const shared = [...placesOf].filter(([, places]) => places.size > 1);
  for (const [, places] of shared) {
    const [first, ...others] = [...places];
    for (const other of others) root[find(other)] = find(first!);
  }
  const groups = new Map<number, Group>();
  stakes.forEach((_, i) => {
    const at = find(i);
    const group: Group = groups.get(at) ?? { places: [], hashes: new Map() };
    group.places.push(i);
    groups.set(at, group);
  });
  for (const [hash, places] of shared) {
    groups.get(find([...places][0]!))!.hashes.set(hash, places);
  }
  return [...groups.values()];
}

interface Group {
  readonly places: number[];
  /** Shared hash → the places it concerns. */
  readonly hashes: Map<string, ReadonlySet<number>>;
}

/** Depth first over the places of one group; a hash is judged as soon as the last of its places is decided. */
class GroupSearch {
  bestSat = Number.POSITIVE_INFINITY;
  best = new Map<number, number>();
  readonly #problem: Problem;
  readonly #candidates: readonly (readonly Candidate[])[];
  readonly #places: readonly number[];
  /** At each depth, the shared hashes that are decided there. */
  readonly #decided: readonly (readonly string[])[];
  /** At each depth, the least that this place and those after it can add. */
  readonly #boundSat: readonly number[];

  constructor(
    problem: Problem,
    stakes: readonly (readonly ReadonlyMap<string, Stake>[])[],
    { places, hashes }: Group,
    withSlack: boolean,
  ) {
    this.#problem = problem;
    this.#places = places;
    this.#candidates = places.map((place) =>
      lowest(
        problem.places[place]!.options.map((option, index) =>
          candidateOf(problem, option, index, stakes[place]![index]!, hashes, withSlack),
        ),
      ),
    );
    const decided: string[][] = places.map(() => []);
    for (const [hash, of] of hashes) {
      decided[Math.max(...[...of].map((place) => places.indexOf(place)))]!.push(hash);
    }
    this.#decided = decided;
    this.#boundSat = boundsOf(problem, this.#candidates, decided);
    this.#search(0, 0, []);
  }

  #search(depth: number, valueSat: number, chosen: readonly Candidate[]): void {
    if (depth === this.#places.length) {
      if (valueSat >= this.bestSat) return;
      this.bestSat = valueSat;
      this.best = new Map(this.#places.map((place, i) => [place, chosen[i]!.index]));
      return;
    }
    if (valueSat + this.#boundSat[depth]! >= this.bestSat) return;
    for (const candidate of this.#candidates[depth]!) {
      const now = [...chosen, candidate];
      let addedSat = candidate.valueSat;
      for (const hash of this.#decided[depth]!) addedSat += this.#judge(hash, now);
      this.#search(depth + 1, valueSat + addedSat, now);
    }
  }

  #judge(hash: string, chosen: readonly Candidate[]): number {
    const stakes = chosen.map(({ shared }) => shared.get(hash) ?? NOTHING);
    return outcomeOf(this.#problem, hash, stakes).valueSat;
  }
}

/** Shared hashes stay apart; the rest is judged at once, as nothing else has a say in it. */
function candidateOf(
  problem: Problem,
  option: Option,
  index: number,
  stakes: ReadonlyMap<string, Stake>,
  hashes: ReadonlyMap<string, ReadonlySet<number>>,
  withSlack: boolean,
): Candidate {
  let valueSat = option.directSat + (withSlack ? option.slackSat : 0);
  const shared = new Map<string, Stake>();
  for (const [hash, stake] of stakes) {
    if (hashes.has(hash)) shared.set(hash, stake);
    else valueSat += outcomeOf(problem, hash, [stake]).valueSat;
  }
  return { index, valueSat, slackSat: option.slackSat, shared };
}

/** Of candidates that say the same of every shared hash only the lowest matters; lowest first, so that bounds bite. */
function lowest(candidates: readonly Candidate[]): Candidate[] {
  const best = new Map<string, Candidate>();
  for (const candidate of candidates) {
    const key = signatureOf(candidate.shared);
    const known = best.get(key);
    if (known === undefined || candidate.valueSat < known.valueSat) best.set(key, candidate);
  }
  return [...best.values()].sort((a, b) => a.valueSat - b.valueSat);
}

function signatureOf(shared: ReadonlyMap<string, Stake>): string {
  return [...shared]
    .map(([hash, { htlcs, tally }]) => {
      const list = htlcs.map(
        ({ direction, valueSat, expiryBlocks, isOwnable }) =>
          `${direction} ${valueSat} ${expiryBlocks} ${isOwnable}`,
      );
      return `${hash}:${tally.paidSat}:${tally.creditedSat}:${list.sort().join(',')}`;
    })
    .sort()
    .join(';');
}

/** A hash adds at least minus what the base already has for it. */
function boundsOf(
  problem: Problem,
  candidates: readonly (readonly Candidate[])[],
  decided: readonly (readonly string[])[],
): number[] {
  const bounds: number[] = [];
  let restSat = 0;
  for (let depth = candidates.length - 1; depth >= 0; depth--) {
    restSat += candidates[depth]![0]?.valueSat ?? 0;
    for (const hash of decided[depth]!) restSat -= approvedLoss(problem.paymentOf(hash));
    bounds[depth] = restSat;
  }
  return bounds;
}

function outcomeOf(problem: Problem, hash: string, stakes: readonly Stake[]) {
  const facts: PaymentFacts = problem.paymentOf(hash);
  const htlcs = stakes.length === 1 ? stakes[0]!.htlcs : stakes.flatMap((one) => one.htlcs);
  const tally = stakes.reduce((sum, one) => addTallies(sum, one.tally), NO_TALLY);
  return worstOutcome(htlcs, tally, facts, problem.times);
}

/** Which preimages the attacker shows in the best play, for the story. */
function collectReveals(
  problem: Problem,
  stakes: readonly (readonly ReadonlyMap<string, Stake>[])[],
  choices: readonly number[],
  reveals: Map<string, number>,
): void {
  const byHash = new Map<string, Stake[]>();
  stakes.forEach((options, i) => {
    for (const [hash, stake] of options[choices[i]!] ?? []) {
      byHash.set(hash, [...(byHash.get(hash) ?? []), stake]);
    }
  });
  for (const [hash, list] of byHash) {
    const { revealBlocks } = outcomeOf(problem, hash, list);
    if (revealBlocks !== null) reveals.set(hash, revealBlocks);
  }
}
