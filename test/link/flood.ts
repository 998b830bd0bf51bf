/**
 * Strangers at the open port of the node side, many and rude: junk of every kind, connections that trickle, garbage without end,
 * half handshakes, and a second signer, pinned, that sends half of a frame for ever. The paired link has to work on
 * as if nobody was there, and the memory of the process has to stay where it was.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { type LinkIdentity, openIdentity } from '@countersign/transport';
import type { Report } from './victim.ts';

export interface FloodOptions {
  readonly seconds: number;
  /** Junk connections, spread over the time. */
  readonly connections: number;
  readonly garbageBytesPerSecond: number;
  readonly onReport?: (report: Report, opened: number) => void;
}

export interface FloodResult {
  readonly opened: number;
  readonly garbageBytes: number;
  readonly rssBeforeBytes: number;
  readonly rssMaxBytes: number;
  readonly rssEndBytes: number;
  readonly tripsMs: readonly number[];
  readonly quietTripsMs: readonly number[];
  readonly asked: number;
  /** 1: the paired link was never lost. */
  readonly linksUp: number;
  readonly logLines: number;
  readonly refusals: readonly string[];
  readonly victimAlive: boolean;
}

const LINK_PROTOCOL = 'countersign-link/1';
/** The beginning of a handshake: a record of 512 bytes is announced, some come. */
const HALF_HELLO = Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, ...Array<number>(20).fill(9)]);
const BURST_MAX = 100;
const PAUSE_MS = 20;
const QUIET_MS = 1_000;
const SETTLE_MS = 1_500;

export async function flood(options: FloodOptions): Promise<FloodResult> {
  const directory = mkdtempSync(join(tmpdir(), 'link-flood-'));
  const second = openIdentity(join(directory, 'second.pem'));
  const stranger = openIdentity(join(directory, 'stranger.pem'));
  const child = fork(fileURLToPath(new URL('victim.ts', import.meta.url)), [], {
    execArgv: ['--conditions=source'],
    env: { ...process.env, SECOND_SIGNER_PIN: second.pin },
  });
  const watch = new Watch(child, options);
  try {
    const { port } = await watch.first;
    await sleep(QUIET_MS);
    watch.begin();
    const attack = new Attack(port, stranger, second, options);
    await attack.run();
    await sleep(SETTLE_MS);
    return { ...watch.result(), opened: attack.opened, garbageBytes: attack.garbageBytes };
  } finally {
    if (child.connected) child.disconnect();
    await Promise.race([watch.exited, sleep(5_000)]);
    child.kill('SIGKILL');
    rmSync(directory, { recursive: true });
  }
}

/** What the victim says about itself. */
class Watch {
  readonly first: Promise<Report>;
  readonly exited: Promise<unknown>;
  #last: Report | null = null;
  #rssBefore = 0;
  #rssMax = 0;
  #isAlive = true;
  #isQuiet = true;
  readonly #quiet: number[] = [];
  readonly #trips: number[] = [];

  constructor(child: ChildProcess, { onReport }: FloodOptions) {
    this.exited = new Promise((resolve) => child.once('exit', resolve));
    child.once('exit', () => {
      this.#isAlive = false;
    });
    this.first = new Promise((resolve, reject) => {
      child.once('exit', (code, signal) => reject(new Error(`the victim ended: ${code ?? signal}`)));
      child.on('message', (message) => {
        const report = message as Report;
        this.#last = report;
        (this.#isQuiet ? this.#quiet : this.#trips).push(...report.tripsMs);
        this.#rssMax = Math.max(this.#rssMax, report.rssBytes);
        onReport?.(report, 0);
        if (report.asked > 0) resolve(report);
      });
    });
    // A victim that ends later shows in the result.
    this.first.catch(() => {});
  }

  begin(): void {
    this.#isQuiet = false;
    this.#rssBefore = this.#last?.rssBytes ?? 0;
    this.#rssMax = this.#rssBefore;
  }

  result(): Omit<FloodResult, 'opened' | 'garbageBytes'> {
    const last = this.#last;
    if (last === null) throw new Error('the victim never said a word');
    const { asked, linksUp, logLines, refusals } = last;
    return {
      rssBeforeBytes: this.#rssBefore,
      rssMaxBytes: this.#rssMax,
      rssEndBytes: last.rssBytes,
      tripsMs: this.#trips,
      quietTripsMs: this.#quiet,
      asked,
      linksUp,
      logLines,
      refusals,
      victimAlive: this.#isAlive,
    };
  }
}

class Attack {
  opened = 0;
  garbageBytes = 0;
  readonly #port: number;
  readonly #stranger: LinkIdentity;
  readonly #second: LinkIdentity;
  readonly #options: FloodOptions;
  readonly #endsAtMs: number;
  readonly #open = new Set<{ destroy(): void }>();

