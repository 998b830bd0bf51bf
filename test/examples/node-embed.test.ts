/** The Node.js example, run as its readers run it. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ATTACKS } from '../../examples/shared/attacks.ts';
import { REPOSITORY } from '../../tools/workspace.ts';

const PROGRAM = join(REPOSITORY, 'examples/node-embed/main.ts');
const run = (...parts: readonly string[]): string =>
  execFileSync(
    process.execPath,
    ['--conditions=source', '--disable-warning=ExperimentalWarning', PROGRAM, ...parts],
    { encoding: 'utf8', timeout: 160_000 },
  );

describe('the signer in a Node.js application', () => {
  it('signs an honest payment, refuses every attack, and goes on from its state', () => {
    const [first = '', second = ''] = run().split('Once more');
    expect(first).toContain('A channel with Bob is open: you have 700000 sat');
    for (const told of [first, second]) {
      for (const { title } of ATTACKS) expect(told).toContain(`- ${title}\n    refused: `);
      expect(told.match(/by the rule policy-/g)).toHaveLength(ATTACKS.length);
    }
    expect(first).toContain('Nothing was lost: you have 675000 sat, Bob 325000 sat');
    expect(second).toContain('The channel goes on: you have 675000 sat');
    expect(second).toContain('Nothing was lost: you have 650000 sat');
  });

  it('keeps its state where it is told to', () => {
    const directory = mkdtempSync(join(tmpdir(), 'countersign-example-test-'));
    try {
      run(directory);
      expect(readdirSync(directory).sort()).toEqual(['hsm_secret', 'notes.json', 'state']);
      expect(run(directory)).toContain('The channel goes on: you have 675000 sat');
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
