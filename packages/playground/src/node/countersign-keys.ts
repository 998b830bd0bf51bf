/**
 * A node whose keys are in a Countersign signer of this process: the adapter over its door, and the chain fed to it from the
 * embedded chain. The signer's clock is the world's, and its state lives in a directory, so it can be closed and opened again.
 */
import { loadSecp256k1, sha256 } from '@countersign/bitcoin';
import { networkByName, Secret } from '@countersign/core';
import { type EmbeddedSigner, openEmbeddedSigner, parseConfig } from '@countersign/host';
import { type BlockSource, type LdkRefusal, LdkSigner } from '@countersign/ldk';
import type { SyncDoor } from '@countersign/transport';
import { DoorRecorder } from '../attack/recorder.ts';
import type { ConnectedBlock, EmbeddedChain } from '../chain/embedded-chain.ts';
import type { NodeKeys } from './keys.ts';

export interface CountersignOptions {
  readonly seed: Uint8Array;
  /** Chance of the node and its signer: another one in each life. */
  readonly chance?: Uint8Array;
  readonly stateDirectory: string;
  readonly chain: EmbeddedChain;
  /** `ldk`: the seed was an LDK node's. */
  readonly keyStyle?: 'cln' | 'ldk';
  /** countersign.toml, besides `[chain]` and the state directory. */
  readonly configuration?: string;
  /** What lies between the node and its signer: a bridge, a recorder, an attacker. */
  readonly wrapDoor?: (door: SyncDoor) => SyncDoor;
  /** Lowest wallet index not handed out. */
  readonly walletIndex?: number;
}

/** Keys behind a door. */
export interface DoorKeys extends NodeKeys {
  readonly ldk: LdkSigner;
  /** Every refusal so far, oldest first. */
  readonly refusals: LdkRefusal[];
}

export interface CountersignKeys extends DoorKeys {
  readonly embedded: EmbeddedSigner;
  /** What the node has asked: a compromised node knows it. */
  readonly recorder: DoorRecorder;
  readonly log: string[];
}

/** A hub's rules, every one at error; the operator lets payments out up to a sum by the day. */
export const HUB_CONFIGURATION = `
[policy]
preset = "hub"

[approvals]
auto = "velocity"
auto_payment_velocity = { amount_sat = 10_000_000, per = "day" }
`;

const CHAIN_CONFIGURATION = `
[chain]
source = "node"
birthday_height = 1
`;

export async function openCountersignKeys(options: CountersignOptions): Promise<CountersignKeys> {
  const { chain, stateDirectory, wrapDoor = (door) => door } = options;
  const log: string[] = [];
  const network = networkByName('regtest');
  if (network === undefined) throw new Error('no such network');
  const secp = loadSecp256k1();
  const text = `${options.configuration ?? HUB_CONFIGURATION}\n${CHAIN_CONFIGURATION}`;
  const chance = deterministic(options.chance ?? options.seed);
  const embedded = await openEmbeddedSigner({
    secp,
    seed: Secret.copy(options.seed, 32),
    keyStyle: options.keyStyle ?? 'cln',
    network,
    config: { ...parseConfig(text, 'countersign.toml'), stateDirectory },
    log: (level, line) => log.push(`${level} ${line}`),
    onBug: (error) => log.push(`bug ${String(error)}`),
    machine: {
      randomBytes: chance,
      monotonicMs: () => performance.now(),
      nowSeconds: () => chain.nowSeconds,
    },
  });
  const recorder = new DoorRecorder(embedded.door);
  const { walletIndex } = options;
  const keys = await openKeysOver(wrapDoor(recorder), {
    chain,
    randomBytes: chance,
    ...(walletIndex === undefined ? {} : { walletIndex }),
  });
  return { ...keys, embedded, recorder, log };
}

export interface DoorKeysOptions {
  readonly chain: EmbeddedChain;
  readonly randomBytes: (count: number) => Uint8Array;
  readonly walletIndex?: number;
}

/** A signer wherever it is: what is behind the door is not this side's business. */
export async function openKeysOver(door: SyncDoor, options: DoorKeysOptions): Promise<DoorKeys> {
  const { chain, ...rest } = options;
  const ldk = LdkSigner.open({ door, secp: loadSecp256k1(), ...rest });
  const refusals: LdkRefusal[] = [];
  ldk.onRefusal((refusal) => refusals.push(refusal));
  await follow(ldk, chain);
  return { ...nodeKeys(ldk, chain), ldk, refusals };
}

function nodeKeys(ldk: LdkSigner, chain: EmbeddedChain): NodeKeys {
  return {
    entropySource: ldk.entropySource,
    nodeSigner: ldk.nodeSigner,
    signerProvider: ldk.signerProvider,
    outputSpender: ldk.outputSpender,
    wallet: ldk.wallet,
    staticOutputsAreWallet: true,
    blockConnected: (block) => connect(ldk, chain, block),
    preapproveInvoice: (invoice) => ldk.preapproveInvoice(invoice),
    preapproveBolt12Invoice: (invoice) => ldk.preapproveBolt12Invoice(invoice),
    preapproveKeysend: (destination, hash, amountMsat) =>
      ldk.preapproveKeysend(destination, hash, amountMsat),
    announceChannel: (userChannelId, pushMsat) => ldk.announceChannel(userChannelId, pushMsat),
    handleBump: (event, handler) => ldk.handleBump(event, handler),
    retry: (manager, monitor) => ldk.retry(manager, monitor),
    close: () => ldk.close(),
  };
}

async function connect(
  ldk: LdkSigner,
  chain: EmbeddedChain,
  { raw, heightBlocks }: ConnectedBlock,
): Promise<void> {
  await feed(ldk, chain);
  if (heightBlocks > ldk.wallet.heightBlocks) ldk.wallet.blockConnected(raw, heightBlocks);
}

/** All of the chain there is: the signer takes what it lacks, the wallet sees every block. */
async function follow(ldk: LdkSigner, chain: EmbeddedChain): Promise<void> {
  await feed(ldk, chain);
  for (const { raw, heightBlocks } of chain.blocksAfter(0)) ldk.wallet.blockConnected(raw, heightBlocks);
}

async function feed(ldk: LdkSigner, chain: EmbeddedChain): Promise<void> {
  const source: BlockSource = {
    heightBlocks: chain.heightBlocks,
    header: (height) => chain.header(height),
    block: (height) => chain.block(height),
  };
  const outcome = await ldk.feedChain(source);
  if (outcome.kind === 'refused')
    throw new Error(`the signer will not have the chain: ${outcome.refusal.text}`);
}

/** Chance for a world that goes the same way each time. */
function deterministic(seed: Uint8Array): (count: number) => Uint8Array {
  let state = sha256(new TextEncoder().encode('chance'), seed);
  return (count) => {
    const out = new Uint8Array(count);
    for (let at = 0; at < count; at += 32) {
      state = sha256(state);
      out.set(sha256(state, Uint8Array.of(1)).subarray(0, Math.min(32, count - at)), at);
    }
    return out;
  };
}
