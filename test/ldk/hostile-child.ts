/** One hostile run, in a process of its own: what came of it, as a line of JSON. */
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { type AttackName, runHostile } from '@countersign/playground';

const result = await runHostile(
  process.argv[2] as AttackName,
  existsSync('/dev/shm') ? '/dev/shm' : tmpdir(),
);
process.stdout.write(`${JSON.stringify(result)}\n`);
