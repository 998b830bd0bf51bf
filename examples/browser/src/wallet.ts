/**
 * A signer in a page: libsecp256k1 as WebAssembly, a journal on IndexedDB, and the same loop as everywhere: decide, make durable,
 * then sign. What this file does is all that a wallet needs.
 */
import { type Secp256k1, toHex } from '@countersign/bitcoin';
import { loadWasmSecp256k1 } from '@countersign/bitcoin/wasm';
import {
  KeyRing,
  MASTER_PERMISSIONS,
  networkByName,
  newHsmSecret,
  openHsmSecretSync,
  PERMISSION,
  policyOf,
} from '@countersign/core';
import { bindStore, PROTOCOL_VERSION_MAX, Signer } from '@countersign/host/signer';
import { type IndexedDbJournal, openIndexedDbJournal } from '@countersign/store/indexeddb';
import type { Request } from '@countersign/wire';
import type { Ask } from '../../shared/ask.ts';
import { DBID } from '../../shared/channel.ts';
import type { Shelf } from './shelf.ts';

export const STORE = 'countersign-example';

const ALL_PERMISSIONS = Object.values(PERMISSION).reduce((all, one) => all | one, 0n);
const randomBytes = (count: number): Uint8Array => crypto.getRandomValues(new Uint8Array(count));

/** What the page tells about each request. */
export interface Told {
  readonly request: string;
  readonly refusedBy: string | null;
  readonly milliseconds: number;
}

export interface Wallet {
  readonly secp: Secp256k1;
  readonly signer: Signer;
  readonly journal: IndexedDbJournal;
  readonly nodeId: string;
}

/** The seed of before, or a new one. A wallet with money keeps it encrypted, and has a copy elsewhere. */
function seedFile(shelf: Shelf): Uint8Array {
  const kept = shelf.seed;
  if (kept !== null) return kept;
  const file = newHsmSecret(randomBytes(16));
  shelf.seed = file;
  return file;
}

export async function openWallet(shelf: Shelf): Promise<Wallet> {
  // Else the browser may delete the store when it needs space, and with it what has been revoked.
  await navigator.storage.persist();
  const secp = await loadWasmSecp256k1(randomBytes);
  const network = networkByName('regtest')!;
  const { seed } = openHsmSecretSync(seedFile(shelf));
  const ring = new KeyRing({ secp256k1: secp, seed, bip32PublicVersion: network.bip32Public });
  seed.wipe();
  const journal = await openIndexedDbJournal(STORE, {
    // A store that was there and is gone is not to be taken for a new wallet.
    mode: shelf.hasBegun ? 'open' : 'open-or-create',
    randomBytes,
    monotonicMs: () => performance.now(),
    factory: indexedDB,
    locks: navigator.locks,
  });
  const policy = policyOf(network, 'wallet');
  await bindStore(journal, ring, policy);
  shelf.hasBegun = true;
  const nowSeconds = (): number => Math.floor(Date.now() / 1000);
  const signer = new Signer({
    ring,
    secp,
    journal,
    policy,
    protocolVersion: PROTOCOL_VERSION_MAX,
    nowSeconds,
  });
  return { secp, signer, journal, nodeId: toHex(ring.nodeId) };
}

/** The wallet's way to its signer. `tell` hears of every request, and how long it took until it was durable and signed. */
export function askWith(signer: Signer, peerId: Uint8Array, tell: (told: Told) => void): Ask {
  const node = { channel: null, permissions: MASTER_PERMISSIONS };
  const channel = { channel: { peerId, dbid: DBID }, permissions: ALL_PERMISSIONS };
  return async (speaker, request) => {
    const startedMs = performance.now();
    const answer = await signer.answer(speaker === 'node' ? node : channel, request);
    const milliseconds = performance.now() - startedMs;
    const refusedBy = answer.kind === 'refused' ? answer.refusal.tag : null;
    tell({ request: request.name, refusedBy, milliseconds });
    if (answer.kind === 'reply') return { ok: true, reply: answer.reply };
    const { tag, message } = answer.refusal;
    return { ok: false, tag, message };
  };
}

/**
 * The owner's own click: the wallet asks whether it may pay, the signer does not know, and the owner answers. The wallet
 * alone cannot do this: `administer` is the owner's door.
 */
export async function approve(
  signer: Signer,
  ask: Ask,
  request: Extract<Request, { name: 'hsmd_preapprove_keysend' }>,
): Promise<void> {
  const asked = await ask('node', request);
  if (asked.ok) return;
  const id = toHex(request.paymentHash);
  const answer = await signer.administer({ op: 'approve', id, amountMsat: null, expirySeconds: null });
  if (!answer.ok) throw new Error(answer.error.message);
}
