/** Makes docs/refusal-table.md: what a running lightningd does when its hsmd refuses just one request. Promises that every row was
 *  tried in this run; `--check` compares with the page instead of writing it. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { killAll } from './daemon.ts';
import { findPrograms } from './options.ts';
import { observe, type Seen } from './refusals/observe.ts';
import { ROWS } from './refusals/rows.ts';
import { DOCUMENT_HEAD, DOCUMENT_TAIL } from './refusals/text.ts';

const PAGE = join(import.meta.dirname, '../../docs/refusal-table.md');
const JOBS = 2;

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}

function line(seen: Seen): string {
  const { message, name, asker, when } = seen.row;
  const cells = [
    `${message} ${name}`,
    asker,
    when,
    seen.said === '' ? '' : `\`${seen.said}\``,
    seen.logged === '' ? '' : `\`${seen.logged}\``,
    seen.lives ? 'yes' : '**no**',
    seen.after,
  ];
  return `| ${cells.map(cell).join(' | ')} |`;
}

function page(all: Seen[]): string {
  const head = '| request | asked by | when | the command says | the log says | node lives | afterwards |';
  return [
    DOCUMENT_HEAD,
    '',
    head,
    '|---|---|---|---|---|---|---|',
    ...all.map(line),
    '',
    DOCUMENT_TAIL,
    '',
  ].join('\n');
}

async function main(): Promise<number> {
  const found = findPrograms(process.env, 'none');
  if ('missing' in found) {
    console.log(`The refusal table was skipped: ${found.missing.join(', ')}.`);
    return 0;
  }
  const only = process.argv
    .slice(2)
    .filter((one) => /^\d+$/.test(one))
    .map(Number);
  const rows = ROWS.filter((row) => only.length === 0 || only.includes(row.message));
  const seen: Seen[] = [];
  let failed = 0;
  const queue = [...rows.entries()];
  const work = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const [i, row] = next;
      try {
        const one = await observe(row, found.programs, 'none');
        seen[i] = one;
        console.log(line(one));
      } catch (error) {
        failed += 1;
        console.log(error);
      }
    }
  };
  await Promise.all(Array.from({ length: JOBS }, work));
  console.log(`${seen.filter((one) => one !== undefined).length} rows tried, ${failed} failed`);
  if (failed > 0) return 1;
  if (only.length > 0) return 0;
  if (!process.argv.includes('--check')) {
    writeFileSync(PAGE, page(seen));
    return 0;
  }
  const same = readFileSync(PAGE, 'utf8') === page(seen);
  console.log(
    same ? 'docs/refusal-table.md is what was seen' : 'docs/refusal-table.md differs from what was seen',
  );
  return same ? 0 : 1;
}

process.on('exit', killAll);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(130));
process.exit(await main());
