/** What the demo draws: fits the terminal, tells an attack and its refusal, and cries out when something was signed. */
import { EventEmitter } from 'node:events';
import type { ReadStream, WriteStream } from 'node:tty';
import { COLOURED, PLAIN, width } from '@countersign/cli';
import { describe, expect, it } from 'vitest';
import { type AttackFacts, type DemoFacts, drawScreen, openTerminal } from '../src/index.ts';

const attackFacts: AttackFacts = {
  title: 'Empty the wallet',
  story: 'All coins of the on-chain wallet, in one transaction, to an address of the thief’s.',
  stakeSat: 4_999_000n,
  refusedBy: {
    tag: 'policy-onchain-no-unknown-outputs',
    text: 'policy-onchain-no-unknown-outputs: nobody approved it',
  },
  wealthBeforeSat: 690_000,
  wealthAfterSat: 690_000,
};

const facts: DemoFacts = {
  heightBlocks: 131,
  channel: { capacitySat: 1_000_000n, oursSat: 690_000n, theirsSat: 300_000n },
  walletSat: 4_999_000n,
  paymentsSent: 12,
  paymentsReceived: 3,
  spentSat: 24_000n,
  earnedSat: 9_000n,
  signed: 412,
  refused: 1,
  answerMs: 1.26,
  certainSat: 5_689_000,
  attacks: [attackFacts],
  triedSat: 4_999_000n,
  stolenSat: 0n,
  lines: ['Alice paid Bob 1200 sat: an invoice she approves of'],
};

describe('the screen', () => {
  it.each([
    [80, 24],
    [60, 40],
    [200, 60],
    [20, 5],
  ])('fits %i columns and %i rows', (columns, rows) => {
    for (const style of [PLAIN, COLOURED]) {
      const lines = drawScreen({ ...facts, attacks: [attackFacts, attackFacts, attackFacts] }, style, {
        columns,
        rows,
      });
      expect(lines.length).toBeLessThanOrEqual(Math.max(rows - 1, 2));
      if (columns >= 80)
        for (const line of lines) expect(width(line)).toBeLessThanOrEqual(Math.max(100, columns));
      expect(lines.at(-1)).toContain('quit');
    }
  });

  it('names the rule that refused, and what the attack was after', () => {
    const text = drawScreen(facts, PLAIN, { columns: 100, rows: 50 }).join('\n');
    expect(text).toContain('refused by policy-onchain-no-unknown-outputs');
    expect(text).toContain('after 4,999,000 sat');
    expect(text).toContain('Stolen            0 sat');
    expect(text).toContain('5,689,000 sat');
  });

  it('tells before there is a channel or an attack what is going on', () => {
    const text = drawScreen({ ...facts, channel: null, attacks: [] }, PLAIN, { columns: 100, rows: 50 }).join(
      '\n',
    );
    expect(text).toContain('opening');
    expect(text).toContain('Or press a.');
  });

  it('does not hide a theft', () => {
    const robbed = { ...attackFacts, refusedBy: null, wealthAfterSat: 1 };
    const text = drawScreen({ ...facts, attacks: [robbed], stolenSat: 689_999n }, PLAIN, {
      columns: 100,
      rows: 50,
    });
    expect(text.join('\n')).toMatch(/SIGNED\n.*fell from 690,000 sat to 1 sat/);
    expect(text.join('\n')).toContain('689,999 sat');
  });
});

class Input extends EventEmitter {
  isRaw = false;
  isPaused = false;
  setEncoding(): this {
    return this;
  }
  setRawMode(mode: boolean): this {
    this.isRaw = mode;
    return this;
  }
  pause(): this {
    this.isPaused = true;
    return this;
  }
}

describe('the terminal', () => {
  it('gives keys one by one, Ctrl-C as q, and is left as it was found, once', () => {
    const input = new Input();
    const written: string[] = [];
    const output = { columns: 80, rows: 24, write: (text: string) => written.push(text) };
    const keys: string[] = [];
    const terminal = openTerminal(input as unknown as ReadStream, output as unknown as WriteStream, (key) =>
      keys.push(key),
    );
    input.emit('data', 'pa');
    input.emit('data', '\u0003');
    expect(keys).toEqual(['p', 'a', 'q']);
    expect(input.isRaw).toBe(true);
    terminal.draw(['one', 'two']);
    expect(terminal.size).toEqual({ columns: 80, rows: 24 });
    terminal.close();
    terminal.close();
    terminal.draw(['three']);
    input.emit('data', 'p');
    expect(keys.length).toBe(3);
    expect([input.isRaw, input.isPaused]).toEqual([false, true]);
    expect(written.filter((text) => text.includes('?1049l')).length).toBe(1);
    expect(written.join('')).not.toContain('three');
  });
});
