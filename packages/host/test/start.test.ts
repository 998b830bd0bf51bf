/**
 * How a signer is opened, in this process: secret, policy, store, what runs beside it. The real hsmd does the same in `cln`'s
 * tests; here each way in which it can fail ends in words for the operator, with nothing left behind.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { StoreError } from '@countersign/store';
import { encodeMessage, type MessageOf } from '@countersign/wire';
import { describe, expect, it } from 'vitest';
import { initRequest } from '../../core/test/init-request.ts';
import {
  type Config,
  DEFAULT_CONFIG,
  errorText,
  initReply,
  negotiateVersion,
  openBeside,
  parseConfig,
  type Started,
  type StartFailure,
  type StartInput,
  startInPlace,
} from '../src/index.ts';
import { type ChainSigner, sinkOf } from '../src/start/chain.ts';
import { createSecretFile, readSecretFile } from '../src/start/secret-file.ts';
import { inDirectory, ringOf, secp } from './support.ts';

interface Place {
  readonly input: (changed?: Partial<StartInput>) => StartInput;
  readonly log: string[];
  readonly secretFile: string;
  readonly config: Config;
}

/** `store` in a directory of its own, with the secret beside it. */
function inPlace(body: (place: Place) => Promise<void>): Promise<void> {
  return inDirectory(async (stateDirectory) => {
    const log: string[] = [];
    const config = { ...DEFAULT_CONFIG, stateDirectory };
    const secretFile = join(dirname(stateDirectory), 'hsm_secret');
    const input = (changed: Partial<StartInput> = {}): StartInput => ({
      init: initRequest(),
      preinit: null,
      config,
      secp,
      randomBytes: (count) => Uint8Array.from(randomBytes(count)),
      monotonicMs: () => performance.now(),
      nowSeconds: () => 1_700_000_000,
      log: (level, text) => void log.push(`${level}: ${text}`),
      secretFile,
      ...changed,
    });
    await body({ input, log, secretFile, config });
  });
}

/** A chain signer of which nothing is asked but what a sink passes on. */
function recording(): { readonly signer: ChainSigner; readonly feerates: unknown[] } {
  const feerates: unknown[] = [];
  const refuses = async () => ({ ok: true }) as const;
  const signer: ChainSigner = {
    tip: () => null,
    headerHash: () => null,
    beginNeeds: () => null,
    begin: refuses,
    acceptHeaders: refuses,
    acceptBlock: refuses,
    toPublish: async () => [],
    setFeerates: (given) => void feerates.push(given),
  };
  return { signer, feerates };
}

function started(outcome: Started | StartFailure): Started {
  if (!outcome.ok) throw new Error(outcome.errorMessage);
  return outcome;
}

async function closed(outcome: Started | StartFailure): Promise<Started> {
  const one = started(outcome);
  one.signer.end();
  await one.journal.close();
  return one;
}

