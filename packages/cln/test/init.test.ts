import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MAINNET_OVERRIDE } from '@countersign/host';
import type { MessageOf, Reply } from '@countersign/wire';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { initRequest } from '../../core/test/init-request.ts';
import {
  DERIVE,
  endAll,
  type HsmdUnderTest,
  isServing,
  networkDirectory,
  PEER,
  removeDirectories,
  SECRET,
  serving,
  start,
  subdirectory,
} from './hsmd-under-test.ts';

afterEach(endAll);
afterAll(removeDirectories);

const bytes32 = (byte: number) => new Uint8Array(32).fill(byte);

function failureOf(reply: Reply | 'closed'): MessageOf<'hsmd_init_reply_failure'> {
  if (reply === 'closed' || reply.name !== 'hsmd_init_reply_failure') {
    throw new Error(`INIT was answered ${JSON.stringify(reply)}`);
  }
  return reply;
}

function successOf(reply: Reply | 'closed'): MessageOf<'hsmd_init_reply_v4'> {
  if (reply === 'closed' || reply.name !== 'hsmd_init_reply_v4') throw new Error(JSON.stringify(reply));
  return reply;
}

/** As CLN ends when it can't start: 115, then STATUS_FAIL with the same text, then this exit status. */
async function expectFatal(hsmd: HsmdUnderTest, reply: Reply | 'closed'): Promise<string> {
  const { errorCode, errorMessage } = failureOf(reply);
  expect(errorCode).toBe(20);
  expect(await hsmd.ended).toMatchObject({ code: 242 });
  expect(hsmd.statusNamed('status_fail')).toEqual([
    { name: 'status_fail', failreason: 'internalError', desc: errorMessage },
  ]);
  expect(hsmd.logged('broken')).toEqual([errorMessage]);
  expect(hsmd.output()).toBe('');
  return errorMessage;
}

/** As CLN ends over a message it can't go on after: no reply, STATUS_FAIL, exit status 242. */
async function expectAbort(hsmd: HsmdUnderTest): Promise<string> {
  expect(await hsmd.master.receive()).toBe('closed');
  expect(await hsmd.ended).toMatchObject({ code: 242 });
  const [fail, ...more] = hsmd.statusNamed('status_fail');
  expect(more).toEqual([]);
  expect(fail!.failreason).toBe('masterIo');
  return fail!.desc;
}

describe('the protocol version', () => {
  it.each([
    [4, 6, 6],
    [5, 6, 6],
    [5, 99, 6],
    [4, 5, 5],
    [1, 4, 4],
  ])('offered %i to %i is %i', async (hsmWireMinVersion, hsmWireMaxVersion, version) => {
    const hsmd = start();
    const reply = successOf(await hsmd.init({ hsmWireMinVersion, hsmWireMaxVersion }));
    expect(reply.hsmVersion).toBe(version);
    expect(reply.hsmCapabilities).toEqual([28, 56, 142, 147, 149, 29, 32, 34, 40, 41, 45, 51, 52]);
  });

  it.each([
    [7, 9],
    [1, 3],
    [0, 0],
  ])('offered %i to %i ends the start', async (hsmWireMinVersion, hsmWireMaxVersion) => {
    const hsmd = start({ directory: networkDirectory({}) });
    await hsmd.master.send(initRequest('regtest', { hsmWireMinVersion, hsmWireMaxVersion }));
    expect(await expectAbort(hsmd)).toBe(
      `Error parsing 11: Version ${hsmWireMinVersion}-${hsmWireMaxVersion} not valid: we need 4-6`,
    );
  });
});

