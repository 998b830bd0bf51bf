/**
 * A call that blocks, to a signer in another thread and back: both forms of the bridge, over the link's Unix socket.
 * `node --conditions=source bench/bridge.ts`. The reply is as long as the request.
 */
import { NODE, Place } from '../packages/transport/test/bridge/signer-thread.ts';
import { microseconds, summarize } from './statistics.ts';
import { printRows } from './table.ts';

const LENGTHS = [64, 1024, 60_000];
const CALLS = 2_000;
const WARM_UP_CALLS = 200;
/** Calls between two looks at the event loop. */
const BURST = 50;

const rows: string[][] = [];
for (const bridge of ['worker', 'fifo'] as const) {
  const place = new Place();
  place.signer();
  const door = await place.open({ bridge });
  for (const length of LENGTHS) {
    const request = new Uint8Array(length).fill(120);
    const timesUs: number[] = [];
    for (let i = 0; i < CALLS + WARM_UP_CALLS; i++) {
      const began = process.hrtime.bigint();
      door.ask(NODE, request);
      if (i >= WARM_UP_CALLS) timesUs.push(Number(process.hrtime.bigint() - began) / 1000);
      if (i % BURST === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    const { p50Us, p99Us } = summarize(timesUs);
    rows.push([bridge, `${length}`, microseconds(p50Us), microseconds(p99Us)]);
  }
  await place.close();
}
printRows('A blocking call to a signer behind a link, and back', ['bridge', 'bytes', 'p50', 'p99'], rows);
