/**
 * JSON-RPC over HTTP as bitcoind speaks it: single calls and batches, the credentials read again when they are refused,
 * every call bounded in time and bytes.
 */
import { excerpt, type HttpAnswer, HttpClient } from '../http.ts';
import { SourceError } from '../source.ts';
import { member, parseJson, unexpected } from '../text.ts';
import { authorization, type BitcoindCredentials } from './credentials.ts';

/** bitcoind's src/rpc/protocol.h. */
export const RPC = {
  miscError: -1,
  invalidAddressOrKey: -5,
  invalidParameter: -8,
  verifyAlreadyInChain: -27,
  inWarmup: -28,
  methodNotFound: -32601,
} as const;

/** The node's own no to one call. */
export class RpcError extends Error {
  readonly rpcCode: number;

  constructor(rpcCode: number, message: string) {
    super(message);
    this.name = 'RpcError';
    this.rpcCode = rpcCode;
  }
}

export interface RpcCall {
  readonly method: string;
  readonly params: readonly (string | number | boolean)[];
}

export interface CallBounds {
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  readonly answerBytesMax: number;
}

export interface RpcOptions {
  readonly name: string;
  readonly url: URL;
  readonly credentials: BitcoindCredentials;
  readonly connectionsMax: number;
}

export class BitcoindRpc {
  readonly #options: RpcOptions;
  readonly #http: HttpClient;
  #authorization: string | null = null;

  constructor(options: RpcOptions) {
    this.#options = options;
    this.#http = new HttpClient(options.name, options.connectionsMax);
  }

  close(): void {
    this.#http.close();
    this.#authorization = null;
  }

  /** Rejects with `RpcError` when the node says no, with `SourceError` for everything else. */
  async call({ method, params }: RpcCall, bounds: CallBounds): Promise<unknown> {
    const answer = await this.#post({ jsonrpc: '1.0', id: 0, method, params }, bounds);
    return resultOf(this.#options.name, method, answer);
  }

  /** The results in the order of the calls; rejects if any of them failed. */
  async batch(calls: readonly RpcCall[], bounds: CallBounds): Promise<unknown[]> {
    const { name } = this.#options;
    const body = calls.map(({ method, params }, id) => ({ jsonrpc: '1.0', id, method, params }));
    const answers = await this.#post(body, bounds);
    if (!Array.isArray(answers)) return [resultOf(name, 'a batch', answers)];
    const byId = new Map<unknown, unknown>(answers.map((one: unknown) => [member(one, 'id'), one]));
    return calls.map(({ method }, id) => resultOf(name, method, byId.get(id)));
  }

  async #post(body: object, bounds: CallBounds): Promise<unknown> {
    const { name } = this.#options;
    const text = JSON.stringify(body);
    let answer = await this.#send(text, bounds);
    if (answer.status === 401) {
      // The node was started again and has a new cookie.
      this.#authorization = null;
      answer = await this.#send(text, bounds);
    }
    refuseStatus(name, answer);
    return parseJson(name, answer.body);
  }

  #send(body: string, bounds: CallBounds): Promise<HttpAnswer> {
    this.#authorization ??= authorization(this.#options.credentials);
    return this.#http.send({
      method: 'POST',
      url: this.#options.url,
      headers: { authorization: this.#authorization, 'content-type': 'application/json' },
      body,
      ...bounds,
    });
  }
}

/** Statuses whose body is no JSON-RPC answer. bitcoind also answers a failed call with 404 or 500, and a body. */
function refuseStatus(name: string, { status, body, retryAfterMs }: HttpAnswer): void {
  switch (status) {
    case 401:
      throw new SourceError('chain-source-unauthorized', `${name} refuses the user or password`);
    case 403:
      throw new SourceError(
        'chain-source-unauthorized',
        `${name} refuses the call: see rpcallowip and rpcwhitelist of the Bitcoin node`,
      );
    case 429:
    case 503:
      throw new SourceError('chain-source-busy', `${name} is busy: ${excerpt(body)}`, {}, { retryAfterMs });
    case 200:
    case 400:
    case 404:
    case 500:
      return;
    default:
      throw new SourceError('chain-source-answer', `${name}: HTTP status ${status}: ${excerpt(body)}`);
  }
}

function resultOf(name: string, method: string, answer: unknown): unknown {
  const error = member(answer, 'error');
  if (error !== undefined && error !== null) {
    const code = member(error, 'code');
    const message = member(error, 'message');
    if (typeof code !== 'number' || typeof message !== 'string')
      throw unexpected(name, `the error of ${method}`);
    if (code === RPC.inWarmup)
      throw new SourceError('chain-source-busy', `${name} is starting: ${clean(message)}`);
    throw new RpcError(code, clean(message));
  }
  const result = member(answer, 'result');
  if (result === undefined) throw unexpected(name, `the answer to ${method}`);
  return result;
}

const clean = (message: string): string => excerpt(Buffer.from(message, 'latin1'));
