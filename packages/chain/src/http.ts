/**
 * HTTP requests with a bound on everything: time, bytes of the answer, connections. No redirects, no compression, no
 * cookies; whatever fails is a `SourceError` that names the source.
 */
import { type Agent, Agent as HttpAgent, type IncomingMessage, request as requestHttp } from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';
import { SourceError } from './source.ts';

export interface HttpRequest {
  readonly method: 'GET' | 'POST';
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** From the first byte sent to the last one received. */
  readonly timeoutMs: number;
  readonly answerBytesMax: number;
  readonly signal: AbortSignal;
}

export interface HttpAnswer {
  readonly status: number;
  /** Seconds of `Retry-After`, as a time in milliseconds; null without. */
  readonly retryAfterMs: number | null;
  readonly body: Buffer;
}

const RETRY_AFTER_SECONDS_MAX = 3600;

export class HttpClient {
  /** How errors call the other end. */
  readonly #name: string;
  readonly #http: HttpAgent;
  readonly #https: HttpsAgent;

  constructor(name: string, connectionsMax: number) {
    this.#name = name;
    const options = { keepAlive: true, maxSockets: connectionsMax };
    this.#http = new HttpAgent(options);
    this.#https = new HttpsAgent(options);
  }

  /** Rejects with `SourceError` only. */
  async send(request: HttpRequest): Promise<HttpAnswer> {
    const first = await this.#attempt(request);
    // A kept connection may have been closed by the server just now: its request never arrived.
    const settled = first === 'stale connection' ? await this.#attempt(request) : first;
    if (settled === 'stale connection') throw this.#unreachable('the connection was closed', null);
    return settled;
  }

  close(): void {
    this.#http.destroy();
    this.#https.destroy();
  }

  #attempt(request: HttpRequest): Promise<HttpAnswer | 'stale connection'> {
    const { method, url, headers = {}, body, timeoutMs, signal } = request;
    const isTls = url.protocol === 'https:';
    const agent: Agent = isTls ? this.#https : this.#http;
    const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) };
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(this.#unreachable('stopped', signal.reason));
      const outgoing = (isTls ? requestHttps : requestHttp)(url, {
        method,
        headers: { ...headers, ...length },
        agent,
      });
      const late = setTimeout(
        () => fail(this.#unreachable(`no answer within ${timeoutMs} ms`, null)),
        timeoutMs,
      );
      const stopped = (): void => fail(this.#unreachable('stopped', signal.reason));
      const settle = (): void => {
        clearTimeout(late);
        signal.removeEventListener('abort', stopped);
      };
      const fail = (error: SourceError): void => {
        settle();
        outgoing.destroy();
        reject(error);
      };
      signal.addEventListener('abort', stopped, { once: true });
      outgoing.on('error', (error) => {
        settle();
        if (outgoing.reusedSocket && codeOf(error) === 'ECONNRESET') resolve('stale connection');
        else reject(this.#unreachable(error.message === '' ? codeOf(error) : error.message, error));
      });
      outgoing.on('response', (incoming) => {
        this.#collect(incoming, request.answerBytesMax).then((received) => {
          settle();
          resolve({ status: incoming.statusCode ?? 0, retryAfterMs: retryAfterOf(incoming), body: received });
        }, fail);
      });
      outgoing.end(body);
    });
  }

  #collect(incoming: IncomingMessage, bytesMax: number): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const parts: Buffer[] = [];
      let bytes = 0;
      incoming.on('data', (part: Buffer) => {
        bytes += part.length;
        if (bytes <= bytesMax) parts.push(part);
        else reject(this.#tooLong(bytesMax));
      });
      incoming.on('end', () => resolve(Buffer.concat(parts, bytes)));
      incoming.on('error', (error) => reject(this.#unreachable('its answer ended in the middle', error)));
      if (Number(incoming.headers['content-length'] ?? 0) > bytesMax) reject(this.#tooLong(bytesMax));
    });
  }

  #tooLong(bytesMax: number): SourceError {
    return new SourceError('chain-source-answer', `${this.#name}: its answer is too long`, {
      bytes_max: bytesMax,
    });
  }

  #unreachable(why: string, cause: unknown): SourceError {
    return new SourceError(
      'chain-source-unreachable',
      `${this.#name} cannot be reached: ${why}`,
      {},
      { cause },
    );
  }
}

const codeOf = (error: Error): string => ('code' in error ? String(error.code) : error.name);

function retryAfterOf({ headers }: IncomingMessage): number | null {
  const seconds = Number(headers['retry-after']);
  return seconds > 0 ? Math.min(seconds, RETRY_AFTER_SECONDS_MAX) * 1000 : null;
}

/** Bytes of an answer as text for a log: one short line, whatever they are. */
export function excerpt(body: Uint8Array): string {
  const text = Buffer.from(body.subarray(0, EXCERPT_BYTES_MAX)).toString('latin1');
  return text.replace(/[^\x21-\x7e]+/g, ' ').trim();
}

const EXCERPT_BYTES_MAX = 200;
