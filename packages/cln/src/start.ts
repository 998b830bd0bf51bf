/**
 * INIT (11): everything that has to be right before the first signature: protocol version, network, secret, policy,
 * store. Returns the reply and the running signer, or why lightningd's start has to fail, in words for its operator.
 */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { CountersignError, type Secp256k1, toHex } from '@countersign/bitcoin';
import {
  type DevForce,
  decideInit,
  type HsmSecret,
  HsmSecretError,
  KeyRing,
  type Network,
  openHsmSecret,
  type Policy,
  Secret,
} from '@countersign/core';
import {
  bindStore,
  type Config,
  effectivePolicy,
  Memory,
  policyFor,
  policyNotices,
  Signer,
  signerFacts,
} from '@countersign/host';
import { type Journal, type OpenMode, openJournal, StoreError } from '@countersign/store';
import type { MessageOf, Reply } from '@countersign/wire';
import { createSecretFile, readSecretFile, SECRET_FILE } from './secret-file.ts';

type Init = MessageOf<'hsmd_init'>;
type Preinit = MessageOf<'hsmd_dev_preinit'>;

/** hsmd protocol versions this signer speaks. */
export const PROTOCOL_VERSION_MIN = 4;
export const PROTOCOL_VERSION_MAX = 6;

/** Requests announced beyond the base protocol, by number, in CLN's order; the last two unless preinit says no. */
const CAPABILITIES = [28, 56, 142, 147, 149, 29, 32, 34, 40, 41, 45];
const PREAPPROVE_CHECKS = [51, 52];

const RUN_BYTES = 16;

/** lightningd's EXITCODE_HSM_GENERIC_ERROR: it prints the text and exits with this. */
const GENERIC_ERROR_CODE = 20;

export type StartLogLevel = 'debug' | 'info' | 'unusual' | 'broken';

export interface StartInput {
  readonly init: Init;
  /** What a developer's preinit asked for; null without one. */
  readonly preinit: Preinit | null;
  readonly config: Config;
  readonly secp: Secp256k1;
  readonly randomBytes: (count: number) => Uint8Array;
  readonly monotonicMs: () => number;
  /** Seconds since 1970. */
  readonly nowSeconds: () => number;
  readonly log: (level: StartLogLevel, text: string) => void;
}

export interface Started {
  readonly ok: true;
  readonly reply: Reply;
  readonly signer: Signer;
  readonly journal: Journal;
  readonly ring: KeyRing;
  readonly policy: Policy;
}

/** `hsmd_init_reply_failure` with these fields, then the exit status; 242 also sends STATUS_FAIL with the text. */
export interface StartFailure {
  readonly ok: false;
  readonly errorCode: number;
  readonly errorMessage: string;
  readonly exitStatus: 0 | 242;
}

/** The version both speak, or null when there is none (fatal in CLN). */
export function negotiateVersion(init: Init): number | null {
  if (PROTOCOL_VERSION_MIN > init.hsmWireMaxVersion || PROTOCOL_VERSION_MAX < init.hsmWireMinVersion)
    return null;
  return Math.min(init.hsmWireMaxVersion, PROTOCOL_VERSION_MAX);
}

export async function start(input: StartInput, protocolVersion: number): Promise<Started | StartFailure> {
  try {
    return await startOrThrow(input, protocolVersion);
  } catch (error) {
    if (error instanceof HsmSecretError) return { ok: false, ...error.initFailure };
    if (!(error instanceof CountersignError)) throw error;
    return { ok: false, errorCode: GENERIC_ERROR_CODE, errorMessage: explain(error), exitStatus: 242 };
  }
}

/** The message, what is behind it, and the code to look it up by. */
function explain(error: CountersignError): string {
  return `countersign: ${errorText(error)} (${error.code})`;
}

/** An error's message with its cause and facts, on one line. */
export function errorText(error: Error): string {
  const cause = error.cause instanceof Error ? `: ${error.cause.message}` : '';
  const facts = error instanceof CountersignError ? Object.entries(error.facts) : [];
  const list = facts.map(([name, value]) => `${name}=${value}`).join(' ');
  return `${error.message}${cause}${list === '' ? '' : ` [${list}]`}`;
}

