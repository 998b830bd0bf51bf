/**
 * INIT (11): everything that has to be right before the first signature: protocol version, network, secret, policy,
 * store. Returns the reply and the running signer, or why lightningd's start has to fail, in words for its operator.
 */
import { CountersignError, type Secp256k1 } from '@countersign/bitcoin';
import {
  type DevForce,
  decideInit,
  type HsmSecret,
  HsmSecretError,
  KeyRing,
  lawsMissing,
  type Network,
  openHsmSecret,
  type Policy,
  Secret,
} from '@countersign/core';
import { bindStore, type Config, policyFor, Signer } from '@countersign/host';
import { type Journal, openJournal } from '@countersign/store';
import type { MessageOf, Reply } from '@countersign/wire';
import { createSecretFile, readSecretFile } from './secret-file.ts';

type Init = MessageOf<'hsmd_init'>;
type Preinit = MessageOf<'hsmd_dev_preinit'>;

/** hsmd protocol versions this signer speaks. */
export const PROTOCOL_VERSION_MIN = 4;
export const PROTOCOL_VERSION_MAX = 6;

/** Requests announced beyond the base protocol, by number, in CLN's order; the last two unless preinit says no. */
const CAPABILITIES = [28, 56, 142, 147, 149, 29, 32, 34, 40, 41, 45];
const PREAPPROVE_CHECKS = [51, 52];

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
  readonly log: (level: StartLogLevel, text: string) => void;
}

export interface Started {
  readonly ok: true;
  readonly reply: Reply;
  readonly signer: Signer;
  readonly journal: Journal;
  readonly ring: KeyRing;
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

/** The message, and the causes behind it, on one line. */
function explain(error: CountersignError): string {
  const facts = Object.entries(error.facts).map(([name, value]) => `${name}=${value}`);
  const cause = error.cause instanceof Error ? `: ${error.cause.message}` : '';
  return `countersign: ${error.message}${cause}${facts.length === 0 ? '' : ` [${facts.join(' ')}]`} (${error.code})`;
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
  const secret = await openSecret(input);
  const ring = ringOf(secret, init, network, secp);
  secret.seed.wipe();
  const journal = openJournal(config.stateDirectory, {
    mode: 'open-or-create',
    randomBytes: input.randomBytes,
    monotonicMs: input.monotonicMs,
  });
  try {
    await bindStore(journal, ring, policy);
  } catch (error) {
    await journal.close();
    throw error;
  }
  announce(policy, log);
  const failPreapprovals = preinit?.tlvs.failPreapprove ?? false;
  const signer = new Signer({ ring, secp, journal, policy, protocolVersion, failPreapprovals });
  return { ok: true, reply: initReply(ring, secret, preinit, protocolVersion), signer, journal, ring };
}

async function openSecret({ init, randomBytes, log }: StartInput): Promise<HsmSecret> {
  const passphrase = init.tlvs.hsmPassphrase;
  if (createSecretFile(randomBytes, passphrase)) log('unusual', 'HSM: created new hsm_secret file');
  const bytes = readSecretFile();
  try {
    return await openHsmSecret(bytes, passphrase);
  } finally {
    bytes.fill(0);
  }
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

/** What the operator must know before trusting this process with money, every time it starts. */
function announce(policy: Policy, log: StartInput['log']): void {
  const missing = lawsMissing([1, 2, 3, 4, 5]).join(', ');
  if (policy.preset === 'permissive') {
    log(
      'unusual',
      `countersign: POLICY IS PERMISSIVE on ${policy.network.name}: only law 1 (the ratchet) protects this node; everything is approved`,
    );
  } else if (missing !== '') {
    log(
      'unusual',
      `countersign: preset ${policy.preset} on ${policy.network.name}: laws ${missing} are not in this version, so requests they judge are refused`,
    );
  }
}