describe('INIT is bound to a network (policy-init-binding)', () => {
  it('that is known', async () => {
    const directory = networkDirectory({});
    const hsmd = start({ directory });
    const text = await expectFatal(hsmd, await hsmd.init({ chainparams: bytes32(7) }));
    expect(text).toContain('INIT names a chain this signer does not know');
    expect(text).toContain(`chain_hash=${'07'.repeat(32)}`);
    expect(text).toContain('(policy-init-binding)');
    // A start that is refused leaves nothing behind.
    expect(readdirSync(directory)).toEqual([]);
  });

  it.each([
    ['public', { pubkeyVersion: 0x0488b21e, privkeyVersion: 0x04358394 }],
    ['private', { pubkeyVersion: 0x043587cf, privkeyVersion: 0x0488ade4 }],
  ])('with its own %s key version', async (_, bip32KeyVersion) => {
    const directory = networkDirectory({});
    const hsmd = start({ directory });
    const text = await expectFatal(hsmd, await hsmd.init({ bip32KeyVersion }));
    expect(text).toMatch(/key versions that are not those of regtest.*\(policy-init-binding\)$/);
    expect(readdirSync(directory)).toEqual([]);
  });

  const secrets = {
    fundingPrivkey: bytes32(1),
    revocationBasepointSecret: bytes32(2),
    paymentBasepointSecret: bytes32(3),
    delayedPaymentBasepointSecret: bytes32(4),
    htlcBasepointSecret: bytes32(5),
  };
  it.each([
    ['devForcePrivkey', 'signet', { devForcePrivkey: bytes32(1) }],
    ['devForceBip32Seed', 'testnet', { devForceBip32Seed: bytes32(1) }],
    ['devForceChannelSecrets', 'testnet4', { devForceChannelSecrets: secrets }],
    ['devForceChannelSecretsShaseed', 'bitcoin', { devForceChannelSecretsShaseed: bytes32(1) }],
  ])('and admits %s only on regtest', async (_, network, forced) => {
    const directory = networkDirectory({});
    const hsmd = start({ directory, args: ['--developer'] });
    await hsmd.master.send(initRequest(network, forced));
    const text = await expectFatal(hsmd, await hsmd.master.reply());
    expect(text).toMatch(/outside regtest.*\(policy-init-binding\)$/);
    expect(readdirSync(directory)).toEqual([]);
  });

  it('and takes the forced node key on regtest', async () => {
    const [plain, forced] = await Promise.all([
      start().init(),
      start().init({ devForcePrivkey: bytes32(1) }),
    ]);
    expect(successOf(forced).nodeId).not.toEqual(successOf(plain).nodeId);
    expect(successOf(forced).bip32).toEqual(successOf(plain).bip32);
  });

  it('and admits DEV_PREINIT only there', async () => {
    const hsmd = start({ args: ['--developer'] });
    await hsmd.master.send({ name: 'hsmd_dev_preinit', tlvs: { noPreapproveCheck: true } });
    await hsmd.master.send(initRequest('signet'));
    const text = await expectFatal(hsmd, await hsmd.master.reply());
    expect(text).toMatch(/outside regtest.*network=signet.*\(policy-init-binding\)$/);
  });

  it('where DEV_PREINIT has no reply and does what it says', async () => {
    const hsmd = start({ args: ['--developer'] });
    await hsmd.master.send({
      name: 'hsmd_dev_preinit',
      tlvs: { noPreapproveCheck: true, failPreapprove: true },
    });
    const { hsmCapabilities } = successOf(await hsmd.init());
    expect(hsmCapabilities).not.toContain(51);
    expect(hsmCapabilities).not.toContain(52);
    const preapproval = {
      name: 'hsmd_preapprove_keysend_check',
      destination: PEER,
      paymentHash: bytes32(1),
      amountMsat: 1n,
      checkOnly: false,
    } as MessageOf<'hsmd_preapprove_keysend_check'>;
    expect(await hsmd.master.ask(preapproval)).toMatchObject({ approved: false });
  });
});

/** Said when a secret is there and no state. */
const BEGINS = expect.stringContaining('beginning a new one: channels opened before now are unknown');

describe('the policy of a start', () => {
  it('is hub on mainnet, and says what it can not judge yet and what is safer', async () => {
    const hsmd = start();
    successOf(await hsmd.master.ask(initRequest('bitcoin')));
    // The status socket is another one than INIT's: what is logged first may be read later.
    await expect
      .poll(() => hsmd.logged('unusual'))
      .toContainEqual(expect.stringMatching(/^countersign: funding_depth_blocks is 1/));
    const logged = hsmd.logged('unusual');
    expect(logged[0]).toEqual(BEGINS);
    expect(logged).toContainEqual(expect.stringMatching(/^countersign: no chain view/));
    expect(logged).toContainEqual(expect.stringMatching(/^countersign: funding_depth_blocks is 1/));
    expect(logged.join(' ')).not.toContain('VOID');
  });

  it('is permissive on regtest, and says so loudly', async () => {
    const hsmd = await serving();
    await expect
      .poll(() => hsmd.logged('unusual'))
      .toEqual([BEGINS, expect.stringContaining('POLICY IS PERMISSIVE on regtest')]);
  });

  it('is not permissive on mainnet without the override', async () => {
    const files = { 'countersign.toml': '[policy]\npreset = "permissive"\n' };
    const directory = networkDirectory(files);
    const hsmd = start({ directory });
    const text = await expectFatal(hsmd, await hsmd.master.ask(initRequest('bitcoin')));
    expect(text).toContain('refused on mainnet');
    expect(text).toContain(`permissive_on_mainnet = "${MAINNET_OVERRIDE}"`);
    expect(readdirSync(directory)).toEqual(['countersign.toml']);
  });

  it('is permissive on mainnet with it, and says so loudly', async () => {
    const hsmd = start({
      directory: networkDirectory({
        'countersign.toml': `[policy]\npreset = "permissive"\npermissive_on_mainnet = "${MAINNET_OVERRIDE}"\n`,
        hsm_secret: SECRET,
      }),
    });
    successOf(await hsmd.master.ask(initRequest('bitcoin')));
    await expect
      .poll(() => hsmd.logged('unusual'))
      .toEqual([BEGINS, expect.stringContaining('POLICY IS PERMISSIVE on bitcoin')]);
  });
});

