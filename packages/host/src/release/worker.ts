/**
 * A thread that computes signatures of approved decisions for the signer that started it. It has the keys and nothing else: no
 * journal, no policy, no way out but the message back.
 */
import { parentPort } from 'node:worker_threads';
import { loadSecp256k1 } from '@countersign/bitcoin';
import { KeyRing, openHsmSecret, signJob } from '@countersign/core';
import type { FromWorker, ToWorker, WorkerKeys } from './messages.ts';

const port = parentPort;
if (port === null) throw new TypeError('a worker is started by a signer');

const send = (message: FromWorker): void => port.postMessage(message);
let ring: KeyRing | null = null;

port.on('message', (message: ToWorker) => {
  if (message.kind === 'end') {
    ring?.wipe();
    port.close();
    return;
  }
  if (message.kind === 'keys') {
    // A rejection ends the thread, and the pool is told.
    void openRing(message).then((opened) => {
      ring = opened;
      send({ kind: 'ready', nodeId: opened.nodeId });
    });
    return;
  }
  if (ring === null) throw new TypeError('jobs before keys');
  const keys = ring;
  send({ kind: 'signed', id: message.id, signatures: message.jobs.map((job) => signJob(keys, job)) });
});

async function openRing({
  hsmSecret,
  passphrase,
  bip32PublicVersion,
  style = 'cln',
}: WorkerKeys): Promise<KeyRing> {
  try {
    const { seed } = await openHsmSecret(hsmSecret, passphrase ?? undefined);
    const opened = new KeyRing({ secp256k1: loadSecp256k1(), seed, style, bip32PublicVersion });
    seed.wipe();
    return opened;
  } finally {
    hsmSecret.fill(0);
    passphrase?.fill(0);
  }
}
