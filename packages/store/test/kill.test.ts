/**
 * SIGKILL at random moments: what was acknowledged is there, nothing is there in part, and the lock died with its
 * holder. (A kill loses no page cache; the loss of power is modelled in power.test.ts.)
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { inDirectory, judge, open } from './support.ts';

const CHILD = join(import.meta.dirname, 'kill-child.ts');
const ROUNDS = 10;
const ENOUGH = 100;

/** Returns the ids the child printed before it was killed, complete lines only. */
async function runAndKill(directory: string, run: string, lifeMs: number): Promise<string[]> {
  const child = spawn(process.execPath, ['--conditions=source', CHILD, directory, run]);
  let output = '';
  let errors = '';
  child.stderr.on('data', (data) => {
    errors += String(data);
  });
  const closed = new Promise((resolve) => child.once('close', (_, signal) => resolve(signal)));
  const opened = new Promise<void>((resolve) => {
    child.stdout.on('data', (data) => {
      output += String(data);
      if (output.includes('open\n')) resolve();
    });
  });
  await Promise.race([opened, closed]);
  await delay(lifeMs);
  child.kill('SIGKILL');
  expect(await closed, errors).toBe('SIGKILL');
  return output.split('\n').slice(1, -1);
}

describe('a signer killed at any moment', () => {
  it('finds every acknowledged commit and no part of another', async () => {
    await inDirectory(async (directory) => {
      const acknowledged: string[] = [];
      // On a busy machine a short life may see no commit at all.
      for (let round = 0; round < ROUNDS || acknowledged.length <= ENOUGH; round += 1) {
        acknowledged.push(...(await runAndKill(directory, `run${round}`, Math.random() ** 2 * 250)));
        // No retry: the lock must be gone with the process.
        const journal = open(directory, { mode: 'open' });
        await judge(journal, acknowledged);
        await journal.close();
      }
      expect(acknowledged.length).toBeGreaterThan(ENOUGH);
    });
  }, 300_000);

  it('can be created again after a kill during creation', async () => {
    for (const lifeMs of [45, 65, 85]) {
      await inDirectory(async (directory) => {
        const child = spawn(process.execPath, ['--conditions=source', CHILD, directory, 'run']);
        const closed = new Promise((resolve) => child.once('close', resolve));
        await delay(lifeMs);
        child.kill('SIGKILL');
        await closed;
        const journal = open(directory);
        await judge(journal, []);
        expect((await journal.checkIntegrity()).problems).toEqual([]);
        await journal.close();
      });
    }
  });
});
