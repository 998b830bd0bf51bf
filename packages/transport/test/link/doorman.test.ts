import { type AddressInfo, connect as connectTcp, createServer } from 'node:net';
import { type ConnectionOptions, connect } from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/link/clock.ts';
import { Doorman, networkOf, type Visitor } from '../../src/link/doorman.ts';
import { newIdentity } from '../../src/link/identity.ts';
import { LINK_LIMITS, type LinkLimits } from '../../src/link/limits.ts';
import { type LinkEvent, RefusalLog } from '../../src/link/log.ts';
import { contextOf, dialTls, LINK_PROTOCOL, PAIRING_PROTOCOL, peerOf } from '../../src/link/tls.ts';

const node = newIdentity();
const signer = newIdentity();
const opened: Doorman[] = [];
afterEach(async () => {
  for (const one of opened.splice(0)) await one.close();
});

async function door(limits: Partial<LinkLimits> = {}) {
  const visitors: Visitor[] = [];
  const events: LinkEvent[] = [];
  const doorman = await Doorman.open({
    host: '127.0.0.1',
    port: 0,
    identity: node,
    protocols: [LINK_PROTOCOL],
    limits: { ...LINK_LIMITS, ...limits },
    clock: systemClock,
    refusals: new RefusalLog((event) => events.push(event), systemClock),
    onVisitor: (visitor) => visitors.push(visitor),
  });
  opened.push(doorman);
  return { doorman, visitors, events, port: doorman.port };
}

/** Resolves once the connection is over, with what came. */
function knock(port: number, bytes: Uint8Array | null): Promise<number> {
  return new Promise((resolve) => {
    const socket = connectTcp(port, '127.0.0.1');
    let received = 0;
    socket.on('data', (chunk) => {
      received += chunk.length;
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(received));
    if (bytes !== null) socket.write(bytes);
  });
}

function tlsWith(port: number, options: ConnectionOptions): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options });
    let error = 'closed';
    socket.on('data', () => {});
    socket.on('error', (cause) => {
      error = 'code' in cause ? String(cause.code) : cause.message;
    });
    socket.on('close', () => resolve(error));
  });
}

