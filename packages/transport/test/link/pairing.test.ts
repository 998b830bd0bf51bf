import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect as connectTcp } from 'node:net';
import { join } from 'node:path';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type LinkClock, systemClock, systemRandom } from '../../src/link/clock.ts';
import type { Doorman } from '../../src/link/doorman.ts';
import { openIdentity } from '../../src/link/identity.ts';
import { beginPairing, openPairingBook, openPairingDoor, pair, pairingDesk } from '../../src/link/pairing.ts';
import type { PairingBook } from '../../src/link/pairing-book.ts';
import {
  decodePairingReply,
  decodePairingRequest,
  encodePairingReply,
  encodePairingRequest,
  proofOf,
  receiveOne,
  ticketOf,
} from '../../src/link/pairing-proof.ts';
import { decodePairingToken, encodePairingToken } from '../../src/link/pairing-token.ts';
import { contextOf, dialTls, PAIRING_PROTOCOL, serverOptions } from '../../src/link/tls.ts';
import { freePort } from '../free-port.ts';
import { bytes, Cleanup, dial, Echo, listen, MASTER, QUICK, Side } from './harness.ts';

let cleanup: Cleanup;
let node: Side;
let signer: Side;
let skewMs = 0;
const clock: LinkClock = { ...systemClock, nowMs: () => systemClock.nowMs() + skewMs };
beforeEach(() => {
  cleanup = new Cleanup();
  node = new Side(cleanup);
  signer = new Side(cleanup);
  skewMs = 0;
});
afterEach(() => cleanup.run());

interface Waiting {
  readonly door: Doorman;
  readonly book: PairingBook;
  readonly paired: string[];
  begin(name?: string, seconds?: number): string;
}

async function wait(): Promise<Waiting> {
  const book = openPairingBook(join(node.directory, 'pairings.json'), clock);
  const paired: string[] = [];
  const { identityPath, pins, log } = node;
  const onPaired = (name: string): void => void paired.push(name);
  const door = await openPairingDoor({
    host: '127.0.0.1',
    port: 0,
    identityPath,
    pins,
    book,
    log,
    clock,
    onPaired,
  });
  cleanup.add(() => door.close());
  const addresses = [{ host: '127.0.0.1', port: door.port }];
  const begin = (name = 'signer', seconds?: number): string =>
    beginPairing({ book, pins, identityPath, name, addresses, ...(seconds === undefined ? {} : { seconds }) })
      .token;
  return { door, book, paired, begin };
}

const bring = (token: string, side = signer, name = 'node') => {
  const { identityPath, pins } = side;
  return pair({ token, identityPath, pins, name, timeoutMs: 30_000 });
};

