/**
 * The recordings of CLN's hsmd, line by line, with the ring of keys each process had after INIT. Requests are read
 * with offsets written here, so that these tests do not depend on the codecs they indirectly vouch for.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { ByteReader, fromHex, loadSecp256k1 } from '@countersign/bitcoin';
import { type HsmSecret, openHsmSecret } from '../../src/keys/hsm-secret.ts';
import { type DevForce, KeyRing } from '../../src/keys/keyring.ts';
import { Secret } from '../../src/keys/secret.ts';

const VECTORS = fileURLToPath(new URL('../../../../vectors/cln/', import.meta.url));

export interface Line {
  readonly seq: number;
  readonly pid: number;
  readonly client: { readonly id: number; readonly dbid: number; readonly peer_id: string };
  readonly type_num: number;
  readonly request: string;
  readonly reply: string | null;
}

export interface SyntheticCase {
  readonly case: string;
  readonly file: string;
  readonly hsm_secret_file_before_hex: string | null;
  readonly hsm_secret_file_after_hex: string | null;
  readonly passphrase?: string;
  readonly exit_status: number;
  readonly reply?: string;
}

interface Meta {
  readonly nodes: Readonly<
    Record<string, { file: string; hsm_secret_hex: string; passphrase: string | null; node_id: string }>
  >;
}

/** One recorded file and the secret its hsmd had. */
export interface Recording {
  readonly name: string;
  readonly secretFile: Uint8Array;
  readonly passphrase: string | undefined;
  readonly lines: readonly Line[];
}

export const syntheticCases: readonly SyntheticCase[] = (
  JSON.parse(readFileSync(`${VECTORS}synthetic/cases.json`, 'utf8')) as { cases: SyntheticCase[] }
).cases;

export function syntheticCase(name: string): SyntheticCase {
  const found = syntheticCases.find((one) => one.case === name);
  if (found === undefined) throw new Error(`no synthetic case ${name}`);
  return found;
}

function readLines(path: string): readonly Line[] {
  const text = gunzipSync(readFileSync(`${VECTORS}${path}.gz`)).toString('utf8');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line);
}

function* scenarios(): Generator<Recording> {
  for (const scenario of readdirSync(VECTORS)) {
    if (scenario === 'synthetic') continue;
    const meta = JSON.parse(readFileSync(`${VECTORS}${scenario}/meta.json`, 'utf8')) as Meta;
    for (const [node, facts] of Object.entries(meta.nodes)) {
      yield {
        name: `${scenario}/${node}`,
        secretFile: fromHex(facts.hsm_secret_hex),
        passphrase: facts.passphrase ?? undefined,
        lines: readLines(`${scenario}/${facts.file}`),
      };
    }
  }
}

function* synthetic(): Generator<Recording> {
  for (const one of syntheticCases) {
    if (!readdirSync(`${VECTORS}synthetic`).includes(`${one.file}.gz`)) continue;
    yield {
      name: `synthetic/${one.case}`,
      secretFile: fromHex(one.hsm_secret_file_after_hex!),
      passphrase: one.passphrase,
      lines: readLines(`synthetic/${one.file}`),
    };
  }
}

export const recordings: readonly Recording[] = [...scenarios(), ...synthetic()];

export interface InitRequest {
  readonly publicVersion: number;
  readonly force: DevForce;
}

export function readInit(request: Uint8Array): InitRequest {
  const reader = new ByteReader(request);
  reader.take(2);
  const publicVersion = reader.u32be();
  reader.take(4 + 32);
  const optional = () => (reader.u8() === 1 ? Secret.copy(reader.take(32), 32) : undefined);
  optional(); // hsm_encryption_key, long unused
  const nodePrivateKey = optional();
  const bip32Seed = optional();
  const part = () => Secret.copy(reader.take(32), 32);
  const channel =
    reader.u8() === 1
      ? { funding: part(), revocation: part(), payment: part(), delayedPayment: part(), htlc: part() }
      : {};
  const shaseed = optional();
  return {
    publicVersion,
    force: {
      ...(nodePrivateKey && { nodePrivateKey }),
      ...(bip32Seed && { bip32Seed }),
      channelSecrets: { ...channel, ...(shaseed && { shaseed }) },
    },
  };
}

const rings = new Map<string, Promise<{ ring: KeyRing; secret: HsmSecret }>>();

/** The ring an hsmd has after this INIT; one per secret and request. */
export function ringFor(
  recording: Recording,
  initRequest: string,
): Promise<{ ring: KeyRing; secret: HsmSecret }> {
  const key = `${recording.secretFile.join()}|${recording.passphrase}|${initRequest}`;
  let made = rings.get(key);
  if (made === undefined) {
    made = makeRing(recording, initRequest);
    rings.set(key, made);
  }
  return made;
}

async function makeRing(recording: Recording, initRequest: string) {
  const secret = await openHsmSecret(recording.secretFile, recording.passphrase);
  const { publicVersion, force } = readInit(fromHex(initRequest));
  const ring = new KeyRing({
    secp256k1: loadSecp256k1(),
    seed: secret.seed,
    bip32PublicVersion: publicVersion,
    force,
  });
  return { ring, secret };
}

export interface Exchange {
  readonly where: string;
  readonly ring: KeyRing;
  readonly client: Line['client'];
  /** Request body after the type. */
  readonly request: ByteReader;
  readonly requestBytes: Uint8Array;
  /** Reply body after the type. */
  readonly reply: ByteReader;
  readonly replyBytes: Uint8Array;
}

/** Every answered request of one type, in all recordings. */
export async function exchangesOf(type: number): Promise<readonly Exchange[]> {
  const found: Exchange[] = [];
  for (const recording of recordings) {
    let init: string | undefined;
    for (const line of recording.lines) {
      if (line.type_num === 11) init = line.request;
      if (line.type_num !== type || line.reply === null || init === undefined) continue;
      const { ring } = await ringFor(recording, init);
      const requestBytes = fromHex(line.request);
      const replyBytes = fromHex(line.reply);
      const request = new ByteReader(requestBytes);
      const reply = new ByteReader(replyBytes);
      request.u16be();
      reply.u16be();
      found.push({
        where: `${recording.name} #${line.seq}`,
        ring,
        client: line.client,
        request,
        requestBytes,
        reply,
        replyBytes,
      });
    }
  }
  return found;
}
