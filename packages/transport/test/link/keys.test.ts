import { X509Certificate } from 'node:crypto';
import { chmodSync, existsSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { selfSigned } from '../../src/link/certificate.ts';
import { every, fraction, type LinkClock, systemClock, systemRandom } from '../../src/link/clock.ts';
import {
  adoptStaged,
  newIdentity,
  openIdentity,
  readIdentity,
  stagedIdentity,
  stageIdentity,
} from '../../src/link/identity.ts';
import { type LinkEvent, RefusalLog } from '../../src/link/log.ts';
import { makePrivateDirectory } from '../../src/link/node-door.ts';
import { PinStore } from '../../src/link/pins.ts';
import { Cleanup, directory } from './harness.ts';

let cleanup: Cleanup;
let home: string;
beforeEach(() => {
  cleanup = new Cleanup();
  home = directory(cleanup);
});
afterEach(() => cleanup.run());

const pinOf = (digit: string): string => digit.repeat(64);

/** Timers that fire when the test takes them out. */
function scripted(): { readonly timers: (() => void)[]; readonly clock: LinkClock } {
  const timers: (() => void)[] = [];
  const after = (_delayMs: number, run: () => void): (() => void) => {
    timers.push(run);
    return () => void timers.splice(0);
  };
  return { timers, clock: { ...systemClock, after } };
}

describe('an identity', () => {
  it('is an Ed25519 key in a certificate that signs itself, whatever the chance', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 48, maxLength: 48 }), (chance) => {
        let at = 0;
        const identity = newIdentity((count) => {
          at += count;
          return chance.slice(at - count, at);
        });
        const certificate = new X509Certificate(identity.certificatePem);
        expect(certificate.verify(certificate.publicKey)).toBe(true);
        expect(certificate.publicKey.asymmetricKeyType).toBe('ed25519');
        expect(certificate.subject).toBe('CN=countersign link');
        expect(certificate.issuer).toBe(certificate.subject);
        expect(certificate.validTo).toBe('Dec 31 23:59:59 9999 GMT');
        expect(certificate.serialNumber).toHaveLength(32);
        expect(identity.pin).toMatch(/^[0-9a-f]{64}$/);
      }),
      { numRuns: 50 },
    );
  });

  it('has a certificate also with a long name', () => {
    const { privateKeyPem } = newIdentity();
    const { createPrivateKey, createPublicKey } = process.getBuiltinModule('node:crypto');
    const privateKey = createPrivateKey(privateKeyPem);
    const publicKey = createPublicKey(privateKey);
    for (const length of [1, 100, 200, 400]) {
      const serial = systemRandom(16);
      const certificate = new X509Certificate(
        selfSigned({ privateKey, publicKey, commonName: 'x'.repeat(length), serial }),
      );
      expect(certificate.verify(publicKey)).toBe(true);
    }
  });

  it('is kept in a file of its owner, the same at every start', () => {
    const path = join(home, 'link.pem');
    const made = openIdentity(path);
    expect(openIdentity(path)).toEqual(made);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    chmodSync(path, 0o640);
    expect(() => openIdentity(path)).toThrow(/others may use/);
  });

  it('is not read from a damaged file, and the message quotes nothing of it', () => {
    const path = join(home, 'link.pem');
    const { privateKeyPem } = openIdentity(path);
    const other = newIdentity();
    for (const content of [
      '',
      privateKeyPem,
      `${privateKeyPem}${other.certificatePem}`,
      'x'.repeat(300_000),
    ]) {
      writeFileSync(path, content);
      expect(() => readIdentity(path)).toThrow(/no identity|do not belong|far too long/);
    }
  });

  it('changes in two steps', () => {
    const path = join(home, 'link.pem');
    const old = openIdentity(path);
    expect(stagedIdentity(path)).toBeUndefined();
    expect(() => adoptStaged(path)).toThrow(/no new key/);
    const next = stageIdentity(path);
    expect(stageIdentity(path)).toEqual(next);
    expect(openIdentity(path)).toEqual(old);
    expect(adoptStaged(path)).toEqual(next);
    expect(openIdentity(path)).toEqual(next);
    expect(stagedIdentity(path)).toBeUndefined();
  });
});

