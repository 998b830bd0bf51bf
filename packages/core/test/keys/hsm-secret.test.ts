import { createHash, pbkdf2Sync } from 'node:crypto';
import { ByteWriter, FormError, fromHex, toHex } from '@countersign/bitcoin';
import { entropyToMnemonic, mnemonicToEntropy, mnemonicToSeedSync } from '@scure/bip39';
import { wordlist } from '@scure/bip39/wordlists/english.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  HsmSecretError,
  hsmSecretKind,
  newHsmSecret,
  openHsmSecret,
  openHsmSecretSync,
  Secret,
} from '../../src/keys/index.ts';
import { syntheticCase, syntheticCases } from './recordings.ts';

const L1 = syntheticCase('legacy-types-l1').hsm_secret_file_before_hex!;
const WITH_PASS = syntheticCase('secret-mnemonic-pass').hsm_secret_file_before_hex!;
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const mnemonicFile = (text: string): Uint8Array =>
  new ByteWriter().put(new Uint8Array(32)).put(bytesOf(text)).finish();
const ABANDON = `${'abandon '.repeat(11)}about`;

async function failure(file: Uint8Array, passphrase?: string): Promise<HsmSecretError> {
  const error = await openHsmSecret(file, passphrase).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(HsmSecretError);
  return error as HsmSecretError;
}

/** hsmd_init_reply_failure (115). */
function failureReply({ initFailure }: HsmSecretError): string {
  const text = bytesOf(initFailure.errorMessage);
  return toHex(new ByteWriter().u16be(115).u32be(initFailure.errorCode).put(text).u8(0).finish());
}

describe('hsm_secret: failures as CLN reports them', () => {
  const GIVEN: Readonly<Record<string, string>> = {
    'secret-mnemonic-wrongpass': 'not it',
    'secret-mnemonic-pass-not-needed': 'unneeded',
    'secret-encrypted-wrong': 'not it',
  };
  /** Message 115 in `reply`; another case has another reply there. */
  const failing = syntheticCases.filter(({ reply }) => reply?.startsWith('0073'));

  it('has all recorded failures', () => {
    expect(failing.map((one) => one.case)).toHaveLength(7);
  });

  it.each(failing)('$case', async (one) => {
    const error = await failure(fromHex(one.hsm_secret_file_before_hex!), GIVEN[one.case]);
    expect(failureReply(error)).toBe(one.reply);
    expect(error.initFailure.exitStatus).toBe(one.exit_status);
    expect(error.code).toBe(`hsm-secret-${error.fault}`);
  });

  it('asks for the passphrase of an encrypted file', async () => {
    const file = fromHex(syntheticCase('secret-encrypted').hsm_secret_file_before_hex!);
    expect((await failure(file)).fault).toBe('passphrase-required');
    expect(() => openHsmSecretSync(file, 'hunter2')).toThrow(FormError);
  });

  it('reports a wrong passphrase before a bad mnemonic', async () => {
    const file = mnemonicFile('abandon abandon');
    file[0] = 1;
    expect((await failure(file, 'x')).fault).toBe('wrong-passphrase');
    expect((await failure(mnemonicFile('abandon abandon'), 'x')).fault).toBe('passphrase-not-needed');
  });

  it('refuses a bad mnemonic under the right passphrase', async () => {
    const file = mnemonicFile('abandon abandon');
    const seed = pbkdf2Sync('abandon abandon', 'mnemonicx', 2048, 64, 'sha512');
    file.set(createHash('sha256').update(seed).digest());
    expect((await failure(file, 'x')).fault).toBe('invalid-mnemonic');
  });

  it.each([
    ['empty', new Uint8Array(0), 'invalid-format'],
    ['31 bytes', new Uint8Array(31), 'invalid-format'],
    ['33 zero bytes', new Uint8Array(33), 'invalid-mnemonic'],
    ['huge', new Uint8Array(1 << 16), 'invalid-format'],
    ['upper case', mnemonicFile(ABANDON.toUpperCase()), 'invalid-mnemonic'],
    ['two spaces', mnemonicFile(ABANDON.replace(' ', '  ')), 'invalid-mnemonic'],
    ['leading space', mnemonicFile(` ${ABANDON}`), 'invalid-mnemonic'],
    [
      'full-width letters that NFKD would fold',
      mnemonicFile(ABANDON.replace('about', 'ａbout')),
      'invalid-mnemonic',
    ],
  ])('%s', async (_name, file, fault) => {
    expect((await failure(file)).fault).toBe(fault);
  });

  it('never says anything but HsmSecretError about arbitrary bytes', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300 }),
        fc.option(fc.string(), { nil: undefined }),
        (file, passphrase) => {
          fc.pre(file.length !== 73);
          try {
            openHsmSecretSync(file, passphrase).seed.wipe();
          } catch (error) {
            expect(error).toBeInstanceOf(HsmSecretError);
          }
        },
      ),
      { numRuns: 40 },
    );
  });
});

