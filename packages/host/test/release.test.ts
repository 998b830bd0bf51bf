/** Signatures of large releases, from other threads: the same bytes, in the same order, and no answer where a thread fails. */
import { createHash, randomBytes } from 'node:crypto';
import { createPsbt, loadSecp256k1 } from '@countersign/bitcoin';
import {
  assemble,
  type ChannelRef,
  jobsOf,
  KeyRing,
  networkByName,
  openHsmSecretSync,
  type Release,
} from '@countersign/core';
import { encodeMessage, type Reply } from '@countersign/wire';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { POOL_JOBS_MIN, type SignaturePool, type WorkerKeys, WorkerPool } from '../src/index.ts';
import { Releaser } from '../src/release/releaser.ts';
import { keyOf } from './support.ts';

const regtest = networkByName('regtest')!;
const secret = new Uint8Array(32).fill(0x42);
const ring = ringOf(secret);
const channel: ChannelRef = { peerId: keyOf('peer'), dbid: 7n };
const keys = (hsmSecret = secret): WorkerKeys => ({
  hsmSecret,
  passphrase: null,
  bip32PublicVersion: regtest.bip32Public,
});

function ringOf(hsmSecret: Uint8Array): KeyRing {
  const { seed } = openHsmSecretSync(hsmSecret);
  return new KeyRing({ secp256k1: loadSecp256k1(), seed, bip32PublicVersion: regtest.bip32Public });
}

const hash = (name: string): Uint8Array => Uint8Array.from(createHash('sha256').update(name).digest());

/** A commitment with so many HTLCs. */
function commitment(htlcs: number, name = 'commitment', of = channel): Release {
  return {
    kind: 'sign-commitment',
    channel: of,
    sighash: hash(name),
    perCommitmentPoint: keyOf(`${name} point`),
    htlcs: Array.from({ length: htlcs }, (_, i) => ({
      sighash: hash(`${name} ${i}`),
      sighashType: i % 2 ? 1 : 131,
    })),
  };
}

const inline = new Releaser(ring, null);
const bytesOf = async (reply: Reply | Promise<Reply>): Promise<Uint8Array> => encodeMessage(await reply);

let pool: WorkerPool;
beforeAll(async () => {
  pool = await WorkerPool.open(2, keys(), ring.nodeId);
});
afterAll(() => pool.close());

