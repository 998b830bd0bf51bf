/** Stands between lightningd and a real hsmd and answers chosen requests with a refusal in the form Countersign gives it: as a
 *  rule message 3000, u16 code, text. Promises that all else passes unchanged, and that a refused request never reaches the hsmd. */
import { spawn } from 'node:child_process';
import { appendFileSync, closeSync, existsSync, readFileSync } from 'node:fs';
import { openClient } from '@countersign/cln';
import { refusalReply } from '@countersign/host';
import {
  FrameSocket,
  readFrameBlocking,
  receiveDescriptor,
  socketPair,
  writeFrameBlocking,
} from '@countersign/transport';
import { decodeMessage, encodeMessage } from '@countersign/wire';

/** The message number to refuse, in the lightning directory, one above the hsmd's working directory. */
const ORDER_PATH = '../refuse';
/** One line for each refusal: the message number. */
const REFUSED_PATH = '../refused';
const REQUEST_DESCRIPTOR = 3;
const FRAME_BYTES_MAX = 64 * 1024 * 1024;
const CLIENT_HSMFD = 9;
const DEV_PREINIT = 99;

function typeOf(frame: Uint8Array): number {
  return ((frame[0] ?? 0) << 8) | (frame[1] ?? 0);
}

/** What Countersign answers when a rule refuses this request. */
function refusal(body: Uint8Array): Uint8Array {
  const decoded = decodeMessage(body, 'request', { messageBytesMax: FRAME_BYTES_MAX });
  const request = decoded.ok && decoded.message.name !== 'unknown' ? decoded.message : null;
  return encodeMessage(
    refusalReply(request, {
      code: 'policy',
      tag: 'live-refusal',
      law: 'form',
      severity: 'error',
      temporary: false,
      message: 'refused for the table',
      facts: {},
      request: request?.name ?? 'unknown',
      channel: null,
    }),
    undefined,
    { messageBytesMax: FRAME_BYTES_MAX },
  );
}

/** Whether this request is to be refused; notes it when so. */
function isRefused(type: number): boolean {
  if (!existsSync(ORDER_PATH) || Number(readFileSync(ORDER_PATH, 'utf8')) !== type) return false;
  appendFileSync(REFUSED_PATH, `${type}\n`);
  return true;
}

/** Joins one of lightningd's clients to the real hsmd's socket for it. */
function join(client: FrameSocket, real: FrameSocket): void {
  real.start({
    frame: (body) => {
      client.send(body);
    },
    closed: () => void client.close(),
  });
  client.start({
    frame: (body) => {
      if (isRefused(typeOf(body))) client.send(refusal(body));
      else real.send(body);
    },
    closed: () => void real.close(),
  });
}

function run(hsmd: string): void {
  const [ours, theirs] = socketPair();
  const child = spawn(hsmd, process.argv.slice(2), { stdio: ['inherit', 'inherit', 'inherit', theirs] });
  closeSync(theirs);
  const limits = { frameBytesMax: FRAME_BYTES_MAX };
  const master = FrameSocket.fromDescriptor(REQUEST_DESCRIPTOR, limits);
  child.on('exit', (code) => process.exit(code ?? 1));
  const answer = async (body: Uint8Array): Promise<void> => {
    const type = typeOf(body);
    if (isRefused(type)) {
      master.send(refusal(body));
      return;
    }
    writeFrameBlocking(ours, body, FRAME_BYTES_MAX);
    if (type === DEV_PREINIT) return;
    const reply = readFrameBlocking(ours, FRAME_BYTES_MAX);
    // The hsmd ended, or wants to: its exit status becomes ours.
    if (reply === undefined) return;
    if (type !== CLIENT_HSMFD || typeOf(reply) !== 100 + CLIENT_HSMFD) {
      master.send(reply);
      return;
    }
    const passed = receiveDescriptor(ours);
    if (passed === undefined) return;
    const opened = openClient(master, { frames: limits });
    join(opened.frames, FrameSocket.fromDescriptor(passed, limits));
    await opened.passed;
  };
  master.start({ frame: answer, closed: () => closeSync(ours) });
}

run(process.env.LIVE_REAL_HSMD ?? '');
