/**
 * Health, readiness and metrics over HTTP, on an address of this machine only and not unless configured. `/live`: the process
 * runs. `/ready`: every node can sign; else why not. `/metrics`: for Prometheus. It takes nothing but GET, and no bodies.
 */
import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Address } from '../config/config.ts';
import { DaemonError } from '../error.ts';
import type { Metrics } from './metrics.ts';
import { type NodeStanding, unreadiness } from './standing.ts';

const CONNECTIONS_MAX = 32;
const TIMEOUT_MS = 10_000;
const HEADER_BYTES_MAX = 8 * 1024;

export interface HealthOptions {
  readonly listen: Address;
  readonly standing: () => readonly NodeStanding[];
  readonly metrics: Metrics;
  readonly onBug: (error: unknown) => void;
}

export interface Health {
  /** Where it listens: the port, if any port was asked for. */
  readonly port: number | null;
  close(): Promise<void>;
}

/** Rejects with `DaemonError` `health-listen-failed`. */
export async function openHealth(options: HealthOptions): Promise<Health> {
  const server = createServer(
    { maxHeaderSize: HEADER_BYTES_MAX, requestTimeout: TIMEOUT_MS },
    (request, response) => {
      answer(options, request, response).catch(options.onBug);
    },
  );
  server.maxConnections = CONNECTIONS_MAX;
  server.headersTimeout = TIMEOUT_MS;
  await listen(server, options.listen);
  // An accept that fails, for want of descriptors, is not the end of a signer.
  server.on('error', () => {});
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : null,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(
  { standing, metrics }: HealthOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (request.method !== 'GET' && request.method !== 'HEAD')
    return end(response, 405, 'text/plain', 'GET only\n');
  switch (request.url) {
    case '/live':
      return end(response, 200, 'text/plain', 'live\n');
    case '/ready':
      return ready(response, standing());
    case '/metrics':
      return end(response, 200, metrics.contentType, await metrics.text());
    default:
      return end(response, 404, 'text/plain', 'here are /live, /ready and /metrics\n');
  }
}

function ready(response: ServerResponse, nodes: readonly NodeStanding[]): void {
  const list = nodes.map((node) => ({ node: node.name, why: unreadiness(node) }));
  const isReady = list.every(({ why }) => why.length === 0);
  const body = {
    ready: isReady,
    nodes: list.map(({ node, why }) => ({ node, ready: why.length === 0, why })),
  };
  end(response, isReady ? 200 : 503, 'application/json', `${JSON.stringify(body)}\n`);
}

function end(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store', connection: 'close' });
  response.end(body);
}

async function listen(server: Server, address: Address): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.once('listening', resolve);
      if (address.kind === 'tcp') {
        server.listen(address.port, address.host);
      } else {
        removeStale(address.path);
        server.listen(address.path);
        // Bound within the call above: nobody but this user connects.
        if (server.listening) chmodSync(address.path, 0o600);
      }
    });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DaemonError(
      'health-listen-failed',
      `cannot listen for health checks: ${reason}`,
      {},
      { cause },
    );
  }
}

/** What a process that was killed left behind. The lock on the state keeps a second daemon out, so nobody listens there. */
function removeStale(path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true) unlinkSync(path);
}
