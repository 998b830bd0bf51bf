/**
 * Loaded before a child process: from here on the sources that the mutant changes are read changed. The process ends with the
 * mutant's error when a text is stale, and checks at its exit that every changed file was loaded at all.
 */
import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';
import { mutantById } from './index.ts';
import { filesOf, mutated } from './mutant.ts';

const ROOT = new URL('../../../', import.meta.url);
const id = process.env.ADVERSARY_MUTANT ?? '';
const mutant = mutantById(id);
if (mutant === undefined) throw new Error(`there is no mutant "${id}"`);

const files = new Map(filesOf(mutant).map((file) => [new URL(file, ROOT).href, file]));
const loaded = new Set<string>();

registerHooks({
  load(url, context, nextLoad) {
    const result = nextLoad(url, context);
    const file = files.get(url);
    if (file === undefined || result.source === undefined || result.source === null) return result;
    const { source } = result;
    const text = typeof source === 'string' ? source : new TextDecoder().decode(source);
    loaded.add(file);
    return { ...result, source: mutated(mutant, file, text) };
  },
});

process.on('exit', () => {
  for (const file of files.values()) {
    if (loaded.has(file)) continue;
    process.stderr.write(`mutant ${id}: ${fileURLToPath(new URL(file, ROOT))} was never loaded\n`);
    process.exitCode = 70;
  }
});
