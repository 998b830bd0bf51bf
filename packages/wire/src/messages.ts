/**
 * The table of all messages, and the types that follow from it: `Message` is a union discriminated by `name`, and a
 * request's name gives the type of its reply.
 */
import type { StructValue } from './codec.ts';
import { chainMessages } from './messages/chain.ts';
import { channelMessages } from './messages/channel.ts';
import { commitmentMessages } from './messages/commitment.ts';
import type { Definition, MessageKind } from './messages/define.ts';
import { extensionMessages } from './messages/extension.ts';
import { gossipMessages } from './messages/gossip.ts';
import { identityMessages } from './messages/identity.ts';
import { initMessages } from './messages/init.ts';
import { onchainMessages } from './messages/onchain.ts';
import { paymentMessages } from './messages/payments.ts';
import { statusMessages } from './messages/status.ts';

/** The subjects of the table, in the order of the documents. */
export const MESSAGE_SUBJECTS = [
  { title: 'Start and clients', messages: initMessages },
  { title: 'Identity', messages: identityMessages },
  { title: 'Gossip', messages: gossipMessages },
  { title: 'Payments', messages: paymentMessages },
  { title: 'Channels', messages: channelMessages },
  { title: 'Commitments', messages: commitmentMessages },
  { title: 'On chain', messages: onchainMessages },
  { title: 'Chain view', messages: chainMessages },
  { title: 'Status', messages: statusMessages },
  { title: 'Countersign’s own', messages: extensionMessages },
] as const;

export const MESSAGES = {
  ...initMessages,
  ...identityMessages,
  ...gossipMessages,
  ...paymentMessages,
  ...channelMessages,
  ...commitmentMessages,
  ...onchainMessages,
  ...chainMessages,
  ...statusMessages,
  ...extensionMessages,
} as const;

/** Numbers kept for this project's own messages. Requests take the lower half, a request's reply its number plus 50. */
export const EXTENSION_NUMBERS = { first: 4000, last: 4099 } as const;

type Table = typeof MESSAGES;
export type MessageName = keyof Table;
type NameOfKind<K extends MessageKind> = {
  [N in MessageName]: Table[N] extends Definition<K> ? N : never;
}[MessageName];
export type RequestName = NameOfKind<'request'>;
export type ReplyName = NameOfKind<'reply'>;
export type StatusName = NameOfKind<'status'>;

type Shaped<N extends MessageName> = { readonly name: N } & StructValue<Table[N]['fields']>;
type Flat<T> = { readonly [K in keyof T]: T[K] };
/** The message called `N`; for a union of names, the union of their messages. */
export type MessageOf<N extends MessageName> = { [M in N]: Flat<Shaped<M>> }[N];

/** A type number the table doesn't know, and everything after it. */
export interface UnknownMessage {
  readonly name: 'unknown';
  readonly type: number;
  readonly body: Uint8Array;
}

export type Request = MessageOf<RequestName>;
export type Reply = MessageOf<ReplyName>;
export type Status = MessageOf<StatusName>;
export type Message = Request | Reply | Status | UnknownMessage;
export type MessageOfKind<K extends MessageKind> = MessageOf<NameOfKind<K>>;

/** The names that answer a request; `never` where no answer comes. */
export type ReplyNameTo<N extends RequestName> = Extract<Table[N]['replies'][number], ReplyName>;
/** What answers a request, refusals (`vls_signer_error`) apart. */
export type ReplyTo<N extends RequestName> = MessageOf<ReplyNameTo<N>>;

/** The definition of a message by name, without its exact type. */
export function definitionOf(name: MessageName): Definition {
  return MESSAGES[name];
}

export const messageNames: readonly MessageName[] = Object.keys(MESSAGES) as MessageName[];

export function isRequestName(name: MessageName): name is RequestName {
  return MESSAGES[name].kind === 'request';
}
