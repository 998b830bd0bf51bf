/**
 * From a node's seed file to its keys: the passphrase is asked for, the file opened, CLN's `hsm_secret` in it opened by core.
 * All bytes that were read on the way are wiped; what stays is the key ring.
 */
import { equalBytes, type Secp256k1, toHex } from '@countersign/bitcoin';
import {
  type HsmSecret,
  type KeyRing,
  networkByChainHash,
  networkByName,
  openHsmSecret,
} from '@countersign/core';
import { WorkerPool } from '@countersign/host';
import type { NodeConfig } from '../config/config.ts';
import { DaemonError } from '../error.ts';
import { readSeedFile } from './file.ts';
import { openSeed, readSeedFacts, type SeedFacts, wipeSeed } from './format.ts';
import { ringOf } from './new-seed.ts';
import { type PassphrasePlace, readPassphrase } from './passphrase.ts';

export interface OpenedKeys {
  readonly ring: KeyRing;
  /** Threads with the same keys; null where none are wanted. */
  readonly pool: WorkerPool | null;
  readonly hsmSecretType: HsmSecret['hsmSecretType'];
}

/** `workers`: threads that get the keys too. Rejects with `DaemonError`, or with core's error when what was sealed is no secret. */
export async function openKeys(
  config: NodeConfig,
  place: PassphrasePlace,
  secp: Secp256k1,
  workers: number,
): Promise<OpenedKeys> {
  const file = readSeedFile(config.seedFile);
  const facts = readSeedFacts(file);
  const network = requireNetwork(config, facts);
  const question = `Passphrase of node ${config.name} (${toHex(facts.nodeId).slice(0, 16)}…): `;
  const passphrase = await readPassphrase(config.passphrase, place, question);
  try {
    const sealed = await openSeed(file, passphrase);
    try {
      const { seed, hsmSecretType } = await openHsmSecret(sealed.hsmSecret, sealed.passphrase ?? undefined);
      const style = config.keyStyle;
      const ring = ringOf(secp, seed, style, network);
      seed.wipe();
      requireNode(config, facts, ring);
      const keys = { ...sealed, style, bip32PublicVersion: network.bip32Public };
      const pool = workers === 0 ? null : await WorkerPool.open(workers, keys, ring.nodeId);
      return { ring, pool, hsmSecretType };
    } finally {
      wipeSeed(sealed);
    }
  } finally {
    passphrase.fill(0);
  }
}

function requireNetwork({ name, network, seedFile }: NodeConfig, { chainHash }: SeedFacts) {
  const known = networkByName(network);
  if (known !== undefined && equalBytes(known.chainHash, chainHash)) return known;
  const made = networkByChainHash(chainHash)?.name ?? 'an unknown network';
  throw new DaemonError(
    'node-start-failed',
    `node ${name} is on ${network}, but ${seedFile} was made for ${made}`,
  );
}

function requireNode({ seedFile, keyStyle }: NodeConfig, { nodeId }: SeedFacts, ring: KeyRing): void {
  if (equalBytes(nodeId, ring.nodeId)) return;
  throw new DaemonError(
    'seed-file-invalid',
    `${seedFile} holds the keys of another node than it says, or its keys follow from it in another way than key_style = "${keyStyle}"`,
    {
      node_id: toHex(ring.nodeId),
    },
  );
}

/** Wipes the ring and ends the threads. */
export async function closeKeys({ ring, pool }: OpenedKeys): Promise<void> {
  ring.wipe();
  await pool?.close();
}
