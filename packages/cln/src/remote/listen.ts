/**
 * Where the node side waits for its signer, as [remote] in countersign.toml says, and the words for an operator whose signer is
 * not there.
 */
import { resolve } from 'node:path';
import type { Config, RemoteConfig } from '@countersign/host';
import {
  LINK_LIMITS,
  type LinkEvent,
  type LinkEventName,
  NodeSideLink,
  nodeLinkFiles,
  openPairingBook,
  PinStore,
  pairingDesk,
} from '@countersign/transport';
import type { DoorLogLevel, Surroundings } from '../door.ts';
import type { Greet, Listening } from './open.ts';
import type { LinkStanding } from './standing.ts';

/** A frame of the link holds a message, and who asks. */
const FRAME_EXTRA_BYTES = 256;

/** Rejects with `CountersignError`. */
export async function listenForSigner(
  config: Config,
  remote: RemoteConfig,
  greet: Greet,
  log: Surroundings['log'],
): Promise<Listening> {
  if (remote.transport === 'vls-grpc') {
    // Loaded only by who needs it.
    const { listenForVls } = await import('./listen-vls.ts');
    return listenForVls(config, remote, greet, log);
  }
  const { listen } = remote;
  const frameBytesMax = Math.max(LINK_LIMITS.frameBytesMax, config.messageBytesMax + FRAME_EXTRA_BYTES);
  const limits = { frameBytesMax, greetingMs: remote.greetingSeconds * 1000 };
  const options = { greet, limits, log: (event: LinkEvent) => tell(event, log) };
  if (listen.kind === 'unix') {
    const path = resolve(listen.path);
    const link = await NodeSideLink.listen({ ...options, listen: { kind: 'unix', path } });
    return { link, advice: () => [`waiting for the signer at ${path}`], standing: () => standingOf(link) };
  }
  const files = nodeLinkFiles(config.stateDirectory);
  const pins = PinStore.open(files.pins);
  const identityPath = files.identity;
  const pairing = pairingDesk({
    identityPath,
    pins,
    book: openPairingBook(files.pairings),
    log: options.log,
  });
  const { host, port } = listen;
  const link = await NodeSideLink.listen({
    ...options,
    listen: { kind: 'tcp', host, port, identityPath, pins, pairing },
  });
  const waiting = `waiting for the signer at ${host.includes(':') ? `[${host}]` : host}:${port}`;
  return { link, advice: () => [waiting, whoIsAwaited(pins)], standing: () => standingOf(link) };
}

function standingOf({ state, pending, signers }: NodeSideLink): LinkStanding {
  return { state, pending, signers };
}

function whoIsAwaited(pins: PinStore): string {
  const names = pins.list().map(({ name }) => name);
  if (pins.active !== null && names.length > 1)
    return `${pins.active} is its signer: see that "countersign signer run" runs there, or "countersign link promote NAME" another`;
  if (names.length > 0)
    return `paired with ${names.join(', ')}: see that "countersign signer run" runs there`;
  return (
    `no signer is paired with this node yet: run "countersign pair" in ${process.cwd()}, ` +
    'then "countersign signer pair TOKEN" on the signer\'s machine'
  );
}

/** What has its line already, in the words of the node's operator. */
const TOLD_ELSEWHERE: readonly LinkEventName[] = [
  'link-listening',
  'link-up',
  'link-down',
  'link-replaced',
  'link-closed',
  'link-greeting-failed',
];

function tell({ level, event, text }: LinkEvent, log: Surroundings['log']): void {
  const own: DoorLogLevel = level === 'warn' ? 'unusual' : 'info';
  log(TOLD_ELSEWHERE.includes(event) ? 'debug' : own, `countersign: link: ${text}`);
}
