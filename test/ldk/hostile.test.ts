/**
 * The compromised node: whoever has it calls the signer behind LDK's back. Each attack is refused by its rule, the channel goes
 * on, and the owner gets on chain what is his. Each runs in a process of its own.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { AttackName, HostileResult } from '@countersign/playground';
import { describe, expect, it } from 'vitest';

const TAGS: Readonly<Record<AttackName, string>> = {
  'old-state': 'policy-commitment-holder-not-revoked',
  'early-secret': 'policy-revoke-new-commitment-valid',
  'second-variant': 'policy-commitment-balance-conserved',
  'unapproved-payment': 'policy-commitment-htlc-offered-hash-matches',
  'forward-more': 'policy-commitment-htlc-routing-balance',
  'fail-upstream': 'policy-routing-balanced',
  'foreign-close': 'policy-mutual-destination-allowlisted',
  'foreign-sweep': 'policy-sweep-destination-allowlisted',
  withdraw: 'policy-onchain-no-unknown-outputs',
};

const CHILD = join(import.meta.dirname, 'hostile-child.ts');
/** Commitments, anchors, sweeps. */
const FEES_SAT = 15_000n;

async function run(name: string): Promise<HostileResult> {
  const flags = ['--conditions=source', '--disable-warning=ExperimentalWarning'];
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, CHILD, name], {
    timeout: 280_000,
  });
  return JSON.parse(stdout) as HostileResult;
}

describe('a compromised node cannot', () => {
  it.each(Object.entries(TAGS))(
    '%s: %s',
    async (name, tag) => {
      const result = await run(name);
      expect(result).toMatchObject({ tag, attackerSat: '0', paysAfter: true });
      expect(BigInt(result.ownedSat)).toBeGreaterThan(BigInt(result.expectedSat) - FEES_SAT);
    },
    300_000,
  );
});
