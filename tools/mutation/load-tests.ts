/**
 * Loads test files of core once into this process, from the tree of the working directory (Stryker's copy, whose
 * node_modules lead back to the original): the workspace's packages are those of the copy, and `vitest` is test-api.ts.
 */
import { globSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type CollectedTest, collect, collectedTests } from './test-api.ts';

const TEST_API = new URL('./test-api.ts', import.meta.url).href;
const OWN_PACKAGE = /^@countersign\/([a-z]+)$/;

function substitute(specifier: string, importer: string | undefined, root: string): string | null {
  if (specifier === 'vitest') return importer?.startsWith(`${root}packages/`) ? TEST_API : null;
  const name = OWN_PACKAGE.exec(specifier)?.[1];
  return name === undefined ? null : `${root}packages/${name}/src/index.ts`;
}

/** `names` are those of `run.ts`: test files of core without folder and ending, with `*`. */
export async function loadTests(names: readonly string[]): Promise<CollectedTest[]> {
  const root = `${pathToFileURL(resolve('.')).href}/`;
  registerHooks({
    resolve(specifier, context, next) {
      const url = substitute(specifier, context.parentURL, root);
      return url === null
        ? next(specifier, context)
        : { url, format: 'module-typescript', shortCircuit: true };
    },
  });
  const files = names.flatMap((name) => globSync(`packages/core/test/${name}.test.ts`));
  for (const file of [...new Set(files)].sort()) await collect(file, () => import(`${root}${file}`));
  return collectedTests();
}
