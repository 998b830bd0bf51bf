import { once } from 'node:events';
import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { freePort } from './free-port.ts';

describe('a port for a process of a test', () => {
  it('is another one each time, and none that the kernel picks by itself', async () => {
    const ports = [];
    for (let count = 0; count < 5; count++) ports.push(await freePort());
    expect(new Set(ports).size).toBe(5);
    for (const port of ports) expect(port).toBeLessThan(32_768);
  });

  it('is none that somebody listens at', async () => {
    const port = await freePort();
    const taken = createServer().listen(port, '127.0.0.1');
    await once(taken, 'listening');
    // All of this process, round and round.
    for (let count = 0; count < 250; count++) expect(await freePort()).not.toBe(port);
    taken.close();
  });
});
