/** Where a heartbeat is read from: the running signer, a file, a URL, or standard input. Nothing longer than a heartbeat is taken in. */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { HEARTBEAT_BYTES_MAX } from '@countersign/core';
import { AdminClient } from '../admin/client.ts';
import { CommandError } from '../command-error.ts';
import { getText, HttpError } from './http.ts';
import type { Reading } from './judge.ts';

export type ReadHeartbeat = (signal?: AbortSignal) => Promise<string>;

/** One byte more shows that it is too long. */
const READ_BYTES_MAX = HEARTBEAT_BYTES_MAX + 1;

/** A new one, asked for over `admin.sock`. */
export function fromSigner(path: string): ReadHeartbeat {
  return async () => {
    const client = await AdminClient.open(path);
    try {
      return (await client.ask({ op: 'heartbeat' })).raw('heartbeat');
    } finally {
      client.close();
    }
  };
}

export function fromFile(path: string): ReadHeartbeat {
  return async () => {
    // A pipe that nobody writes to must not hold the monitor.
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      if (!(await file.stat()).isFile())
        throw new CommandError('usage', `${path} is no file`, 'Give the file of the heartbeat.');
      const { buffer, bytesRead } = await file.read(Buffer.alloc(READ_BYTES_MAX), 0, READ_BYTES_MAX, 0);
      return buffer.subarray(0, bytesRead).toString('latin1');
    } finally {
      await file.close();
    }
  };
}

export function fromUrl(url: URL): ReadHeartbeat {
  return (signal) => getText(url, READ_BYTES_MAX, signal === undefined ? {} : { signal });
}

/** To its end, or to more than a heartbeat has. */
export function fromStream(stream: AsyncIterable<Buffer | string>): ReadHeartbeat {
  return async () => {
    const parts: Buffer[] = [];
    let bytes = 0;
    for await (const part of stream) {
      parts.push(Buffer.from(part));
      bytes += part.length;
      if (bytes >= READ_BYTES_MAX) break;
    }
    return Buffer.concat(parts).toString('latin1');
  };
}

/** What can go wrong with a file, a socket or a server becomes its message; anything else is a bug. */
export async function reading(read: ReadHeartbeat, signal?: AbortSignal): Promise<Reading> {
  try {
    return { ok: true, text: await read(signal) };
  } catch (error) {
    const isMet =
      error instanceof CommandError ||
      error instanceof HttpError ||
      (error instanceof Error && 'syscall' in error);
    if (!isMet) throw error;
    return { ok: false, message: error.message };
  }
}