async function startOrThrow(input: StartInput, protocolVersion: number): Promise<Started> {
  const { init, preinit, config, secp, log } = input;
  const judged = decideInit(init, preinit !== null);
  if (!judged.ok) {
    const { tag, message, facts } = judged.refusal;
    throw new CountersignError(tag, message, facts);
  }
  const { network } = judged;
  const policy = policyFor(config, network);
  const isNewNode = await createSecretIfNone(input);
  const secret = await openSecret(init);
  const ring = ringOf(secret, init, network, secp);
  secret.seed.wipe();
  const journal = isNewNode ? open(input, 'create') : openOrBegin(input);
  try {
    await bindStore(journal, ring, policy);
  } catch (error) {
    await journal.close();
    throw error;
  }
  for (const notice of policyNotices(effectivePolicy(config, network, signerFacts(new Memory(journal))))) {
    log('unusual', `countersign: ${notice}`);
  }
  const failPreapprovals = preinit?.tlvs.failPreapprove ?? false;
  const signer = new Signer({
    ring,
    secp,
    journal,
    policy,
    protocolVersion,
    failPreapprovals,
    nowSeconds: input.nowSeconds,
  });
  // The random number makes this run's log unlike that of any copy of the store: see the store's witness.
  const run = toHex(input.randomBytes(RUN_BYTES));
  const { preset } = policy;
  signer.recordEvent({ event: 'signer-started', facts: { network: network.name, preset, run } });
  return {
    ok: true,
    reply: initReply(ring, secret, preinit, protocolVersion),
    signer,
    journal,
    ring,
    policy,
  };
}

/** As CLN: a node without a secret gets one. True when it did. */
async function createSecretIfNone(input: StartInput): Promise<boolean> {
  if (!existsSync(SECRET_FILE)) await refuseLostSecret(input);
  const isCreated = createSecretFile(input.randomBytes, input.init.tlvs.hsmPassphrase);
  if (isCreated) input.log('unusual', 'HSM: created new hsm_secret file');
  return isCreated;
}

async function openSecret(init: Init): Promise<HsmSecret> {
  const bytes = readSecretFile();
  try {
    return await openHsmSecret(bytes, init.tlvs.hsmPassphrase);
  } finally {
    bytes.fill(0);
  }
}

/** A state without its secret is a lost file or the wrong directory: a new secret would only hide that. */
async function refuseLostSecret(input: StartInput): Promise<void> {
  const directory = resolve(input.config.stateDirectory);
  try {
    await open(input, 'open').close();
  } catch (error) {
    if (error instanceof StoreError && error.code === 'store-missing') return;
    throw error;
  }
  throw new CountersignError(
    'hsm-secret-file',
    `${SECRET_FILE} is missing, but ${directory} holds the state of a node: restore ${SECRET_FILE} from its backup, or give a new node another state_directory`,
  );
}

/** No state beside a secret that was there before: right for a node that moves here, the loss of the ratchet else. */
function openOrBegin(input: StartInput): Journal {
  try {
    return open(input, 'open');
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== 'store-missing') throw error;
  }
  const directory = resolve(input.config.stateDirectory);
  input.log(
    'unusual',
    `countersign: no state in ${directory}, beginning a new one: channels opened before now are unknown and will be refused`,
  );
  return open(input, 'create');
}

function open({ config, randomBytes, monotonicMs }: StartInput, mode: OpenMode): Journal {
  const { stateDirectory, witnessFile } = config;
  return openJournal(stateDirectory, { mode, randomBytes, monotonicMs, witnessFile });
}

function ringOf(secret: HsmSecret, init: Init, network: Network, secp: Secp256k1): KeyRing {
  return new KeyRing({
    secp256k1: secp,
    seed: secret.seed,
    bip32PublicVersion: network.bip32Public,
    force: forced(init),
  });
}

/** The developer overrides of INIT; `decideInit` has refused them outside regtest. */
function forced(init: Init): DevForce {
  const channel = init.devForceChannelSecrets;
  const shaseed = init.devForceChannelSecretsShaseed;
  const secret = (bytes: Uint8Array) => Secret.copy(bytes, 32);
  return {
    ...(init.devForcePrivkey && { nodePrivateKey: secret(init.devForcePrivkey) }),
    ...(init.devForceBip32Seed && { bip32Seed: secret(init.devForceBip32Seed) }),
    channelSecrets: {
      ...(channel && {
        funding: secret(channel.fundingPrivkey),
        revocation: secret(channel.revocationBasepointSecret),
        payment: secret(channel.paymentBasepointSecret),
        delayedPayment: secret(channel.delayedPaymentBasepointSecret),
        htlc: secret(channel.htlcBasepointSecret),
      }),
      ...(shaseed && { shaseed: secret(shaseed) }),
    },
  };
}

function initReply(
  ring: KeyRing,
  secret: HsmSecret,
  preinit: Preinit | null,
  protocolVersion: number,
): Reply {
  const { nodeId, bip32, bolt12, bip86Base } = ring.identity;
  const checks = preinit?.tlvs.noPreapproveCheck === true ? [] : PREAPPROVE_CHECKS;
  return {
    name: 'hsmd_init_reply_v4',
    hsmVersion: protocolVersion,
    hsmCapabilities: [...CAPABILITIES, ...checks],
    nodeId,
    bip32,
    bolt12,
    tlvs: { hsmSecretType: secret.hsmSecretType, ...(bip86Base && { bip86Base }) },
  };
}
