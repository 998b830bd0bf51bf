/** LDK's WebAssembly, loaded once for the process. It prints one line when it is; that line is kept off the terminal. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { initializeWasmFromBinary } from 'lightningdevkit';

let loading: Promise<void> | undefined;

export function loadLdk(): Promise<void> {
  loading ??= load();
  return loading;
}

async function load(): Promise<void> {
  const directory = dirname(createRequire(import.meta.url).resolve('lightningdevkit'));
  const { log } = console;
  console.log = () => {};
  try {
    await initializeWasmFromBinary(readFileSync(join(directory, 'liblightningjs.wasm')));
  } finally {
    console.log = log;
  }
}
