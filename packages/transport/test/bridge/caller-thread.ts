/** The end that blocks, in a thread of its own, for tests of the other end: one exchange for each message. */
import { parentPort, workerData } from 'node:worker_threads';
import { FifoCaller, openFifo } from '../../src/bridge/fifo.ts';
import { MailboxCaller } from '../../src/bridge/mailbox.ts';

type Data =
  | { readonly memory: SharedArrayBuffer }
  | { readonly requests: string; readonly replies: string; readonly frameBytesMax: number };

const data = workerData as Data;
const monotonicMs = (): number => performance.now();
const replies = 'replies' in data ? openFifo(data.replies, 'read') : 0;
parentPort?.postMessage('reading');

let caller: MailboxCaller | FifoCaller | null = null;
parentPort?.on('message', ({ body, timeoutMs }: { body: Uint8Array; timeoutMs: number }) => {
  caller ??=
    'memory' in data
      ? new MailboxCaller(data.memory, monotonicMs)
      : new FifoCaller(openFifo(data.requests, 'write'), replies, data.frameBytesMax, monotonicMs);
  parentPort?.postMessage(caller.exchange(new Uint8Array(0), body, timeoutMs));
});
