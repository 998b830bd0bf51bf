/** The words of a new seed: shown once, asked back, and no seed for whoever did not write them down. */
import { createHash, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { type BackupTerminal, checkBackup, sourceOf, wordLines } from '../src/signer/prompts.ts';

const WORDS = 'abandon ability able about above absent absorb abstract absurd abuse access accident'.split(
  ' ',
);
const random = (count: number): Uint8Array => Uint8Array.from(randomBytes(count));

/** Answers each question about a word with what `answer` says, given the right one. */
function terminalWith(answer: (right: string) => string) {
  const shown: string[] = [];
  const asked: number[] = [];
  let isClosed = false;
  const terminal: BackupTerminal = {
    write: (text) => void shown.push(text),
    question: async (query) => {
      const place = /^Word (\d+): $/.exec(query)?.[1];
      if (place === undefined) return '';
      asked.push(Number(place));
      return answer(WORDS[Number(place) - 1] ?? '');
    },
    close: () => {
      isClosed = true;
    },
  };
  return { terminal, shown, asked, isClosed: () => isClosed };
}

describe('the backup check', () => {
  it('shows the words, clears the screen, and asks three of them', async () => {
    const { terminal, shown, asked, isClosed } = terminalWith((right) => ` ${right.toUpperCase()} `);
    await checkBackup(WORDS, random, terminal);
    for (const word of WORDS) expect(shown[0]).toContain(word);
    expect(shown[1]).toBe('\u001b[2J\u001b[3J\u001b[H');
    expect(shown).toHaveLength(2);
    expect(asked).toHaveLength(3);
    expect([...asked].sort((a, b) => a - b)).toEqual(asked);
    expect(new Set(asked).size).toBe(3);
    expect(isClosed()).toBe(true);
  });

  it('asks for every place as often as for any other', async () => {
    const counts = new Map<number, number>();
    let drawn = 0;
    const repeatable = (count: number): Uint8Array =>
      Uint8Array.from(createHash('shake256', { outputLength: count }).update(`${drawn++}`).digest());
    for (let i = 0; i < 400; i++) {
      const { terminal, asked } = terminalWith((right) => right);
      await checkBackup(WORDS, repeatable, terminal);
      for (const place of asked) counts.set(place, (counts.get(place) ?? 0) + 1);
    }
    expect(counts.size).toBe(WORDS.length);
    // 100 each on average; five standard deviations are 43.
    for (const count of counts.values()) expect(Math.abs(count - 100)).toBeLessThan(50);
  });

  it('lets one mistype, twice, and then gives up', async () => {
    let left = 2;
    const clumsy = terminalWith((right) => (left-- > 0 ? 'zoo' : right));
    await checkBackup(WORDS, random, clumsy.terminal);
    const lost = terminalWith(() => 'zoo');
    await expect(checkBackup(WORDS, random, lost.terminal)).rejects.toThrow(/words were not written down/);
    expect(lost.asked).toHaveLength(3);
    expect(lost.isClosed()).toBe(true);
  });

  it('needs a terminal', async () => {
    await expect(checkBackup(WORDS, random, null)).rejects.toMatchObject({
      code: 'usage',
      advice: expect.stringMatching(/--skip-backup-check/),
    });
  });
});

it('words come four in a row, numbered', () => {
  expect(wordLines(WORDS).slice(3)).toEqual([
    '   1 abandon      2 ability      3 able         4 about',
    '   5 above        6 absent       7 absorb       8 abstract',
    '   9 absurd      10 abuse       11 access      12 accident',
  ]);
});

it('a passphrase comes from one place', () => {
  const terminal = { kind: 'terminal' } as const;
  expect(sourceOf({}, terminal)).toEqual(terminal);
  expect(sourceOf({ passphraseFile: 'a' }, terminal)).toEqual({ kind: 'file', path: 'a' });
  expect(sourceOf({ passphraseFd: 3 }, terminal)).toEqual({ kind: 'descriptor', descriptor: 3 });
  expect(() => sourceOf({ passphraseFile: 'a', passphraseFd: 3 }, terminal)).toThrow(/one place/);
});
