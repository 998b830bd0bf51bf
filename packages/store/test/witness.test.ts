/** The witness: a store that is older than what was released, or that lives twice, serves no more. */
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Journal, OVERLAPPED } from '../src/index.ts';
import { bytes, codeOf, inDirectory, open } from './support.ts';

/** Each differs from all before, as entries of the host do: every run enters a random number first. */
let entries = 0;
function append(journal: Journal): Promise<void> {
  entries += 1;
  return journal.commit([], [bytes(`entry ${entries}`)]);
}
const witnessOf = (directory: string): string => join(dirname(directory), 'witness');

/** A store with three entries and a witness that has seen them. */
async function witnessed(directory: string): Promise<{ readonly witnessFile: string }> {
  const witnessFile = witnessOf(directory);
  writeFileSync(witnessFile, '');
  const journal = open(directory, { witnessFile });
  for (let i = 0; i < 3; i += 1) await append(journal);
  await journal.close();
  return { witnessFile };
}

function replace(directory: string, copy: string): void {
  rmSync(directory, { recursive: true });
  cpSync(copy, directory, { recursive: true });
}

describe('the witness', () => {
  it('lets a store go on that is as it was, or further', async () => {
    await inDirectory(async (directory) => {
      const options = await witnessed(directory);
      for (let i = 0; i < 2; i += 1) {
        const journal = open(directory, options);
        await append(journal);
        await journal.close();
      }
      // As after a power cut, which may take the newest link from the witness and nothing from the store.
      const older = readFileSync(options.witnessFile);
      const journal = open(directory, options);
      await append(journal);
      await journal.close();
      writeFileSync(options.witnessFile, older);
      await open(directory, options).close();
      expect(readFileSync(options.witnessFile, 'latin1')).toMatch(
        /^countersign witness 1 [0-9a-f]{32}\n0{15}6 [0-9a-f]{64}\n$/,
      );
    });
  });

  it('store-rolled-back: refuses an older copy, again and again, and takes the newest as before', async () => {
    await inDirectory(async (directory) => {
      const options = await witnessed(directory);
      const [yesterday, today] = [`${directory}-yesterday`, `${directory}-today`];
      cpSync(directory, yesterday, { recursive: true });
      const journal = open(directory, options);
      await append(journal);
      await journal.close();
      cpSync(directory, today, { recursive: true });
      replace(directory, yesterday);
      for (let i = 0; i < 2; i += 1)
        expect(() => open(directory, options)).toThrow(
          expect.objectContaining({
            code: 'store-rolled-back',
            facts: { witness: options.witnessFile, seq: 3, seq_witnessed: 4 },
          }),
        );
      // What was not witnessed is not told: the limit without the file.
      await open(directory).close();
      replace(directory, today);
      await open(directory, options).close();
    });
  });

  it('store-rolled-back: refuses a copy that went on for itself, and another store', async () => {
    await inDirectory(async (directory) => {
      const options = await witnessed(directory);
      const copy = `${directory}-copy`;
      cpSync(directory, copy, { recursive: true });
      const alone = open(copy);
      for (let i = 0; i < 2; i += 1) await append(alone);
      await alone.close();
      const journal = open(directory, options);
      await append(journal);
      await journal.close();
      expect(await codeOf(() => open(copy, options))).toBe('store-rolled-back');
      const other = open(`${directory}-other`);
      await append(other);
      await other.close();
      expect(await codeOf(() => open(`${directory}-other`, options))).toBe('store-rolled-back');
      expect(await codeOf(() => open(`${directory}-new`, options))).toBe('store-rolled-back');
    });
  });

  it.each([
    ['at once', 'blocking'],
    ['with its syncs beside', 'overlapped'],
  ] as const)(
    'store-fenced: the process that another took over from commits nothing more, %s',
    async (_, kind) => {
      await inDirectory(async (directory) => {
        const options = await witnessed(directory);
        const copy = `${directory}-copy`;
        cpSync(directory, copy, { recursive: true });
        const flush = kind === 'blocking' ? {} : { flush: OVERLAPPED };
        const first = open(directory, { ...options, ...flush });
        const second = open(copy, options);
        expect(await codeOf(() => append(first))).toBe('store-fenced');
        expect(first.state).toBe('failed');
        expect(await codeOf(() => append(first))).toBe('store-failed');
        await append(second);
        await first.close();
        await second.close();
        // What the first wrote and never released is no history that could go on.
        expect(await codeOf(() => open(directory, options))).toBe('store-rolled-back');
        await open(copy, options).close();
      });
    },
  );

  it('refuses the copy that lacks what the process before showed while it was taken over from', async () => {
    await inDirectory(async (directory) => {
      const options = await witnessed(directory);
      const copy = `${directory}-copy`;
      cpSync(directory, copy, { recursive: true });
      const first = open(directory, options);
      // The link of the first arrives between the second's look at the witness and its name in it.
      const { hash } = first.auditHead;
      await append(first);
      const later = readFileSync(options.witnessFile);
      const before = Buffer.from(later);
      before.write(`${'3'.padStart(16, '0')} ${Buffer.from(hash).toString('hex')}`, 55);
      writeFileSync(options.witnessFile, before);
      const meanwhile = (count: number) => {
        writeFileSync(options.witnessFile, later);
        return new Uint8Array(count);
      };
      expect(await codeOf(() => open(copy, { ...options, randomBytes: meanwhile }))).toBe(
        'store-rolled-back',
      );
      await first.close();
      await open(directory, options).close();
    });
  });

  it('store-witness: refuses a file that is missing, of another kind, or lost while it serves', async () => {
    await inDirectory(async (directory) => {
      const options = await witnessed(directory);
      const sound = readFileSync(options.witnessFile, 'latin1');
      for (const damaged of ['x', sound.slice(1), sound.slice(0, -1), `${sound}x`, sound.replace('0', 'g')]) {
        writeFileSync(options.witnessFile, damaged);
        expect(await codeOf(() => open(directory, options))).toBe('store-witness');
      }
      rmSync(options.witnessFile);
      expect(await codeOf(() => open(directory, options))).toBe('store-witness');
      writeFileSync(options.witnessFile, '');
      const journal = open(directory, options);
      await append(journal);
      writeFileSync(options.witnessFile, '');
      expect(await codeOf(() => append(journal))).toBe('store-witness');
      await journal.close();
    });
  });

  it('store-witness: refuses to lie beside what it watches', async () => {
    await inDirectory(async (directory) => {
      await witnessed(directory);
      writeFileSync(join(directory, 'witness'), '');
      expect(await codeOf(() => open(directory, { witnessFile: join(directory, 'witness') }))).toBe(
        'store-witness',
      );
      const beside = `${directory}.witness`;
      writeFileSync(beside, '');
      await open(directory, { witnessFile: beside }).close();
    });
  });

  it('keeps to one process: a second one on the same directory is told of the lock and fences nobody', async () => {
    await inDirectory(async (directory) => {
      const options = await witnessed(directory);
      const journal = open(directory, options);
      expect(await codeOf(() => open(directory, options))).toBe('store-locked');
      await append(journal);
      await journal.close();
    });
  });
});
