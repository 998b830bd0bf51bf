/**
 * A node's secret at rest: CLN's `hsm_secret` in any of its forms, with the passphrase of its own that it may need, sealed under
 * a passphrase by scrypt (RFC 7914) and AES-256-GCM. The whole header is authenticated; its version and every cost are in it.
 *
 * ```
 * 16 "countersign-seed"  1 version  1 log2 N  1 r  1 p  33 node id  32 chain hash  32 salt  32 key check  12 nonce
 * then the sealed bytes, then 16 bytes of tag
 * sealed: u16 length, hsm_secret, u8 whether a passphrase follows, u16 length, passphrase
 * ```
 *
 * scrypt gives 64 bytes: the key, and what the key check is the hash of. A wrong passphrase is told by the check, a changed
 * file by the tag, and no file opens under two passphrases.
 */
import { createCipheriv, createDecipheriv, createHash, scrypt, timingSafeEqual } from 'node:crypto';
import { DaemonError } from '../error.ts';

const MAGIC = Buffer.from('countersign-seed', 'ascii');
export const SEED_FILE_VERSION = 1;

const SALT_BYTES = 32;
const CHECK_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const KEY_BYTES = 32;
const NODE_ID_BYTES = 33;
const CHAIN_HASH_BYTES = 32;

const COST_AT = MAGIC.length + 1;
const NODE_ID_AT = COST_AT + 3;
const CHAIN_HASH_AT = NODE_ID_AT + NODE_ID_BYTES;
const SALT_AT = CHAIN_HASH_AT + CHAIN_HASH_BYTES;
const CHECK_AT = SALT_AT + SALT_BYTES;
const NONCE_AT = CHECK_AT + CHECK_BYTES;
const SEALED_AT = NONCE_AT + NONCE_BYTES;

/** Far above the longest mnemonic with the longest passphrase. */
const PART_BYTES_MAX = 4096;
export const SEED_FILE_BYTES_MAX = SEALED_AT + 2 * PART_BYTES_MAX + 5 + TAG_BYTES;

/** Costs of scrypt: memory is 128 · N · r bytes. */
export interface SeedCost {
  readonly log2N: number;
  readonly r: number;
  readonly p: number;
}

/** 128 MiB and about half a second. */
export const SEED_COST: SeedCost = { log2N: 17, r: 8, p: 1 };
/** What a file may ask for: whoever plants one must not have the memory of the machine. */
const MEMORY_BYTES_MAX = 1024 * 1024 * 1024;
const P_MAX = 4;

/** What may be read without the passphrase. */
export interface SeedFacts {
  /** 33 bytes. */
  readonly nodeId: Uint8Array;
  /** Genesis hash of its network, internal byte order. */
  readonly chainHash: Uint8Array;
}

/** The caller wipes both. */
export interface SeedSecret {
  /** CLN's `hsm_secret`, in any of its forms. */
  readonly hsmSecret: Uint8Array;
  /** Of the `hsm_secret` itself; null when it has none. */
  readonly passphrase: Uint8Array | null;
}

export interface SealInput {
  readonly facts: SeedFacts;
  readonly secret: SeedSecret;
  readonly passphrase: Uint8Array;
  readonly cost?: SeedCost;
  readonly randomBytes: (count: number) => Uint8Array;
}

export async function sealSeed(input: SealInput): Promise<Uint8Array> {
  const { facts, secret, passphrase, cost = SEED_COST, randomBytes } = input;
  const salt = randomBytes(SALT_BYTES);
  const keys = await stretch(passphrase, salt, cost);
  const plain = packed(secret);
  try {
    const check = checkOf(keys);
    const nonce = randomBytes(NONCE_BYTES);
    const { log2N, r, p } = cost;
    const head = Buffer.from([SEED_FILE_VERSION, log2N, r, p]);
    const header = Buffer.concat([MAGIC, head, facts.nodeId, facts.chainHash, salt, check, nonce]);
    const cipher = createCipheriv('aes-256-gcm', keys.subarray(0, KEY_BYTES), nonce);
    cipher.setAAD(header);
    const sealed = Buffer.concat([cipher.update(plain), cipher.final()]);
    return Uint8Array.from(Buffer.concat([header, sealed, cipher.getAuthTag()]));
  } finally {
    keys.fill(0);
    plain.fill(0);
  }
}

/** Whose seed it is, as the file says; only opening proves it. Throws `DaemonError`. */
export function readSeedFacts(file: Uint8Array): SeedFacts {
  costOf(file);
  return {
    nodeId: file.slice(NODE_ID_AT, CHAIN_HASH_AT),
    chainHash: file.slice(CHAIN_HASH_AT, SALT_AT),
  };
}