describe('pairing', () => {
  it('gives each side the key of the other, once, for one token', async () => {
    const { begin, paired, door } = await wait();
    const token = begin();
    expect(await bring(token)).toEqual({ address: { host: '127.0.0.1', port: door.port }, pin: node.pin });
    expect(node.pins.list()).toMatchObject([{ name: 'signer', pin: signer.pin }]);
    expect(signer.pins.list()).toMatchObject([{ name: 'node', pin: node.pin }]);
    expect(paired).toEqual(['signer']);
    expect(node.names()).toEqual(['pairing-done']);
    await door.close();
    const link = await listen(cleanup, node);
    dial(cleanup, signer, link.port, new Echo());
    await link.ask(MASTER, bytes('x'));
  });

  it('works at the door of a node side that runs', async () => {
    const book = openPairingBook(join(node.directory, 'pairings.json'));
    const { identityPath, pins, log } = node;
    const pairing = pairingDesk({ identityPath, pins, log, book });
    const link = await listen(cleanup, node, {
      listen: { kind: 'tcp', host: '127.0.0.1', port: 0, identityPath, pins, pairing },
    });
    const addresses = [{ host: '127.0.0.1', port: link.port }];
    const { token } = beginPairing({ book, pins, identityPath, name: 'signer', addresses });
    await bring(token);
    dial(cleanup, signer, link.port, new Echo());
    await link.ask(MASTER, bytes('x'));
  });

  it('refuses a second signer with the same token, and says so', async () => {
    const { begin } = await wait();
    const token = begin();
    await bring(token);
    const thief = new Side(cleanup);
    await expect(bring(token, thief)).rejects.toMatchObject({
      code: 'pairing-refused',
      facts: { reason: 'used' },
    });
    expect(node.pins.find(thief.pin)).toBeUndefined();
    expect(thief.pins.list()).toEqual([]);
    expect(node.names()).toEqual(['pairing-done', 'pairing-refused']);
  });

  it('refuses a used token also to a signer that is known by another name', async () => {
    const { begin } = await wait();
    const token = begin();
    await bring(token);
    const other = new Side(cleanup);
    node.pins.add('other', other.pin);
    await expect(bring(token, other)).rejects.toMatchObject({ facts: { reason: 'used' } });
  });

  it('lets the one that was paired ask again, since the answer may be lost, but not when it was revoked', async () => {
    const { begin } = await wait();
    const token = begin();
    await bring(token);
    await bring(token);
    expect(node.pins.list()).toHaveLength(1);
    node.pins.revoke('signer');
    await expect(bring(token)).rejects.toMatchObject({ facts: { reason: 'used' } });
    expect(node.pins.list()).toEqual([]);
  });

  it('refuses an expired token on both sides', async () => {
    const { begin } = await wait();
    const token = begin('signer', 60);
    skewMs = 61_000;
    await expect(bring(token)).rejects.toMatchObject({
      code: 'pairing-refused',
      facts: { reason: 'expired' },
    });
    expect(node.pins.list()).toEqual([]);
    const { identityPath, pins } = signer;
    await expect(pair({ token, identityPath, pins, name: 'node', clock })).rejects.toMatchObject({
      facts: { reason: 'expired' },
      // Two clocks that differ would make every new token as bad.
      message: expect.stringMatching(/by the clock of this machine, \d{4}-\d\d-\d\d \d\d:\d\d UTC/),
    });
  });

  it('refuses a secret nobody gave out', async () => {
    const { begin, door } = await wait();
    begin();
    const forged = encodePairingToken({
      addresses: [{ host: '127.0.0.1', port: door.port }],
      pin: node.pin,
      secret: systemRandom(16),
      expiresAtSeconds: Math.floor(Date.now() / 1000) + 60,
    });
    await expect(bring(forged)).rejects.toMatchObject({ facts: { reason: 'unknown' } });
    expect(node.pins.list()).toEqual([]);
    expect(node.events[0]).toMatchObject({
      event: 'pairing-refused',
      facts: { address: '127.0.0.1', reason: 'unknown' },
    });
  });

  it('sends nothing of the secret to a node with another key', async () => {
    const { begin, door } = await wait();
    const { secret } = decodePairingToken(begin());
    const impostor = encodePairingToken({
      addresses: [{ host: '127.0.0.1', port: door.port }],
      pin: signer.pin,
      secret,
      expiresAtSeconds: Math.floor(Date.now() / 1000) + 60,
    });
    await expect(bring(impostor)).rejects.toMatchObject({ code: 'link-stranger' });
    await expect.poll(() => node.events.length).toBe(1);
    expect(node.events[0]!.event).not.toBe('pairing-done');
    expect(node.pins.list()).toEqual([]);
  });

  it('has proofs that hold for one connection: passed on by one in the middle they are worth nothing', async () => {
    const { begin, door } = await wait();
    const token = decodePairingToken(begin());
    // One in the middle with a key of its own gets the signer's proof (as if the signer did not look at the pin) …
    const middle = new Side(cleanup);
    const identity = openIdentity(middle.identityPath);
    const stolen = new Promise<Uint8Array>((resolve) => {
      const server = createTlsServer(
        serverOptions(identity, [PAIRING_PROTOCOL], 5_000),
        (socket: TLSSocket) => {
          socket.on('error', () => {});
          void receiveOne(socket).then(resolve);
        },
      );
      server.listen(0, '127.0.0.1', async () => {
        const { port } = server.address() as AddressInfo;
        const { host, ...rest } = {
          host: '127.0.0.1',
          protocol: PAIRING_PROTOCOL,
          timeoutMs: 30_000,
          clock,
        } as const;
        const socket = await dialTls({ host, port, identity: openIdentity(signer.identityPath), ...rest });
        const ends = { socket, nodePin: token.pin, signerPin: signer.pin };
        const { secret } = token;
        socket.write(
          encodePairingRequest({ ticket: ticketOf(secret), proof: proofOf('signer', secret, ends) }),
        );
        cleanup.add(() => void socket.destroy());
        cleanup.add(() => void server.close());
      });
    });
    const { ticket, proof } = decodePairingRequest(await stolen);
    // … and hands it to the node side.
    const onward = await dialTls({
      host: '127.0.0.1',
      port: door.port,
      identity,
      protocol: PAIRING_PROTOCOL,
      timeoutMs: 30_000,
      clock,
    });
    onward.write(encodePairingRequest({ ticket, proof }));
    expect(decodePairingReply(await receiveOne(onward))).toEqual({ kind: 'refused', reason: 'unknown' });
    expect(node.pins.list()).toEqual([]);
    onward.destroy();
  });

  it('has proofs that cannot be replayed, not even between the same two keys', async () => {
    const { begin, door } = await wait();
    const { secret, pin } = decodePairingToken(begin());
    const identity = openIdentity(signer.identityPath);
    const dial = {
      host: '127.0.0.1',
      port: door.port,
      identity,
      protocol: PAIRING_PROTOCOL,
      timeoutMs: 30_000,
      clock,
    } as const;
    const first = await dialTls(dial);
    const proof = proofOf('signer', secret, { socket: first, nodePin: pin, signerPin: identity.pin });
    first.destroy();
    expect(() => proofOf('signer', secret, { socket: first, nodePin: pin, signerPin: identity.pin })).toThrow(
      /over/,
    );
    const second = await dialTls(dial);
    second.write(encodePairingRequest({ ticket: ticketOf(secret), proof }));
    expect(decodePairingReply(await receiveOne(second))).toEqual({ kind: 'refused', reason: 'unknown' });
    second.destroy();
    expect(node.pins.list()).toEqual([]);
  });

  it('does not believe a node side that does not prove the secret', async () => {
    // It has the node's key, as after a theft of the file, but not the token.
    const identity = openIdentity(node.identityPath);
    const server = createTlsServer(
      serverOptions(identity, [PAIRING_PROTOCOL], 5_000),
      (socket: TLSSocket) => {
        socket.on('error', () => {});
        void receiveOne(socket).then(() =>
          socket.end(encodePairingReply({ kind: 'paired', proof: systemRandom(32) })),
        );
      },
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    cleanup.add(() => void server.close());
    const token = encodePairingToken({
      addresses: [{ host: '127.0.0.1', port: (server.address() as AddressInfo).port }],
      pin: identity.pin,
      secret: systemRandom(16),
      expiresAtSeconds: Math.floor(Date.now() / 1000) + 60,
    });
    await expect(bring(token)).rejects.toMatchObject({ code: 'link-stranger' });
    expect(signer.pins.list()).toEqual([]);
  });

  it('counts attempts, so that nobody can guess for long', async () => {
    const { begin, door } = await wait();
    const token = begin();
    const forged = encodePairingToken({ ...decodePairingToken(token), secret: systemRandom(16) });
    for (let attempt = 0; attempt < 5; attempt++)
      await expect(bring(forged)).rejects.toMatchObject({ facts: { reason: 'unknown' } });
    await expect(bring(token)).rejects.toMatchObject({ facts: { reason: 'busy' } });
    expect(door.waiting).toBeLessThanOrEqual(6);
  });

  it('drops one who says no message of a pairing', async () => {
    const { door } = await wait();
    for (const junk of [
      Uint8Array.of(255, 255, 255, 255),
      Uint8Array.of(0, 0, 0, 3, 1, 2, 3),
      new Uint8Array(0),
    ]) {
      const socket = await dialTls({
        host: '127.0.0.1',
        port: door.port,
        identity: openIdentity(signer.identityPath),
        protocol: PAIRING_PROTOCOL,
        timeoutMs: 30_000,
        clock,
      });
      const closed = new Promise((resolve) => socket.once('close', resolve));
      socket.end(junk);
      await closed;
    }
    await expect.poll(() => node.events.length).toBe(3);
    expect(node.events.every(({ event }) => event === 'pairing-refused')).toBe(true);
  });

  it('does not take a name that has a key already, nor a node that is known by another', async () => {
    const { begin, book } = await wait();
    const { identityPath, pins } = node;
    const token = begin();
    const other = new Side(cleanup);
    pins.add('signer', other.pin);
    await expect(bring(token)).rejects.toMatchObject({ facts: { reason: 'name-taken' } });
    const addresses = [{ host: 'x', port: 1 }];
    expect(() => beginPairing({ book, pins, identityPath, name: 'signer', addresses })).toThrow(
      /paired already/,
    );
    signer.pins.add('node', other.pin);
    await expect(bring(token)).rejects.toMatchObject({ code: 'pin-taken' });
  });

  it('tries the other addresses of a token', async () => {
    const { begin, door } = await wait();
    const token = decodePairingToken(begin());
    const port = await freePort();
    const addresses = [{ host: '127.0.0.1', port }, ...token.addresses];
    const found = await bring(encodePairingToken({ ...token, addresses }));
    expect(found.address.port).toBe(door.port);
    const nowhere = encodePairingToken({ ...token, addresses: [{ host: '127.0.0.1', port }] });
    await expect(bring(nowhere)).rejects.toMatchObject({ code: 'link-unreachable' });
  });

  it('is withdrawn before it was used, and shows nothing of its secret', async () => {
    const { begin, book } = await wait();
    const token = begin('cellar', 60);
    begin('attic', 60);
    expect(book.waiting().map(({ name }) => name)).toEqual(['cellar', 'attic']);
    expect(Object.keys(book.waiting()[0]!)).toEqual(['name', 'expiresAtSeconds']);
    expect(book.withdraw('cellar')).toBe(true);
    expect(book.withdraw('cellar')).toBe(false);
    await expect(bring(token)).rejects.toMatchObject({ facts: { reason: 'unknown' } });
    expect(node.pins.list()).toEqual([]);
    skewMs = 61_000;
    expect(book.waiting()).toEqual([]);
  });

  it('that was used does not wait any more', async () => {
    const { begin, book } = await wait();
    const token = begin();
    await bring(token);
    expect(book.waiting()).toEqual([]);
    expect(book.withdraw('signer')).toBe(false);
  });

  it('speaks nothing but pairing at its own door', async () => {
    const { door } = await wait();
    signer.pins.add('node', node.pin);
    node.pins.add('signer', signer.pin);
    const remote = dial(cleanup, signer, door.port, new Echo(), {
      limits: { ...QUICK, redialMsMax: 10_000 },
    });
    await expect.poll(() => signer.names()).toContain('link-dial-failed');
    expect(remote.state).toBe('dialling');
    const socket = connectTcp(door.port, '127.0.0.1');
    socket.on('error', () => {});
    const over = new Promise((resolve) => socket.once('close', resolve));
    socket.write('hello\r\n\r\n');
    await over;
    expect(contextOf(openIdentity(signer.identityPath)).minVersion).toBe('TLSv1.3');
  });
});

describe('the book of pairings', () => {
  it('is a file for its owner only, and remembers a few', () => {
    const path = join(node.directory, 'pairings.json');
    const book = openPairingBook(path, clock);
    for (let index = 0; index < 8; index++) book.begin(`s${index}`);
    expect(() => book.begin('one-more')).toThrow(/at most 8/);
    const again = book.begin('s0');
    expect(book.find(ticketOf(again.secret))).toMatchObject({ name: 's0', usedBy: null });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    skewMs = 26 * 3600 * 1000;
    book.begin('one-more');
    expect(JSON.parse(readFileSync(path, 'utf8')).pairings).toHaveLength(1);
    expect(() => book.begin('x', 0)).toThrow(/1 to 86400 seconds/);
  });

  it.each(['', '{}', '{"version":2,"pairings":[]}', '{"version":1,"pairings":[{"name":"x"}]}'])(
    'does not take %j for one',
    (content) => {
      const path = join(node.directory, 'pairings.json');
      writeFileSync(path, content, { mode: 0o600 });
      expect(() => openPairingBook(path).find(new Uint8Array(8))).toThrow(/no list of pairings/);
    },
  );
});

describe('the token', () => {
  const address = fc.record({
    host: fc.oneof(fc.ipV4(), fc.domain(), fc.ipV6()),
    port: fc.integer({ min: 1, max: 65535 }),
  });
  const token = fc.record({
    addresses: fc.array(address, { minLength: 1, maxLength: 4 }),
    pin: fc.uint8Array({ minLength: 32, maxLength: 32 }).map((pin) => Buffer.from(pin).toString('hex')),
    secret: fc.uint8Array({ minLength: 16, maxLength: 16 }),
    expiresAtSeconds: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  });

  it('is short, and read as it was written', () => {
    const one = encodePairingToken({
      addresses: [{ host: '192.168.100.200', port: 9740 }],
      pin: 'ab'.repeat(32),
      secret: new Uint8Array(16).fill(7),
      expiresAtSeconds: 1_800_000_000,
    });
    expect(one).toHaveLength(111);
    fc.assert(
      fc.property(token, (value) => {
        expect(decodePairingToken(encodePairingToken(value))).toEqual(value);
        expect(decodePairingToken(` ${encodePairingToken(value).replace(/(.{30})/g, '$1\n')} `)).toEqual(
          value,
        );
      }),
    );
  });

  it('shows a slip of the hand', () => {
    fc.assert(
      fc.property(
        token,
        fc.nat(),
        fc.constantFrom(...'qpzry9x8gf2tvdw0s3jn54khce6mua7l'),
        (value, at, letter) => {
          const good = encodePairingToken(value);
          const index = 7 + (at % (good.length - 7));
          fc.pre(good[index] !== letter);
          const bad = `${good.slice(0, index)}${letter}${good.slice(index + 1)}`;
          expect(() => decodePairingToken(bad)).toThrow(/mistyped/);
        },
      ),
    );
  });

  it('is read strictly', () => {
    fc.assert(
      fc.property(fc.string(), (words) => {
        expect(() => decodePairingToken(words)).toThrow(/cannot be read/);
      }),
    );
    expect(() => decodePairingToken('cspair1'.padEnd(5_000, 'q'))).toThrow(/too long/);
    const good = { pin: 'ab'.repeat(32), secret: new Uint8Array(16), expiresAtSeconds: 1 };
    expect(() => encodePairingToken({ ...good, addresses: [] })).toThrow(/1 to 4 addresses/);
    expect(() => encodePairingToken({ ...good, addresses: [{ host: 'x', port: 0 }] })).toThrow(/no port/);
    expect(() => encodePairingToken({ ...good, addresses: [{ host: '', port: 1 }] })).toThrow(/host/);
  });
});
