/** JSON-RPC with the two daemons: lightningd over its Unix socket, bitcoind over HTTP. Promises one bounded call per
 *  connection and an error that carries the daemon's own code and text. */
import { request } from 'node:http';
import { createConnection } from 'node:net';
import { find, type JsonValue } from './json-value.ts';
import { TimeoutError } from './wait.ts';

const ANSWER_BYTES_MAX = 64 * 1024 * 1024;

export class RpcError extends Error {
  override readonly name = 'RpcError';
  readonly code: number;

  constructor(method: string, code: number, message: string) {
    super(`${method}: ${message} (${code})`);
    this.code = code;
  }
}

/** The daemon went away before it answered. */
export class LostError extends Error {
  override readonly name = 'LostError';
}

function resultOf(method: string, answer: JsonValue): JsonValue {
  const error = find(answer, 'error');
  if (error !== undefined && error !== null) {
    const code = find(error, 'code');
    const message = find(error, 'message');
    throw new RpcError(
      method,
      typeof code === 'number' ? code : 0,
      typeof message === 'string' ? message : JSON.stringify(error),
    );
  }
  return find(answer, 'result') ?? null;
}

/** One call to lightningd; `params` by name or by position. */
export function callLightning(
  socket_path: string,
  method: string,
  params: { [name: string]: JsonValue } | JsonValue[],
  timeout_ms: number,
): Promise<JsonValue> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(socket_path);
    const parts: Buffer[] = [];
    let bytes = 0;
    const timer = setTimeout(() => {
      finish(() => reject(new TimeoutError(`${method}: no answer in ${timeout_ms} ms`)));
    }, timeout_ms);
    const finish = (settle: () => void): void => {
      clearTimeout(timer);
      socket.destroy();
      settle();
    };
    socket.on('error', (error) => finish(() => reject(new LostError(`${method}: ${error.message}`))));
    socket.on('end', () => finish(() => reject(new LostError(`${method}: the connection was closed`))));
    socket.on('data', (part: Buffer) => {
      parts.push(part);
      bytes += part.length;
      if (bytes > ANSWER_BYTES_MAX) {
        finish(() => reject(new LostError(`${method}: the answer is too long`)));
        return;
      }
      // lightningd ends every answer with an empty line, and no other line of it is empty.
      if (part.length < 2 ? bytes < 2 : part.at(-1) !== 0x0a || part.at(-2) !== 0x0a) return;
      finish(() => {
        try {
          resolve(resultOf(method, JSON.parse(Buffer.concat(parts).toString('utf8')) as JsonValue));
        } catch (error) {
          reject(error);
        }
      });
    });
    socket.write(JSON.stringify({ jsonrpc: '2.0', id: `live-${method}`, method, params }));
  });
}

export interface BitcoinEndpoint {
  readonly port: number;
  readonly user: string;
  readonly password: string;
}

/** One call to bitcoind on the loopback interface. */
export function callBitcoin(
  endpoint: BitcoinEndpoint,
  method: string,
  params: JsonValue[],
  timeout_ms: number,
): Promise<JsonValue> {
  const body = JSON.stringify({ jsonrpc: '1.0', id: 'live', method, params });
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        host: '127.0.0.1',
        port: endpoint.port,
        method: 'POST',
        auth: `${endpoint.user}:${endpoint.password}`,
        headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
        timeout: timeout_ms,
        agent: false,
      },
      (incoming) => {
        const parts: Buffer[] = [];
        incoming.on('data', (part: Buffer) => parts.push(part));
        incoming.on('error', (error) => reject(new LostError(`${method}: ${error.message}`)));
        incoming.on('end', () => {
          try {
            resolve(resultOf(method, JSON.parse(Buffer.concat(parts).toString('utf8')) as JsonValue));
          } catch (error) {
            reject(
              error instanceof RpcError ? error : new LostError(`${method}: HTTP ${incoming.statusCode}`),
            );
          }
        });
      },
    );
    outgoing.on('timeout', () =>
      outgoing.destroy(new TimeoutError(`${method}: no answer in ${timeout_ms} ms`)),
    );
    outgoing.on('error', (error) =>
      reject(error instanceof TimeoutError ? error : new LostError(`${method}: ${error.message}`)),
    );
    outgoing.end(body);
  });
}
