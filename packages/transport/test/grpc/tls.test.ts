/** TLS below gRPC: both ends of ours, and a client of another library; pins, authorities, and who has neither. */
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { type GrpcTls, SignerDialler } from '../../src/grpc/index.ts';
import { U64_MAX } from '../../src/grpc/messages.ts';
import { checkTls } from '../../src/grpc/tls.ts';
import { type LinkIdentity, newIdentity } from '../../src/link/identity.ts';
import type { LinkAnswer } from '../../src/link/protocol.ts';
import { freePort } from '../free-port.ts';
import { AUTHORITY_PEM, CLIENT, SERVER } from './certificates.ts';
import { foreignPing, foreignSigner } from './foreign.ts';
import { asked, initReply, later, MASTER, nodeSide, pointRequest, replyBody, until } from './support.ts';

const node = newIdentity();
const signer = newIdentity();
const stranger = newIdentity();

function tlsOf(own: LinkIdentity, ...pins: string[]): GrpcTls {
  const { certificatePem, privateKeyPem } = own;
  return { certificatePem, privateKeyPem, pins, authoritiesPem: null };
}

function dial(port: number, tls: GrpcTls | null, host = '127.0.0.1') {
  const log: string[] = [];
  const dialler = new SignerDialler({
    host,
    port,
    tls,
    handler: {
      ask: async (): Promise<LinkAnswer> => ({ kind: 'reply', body: initReply() }),
      feed: async () => ({ kind: 'reply', body: initReply() }),
      feedEnded: () => {},
    },
    refusalReply: () => new Uint8Array(2),
    networkName: 'regtest',
    log: (level, text) => log.push(`${level} ${text}`),
    onBug: (error) => expect.unreachable(String(error)),
    limits: { redialFirstMs: 20, redialLongestMs: 50 },
  });
  later(() => dialler.close());
  dialler.start();
  return { dialler, log };
}

const foreign = (port: number, own: LinkIdentity | null) => ({
  baseUrl: `https://127.0.0.1:${port}`,
  nodeOptions: {
    rejectUnauthorized: false,
    ...(own && { key: own.privateKeyPem, cert: own.certificatePem }),
  },
});

async function served(port: number, own: LinkIdentity) {
  const stream = await foreignSigner(foreign(port, own));
  later(() => stream.abort());
  await asked(stream);
  stream.responses.push({ requestId: U64_MAX, message: initReply() });
  return stream;
}

