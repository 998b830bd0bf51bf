/**
 * How much busy channels gain from being in flight together: one channel and 32 of them, over a link by mutual TLS, against a
 * signer process with all rules and its store. `node --conditions=source bench/link-channels.ts`.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadSecp256k1 } from '@countersign/bitcoin';
import { linkFiles } from '@countersign/cln';
import {
  KeyRing,
  type KeyView,
  keyView,
  MASTER_PERMISSIONS,
  networkByName,
  openHsmSecret,
} from '@countersign/core';
import { type LinkClient, NodeSideLink, PinStore, type SignerLink } from '@countersign/transport';
import { encodeMessage, type Request } from '@countersign/wire';
import { type Balances, ChannelModel, type ModelHtlc } from '../packages/core/test/channel-model.ts';
import { initRequest } from '../packages/core/test/init-request.ts';
import { adding, removing } from '../packages/core/test/open-channel.ts';
import { bytesOf } from '../packages/core/test/test-signer.ts';
import { killAll } from '../test/live/daemon.ts';
import { RemoteSigner } from '../test/live/remote-signer.ts';
import { until } from '../test/live/wait.ts';
import { slowSyncs } from './slow-sync.ts';
import { milliseconds, ratio, summarize, type Times, timeUs } from './statistics.ts';
import { printRows } from './table.ts';

const CHANNELS = [1, 8, 32] as const;
const DECISIONS_MIN = 4_000;
const SYNC_MS = [0, 2, 5] as const;
const SECRET = new Uint8Array(32).fill(0x21);
const DAEMON_PERMISSIONS = 447n;
const HTLC_MSAT = 20_000_000n;
const LIGHTNINGD: LinkClient = { peerId: null, dbid: 0n, permissions: MASTER_PERMISSIONS };

/** What one channel asks, in order, as bytes: made before the clock runs. */
interface Script {
  readonly client: LinkClient;
  readonly opening: readonly Uint8Array[];
  readonly busy: readonly Uint8Array[];
}

async function keysOfSecret(): Promise<KeyView> {
  const { seed } = await openHsmSecret(SECRET.slice(), undefined);
  const network = networkByName('regtest')!;
  return keyView(new KeyRing({ secp256k1: loadSecp256k1(), seed, bip32PublicVersion: network.bip32Public }));
}

/** HTLCs that the peer offers and we fail, one after another: eight decisions that change state for each. */
function scriptOf(keys: KeyView, index: number, htlcs: number): Script {
  const model = new ChannelModel(keys, {
    dbid: BigInt(index + 1),
    peer: `peer ${index}`,
    isOutbound: false,
    pushMsat: 400_000_000n,
  });
  const encoded = (request: Request): Uint8Array => encodeMessage(request);
  const { peerId, dbid } = model.ref;
  let balances: Balances = model.initial;
  let number = 0;
  const opening = [
    model.setup(),
    { ...model.validate(0, balances), feerate: 0 },
    { ...model.signRemote(0, balances), feerate: 0 },
    model.lock(model.funding),
  ].map(encoded);
  const update = (next: Balances, isPeers: boolean): Uint8Array[] => {
    const ours = [model.validate(number + 1, next), model.revoke(number)];
    const theirs = [
      model.signRemote(number + 1, next),
      ...model.signRemoteHtlcs(number + 1, next),
      model.validateRevocation(number),
    ];
    balances = next;
    number += 1;
    return (isPeers ? [...ours, ...theirs] : [...theirs, ...ours]).map(encoded);
  };
  const busy: Uint8Array[] = [];
  for (let i = 0; i < htlcs; i++) {
    const htlc: ModelHtlc = {
      offeredBy: 'counterparty',
      amountMsat: HTLC_MSAT,
      preimage: bytesOf(`preimage ${index} ${i}`),
      cltvExpiry: 700_000,
    };
    busy.push(...update(adding(balances, htlc), true), ...update(removing(balances, htlc, 'failed'), false));
  }
  return { client: { peerId, dbid, permissions: DAEMON_PERMISSIONS }, opening, busy };
}

async function asked(link: SignerLink, client: LinkClient, body: Uint8Array): Promise<void> {
  const answer = await link.ask(client, body);
  if (answer.kind === 'refused') throw new Error(`refused: ${answer.refusal.tag}: ${answer.refusal.text}`);
}

