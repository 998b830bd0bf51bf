/**
 * The five libc calls that Node does not offer: socketpair, sendmsg, recvmsg, fcntl, poll, through koffi, loaded at first
 * use. The only file that touches raw memory: message headers in the platform's layout, allocated once, never freed.
 */
import { closeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { DescriptorError } from './error.ts';

/** Where the fields of `msghdr` and `cmsghdr` lie, and the constants of <sys/socket.h> and <fcntl.h>. */
interface Layout {
  readonly msghdrBytes: number;
  readonly iovAt: number;
  readonly iovlenAt: number;
  readonly controlAt: number;
  readonly controllenAt: number;
  readonly flagsAt: number;
  /** Offset of the descriptor in the control message: after length, level and type. */
  readonly cmsgDataAt: number;
  readonly cmsgLevelAt: number;
  /** Width of cmsg_len and msg_controllen in bytes. */
  readonly lengthBytes: 4 | 8;
  readonly solSocket: number;
  readonly sockCloexec: number;
  /** MSG_NOSIGNAL (where it exists) and MSG_DONTWAIT. */
  readonly sendFlags: number;
  readonly msgCmsgCloexec: number;
  readonly msgCtrunc: number;
  readonly oNonblock: number;
}

/** 64-bit Linux, glibc and musl alike: musl's shorter fields are padded with zeroes on little-endian machines. */
const LINUX: Layout = {
  msghdrBytes: 56,
  iovAt: 16,
  iovlenAt: 24,
  controlAt: 32,
  controllenAt: 40,
  flagsAt: 48,
  cmsgDataAt: 16,
  cmsgLevelAt: 8,
  lengthBytes: 8,
  solSocket: 1,
  sockCloexec: 0o2000000,
  sendFlags: 0x4000 | 0x40,
  msgCmsgCloexec: 0x40000000,
  msgCtrunc: 0x8,
  oNonblock: 0o4000,
};

/** macOS has no close-on-exec and no-signal flags for these calls; Node ignores SIGPIPE. */
const DARWIN: Layout = {
  msghdrBytes: 48,
  iovAt: 16,
  iovlenAt: 24,
  controlAt: 32,
  controllenAt: 40,
  flagsAt: 44,
  cmsgDataAt: 12,
  cmsgLevelAt: 4,
  lengthBytes: 4,
  solSocket: 0xffff,
  sockCloexec: 0,
  sendFlags: 0x80,
  msgCmsgCloexec: 0,
  msgCtrunc: 0x20,
  oNonblock: 0x4,
};

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SCM_RIGHTS = 1;
const F_GETFL = 3;
const F_SETFL = 4;
const F_SETFD = 2;
const FD_CLOEXEC = 1;
const DESCRIPTOR_BYTES = 4;
/** A signal may interrupt a call that does not block only so often. */
const INTERRUPTED_TRIES_MAX = 100;

/** EAGAIN and EWOULDBLOCK share a number: the name that comes first is kept. */
const ERRNO_NAMES = new Map(
  Object.entries(constants.errno)
    .reverse()
    .map(([name, number]) => [number, name]),
);

/** What a call came to: its result, or the name of the error ("EAGAIN"). */
export type CallResult =
  | { readonly ok: true; readonly value: number }
  | { readonly ok: false; readonly errno: string };

export type ReceivedMessage =
  | { readonly kind: 'descriptor'; readonly descriptor: number }
  | { readonly kind: 'end' }
  | { readonly kind: 'no-descriptor' }
  | { readonly kind: 'failed'; readonly errno: string };

export interface NativeSockets {
  /** A connected pair of blocking Unix stream sockets, closed on exec. Throws `DescriptorError`. */
  socketPair(): readonly [number, number];
  /** One byte 0x00 carrying one descriptor, without waiting. */
  sendDescriptor(socket: number, passed: number): CallResult;
  /** One byte and the descriptor it carries; waits as long as the socket is blocking. */
  receiveDescriptor(socket: number): ReceivedMessage;
  /** File status flags. */
  statusFlags(descriptor: number): CallResult;
  setStatusFlags(descriptor: number, flags: number): CallResult;
  readonly oNonblock: number;
  /** How many of one descriptor are ready for `POLL_IN` or `POLL_OUT`; 0: none in time. A signal ends it with EINTR. */
  poll(descriptor: number, events: number, timeoutMs: number): CallResult;
}

/** Of <poll.h>, the same on both platforms. */
export const POLL_IN = 1;
export const POLL_OUT = 4;
/** `pollfd`: int, short, short. */
const POLLFD_BYTES = 8;

/** Koffi's untyped calls, with the types we declare them with. */
interface Libc {
  readonly socketpair: (domain: number, type: number, protocol: number, pair: Int32Array) => number;
  readonly sendmsg: (socket: number, message: bigint, flags: number) => number;
  readonly recvmsg: (socket: number, message: bigint, flags: number) => number;
  readonly fcntl: (descriptor: number, command: number, type: 'int', value: number) => number;
  readonly poll: (descriptors: bigint, count: number, timeoutMs: number) => number;
  readonly errno: () => number;
  readonly allocate: (bytes: number) => { readonly address: bigint; readonly view: DataView };
}

let loaded: NativeSockets | undefined;

/** Loads koffi on the first call (about 10 ms). Throws `DescriptorError` where it cannot work. */
export function nativeSockets(): NativeSockets {
  loaded ??= createNativeSockets();
  return loaded;
}

function createNativeSockets(): NativeSockets {
  const layout = platformLayout();
  const libc = loadLibc();
  const outgoing = messageBuffer(libc, layout);
  const incoming = messageBuffer(libc, layout);
  const polled = libc.allocate(POLLFD_BYTES);
  return {
    oNonblock: layout.oNonblock,
    socketPair: () => socketPair(libc, layout),
    sendDescriptor: (socket, passed) => {
      outgoing.prepare(passed);
      return retryInterrupted(libc, () => libc.sendmsg(socket, outgoing.address, layout.sendFlags));
    },
    receiveDescriptor: (socket) => receive(libc, layout, incoming, socket),
    statusFlags: (descriptor) => retryInterrupted(libc, () => libc.fcntl(descriptor, F_GETFL, 'int', 0)),
    setStatusFlags: (descriptor, flags) =>
      retryInterrupted(libc, () => libc.fcntl(descriptor, F_SETFL, 'int', flags)),
    poll: (descriptor, events, timeoutMs) => {
      polled.view.setInt32(0, descriptor, true);
      polled.view.setInt16(4, events, true);
      polled.view.setInt16(6, 0, true);
      const value = libc.poll(polled.address, 1, timeoutMs);
      return value >= 0 ? { ok: true, value } : { ok: false, errno: errnoName(libc.errno()) };
    },
  };
}

function platformLayout(): Layout {
  const known64 = process.arch === 'x64' || process.arch === 'arm64';
  if (known64 && process.platform === 'linux') return LINUX;
  if (known64 && process.platform === 'darwin') return DARWIN;
  throw new DescriptorError('descriptor-unsupported', 'descriptors cannot be passed on this platform', {
    platform: process.platform,
    arch: process.arch,
  });
}

function loadLibc(): Libc {
  try {
    const koffi: typeof import('koffi') = createRequire(import.meta.url)('koffi');
    // The process's own symbols: whatever libc node itself is linked to.
    const libc = koffi.load(null);
    return {
      socketpair: libc.func('int socketpair(int domain, int type, int protocol, _Out_ int *pair)'),
      sendmsg: libc.func('intptr_t sendmsg(int socket, void *message, int flags)'),
      recvmsg: libc.func('intptr_t recvmsg(int socket, void *message, int flags)'),
      fcntl: libc.func('int fcntl(int descriptor, int command, ...)'),
      poll: libc.func('int poll(void *descriptors, unsigned long count, int timeout)'),
      errno: () => koffi.errno(),
      allocate: (bytes) => {
        const address: bigint = koffi.alloc('uint8_t', bytes);
        return { address, view: new DataView(koffi.view(address, bytes)) };
      },
    };
  } catch (cause) {
    throw new DescriptorError(
      'descriptor-unsupported',
      'the native library koffi does not load',
      {},
      { cause },
    );
  }
}

interface MessageBuffer {
  readonly address: bigint;
  readonly view: DataView;
  readonly control: DataView;
  /** Write header, I/O vector and control message anew: recvmsg changes all of them. */
  prepare(descriptor: number): void;
}

/** A `msghdr` with room for one byte and exactly one descriptor. */
function messageBuffer(libc: Libc, layout: Layout): MessageBuffer {
  const header = libc.allocate(layout.msghdrBytes);
  const vector = libc.allocate(16);
  const data = libc.allocate(8);
  const controlBytes = layout.cmsgDataAt + DESCRIPTOR_BYTES;
  const control = libc.allocate(layout.cmsgDataAt + 8);
  const putLength = (view: DataView, at: number, value: number): void => {
    if (layout.lengthBytes === 8) view.setBigUint64(at, BigInt(value), true);
    else view.setUint32(at, value, true);
  };
  const prepare = (descriptor: number): void => {
    new Uint8Array(header.view.buffer).fill(0);
    new Uint8Array(control.view.buffer).fill(0);
    data.view.setUint8(0, 0);
    vector.view.setBigUint64(0, data.address, true);
    vector.view.setBigUint64(8, 1n, true);
    header.view.setBigUint64(layout.iovAt, vector.address, true);
    header.view.setUint32(layout.iovlenAt, 1, true);
    header.view.setBigUint64(layout.controlAt, control.address, true);
    // CMSG_LEN, not CMSG_SPACE: the padding of CMSG_SPACE would let a second descriptor in.
    putLength(header.view, layout.controllenAt, controlBytes);
    putLength(control.view, 0, controlBytes);
    control.view.setInt32(layout.cmsgLevelAt, layout.solSocket, true);
    control.view.setInt32(layout.cmsgLevelAt + 4, SCM_RIGHTS, true);
    control.view.setInt32(layout.cmsgDataAt, descriptor, true);
  };
  return { address: header.address, view: header.view, control: control.view, prepare };
}

function receive(libc: Libc, layout: Layout, incoming: MessageBuffer, socket: number): ReceivedMessage {
  const result = retryInterrupted(libc, () => {
    incoming.prepare(-1);
    return libc.recvmsg(socket, incoming.address, layout.msgCmsgCloexec);
  });
  if (!result.ok) return { kind: 'failed', errno: result.errno };
  if (result.value === 0) return { kind: 'end' };
  const controlBytes = incoming.view.getUint32(layout.controllenAt, true);
  const isRights =
    controlBytes >= layout.cmsgDataAt + DESCRIPTOR_BYTES &&
    incoming.control.getUint32(0, true) === layout.cmsgDataAt + DESCRIPTOR_BYTES &&
    incoming.control.getInt32(layout.cmsgLevelAt, true) === layout.solSocket &&
    incoming.control.getInt32(layout.cmsgLevelAt + 4, true) === SCM_RIGHTS;
  if (!isRights) return { kind: 'no-descriptor' };
  const descriptor = incoming.control.getInt32(layout.cmsgDataAt, true);
  if ((incoming.view.getInt32(layout.flagsAt, true) & layout.msgCtrunc) !== 0) {
    // More than one was sent: the kernel dropped those that did not fit, we drop the one that did.
    closeSync(descriptor);
    return { kind: 'no-descriptor' };
  }
  return { kind: 'descriptor', descriptor };
}

function socketPair(libc: Libc, layout: Layout): readonly [number, number] {
  const pair = new Int32Array(2);
  if (libc.socketpair(AF_UNIX, SOCK_STREAM | layout.sockCloexec, 0, pair) !== 0) {
    throw new DescriptorError('descriptor-call-failed', 'no socket pair could be made', {
      call: 'socketpair',
      errno: errnoName(libc.errno()),
    });
  }
  const [ours, theirs] = [pair[0]!, pair[1]!];
  if (layout.sockCloexec === 0) {
    for (const end of [ours, theirs]) libc.fcntl(end, F_SETFD, 'int', FD_CLOEXEC);
  }
  return [ours, theirs];
}

function retryInterrupted(libc: Libc, call: () => number): CallResult {
  for (let tries = 0; tries < INTERRUPTED_TRIES_MAX; tries += 1) {
    const value = Number(call());
    if (value >= 0) return { ok: true, value };
    const errno = errnoName(libc.errno());
    if (errno !== 'EINTR') return { ok: false, errno };
  }
  return { ok: false, errno: 'EINTR' };
}

function errnoName(errno: number): string {
  return ERRNO_NAMES.get(errno) ?? String(errno);
}
