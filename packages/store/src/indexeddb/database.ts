/**
 * The database of a browser's journal: opened or created as the mode allows, read once, and written in transactions that are
 * durable when they complete. Each write first makes sure that nobody has written since this journal's last one.
 */
import { equalBytes } from '../checksum.ts';
import { StoreError } from '../error.ts';
import type { AuditEntry, OpenMode, RecordChange, StoredRecord } from '../journal.ts';
import { indexedDbError } from './failure.ts';
import { type MetaRow, metaRow, readAuditRow, readMetaRow, readRecordRow, recordRow } from './rows.ts';

/** Raised with every change of the layout; a newer one is refused (`store-newer-schema`). */
export const DATABASE_VERSION = 1;
export const STORE_ID = 'store-id';
/** How often anybody has written: a u64 that every transaction compares and raises. */
export const GENERATION = 'generation';
export const BINDING_PREFIX = 'binding/';

const META = 'meta';
const RECORD = 'record';
const AUDIT = 'audit';

export interface Write {
  readonly changes: readonly RecordChange[];
  readonly entries: readonly AuditEntry[];
  readonly bindings: readonly MetaRow[];
}

export interface Loaded {
  readonly meta: ReadonlyMap<string, Uint8Array>;
  readonly records: Map<string, StoredRecord>;
  /** The newest entries, in order. */
  readonly newest: readonly AuditEntry[];
}

export function generationBytes(generation: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, generation);
  return bytes;
}

function resultOf<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** @throws StoreError `store-missing`, `store-exists`, `store-newer-schema`, `store-io` */
export function openDatabase(
  factory: IDBFactory,
  name: string,
  mode: OpenMode,
  storeId: Uint8Array,
): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = factory.open(name, DATABASE_VERSION);
    let refused: StoreError | undefined;
    request.onupgradeneeded = () => {
      if (mode === 'open') {
        refused = new StoreError('store-missing', `no database ${name} in this browser`, { store: name });
        request.transaction?.abort();
        return;
      }
      create(request.result, storeId);
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(refused ?? indexedDbError(request.error, 'opening the journal'));
    request.onblocked = () => reject(new StoreError('store-locked', 'another page has an older layout open'));
  });
}

/** In the transaction of the upgrade: there is never a database without its store id. */
function create(db: IDBDatabase, storeId: Uint8Array): void {
  const meta = db.createObjectStore(META, { keyPath: 'name' });
  db.createObjectStore(RECORD, { keyPath: 'key' });
  db.createObjectStore(AUDIT, { keyPath: 'seq' });
  meta.put(metaRow(STORE_ID, storeId));
  meta.put(metaRow(GENERATION, generationBytes(0n)));
}

/** Everything but older audit entries. @throws StoreError `store-corrupt`, `store-io` */
export async function load(db: IDBDatabase, entriesMax: number): Promise<Loaded> {
  const transaction = db.transaction([META, RECORD, AUDIT], 'readonly');
  const [meta, records, newest] = await Promise.all([
    resultOf(transaction.objectStore(META).getAll()),
    resultOf(transaction.objectStore(RECORD).getAll()),
    newestEntries(transaction.objectStore(AUDIT), entriesMax),
  ]);
  return {
    meta: new Map(meta.map(readMetaRow).map(({ name, value }) => [name, value])),
    records: new Map(records.map(readRecordRow).map((record) => [record.key, record])),
    newest,
  };
}

async function newestEntries(store: IDBObjectStore, entriesMax: number): Promise<readonly AuditEntry[]> {
  const last = await resultOf(store.openKeyCursor(null, 'prev'));
  const lastSeq = Number(last?.key ?? 0);
  const range = IDBKeyRange.lowerBound(Math.max(1, lastSeq - entriesMax + 1));
  return (await resultOf(store.getAll(range))).map(readAuditRow);
}

/** Entries `fromSeq` to `toSeq`, at most `countMax`. */
export async function auditRange(
  db: IDBDatabase,
  fromSeq: number,
  toSeq: number,
  countMax: number,
): Promise<readonly AuditEntry[]> {
  if (fromSeq > toSeq) return [];
  const store = db.transaction(AUDIT, 'readonly').objectStore(AUDIT);
  return (await resultOf(store.getAll(IDBKeyRange.bound(fromSeq, toSeq), countMax))).map(readAuditRow);
}

/**
 * All or nothing. Resolves when it is on the disk (`durability: 'strict'`), not when the operating system has it. The generation
 * on the disk must be `generation`, and is one more afterwards. Rejects with StoreError `store-fenced` when another has written.
 */
export function write(db: IDBDatabase, generation: bigint, content: Write): Promise<void> {
  const transaction = db.transaction([META, RECORD, AUDIT], 'readwrite', { durability: 'strict' });
  const meta = transaction.objectStore(META);
  let stopped: StoreError | undefined;
  const stop = (error: StoreError): void => {
    stopped = error;
    transaction.abort();
  };
  const before = meta.get(GENERATION);
  before.onsuccess = () => {
    try {
      requireGeneration(before.result, generation);
      meta.put(metaRow(GENERATION, generationBytes(generation + 1n)));
      put(transaction, content);
    } catch (cause) {
      stop(indexedDbError(cause, 'writing the journal'));
    }
  };
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(stopped ?? indexedDbError(transaction.error, 'writing the journal'));
  });
}

function requireGeneration(row: unknown, generation: bigint): void {
  if (equalBytes(readMetaRow(row).value, generationBytes(generation))) return;
  throw new StoreError('store-fenced', 'something else has written to the database', { generation });
}

function put(transaction: IDBTransaction, { changes, entries, bindings }: Write): void {
  const meta = transaction.objectStore(META);
  const records = transaction.objectStore(RECORD);
  const audit = transaction.objectStore(AUDIT);
  for (const row of bindings) meta.put(row);
  for (const change of changes) records.put(recordRow(change));
  // `add`: an entry that is there already aborts the transaction.
  for (const { seq, previousHash, hash, body } of entries) audit.add({ seq, previousHash, hash, body });
}
