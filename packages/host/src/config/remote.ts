/**
 * `mode` and [remote]: whether the signer runs here or elsewhere, and how the node side waits for it. What only a signer can
 * use is an error on a node side: whoever wrote it believes that it protects this node.
 */
import type { InferOutput } from 'valibot';
import type { ChainConfig } from './chain.ts';
import { faultAt, type Source } from './reader.ts';
import type { document } from './schema.ts';

/** Where the node side listens for its signer. */
export type ListenAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

export interface RemoteConfig {
  /** `link`: Countersign's own; `vls-grpc`: a signer that speaks VLS's protocol. */
  readonly transport: 'link' | 'vls-grpc';
  readonly listen: ListenAddress;
  /** With `vls-grpc`: TLS, and these signers. Empty: no TLS, and whoever comes. The link pins keys by pairing. */
  readonly pins: readonly string[];
  /** How long a start waits for the signer; null: until it comes. */
  readonly startPatienceSeconds: number | null;
  /** How long a request waits for a lost signer before it is refused; null: until it comes back. */
  readonly linkPatienceSeconds: number | null;
  /** How long a signer may take to answer INIT before the next one is asked. */
  readonly greetingSeconds: number;
  /** How long a request that was refused for the moment is asked again. */
  readonly retrySeconds: number;
}

export interface Place {
  readonly mode: 'inplace' | 'remote';
  /** Null in place. */
  readonly remote: RemoteConfig | null;
}

export const RETRY_SECONDS_DEFAULT = 10;
/** It is answered from what the daemon has open already: in milliseconds. VLS's signer makes its keys then. */
export const GREETING_SECONDS_DEFAULT = { link: 10, 'vls-grpc': 30 } as const;
/** Beside bitcoind's and lightningd's own. */
export const REMOTE_PORT_DEFAULT = 9737;
/** VLS's own. */
export const VLS_PORT_DEFAULT = 7701;

type Document = InferOutput<typeof document>;
type Form = NonNullable<Document['remote']>;

/** Tables and keys that a signer reads, and nobody else. */
const SIGNER_KEYS = ['policy', 'approvals', 'allowlist', 'heartbeat', 'witness_file'] as const;

/** Throws `ConfigError`. */
export function readPlace(source: Source, top: Document, chain: ChainConfig): Place {
  const mode = top.mode ?? 'inplace';
  if (mode === 'inplace') {
    if (top.remote === undefined) return { mode, remote: null };
    throw faultAt(
      source,
      ['remote'],
      '[remote] is for mode = "remote", which has to stand above the first [table]',
    );
  }
  const misplaced = SIGNER_KEYS.find((key) => top[key] !== undefined);
  if (misplaced !== undefined) {
    const what = misplaced === 'witness_file' ? '"witness_file"' : `[${misplaced}]`;
    const message = `${what} has no effect on the node side (mode = "remote"): it belongs into the signer's own file`;
    throw faultAt(source, [misplaced], message);
  }
  if (chain.source === 'node') {
    const message =
      'source = "node" is for the signer: with mode = "remote" this is the node, "bitcoind" and "esplora" feed the signer';
    throw faultAt(source, ['chain', 'source'], message);
  }
  const remote = readRemote(source, top.remote ?? {});
  if (remote.transport === 'vls-grpc' && chain.source !== 'none') {
    const message =
      '[chain] has no effect with transport = "vls-grpc": a signer there follows the chain by itself';
    throw faultAt(source, ['chain'], message);
  }
  return { mode, remote };
}

function readRemote(source: Source, form: Form): RemoteConfig {
  const { transport = 'link', pins = [] } = form;
  if (transport === 'link' && pins.length > 0)
    throw faultAt(source, ['remote', 'pins'], '"pins" is for transport = "vls-grpc"; pairing pins keys here');
  const standard = transport === 'link' ? REMOTE_PORT_DEFAULT : VLS_PORT_DEFAULT;
  const listen = listenAddress(source, form.listen ?? `127.0.0.1:${standard}`);
  if (transport === 'vls-grpc' && listen.kind === 'unix')
    throw faultAt(source, ['remote', 'listen'], 'transport = "vls-grpc" listens at an address and a port');
  return {
    transport,
    listen,
    pins,
    startPatienceSeconds: form.start_patience_seconds ?? null,
    linkPatienceSeconds: form.link_patience_seconds ?? null,
    greetingSeconds: form.greeting_seconds ?? GREETING_SECONDS_DEFAULT[transport],
    retrySeconds: form.retry_seconds ?? RETRY_SECONDS_DEFAULT,
  };
}

const UNIX_PREFIX = 'unix:';
/** `host:port`; an IPv6 address in brackets. */
const TCP = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s]+)):(\d{1,5})$/;
const PORT_MAX = 65_535;

function listenAddress(source: Source, text: string): ListenAddress {
  if (text.startsWith(UNIX_PREFIX) && text.length > UNIX_PREFIX.length) {
    return { kind: 'unix', path: text.slice(UNIX_PREFIX.length) };
  }
  const [, six, other, digits] = TCP.exec(text) ?? [];
  const port = Number(digits);
  const host = six ?? other;
  if (host !== undefined && port >= 1 && port <= PORT_MAX) return { kind: 'tcp', host, port };
  const message = `"remote.listen" is no address, expected "192.168.1.5:${REMOTE_PORT_DEFAULT}", "[::]:${REMOTE_PORT_DEFAULT}" or "unix:/path/of/a/socket"`;
  throw faultAt(source, ['remote', 'listen'], message);
}