/** Rejects with `DaemonError`: `seed-wrong-passphrase`, `seed-file-invalid`, `seed-file-newer`. */
export async function openSeed(file: Uint8Array, passphrase: Uint8Array): Promise<SeedSecret> {
  const cost = costOf(file);
  const keys = await stretch(passphrase, file.subarray(SALT_AT, CHECK_AT), cost);
  try {
    if (!timingSafeEqual(checkOf(keys), file.subarray(CHECK_AT, NONCE_AT))) {
      throw new DaemonError('seed-wrong-passphrase', 'the passphrase does not open this seed file');
    }
    return unpacked(opened(file, keys.subarray(0, KEY_BYTES)));
  } finally {
    keys.fill(0);
  }
}

/** Wipes what `openSeed` gave. */
export function wipeSeed({ hsmSecret, passphrase }: SeedSecret): void {
  hsmSecret.fill(0);
  passphrase?.fill(0);
}

function opened(file: Uint8Array, key: Uint8Array): Buffer {
  const sealedEnd = file.length - TAG_BYTES;
  const decipher = createDecipheriv('aes-256-gcm', key, file.subarray(NONCE_AT, SEALED_AT), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAAD(file.subarray(0, SEALED_AT));
  decipher.setAuthTag(file.subarray(sealedEnd));
  const plain = decipher.update(file.subarray(SEALED_AT, sealedEnd));
  try {
    decipher.final();
    return plain;
  } catch {
    plain.fill(0);
    throw invalid('the passphrase is right, but the file was changed');
  }
}

function costOf(file: Uint8Array): SeedCost {
  const isOurs = file.length >= MAGIC.length && MAGIC.equals(file.subarray(0, MAGIC.length));
  if (!isOurs) throw invalid('it does not begin as a seed file does');
  const version = file[MAGIC.length];
  if (version !== undefined && version > SEED_FILE_VERSION) {
    throw new DaemonError('seed-file-newer', 'the seed file was written by a newer release', { version });
  }
  if (version !== SEED_FILE_VERSION) throw invalid('its version is unknown');
  if (file.length <= SEALED_AT + TAG_BYTES || file.length > SEED_FILE_BYTES_MAX)
    throw invalid('it has a length that no seed file has');
  const [log2N = 0, r = 0, p = 0] = file.subarray(COST_AT, NODE_ID_AT);
  const isBounded = log2N >= 1 && log2N < 32 && r >= 1 && p >= 1 && p <= P_MAX;
  if (!isBounded || 128 * 2 ** log2N * r > MEMORY_BYTES_MAX) throw invalid('it asks for too much memory');
  // RFC 7914, section 2: N is below 2^(128 * r / 8).
  if (log2N >= 16 * r) throw invalid('it asks for costs that scrypt does not have');
  return { log2N, r, p };
}

function invalid(why: string): DaemonError {
  return new DaemonError('seed-file-invalid', `this is no seed file that can be opened: ${why}`);
}

function stretch(passphrase: Uint8Array, salt: Uint8Array, { log2N, r, p }: SeedCost): Promise<Buffer> {
  const cost = { N: 2 ** log2N, r, p };
  const maxmem = 128 * cost.N * r + 128 * r * (p + 2) + 1024 * 1024;
  return new Promise((resolve, reject) => {
    scrypt(passphrase, salt, 2 * KEY_BYTES, { ...cost, maxmem }, (error, keys) => {
      if (error === null) resolve(keys);
      else reject(error);
    });
  });
}

function checkOf(keys: Buffer): Buffer {
  return createHash('sha256').update(keys.subarray(KEY_BYTES)).digest();
}

function packed({ hsmSecret, passphrase }: SeedSecret): Buffer {
  const parts = passphrase === null ? [hsmSecret] : [hsmSecret, passphrase];
  for (const part of parts) {
    if (part.length > PART_BYTES_MAX)
      throw new DaemonError('seed-file-invalid', 'the secret is longer than any hsm_secret', {
        bytes_max: PART_BYTES_MAX,
      });
  }
  const plain = Buffer.alloc(5 + hsmSecret.length + (passphrase?.length ?? 0));
  plain.writeUInt16BE(hsmSecret.length, 0);
  plain.set(hsmSecret, 2);
  plain.writeUInt8(passphrase === null ? 0 : 1, 2 + hsmSecret.length);
  plain.writeUInt16BE(passphrase?.length ?? 0, 3 + hsmSecret.length);
  if (passphrase !== null) plain.set(passphrase, 5 + hsmSecret.length);
  return plain;
}

/** Authenticated bytes: only this program can have written them. */
function unpacked(plain: Buffer): SeedSecret {
  try {
    const length = plain.readUInt16BE(0);
    const hasPassphrase = plain.readUInt8(2 + length) === 1;
    const passphraseLength = plain.readUInt16BE(3 + length);
    if (5 + length + passphraseLength !== plain.length) throw new RangeError('length');
    return {
      hsmSecret: Uint8Array.from(plain.subarray(2, 2 + length)),
      passphrase: hasPassphrase ? Uint8Array.from(plain.subarray(5 + length)) : null,
    };
  } catch {
    throw invalid('what it holds has another form');
  } finally {
    plain.fill(0);
  }
}