  constructor(port: number, stranger: LinkIdentity, second: LinkIdentity, options: FloodOptions) {
    this.#port = port;
    this.#stranger = stranger;
    this.#second = second;
    this.#options = options;
    this.#endsAtMs = performance.now() + options.seconds * 1_000;
  }

  async run(): Promise<void> {
    await Promise.all([this.#junk(), this.#garbage(), this.#trickle(), this.#halfFrames()]);
    for (const socket of this.#open) socket.destroy();
  }

  get #isOver(): boolean {
    return performance.now() >= this.#endsAtMs;
  }

  /** As many as there should be by now, a burst at a time. */
  async #junk(): Promise<void> {
    const { seconds, connections } = this.#options;
    while (this.opened < connections) {
      const elapsedMs = performance.now() - (this.#endsAtMs - seconds * 1_000);
      const due = Math.min(connections, Math.ceil((connections * elapsedMs) / (seconds * 1_000)));
      for (let burst = 0; this.opened < due && burst < BURST_MAX; burst++) this.#one(this.opened++);
      await sleep(PAUSE_MS);
    }
  }

  #one(number: number): void {
    const kind = number % 6;
    if (kind === 4) this.#strangerWith('TLSv1.3');
    else if (kind === 5) this.#strangerWith('TLSv1.2');
    else {
      const socket = this.#raw();
      if (kind === 1) socket.write(randomBytes(2_000));
      if (kind === 2) socket.write(HALF_HELLO);
      if (kind === 3) socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    }
  }

  #raw(): Socket {
    return this.#keep(connect(this.#port, '127.0.0.1'));
  }

  /** A real handshake, by somebody nobody knows. */
  #strangerWith(version: 'TLSv1.3' | 'TLSv1.2'): void {
    const { privateKeyPem: key, certificatePem: cert } = this.#stranger;
    const socket = connectTls({
      host: '127.0.0.1',
      port: this.#port,
      key,
      cert,
      rejectUnauthorized: false,
      ALPNProtocols: [LINK_PROTOCOL],
      minVersion: version,
      maxVersion: version,
    });
    socket.once('secureConnect', () => socket.write(randomBytes(500)));
    this.#keep(socket);
  }

  #keep<Kept extends Socket>(socket: Kept): Kept {
    this.#open.add(socket);
    socket.on('error', () => {});
    socket.on('data', () => {});
    socket.on('close', () => this.#open.delete(socket));
    return socket;
  }

  /** As many bytes as there should be by now, on connections that look like TLS at first. */
  async #garbage(): Promise<void> {
    const piece = randomBytes(16 * 1024);
    const { seconds, garbageBytesPerSecond } = this.#options;
    let socket = this.#raw();
    while (!this.#isOver) {
      const elapsedMs = performance.now() - (this.#endsAtMs - seconds * 1_000);
      const dueBytes = (elapsedMs / 1_000) * garbageBytesPerSecond;
      for (let burst = 0; this.garbageBytes < dueBytes && burst < BURST_MAX; burst++) {
        if (socket.destroyed) {
          socket = this.#raw();
          // A record of the handshake, as long as one may be, over and over.
          socket.write(Buffer.from([0x16, 3, 3, 0x40, 0]));
        }
        socket.write(piece);
        this.garbageBytes += piece.length;
      }
      await sleep(PAUSE_MS);
    }
  }

  /** Slow-loris: many that send a byte of a handshake now and then. */
  async #trickle(): Promise<void> {
    const slow: { socket: Socket; at: number }[] = [];
    while (!this.#isOver) {
      while (slow.length < 200) slow.push({ socket: this.#raw(), at: 0 });
      for (const one of slow) one.socket.write(HALF_HELLO.subarray(one.at % HALF_HELLO.length, ++one.at));
      await sleep(250);
      for (const one of [...slow]) if (one.socket.destroyed) slow.splice(slow.indexOf(one), 1);
    }
  }

  /** The second signer: known, and malicious. Hello, then the first half of the longest frame, byte by byte. */
  async #halfFrames(): Promise<void> {
    const { privateKeyPem: key, certificatePem: cert } = this.#second;
    while (!this.#isOver) {
      const socket = this.#keep(
        connectTls({
          host: '127.0.0.1',
          port: this.#port,
          key,
          cert,
          rejectUnauthorized: false,
          ALPNProtocols: [LINK_PROTOCOL],
        }),
      );
      const hello = Buffer.alloc(4 + 33);
      hello.writeUInt32BE(33);
      hello.writeUInt8(1, 4);
      hello.writeUInt16BE(1, 5);
      hello.writeUInt16BE(1, 7);
      for (let at = 25; at < 37; at += 4) hello.writeUInt32BE(1, at);
      socket.write(hello);
      socket.write(Buffer.from([0, 0x40, 0, 0]));
      while (!this.#isOver && !socket.destroyed) {
        socket.write(randomBytes(2_000));
        await sleep(50);
      }
      socket.destroy();
    }
  }
}
