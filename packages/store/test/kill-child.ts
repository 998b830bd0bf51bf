/**
 * Commits without end from several concurrent callers and prints the id of each acknowledged commit: the victim of
 * kill.test.ts. Arguments: directory, name of the run.
 */
import { writeSync } from 'node:fs';
import { open, scriptedAudit, scriptedChange } from './support.ts';

const CALLERS = 6;
const [directory = '', run = ''] = process.argv.slice(2);
const journal = open(directory);
writeSync(1, 'open\n');

/** Two keys of its own and, alternating, one that all share: a torn commit would leave them apart. */
async function caller(number: number): Promise<void> {
  for (let count = 0; ; count += 1) {
    const keys = [`pair/${number}/a`, `pair/${number}/b`];
    if (count % 2 === 0) keys.push('shared');
    const changes = keys.map((key) => scriptedChange(key, (journal.read(key)?.version ?? 0) + 1));
    const id = `${run}/${number}/${count}`;
    await journal.commit(changes, [scriptedAudit(id, changes)]);
    writeSync(1, `${id}\n`);
  }
}

await Promise.all(Array.from({ length: CALLERS }, (_, number) => caller(number)));
