/**
 * The monitor: reads heartbeats again and again, and speaks when something begins to be wrong, changes, or is right again. It
 * needs nothing of the signer but its node id, so it belongs on another machine.
 */
import type { Heartbeat } from '@countersign/core';
import type { HeartbeatJudge, Problem, Reading } from './judge.ts';

export interface WatchEvent {
  readonly event: 'well' | 'alarm' | 'changed' | 'recovered';
  readonly nodeId: string;
  /** By the monitor's clock. */
  readonly timeSeconds: number;
  /** For people, and for what shows a `text`. */
  readonly text: string;
  readonly problems: readonly Problem[];
  readonly heartbeat: {
    readonly timeSeconds: number;
    readonly sequence: Heartbeat['sequence'];
    readonly tipHeightBlocks: number | null;
  } | null;
}

export interface MonitorOptions {
  readonly judge: HeartbeatJudge;
  readonly nodeId: string;
  readonly read: () => Promise<Reading>;
  readonly nowSeconds: () => number;
}

export class Monitor {
  readonly #options: MonitorOptions;
  /** Subjects of the problems told last; null before the first round. */
  #told: readonly string[] | null = null;

  constructor(options: MonitorOptions) {
    this.#options = options;
  }

  get isWell(): boolean {
    return this.#told?.length === 0;
  }

  /** Read and judge once. Null: nothing is new. */
  async round(): Promise<WatchEvent | null> {
    const { judge, nodeId, read, nowSeconds } = this.#options;
    const reading = await read();
    const timeSeconds = nowSeconds();
    const { problems, heartbeat } = judge.judge(reading, timeSeconds);
    const subjects = problems.map(({ subject }) => subject).sort();
    const before = this.#told;
    this.#told = subjects;
    const event = eventOf(before, subjects);
    if (event === null) return null;
    return {
      event,
      nodeId,
      timeSeconds,
      text: textOf(event, nodeId, problems),
      problems,
      heartbeat: heartbeat && {
        timeSeconds: heartbeat.timeSeconds,
        sequence: heartbeat.sequence,
        tipHeightBlocks: heartbeat.chain?.tipHeightBlocks ?? null,
      },
    };
  }
}

function eventOf(before: readonly string[] | null, now: readonly string[]): WatchEvent['event'] | null {
  if (before === null) return now.length === 0 ? 'well' : 'alarm';
  if (before.join('\n') === now.join('\n')) return null;
  if (now.length === 0) return 'recovered';
  return before.length === 0 ? 'alarm' : 'changed';
}

const HEADLINES: Readonly<Record<WatchEvent['event'], string>> = {
  well: 'is well',
  alarm: 'ALARM',
  changed: 'STILL AN ALARM',
  recovered: 'is well again',
};

function textOf(event: WatchEvent['event'], nodeId: string, problems: readonly Problem[]): string {
  const what = problems.map(({ message }) => message).join('; ');
  return `signer of node ${nodeId}: ${HEADLINES[event]}${what === '' ? '' : `: ${what}`}`;
}
