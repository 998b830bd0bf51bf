/** The remote form of a door that blocks: for applications whose callbacks cannot wait for a signer on another machine. */
export type { BridgeKeyStyle, BridgeListen, RemoteIdentity } from './messages.ts';
export { openRemoteDoor, type RemoteDoor, type RemoteDoorOptions } from './remote-door.ts';
