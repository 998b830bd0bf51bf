/**
 * A signer in the process of the node that uses it: from a seed and a configuration to an open door. Everything else is as
 * with a signer on a machine of its own: the same store, rules, operator's socket, heartbeat and chain.
 */
import type { Secp256k1 } from '@countersign/bitcoin';
import { KeyRing, type KeyStyle, type Network, type Policy, type Secret } from '@countersign/core';
import type { Journal } from '@countersign/store';
import type { SyncDoor } from '@countersign/transport';
import type { Config } from '../config/config.ts';
import { policyFor } from '../config/policy.ts';
import type { Signer } from '../signer.ts';
import { type Beside, openBeside } from '../start/beside.ts';
import { openOrBeginStore, openSigner, type StartLog } from '../start/open-signer.ts';
import { PROTOCOL_VERSION_MAX } from '../start/protocol.ts';
import { EmbeddedDoor } from './door.ts';
import { fractionsOf, type Machine, SYSTEM_MACHINE } from './machine.ts';

export interface EmbeddedOptions {
  readonly secp: Secp256k1;
  /** 32 bytes, or the 64 of a mnemonic. Read while opening only: the caller wipes it. */
  readonly seed: Secret;
  /** `cln` where nothing is said; `ldk` for the seed of an LDK node that moves in. */
  readonly keyStyle?: KeyStyle;
  /** `networkByName` knows them. */
  readonly network: Network;
  /** As `parseConfig` reads it from countersign.toml; `state_directory` is where the state lives. */
  readonly config: Config;
  readonly log: StartLog;
  /** A bug of ours: the process must end. */
  readonly onBug: (error: unknown) => void;
  readonly machine?: Machine;
}

export interface EmbeddedSigner {
  readonly door: SyncDoor;
  readonly signer: Signer;
  readonly journal: Journal;
  readonly policy: Policy;
  /** 33 bytes. */
  readonly nodeId: Uint8Array;
  /** Finishes what is under way and lets go of the store; also what the door's `close` does. */
  close(): Promise<void>;
}

/** Rejects with `CountersignError`: nothing stays open then. */
export async function openEmbeddedSigner(options: EmbeddedOptions): Promise<EmbeddedSigner> {
  const { secp, seed, keyStyle, network, config, log, onBug, machine = SYSTEM_MACHINE } = options;
  const policy = policyFor(config, network);
  const style = keyStyle ?? 'cln';
  const ring = new KeyRing({ secp256k1: secp, seed, style, bip32PublicVersion: network.bip32Public });
  const place = { ...machine, config, secp, log };
  const journal = openOrBeginStore(place);
  const parts = { ring, journal, policy, protocolVersion: PROTOCOL_VERSION_MAX, failPreapprovals: false };
  const opened = await openSigner(place, parts);
  const { signer } = opened;
  const beside = await openBeside({
    ...place,
    opened,
    nodeSide: 'link',
    random: fractionsOf(machine),
    onProblem: (text) => log('broken', text),
    onBug,
  });
  const close = closing(signer, journal, beside);
  const door = new EmbeddedDoor({
    signer,
    identity: { ring, network },
    feed: beside.feed.open(),
    messageBytesMax: config.messageBytesMax,
    randomBytes: machine.randomBytes,
    onClose: close,
  });
  return { door, signer, journal, policy, nodeId: ring.nodeId, close: () => door.close() };
}

function closing(signer: Signer, journal: Journal, beside: Beside): () => Promise<void> {
  return async () => {
    await beside.close();
    signer.end();
    await journal.close();
  };
}
