/** What a signer and its workers say to each other. */
import type { KeyStyle, SignatureJob } from '@countersign/core';

/** CLN's `hsm_secret`, with the passphrase of its own if it has one. Whoever opens it wipes it. */
export interface WorkerKeys {
  readonly hsmSecret: Uint8Array;
  readonly passphrase: Uint8Array | null;
  readonly bip32PublicVersion: number;
  /** Default `cln`. */
  readonly style?: KeyStyle;
}

export type ToWorker =
  | ({ readonly kind: 'keys' } & WorkerKeys)
  | { readonly kind: 'jobs'; readonly id: number; readonly jobs: readonly SignatureJob[] }
  | { readonly kind: 'end' };

export type FromWorker =
  | { readonly kind: 'ready'; readonly nodeId: Uint8Array }
  | { readonly kind: 'signed'; readonly id: number; readonly signatures: readonly Uint8Array[] };