describe('hsm_secret: the four forms', () => {
  it('plain: the file is the seed, and a passphrase is ignored', () => {
    const file = Uint8Array.from({ length: 32 }, (_, i) => i);
    const opened = openHsmSecretSync(file, 'ignored');
    expect(opened).toMatchObject({ kind: 'plain', hsmSecretType: 0 });
    expect(opened.seed.equals(file)).toBe(true);
    file.fill(9);
    expect(opened.seed.equals(file)).toBe(false);
  });

  it('encrypted: argon2id and secretstream give the inner secret', async () => {
    const { hsm_secret_file_before_hex, passphrase } = syntheticCase('secret-encrypted');
    const opened = await openHsmSecret(fromHex(hsm_secret_file_before_hex!), passphrase);
    expect(opened).toMatchObject({ kind: 'encrypted', hsmSecretType: 1 });
    expect(opened.seed.equals(fromHex(syntheticCase('legacy-types-l2').hsm_secret_file_before_hex!))).toBe(
      true,
    );
  });

  it('mnemonic: BIP 39 of its words', () => {
    const opened = openHsmSecretSync(fromHex(L1));
    const words = 'milk celery fringe dragon about strong grocery end banana follow water canvas';
    expect(opened).toMatchObject({ kind: 'mnemonic', hsmSecretType: 2 });
    expect(opened.seed.equals(mnemonicToSeedSync(words))).toBe(true);
    expect(opened.seed.length).toBe(64);
  });

  it('mnemonic with passphrase: text and bytes are the same', () => {
    const { passphrase } = syntheticCase('secret-mnemonic-pass');
    const file = fromHex(WITH_PASS);
    const opened = openHsmSecretSync(file, passphrase);
    expect(opened).toMatchObject({ kind: 'mnemonic-with-passphrase', hsmSecretType: 3 });
    expect(openHsmSecretSync(file, bytesOf(passphrase!)).seed.equals(opened.seed)).toBe(true);
  });

  it('reads the mnemonic as a C string, up to the first NUL', () => {
    const opened = openHsmSecretSync(mnemonicFile(`${ABANDON}\0rest`));
    expect(opened.seed.equals(mnemonicToSeedSync(ABANDON))).toBe(true);
  });

  it('does not normalize a passphrase, as libwally does not', () => {
    const entropy = new Uint8Array(16).fill(7);
    const file = newHsmSecret(entropy, 'é');
    expect(() => openHsmSecretSync(file, 'e\u0301')).toThrow(HsmSecretError);
    expect(
      openHsmSecretSync(file, 'é').seed.equals(mnemonicToSeedSync(entropyToMnemonic(entropy, wordlist), 'é')),
    ).toBe(false);
  });

  it('agrees with @scure/bip39 on ASCII passphrases', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 16, maxLength: 16 }),
        fc.string({ unit: 'binary-ascii' }),
        (entropy, passphrase) => {
          const { seed } = openHsmSecretSync(newHsmSecret(entropy, passphrase), passphrase);
          expect(seed.equals(mnemonicToSeedSync(entropyToMnemonic(entropy, wordlist), passphrase))).toBe(
            true,
          );
        },
      ),
      { numRuns: 5 },
    );
  });
});

describe('hsm_secret: a new one', () => {
  it.each(['secret-created', 'secret-created-pass'])('%s: same bytes from the same entropy', (name) => {
    const { hsm_secret_file_after_hex, passphrase } = syntheticCase(name);
    const text = new TextDecoder().decode(fromHex(hsm_secret_file_after_hex!).subarray(32));
    const made = newHsmSecret(mnemonicToEntropy(text, wordlist), passphrase);
    expect(toHex(made)).toBe(hsm_secret_file_after_hex);
  });

  it('an empty passphrase is a passphrase', () => {
    const file = newHsmSecret(new Uint8Array(16), '');
    expect(hsmSecretKind(file)).toBe('mnemonic-with-passphrase');
    expect(() => openHsmSecretSync(file)).toThrow(HsmSecretError);
    expect(openHsmSecretSync(file, '').seed).toBeInstanceOf(Secret);
  });

  it('refuses entropy of another length', () => {
    for (const length of [0, 15, 17, 32])
      expect(() => newHsmSecret(new Uint8Array(length))).toThrow(FormError);
  });
});
