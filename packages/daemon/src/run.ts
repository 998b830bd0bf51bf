/**
 * `countersign signer run`: the daemon as a process. Ends with 0 after SIGTERM, SIGINT or SIGHUP, with 1 when it could not start, with
 * 70 for a bug, each time with its stores closed in order.
 */
import { randomBytes } from 'node:crypto';
import { resolve as resolvePath } from 'node:path';
import { loadSecp256k1 } from '@countersign/bitcoin';
import { readSignerConfig, type SignerConfig } from './config/config.ts';
import { Daemon, startFailureText } from './daemon.ts';
import { openDoor } from './link/open-door.ts';
import { type Log, openLog } from './observe/log.ts';
import { hardenMemory } from './process/memory.ts';
import { terminalAsk } from './seed/passphrase.ts';

const EXIT_OK = 0;
const EXIT_FAILED = 1;
const EXIT_BUG = 70;
/** After a bug: what is decided becomes durable, then the process ends whatever hangs. */
const LAST_MS = 5_000;
/** Does nothing, this often. */
const ALIVE_MS = 3_600_000;

/** Resolves with the exit status when the daemon has ended. Throws `ConfigError` for a file that cannot be read. */
export async function runSigner(file: string): Promise<number> {
  const path = resolvePath(file);
  const config = readSignerConfig(path);
  // Whoever read the log may be gone: no reason to stop signing.
  process.stdout.on('error', () => {});
  const log = openLog(config.logLevel, { write: (line) => void process.stdout.write(line) });
  tellSurroundings(log);
  const { promise: end, resolve } = Promise.withResolvers<number>();
  const ending = new AbortController();
  const finish = (status: number): void => {
    resolve(status);
    // Somebody may still be asked for a passphrase.
    ending.abort();
  };
  const onBug = (error: unknown): void => {
    log('error', `a bug: ${startFailureText(error)}`);
    finish(EXIT_BUG);
  };
  process.on('uncaughtException', onBug);
  process.on('unhandledRejection', onBug);
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.on(signal, () => {
      log('info', `ended by ${signal}`);
      finish(EXIT_OK);
    });
  }
  const daemon = await started(config, log, ending.signal, onBug);
  if (daemon === null) return ending.signal.aborted ? end : EXIT_FAILED;
  // Without a node to dial, nothing else keeps the process until one is paired.
  const alive = setInterval(() => {}, ALIVE_MS);
  const status = await end;
  clearInterval(alive);
  await Promise.race([daemon.stop(), ...(status === EXIT_BUG ? [later(LAST_MS)] : [])]);
  log('info', 'stopped', { status });
  // What hangs, or still dials, must not keep a process that signs nothing any more: the service manager starts another.
  if (status === EXIT_BUG) process.exit(status);
  return status;
}

async function started(
  config: SignerConfig,
  log: Log,
  ending: AbortSignal,
  onBug: (error: unknown) => void,
): Promise<Daemon | null> {
  try {
    return await Daemon.start({
      config,
      log,
      onBug,
      openDoor,
      passphrases: {
        credentialsDirectory: process.env.CREDENTIALS_DIRECTORY,
        ask: terminalAsk(undefined, ending),
        warn: (text) => log('warn', text),
      },
      secp: loadSecp256k1(),
      randomBytes: (count) => Uint8Array.from(randomBytes(count)),
      monotonicMs: () => performance.now(),
      nowSeconds: () => Math.floor(Date.now() / 1000),
    });
  } catch (error) {
    log('error', `the signer did not start: ${startFailureText(error)}`);
    return null;
  }
}

/** What protects the process, and what does not. */
function tellSurroundings(log: Log): void {
  const { memoryLock, coreDumps } = hardenMemory();
  if (memoryLock !== null) log('warn', `memory may be swapped to disk: ${memoryLock}`);
  if (coreDumps !== null) log('warn', `core dumps are possible: ${coreDumps}`);
  if (process.permission === undefined)
    log('warn', 'Node.js runs without its permission model: start it with bin/countersign');
}

function later(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