describe('the list of pins', () => {
  const open = (clock: LinkClock = systemClock): PinStore => PinStore.open(join(home, 'pins.json'), clock);

  it('is empty without a file, and keeps what it was told', () => {
    const store = open();
    expect(store.list()).toEqual([]);
    store.add('a', pinOf('1'));
    store.add('a', pinOf('1'));
    store.add('b', pinOf('2'));
    expect(
      open()
        .list()
        .map(({ name, pin }) => [name, pin]),
    ).toEqual([
      ['a', pinOf('1')],
      ['b', pinOf('2')],
    ]);
    expect(open().find(pinOf('2'))?.name).toBe('b');
    expect(open().find(pinOf('3'))).toBeUndefined();
    expect(statSync(store.path).mode & 0o777).toBe(0o600);
    expect(existsSync(`${store.path}.lock`)).toBe(false);
  });

  it('has one key for a name and one name for a key', () => {
    const store = open();
    store.add('a', pinOf('1'));
    expect(() => store.add('a', pinOf('2'))).toThrow(/another key/);
    expect(() => store.add('b', pinOf('1'))).toThrow(/pinned as a already/);
    expect(() => store.add('../b', pinOf('3'))).toThrow(/a name has up to 32/);
    expect(() => store.revoke('b')).toThrow(/no key is pinned/);
    expect(() => store.announce('b', pinOf('3'))).toThrow(/no key is pinned/);
    store.add('b', pinOf('2'));
    expect(() => store.announce('b', pinOf('1'))).toThrow(/pinned as a already/);
    for (let index = 2; index < 64; index++) store.add(`n${index}`, index.toString(16).padStart(64, 'f'));
    expect(() => store.add('more', pinOf('e'))).toThrow(/at most 64/);
  });

  it('counts the old and the new key until the new one is used', () => {
    const store = open();
    store.add('a', pinOf('1'));
    store.announce('a', pinOf('2'));
    store.announce('a', pinOf('2'));
    expect([store.find(pinOf('1'))?.name, store.find(pinOf('2'))?.name]).toEqual(['a', 'a']);
    store.confirm(pinOf('1'));
    expect(store.find(pinOf('1'))?.name).toBe('a');
    store.confirm(pinOf('2'));
    expect([store.find(pinOf('1')), store.find(pinOf('2'))?.name]).toEqual([undefined, 'a']);
    expect(open().list()).toMatchObject([{ name: 'a', pin: pinOf('2'), nextPin: null }]);
  });

  it('sees what another process changes, and trusts nobody when it cannot be read', () => {
    const { timers, clock } = scripted();
    const store = open(clock);
    store.add('a', pinOf('1'));
    let changes = 0;
    const stop = store.onChange(() => {
      changes++;
    });
    timers.shift()!();
    expect(changes).toBe(0);
    open().revoke('a');
    timers.shift()!();
    expect([changes, store.list()]).toEqual([1, []]);
    open().add('b', pinOf('2'));
    store.refresh();
    expect([changes, store.list().length]).toEqual([2, 1]);
    writeFileSync(store.path, '{');
    timers.shift()!();
    expect([changes, store.list()]).toEqual([3, []]);
    expect(() => store.refresh()).toThrow(/no list of pins/);
    stop();
    expect(timers).toEqual([]);
  });

  it('tells of no change where there is none', () => {
    open().add('a', pinOf('1'));
    const { timers, clock } = scripted();
    const store = open(clock);
    let changes = 0;
    const stop = store.onChange(() => {
      changes++;
    });
    timers.shift()!();
    store.refresh();
    expect(changes).toBe(0);
    stop();
  });

  it.each([
    ['no JSON', '{'],
    ['no list', '{"version":1}'],
    ['another list', '{"version":1,"pins":[{"name":"a"}]}'],
    ['nobody', '{"version":1,"pins":[null]}'],
    [
      'a key twice',
      JSON.stringify({
        version: 1,
        pins: ['a', 'b'].map((name) => ({ name, pin: pinOf('1'), nextPin: null, sinceSeconds: 1 })),
      }),
    ],
    [
      'a key that is none',
      JSON.stringify({ version: 1, pins: [{ name: 'a', pin: 'x', nextPin: null, sinceSeconds: 1 }] }),
    ],
  ])('is not read from a file with %s', (_name, content) => {
    writeFileSync(join(home, 'pins.json'), content, { mode: 0o600 });
    expect(() => open()).toThrow(/no list of pins/);
  });

  it('is not read from a newer version, nor from a file that others may write', () => {
    writeFileSync(join(home, 'pins.json'), '{"version":2,"pins":[]}', { mode: 0o600 });
    expect(() => open()).toThrow(/newer version/);
    chmodSync(join(home, 'pins.json'), 0o666);
    expect(() => open()).toThrow(/others may use/);
  });

  it('takes over the lock of a process that died, and no other', () => {
    const store = open();
    const lock = `${store.path}.lock`;
    writeFileSync(lock, '');
    const then = Date.now() / 1000 - 60;
    utimesSync(lock, then, then);
    store.add('a', pinOf('1'));
    expect(existsSync(lock)).toBe(false);
    writeFileSync(lock, '');
    expect(() => store.add('b', pinOf('2'))).toThrow(/another process holds/);
    expect(readFileSync(store.path, 'utf8')).not.toContain('"b"');
  });
});

describe('small things', () => {
  it('a directory is made for its owner, and refused when others may enter', () => {
    const path = join(home, 'a', 'b');
    makePrivateDirectory(path);
    expect(statSync(path).mode & 0o777).toBe(0o700);
    chmodSync(path, 0o755);
    expect(() => makePrivateDirectory(path)).toThrow(/others may enter/);
    writeFileSync(join(home, 'file'), '');
    expect(() => makePrivateDirectory(join(home, 'file', 'x'))).toThrow(/cannot create/);
  });

  it('what repeats ends when it is told to, also by itself', () => {
    const { timers, clock } = scripted();
    let count = 0;
    const stop = every(clock, 1, () => {
      if (++count === 2) stop();
    });
    while (timers.length > 0) timers.shift()!();
    expect(count).toBe(2);
    expect(fraction(() => new Uint8Array(4).fill(255))).toBeLessThan(1);
    expect(fraction(() => new Uint8Array(4))).toBe(0);
  });

  it('refusals are logged a few times a minute', () => {
    let nowMs = 0;
    const events: LinkEvent[] = [];
    const log = new RefusalLog((event) => events.push(event), { ...systemClock, monotonicMs: () => nowMs });
    for (let index = 0; index < 25; index++) log.refused('link-refused', 'no', {});
    expect(events).toHaveLength(10);
    nowMs = 60_000;
    log.refused('link-refused', 'no', {});
    expect(events.slice(10).map(({ event }) => event)).toEqual(['link-refused-more', 'link-refused']);
    log.flush();
    expect(events).toHaveLength(12);
  });
});
