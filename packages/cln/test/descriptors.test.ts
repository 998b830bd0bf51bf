import { readdirSync, readFileSync } from 'node:fs';
import { PassThrough } from 'node:stream';
import {
  blockingMode,
  closeDescriptor,
  FrameSocket,
  readFrameBlocking,
  receiveDescriptor,
  socketPair,
  trySendDescriptor,
  writeFrameBlocking,
} from '@countersign/transport';
import { describe, expect, it } from 'vitest';
import { openClient } from '../src/index.ts';

const openDescriptors = (): number => readdirSync('/proc/self/fd').length;
/** Turns of the event loop, each of which moves what sockets of this process have for each other. */
async function settled(): Promise<void> {
  for (let turns = 0; turns < 50; turns++) await new Promise((resolve) => setImmediate(resolve));
}

function connected(): { master: FrameSocket; lightningd: number } {
  const [ours, lightningd] = socketPair();
  const master = FrameSocket.fromDescriptor(ours);
  master.start({ frame: () => {}, closed: () => {} });
  return { master, lightningd };
}

describe('openClient (hsmd_client_hsmfd)', () => {
  it('sends reply 109, then one 0x00 byte with a blocking descriptor, then what was sent later', async () => {
    const { master, lightningd } = connected();
    const { frames, passed } = openClient(master);
    master.send(Uint8Array.of(0, 1));
    frames.start({
      frame: (body) => {
        frames.send(Uint8Array.of(...body, 0xee));
      },
      closed: () => {},
    });
    await passed;
    await settled();
    expect([...(readFrameBlocking(lightningd) ?? [])]).toEqual([0, 109]);
    const client = receiveDescriptor(lightningd)!;
    expect([...(readFrameBlocking(lightningd) ?? [])]).toEqual([0, 1]);
    expect(blockingMode(client)).toBe('blocking');
    expect(readFileSync(`/proc/self/fdinfo/${client}`, 'latin1')).toMatch(/^flags:\s*02000002$/m);
    writeFrameBlocking(client, Uint8Array.of(7));
    await settled();
    expect([...(readFrameBlocking(client) ?? [])]).toEqual([7, 0xee]);
    closeDescriptor(client);
    closeDescriptor(lightningd);
  });

  it('keeps requests that arrive before the client is started', async () => {
    const { master, lightningd } = connected();
    const { frames, passed } = openClient(master);
    await passed;
    readFrameBlocking(lightningd);
    const client = receiveDescriptor(lightningd)!;
    writeFrameBlocking(client, Uint8Array.of(1));
    closeDescriptor(client);
    await settled();
    const got: Uint8Array[] = [];
    for await (const body of frames.frames()) got.push(body);
    expect(got.map((body) => [...body])).toEqual([[1]]);
    closeDescriptor(lightningd);
  });

  it('closes both ends when lightningd is gone, and leaks none', async () => {
    const before = openDescriptors();
    for (let n = 0; n < 20; n += 1) {
      const { master, lightningd } = connected();
      closeDescriptor(lightningd);
      const { frames, passed } = openClient(master);
      await expect(passed).rejects.toThrow();
      expect(frames.isOpen).toBe(false);
      master.destroy();
    }
    await settled();
    expect(openDescriptors() - before).toBeLessThan(3);
  });

  it('gives up when lightningd makes no room, and when the master is closed while waiting', async () => {
    for (const cause of ['wait is over', 'master closed'] as const) {
      const before = openDescriptors();
      const [ours, lightningd] = socketPair();
      const master = FrameSocket.fromDescriptor(ours);
      const { frames, passed } = openClient(master, cause === 'wait is over' ? { waitMs: 20 } : {});
      // The reply is in the kernel already; fill what is left of the buffer before its callback runs.
      while (trySendDescriptor(ours, lightningd));
      if (cause === 'master closed') setTimeout(() => master.destroy(), 10);
      await expect(passed).rejects.toMatchObject({
        code: cause === 'wait is over' ? 'descriptor-send-timeout' : expect.stringMatching(/closed|failed/),
      });
      expect(frames.isOpen).toBe(false);
      master.destroy();
      closeDescriptor(lightningd);
      await settled();
      expect(openDescriptors() - before).toBeLessThan(3);
    }
  });

  it('needs a master made from a descriptor', () => {
    const master = new FrameSocket(new PassThrough());
    expect(() => openClient(master)).toThrow(TypeError);
  });
});
