/** The hsmd protocol: its codecs, its table of messages, and bytes to messages and back. */
export * from './codec.ts';
export * from './decode.ts';
export { renderMessagesDocument, shapeText } from './document.ts';
export { encodeValue } from './encode.ts';
export * from './hsm-types.ts';
export type { Definition, MessageKind } from './messages/define.ts';
export { BLOCK_CHUNK_BYTES_MAX, HEADERS_MAX, PREIMAGES_MAX } from './messages/extension.ts';
export * from './messages.ts';
export * from './record.ts';
export * from './signer-error.ts';
export * from './text.ts';
export * from './tlv.ts';
