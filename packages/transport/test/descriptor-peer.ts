/** The other process of the descriptor tests: plays the hsmd on descriptor 3, in the role its argument names. */
import { readdirSync } from 'node:fs';
import {
  blockingMode,
  closeDescriptor,
  FrameSocket,
  readFrameBlocking,
  receiveDescriptor,
  sendDescriptor,
  socketPair,
  writeFrameBlocking,
} from '../src/index.ts';

const REQUESTS = 3;

/** Request 9: reply 109, then a descriptor whose other end is served here. Request 1: how many descriptors are open. */
function serve(): void {
  const master = FrameSocket.fromDescriptor(REQUESTS);
  master.start({
    frame: async (body) => {
      if (body[0] === 1) {
        const count = readdirSync('/proc/self/fd').length;
        master.send(Uint8Array.of(count >> 8, count));
        return;
      }
      const [ours, theirs] = socketPair();
      const client = FrameSocket.fromDescriptor(ours);
      client.start({
        frame: async (request) => {
          await new Promise((resolve) => setTimeout(resolve, request[0] ?? 0));
          client.send(Uint8Array.of(...request, 0xee));
        },
        closed: () => {},
      });
      await master.sendThen(Uint8Array.of(0, 109), () => sendDescriptor(REQUESTS, theirs));
      closeDescriptor(theirs);
    },
    closed: () => {},
  });
}

/** Receives a descriptor, says whether it is blocking, then waits on it for one frame and answers. */
function receive(): void {
  const got = receiveDescriptor(REQUESTS);
  if (got === undefined) process.exit(3);
  writeFrameBlocking(REQUESTS, new TextEncoder().encode(blockingMode(got)));
  const request = readFrameBlocking(got);
  if (request === undefined) process.exit(4);
  writeFrameBlocking(got, Uint8Array.of(...request, 0xee));
}

if (process.argv[2] === 'serve') serve();
else receive();
