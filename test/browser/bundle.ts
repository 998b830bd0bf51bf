/** A bundle for browsers, made from the sources: one entry, and whatever it needs. In memory. */
import { join } from 'node:path';
import { build, type InlineConfig, type Plugin } from 'vite';
import * as pluginModule from 'vite-plugin-wasm';
import { REPOSITORY } from '../../tools/workspace.ts';

/** Its types are those of its CommonJS build; what Node.js loads has the function as its default export. */
const wasm = pluginModule.default as unknown as () => Plugin;

export interface BundledFile {
  readonly name: string;
  readonly content: string | Uint8Array;
}

/** Conditions of a browser's build, from the sources instead of what was compiled. */
export const SOURCE_CONDITIONS = ['source', 'browser', 'module', 'import', 'production'];

/** `entry` from the repository's root. The file that the entry becomes is `entry.js`. */
export async function bundle(entry: string, config: InlineConfig = {}): Promise<readonly BundledFile[]> {
  const output = await build({
    root: REPOSITORY,
    configFile: false,
    logLevel: 'error',
    plugins: [wasm()],
    resolve: { conditions: SOURCE_CONDITIONS },
    ...config,
    build: {
      target: 'es2024',
      write: false,
      modulePreload: { polyfill: false },
      rolldownOptions: {
        input: { entry: join(REPOSITORY, entry) },
        preserveEntrySignatures: 'strict',
        output: { entryFileNames: '[name].js' },
      },
      ...config.build,
    },
  });
  if (Array.isArray(output) || !('output' in output)) throw new TypeError('one build has one output');
  return output.output.map((file) => ({
    name: file.fileName,
    content: file.type === 'chunk' ? file.code : file.source,
  }));
}
