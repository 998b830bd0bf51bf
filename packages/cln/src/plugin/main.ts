/**
 * The plugin's process: lightningd's plugin protocol on stdin and stdout, until lightningd closes stdin. The signer's
 * socket is where `countersign.toml` puts the state directory.
 */
import { join } from 'node:path';
import { DEFAULT_CONFIG, NODE_SOCKET } from '@countersign/host';
import { readConfig } from '../config-file.ts';
import { Plugin } from './plugin.ts';

const HELP = `countersign-cln-plugin: hands preimages to the Countersign signer of a Core Lightning node

lightningd starts it; name it in lightningd's configuration with
  important-plugin=/path/to/countersign-cln-plugin

  --countersign-socket=PATH   an option of lightningd: the signer's node.sock, if it is not in the state directory
`;

if (process.argv.includes('--help') || process.stdin.isTTY) {
  process.stdout.write(HELP);
} else {
  const config = readConfig();
  const { stateDirectory } = 'stateDirectory' in config ? config : DEFAULT_CONFIG;
  const plugin = new Plugin({
    socketPath: join(stateDirectory, NODE_SOCKET),
    write: (text) => void process.stdout.write(text),
  });
  // A lightningd that is gone reads nothing; stdin ends too then.
  process.stdout.on('error', () => process.exit(0));
  process.stdin.on('data', (chunk: Buffer) => plugin.receive(chunk));
  process.stdin.on('end', () => process.exit(0));
}