interface Row {
  readonly channels: number;
  readonly decisionsPerSecond: number;
  /** Of the signer's process, all threads: whatever else the machine does. */
  readonly cpuUs: number;
  readonly latency: Times;
}

/** Requests that change no state are few: of nine in each HTLC, one. */
async function play(link: SignerLink, pid: number, scripts: readonly Script[]): Promise<Row> {
  for (const { client, opening } of scripts) {
    const { peerId, dbid } = client;
    if (peerId !== null)
      await asked(link, LIGHTNINGD, encodeMessage({ name: 'hsmd_new_channel', id: peerId, dbid }));
    for (const body of opening) await asked(link, client, body);
  }
  const times: number[] = [];
  const before = processorUs(pid);
  const wallUs = await timeUs(async () => {
    await Promise.all(
      scripts.map(async ({ client, busy }) => {
        for (const body of busy) times.push(await timeUs(() => asked(link, client, body)));
      }),
    );
  });
  return {
    channels: scripts.length,
    decisionsPerSecond: (times.length * 1e6) / wallUs,
    cpuUs: (processorUs(pid) - before) / times.length,
    latency: summarize(times),
  };
}

/** Linux counts in hundredths of a second (proc(5), fields 14 and 15, behind the name in brackets). */
function processorUs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

/** A signer of its own for each measurement. */
async function withSigner<T>(
  syncMs: number,
  work: (link: SignerLink, pid: number) => Promise<T>,
): Promise<T | null> {
  const directory = mkdtempSync(join(tmpdir(), 'countersign-bench-'));
  const environment = syncMs === 0 ? {} : slowSyncs(directory, syncMs * 1000);
  if (environment === null) return null;
  const node_directory = join(directory, 'node');
  const signer = await RemoteSigner.prepare({
    name: 'bench',
    directory: join(directory, 'signer'),
    node_directory,
    policy_toml: '[policy]\npreset = "hub"\n',
    files: {},
    hsm_secret: SECRET,
    has_cable: false,
    environment,
  });
  const files = linkFiles(join(node_directory, 'countersign'));
  const link = await NodeSideLink.listen({
    listen: {
      kind: 'tcp',
      host: '127.0.0.1',
      port: signer.listen_port,
      identityPath: files.identity,
      pins: PinStore.open(files.pins),
    },
    greet: async (ask) => {
      await ask(LIGHTNINGD, encodeMessage(initRequest('regtest')));
    },
    log: () => {},
  });
  try {
    signer.start();
    await until('the signer', 30_000, () => link.state === 'up');
    return await work(link, signer.pid ?? 0);
  } finally {
    await link.close();
    await signer.crash();
    rmSync(directory, { recursive: true, force: true });
  }
}

process.on('exit', killAll);
const machine = `${availableParallelism()} × ${cpus()[0]?.model.trim() ?? 'unknown'}, Node.js ${process.version}`;
console.log(machine);
const keys = await keysOfSecret();
const results: { readonly syncMs: number; readonly rows: readonly Row[] }[] = [];
for (const syncMs of SYNC_MS) {
  const rows: Row[] = [];
  for (const channels of CHANNELS) {
    const htlcs = Math.ceil(DECISIONS_MIN / 9 / channels / (syncMs > 0 && channels === 1 ? 8 : 1));
    const scripts = Array.from({ length: channels }, (_, i) => scriptOf(keys, i, htlcs));
    const row = await withSigner(syncMs, (link, pid) => play(link, pid, scripts));
    if (row !== null) rows.push(row);
  }
  const [one] = rows;
  if (one === undefined) continue;
  results.push({ syncMs, rows });
  printRows(
    syncMs === 0
      ? 'Busy channels over the link, the disk as it is'
      : `The same, every sync ${syncMs} ms longer`,
    ['channels', 'decisions per second', 'p50', 'p99', 'processor', 'to one channel'],
    rows.map(({ channels, decisionsPerSecond, latency, cpuUs }) => [
      String(channels),
      String(Math.round(decisionsPerSecond)),
      milliseconds(latency.p50Us),
      milliseconds(latency.p99Us),
      milliseconds(cpuUs),
      ratio(decisionsPerSecond, one.decisionsPerSecond),
    ]),
  );
}
const directory = join(import.meta.dirname, 'results');
mkdirSync(directory, { recursive: true });
writeFileSync(join(directory, 'link-channels.json'), `${JSON.stringify({ machine, results }, null, 2)}\n`);
process.exit(0);
