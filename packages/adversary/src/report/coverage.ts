/**
 * Law × operation × outcome: which rules spoke in a run, where, and which never did. The rules come from whoever knows the
 * signer, as names; this only counts.
 */
import { OPERATIONS, type Operation, operationOf } from './operations.ts';
import type { CoverageCount } from './result.ts';

/** A rule of the signer, by its public name. */
export interface RuleName {
  readonly tag: string;
  /** `1` to `5`, or the chapter that it stands in. */
  readonly law: string;
}

export interface CoverageRow {
  readonly tag: string;
  /** Refusals in attacks, and of honest requests (only the temporary ones are no failure). */
  readonly attacks: Partial<Record<Operation, number>>;
  readonly honest: Partial<Record<Operation, number>>;
  readonly total: number;
}

export interface LawCoverage {
  readonly law: string;
  /** Those that spoke, the most talkative first. */
  readonly rows: readonly CoverageRow[];
  /** Those that never did. */
  readonly silent: readonly string[];
}

export interface GrantedRow {
  readonly operation: Operation;
  readonly title: string;
  readonly honest: number;
  readonly attacks: number;
  readonly refused: number;
}

export interface Coverage {
  readonly laws: readonly LawCoverage[];
  readonly granted: readonly GrantedRow[];
  readonly rulesHeard: number;
  readonly rules: number;
}

/** A tag that no rule has (a request that could not be sent, a failed store) has no law either. */
const NO_LAW = 'none';

export function coverageOf(counts: readonly CoverageCount[], rules: readonly RuleName[]): Coverage {
  const lawOf = new Map(rules.map(({ tag, law }) => [tag, law]));
  const rows = new Map<string, Counting>();
  for (const { intent, request, outcome, count } of counts) {
    if (outcome === 'ok') continue;
    const row = rows.get(outcome) ?? { attacks: {}, honest: {}, total: 0 };
    const cells = intent === 'attack' ? row.attacks : row.honest;
    const operation = operationOf(request);
    cells[operation] = (cells[operation] ?? 0) + count;
    row.total += count;
    rows.set(outcome, row);
  }
  const laws = [...new Set([...rules.map(({ law }) => law), NO_LAW])];
  return {
    laws: laws.flatMap((law) => lawCoverage(law, rows, lawOf)),
    granted: OPERATIONS.map(({ operation, title }) => ({ operation, title, ...grantsOf(counts, operation) })),
    rulesHeard: rules.filter(({ tag }) => rows.has(tag)).length,
    rules: rules.length,
  };
}

interface Counting {
  readonly attacks: Partial<Record<Operation, number>>;
  readonly honest: Partial<Record<Operation, number>>;
  total: number;
}

function lawCoverage(
  law: string,
  rows: ReadonlyMap<string, Counting>,
  lawOf: ReadonlyMap<string, string>,
): readonly LawCoverage[] {
  const heard = [...rows]
    .filter(([tag]) => (lawOf.get(tag) ?? NO_LAW) === law)
    .map(([tag, row]) => ({ tag, ...row }))
    .sort((one, other) => other.total - one.total || (one.tag < other.tag ? -1 : 1));
  const silent = [...lawOf]
    .filter(([tag, its]) => its === law && !rows.has(tag))
    .map(([tag]) => tag)
    .sort();
  return heard.length + silent.length === 0 ? [] : [{ law, rows: heard, silent }];
}

function grantsOf(
  counts: readonly CoverageCount[],
  operation: Operation,
): Pick<GrantedRow, 'honest' | 'attacks' | 'refused'> {
  const sum = (fits: (one: CoverageCount) => boolean) =>
    counts
      .filter((one) => operationOf(one.request) === operation && fits(one))
      .reduce((total, { count }) => total + count, 0);
  return {
    honest: sum(({ outcome, intent }) => outcome === 'ok' && intent !== 'attack'),
    attacks: sum(({ outcome, intent }) => outcome === 'ok' && intent === 'attack'),
    refused: sum(({ outcome }) => outcome !== 'ok'),
  };
}

/** As the player's log has it: `<intent>\t<request>\t<outcome>`. */
export function coverageCounts(log: ReadonlyMap<string, number>): readonly CoverageCount[] {
  return [...log].map(([key, count]) => {
    const [intent = '', request = '', outcome = ''] = key.split('\t');
    const known = (['attack', 'unsure'] as const).find((one) => one === intent);
    return { intent: known ?? 'honest', request, outcome, count };
  });
}

/** Counts of several matches together. */
export function addCoverage(total: Map<string, number>, more: ReadonlyMap<string, number>): void {
  for (const [key, count] of more) total.set(key, (total.get(key) ?? 0) + count);
}
