/** One question to lightningd on its own socket: the payment hashes of all HTLCs that are under way. Bounded in bytes and time. */
import { connect } from 'node:net';
import { fromHex } from '@countersign/bitcoin';
import { member } from './json-rpc.ts';

/** Some hundred bytes for each HTLC of each channel. */
const ANSWER_BYTES_MAX = 256 * 1024 * 1024;
const ANSWER_MS_MAX = 30_000;
const REQUEST = { jsonrpc: '2.0', id: 'countersign-cln-plugin', method: 'listpeerchannels', params: {} };
/** lightningd ends each answer with an empty line; within one, it writes none. */
const END = Buffer.from('\n\n');

/** Rejects with an `Error` when lightningd does not answer. */
export async function hashesUnderWay(socketPath: string): Promise<readonly Uint8Array[]> {
  const answer: unknown = JSON.parse(await answerOf(socketPath));
  const channels = member(member(answer, 'result'), 'channels');
  if (!Array.isArray(channels)) throw new Error('lightningd lists no channels');
  return channels.flatMap((channel) => {
    const htlcs = member(channel, 'htlcs');
    return Array.isArray(htlcs) ? htlcs.map((htlc) => hashIn(member(htlc, 'payment_hash'))) : [];
  });
}

function hashIn(text: unknown): Uint8Array {
  if (typeof text === 'string' && /^[0-9a-f]{64}$/.test(text)) return fromHex(text);
  throw new Error('lightningd lists an HTLC without a payment hash');
}

function answerOf(socketPath: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let bytes = 0;
    const socket = connect(socketPath);
    socket.unref();
    socket.setTimeout(ANSWER_MS_MAX, () => socket.destroy(new Error('lightningd does not answer')));
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('lightningd closed the connection')));
    socket.on('data', (chunk: Buffer) => {
      parts.push(chunk);
      bytes += chunk.length;
      if (bytes > ANSWER_BYTES_MAX) socket.destroy(new Error('the answer of lightningd is too long'));
      const last = Buffer.concat(parts.slice(-2));
      if (!last.subarray(-END.length).equals(END)) return;
      resolve(Buffer.concat(parts).toString('utf8'));
      socket.destroy();
    });
    socket.write(JSON.stringify(REQUEST));
  });
}
