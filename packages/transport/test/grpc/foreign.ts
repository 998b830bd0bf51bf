/**
 * The other end in the tests: the service as `hsmd.proto` says it, by libraries that share nothing with ours. protobufjs reads
 * the file, Connect speaks gRPC over node:http2.
 */
import { createServer, type Http2Server, type ServerHttp2Session } from 'node:http2';
import { type AddressInfo, connect as connectTcp } from 'node:net';
import { fileURLToPath } from 'node:url';
import {
  create,
  createFileRegistry,
  type DescMessage,
  type DescMethodBiDiStreaming,
  type DescMethodUnary,
  fromBinary,
} from '@bufbuild/protobuf';
import {
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from '@bufbuild/protobuf/wkt';
import type { HandlerContext } from '@connectrpc/connect';
import { connectNodeAdapter, createGrpcTransport, type GrpcTransportOptions } from '@connectrpc/connect-node';
import { loadSync } from '@grpc/proto-loader';

const PROTO_PATH = fileURLToPath(new URL('../../src/grpc/hsmd.proto', import.meta.url));

export interface ForeignPing {
  message: string;
}

export interface ForeignRequest {
  requestId: bigint;
  context?: { peerId: Uint8Array; dbid: bigint; capabilities?: bigint };
  message: Uint8Array;
}

export interface ForeignResponse {
  requestId: bigint;
  message?: Uint8Array;
  error?: string;
  isTemporaryFailure?: boolean;
}

function readRegistry() {
  const loaded = loadSync(PROTO_PATH)['hsmd.PingRequest'];
  const files = loaded !== undefined && 'fileDescriptorProtos' in loaded ? loaded.fileDescriptorProtos : null;
  if (!Array.isArray(files)) throw new Error('no descriptors');
  const file = files.map((bytes) => qualified(fromBinary(FileDescriptorProtoSchema, bytes)));
  return createFileRegistry(create(FileDescriptorSetSchema, { file }));
}

/** protobufjs leaves names as the file has them; descriptors want them from the root. */
function qualified(file: FileDescriptorProto): FileDescriptorProto {
  const full = (name: string): string => (name === '' || name.startsWith('.') ? name : `.hsmd.${name}`);
  for (const field of file.messageType.flatMap((one) => one.field)) field.typeName = full(field.typeName);
  for (const method of file.service.flatMap((one) => one.method)) {
    method.inputType = full(method.inputType);
    method.outputType = full(method.outputType);
  }
  return file;
}

export const registry = readRegistry();

function methodOf(localName: string) {
  const method = registry.getService('hsmd.Hsmd')?.method[localName];
  if (method === undefined) throw new Error(`no method ${localName}`);
  return method;
}

const PING = methodOf('ping') as DescMethodUnary<DescMessage, DescMessage>;
const SIGNER_STREAM = methodOf('signerStream') as DescMethodBiDiStreaming<DescMessage, DescMessage>;

/** A queue that is read as it is filled. */
export class Feed<T> implements AsyncIterable<T> {
  readonly #items: T[] = [];
  #wake: (() => void) | null = null;
  #isEnded = false;

  push(item: T): void {
    this.#items.push(item);
    this.#wake?.();
  }

  end(): void {
    this.#isEnded = true;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncIterator<T> {
    for (;;) {
      const item = this.#items.shift();
      if (item !== undefined) yield item;
      else if (this.#isEnded) return;
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
  }
}

/** A signer as VLS's `vlsd` is one: it dials, greets, and reads requests. */
export interface ForeignSigner {
  readonly responses: Feed<ForeignResponse>;
  /** The next request; null when the node side ended the stream; rejects with its status. */
  next(): Promise<ForeignRequest | null>;
  /** Cuts it. */
  abort(): void;
}

export async function foreignPing(options: GrpcTransportOptions, message: string): Promise<string> {
  const transport = createGrpcTransport(options);
  const reply = await transport.unary(PING, undefined, 5_000, undefined, { message } as never);
  return (reply.message as unknown as ForeignPing).message;
}

export async function foreignSigner(options: GrpcTransportOptions): Promise<ForeignSigner> {
  const transport = createGrpcTransport(options);
  const responses = new Feed<ForeignResponse>();
  const abort = new AbortController();
  const stream = await transport.stream(
    SIGNER_STREAM,
    abort.signal,
    undefined,
    undefined,
    responses as AsyncIterable<never>,
  );
  const requests = stream.message[Symbol.asyncIterator]();
  return {
    responses,
    next: async () => {
      const { done, value } = await requests.next();
      return done === true ? null : (value as unknown as ForeignRequest);
    },
    abort: () => abort.abort(),
  };
}

/** A node side as VLS's `remote_hsmd_socket` is one. */
export interface ForeignNode {
  readonly port: number;
  readonly pings: string[];
  /** Called with each stream: what it yields is sent. */
  close(): Promise<void>;
}

export type OnForeignStream = (
  responses: AsyncIterator<ForeignResponse>,
  send: (request: ForeignRequest) => void,
  context: HandlerContext,
) => Promise<void>;

/** The stream ends when the promise of `onStream` settles. */
export async function foreignNode(onStream: OnForeignStream, port = 0): Promise<ForeignNode> {
  const pings: string[] = [];
  const sessions = new Set<ServerHttp2Session>();
  const handler = connectNodeAdapter({
    connect: false,
    grpcWeb: false,
    routes: (router) => {
      router.rpc(PING, ((request: unknown) => {
        const { message } = request as ForeignPing;
        pings.push(message);
        return { message };
      }) as never);
      router.rpc(SIGNER_STREAM, ((incoming: AsyncIterable<ForeignResponse>, context: HandlerContext) =>
        streamOf(onStream, incoming, context)) as never);
    },
  });
  const server: Http2Server = createServer(handler);
  server.on('session', (session) => {
    sessions.add(session);
    session.on('close', () => sessions.delete(session));
    session.on('error', () => {});
  });
  await new Promise<void>((resolve) => server.listen({ host: '127.0.0.1', port }, resolve));
  return {
    port: (server.address() as AddressInfo).port,
    pings,
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const session of sessions) session.destroy();
      await closed;
    },
  };
}

async function* streamOf(
  onStream: OnForeignStream,
  incoming: AsyncIterable<ForeignResponse>,
  context: HandlerContext,
): AsyncIterable<ForeignRequest> {
  const outgoing = new Feed<ForeignRequest>();
  const done = onStream(incoming[Symbol.asyncIterator](), (request) => outgoing.push(request), context);
  void done.then(
    () => outgoing.end(),
    () => outgoing.end(),
  );
  yield* outgoing;
  await done;
}

/** A connection that says these bytes and nothing sensible; resolves when the other side has closed it. */
export function junk(port: number, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    const socket = connectTcp({ host: '127.0.0.1', port }, () => socket.write(bytes));
    socket.on('error', () => {});
    socket.on('close', () => resolve());
    socket.resume();
  });
}
