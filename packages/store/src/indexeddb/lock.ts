/**
 * One writer per store and browser profile: an exclusive Web Lock, held until it is let go of or the page is gone. The browser
 * frees it also when the page crashes.
 */
import { StoreError } from '../error.ts';

/** Lets go of the lock. */
export type Release = () => void;

/** @throws StoreError `store-locked` when another page still holds it after `waitMs` */
export function holdLock(locks: LockManager, store: string, waitMs: number): Promise<Release> {
  const name = `countersign/store/${store}`;
  return new Promise((resolve, reject) => {
    const held = (): Promise<void> => new Promise((release) => resolve(release));
    locks
      .request(name, { mode: 'exclusive', signal: AbortSignal.timeout(waitMs) }, held)
      .catch((cause: unknown) => {
        reject(new StoreError('store-locked', 'another page of this browser has it', { store }, { cause }));
      });
  });
}