describe('a rule that carries the promise', () => {
  it('at warn is shouted at every start', async () => {
    const directory = networkDirectory({
      'countersign.toml': `[policy]\npermissive_on_mainnet = "${MAINNET_OVERRIDE}"\n[approvals]\nauto = "all"\n`,
    });
    const hsmd = start({ directory });
    successOf(await hsmd.master.ask(initRequest('bitcoin')));
    await expect
      .poll(() => hsmd.logged('unusual'))
      .toContainEqual(
        expect.stringMatching(/^countersign: THE PROMISE IS VOID, .*auto = "all" approves everything/),
      );
  });
});

describe('an error of the configuration fails INIT with its text', () => {
  const started = (toml: string) => start({ directory: networkDirectory({ 'countersign.toml': toml }) });

  it.each([
    ['an unknown key', 'moed = "inplace"', 'countersign.toml:1: unknown key "moed"; did you mean "mode"?'],
    [
      'a wrong value',
      '\n[policy]\npreset = "hubb"',
      'countersign.toml:3: "policy.preset" is "hubb", expected',
    ],
    ['bad TOML', 'mode = inplace', 'countersign.toml:1: not valid TOML: invalid value; text needs quotes'],
    ['a control character', '"a\\nb" = 1', 'countersign.toml:1: unknown key "a b"'],
    ['a long name', `${'x'.repeat(200_000)} = 1`, 'countersign.toml:1: unknown key "xxx'],
    ['a long line', `mode = "${'\\n'.repeat(200_000)}"`, 'countersign.toml:1: "mode" is "'],
  ])('%s', async (_, toml, message) => {
    const hsmd = started(toml);
    const text = await expectFatal(hsmd, await hsmd.init());
    expect(text.startsWith(`countersign: ${message}`)).toBe(true);
    expect(text.length).toBeLessThan(5_000);
  });

  it('and does so when the file that the environment names is not there', async () => {
    const hsmd = start({ environment: { COUNTERSIGN_CONFIG: 'not-there.toml' } });
    const text = await expectFatal(hsmd, await hsmd.init());
    expect(text).toContain('countersign: cannot read not-there.toml: ENOENT');
  });

  it('and does so when it can not be read', async () => {
    const directory = networkDirectory();
    mkdirSync(join(directory, 'countersign.toml'));
    const hsmd = start({ directory });
    expect(await expectFatal(hsmd, await hsmd.init())).toContain('cannot read countersign.toml: EISDIR');
  });

  it('but a file that the environment names is used', async () => {
    const directory = networkDirectory({ hsm_secret: SECRET, 'other.toml': 'state_directory = "elsewhere"' });
    const hsmd = start({ directory, environment: { COUNTERSIGN_CONFIG: join(directory, 'other.toml') } });
    successOf(await hsmd.init());
    expect(existsSync(join(directory, 'elsewhere', 'journal.sqlite'))).toBe(true);
    expect(existsSync(join(directory, 'countersign'))).toBe(false);
  });
});

