/** Where passphrases come from, and what a broken source is told as. */
import { EventEmitter } from 'node:events';
import { chmodSync, closeSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  askHidden,
  PASSPHRASE_BYTES_MAX,
  type PassphraseSource,
  readPassphrase,
  terminalAsk,
} from '../src/seed/passphrase.ts';
import { bytes, noPassphrases, temporaryDirectory } from './support.ts';

const read = (source: PassphraseSource, credentialsDirectory?: string): Promise<string> =>
  readPassphrase(source, { ...noPassphrases, credentialsDirectory }, 'Passphrase: ').then((typed) =>
    new TextDecoder().decode(typed),
  );

function fileWith(content: string | Uint8Array): string {
  const path = join(temporaryDirectory(), 'passphrase');
  writeFileSync(path, content);
  return path;
}

describe('a passphrase', () => {
  it.each([
    ['plain', 'plain'],
    ['with newline\n', 'with newline'],
    ['of an editor\r\n', 'of an editor'],
    [' blanks count ', ' blanks count '],
    ['ünïcode 🗝\n\n', 'ünïcode 🗝'],
  ])('is the line of a file: %j', async (content, passphrase) => {
    expect(await read({ kind: 'file', path: fileWith(content) })).toBe(passphrase);
  });

  it('may be as long as it may be, and no longer', async () => {
    const longest = 'x'.repeat(PASSPHRASE_BYTES_MAX);
    expect(await read({ kind: 'file', path: fileWith(`${longest}\n`) })).toBe(longest);
    await expect(read({ kind: 'file', path: fileWith(`${longest}x`) })).rejects.toMatchObject({
      code: 'passphrase-unusable',
    });
  });

  it.each(['', '\n', 'one\ntwo\n'])('is not %j', async (content) => {
    await expect(read({ kind: 'file', path: fileWith(content) })).rejects.toMatchObject({
      code: 'passphrase-unusable',
    });
  });

  it.each([
    [0o600, 0],
    [0o400, 0],
    [0o640, 1],
    [0o604, 1],
  ])('of a file of mode %o, which others may read or not, is told so: %d line', async (mode, lines) => {
    const path = fileWith('secret');
    chmodSync(path, mode);
    const warnings: string[] = [];
    const place = { ...noPassphrases, warn: (text: string) => void warnings.push(text) };
    await readPassphrase({ kind: 'file', path }, place, 'Passphrase: ');
    expect(warnings).toEqual(
      Array(lines).fill(`others on this machine may read the passphrase in ${path}: give it mode 600`),
    );
  });

  it('comes from the service manager, by name', async () => {
    const directory = temporaryDirectory();
    writeFileSync(join(directory, 'alice'), 'sealed by the machine');
    expect(await read({ kind: 'credential', name: 'alice' }, directory)).toBe('sealed by the machine');
    await expect(read({ kind: 'credential', name: 'bob' }, directory)).rejects.toMatchObject({
      code: 'passphrase-missing',
    });
    for (const name of ['../alice', '/etc/hostname', '..', '.']) {
      await expect(read({ kind: 'credential', name }, directory)).rejects.toMatchObject({
        code: 'passphrase-unusable',
      });
    }
    for (const none of [undefined, '']) {
      await expect(read({ kind: 'credential', name: 'alice' }, none)).rejects.toThrow(/LoadCredential=/);
    }
  });

  it('comes over a descriptor', async () => {
    const descriptor = openSync(fileWith('handed over\n'), 'r');
    expect(await read({ kind: 'descriptor', descriptor })).toBe('handed over');
    closeSync(descriptor);
    await expect(read({ kind: 'descriptor', descriptor: 999 })).rejects.toMatchObject({
      code: 'passphrase-missing',
    });
  });

  it('is asked for on a terminal, where there is one', async () => {
    await expect(read({ kind: 'terminal' })).rejects.toThrow(/no terminal.*passphrase_file/);
    const ask = async (question: string): Promise<Uint8Array> => bytes(`${question}typed`);
    const typed = await readPassphrase({ kind: 'terminal' }, { ...noPassphrases, ask }, 'Q: ');
    expect(new TextDecoder().decode(typed)).toBe('Q: typed');
    const nothing = async (): Promise<Uint8Array> => bytes('');
    await expect(
      readPassphrase({ kind: 'terminal' }, { ...noPassphrases, ask: nothing }, 'Q: '),
    ).rejects.toMatchObject({ code: 'passphrase-unusable' });
  });
});

class FakeTerminal extends EventEmitter {
  isRaw = false;
  isPaused = true;
  setRawMode(isRaw: boolean): void {
    this.isRaw = isRaw;
  }
  resume(): void {
    this.isPaused = false;
  }
  pause(): void {
    this.isPaused = true;
  }
}

function typing(...chunks: string[]) {
  const terminal = new FakeTerminal();
  const shown: string[] = [];
  const input = terminal as unknown as Parameters<typeof askHidden>[0];
  const asked = askHidden(input, 'Q: ', (text) => {
    // Typed at once, it would be echoed before.
    if (text === 'Q: ') expect(terminal.isRaw).toBe(true);
    shown.push(text);
  });
  expect(terminal).toMatchObject({ isRaw: true, isPaused: false });
  for (const chunk of chunks) terminal.emit('data', Buffer.from(chunk));
  return { terminal, shown, asked };
}

describe('typing', () => {
  it.each([
    [['secret\r'], 'secret'],
    [['s', 'e', 'c\n'], 'sec'],
    [['secx\x7fret\r'], 'secret'],
    [['ü\x08ö🗝\x7f!\r'], 'ö!'],
    [['\x7f\x7fa\r'], 'a'],
  ])('%j gives "%s", and shows nothing', async (chunks, passphrase) => {
    const { terminal, shown, asked } = typing(...chunks);
    expect(new TextDecoder().decode(await asked)).toBe(passphrase);
    expect(shown).toEqual(['Q: ', '\n']);
    expect(terminal).toMatchObject({ isRaw: false, isPaused: true });
    expect(terminal.listenerCount('data')).toBe(0);
  });

  it.each(['abc\x03', 'abc\x04'])('%j gives up', async (chunk) => {
    const { terminal, asked } = typing(chunk);
    await expect(asked).rejects.toMatchObject({ code: 'passphrase-missing' });
    expect(terminal.isRaw).toBe(false);
  });

  it('ends with the terminal', async () => {
    const { terminal, asked } = typing('abc');
    terminal.emit('end');
    await expect(asked).rejects.toThrow(/terminal was closed/);
  });

  it('ends with the process that asks', async () => {
    const ending = new AbortController();
    const terminal = new FakeTerminal();
    const input = terminal as unknown as Parameters<typeof askHidden>[0];
    const asked = askHidden(input, 'Q: ', () => {}, ending.signal);
    ending.abort();
    await expect(asked).rejects.toMatchObject({ code: 'passphrase-missing' });
    expect(terminal).toMatchObject({ isRaw: false, isPaused: true });
    await expect(askHidden(input, 'Next: ', () => {}, ending.signal)).rejects.toThrow(/is to end/);
    expect(terminal).toMatchObject({ isRaw: false, isPaused: true });
  });

  it('is not waited for where there is no terminal', () => {
    expect(terminalAsk()).toBe(null);
  });
});
