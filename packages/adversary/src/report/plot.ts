/**
 * The plot of a match: what the owner keeps and what left with its consent, which together never fall, and below it how far W
 * was under its highest. Inline SVG, colours by the page's style.
 */
import { html, type Markup } from './html.ts';
import type { WealthReading } from './result.ts';

const WIDTH = 860;
const LEFT = 74;
const RIGHT = 12;
const TOP = 10;
const MAIN_HEIGHT = 210;
const DIP_HEIGHT = 64;
const GAP = 30;
const BOTTOM = 26;
const POINTS_MAX = 420;
const HEIGHT = TOP + MAIN_HEIGHT + GAP + DIP_HEIGHT + BOTTOM;

export interface Plot {
  readonly readings: readonly WealthReading[];
  /** Where W fell, if it did. */
  readonly theftStep: number | null;
}

export function wealthPlot({ readings, theftStep }: Plot): Markup {
  const points = thinned(readings);
  const last = points.at(-1);
  if (last === undefined) return html`<p class="quiet">No W was measured.</p>`;
  const stepMax = Math.max(1, last.step);
  const wealthMax = niceMax(Math.max(...points.map(({ highSat }) => highSat)));
  const dipMax = niceMax(Math.max(1, ...points.map(({ highSat, wealthSat }) => highSat - wealthSat)));
  const x = (step: number) => LEFT + (step / stepMax) * (WIDTH - LEFT - RIGHT);
  const y = (sat: number) => TOP + MAIN_HEIGHT * (1 - sat / wealthMax);
  const dipTop = TOP + MAIN_HEIGHT + GAP;
  const yDip = (sat: number) => dipTop + DIP_HEIGHT * (sat / dipMax);
  const kept = points.map(({ step, wealthSat, agreedSat }) => [x(step), y(wealthSat - agreedSat)] as const);
  const total = points.map(({ step, wealthSat }) => [x(step), y(wealthSat)] as const);
  const dips = points.map(({ step, highSat, wealthSat }) => [x(step), yDip(highSat - wealthSat)] as const);
  const label = `W over ${stepMax} requests, with what left by consent, and how far it was below its highest`;
  return html`<svg class="plot" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${label}">
${ticks(wealthMax, 4).map((sat) => gridLine(y(sat), shortSat(sat)))}
<path class="area kept" d="${area(kept, y(0))}"/>
<path class="area agreed" d="${band(total, kept)}"/>
<path class="line kept" d="${line(kept)}"/>
<path class="line total" d="${line(total)}"/>
${gridLine(dipTop, '0')}${gridLine(dipTop + DIP_HEIGHT, shortSat(-dipMax))}
<path class="area dip" d="${area(dips, dipTop)}"/>
<path class="line dip" d="${line(dips)}"/>
${ticks(stepMax, 6).map((step) => stepMark(x(step), step))}
${theftStep === null ? null : theftMark(x(Math.min(theftStep, stepMax)))}
</svg>`;
}

type Point = readonly [x: number, y: number];

const at = ([px, py]: Point): string => `${px.toFixed(1)} ${py.toFixed(1)}`;
const line = (points: readonly Point[]): string => `M${points.map(at).join('L')}`;

function area(points: readonly Point[], base: number): string {
  const [first, last] = [points[0]!, points.at(-1)!];
  return `${line(points)}L${at([last[0], base])}L${at([first[0], base])}Z`;
}

const band = (upper: readonly Point[], lower: readonly Point[]): string =>
  `${line(upper)}L${lower.toReversed().map(at).join('L')}Z`;

function gridLine(y: number, text: string): Markup {
  return html`<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y.toFixed(1)}" y2="${y.toFixed(1)}"/><text class="tick" x="${LEFT - 8}" y="${(y + 4).toFixed(1)}" text-anchor="end">${text}</text>`;
}

function stepMark(x: number, step: number): Markup {
  return html`<text class="tick" x="${x.toFixed(1)}" y="${HEIGHT - 8}" text-anchor="middle">${step.toLocaleString('en-US')}</text>`;
}

function theftMark(x: number): Markup {
  const isRight = x > WIDTH / 2;
  return html`<line class="theft" x1="${x.toFixed(1)}" x2="${x.toFixed(1)}" y1="${TOP}" y2="${HEIGHT - BOTTOM}"/><text class="theft" x="${(isRight ? x - 6 : x + 6).toFixed(1)}" y="${TOP + 14}" text-anchor="${isRight ? 'end' : 'start'}">W falls</text>`;
}

/** At most so many, of each group the one where W is furthest below its highest. */
function thinned(readings: readonly WealthReading[]): readonly WealthReading[] {
  if (readings.length <= POINTS_MAX) return readings;
  const size = Math.ceil(readings.length / POINTS_MAX);
  const found: WealthReading[] = [];
  for (let i = 0; i < readings.length; i += size) {
    const group = readings.slice(i, i + size);
    const dip = ({ highSat, wealthSat }: WealthReading) => highSat - wealthSat;
    found.push(group.reduce((deepest, one) => (dip(one) > dip(deepest) ? one : deepest)));
  }
  const last = readings.at(-1)!;
  return found.at(-1) === last ? found : [...found, last];
}

/** 1, 2 or 5 times a power of ten, or a few of those, at least `value`. */
function niceMax(value: number): number {
  const unit = niceUnit(Math.max(value, 1) / 4);
  return Math.ceil(Math.max(value, 1) / unit) * unit;
}

function niceUnit(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(rough));
  const factor = [1, 2, 5, 10].find((one) => one * power >= rough) ?? 10;
  return factor * power;
}

/** Round numbers from 0 to `max`, about `count` of them. */
function ticks(max: number, count: number): readonly number[] {
  const unit = Math.max(1, niceUnit(max / count));
  return Array.from({ length: Math.floor(max / unit) + 1 }, (_, i) => i * unit);
}

function shortSat(sat: number): string {
  const size = Math.abs(sat);
  if (size >= 1e6) return `${trimmed(sat / 1e6)} M sat`;
  return size >= 1e4 ? `${trimmed(sat / 1e3)} k sat` : `${sat} sat`;
}

const trimmed = (value: number): string => value.toFixed(2).replace(/\.?0+$/, '');