describe('hsm_secret', () => {
  it('is created for a new node: twelve words, readable by its owner only', async () => {
    const directory = networkDirectory({});
    const hsmd = start({ directory });
    const reply = successOf(await hsmd.init());
    expect(reply.tlvs.hsmSecretType).toBe(2);
    const path = join(directory, 'hsm_secret');
    expect(statSync(path).mode & 0o777).toBe(0o400);
    const content = readFileSync(path);
    expect(content.subarray(0, 32)).toEqual(Buffer.alloc(32));
    expect(content.subarray(32).toString()).toMatch(/^([a-z]+ ){11}[a-z]+$/);
    await expect.poll(() => hsmd.logged('unusual')[0]).toBe('HSM: created new hsm_secret file');
    await hsmd.hangUp();
    const again = start({ directory });
    expect(successOf(await again.init()).nodeId).toEqual(reply.nodeId);
    expect(readFileSync(path)).toEqual(content);
    expect(again.logged('unusual').join()).not.toContain('created');
  });

  it('is created whatever the umask', async () => {
    const directory = networkDirectory({});
    const hsmd = start({ directory, prefix: ['sh', '-c', 'umask 000; exec "$@"', 'sh'] });
    successOf(await hsmd.init());
    expect(statSync(join(directory, 'hsm_secret')).mode & 0o777).toBe(0o400);
    expect(statSync(join(directory, 'countersign')).mode & 0o077).toBe(0);
    expect(statSync(join(directory, 'countersign', 'journal.sqlite')).mode & 0o077).toBe(0);
  });

  it('with a passphrase needs it, quietly when it is wrong', async () => {
    const directory = networkDirectory({});
    const first = start({ directory });
    const reply = successOf(await first.init({ tlvs: { hsmPassphrase: 'correct horse' } }));
    expect(reply.tlvs.hsmSecretType).toBe(3);
    await first.hangUp();

    const wrong = start({ directory });
    expect(failureOf(await wrong.init({ tlvs: { hsmPassphrase: 'battery' } }))).toMatchObject({
      errorCode: 3,
      errorMessage: 'Failed to load hsm_secret: Wrong passphrase',
    });
    expect(await wrong.ended).toMatchObject({ code: 0 });
    expect(wrong.statusNamed('status_fail')).toEqual([]);

    const right = start({ directory });
    expect(successOf(await right.init({ tlvs: { hsmPassphrase: 'correct horse' } })).nodeId).toEqual(
      reply.nodeId,
    );
  });

  it.each([
    ['empty', ''],
    ['cut off', SECRET.subarray(0, 31)],
    ['far too long', new Uint8Array(5_000)],
  ])('that is %s is told as such', async (_, content) => {
    const hsmd = start({ directory: networkDirectory({ hsm_secret: content }) });
    expect(failureOf(await hsmd.init())).toMatchObject({
      errorCode: 7,
      errorMessage: 'Failed to load hsm_secret: Invalid hsm_secret format',
    });
    expect(await hsmd.ended).toMatchObject({ code: 242 });
  });

  it('that is a directory is told as such', async () => {
    const directory = networkDirectory({});
    mkdirSync(join(directory, 'hsm_secret'));
    const hsmd = start({ directory });
    expect(await expectFatal(hsmd, await hsmd.init())).toContain('Could not read hsm_secret: EISDIR');
  });

  it('that is gone is not made anew where a state says there was one', async () => {
    const directory = await usedDirectory();
    const hsmd = start({ directory });
    const text = await expectFatal(hsmd, await hsmd.init());
    expect(text).toMatch(/^countersign: hsm_secret is missing, but .*kept holds the state of a node/);
    expect(text).toMatch(/restore hsm_secret .*\(hsm-secret-file\)$/);
    expect(existsSync(join(directory, 'hsm_secret'))).toBe(false);
  });
});

/** A directory with this secret, or none, whose state is that of a node with another. */
async function usedDirectory(secret?: Uint8Array): Promise<string> {
  const first = networkDirectory({ hsm_secret: SECRET, 'countersign.toml': 'state_directory = "kept"' });
  expect(await (await serving({ directory: first })).hangUp()).toMatchObject({ code: 2 });
  return networkDirectory({
    'countersign.toml': `state_directory = ${JSON.stringify(join(first, 'kept'))}`,
    ...(secret && { hsm_secret: secret }),
  });
}