describe('a start in place', () => {
  it('makes a secret and a state for a new node, and finds them again', () =>
    inPlace(async ({ input, log, secretFile }) => {
      const first = await closed(await startInPlace(input(), 6));
      expect(first.reply).toMatchObject({ name: 'hsmd_init_reply_v4', tlvs: { hsmSecretType: 2 } });
      expect(statSync(secretFile).mode & 0o777).toBe(0o400);
      expect(log).toContain('unusual: HSM: created new hsm_secret file');
      log.length = 0;
      const second = await closed(await startInPlace(input(), 5));
      expect(second.ring.nodeId).toEqual(first.ring.nodeId);
      expect(log.join()).not.toMatch(/created|beginning/);
    }));

  it('begins a state beside a secret that was there, and says what that means', () =>
    inPlace(async ({ input, log, secretFile }) => {
      writeFileSync(secretFile, new Uint8Array(32).fill(5), { mode: 0o400 });
      await closed(await startInPlace(input(), 6));
      expect(log.join()).toMatch(/no state in .*beginning a new one: channels opened before now are unknown/);
    }));

  it('takes no new secret where the old one is lost', () =>
    inPlace(async ({ input, secretFile }) => {
      await closed(await startInPlace(input(), 6));
      rmSync(secretFile);
      expect(await startInPlace(input(), 6)).toMatchObject({
        ok: false,
        errorCode: 20,
        exitStatus: 242,
        errorMessage: expect.stringMatching(/is missing, but .* holds the state .*\(hsm-secret-file\)$/),
      });
      expect(existsSync(secretFile)).toBe(false);
    }));

  it('with a state that cannot be opened makes no secret either', () =>
    inPlace(async ({ input, config, secretFile }) => {
      mkdirSync(config.stateDirectory, { recursive: true });
      writeFileSync(
        join(config.stateDirectory, 'journal.sqlite'),
        'no database at all, but not empty either',
      );
      expect(await startInPlace(input(), 6)).toMatchObject({ ok: false, errorCode: 20 });
      expect(existsSync(secretFile)).toBe(false);
      writeFileSync(secretFile, new Uint8Array(32).fill(5), { mode: 0o400 });
      expect(await startInPlace(input(), 6)).toMatchObject({ ok: false, errorCode: 20 });
    }));

  it('refuses another network than the state was made for', () =>
    inPlace(async ({ input }) => {
      await closed(await startInPlace(input(), 6));
      const failure = await startInPlace(input({ init: initRequest('signet') }), 6);
      expect(failure).toMatchObject({
        ok: false,
        errorMessage: expect.stringMatching(/belongs to network regtest.*\(store-bound-elsewhere\)$/),
      });
      // Its store is closed again: the right one opens it.
      await closed(await startInPlace(input(), 6));
    }));

  it('refuses an INIT that core refuses, and a passphrase that is wrong, in CLN’s own form', () =>
    inPlace(async ({ input, secretFile }) => {
      const init = initRequest('signet', { devForcePrivkey: new Uint8Array(32).fill(1) });
      expect(await startInPlace(input({ init }), 6)).toMatchObject({
        errorMessage: expect.stringMatching(/\(policy-init-binding\)$/),
      });
      writeFileSync(secretFile, new Uint8Array(7), { mode: 0o400 });
      expect(await startInPlace(input(), 6)).toMatchObject({ ok: false, errorCode: 7 });
    }));

  it('lets a bug through', () =>
    inPlace(async ({ input }) => {
      const broken = input({
        log: () => {
          throw new RangeError('broken');
        },
      });
      await expect(startInPlace(broken, 6)).rejects.toThrow(RangeError);
    }));

  it('with developer overrides uses them', () =>
    inPlace(async ({ input }) => {
      const key = new Uint8Array(32).fill(3);
      const init = initRequest('regtest', {
        devForcePrivkey: key,
        devForceBip32Seed: key,
        devForceChannelSecrets: {
          fundingPrivkey: key,
          revocationBasepointSecret: key,
          paymentBasepointSecret: key,
          delayedPaymentBasepointSecret: key,
          htlcBasepointSecret: key,
        },
        devForceChannelSecretsShaseed: key,
      });
      const { ring } = await closed(await startInPlace(input({ init }), 6));
      expect(ring.nodeId).toEqual(secp.publicKey(key));
    }));
});

