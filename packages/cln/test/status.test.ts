import { readFileSync } from 'node:fs';
import { fromHex, toHex } from '@countersign/bitcoin';
import {
  closeDescriptor,
  encodeFrame,
  FrameDecoder,
  FrameSocket,
  readFrameBlocking,
  socketPair,
} from '@countersign/transport';
import { decodeMessage } from '@countersign/wire';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  BAD_REQUEST_BYTES_MAX,
  descriptorSink,
  FAIL_EXIT_STATUS,
  type FailReason,
  STATUS_LEVELS,
  StatusChannel,
  type StatusLevel,
  type StatusSink,
} from '../src/index.ts';

interface RecordedStatus {
  readonly type: string;
  readonly hex: string;
}
interface RecordedCase {
  readonly case: string;
  readonly exit_status: number;
  readonly status_messages: readonly RecordedStatus[];
}

const casesPath = new URL('../../../vectors/cln/synthetic/cases.json', import.meta.url);
const recorded: readonly RecordedCase[] = JSON.parse(readFileSync(casesPath, 'utf8')).cases;

/** Takes at most `room` bytes, keeps what it took. */
class Sink implements StatusSink {
  room = Number.POSITIVE_INFINITY;
  calls = 0;
  readonly taken: number[] = [];
  write(bytes: Uint8Array): number {
    this.calls += 1;
    const count = Math.min(this.room, bytes.length);
    this.taken.push(...bytes.subarray(0, count));
    this.room -= count;
    return count;
  }
  messages(): Uint8Array[] {
    const decoder = new FrameDecoder();
    decoder.push(Uint8Array.from(this.taken));
    const bodies: Uint8Array[] = [];
    for (let body = decoder.next(); body !== undefined; body = decoder.next()) bodies.push(body);
    decoder.end();
    return bodies;
  }
}

function textOf(body: Uint8Array): string {
  const decoded = decodeMessage(body, 'status');
  if (!decoded.ok) throw new Error(decoded.error.message);
  if (decoded.message.name === 'status_log') return decoded.message.entry;
  if (decoded.message.name === 'status_fail') return decoded.message.desc;
  return decoded.message.name;
}

const utf8 = new TextDecoder();
const level = (byte: number): StatusLevel => STATUS_LEVELS[byte - 2]!;
const reasons: Readonly<Record<number, FailReason>> = { 0: 'masterIo', 3: 'internalError' };

/** Say again what a recorded message says, its fields cut out by hand after common/status_wire.csv. */
function repeat(channel: StatusChannel, body: Uint8Array): void {
  const text = (at: number): string => utf8.decode(body.subarray(at, body.indexOf(0, at)));
  switch (toHex(body.subarray(0, 2))) {
    case 'fff6':
      channel.version(text(2));
      break;
    case 'fff2':
      channel.fail(reasons[body[2]!]!, text(3));
      break;
    case 'fff0':
      if (body[3] === 0) channel.log(level(body[2]!), text(4));
      else channel.log(level(body[2]!), text(37), body.subarray(4, 37));
      break;
    case '03e8': {
      const end = body.indexOf(0, 35);
      channel.clientBadRequest(body.subarray(2, 35), text(35), body.subarray(end + 3));
      break;
    }
    default:
      throw new Error(`unexpected status ${toHex(body)}`);
  }
}

describe('status messages of CLN’s hsmd', () => {
  const messages = recorded.flatMap((one) => one.status_messages);

  it('are all known: version, log, fail, bad request', () => {
    expect(new Set(messages.map(({ hex }) => hex.slice(0, 4)))).toEqual(
      new Set(['fff6', 'fff0', 'fff2', '03e8']),
    );
  });

  it('come out byte for byte', () => {
    for (const { hex } of messages) {
      const sink = new Sink();
      repeat(new StatusChannel(sink, { levelMin: 'trace' }), fromHex(hex));
      expect(sink.messages().map(toHex)).toEqual([hex]);
    }
  });

  it('a fail ends with the exit status CLN uses', () => {
    const failed = recorded.filter((one) => one.status_messages.some(({ type }) => type === 'STATUS_FAIL'));
    // The assertion of four-dbid0 and a refused passphrase end otherwise; everything else that fails ends so.
    expect(failed.filter((one) => one.exit_status === FAIL_EXIT_STATUS).length).toBeGreaterThan(10);
  });
});