describe('the door of the node side', () => {
  it('lets in who shows a key, and tells whose it is', async () => {
    const { port, visitors, doorman } = await door();
    const socket = await dialTls({
      host: '127.0.0.1',
      port,
      identity: signer,
      protocol: LINK_PROTOCOL,
      timeoutMs: 30_000,
      clock: systemClock,
    });
    expect(peerOf(socket)).toEqual({ pin: node.pin, protocol: LINK_PROTOCOL });
    await expect.poll(() => visitors.length).toBe(1);
    expect(visitors[0]!.peer).toEqual({ pin: signer.pin, protocol: LINK_PROTOCOL });
    expect(doorman.waiting).toBe(1);
    visitors[0]!.admit();
    expect(doorman.waiting).toBe(0);
    socket.destroy();
  });

  it.each([
    ['TLS 1.2', { ...contextOf(signer), minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' }, /PROTOCOL/],
    ['no certificate', { ALPNProtocols: [LINK_PROTOCOL] }, /no certificate/],
    ['another protocol', { ...contextOf(signer), ALPNProtocols: ['h2'] }, /./],
    ['a protocol that is not open here', { ...contextOf(signer), ALPNProtocols: [PAIRING_PROTOCOL] }, /./],
    ['no protocol', contextOf(signer), /another protocol/],
  ] as const)('refuses %s', async (_name, options, reason) => {
    const { port, visitors, events, doorman } = await door();
    await tlsWith(port, options as ConnectionOptions);
    await expect.poll(() => events.length).toBe(1);
    expect(events[0]).toMatchObject({ event: 'link-refused', facts: { address: '127.0.0.1' } });
    expect(events[0]!.facts.reason).toMatch(reason);
    expect(visitors).toEqual([]);
    expect(doorman.waiting).toBe(0);
  });

  it('refuses plain text and garbage', async () => {
    const { port, visitors, events } = await door();
    await knock(port, new TextEncoder().encode('GET / HTTP/1.1\r\n\r\n'));
    await knock(port, new Uint8Array(100_000).fill(0x16));
    await expect.poll(() => events.length).toBe(2);
    expect(visitors).toEqual([]);
  });

  it('gives nobody more time than the handshake has', async () => {
    const { port, events } = await door({ handshakeMs: 100 });
    await Promise.all([knock(port, null), knock(port, Uint8Array.of(0x16, 3, 1, 2, 0, 1))]);
    expect(events.map(({ facts }) => facts.reason)).toEqual(['no handshake in time', 'no handshake in time']);
  });

  it('also not to a stranger that finishes it and then says nothing', async () => {
    const { port, visitors, doorman } = await door({ handshakeMs: 2_000 });
    await tlsWith(port, { ...contextOf(signer), ALPNProtocols: [LINK_PROTOCOL] });
    expect(visitors.length).toBe(1);
    expect(doorman.waiting).toBe(0);
  });

  it('lets the oldest of an address give way, so that a flood keeps nobody out', async () => {
    const { port, doorman, events, visitors } = await door({ pendingPerAddressMax: 4 });
    const junk = Array.from({ length: 40 }, () => knock(port, null));
    await Promise.all(junk.slice(0, 30));
    expect(doorman.waiting).toBeLessThanOrEqual(4);
    const socket = await dialTls({
      host: '127.0.0.1',
      port,
      identity: signer,
      protocol: LINK_PROTOCOL,
      timeoutMs: 30_000,
      clock: systemClock,
    });
    await expect.poll(() => visitors.length).toBe(1);
    expect(events.length).toBeLessThanOrEqual(10);
    socket.destroy();
  });

  it('lets those of the busiest address give way when there are too many of all', async () => {
    const { port, doorman } = await door({ pendingMax: 4 });
    const lone = connectTcp({ port, host: '127.0.0.1', localAddress: '127.0.0.2' });
    lone.on('error', () => {});
    let isOver = false;
    lone.on('close', () => {
      isOver = true;
    });
    await expect.poll(() => doorman.waiting).toBe(1);
    const junk = Array.from({ length: 20 }, () => knock(port, null));
    await Promise.all(junk.slice(0, 15));
    expect(isOver).toBe(false);
    expect(doorman.waiting).toBe(4);
    lone.destroy();
  });

  it('takes an IPv6 network of one for one address', () => {
    expect(networkOf('::ffff:10.0.0.7')).toBe('10.0.0.7');
    expect(networkOf('10.0.0.7')).toBe('10.0.0.7');
    expect(networkOf('2001:db8:1:2:3:4:5:6')).toBe('2001:db8:1:2::/64');
    expect(networkOf('2001:db8::5')).toBe('2001:db8:0:0::/64');
    expect(networkOf('2001:db8:1:2:3::')).toBe('2001:db8:1:2::/64');
    expect(networkOf('::1')).toBe('0:0:0:0::/64');
  });

  it('says where it cannot listen', async () => {
    const { port } = await door();
    const { doorman } = await door();
    expect(doorman.port).not.toBe(port);
    await expect(
      Doorman.open({
        host: '127.0.0.1',
        port,
        identity: node,
        protocols: [LINK_PROTOCOL],
        limits: LINK_LIMITS,
        clock: systemClock,
        refusals: new RefusalLog(() => {}, systemClock),
        onVisitor: () => {},
      }),
    ).rejects.toMatchObject({ code: 'link-listen-failed' });
  });

  it('shows the new key once there is one', async () => {
    const { port, doorman, visitors } = await door();
    const next = newIdentity();
    doorman.setIdentity(next);
    const dial = {
      host: '127.0.0.1',
      port,
      identity: signer,
      protocol: LINK_PROTOCOL,
      timeoutMs: 30_000,
    } as const;
    const socket = await dialTls({ ...dial, clock: systemClock });
    expect(peerOf(socket).pin).toBe(next.pin);
    await expect.poll(() => visitors.length).toBe(1);
    socket.destroy();
  });
});

describe('dialling', () => {
  it('ends in time when nobody says a word', async () => {
    const silent = createServer((socket) => void socket.on('error', () => {}).resume());
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as AddressInfo;
    const dial = {
      host: '127.0.0.1',
      port,
      identity: signer,
      protocol: LINK_PROTOCOL,
      timeoutMs: 50,
    } as const;
    await expect(dialTls({ ...dial, clock: systemClock })).rejects.toMatchObject({
      code: 'link-unreachable',
      message: 'no connection in time',
    });
    await new Promise((resolve) => silent.close(resolve));
  });
});