describe('what runs beside a signer', () => {
  it.each(['socket', 'link'] as const)('with a node side that comes by %s', (nodeSide) =>
    inPlace(async ({ input, config }) => {
      const opened = started(await startInPlace(input(), 6));
      const problems: string[] = [];
      const beside = await openBeside({
        opened,
        config,
        nodeSide,
        nowSeconds: () => 1_700_000_000,
        monotonicMs: () => performance.now(),
        random: () => 0.5,
        log: () => {},
        onProblem: (text) => void problems.push(text),
        onBug: (error) => {
          throw error;
        },
      });
      expect(existsSync(join(config.stateDirectory, 'admin.sock'))).toBe(true);
      expect(existsSync(join(config.stateDirectory, 'node.sock'))).toBe(nodeSide === 'socket');
      const session = beside.feed.open();
      expect(await session.answer(Uint8Array.of(0, 1))).toMatchObject({ isEnd: true });
      session.close();
      // Whatever is in force is told there.
      const operator = connect(join(config.stateDirectory, 'admin.sock'));
      operator.end(`${JSON.stringify({ v: 1, id: 1, op: 'policy-show', format: 'text' })}\n`);
      expect(await text(operator)).toMatch(/permissive/);
      await beside.close();
      await closed(opened);
      expect(problems).toEqual([]);
    }),
  );

  it('follows the chain where [chain] names a source', () =>
    inPlace(async ({ input, config }) => {
      const { chain } = parseConfig('[chain]\nsource = "node"\nbirthday_height = 0\n', 'a.toml');
      const opened = started(await startInPlace(input(), 6));
      const log: string[] = [];
      const beside = await openBeside({
        opened,
        config: { ...config, chain },
        nodeSide: 'link',
        nowSeconds: () => 1_700_000_000,
        monotonicMs: () => performance.now(),
        random: () => 0.5,
        log: (_, text) => void log.push(text),
        onProblem: (text) => void log.push(text),
        onBug: (error) => {
          throw error;
        },
      });
      expect(opened.signer.chain.tip()).toMatchObject({ tipHeightBlocks: 0 });
      const feeder = beside.feed.open();
      const headers = encodeMessage({ name: 'countersign_headers', headers: [new Uint8Array(80)] });
      expect(await feeder.answer(headers)).toMatchObject({
        reply: { name: 'vls_signer_error' },
        isEnd: false,
      });
      const stopped = new StoreError('store-io', 'the disk is gone');
      Object.defineProperty(opened.signer, 'failure', { get: () => stopped });
      opened.signer.chain.acceptHeaders = () => Promise.reject(stopped);
      const { reply } = await feeder.answer(headers);
      expect(reply).toMatchObject({ message: expect.stringMatching(/its store failed/) });
      await beside.close();
      await closed(opened);
      expect(log).toEqual([]);
    }));
});

it('a sink passes fee rates on', () => {
  const { signer, feerates } = recording();
  const given = { urgentPerKw: 253, normalPerKw: 253 } as unknown as Parameters<
    ChainSigner['setFeerates']
  >[0];
  sinkOf(signer, async () => {}).setFeerates(given);
  expect(feerates).toEqual([given]);
});

describe('hsm_secret', () => {
  const fresh = (count: number): Uint8Array => Uint8Array.from(randomBytes(count));

  it('is made once, and never half', () =>
    inPlace(async ({ secretFile }) => {
      expect(() => createSecretFile(() => new Uint8Array(3), undefined, secretFile)).toThrow(/cannot write/);
      expect(existsSync(secretFile)).toBe(false);
      expect(createSecretFile(fresh, 'with a passphrase', secretFile)).toBe(true);
      const bytes = readFileSync(secretFile);
      expect(createSecretFile(fresh, undefined, secretFile)).toBe(false);
      expect(readSecretFile(secretFile)).toEqual(bytes);
    }));

  it('that cannot be made or read is told with its path', () =>
    inPlace(async ({ secretFile }) => {
      const nowhere = join(secretFile, 'nowhere');
      expect(() => createSecretFile(fresh, undefined, nowhere)).toThrow(/cannot create .*nowhere/);
      expect(() => readSecretFile(nowhere)).toThrow(/Could not read .*nowhere/);
    }));
});

describe('the hsmd protocol', () => {
  it.each([
    [1, 3, null],
    [1, 4, 4],
    [5, 6, 6],
    [6, 9, 6],
    [7, 9, null],
  ])('between %i and %i: %s', (hsmWireMinVersion, hsmWireMaxVersion, version) => {
    expect(negotiateVersion(initRequest('regtest', { hsmWireMinVersion, hsmWireMaxVersion }))).toBe(version);
  });

  it('announces the checks of preapprovals unless preinit says no', () => {
    const tlvs = { noPreapproveCheck: true };
    const preinit = { name: 'hsmd_dev_preinit', tlvs } as MessageOf<'hsmd_dev_preinit'>;
    const facts = { ring: ringOf(1), hsmSecretType: 0, protocolVersion: 6 } as const;
    expect(initReply({ ...facts, preinit: null })).toMatchObject({
      hsmCapabilities: expect.arrayContaining([51, 52]),
    });
    expect(initReply({ ...facts, preinit })).toMatchObject({
      hsmCapabilities: expect.not.arrayContaining([51, 52]),
    });
  });
});

it('an error without cause or facts is its message', () => {
  expect(errorText(new Error('plain'))).toBe('plain');
  expect(errorText(new Error('outer', { cause: new Error('inner') }))).toBe('outer: inner');
});
