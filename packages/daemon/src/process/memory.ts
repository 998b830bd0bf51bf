/**
 * What keeps secrets in memory from ending up on a disk: pages locked so that they are never swapped, and no core dumps. Both by
 * libc through koffi, on Linux; elsewhere, and where the limits do not allow it, the caller is told and may go on.
 */
import { createRequire } from 'node:module';

export interface Hardening {
  /** Null: done. Else why not, for the operator. */
  readonly memoryLock: string | null;
  readonly coreDumps: string | null;
}

const MCL_CURRENT = 1;
const MCL_FUTURE = 2;
/** Pages are locked when they are touched: V8 and WebAssembly reserve far more than they ever use. */
const MCL_ONFAULT = 4;
const RLIMIT_MEMLOCK = 8;
const RLIMIT_CORE = 4;
const PR_SET_DUMPABLE = 4;
const INFINITY = 0xffff_ffff_ffff_ffffn;
/** Two numbers of 64 bits: soft and hard. */
const RLIMIT_BYTES = 16;

interface Libc {
  readonly mlockall: (flags: number) => number;
  readonly getrlimit: (resource: number, limit: Uint8Array) => number;
  readonly setrlimit: (resource: number, limit: Uint8Array) => number;
  readonly prctl: (option: number, value: bigint, a: bigint, b: bigint, c: bigint) => number;
}

export function hardenMemory(platform: string = process.platform, libc: () => Libc = loadLibc): Hardening {
  if (platform !== 'linux') {
    const why = `not on ${platform}`;
    return { memoryLock: why, coreDumps: why };
  }
  try {
    const loaded = libc();
    return { memoryLock: lockMemory(loaded), coreDumps: forbidDumps(loaded) };
  } catch (error) {
    const why = `libc cannot be called: ${error instanceof Error ? error.message : String(error)}`;
    return { memoryLock: why, coreDumps: why };
  }
}

/** Under a finite limit a later allocation would fail, and with it the process: then nothing is locked. */
function lockMemory(libc: Libc): string | null {
  const limit = new Uint8Array(RLIMIT_BYTES);
  if (libc.getrlimit(RLIMIT_MEMLOCK, limit) !== 0) return 'the limit on locked memory cannot be read';
  if (new DataView(limit.buffer).getBigUint64(0, true) !== INFINITY)
    return 'the limit on locked memory is finite: set LimitMEMLOCK=infinity (ulimit -l unlimited)';
  return libc.mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) === 0
    ? null
    : 'the kernel refused to lock memory';
}

/** Also keeps other processes of this user from reading its memory. */
function forbidDumps(libc: Libc): string | null {
  const none = new Uint8Array(RLIMIT_BYTES);
  const isLimited = libc.setrlimit(RLIMIT_CORE, none) === 0;
  const isUndumpable = libc.prctl(PR_SET_DUMPABLE, 0n, 0n, 0n, 0n) === 0;
  return isLimited && isUndumpable ? null : 'the kernel refused to switch core dumps off';
}

function loadLibc(): Libc {
  const koffi: typeof import('koffi') = createRequire(import.meta.url)('koffi');
  const libc = koffi.load(null);
  return {
    mlockall: libc.func('int mlockall(int flags)'),
    getrlimit: libc.func('int getrlimit(int resource, _Out_ uint8_t *limit)'),
    setrlimit: libc.func('int setrlimit(int resource, uint8_t *limit)'),
    prctl: libc.func('int prctl(int option, uint64_t value, uint64_t a, uint64_t b, uint64_t c)'),
  };
}
