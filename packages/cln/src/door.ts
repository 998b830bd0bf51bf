/**
 * The door between the session with lightningd and whoever decides: a signer in this process, or one elsewhere. The session
 * knows sockets and the forms of refusals; what lies behind the door knows everything else.
 */
import type { ClientIdentity, Refusal } from '@countersign/core';
import type { MessageOf, Reply } from '@countersign/wire';

/** A reply of the signer here, or the bytes of one that was made elsewhere. */
export type DoorReply =
  | { readonly kind: 'reply'; readonly reply: Reply }
  | { readonly kind: 'body'; readonly body: Uint8Array };

export type DoorAnswer =
  | DoorReply
  | {
      readonly kind: 'refused';
      readonly refusal: Refusal;
      /** Number of its entry in the signer's audit log; null when it has none. */
      readonly id: number | null;
    };

export interface Door {
  /** Any bytes may be asked; those that are no request are refused. Rejects only for a bug of ours: the process must end then. */
  ask(client: ClientIdentity, body: Uint8Array): Promise<DoorAnswer>;
  /** What the session refused by itself. The entry's number, as in `DoorAnswer`. */
  recordRefusal(refusal: Refusal): number | null;
  /** What was decided becomes durable. */
  close(): Promise<void>;
}

/** What lightningd starts with: messages, and the bytes they came in. */
export interface Init {
  readonly message: MessageOf<'hsmd_init'>;
  readonly body: Uint8Array;
  /** Null without a developer's preinit. */
  readonly preinit: { readonly message: MessageOf<'hsmd_dev_preinit'>; readonly body: Uint8Array } | null;
}

export type Opening =
  | { readonly ok: true; readonly door: Door; readonly reply: DoorReply }
  /** `hsmd_init_reply_failure` with these fields, then the exit status; 242 also sends STATUS_FAIL with the text. */
  | {
      readonly ok: false;
      readonly how: 'failed';
      readonly errorCode: number;
      readonly errorMessage: string;
      readonly exitStatus: 0 | 242;
    }
  /** Nothing that could be answered. */
  | { readonly ok: false; readonly how: 'bad-init'; readonly why: string };

export type DoorLogLevel = 'debug' | 'info' | 'unusual' | 'broken';

/** What a door may use of the session. */
export interface Surroundings {
  readonly log: (level: DoorLogLevel, text: string) => void;
  /** A bug of ours: the process must end. */
  readonly onBug: (error: unknown) => void;
}

/** Called once, at INIT. */
export type OpenDoor = (init: Init, surroundings: Surroundings) => Promise<Opening>;