describe('the store', () => {
  it('is not opened by two', async () => {
    const directory = networkDirectory();
    const first = await serving({ directory });
    const second = start({ directory });
    const text = await expectFatal(second, await second.init());
    expect(text).toContain('another process has the store open');
    expect(text).toContain(`pid ${first.pid}`);
    expect(text).toContain(join(directory, 'countersign'));
    expect(await isServing(first)).toBe(true);
    await first.hangUp();
    await serving({ directory });
  });

  it('is free after a kill', async () => {
    const directory = networkDirectory();
    const first = await serving({ directory });
    await first.kill('SIGKILL');
    await serving({ directory });
  });

  it('of another node is not touched', async () => {
    const directory = await usedDirectory(bytes32(9));
    const hsmd = start({ directory });
    const text = await expectFatal(hsmd, await hsmd.init());
    expect(text).toMatch(/the store belongs to node 0[23][0-9a-f]{64}, not to node 0[23][0-9a-f]{64}/);
    expect(text).toContain('(store-bound-elsewhere)');
  });

  it('of another network is not touched', async () => {
    const directory = await usedDirectory(SECRET);
    const hsmd = start({ directory });
    const text = await expectFatal(hsmd, await hsmd.master.ask(initRequest('testnet')));
    expect(text).toContain('the store belongs to network regtest, not to network testnet');
  });

  it.each([
    ['a file', 'state_directory = "hsm_secret"', /ENOTDIR|EEXIST/],
    ['below a file', 'state_directory = "hsm_secret/state"', /ENOTDIR/],
    ['where nothing can be made', 'state_directory = "/proc/countersign"', /ENOENT|EPERM|EACCES/],
  ])('in %s is told as such', async (_, toml, reason) => {
    const directory = networkDirectory({ hsm_secret: SECRET, 'countersign.toml': toml });
    const hsmd = start({ directory });
    const text = await expectFatal(hsmd, await hsmd.init());
    expect(text).toMatch(
      /^countersign: reading or writing the store failed: preparing the directory|^countersign: the store cannot be written/,
    );
    expect(text).toMatch(reason);
  });

  it('that is damaged is told as such', async () => {
    const directory = networkDirectory();
    writeFileSync(
      join(subdirectory(directory, 'countersign'), 'journal.sqlite'),
      'SQLite it is not'.repeat(100),
    );
    const hsmd = start({ directory });
    expect(await expectFatal(hsmd, await hsmd.init())).toContain('(store-corrupt)');
  });

  it('on a full disk fails INIT', async () => {
    const directory = networkDirectory();
    // No file may grow beyond 8 KiB (POSIX counts in 512 bytes): the first pages do not fit.
    const hsmd = start({ directory, prefix: ['sh', '-c', 'ulimit -f 16; exec "$@"', 'sh'] });
    const text = await expectFatal(hsmd, await hsmd.init());
    expect(text).toMatch(/\(store-(io|disk-full)\)$/);
  });
});

describe('before INIT', () => {
  it.each([
    ['another request', DERIVE, 27],
    ['DEV_PREINIT without --developer', { name: 'hsmd_dev_preinit', tlvs: {} } as const, 99],
    ['an unknown type', Uint8Array.of(0x12, 0x34), 0x1234],
    ['no type', new Uint8Array(1), -1],
  ])('%s ends the start', async (_, message, type) => {
    const directory = networkDirectory({});
    const hsmd = start({ directory });
    await hsmd.master.send(message);
    expect(await expectAbort(hsmd)).toBe(
      `hsmd was not initialized correctly, expected message type 11, got ${type}`,
    );
    expect(readdirSync(directory)).toEqual([]);
  });

  it('a cut INIT ends the start, without a byte of it in the log', async () => {
    const hsmd = start();
    await hsmd.master.send(Uint8Array.of(0, 11, 0xde, 0xad, 0xbe, 0xef));
    expect(await expectAbort(hsmd)).toBe('Error parsing 11: could not parse request');
    expect(Buffer.from(hsmd.written('status')).toString('hex')).not.toContain('deadbeef');
  });
});

describe('the version', () => {
  it.each([
    ['environment', { environment: { COUNTERSIGN_CLN_VERSION: 'v26.06.6-1' } }, ''],
    ['configuration', {}, 'cln_version = "v26.06.6-1"'],
  ])('told by the %s is the first status message', async (_, options, toml) => {
    const directory = networkDirectory({ hsm_secret: SECRET, 'countersign.toml': toml });
    const hsmd = await serving({ directory, ...options });
    await expect
      .poll(() => hsmd.statusMessages()[0])
      .toEqual({ name: 'status_version', version: 'v26.06.6-1' });
  });

  it('that nobody told is not guessed', async () => {
    expect((await serving()).statusNamed('status_version')).toEqual([]);
  });
});

describe('after INIT', () => {
  it('a second one is refused, and the first one stands', async () => {
    const hsmd = await serving();
    expect(await hsmd.init({ chainparams: bytes32(1) })).toMatchObject({ name: 'vls_signer_error', code: 2 });
    expect(await hsmd.master.ask({ name: 'hsmd_dev_preinit', tlvs: {} })).toMatchObject({
      name: 'vls_signer_error',
    });
    expect(await isServing(hsmd)).toBe(true);
  });

  it('dev_memleak is answered to a developer only', async () => {
    const developer = await serving({ args: ['--developer'] });
    expect(await developer.master.ask({ name: 'hsmd_dev_memleak' })).toEqual({
      name: 'hsmd_dev_memleak_reply',
      leak: false,
    });
    const other = await serving();
    expect(await other.master.ask({ name: 'hsmd_dev_memleak' })).toMatchObject({ name: 'vls_signer_error' });
  });
});
