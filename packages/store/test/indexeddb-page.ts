/**
 * Runs in the browser: opens journals and hands the test what they say. Bytes go in and out as text; what is thrown comes
 * back as its code.
 */
import { fromHex, toHex } from '@countersign/bitcoin';
import { type OpenMode, StoreError } from '@countersign/store/contract';
import {
  type IndexedDbJournal,
  type IndexedDbOptions,
  openIndexedDbJournal,
} from '@countersign/store/indexeddb';

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const journals = new Map<string, IndexedDbJournal>();

const codeOf = (error: unknown): string =>
  error instanceof StoreError ? error.code : `${error instanceof Error ? error.stack : error}`;

export type PageChange = readonly [key: string, version: number, value: string | null];

function of(name: string): IndexedDbJournal {
  const journal = journals.get(name);
  if (journal === undefined) throw new TypeError(`no journal ${name}`);
  return journal;
}

async function told<T>(action: () => T | Promise<T>): Promise<T | string> {
  try {
    return await action();
  } catch (error) {
    return codeOf(error);
  }
}

const page = {
  open(name: string, mode: OpenMode, limits: IndexedDbOptions['limits'] = {}, factory = indexedDB) {
    return told(async () => {
      const journal = await openIndexedDbJournal(name, {
        mode,
        limits,
        factory,
        locks: navigator.locks,
        // A browser that has just started, on a busy machine, takes its time for the first one.
        lockWaitMs: 2_000,
        randomBytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
        monotonicMs: () => performance.now(),
      });
      journals.set(name, journal);
      return `open ${toHex(journal.storeId)}`;
    });
  },
  commit(name: string, changes: readonly PageChange[], audit: readonly string[] = []) {
    return told(async () => {
      const taken = changes.map(([key, version, value]) => ({
        key,
        version,
        value: value === null ? null : encoder.encode(value),
      }));
      await of(name).commit(
        taken,
        audit.map((body) => encoder.encode(body)),
      );
      return 'durable';
    });
  },
  /** Many commits at once, without waiting: what came of each. */
  burst(name: string, commits: readonly (readonly PageChange[])[]) {
    return Promise.all(
      commits.map((changes) =>
        page.commit(
          name,
          changes,
          changes.map(([key]) => key),
        ),
      ),
    );
  },
  read(name: string, key: string) {
    return told(() => {
      const found = of(name).read(key);
      if (found === undefined) return null;
      return [found.version, found.value === null ? null : decoder.decode(found.value)] as const;
    });
  },
  keys: (name: string, prefix: string) => told(() => of(name).keys(prefix)),
  head: (name: string) => told(() => of(name).auditHead.seq),
  state: (name: string) => of(name).state,
  stats: (name: string) => {
    const { commits, batches, records, auditEntries, pendingCommits, lastError } = of(name).stats;
    return { commits, batches, records, auditEntries, pendingCommits, lastError: lastError?.code ?? null };
  },
  audit: (name: string, fromSeq: number, countMax: number) =>
    told(() =>
      of(name)
        .audit(fromSeq, countMax)
        .map(({ seq, body }) => `${seq} ${decoder.decode(body)}`),
    ),
  history: (name: string, fromSeq: number, countMax: number) =>
    told(async () =>
      (await of(name).history(fromSeq, countMax)).map(({ seq, body }) => `${seq} ${decoder.decode(body)}`),
    ),
  verify: (name: string, known?: readonly [number, string]) =>
    told(async () => {
      const head = known === undefined ? undefined : { seq: known[0], hash: fromHex(known[1]) };
      const reached = await of(name).verifyAudit(head);
      return `${reached.seq} ${toHex(reached.hash)}`;
    }),
  check: (name: string) => told(async () => (await of(name).checkIntegrity()).problems),
  bind: (name: string, what: string, value: string) =>
    told(async () => {
      await of(name).bind(what, encoder.encode(value));
      return 'bound';
    }),
  settled: (name: string) => told(() => of(name).settled()),
  flushNow: (name: string) => told(() => of(name).flushNow()),
  flushNowWhileWriting(name: string, change: PageChange) {
    const durable = page.commit(name, [change]);
    return Promise.all([page.flushNow(name), durable]);
  },
  async askWhileClosing(name: string, change: PageChange) {
    const closed = of(name).close();
    const answers = await Promise.all([page.flushNow(name), page.commit(name, [change])]);
    await closed;
    return answers;
  },
  async close(name: string) {
    await of(name).close();
    return of(name).state;
  },
  /** A write of somebody who asked for no lock. */
  tamper(name: string, store: string, change: 'drop' | 'flip' | 'generation', key: string | number) {
    return new Promise<string>((resolve, reject) => {
      const request = indexedDB.open(name);
      request.onerror = () => reject(request.error);
      request.onsuccess = () => {
        const db = request.result;
        const transaction = db.transaction(store, 'readwrite');
        const rows = transaction.objectStore(store);
        if (change === 'drop') rows.delete(key);
        else {
          const get = rows.get(key);
          get.onsuccess = () => {
            const row = get.result as { value?: Uint8Array; body?: Uint8Array };
            const bytes = row.value ?? row.body!;
            bytes[bytes.length - 1]! ^= 1;
            rows.put(row);
          };
        }
        transaction.oncomplete = () => {
          db.close();
          resolve('done');
        };
      };
    });
  },
  newer: (name: string) =>
    new Promise<string>((resolve, reject) => {
      const request = indexedDB.open(name, 99);
      request.onerror = () => reject(request.error);
      request.onsuccess = () => {
        request.result.close();
        resolve('done');
      };
    }),
  /** What transactions the journal asks for, and a disk that is full. */
  watchTransactions() {
    const asked: string[] = [];
    const original = IDBDatabase.prototype.transaction;
    IDBDatabase.prototype.transaction = function (stores, mode, options) {
      if (mode === 'readwrite') asked.push(options?.durability ?? 'default');
      return original.call(this, stores, mode, options);
    };
    return { asked, restore: () => (IDBDatabase.prototype.transaction = original) };
  },
  async durabilities(name: string, change: PageChange) {
    const watch = page.watchTransactions();
    await page.commit(name, [change]);
    watch.restore();
    return watch.asked;
  },
  /** The next write finds no room, as a browser says it. */
  async full(name: string, change: PageChange) {
    const original = IDBObjectStore.prototype.put;
    IDBObjectStore.prototype.put = () => {
      throw new DOMException('no room', 'QuotaExceededError');
    };
    const result = await page.commit(name, [change]);
    IDBObjectStore.prototype.put = original;
    return result;
  },
};

export type Page = typeof page;

Object.assign(globalThis, { page });