describe('StatusChannel', () => {
  it('writes the levels and the peer as common/status_wire.csv says', () => {
    const sink = new Sink();
    const channel = new StatusChannel(sink, { levelMin: 'trace' });
    const peer = Uint8Array.of(2, ...new Uint8Array(32).fill(0x11));
    for (const one of STATUS_LEVELS) channel.log(one, 'a');
    channel.log('debug', 'b', peer);
    expect(sink.messages().map(toHex)).toEqual([
      'fff002006100',
      'fff003006100',
      'fff004006100',
      'fff005006100',
      'fff006006100',
      `fff0030102${'11'.repeat(32)}6200`,
    ]);
  });

  it('leaves out trace unless asked for', () => {
    const sink = new Sink();
    const channel = new StatusChannel(sink);
    channel.log('trace', 'hidden');
    channel.log('debug', 'shown');
    expect(sink.messages().map(textOf)).toEqual(['shown']);
  });

  it('never sends text CLN would refuse, whatever it is given', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 9_000 }), (text) => {
        const sink = new Sink();
        const channel = new StatusChannel(sink);
        channel.log('info', text);
        channel.fail('internalError', text);
        for (const body of sink.messages()) {
          const end = body.indexOf(0, toHex(body.subarray(0, 2)) === 'fff0' ? 4 : 3);
          expect(end).toBe(body.length - 1);
          expect(body.subarray(4, end).every((byte) => byte >= 0x20)).toBe(true);
          expect(body.length).toBeLessThanOrEqual(17_000);
          textOf(body);
        }
      }),
      { numRuns: 50 },
    );
  });

  it('cuts long texts at a whole character and long requests at the limit', () => {
    const sink = new Sink();
    const channel = new StatusChannel(sink);
    channel.log('info', 'é'.repeat(10_000));
    channel.log('info', `x${'é'.repeat(10_000)}`);
    channel.clientBadRequest(Uint8Array.of(3, ...new Uint8Array(32)), 'd', new Uint8Array(70_000).fill(7));
    const [even, odd, request] = sink.messages();
    expect(textOf(even!)).toBe('é'.repeat(2048));
    expect(textOf(odd!)).toBe(`x${'é'.repeat(2047)}`);
    expect(request).toHaveLength(2 + 33 + 2 + 2 + BAD_REQUEST_BYTES_MAX);
  });

  it('finishes a half-written message before the next, and drops chatter when lightningd does not read', async () => {
    const sink = new Sink();
    sink.room = 6;
    const channel = new StatusChannel(sink, { queueBytesMax: 1_000 });
    for (let n = 0; n < 100; n += 1)
      channel.log('info', `line ${String(n).padStart(3, '0')} ${'.'.repeat(20)}`);
    const id = Uint8Array.of(2, ...new Uint8Array(32));
    channel.clientBadRequest(id, 'kept', new Uint8Array(100));
    expect(sink.taken).toHaveLength(6);
    sink.room = Number.POSITIVE_INFINITY;
    await expect.poll(() => sink.messages().map(textOf).at(-1)).toContain('were dropped');
    const texts = sink.messages().map(textOf);
    const lines = texts.filter((text) => text.startsWith('line'));
    expect(lines[0]).toContain('line 000');
    expect(lines.length).toBeGreaterThan(10);
    expect(lines.length).toBeLessThan(30);
    expect(texts.slice(lines.length)).toEqual([
      'hsmstatus_client_bad_request',
      `${100 - lines.length} status messages were dropped: lightningd did not read them`,
    ]);
  });

  it('sends a fail after everything that waits, even over the limit, and nothing after it', () => {
    const sink = new Sink();
    sink.room = 0;
    const channel = new StatusChannel(sink, { queueBytesMax: 100 });
    channel.log('broken', 'why');
    channel.clientBadRequest(Uint8Array.of(2, ...new Uint8Array(32)), 'big', new Uint8Array(150));
    expect(channel.fail('masterIo', 'x'.repeat(500), 10)).toBe(242);
    channel.log('info', 'too late');
    sink.room = Number.POSITIVE_INFINITY;
    expect(channel.flush(10)).toBe(true);
    expect(sink.messages().map(textOf)).toEqual(['why', 'x'.repeat(500)]);
  });

  it('gives up flushing after the wait', () => {
    const sink = new Sink();
    sink.room = 0;
    const channel = new StatusChannel(sink);
    channel.log('info', 'stuck');
    const began = performance.now();
    expect(channel.flush(300)).toBe(false);
    expect(performance.now() - began).toBeLessThan(30_000);
    expect(sink.calls).toBeGreaterThan(5);
  });

  it('survives lightningd being gone', () => {
    const channel = new StatusChannel({
      write: () => {
        throw new Error('EPIPE');
      },
    });
    channel.log('info', 'a');
    channel.log('info', 'b');
    expect(channel.fail('masterIo', 'c')).toBe(242);
    expect(channel.flush()).toBe(false);
  });
});

describe('the status socket', () => {
  it('takes frames, never blocks on a full buffer, and flushes the end while lightningd reads', async () => {
    const [ours, theirs] = socketPair();
    const sink = descriptorSink(ours);
    const channel = new StatusChannel(sink, { queueBytesMax: 64 * 1024 * 1024 });
    for (let n = 0; n < 1_000; n += 1) channel.log('info', 'x'.repeat(1_000));
    expect(channel.flush(5)).toBe(false);
    const lightningd = FrameSocket.fromDescriptor(theirs);
    let count = 0;
    for await (const body of lightningd.frames()) {
      count += 1;
      if (count === 1) expect(textOf(body)).toBe('x'.repeat(1_000));
      if (count === 1_000) break;
    }
    expect(count).toBe(1_000);
    expect(() => channel.log('info', 'nobody is there')).not.toThrow();
    sink.close();
  });

  it('a fail reaches a reader that comes late', () => {
    const [ours, theirs] = socketPair();
    const sink = descriptorSink(ours);
    new StatusChannel(sink).fail('internalError', 'the end');
    expect(toHex(encodeFrame(readFrameBlocking(theirs)!))).toBe(
      `0000000bfff203${toHex(new TextEncoder().encode('the end'))}00`,
    );
    closeDescriptor(theirs);
    expect(() => sink.write(Uint8Array.of(1))).toThrow(/EPIPE/);
    sink.close();
    expect(() => sink.write(Uint8Array.of(1))).toThrow(/closed/);
  });
});
