/**
 * What the signer's commands ask on the terminal: passphrases twice and unseen, words of the backup. Where there is no terminal
 * nothing is asked, and the command says which option takes its place.
 */
import { createInterface } from 'node:readline/promises';
import { equalBytes } from '@countersign/bitcoin';
import { type PassphraseSource, readPassphrase, terminalAsk } from '@countersign/daemon';
import { CommandError } from '../command-error.ts';

/** Less is guessed too soon, whatever scrypt costs. */
const PASSPHRASE_BYTES_MIN = 8;

export interface PassphraseFlags {
  readonly passphraseFile?: string;
  readonly passphraseFd?: number;
}

/** What the options name; else what is given. */
export function sourceOf(flags: PassphraseFlags, otherwise: PassphraseSource): PassphraseSource {
  if (flags.passphraseFile !== undefined && flags.passphraseFd !== undefined)
    throw new CommandError('usage', 'a passphrase comes from one place', 'Give one of the two options.');
  if (flags.passphraseFile !== undefined) return { kind: 'file', path: flags.passphraseFile };
  if (flags.passphraseFd !== undefined) return { kind: 'descriptor', descriptor: flags.passphraseFd };
  return otherwise;
}

const place = () => ({
  credentialsDirectory: process.env.CREDENTIALS_DIRECTORY,
  ask: terminalAsk(),
  warn: (text: string) => void process.stderr.write(`countersign: ${text}\n`),
});

/** One that exists already. The caller wipes it. */
export function askPassphrase(source: PassphraseSource, question: string): Promise<Uint8Array> {
  return readPassphrase(source, place(), question);
}

/** A new one, typed twice where it is typed. The caller wipes it. */
export async function askNewPassphrase(source: PassphraseSource, what: string): Promise<Uint8Array> {
  const first = await readPassphrase(source, place(), `New passphrase for ${what}: `);
  if (first.length < PASSPHRASE_BYTES_MIN) {
    first.fill(0);
    const message = `a passphrase of less than ${PASSPHRASE_BYTES_MIN} characters is no protection`;
    throw new CommandError(
      'usage',
      message,
      'Take a longer one: six words of a list, or 32 random bytes in hex.',
    );
  }
  if (source.kind !== 'terminal') return first;
  const second = await readPassphrase(source, place(), 'The same again: ');
  const isSame = equalBytes(first, second);
  second.fill(0);
  if (isSame) return first;
  first.fill(0);
  throw new CommandError('usage', 'the two were not the same', 'Nothing was written. Try again.');
}

/** How many words are asked back. */
const WORDS_ASKED = 3;
const TRIES = 3;

/** Where the words are shown and asked for. */
export interface BackupTerminal {
  write(text: string): void;
  question(query: string): Promise<string>;
  close(): void;
}

/** Null where there is none. */
export function backupTerminal(): BackupTerminal | null {
  if (process.stdin.isTTY !== true) return null;
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  return {
    write: (text) => void process.stderr.write(text),
    question: (query) => lines.question(query),
    close: () => lines.close(),
  };
}

/** Clears the screen and what was scrolled out of it. */
const CLEAR = '\u001b[2J\u001b[3J\u001b[H';

/** Shows the words once, and asks some of them back. Throws `CommandError` when they do not come. */
export async function checkBackup(
  words: readonly string[],
  random: (count: number) => Uint8Array,
  terminal: BackupTerminal | null,
): Promise<void> {
  if (terminal === null) {
    throw new CommandError(
      'usage',
      'there is no terminal to show the words on and to ask for them',
      'Run it on a terminal, or add --skip-backup-check: then the words are printed, and keeping them is up to you.',
    );
  }
  try {
    terminal.write(`${wordLines(words).join('\n')}\n\n`);
    await terminal.question('Write them down, in this order. Then press Enter: the screen is cleared. ');
    terminal.write(CLEAR);
    for (const index of chosen(words.length, random)) await askWord(terminal, words, index);
  } finally {
    terminal.close();
  }
}

async function askWord(terminal: BackupTerminal, words: readonly string[], index: number): Promise<void> {
  for (let left = TRIES; left > 0; left--) {
    const answer = await terminal.question(`Word ${index + 1}: `);
    if (answer.trim().toLowerCase() === words[index]) return;
    terminal.write('That is not the word.\n');
  }
  throw new CommandError('usage', 'the words were not written down', 'No seed was kept. Begin again.');
}

export function wordLines(words: readonly string[]): string[] {
  const lines = [
    'These words are the node: whoever has them has its funds, and without them a lost disk',
    'loses them. They are shown this once.',
    '',
  ];
  for (let i = 0; i < words.length; i += 4) {
    const row = words.slice(i, i + 4).map((word, j) => `${String(i + j + 1).padStart(4)} ${word.padEnd(10)}`);
    lines.push(row.join('').trimEnd());
  }
  return lines;
}

/** Different places, in order. */
function chosen(count: number, random: (count: number) => Uint8Array): number[] {
  const places = new Set<number>();
  while (places.size < Math.min(WORDS_ASKED, count)) {
    const byte = random(1)[0] ?? 0;
    // Every place as likely as every other.
    if (byte < count * Math.floor(256 / count)) places.add(byte % count);
  }
  return [...places].sort((a, b) => a - b);
}
