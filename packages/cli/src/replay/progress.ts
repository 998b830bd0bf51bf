/**
 * What is seen while a replay runs: on a terminal one live line with a bar, elsewhere one plain line per recording.
 */
import { bar, grouped, padEnd, padStart, type Style } from '../terminal.ts';

export interface ProgressOutput {
  /** A terminal whose last line may be rewritten. */
  readonly isLive: boolean;
  readonly columns: number;
  write(text: string): void;
}

export interface Tally {
  readonly identical: number;
  readonly refused: number;
  readonly mismatches: number;
  readonly faults: number;
}

const ERASE_LINE = '\r\u001b[2K';
const REDRAW_MS_MIN = 80;
const BAR_COLUMNS = 24;
const LABEL_COLUMNS = 24;

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

/** One line of the list: a recording, or a set of single cases. */
export class Progress {
  readonly #output: ProgressOutput;
  readonly #style: Style;
  #drawnAtMs = 0;
  #label = '';
  #total = 0;
  #done = 0;
  #startedMs = 0;

  constructor(output: ProgressOutput, style: Style) {
    this.#output = output;
    this.#style = style;
  }

  begin(label: string, total: number): void {
    this.#label = label;
    this.#total = total;
    this.#done = 0;
    this.#startedMs = performance.now();
    this.#draw();
  }

  step(): void {
    this.#done += 1;
    if (performance.now() - this.#drawnAtMs >= REDRAW_MS_MIN) this.#draw();
  }

  end(tally: Tally): void {
    const { green, red, yellow, dim } = this.#style;
    const failed = tally.mismatches + tally.faults > 0;
    const mark = failed ? red('✗') : tally.refused > 0 ? yellow('●') : green('✓');
    const parts = [`${grouped(tally.identical)} identical`];
    if (tally.refused > 0) parts.push(yellow(`${grouped(tally.refused)} refused`));
    if (tally.mismatches > 0) parts.push(red(`${grouped(tally.mismatches)} mismatches`));
    if (tally.faults > 0) parts.push(red(tally.faults === 1 ? '1 fault' : `${tally.faults} faults`));
    const time = dim(padStart(seconds(performance.now() - this.#startedMs), 7));
    const line = `  ${mark} ${padEnd(this.#label, LABEL_COLUMNS)}${padStart(grouped(this.#total), 7)} ${time}   ${parts.join(', ')}`;
    this.#output.write(`${this.#output.isLive ? ERASE_LINE : ''}${line}\n`);
  }

  #draw(): void {
    if (!this.#output.isLive) return;
    this.#drawnAtMs = performance.now();
    const elapsedMs = this.#drawnAtMs - this.#startedMs;
    const rate = elapsedMs < 200 ? '' : `${grouped(Math.round((this.#done * 1000) / elapsedMs))}/s`;
    const fraction = this.#total === 0 ? 1 : this.#done / this.#total;
    const room = Math.max(0, Math.min(BAR_COLUMNS, this.#output.columns - LABEL_COLUMNS - 34));
    const cells = [
      `  ${this.#style.cyan('▸')} ${padEnd(this.#label, LABEL_COLUMNS)}`,
      padStart(grouped(this.#done), 7),
      this.#style.dim(padStart(seconds(elapsedMs), 7)),
      ` ${bar(fraction, room, this.#style)}`,
      this.#style.dim(rate),
    ];
    this.#output.write(`${ERASE_LINE}${cells.join(' ')}`);
  }
}
