/**
 * From an open key ring to a running signer: its store, found or begun; the store bound to that seed and network; what of
 * the policy deserves a line in the log. The same for a signer in lightningd's own process and for one on a machine of its own.
 */
import { resolve } from 'node:path';
import { type Secp256k1, toHex } from '@countersign/bitcoin';
import type { KeyRing, Policy } from '@countersign/core';
import { type Journal, type OpenMode, openJournal, StoreError } from '@countersign/store';
import { bindStore } from '../bind-store.ts';
import type { Config } from '../config/config.ts';
import { Memory } from '../memory.ts';
import { effectivePolicy } from '../policy/effective.ts';
import { signerFacts } from '../policy/facts.ts';
import { policyNotices } from '../policy/notices.ts';
import type { SignaturePool } from '../release/signature-pool.ts';
import { Signer } from '../signer.ts';

const RUN_BYTES = 16;

/** As lightningd names the levels. */
export type StartLogLevel = 'debug' | 'info' | 'unusual' | 'broken';
export type StartLog = (level: StartLogLevel, text: string) => void;

/** The machine around a signer, and where its state is. */
export interface SignerPlace {
  readonly config: Config;
  readonly secp: Secp256k1;
  readonly randomBytes: (count: number) => Uint8Array;
  readonly monotonicMs: () => number;
  /** Seconds since 1970. */
  readonly nowSeconds: () => number;
  readonly log: StartLog;
}

export interface OpenedSigner {
  readonly signer: Signer;
  readonly journal: Journal;
  readonly ring: KeyRing;
  readonly policy: Policy;
}

export interface SignerParts {
  readonly ring: KeyRing;
  /** Closed again if the signer does not come about. */
  readonly journal: Journal;
  readonly policy: Policy;
  /** Negotiated hsmd protocol version. */
  readonly protocolVersion: number;
  /** `fail_preapprove` of a developer's preinit; regtest only. */
  readonly failPreapprovals: boolean;
  /** Threads for releases with many signatures, if any. */
  readonly pool?: SignaturePool;
}

/** Rejects with `CountersignError` when the store belongs to another node or network. */
export async function openSigner(place: SignerPlace, parts: SignerParts): Promise<OpenedSigner> {
  const { config, secp, nowSeconds, log } = place;
  const { ring, journal, policy } = parts;
  try {
    await bindStore(journal, ring, policy);
  } catch (error) {
    await journal.close();
    throw error;
  }
  const { network, preset } = policy;
  for (const notice of policyNotices(effectivePolicy(config, network, signerFacts(new Memory(journal))))) {
    log('unusual', `countersign: ${notice}`);
  }
  const whenIdle = (work: () => void): void => void setImmediate(work);
  const signer = new Signer({ ...parts, secp, nowSeconds, whenIdle });
  // The random number makes this run's log unlike that of any copy of the store: see the store's witness.
  const run = toHex(place.randomBytes(RUN_BYTES));
  signer.recordEvent({ event: 'signer-started', facts: { network: network.name, preset, run } });
  return { signer, journal, ring, policy };
}

/** Throws `StoreError`. */
export function openStore({ config, randomBytes, monotonicMs }: SignerPlace, mode: OpenMode): Journal {
  const { stateDirectory, witnessFile } = config;
  return openJournal(stateDirectory, { mode, randomBytes, monotonicMs, witnessFile });
}

/** No state beside a secret that was there before: right for a node that moves here, the loss of the ratchet else. */
export function openOrBeginStore(place: SignerPlace): Journal {
  try {
    return openStore(place, 'open');
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== 'store-missing') throw error;
  }
  place.log(
    'unusual',
    `countersign: no state in ${resolve(place.config.stateDirectory)}, beginning a new one: channels opened before now are unknown and will be refused`,
  );
  return openStore(place, 'create');
}