describe('signatures from other threads', () => {
  it('are those of this thread, byte for byte', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ minLength: 32, maxLength: 32 }), { minLength: 1, maxLength: 60 }),
        fc.bigInt({ min: 1n, max: 1n << 40n }),
        async (sighashes, dbid) => {
          const own = { ...channel, dbid };
          const release: Release = {
            kind: 'sign-commitment',
            channel: own,
            sighash: sighashes[0]!,
            perCommitmentPoint: keyOf(String(dbid)),
            htlcs: sighashes.map((sighash) => ({ sighash, sighashType: 1 })),
          };
          const elsewhere = assemble(release, await pool.sign(jobsOf(release)));
          expect(encodeMessage(elsewhere)).toEqual(await bytesOf(inline.release('c', release)));
        },
      ),
      { numRuns: 30 },
    ));

  it('fill a commitment of 483 HTLCs a side', async () => {
    const release = commitment(966);
    const releaser = new Releaser(ring, pool);
    expect(await bytesOf(releaser.release('c', release))).toEqual(
      await bytesOf(inline.release('c', release)),
    );
  });

  it('are asked for only where there are many, and of a kind that has many', async () => {
    const asked: number[] = [];
    const counting: SignaturePool = {
      sign: (jobs) => {
        asked.push(jobs.length);
        return pool.sign(jobs);
      },
    };
    const releaser = new Releaser(ring, counting);
    expect(releaser.release('c', commitment(POOL_JOBS_MIN - 2))).not.toBeInstanceOf(Promise);
    expect(releaser.release('c', { kind: 'sign-message', digest: hash('m') })).not.toBeInstanceOf(Promise);
    await releaser.release('c', commitment(POOL_JOBS_MIN - 1));
    expect(asked).toEqual([POOL_JOBS_MIN]);
  });

  it('come out in the order of their channel, whichever was done first', async () => {
    const gates: (() => void)[] = [];
    const late: SignaturePool = {
      sign: async (jobs) => {
        await new Promise<void>((resolve) => gates.push(resolve));
        return pool.sign(jobs);
      },
    };
    const releaser = new Releaser(ring, late);
    const order: string[] = [];
    const follow = (name: string, reply: Reply | Promise<Reply>): Promise<unknown> =>
      Promise.resolve(reply).then(() => order.push(name));
    const all = [
      follow('a1', releaser.release('a', commitment(20, 'a1'))),
      follow('a2', releaser.release('a', commitment(20, 'a2'))),
      follow('a3', releaser.release('a', { kind: 'sign-message', digest: hash('m') })),
      follow('b1', releaser.release('b', { kind: 'sign-message', digest: hash('m') })),
    ];
    await all[3];
    gates[1]!();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(order).toEqual(['b1']);
    gates[0]!();
    await Promise.all(all);
    expect(order).toEqual(['b1', 'a1', 'a2', 'a3']);
    // Nothing is remembered of what is done.
    expect(releaser.release('a', { kind: 'sign-message', digest: hash('m') })).not.toBeInstanceOf(Promise);
  });

  it('for the inputs of a PSBT are put where they belong', async () => {
    const signatures = Array.from({ length: 20 }, (_, i) => ({
      input: i,
      key: { kind: i % 2 === 0 ? 'wallet' : 'wallet-taproot', index: i } as const,
      publicKey: keyOf(`input ${i}`),
      sighash: hash(`input ${i}`),
    }));
    const psbt = createPsbt({
      version: 2,
      locktime: 0,
      inputs: signatures.map(({ sighash }) => ({
        txid: sighash,
        vout: 0,
        scriptSig: new Uint8Array(0),
        sequence: 0xffff_ffff,
        witness: [],
      })),
      outputs: [],
    });
    const release: Release = { kind: 'sign-psbt', psbt, signatures, reply: 'hsmd_sign_withdrawal_reply' };
    expect(await bytesOf(new Releaser(ring, pool).release(null, release))).toEqual(
      await bytesOf(inline.release(null, release)),
    );
  });

  it('that are not as many as were asked for are a bug', async () => {
    const stingy: SignaturePool = { sign: async () => [new Uint8Array(64)] };
    await expect(new Releaser(ring, stingy).release('c', commitment(20))).rejects.toThrow(
      /one signature for each job/,
    );
  });
});

describe('threads', () => {
  it('leave the caller its keys, and refuse to be those of another node', async () => {
    const own = keys(secret.slice());
    const opened = await WorkerPool.open(1, own, ring.nodeId);
    expect(own.hsmSecret).toEqual(secret);
    await opened.close();
    await expect(WorkerPool.open(1, keys(new Uint8Array(32).fill(1)), ring.nodeId)).rejects.toMatchObject({
      code: 'signing-threads',
    });
    await expect(WorkerPool.open(1, keys(new Uint8Array(3)), ring.nodeId)).rejects.toThrow();
  });

  it('that end leave nobody waiting', async () => {
    const closing = await WorkerPool.open(2, keys(), ring.nodeId);
    const asked = closing.sign(jobsOf(commitment(900) as never));
    await Promise.all([closing.close(), expect(asked).rejects.toThrow(/has ended/)]);
    await expect(closing.sign(jobsOf(commitment(20) as never))).rejects.toThrow(/has ended/);
  });

  it('that meet a bug say so', async () => {
    const broken = await WorkerPool.open(1, keys(), ring.nodeId);
    const job = { kind: 'funding', channel, sighash: randomBytes(5) } as const;
    await expect(broken.sign([job])).rejects.toThrow();
    await expect(broken.sign([job])).rejects.toThrow();
    await broken.close();
  });
});
