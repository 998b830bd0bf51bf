/** The link between the two machines of a remote signer: the node side listens, the signer dials. */
export { type LinkClock, type RandomBytes, systemClock, systemRandom } from './clock.ts';
export * from './error.ts';
export { type LinkIdentity, openIdentity, readIdentity, stagedIdentity, stageIdentity } from './identity.ts';
export { LINK_LIMITS, type LinkLimits } from './limits.ts';
export type { LinkEvent, LinkEventName, LinkLog } from './log.ts';
export type { NodeAddress } from './node-door.ts';
export { UNIX_SIGNER } from './node-door.ts';
export { type NodeLinkFiles, nodeLinkFiles } from './node-files.ts';
export { type ConnectedSigner, type GreetingAsk, NodeSideLink, type NodeSideOptions } from './node-side.ts';
export {
  type BeginPairingOptions,
  beginPairing,
  openPairingBook,
  openPairingDoor,
  type Paired,
  type PairingDoorOptions,
  type PairOptions,
  pair,
  pairingDesk,
} from './pairing.ts';
export { PAIRING_SECONDS_DEFAULT, PAIRING_SECONDS_MAX, PairingBook } from './pairing-book.ts';
export { PairingDesk } from './pairing-desk.ts';
export { decodePairingToken, type PairingAddress, type PairingToken } from './pairing-token.ts';
export { type Pin, PinStore } from './pins.ts';
export { BLINK_MS, Presence, type PresenceLogLevel, type PresenceOptions } from './presence.ts';
export type * from './protocol.ts';
export {
  type SignerDial,
  type SignerLinkState,
  SignerSideLink,
  type SignerSideOptions,
} from './signer-side.ts';
