/**
 * Waiting for a signer that speaks VLS's protocol: VLS's vlsd, or ours with that transport. Without pins there is no TLS, and whoever
 * reaches the address is the signer.
 */
import type { Config, RemoteConfig } from '@countersign/host';
import { LinkError, nodeLinkFiles, openIdentity } from '@countersign/transport';
import { GrpcNodeSide, type GrpcTls } from '@countersign/transport/grpc';
import type { Surroundings } from '../door.ts';
import type { Greet, Listening } from './open.ts';
import { permitted } from './permitted.ts';

/** Rejects with `CountersignError`. */
export async function listenForVls(
  config: Config,
  { listen, pins, greetingSeconds }: RemoteConfig,
  greet: Greet,
  log: Surroundings['log'],
): Promise<Listening> {
  if (listen.kind === 'unix') throw new LinkError('link-listen-failed', 'gRPC listens at a port');
  const { host, port } = listen;
  // Makes the directory too, where the socket for feeders will be.
  const files = nodeLinkFiles(config.stateDirectory);
  const identity = pins.length === 0 ? null : openIdentity(files.identity);
  const tls: GrpcTls | null = identity && { ...identity, pins, authoritiesPem: null };
  const { messageBytesMax } = config;
  const link = await GrpcNodeSide.open({
    host,
    port,
    tls,
    greet,
    log: (level, text) => log(level, `countersign: vls: ${text}`),
    // What is refused for the moment is asked again by the door.
    limits: { messageBytesMax, initMs: greetingSeconds * 1000, retryTotalMs: 0 },
  });
  const address = `${host.includes(':') ? `[${host}]` : host}:${link.port}`;
  const waiting = `waiting for a signer of VLS's kind at ${address}`;
  const known =
    identity === null
      ? 'no pins in [remote]: no TLS, and whoever connects is the signer'
      : `the pin of this node side's key, for the signer: ${identity.pin}`;
  return { link: permitted(link, messageBytesMax), advice: () => [waiting, known] };
}
