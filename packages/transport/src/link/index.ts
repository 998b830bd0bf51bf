/** The link between the two machines of a remote signer: the node side listens, the signer dials. */
export type * from './protocol.ts';
