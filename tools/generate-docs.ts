/**
 * Writes the generated pages of `docs`. With `--check` it writes nothing, names each page that is stale, and ends with
 * exit status 1 if there is one.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildProgram } from '@countersign/cli';
import { allRules } from '@countersign/core';
import { renderMessagesDocument } from '@countersign/wire';
import { renderAttacksDocument } from './attacks-document.ts';
import { renderCliDocument } from './cli-document.ts';
import { staleDiagrams } from './diagrams.ts';
import { renderErrorsDocument } from './errors-document.ts';
import { renderLibraryDocument } from './library-document.ts';
import { renderPoliciesDocument } from './policies-document.ts';
import { renderRefusalsDocument } from './refusals-document.ts';
import { REPOSITORY } from './workspace.ts';

const PAGES: Readonly<Record<string, () => string>> = {
  'docs/messages.md': renderMessagesDocument,
  'docs/policies.md': () => renderPoliciesDocument(allRules()),
  'docs/refusals.md': () => renderRefusalsDocument(allRules()),
  'docs/errors.md': renderErrorsDocument,
  'docs/attacks.md': renderAttacksDocument,
  'docs/cli.md': () => renderCliDocument(buildProgram()),
  'docs/library-api.md': () => renderLibraryDocument(),
};

function isStale(page: string, text: string): boolean {
  const path = join(REPOSITORY, page);
  return !existsSync(path) || readFileSync(path, 'utf8') !== text;
}

const rendered = Object.entries(PAGES).map(([page, render]) => [page, render()] as const);
const stale = rendered.filter(([page, text]) => isStale(page, text));

if (process.argv.includes('--check')) {
  for (const [page] of stale) console.error(`${page} is stale: run "npm run docs" and commit it`);
  const undrawn = staleDiagrams();
  for (const name of undrawn)
    console.error(`docs/img/drawn/${name}.svg is stale: run "npm run diagrams" and commit it`);
  if (stale.length + undrawn.length > 0) process.exitCode = 1;
  else console.log(`generated pages are up to date: ${rendered.length}`);
} else {
  for (const [page, text] of stale) writeFileSync(join(REPOSITORY, page), text);
  console.log(`generated pages: ${rendered.length}, of which changed: ${stale.length}`);
}
