/** The bridge as a process of its own: it ends when the application does. */
import type { FromBridge, ToBridge } from './messages.ts';
import { BridgeProgram } from './program.ts';

if (process.send === undefined) throw new TypeError('a bridge is started by an application');

const onBug = (error: unknown): void => {
  queueMicrotask(() => {
    throw error;
  });
};
const send = (message: FromBridge): void => {
  if (process.connected) process.send?.(message);
};
const program = new BridgeProgram(
  {
    send,
    end: () => {
      if (process.connected) process.disconnect();
    },
  },
  onBug,
);
process.on('message', (message: ToBridge) => void program.take(message).catch(onBug));
process.on('disconnect', () => process.exit(0));
// Those are for the application, which closes its bridge in its own time.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => {});
