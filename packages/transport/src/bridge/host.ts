/**
 * A bridge as the application holds it: started, told things, listened to, and ended for sure. Either a thread with shared memory,
 * or a process with FIFOs.
 */
import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { SyncDoorError } from '../sync-door.ts';
import type { BlockingCaller } from './carrier.ts';
import { FifoCaller, openFifo } from './fifo.ts';
import { MailboxCaller, mailboxMemory } from './mailbox.ts';
import { type BridgeCarrier, type FromBridge, placeBytes, type ToBridge } from './messages.ts';

/** Sources run as they are in tests: whatever is started needs to be told so again. */
const IS_SOURCE = import.meta.url.endsWith('.ts');
const EXEC_ARGUMENTS = IS_SOURCE ? ['--conditions=source', '--disable-warning=ExperimentalWarning'] : [];
const program = (name: string): URL => new URL(`./${name}${IS_SOURCE ? '.ts' : '.js'}`, import.meta.url);

export interface BridgeHost {
  readonly carrier: BridgeCarrier;
  /** The end that blocks. Call once, when the bridge has said that it is ready. */
  connect(monotonicMs: () => number): BlockingCaller;
  post(message: ToBridge): void;
  /** While something is waited for, the application's process lives; otherwise the bridge does not keep it. */
  hold(isHeld: boolean): void;
  /** Ends it, whatever it does. */
  kill(): Promise<void>;
}

export interface HostEvents {
  readonly message: (message: FromBridge) => void;
  /** Once, last. */
  readonly ended: (why: string) => void;
}

export function startThread(messageBytesMax: number, events: HostEvents): BridgeHost {
  const memory = mailboxMemory(placeBytes(messageBytesMax));
  const worker = new Worker(program('thread'), { execArgv: EXEC_ARGUMENTS, name: 'countersign-bridge' });
  let why = 'its thread ended';
  worker.on('message', events.message);
  worker.on('error', (error: Error) => {
    why = error.message;
  });
  worker.on('exit', () => events.ended(why));
  return {
    carrier: { kind: 'shared', memory },
    connect: (monotonicMs) => new MailboxCaller(memory, monotonicMs),
    post: (message) => worker.postMessage(message),
    hold: (isHeld) => (isHeld ? worker.ref() : worker.unref()),
    kill: async () => void (await worker.terminate()),
  };
}

/** Throws `SyncDoorError` where there are no FIFOs. */
export function startProcess(messageBytesMax: number, events: HostEvents): BridgeHost {
  const fifos = makeFifos();
  try {
    // Open before the bridge opens its end for writing, which needs a reader.
    const replies = openFifo(fifos.replies, 'read');
    const child = fork(program('process'), [], { execArgv: EXEC_ARGUMENTS, serialization: 'advanced' });
    const ended = Promise.withResolvers<void>();
    let hasEnded = false;
    const end = (why: string): void => {
      if (hasEnded) return;
      hasEnded = true;
      fifos.remove();
      ended.resolve();
      events.ended(why);
    };
    child.on('message', (message) => events.message(message as FromBridge));
    // One that could not be started, or not be ended; it may have an exit too.
    child.on('error', (error) => end(error.message));
    child.once('exit', (code, signal) => end(`its process ended (${signal ?? code})`));
    return {
      carrier: { kind: 'fifo', requests: fifos.requests, replies: fifos.replies },
      connect: (monotonicMs) => {
        const requests = openFifo(fifos.requests, 'write');
        // Both ends have them: nobody else needs to find them.
        fifos.remove();
        return new FifoCaller(requests, replies, placeBytes(messageBytesMax), monotonicMs);
      },
      // One that is gone is not written to; its exit tells of that.
      post: (message) => void (child.connected && child.send(message, () => {})),
      hold: (isHeld) => holdProcess(child, isHeld),
      kill: () => {
        child.kill('SIGKILL');
        return ended.promise;
      },
    };
  } catch (error) {
    fifos.remove();
    throw error;
  }
}

function holdProcess(child: ChildProcess, isHeld: boolean): void {
  if (isHeld) {
    child.ref();
    child.channel?.ref();
  } else {
    child.unref();
    child.channel?.unref();
  }
}

interface Fifos {
  readonly requests: string;
  readonly replies: string;
  remove(): void;
}

function makeFifos(): Fifos {
  const directory = mkdtempSync(join(tmpdir(), 'countersign-bridge-'));
  const [requests, replies] = [join(directory, 'requests'), join(directory, 'replies')];
  const remove = (): void => rmSync(directory, { recursive: true, force: true });
  try {
    execFileSync('mkfifo', ['-m', '600', requests, replies], { stdio: ['ignore', 'ignore', 'pipe'] });
    return { requests, replies, remove };
  } catch (cause) {
    remove();
    throw new SyncDoorError(
      'sync-door-unreachable',
      'no FIFO can be made here: take bridge "worker"',
      {},
      { cause },
    );
  }
}
