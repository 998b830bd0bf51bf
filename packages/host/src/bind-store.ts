/** A store belongs to one seed and one network, for good: with another it is refused before anything is signed from it. */
import { CountersignError, fromHex, toHex } from '@countersign/bitcoin';
import type { KeyRing, Policy } from '@countersign/core';
import { type Journal, StoreError } from '@countersign/store/contract';

/** Bind a store to one seed and one network; the second use with another is refused (`store-bound-elsewhere`). */
export async function bindStore(journal: Journal, ring: KeyRing, policy: Policy): Promise<void> {
  const network = new TextEncoder().encode(policy.network.name);
  await bind(journal, 'network', network, (value) => `network ${new TextDecoder().decode(value)}`);
  await bind(journal, 'node-id', ring.nodeId, (value) => `node ${toHex(value)}`);
}

/** `tell` puts a bound value into the operator's words. */
async function bind(
  journal: Journal,
  name: string,
  value: Uint8Array,
  tell: (value: Uint8Array) => string,
): Promise<void> {
  try {
    await journal.bind(name, value);
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== 'store-bound-elsewhere') throw error;
    const bound = tell(fromHex(String(error.facts.bound)));
    throw new CountersignError(error.code, `the store belongs to ${bound}, not to ${tell(value)}`, { name });
  }
}
