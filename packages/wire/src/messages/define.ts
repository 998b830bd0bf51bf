/**
 * How a message of the table is declared. A definition is data: number, direction, replies, one line of documentation
 * and the fields in the order of the bytes.
 */
import type { Fields } from '../codec.ts';

/** Requests go to the signer, replies come back on the same stream, statuses go up CLN's status socket. */
export type MessageKind = 'request' | 'reply' | 'status';

export interface Definition<
  K extends MessageKind = MessageKind,
  R extends readonly string[] = readonly string[],
  F extends Fields = Fields,
> {
  readonly kind: K;
  readonly number: number;
  /** Names of the messages that answer it, the usual one first; empty where no answer comes. */
  readonly replies: R;
  readonly doc: string;
  readonly fields: F;
}

export function request<const R extends readonly string[], F extends Fields>(
  number: number,
  replies: R,
  doc: string,
  fields: F,
): Definition<'request', R, F> {
  return { kind: 'request', number, replies, doc, fields };
}

export function reply<F extends Fields>(
  number: number,
  doc: string,
  fields: F,
): Definition<'reply', readonly [], F> {
  return { kind: 'reply', number, replies: [], doc, fields };
}

export function status<F extends Fields>(
  number: number,
  doc: string,
  fields: F,
): Definition<'status', readonly [], F> {
  return { kind: 'status', number, replies: [], doc, fields };
}
