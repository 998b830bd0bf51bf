/** Recorded sessions of real nodes: opens, payments, forwards, closes, splices, a breach. */
import { join } from 'node:path';
import {
  BUNDLED_RECORDINGS,
  loadScenario,
  type RecordedMessage,
  scenarioName,
  scenariosAt,
} from '@countersign/cli';
import { describe, expect, it } from 'vitest';
import { EXPLAINED } from './explained.ts';
import { expectFaithful } from './harness.ts';

const LOAD = '20-payments-load';
const names = scenariosAt(undefined).map(scenarioName);
const sessions = names.filter((name) => name !== LOAD && name !== 'synthetic');
const TIMEOUT_MS = 300_000;

describe.each(sessions)('%s', (name) => {
  const recordings = loadScenario(join(BUNDLED_RECORDINGS, name));
  it.each(recordings.map((one) => [one.node, one] as const))(
    '%s',
    { timeout: TIMEOUT_MS },
    async (_, recording) => {
      await expectFaithful(recording);
    },
  );
});

describe('the list of explained refusals', () => {
  it('names only recordings and messages that exist', () => {
    for (const [name, refusals] of Object.entries(EXPLAINED)) {
      const [scenario, node] = name.split('/');
      if (scenario === 'synthetic') continue;
      const recording = loadScenario(join(BUNDLED_RECORDINGS, scenario!)).find((one) => one.node === node);
      const numbers = new Set(recording?.runs.flat().map((message) => message.seq));
      for (const seq of refusals.flatMap((one) => one.messages)) expect(numbers).toContain(seq);
    }
  });

  it('is right about the splice: what l1 asks to publish is the commitment it revoked', () => {
    const run = loadScenario(join(BUNDLED_RECORDINGS, 'dualfund-splice'))[0]!.runs[0]!;
    const [validated, revoked, published] = [183, 201, 209].map((seq) => run[seq]!);
    expect([validated, revoked, published].map((message) => message?.typeName)).toEqual([
      'VALIDATE_COMMITMENT_TX',
      'REVOKE_COMMITMENT_TX',
      'SIGN_COMMITMENT_TX',
    ]);
    // REVOKE_COMMITMENT_TX: type, number. Its reply holds the secret of that number.
    expect(new DataView(revoked!.request.buffer).getBigUint64(2)).toBe(8n);
    expect(transactionAt(published!, 2 + 33 + 8)).toEqual(transactionAt(validated!, 2));
  });
});

/** `bitcoin_tx`: u32 length, then the raw transaction. */
function transactionAt(message: RecordedMessage, offset: number): Uint8Array {
  const length = new DataView(message.request.buffer).getUint32(offset);
  return message.request.slice(offset + 4, offset + 4 + length);
}
