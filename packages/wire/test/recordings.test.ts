import { readFileSync } from 'node:fs';
import { fromHex, toHex } from '@countersign/bitcoin';
import { describe, expect, test } from 'vitest';
import { type Decoded, decodeMessage, definitionOf, encodeMessage, type Message } from '../src/index.ts';
import { readRecording, recordingPaths, VECTORS } from './recording.ts';

/** Recorded on purpose, to see CLN refuse them. */
const MALFORMED = new Map([
  ['synthetic/refuse-malformed-client.jsonl.gz', '00120000'],
  ['synthetic/refuse-malformed-master.jsonl.gz', '001b00ff'],
]);

function roundTrip(decoded: Decoded<Message>): string {
  if (!decoded.ok) throw new Error(`${decoded.error.message} ${String(decoded.error.facts.field)}`);
  return toHex(encodeMessage(decoded.message, decoded.trailing));
}

describe('recordings of CLN’s hsmd', () => {
  const paths = recordingPaths();

  test('are there', () => {
    expect(paths.length).toBeGreaterThan(50);
  });

  test.each(paths)('%s decodes and re-encodes byte for byte, and each reply answers its request', (path) => {
    for (const { request, reply } of readRecording(path)) {
      const decoded = decodeMessage(fromHex(request), 'request');
      if (request === MALFORMED.get(path)) {
        expect(decoded).toMatchObject({ ok: false, error: { code: 'malformed' } });
        continue;
      }
      if (roundTrip(decoded) !== request) expect.fail(`request changed: ${request.slice(0, 4)}`);
      if (reply === null || !decoded.ok) continue;
      const answer = decodeMessage(fromHex(reply), 'reply');
      if (roundTrip(answer) !== reply) expect.fail(`reply changed: ${reply.slice(0, 4)}`);
      if (!answer.ok || decoded.message.name === 'unknown') continue;
      const { replies } = definitionOf(decoded.message.name);
      if (!replies.includes(answer.message.name))
        expect.fail(`${decoded.message.name} answered by ${answer.message.name}`);
    }
  });

  test('hold every malformed message the test knows of', () => {
    for (const [path, hex] of MALFORMED)
      expect(readRecording(path).map(({ request }) => request)).toContain(hex);
  });

  test('unknown type 4660 is no error', () => {
    const recorded = readRecording('synthetic/refuse-unknown-type.jsonl.gz').find(
      (one) => one.type_num === 4660,
    );
    const decoded = decodeMessage(fromHex(recorded!.request), 'request');
    expect(decoded).toMatchObject({ ok: true, message: { name: 'unknown', type: 4660 } });
  });

  test('bytes after a request are handed out', () => {
    const trailing = readRecording('synthetic/trailing-bytes.jsonl.gz')
      .map(({ request }) => decodeMessage(fromHex(request), 'request'))
      .filter((decoded) => decoded.ok && decoded.trailing.length > 0);
    expect(trailing).toHaveLength(1);
    expect(trailing[0]).toMatchObject({ message: { name: 'hsmd_derive_secret' } });
  });
});

describe('recorded status messages', () => {
  interface Case {
    readonly case: string;
    readonly status_messages: readonly {
      readonly type: string;
      readonly hex: string;
      readonly text?: string;
    }[];
  }
  const { cases } = JSON.parse(readFileSync(new URL('cln/synthetic/cases.json', VECTORS), 'utf8')) as {
    cases: readonly Case[];
  };
  const statuses = cases.flatMap((one) => one.status_messages);

  test('re-encode byte for byte', () => {
    const names = new Set<string>();
    for (const { hex, text } of statuses) {
      const decoded = decodeMessage(fromHex(hex), 'status');
      expect(roundTrip(decoded)).toBe(hex);
      if (!decoded.ok) continue;
      names.add(decoded.message.name);
      if (decoded.message.name === 'status_log') expect(decoded.message.entry).toBe(text);
    }
    expect([...names].sort()).toEqual([
      'hsmstatus_client_bad_request',
      'status_fail',
      'status_log',
      'status_version',
    ]);
  });
});
