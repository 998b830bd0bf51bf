/**
 * Meets a full or read-only disk for real and prints as JSON what it saw. disk.test.ts runs it where it may mount a
 * small tmpfs of its own (`full`, `read-only`), or under a limit of the file size (`limited`).
 */
import { execFileSync } from 'node:child_process';
import { rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf, judge, open, scriptedAudit, scriptedChange } from './support.ts';

const [scenario = '', root = ''] = process.argv.slice(2);
const directory = join(root, 'store');

/** Commit, three at a time, until one fails; returns the acknowledged ids and the code. */
async function commitUntilFailure(
  rounds: number,
): Promise<{ acknowledged: string[]; code: string; state: string }> {
  const journal = open(directory);
  const acknowledged: string[] = [];
  for (let round = 0; round < rounds && journal.state === 'open'; round += 1) {
    const commits = ['x', 'y', 'z'].map(async (name) => {
      const changes = ['a', 'b'].map((part) => {
        const key = `${name}/${part}`;
        return scriptedChange(key, (journal.read(key)?.version ?? 0) + 1);
      });
      const id = `${name}/${changes[0]?.version}`;
      await journal.commit(changes, [scriptedAudit(id, changes)]);
      acknowledged.push(id);
    });
    await Promise.allSettled(commits);
  }
  const { state, stats } = journal;
  await journal.close();
  return { acknowledged, code: stats.lastError?.code ?? 'none', state };
}

/** Everything acknowledged is there, nothing in part, and the store takes commits again. */
async function reopen(acknowledged: readonly string[]): Promise<void> {
  const journal = open(directory, { mode: 'open' });
  const ids = await judge(journal, acknowledged);
  const { problems } = await journal.checkIntegrity();
  if (problems.length > 0) throw new Error(problems.join());
  const change = scriptedChange('after', (journal.read('after')?.version ?? 0) + 1);
  await journal.commit([change], [scriptedAudit(`after/${ids.length}`, [change])]);
  await journal.close();
}

async function full(): Promise<unknown> {
  const { bavail, bsize } = statfsSync(root);
  writeFileSync(join(root, 'filler'), new Uint8Array(bavail * bsize - 400_000));
  const seen = await commitUntilFailure(10_000);
  const whileFull = await codeOf(async () => open(join(root, 'another')));
  rmSync(join(root, 'filler'));
  await reopen(seen.acknowledged);
  return { code: seen.code, state: seen.state, acknowledged: seen.acknowledged.length, whileFull };
}

async function readOnly(): Promise<unknown> {
  const seen = await commitUntilFailure(5);
  const remount = (how: string): void => void execFileSync('mount', ['-o', `remount,bind,${how}`, root]);
  remount('ro');
  const existing = await codeOf(() => open(directory));
  const creating = await codeOf(() => open(join(root, 'another')));
  remount('rw');
  await reopen(seen.acknowledged);
  return { existing, creating };
}

function limited(): Promise<unknown> {
  return commitUntilFailure(10_000);
}

const scenarios = new Map([
  ['full', full],
  ['read-only', readOnly],
  ['limited', limited],
]);
console.log(JSON.stringify(await scenarios.get(scenario)?.()));
