/** The bridge as a thread of the application. */
import { parentPort } from 'node:worker_threads';
import type { ToBridge } from './messages.ts';
import { BridgeProgram } from './program.ts';

const port = parentPort;
if (port === null) throw new TypeError('a bridge is started by an application');

/** What escapes here ends the thread, and the application is told why. */
const onBug = (error: unknown): void => {
  queueMicrotask(() => {
    throw error;
  });
};
const program = new BridgeProgram(
  { send: (message) => port.postMessage(message), end: () => port.close() },
  onBug,
);
port.on('message', (message: ToBridge) => void program.take(message).catch(onBug));
// A thread that dies of a bug must not leave the application asleep.
process.on('uncaughtExceptionMonitor', () => program.abandon());
