/**
 * The report of a replay for people: latencies, the store, refusals with their reasons, mismatches, and last what a
 * screen should end with: the totals.
 */
import { grouped, type Style, table, wrap } from '../terminal.ts';
import type { Mismatch, RefusalGroup, ReplayReport } from './report.ts';

const PROBLEMS_SHOWN_MAX = 20;
const WHERE_SHOWN_MAX = 4;
const INDENT = '  ';

/** `explain` gives the one sentence a rule is documented with, where there is one. */
export interface RenderOptions {
  readonly style: Style;
  readonly columns: number;
  readonly explain: (tag: string) => string | undefined;
}

export function renderReport(report: ReplayReport, options: RenderOptions): string[] {
  return [
    ...latencies(report, options.style),
    ...store(report, options.style),
    ...refusals(report, options),
    ...mismatches(report, options),
    '',
    ...totals(report, options.style),
    ...conclusion(report, options.style),
  ];
}

function totals(report: ReplayReport, style: Style): string[] {
  const wrong = report.mismatches.length + report.faults.length;
  const cells = [
    `${style.bold(grouped(report.requests))} requests`,
    `${style.green(style.bold(grouped(report.identical)))} identical`,
    `${report.refused === 0 ? '0' : style.yellow(style.bold(grouped(report.refused)))} refused`,
    `${wrong === 0 ? '0' : style.red(style.bold(grouped(wrong)))} ${wrong === 1 ? 'mismatch' : 'mismatches'}`,
  ];
  const time = `${(report.playedMs / 1000).toFixed(1)} s, ${grouped(report.processes)} hsmd processes`;
  return [`${INDENT}${cells.join(', ')}  ${style.dim(time)}`];
}

function whereText(group: RefusalGroup): string {
  const shown = group.where.slice(0, WHERE_SHOWN_MAX).join(', ');
  const more = group.where.length - WHERE_SHOWN_MAX;
  return more > 0 ? `${shown} and ${more} more` : shown;
}

function refusals(report: ReplayReport, { style, columns, explain }: RenderOptions): string[] {
  if (report.refusals.length === 0) return [];
  const lines = ['', `${INDENT}${style.bold('Refused, and why')}`];
  for (const group of report.refusals) {
    const count = style.yellow(grouped(group.count).padStart(6));
    lines.push(`${INDENT}${count}  ${style.bold(group.tag)}`);
    const rule = explain(group.tag);
    if (rule !== undefined) lines.push(...wrapped(rule, columns));
    lines.push(...wrapped(`${group.sentences.join('; ')} (${whereText(group)})`, columns).map(style.dim));
  }
  return lines;
}

/** Below a tag. */
function wrapped(text: string, columns: number): string[] {
  return wrap(text, columns - 12).map((line) => `${INDENT}        ${line}`);
}

interface Problem {
  readonly at: string;
  readonly what: string;
}

/** Mismatches that follow one another for the same reason are one problem: an hsmd that died fails all the rest. */
function problems(report: ReplayReport): Problem[] {
  const folded: { first: Mismatch; count: number }[] = [];
  for (const one of report.mismatches) {
    const last = folded.at(-1);
    const isSame =
      last !== undefined &&
      last.first.scenario === one.scenario &&
      last.first.node === one.node &&
      last.first.what === one.what;
    if (isSame) last.count += 1;
    else folded.push({ first: one, count: 1 });
  }
  const found = folded.map(({ first, count }) => ({
    at: `${first.scenario}/${first.node} message ${first.seq} ${first.type}${count === 1 ? '' : ` and ${count - 1} after it`}`,
    what: first.what,
  }));
  return [...found, ...report.faults.map((one) => ({ at: `${one.scenario}/${one.node}`, what: one.what }))];
}

function mismatches(report: ReplayReport, { style, columns }: RenderOptions): string[] {
  const all = problems(report);
  if (all.length === 0) return [];
  const lines = ['', `${INDENT}${style.bold('Mismatches')}`];
  for (const one of all.slice(0, PROBLEMS_SHOWN_MAX)) {
    const what = one.what.split('\n').flatMap((part) => wrap(part, columns - 8));
    lines.push(
      `${INDENT}${style.red('✗')} ${one.at}`,
      ...what.map((line) => `${INDENT}    ${style.dim(line)}`),
    );
  }
  if (all.length > PROBLEMS_SHOWN_MAX) {
    const more = grouped(all.length - PROBLEMS_SHOWN_MAX);
    lines.push(`${INDENT}  ${style.dim(`and ${more} more: --json lists all`)}`);
  }
  return lines;
}

function microseconds(us: number): string {
  return us >= 10_000 ? `${(us / 1000).toFixed(1)} ms` : `${grouped(us)} µs`;
}

function latencies(report: ReplayReport, style: Style): string[] {
  if (report.latencies.length === 0) return [];
  const head = ['message', 'count', 'p50', 'p99', 'recorded p50'].map((name) => style.dim(name));
  const rows = report.latencies.map((row) => [
    row.type,
    grouped(row.count),
    microseconds(row.p50Us),
    microseconds(row.p99Us),
    style.dim(row.recordedP50Us === 0 ? '' : microseconds(row.recordedP50Us)),
  ]);
  const lines = table([head, ...rows], ['left', 'right', 'right', 'right', 'right']);
  return [
    '',
    `${INDENT}${style.bold('Latency')} ${style.dim('socket to socket; the last column is the hsmd that was recorded, without a socket')}`,
    ...lines.map((line) => `${INDENT}${line}`),
  ];
}

function store(report: ReplayReport, style: Style): string[] {
  if (report.store === null) return [];
  const { commits, batches, records, commitsPerSecond, batchesPerSecond } = report.store;
  return [
    '',
    `${INDENT}${style.bold('Store')} ${grouped(commits)} commits in ${grouped(batches)} durable writes, ${grouped(records)} records; ` +
      `${grouped(commitsPerSecond)} commits and ${grouped(batchesPerSecond)} durable writes per second`,
  ];
}

function conclusion(report: ReplayReport, style: Style): string[] {
  const wrong = report.mismatches.length + report.faults.length;
  if (wrong > 0) {
    return [
      `${INDENT}${style.red(style.bold('Not faithful'))}: ${grouped(wrong)} answers are neither the recorded ones nor refusals.`,
    ];
  }
  const others = report.refused === 0 ? '.' : '; the other requests were refused.';
  return [
    `${INDENT}${style.green(style.bold('Faithful'))}: every reply given is, byte for byte, the recorded one${others}`,
  ];
}
