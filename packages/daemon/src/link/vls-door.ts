/**
 * A node whose side speaks VLS's protocol: its proxy is dialled, and what comes on its stream goes to the same handler as what comes
 * over a link. A refusal there is a reply in the form that lightningd gets of an hsmd in place. Loaded only where it is configured.
 */
import { fromLinkRefusal, refusalReply } from '@countersign/host';
import { type LinkRefusal, type LinkState, openIdentity } from '@countersign/transport';
import { type GrpcLogLevel, type GrpcTls, SignerDialler } from '@countersign/transport/grpc';
import { decodeMessage, encodeMessage } from '@countersign/wire';
import type { LinkConfig } from '../config/config.ts';
import type { Level } from '../observe/log.ts';
import type { LinkStanding } from '../observe/standing.ts';
import { type Door, type DoorOptions, LAST_ANSWERS_LOOK_MS, LAST_ANSWERS_MS } from './door.ts';
import { linkFiles } from './files.ts';

type VlsConfig = Extract<LinkConfig, { transport: 'vls-grpc' }>;

const PORTS: Readonly<Record<string, number>> = { 'http:': 80, 'https:': 443 };

export function openVlsDoor(options: DoorOptions, { url, pin }: VlsConfig): Door {
  const { config, handler, log, onBug, messageBytesMax, chainTip } = options;
  const dialler = new SignerDialler({
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? (PORTS[url.protocol] ?? 0) : Number(url.port),
    tls: pin === null ? null : tlsOf(options, pin),
    handler,
    refusalReply: (body, refusal) => refusalBytes(body, refusal, messageBytesMax),
    networkName: config.network,
    chainTip,
    log: (level, text) => log(LEVELS[level], `link: ${text}`),
    onBug,
    limits: { messageBytesMax },
  });
  dialler.start();
  log('info', `dialling the node's proxy at ${url.host}`);
  return {
    get state(): LinkStanding {
      return STANDINGS[dialler.state];
    },
    close: async () => {
      await lastAnswer(dialler);
      await dialler.close();
    },
  };
}

/** What is lost would be asked again, and decided again, by the next process. */
async function lastAnswer(dialler: SignerDialler): Promise<void> {
  const untilMs = performance.now() + LAST_ANSWERS_MS;
  while (dialler.state === 'up' && dialler.isAnswering && performance.now() < untilMs) {
    await new Promise((resolve) => setTimeout(resolve, LAST_ANSWERS_LOOK_MS));
  }
}

/** The signer's own key, as for a link, and the key that the proxy must show. */
function tlsOf({ config }: DoorOptions, pin: string): GrpcTls {
  const { certificatePem, privateKeyPem } = openIdentity(linkFiles(config.directory).identity);
  return { certificatePem, privateKeyPem, pins: [pin], authoritiesPem: null };
}

function refusalBytes(body: Uint8Array, refusal: LinkRefusal, messageBytesMax: number): Uint8Array {
  const limits = { messageBytesMax };
  const decoded = decodeMessage(body, 'request', limits);
  const request = decoded.ok && decoded.message.name !== 'unknown' ? decoded.message : null;
  // A no may give back what was asked, and is never longer.
  return encodeMessage(refusalReply(request, fromLinkRefusal(refusal)), NO_BYTES, limits);
}

const NO_BYTES = new Uint8Array(0);

const LEVELS: Readonly<Record<GrpcLogLevel, Level>> = {
  debug: 'debug',
  info: 'info',
  unusual: 'warn',
  broken: 'error',
};

const STANDINGS: Readonly<Record<LinkState, LinkStanding>> = {
  waiting: 'down',
  up: 'up',
  down: 'down',
  closed: 'closed',
};
