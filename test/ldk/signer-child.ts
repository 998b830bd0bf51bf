/**
 * A signer's machine for an LDK node over the bridge: the daemon as it runs with operators, dialling a Unix socket, with the clock of
 * the world that it signs in. Started again in its directory it is the same signer.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadSecp256k1 } from '@countersign/bitcoin';
import { networkByName } from '@countersign/core';
import { Daemon, openDoor, parseSignerConfig, writeSeed } from '@countersign/daemon';

const [directory = '', socket = '', policy = ''] = process.argv.slice(2);
const network = networkByName('regtest');
if (network === undefined || process.send === undefined)
  throw new TypeError('started by a test or the bench alone');

let nowSeconds = 0;
process.on('message', (seconds: number) => {
  nowSeconds = seconds;
  process.send?.('set');
});
process.on('disconnect', () => process.exit(0));

const secp = loadSecp256k1();
const random = (count: number): Uint8Array => Uint8Array.from(randomBytes(count));
const passphrase = new TextEncoder().encode('a long passphrase');
writeFileSync(join(directory, 'pass'), passphrase, { mode: 0o600 });
writeFileSync(join(directory, 'policy.toml'), policy);
const path = join(directory, 'node', 'seed');
const made = { network, secret: { hsmSecret: random(32), passphrase: null }, passphrase, path };
if (!existsSync(path)) await writeSeed({ secp, randomBytes: random, cost: { log2N: 4, r: 8, p: 1 } }, made);
const config = `
[node.node]
network = "regtest"
passphrase_file = "pass"
policy_file = "policy.toml"
[node.node.link]
dial = "unix:${socket}"
`;
const silent = Object.assign(() => {}, { of: () => silent });
await Daemon.start({
  config: parseSignerConfig(config, join(directory, 'signer.toml')),
  passphrases: { credentialsDirectory: undefined, ask: null, warn: () => {} },
  secp,
  log: silent,
  openDoor,
  randomBytes: random,
  monotonicMs: () => performance.now(),
  nowSeconds: () => nowSeconds,
  onBug: (error) => {
    throw error;
  },
});
process.send('started');
