/**
 * TCP ports of the loopback interface, for a process that is told its port before it listens there. A port that the kernel picks
 * may be given to somebody else in between; these lie below those it picks from (32768 on Linux, 49152 elsewhere), and no two
 * workers of one test run share them; two runs at a time begin at different ones.
 */
import { once } from 'node:events';
import { createServer } from 'node:net';

const PORT_MIN = 20_000;
const PORTS_PER_PROCESS = 200;
const PROCESSES = 60;

const processNumber = Number(process.env.VITEST_POOL_ID ?? process.pid) % PROCESSES;
let given = process.pid % PORTS_PER_PROCESS;

/** Another one at each call, which nobody listens at. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < PORTS_PER_PROCESS; tries++) {
    const port = PORT_MIN + processNumber * PORTS_PER_PROCESS + (given++ % PORTS_PER_PROCESS);
    if (await isFree(port)) return port;
  }
  throw new Error(`all of ${PORTS_PER_PROCESS} ports are taken`);
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  server.listen(port, '127.0.0.1');
  const isListening = await new Promise<boolean>((resolve) => {
    server.once('listening', () => resolve(true));
    server.once('error', () => resolve(false));
  });
  if (!isListening) return false;
  server.close();
  await once(server, 'close');
  return true;
}
