/**
 * One connection of the dialler: made, greeted by a `Ping`, then a `SignerStream` whose requests are answered one after the other. It
 * ends by rejecting or resolving; whatever it opened is closed by then.
 */
import { isIPv6 } from 'node:net';
import { Client, type ClientDuplexStream, Metadata } from '@grpc/grpc-js';
import type { LinkClock } from '../link/clock.ts';
import { LinkError } from '../link/error.ts';
import { DialCredentials } from './credentials.ts';
import type { Ping, SignerRequest, SignerResponse } from './messages.ts';
import { commonOptions, PING, SIGNER_STREAM } from './service.ts';
import { type GrpcTls, ownPin } from './tls.ts';

export interface ConnectionOptions {
  readonly host: string;
  readonly port: number;
  readonly tls: GrpcTls | null;
  readonly clock: LinkClock;
  readonly messageBytesMax: number;
  readonly keepaliveMs: number;
  /** From the dial to the answer of the greeting. */
  readonly connectMs: number;
  /** How long the other side may take to read a response. */
  readonly writeMs: number;
  /** Ends it. */
  readonly signal: AbortSignal;
  /** The stream is open. */
  readonly onOpen: () => void;
  /** Null: no response may be sent. */
  readonly answer: (request: SignerRequest) => Promise<SignerResponse | null>;
  /** The last response has left, or never will. */
  readonly onAnswered: () => void;
}

export const GREETING = 'countersign';

type Call = ClientDuplexStream<SignerResponse, SignerRequest>;

/**
 * Resolves when the other side ended the stream, rejects with `LinkError` for anything else. Until the request under way is answered
 * it does neither, unless it is told to end.
 */
export async function serveOnce(options: ConnectionOptions): Promise<void> {
  const { host, port, tls, signal } = options;
  const credentials = new DialCredentials(tls, host);
  const client = new Client(`${isIPv6(host) ? `[${host}]` : host}:${port}`, credentials, {
    ...commonOptions(options.messageBytesMax, options.keepaliveMs),
    // Once: whoever calls tries again.
    'grpc.enable_retries': 0,
    'grpc.use_local_subchannel_pool': 1,
    'grpc.enable_http_proxy': 0,
    'grpc.service_config_disable_resolution': 1,
  });
  const cut = (): void => {
    client.close();
    credentials.close();
  };
  signal.addEventListener('abort', cut);
  try {
    await greet(client, credentials, options);
    await serve(client, options);
  } finally {
    signal.removeEventListener('abort', cut);
    cut();
  }
}

async function greet(
  client: Client,
  credentials: DialCredentials,
  options: ConnectionOptions,
): Promise<void> {
  const { host, port, clock, connectMs } = options;
  const deadline = clock.nowMs() + connectMs;
  try {
    await new Promise<void>((resolve, reject) =>
      client.makeUnaryRequest(
        PING.path,
        PING.requestSerialize,
        PING.responseDeserialize,
        { message: GREETING },
        new Metadata(),
        { deadline },
        (error: Error | null, _reply?: Ping) => (error === null ? resolve() : reject(error)),
      ),
    );
  } catch (cause) {
    const { failure, wasReached } = credentials;
    if (failure instanceof LinkError) throw failure;
    if (wasReached && isNoConnection(cause))
      throw new LinkError('link-unreachable', hungUp(options.tls), { host, port });
    throw new LinkError('link-unreachable', 'the node side does not answer', { host, port }, { cause });
  }
}

async function serve(client: Client, options: ConnectionOptions): Promise<void> {
  const call: Call = client.makeBidiStreamRequest(
    SIGNER_STREAM.path,
    SIGNER_STREAM.requestSerialize,
    SIGNER_STREAM.responseDeserialize,
    new Metadata(),
  );
  call.on('error', () => {});
  call.once('metadata', () => options.onOpen());
  const end = new CallEnd(call);
  try {
    // No further request is taken while one is being answered: how many wait in between is up to the flow control of HTTP/2.
    for await (const request of call as AsyncIterable<SignerRequest>) {
      // What came before the end and was not looked at will be asked again.
      if (end.isThere) continue;
      const response = await unlessAborted(options.answer(request), options.signal);
      if (response !== null && !end.isThere) await write(call, end, response, options);
      options.onAnswered();
    }
  } catch (cause) {
    if (cause instanceof LinkError) throw cause;
    if (!isCallFailure(cause)) throw cause;
    throw new LinkError('link-ended', 'the stream broke', { reason: cause.message }, { cause });
  }
}

/** grpc-js tells the end of a call once, and calls back no write that comes after it, or that it cuts off. */
class CallEnd {
  #isThere = false;
  #onEnd: () => void = () => {};

  constructor(call: Call) {
    call.once('status', () => {
      this.#isThere = true;
      this.#onEnd();
    });
  }

  get isThere(): boolean {
    return this.#isThere;
  }

  /** Of whoever waits now. */
  set onEnd(run: () => void) {
    this.#onEnd = run;
  }
}

/** Resolves also when the call ends: why it did is for whoever reads it. */
function write(
  call: Call,
  end: CallEnd,
  response: SignerResponse,
  { clock, writeMs }: ConnectionOptions,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(writeMs, () =>
      reject(new LinkError('link-not-read', 'the node side does not read', { wait_ms: writeMs })),
    );
    const done = (error?: Error | null): void => {
      cancel();
      if (error === undefined || error === null) resolve();
      else reject(new LinkError('link-ended', 'the stream ended', {}, { cause: error }));
    };
    end.onEnd = done;
    call.write(response, done);
  });
}

/** A handler that is stopping answers no more, and must not hold up who closes. */
function unlessAborted<T>(answer: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const aborted = (): void => reject(new LinkError('link-closed', 'the dialler was closed'));
    if (signal.aborted) aborted();
    signal.addEventListener('abort', aborted);
    answer.then(resolve, reject).finally(() => signal.removeEventListener('abort', aborted));
  });
}

/** grpc-js's words for one that ended before HTTP/2 was spoken on it. */
const isNoConnection = (error: unknown): boolean =>
  error instanceof Error && error.message.includes('No connection established');

/** In TLS 1.3 the client is done before the server has judged its key, and hears of that by the end of the connection. */
function hungUp(tls: GrpcTls | null): string {
  return tls === null
    ? 'it hangs up without a word: it may want TLS (https, and the pin of its key)'
    : `it hangs up after TLS: it may not know the key of this side, ${ownPin(tls)}`;
}

/** grpc-js's ServiceError: it has a status. Anything else is a bug of whoever answers. */
function isCallFailure(error: unknown): error is Error {
  return error instanceof Error && 'code' in error;
}
