/** Single cases: secret forms, version negotiation, mainnet, bad requests, edge numbers. */
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  BUNDLED_RECORDINGS,
  HsmdProcess,
  hsmdPath,
  loadSynthetic,
  messageType,
  type Recording,
} from '@countersign/cli';
import { describe, expect, it } from 'vitest';
import { expectFaithful } from './harness.ts';

const cases = loadSynthetic(join(BUNDLED_RECORDINGS, 'synthetic'));
const TIMEOUT_MS = 300_000;
const INIT_REPLY_V4 = 114;

describe('a single case', () => {
  it.each(cases.map((one) => [one.node, one] as const))(
    '%s',
    { timeout: TIMEOUT_MS },
    async (_, recording) => {
      await expectFaithful(recording);
    },
  );
});

function caseNamed(name: string): Recording {
  return cases.find((one) => one.node === name)!;
}

async function initialize(
  directory: string,
  request: Uint8Array,
): Promise<{ reply: Uint8Array; log: string[] }> {
  const hsmd = new HsmdProcess({ path: hsmdPath(undefined), directory, args: [], answerWaitMs: 20_000 });
  const answer = await hsmd.request(0, request);
  await hsmd.stop();
  const log = hsmd.statusMessages.flatMap((message) => (message.kind === 'log' ? [message.text] : []));
  if (answer.kind !== 'reply') throw new Error(`INIT got ${answer.kind}: ${hsmd.errorOutput}`);
  return { reply: answer.body, log };
}

describe('a directory without hsm_secret', () => {
  it.each([
    ['secret-created', 32, /^0{64}$/],
    ['secret-created-pass', 32, /^(?!0{64})[0-9a-f]{64}$/],
  ])('gets one at INIT (%s), and the next start gives the same keys', async (name, prefixBytes, prefix) => {
    const directory = mkdtempSync(join(tmpdir(), 'countersign-created-'));
    try {
      const init = caseNamed(name).runs[0]![0]!.request;
      const first = await initialize(directory, init);
      expect(messageType(first.reply)).toBe(INIT_REPLY_V4);
      expect(first.log.join('\n')).toMatch(/created new hsm_secret/);
      const path = join(directory, 'hsm_secret');
      const secret = readFileSync(path);
      expect(secret.subarray(0, prefixBytes).toString('hex')).toMatch(prefix);
      expect(secret.subarray(prefixBytes).toString().split(' ').length).toBe(12);
      expect(statSync(path).mode & 0o777).toBe(0o400);
      const second = await initialize(directory, init);
      expect(second.reply).toEqual(first.reply);
      expect(second.log.join('\n')).not.toMatch(/created new hsm_secret/);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
