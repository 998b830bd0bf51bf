/** LDK's WebAssembly, loaded once for the process. It prints one line when it is; that line is kept off the terminal. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Init, initializeWasmFromBinary } from 'lightningdevkit';

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

/**
 * So many bytes more in LDK's heap, free. A WebAssembly memory that grows counts anew with all its bytes in V8's books, some 160 MB
 * for each node, and V8 answers with a full garbage collection, a few payments apart. Call it when the nodes are there. (LDK has
 * to hold the bytes that it cannot read, and never gives memory back.)
 */
export function growLdkHeap(bytes: number): void {
  Init.constructor_read(new Uint8Array(bytes).fill(0xff));
}
