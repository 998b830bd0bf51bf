/**
 * After a kill: the store opens, every row and page is sound, and the audit chain still holds the last head that was
 * seen before.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { type AuditHead, openJournal } from '@countersign/store';

export interface StoreCheck {
  readonly problems: readonly string[];
  readonly records: number;
  readonly auditHead: AuditHead | undefined;
}

/** Where countersign-hsmd keeps its store, seen from lightningd's network directory. */
const STATE_DIRECTORY = 'countersign';

export async function checkStore(directory: string, before: StoreCheck | undefined): Promise<StoreCheck> {
  try {
    const journal = openJournal(join(directory, STATE_DIRECTORY), {
      mode: 'open',
      randomBytes,
      monotonicMs: () => performance.now(),
    });
    try {
      const report = await journal.checkIntegrity();
      const auditHead = await journal.verifyAudit(before?.auditHead);
      return { problems: report.problems, records: report.recordsChecked, auditHead };
    } finally {
      await journal.close();
    }
  } catch (error) {
    const problem = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    return { problems: [problem], records: 0, auditHead: before?.auditHead };
  }
}
