/**
 * The plugin's process: lightningd's plugin protocol on stdin and stdout, until lightningd closes stdin. The signer's
 * socket is where `countersign.toml` puts the state directory.
 */
import { writeSync } from 'node:fs';
import { join } from 'node:path';
import { DEFAULT_CONFIG, NODE_SOCKET, type RemoteConfig } from '@countersign/host';
import { readConfig } from '../config-file.ts';
import { WAIT_MS } from './delivery.ts';
import { Plugin } from './plugin.ts';
import { writeNow } from './write-now.ts';

const STDOUT = 1;

const HELP = `countersign-cln-plugin: hands preimages to the Countersign signer of a Core Lightning node

lightningd starts it; name it in lightningd's configuration with
  important-plugin=/path/to/countersign-cln-plugin

  --countersign-socket=PATH   an option of lightningd: the signer's node.sock, if it is not in the state directory
`;

/** While the link to a signer elsewhere is down, requests wait for it, and so do writes: as long as the operator lets them. */
function patienceOf({ linkPatienceSeconds }: RemoteConfig): number {
  return linkPatienceSeconds === null ? Number.POSITIVE_INFINITY : linkPatienceSeconds * 1000 + WAIT_MS;
}

const PAUSE_MS = 1;
const NOTHING = new Int32Array(new SharedArrayBuffer(4));

/** lightningd waits for what is written. One that is gone reads nothing; stdin ends too then. */
const write = (text: string): void =>
  writeNow(text, {
    write: (bytes) => writeSync(STDOUT, bytes),
    pause: () => void Atomics.wait(NOTHING, 0, 0, PAUSE_MS),
    gone: () => process.exit(0),
  });

if (process.argv.includes('--help') || process.stdin.isTTY) {
  process.stdout.write(HELP);
} else {
  const config = readConfig();
  const { stateDirectory, remote } = 'stateDirectory' in config ? config : DEFAULT_CONFIG;
  const plugin = new Plugin({
    socketPath: join(stateDirectory, NODE_SOCKET),
    ...(remote !== null && { patienceMs: patienceOf(remote) }),
    write,
  });
  process.stdin.on('data', (chunk: Buffer) => plugin.receive(chunk));
  process.stdin.on('end', () => process.exit(0));
}
