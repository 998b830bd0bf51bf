/**
 * The load of 400 payments: through a real process, through the signer in this process, and its curve operations
 * alone. The three differ by sockets, and by everything that is not the curve.
 */

import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { equalBytes, loadSecp256k1 } from '@countersign/bitcoin';
import {
  createStateDirectory,
  hsmdPath,
  isFaithful,
  makeReport,
  playRecording,
  type RecordedMessage,
  type Recording,
  type ReplayReport,
  removeStateDirectory,
} from '@countersign/cli';
import {
  type ClientIdentity,
  KeyRing,
  MASTER_PERMISSIONS,
  networkByName,
  openHsmSecret,
  policyOf,
} from '@countersign/core';
import { Signer } from '@countersign/host';
import { openJournal } from '@countersign/store';
import { decodeMessage, encodeMessage } from '@countersign/wire';
import { CountingSecp256k1, type CurveCounts } from './curve.ts';
import { summarize, type Times, timeUs } from './statistics.ts';

const ANSWER_WAIT_MS = 30_000;
const PROTOCOL_VERSION = 6;
/** Answered by the session around the signer, not by the signer. */
const SESSION_MESSAGES = new Set([9, 11, 33, 99]);

/** Played through a process: what lightningd would see. */
export async function playThroughProcess(
  recordings: readonly Recording[],
  hsmd?: string,
): Promise<ReplayReport> {
  const path = hsmdPath(hsmd);
  const results = [];
  for (const recording of recordings) {
    const directory = createStateDirectory(recording);
    results.push(await playRecording(recording, { hsmdPath: path, directory, answerWaitMs: ANSWER_WAIT_MS }));
    removeStateDirectory(directory);
  }
  const report = makeReport(path, results);
  if (!isFaithful(report))
    throw new Error(`${path} does not play the load faithfully: run countersign replay`);
  return report;
}

export interface InProcess {
  readonly perType: ReadonlyMap<string, { readonly times: Times; readonly curve: CurveCounts }>;
  readonly totalUs: number;
  readonly commits: number;
}

/** CLIENT_HSMFD: type, node id, u64 database number, u64 permissions. */
function identityOf(request: Uint8Array): ClientIdentity {
  const view = new DataView(request.buffer, request.byteOffset);
  const dbid = view.getBigUint64(35);
  const channel = dbid === 0n ? null : { peerId: request.slice(2, 35), dbid };
  return { channel, permissions: view.getBigUint64(43) };
}

/** Decode, decide, make durable, sign, encode: without process and sockets. */
export async function playInProcess(recording: Recording): Promise<InProcess> {
  const directory = mkdtempSync(join(tmpdir(), 'countersign-bench-'));
  const secp = new CountingSecp256k1(loadSecp256k1());
  const network = networkByName('regtest');
  if (network === undefined) throw new Error('no regtest');
  const secret = await openHsmSecret(recording.hsmSecret.slice(), undefined);
  const ring = new KeyRing({
    secp256k1: secp,
    seed: secret.seed,
    bip32PublicVersion: network.bip32Public,
    force: {},
  });
  const monotonicMs = () => performance.now();
  const journal = openJournal(directory, { mode: 'create', randomBytes, monotonicMs });
  const signer = new Signer({
    ring,
    secp,
    journal,
    policy: policyOf(network, 'permissive'),
    nowSeconds: () => Math.floor(Date.now() / 1000),
    protocolVersion: PROTOCOL_VERSION,
  });
  try {
    const clients = new Map<number, ClientIdentity>([
      [0, { channel: null, permissions: MASTER_PERMISSIONS }],
    ]);
    const timesOf = new Map<string, number[]>();
    const curveOf = new Map<string, CurveCounts>();
    for (const message of recording.runs[0]!) {
      if (message.opensClient !== null) clients.set(message.opensClient, identityOf(message.request));
      if (SESSION_MESSAGES.has(message.type)) continue;
      secp.reset();
      const us = await timeUs(() => answer(signer, clients.get(message.client.id)!, message));
      const times = timesOf.get(message.typeName) ?? [];
      times.push(us);
      timesOf.set(message.typeName, times);
      curveOf.set(message.typeName, secp.addTo(curveOf.get(message.typeName)));
    }
    const perType = new Map(
      [...timesOf].map(([type, times]) => [type, { times: summarize(times), curve: curveOf.get(type)! }]),
    );
    const totalUs = [...timesOf.values()].flat().reduce((sum, one) => sum + one, 0);
    return { perType, totalUs, commits: journal.stats.commits };
  } finally {
    await journal.close();
    rmSync(directory, { recursive: true });
  }
}

async function answer(signer: Signer, client: ClientIdentity, message: RecordedMessage): Promise<void> {
  const decoded = decodeMessage(message.request, 'request');
  if (!decoded.ok || decoded.message.name === 'unknown')
    throw new Error(`${message.typeName} does not decode`);
  const answered = await signer.answer(client, decoded.message);
  if (answered.kind === 'refused') throw new Error(`${message.typeName}: ${answered.refusal.tag}`);
  const reply = encodeMessage(answered.reply);
  const { expected } = message;
  if (expected.kind !== 'reply' || !equalBytes(reply, expected.body))
    throw new Error(`${message.typeName} differs`);
}
