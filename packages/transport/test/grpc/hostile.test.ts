/** Strangers at the node side's door: junk, silence, floods. None may cost much, or keep the signer out. */
import { connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { LINES_PER_MINUTE_MAX } from '../../src/grpc/log.ts';
import { U64_MAX } from '../../src/grpc/messages.ts';
import { systemClock } from '../../src/link/clock.ts';
import { newIdentity } from '../../src/link/identity.ts';
import { freePort } from '../free-port.ts';
import { foreignPing, foreignSigner, junk } from './foreign.ts';
import { dialIn, later, MASTER, nodeSide, pointRequest, replyBody, until } from './support.ts';

/** The signer's own stream has to be there in time, too, also on a busy machine. */
const STREAM_SOON = { streamWaitMs: 1_500 };
const PREFACE = new TextEncoder().encode('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

async function served(limits: Parameters<typeof nodeSide>[0] = {}) {
  const { side, log } = await nodeSide(limits);
  const signer = await dialIn(side.port);
  await until(() => side.state === 'up', 'the signer is greeted');
  const roundTrip = async (number: bigint) => {
    const asked = side.ask(MASTER, pointRequest(number));
    const { requestId } = (await signer.next()) ?? { requestId: 0n };
    signer.responses.push({ requestId, message: Uint8Array.of(0, 118) });
    return replyBody(await asked);
  };
  return { side, log, signer, roundTrip };
}

describe('a stranger', () => {
  it.each([
    ['HTTP/1', new TextEncoder().encode('GET / HTTP/1.1\r\nhost: x\r\n\r\n')],
    ['TLS without being asked', Uint8Array.of(0x16, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3)],
    ['zeros', new Uint8Array(100_000)],
    ['the preface, then noise', Uint8Array.of(...PREFACE, ...new Uint8Array(5_000).fill(0xa5))],
    ['a frame header of 16 MiB', Uint8Array.of(...PREFACE, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1)],
  ])('that says %s is cut off, the signer is not', async (_, bytes) => {
    const { side, roundTrip } = await served(STREAM_SOON);
    await junk(side.port, bytes);
    expect(await roundTrip(1n)).toEqual(Uint8Array.of(0, 118));
    await until(() => side.connections === 1, 'only the signer is left');
  });

  it('that says nothing, or one byte at a time, is cut off after its time', async () => {
    const { side, roundTrip } = await served(STREAM_SOON);
    await junk(side.port, new Uint8Array(0));
    const slow = connect({ host: '127.0.0.1', port: side.port });
    slow.on('error', () => {});
    let at = 0;
    const drip = setInterval(() => slow.write(PREFACE.subarray(at, ++at)), 100);
    later(() => clearInterval(drip));
    await new Promise((resolve) => slow.once('close', resolve));
    expect(at).toBeLessThan(PREFACE.length);
    await roundTrip(1n);
  });

  it('with a method that does not exist, or a greeting only, is told so and cut off after its time', async () => {
    const { side, roundTrip } = await served(STREAM_SOON);
    const session = connectHttp2(`http://127.0.0.1:${side.port}`);
    session.on('error', () => {});
    const status = await new Promise((resolve) => {
      const request = session.request({
        ':method': 'POST',
        ':path': '/hsmd.Hsmd/Other',
        'content-type': 'application/grpc',
        te: 'trailers',
      });
      request.on('response', (headers) => resolve(headers['grpc-status']));
      request.end();
    });
    expect(Number(status)).toBe(12);
    await new Promise((resolve) => session.once('close', resolve));
    await roundTrip(1n);
  });

  it('a second stream on one connection is refused, the first goes on', async () => {
    const { side } = await nodeSide();
    const session = connectHttp2(`http://127.0.0.1:${side.port}`);
    session.on('error', () => {});
    later(() => session.destroy());
    const open = () => {
      const stream = session.request({
        ':method': 'POST',
        ':path': '/hsmd.Hsmd/SignerStream',
        'content-type': 'application/grpc',
        te: 'trailers',
      });
      return new Promise((resolve) => stream.on('response', (headers) => resolve(headers['grpc-status'])));
    };
    expect(await open()).toBeUndefined();
    expect(await open()).toBe('8');
    expect(side.connections).toBe(1);
  });
});

describe('a signer', () => {
  it('whose connection broke comes back from the same address', async () => {
    const { side } = await nodeSide();
    const localPort = await freePort();
    for (let i = 0; i < 5; i++) {
      const socket = connect({ host: '127.0.0.1', port: side.port, localPort });
      const session = connectHttp2(`http://127.0.0.1:${side.port}`, { createConnection: () => socket });
      session.on('error', () => {});
      const stream = session.request({
        ':method': 'POST',
        ':path': '/hsmd.Hsmd/SignerStream',
        'content-type': 'application/grpc',
        te: 'trailers',
      });
      stream.on('error', () => {});
      // A refusal comes with its status at once.
      const head = await new Promise((resolve) => stream.on('response', resolve));
      expect(head).not.toHaveProperty('grpc-status');
      expect(side.connections).toBe(1);
      socket.resetAndDestroy();
    }
    await until(() => side.connections === 0, 'it is gone');
  });
});

describe('the log', () => {
  it('of a node side that streams come and go at is short, and says how much it leaves out', async () => {
    let nowMs = 0;
    const clock = { ...systemClock, monotonicMs: () => nowMs };
    const { side, log } = await nodeSide({}, null, undefined, clock);
    const come = () => foreignSigner({ baseUrl: `http://127.0.0.1:${side.port}` });
    for (let i = 0; i < 59; i++) await come();
    (await come()).abort();
    await until(() => side.connections === 0, 'they are gone');
    expect(log.length).toBe(2 * LINES_PER_MINUTE_MAX);
    nowMs = 60_000;
    (await come()).abort();
    await until(() => side.connections === 0, 'it is gone');
    const more = (level: string) => `${level} ${60 - LINES_PER_MINUTE_MAX} more such lines within a minute`;
    expect(log.slice(2 * LINES_PER_MINUTE_MAX)).toEqual([
      more('info'),
      expect.stringMatching(/^info a signer connected/),
      more('unusual'),
      expect.stringMatching(/^unusual the signer is gone/),
    ]);
  });

  it('tells once what a signer is sent away for, again and again', async () => {
    const { side, log } = await nodeSide();
    const wrong = async (error: string) => {
      const signer = await foreignSigner({ baseUrl: `http://127.0.0.1:${side.port}` });
      await signer.next();
      signer.responses.push({ requestId: U64_MAX, error });
      await expect(signer.next()).rejects.toThrow();
    };
    const told = () => log.filter((line) => /^(?:unusual|broken) /.test(line));
    for (let i = 0; i < 3; i++) await wrong('other keys');
    expect(told()).toEqual([expect.stringMatching(/^broken .*cut off: INIT was refused: other keys \(127/)]);
    await wrong('other network');
    expect(told()).toHaveLength(2);
    await dialIn(side.port);
    await until(() => side.state === 'up', 'the right one is there');
    await wrong('other network');
    expect(told().filter((line) => line.startsWith('broken'))).toHaveLength(3);
  });

  it('tells once of another signer that dials while one is there', async () => {
    const node = newIdentity();
    const signers = [newIdentity(), newIdentity()];
    const tls = { ...node, pins: signers.map(({ pin }) => pin), authoritiesPem: null };
    const { side, log } = await nodeSide({}, tls);
    const [first, second] = signers.map(({ privateKeyPem: key, certificatePem: cert }) => ({
      baseUrl: `https://127.0.0.1:${side.port}`,
      nodeOptions: { rejectUnauthorized: false, key, cert },
    }));
    const active = await foreignSigner(first!);
    later(() => active.abort());
    for (let i = 0; i < 3; i++) {
      const refused = foreignSigner(second!).then((stream) => stream.next());
      await expect(refused).rejects.toThrow('another signer is connected');
    }
    const told = log.filter((line) => line.includes('a second signer'));
    expect(told.map((line) => line.split(' ')[0])).toEqual(['unusual', 'debug', 'debug']);
  });
});

describe('a flood', () => {
  it('of 500 connections: few are kept, the signer goes on, another signer gets in', async () => {
    const { side, log, roundTrip } = await served(STREAM_SOON);
    const sockets: Socket[] = [];
    later(() => sockets.map((socket) => socket.destroy()));
    let peak = 0;
    for (let i = 0; i < 500; i++) {
      const socket = connect({ host: '127.0.0.1', port: side.port });
      socket.on('error', () => {}).resume();
      socket.write(PREFACE);
      sockets.push(socket);
      if (i % 50 !== 0) continue;
      await new Promise((resolve) => socket.once('connect', resolve));
      await roundTrip(BigInt(i));
      peak = Math.max(peak, side.connections);
    }
    // 16 and the signer; those that were cut off are counted until the kernel says so.
    expect(peak).toBeLessThanOrEqual(30);
    expect(await foreignPing({ baseUrl: `http://127.0.0.1:${side.port}` }, 'hello')).toBe('hello');
    expect(log.length).toBeLessThan(20);
  });

  it.each([
    ['in the handshake', true],
    ['without a stream', false],
  ])('from one address puts out its own connections %s, not those of others', async (_, isTls) => {
    const node = newIdentity();
    const tls = isTls ? { ...node, pins: [newIdentity().pin], authoritiesPem: null } : null;
    const { side } = await nodeSide({ handshakesMax: 10, strangersMax: 10 }, tls);
    const sockets: Socket[] = [];
    later(() => sockets.map((socket) => socket.destroy()));
    const come = async (localAddress: string) => {
      const socket = connect({ host: '127.0.0.1', port: side.port, localAddress });
      sockets.push(socket);
      await new Promise((resolve) => socket.on('error', () => {}).once('connect', resolve));
      return socket.resume();
    };
    const slow = await come('127.0.0.2');
    const first = await come('127.0.0.1');
    for (let i = 0; i < 30; i++) await come('127.0.0.1');
    await until(() => first.closed, 'the oldest of the flood is put out');
    expect(slow.closed).toBe(false);
  });

  it('at TLS: handshakes are bounded, and a stranger’s lines are few', async () => {
    const node = newIdentity();
    const signer = newIdentity();
    const tls = { ...node, pins: [signer.pin], authoritiesPem: null };
    const { side, log } = await nodeSide({ handshakesMax: 10, handshakeMs: 3_000 }, tls);
    const sockets: Socket[] = [];
    later(() => sockets.map((socket) => socket.destroy()));
    for (let i = 0; i < 300; i++) {
      const socket = connect({ host: '127.0.0.1', port: side.port });
      socket.on('error', () => {}).resume();
      if (i % 2 === 0) socket.write('not a hello');
      sockets.push(socket);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(side.connections).toBeLessThanOrEqual(10);
    const url = {
      baseUrl: `https://127.0.0.1:${side.port}`,
      nodeOptions: { rejectUnauthorized: false, key: signer.privateKeyPem, cert: signer.certificatePem },
    };
    expect(await foreignPing(url, 'hello')).toBe('hello');
    expect(log.length).toBeLessThanOrEqual(11);
    await until(() => side.connections <= 1, 'the silent ones are gone');
  });
});
