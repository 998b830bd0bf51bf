/**
 * `node --conditions=source bench/link.ts`: the round trip of a request over the link, mutual TLS on the loopback, beside a bare
 * TLS echo of the same bytes in the same run. The other end is a process of its own, as in life.
 */
import { fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { NodeSideLink, openIdentity, PinStore } from '@countersign/transport';
import { microseconds, ratio, summarize, type Times } from './statistics.ts';
import { printRows } from './table.ts';

const BODY_BYTES = 1024;
const ROUNDS = 5;
const WARM_UP = 1_000;
const COUNT = 3_000;
const IN_FLIGHT = 32;
const CLIENT = { peerId: new Uint8Array(33).fill(2), dbid: 1n, permissions: 12n };

export interface LinkBench {
  readonly link: Times;
  readonly bare: Times;
  readonly unix: Times;
  /** Requests a second with `IN_FLIGHT` of them under way. */
  readonly linkPerSecond: number;
}

export async function measureLink(): Promise<LinkBench> {
  const directory = mkdtempSync(join(tmpdir(), 'bench-link-'));
  const identityPath = join(directory, 'node.pem');
  const signerIdentity = openIdentity(join(directory, 'signer.pem'));
  const { pin } = openIdentity(identityPath);
  const pins = PinStore.open(join(directory, 'pins.json'));
  pins.add('signer', signerIdentity.pin);
  PinStore.open(join(directory, 'signer-pins.json')).add('node', pin);
  const tcp = await NodeSideLink.listen({
    listen: { kind: 'tcp', host: '127.0.0.1', port: 0, identityPath, pins },
    log: () => {},
  });
  const unix = await NodeSideLink.listen({
    listen: { kind: 'unix', path: join(directory, 's', 'l') },
    log: () => {},
  });
  const child = fork(
    fileURLToPath(new URL('link-child.ts', import.meta.url)),
    [directory, String(tcp.port)],
    {
      execArgv: ['--conditions=source'],
    },
  );
  try {
    const port = await new Promise<number>((resolve) =>
      child.once('message', (message) => resolve(Number(message))),
    );
    const echo = await bareEcho(port, signerIdentity.privateKeyPem, signerIdentity.certificatePem);
    const body = new Uint8Array(BODY_BYTES).fill(7);
    const ask = (link: NodeSideLink) => async (): Promise<void> => void (await link.ask(CLIENT, body));
    const [link, bare, local]: [number[], number[], number[]] = [[], [], []];
    for (let round = 0; round < ROUNDS; round++) {
      await measure(ask(tcp), link);
      await measure(echo.trip, bare);
      await measure(ask(unix), local);
    }
    const linkPerSecond = await rate(ask(tcp));
    echo.socket.destroy();
    return { link: summarize(link), bare: summarize(bare), unix: summarize(local), linkPerSecond };
  } finally {
    child.kill();
    await tcp.close();
    await unix.close();
    rmSync(directory, { recursive: true });
  }
}

async function measure(trip: () => Promise<void>, timesUs: number[]): Promise<void> {
  for (let index = 0; index < WARM_UP; index++) await trip();
  for (let index = 0; index < COUNT; index++) {
    const startedMs = performance.now();
    await trip();
    timesUs.push((performance.now() - startedMs) * 1_000);
  }
}

async function rate(trip: () => Promise<void>): Promise<number> {
  const startedMs = performance.now();
  await Promise.all(
    Array.from({ length: IN_FLIGHT }, async () => {
      for (let index = 0; index < COUNT / 4; index++) await trip();
    }),
  );
  return (IN_FLIGHT * COUNT) / 4 / ((performance.now() - startedMs) / 1_000);
}

/** No frames, no answers: what Node.js takes to bring so many bytes there and back. */
async function bareEcho(
  port: number,
  key: string,
  cert: string,
): Promise<{ readonly socket: TLSSocket; readonly trip: () => Promise<void> }> {
  const socket = connect({
    port,
    host: '127.0.0.1',
    key,
    cert,
    rejectUnauthorized: false,
    minVersion: 'TLSv1.3',
  });
  socket.setNoDelay(true);
  await new Promise((resolve) => socket.once('secureConnect', resolve));
  const body = Buffer.alloc(BODY_BYTES, 7);
  let missing = 0;
  let done = (): void => {};
  socket.on('data', (chunk) => {
    missing -= chunk.length;
    if (missing === 0) done();
  });
  const trip = (): Promise<void> =>
    new Promise((resolve) => {
      missing = BODY_BYTES;
      done = resolve;
      socket.write(body);
    });
  return { socket, trip };
}

export function printLink({ link, bare, unix, linkPerSecond }: LinkBench): void {
  const row = (name: string, times: Times): string[] => [
    name,
    microseconds(times.p50Us),
    microseconds(times.p99Us),
    ratio(times.p50Us, bare.p50Us),
  ];
  printRows(
    'Round trip of 1 KB to another process and back, loopback',
    ['', 'p50', 'p99', 'to a bare TLS echo'],
    [row('the link, mutual TLS 1.3', link), row('bare TLS echo', bare), row('the link, Unix socket', unix)],
  );
  console.log(`  ${IN_FLIGHT} in flight: ${Math.round(linkPerSecond)} requests a second`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) printLink(await measureLink());