describe('pinned keys', () => {
  it('both ends of ours know each other', async () => {
    const { side } = await nodeSide({}, tlsOf(node, signer.pin));
    const { dialler } = dial(side.port, tlsOf(signer, node.pin));
    await until(() => dialler.state === 'up' && side.state === 'up', 'both are up');
    expect(replyBody(await side.ask(MASTER, pointRequest(1n))).length).toBeGreaterThan(2);
  });

  it('the time for the handshake is over with the handshake', async () => {
    const { side } = await nodeSide({ handshakeMs: 1_500 }, tlsOf(node, signer.pin));
    await served(side.port, signer);
    await until(() => side.state === 'up', 'it is up');
    await new Promise((resolve) => setTimeout(resolve, 1_700));
    expect(side.state).toBe('up');
  });

  it('the time for the handshake is over too for who comes again from the same address', async () => {
    const { side } = await nodeSide({ handshakeMs: 200 }, tlsOf(node, signer.pin));
    const localPort = await freePort();
    const come = () =>
      new Promise<{ below: Socket; isClosed: () => boolean }>((resolve, reject) => {
        const below = connect({ host: '127.0.0.1', port: side.port, localPort });
        const { privateKeyPem: key, certificatePem: cert } = signer;
        const secured = connectTls({ socket: below, rejectUnauthorized: false, key, cert });
        let isClosed = false;
        secured.on('close', () => {
          isClosed = true;
        });
        secured.on('error', reject);
        secured.on('secureConnect', () => resolve({ below, isClosed: () => isClosed }));
      });
    const first = await come();
    await until(() => side.connections === 1, 'it is in');
    first.below.resetAndDestroy();
    const second = await come();
    later(() => second.below.destroy());
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(second.isClosed()).toBe(false);
    expect(side.connections).toBe(1);
  });

  it('a client of another library with the pinned key gets in', async () => {
    const { side } = await nodeSide({}, tlsOf(node, signer.pin));
    expect(await foreignPing(foreign(side.port, signer), 'hello')).toBe('hello');
  });

  it('who shows another key, or none, never reaches HTTP/2', async () => {
    const { side, log } = await nodeSide({}, tlsOf(node, signer.pin));
    await expect(foreignPing(foreign(side.port, stranger), 'hello')).rejects.toThrow();
    await expect(foreignPing(foreign(side.port, null), 'hello')).rejects.toThrow();
    await expect(foreignPing({ baseUrl: `http://127.0.0.1:${side.port}` }, 'hello')).rejects.toThrow();
    expect(log.some((line) => line.includes(`a key that is not pinned (${stranger.pin})`))).toBe(true);
    expect(log.every((line) => line.includes('a stranger at 127.0.0.1'))).toBe(true);
    expect(side.state).toBe('waiting');
  });

  it('the dialler says nothing to a node side of another key', async () => {
    const { side, log: heard } = await nodeSide({}, tlsOf(stranger, signer.pin));
    const { dialler, log } = dial(side.port, tlsOf(signer, node.pin));
    await until(() => log.length > 0, 'the failure is told');
    expect(log[0]).toContain(`a key that is not pinned (${stranger.pin})`);
    expect(dialler.state).toBe('waiting');
    expect(heard.filter((line) => line.includes('connected'))).toEqual([]);
  });

  it('the dialler says nothing without TLS when it wants TLS', async () => {
    const { side } = await nodeSide();
    const { dialler, log } = dial(side.port, tlsOf(signer, node.pin));
    await until(() => log.length > 0, 'the failure is told');
    expect(log[0]).toContain('no TLS with the other side');
    expect(dialler.state).toBe('waiting');
  });

  it('the dialler says what it may be when it is taken and let go', async () => {
    const { side } = await nodeSide({}, tlsOf(node, signer.pin));
    const { log: unknown } = dial(side.port, tlsOf(stranger, node.pin));
    await until(() => unknown.length > 0, 'the failure is told');
    expect(unknown[0]).toMatch(
      new RegExp(`hangs up after TLS: it may not know the key of this side, ${stranger.pin}$`),
    );
    const { log: plain } = dial(side.port, null);
    await until(() => plain.length > 0, 'the failure is told');
    expect(plain[0]).toMatch(/hangs up without a word: it may want TLS \(https, and the pin of its key\)$/);
  });

  it('nothing older than TLS 1.3', async () => {
    const { side } = await nodeSide({}, tlsOf(node, signer.pin));
    const { port } = side;
    const failed = await new Promise<boolean>((resolve) => {
      const socket = connectTls({
        host: '127.0.0.1',
        port,
        maxVersion: 'TLSv1.2',
        rejectUnauthorized: false,
        key: signer.privateKeyPem,
        cert: signer.certificatePem,
      });
      socket.on('secureConnect', () => resolve(false));
      socket.on('error', () => resolve(true));
    });
    expect(failed).toBe(true);
  });

  it('of several pinned signers one is served, another is sent away while it is there', async () => {
    const second = newIdentity();
    const { side, log } = await nodeSide({}, tlsOf(node, signer.pin, second.pin));
    const first = await served(side.port, signer);
    await until(() => side.state === 'up', 'the first is there');
    const other = await foreignSigner(foreign(side.port, second))
      .then(
        (stream) => stream.next(),
        (error: unknown) => Promise.reject(error),
      )
      .catch((error: unknown) => error);
    expect(String(other)).toContain('another signer is connected');
    expect(log.some((line) => line.includes('a second signer'))).toBe(true);
    expect(side.state).toBe('up');
    first.abort();
    await until(() => side.state === 'down', 'the first is gone');
    await served(side.port, second);
    await until(() => side.state === 'up', 'the other is taken');
  });

  it('TLS with anyone is refused, and so is a pin that is none', () => {
    expect(() => checkTls(tlsOf(node))).toThrow(expect.objectContaining({ code: 'link-stranger' }));
    expect(() => checkTls(tlsOf(node, 'AB'))).toThrow(expect.objectContaining({ code: 'link-stranger' }));
    expect(() => dial(1, tlsOf(node))).toThrow(expect.objectContaining({ code: 'link-stranger' }));
  });
});

describe('authorities', () => {
  const common = { pins: [], authoritiesPem: AUTHORITY_PEM };
  const server: GrpcTls = { ...SERVER, ...common };
  const client: GrpcTls = { ...CLIENT, ...common };

  it('vouch for both ends', async () => {
    const { side } = await nodeSide({}, server);
    const { dialler } = dial(side.port, client, 'localhost');
    await until(() => dialler.state === 'up' && side.state === 'up', 'both are up');
  });

  it('vouch for the name that is dialled and no other', async () => {
    const { side } = await nodeSide({}, server);
    const { log } = dial(side.port, client, '127.0.0.1');
    await until(() => log.length > 0, 'the failure is told');
    expect(log[0]).toContain('does not match');
  });

  it('a certificate signed by itself is refused, at either end', async () => {
    const { side } = await nodeSide({}, server);
    const own = { ...tlsOf(signer), authoritiesPem: server.authoritiesPem };
    const { log } = dial(side.port, own, 'localhost');
    await until(() => log.length > 0, 'the failure is told');
    const { side: false_ } = await nodeSide(
      {},
      { ...tlsOf(stranger), authoritiesPem: server.authoritiesPem },
    );
    const { log: second } = dial(false_.port, client, 'localhost');
    await until(() => second.length > 0, 'the failure is told');
    expect(second[0]).toMatch(/self.signed/);
    expect([side.state, false_.state]).toEqual(['waiting', 'waiting']);
  });

  it('with a pin as well, both must hold', async () => {
    const { side } = await nodeSide({}, { ...server, pins: [stranger.pin] });
    const { log } = dial(side.port, client, 'localhost');
    await until(() => log.length > 0, 'the failure is told');
    expect(side.state).toBe('waiting');
  });
});
