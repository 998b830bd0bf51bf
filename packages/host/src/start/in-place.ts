/**
 * INIT (11) of lightningd to a signer in its own process: everything that has to be right before the first signature:
 * network, secret, policy, store. Returns the reply and the running signer, or why lightningd's start has to fail, in words for
 * its operator.
 */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { CountersignError, type Secp256k1 } from '@countersign/bitcoin';
import {
  type DevForce,
  decideInit,
  type HsmSecret,
  HsmSecretError,
  KeyRing,
  type Network,
  openHsmSecret,
  Secret,
} from '@countersign/core';
import { StoreError } from '@countersign/store';
import type { MessageOf, Reply } from '@countersign/wire';
import { policyFor } from '../config/policy.ts';
import { errorText } from './error-text.ts';
import {
  type OpenedSigner,
  openOrBeginStore,
  openSigner,
  openStore,
  type SignerPlace,
} from './open-signer.ts';
import { initReply } from './protocol.ts';
import { createSecretFile, readSecretFile, SECRET_FILE } from './secret-file.ts';

type Init = MessageOf<'hsmd_init'>;
type Preinit = MessageOf<'hsmd_dev_preinit'>;

/** lightningd's EXITCODE_HSM_GENERIC_ERROR: it prints the text and exits with this. */
const GENERIC_ERROR_CODE = 20;

export interface StartInput extends SignerPlace {
  readonly init: Init;
  /** What a developer's preinit asked for; null without one. */
  readonly preinit: Preinit | null;
  /** `hsm_secret` in lightningd's directory, which is its children's working directory, unless given. */
  readonly secretFile?: string;
}

export interface Started extends OpenedSigner {
  readonly ok: true;
  readonly reply: Reply;
}

/** `hsmd_init_reply_failure` with these fields, then the exit status; 242 also sends STATUS_FAIL with the text. */
export interface StartFailure {
  readonly ok: false;
  readonly errorCode: number;
  readonly errorMessage: string;
  readonly exitStatus: 0 | 242;
}

export async function startInPlace(
  input: StartInput,
  protocolVersion: number,
): Promise<Started | StartFailure> {
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

async function startOrThrow(input: StartInput, protocolVersion: number): Promise<Started> {
  const { init, preinit, config, secp } = input;
  const judged = decideInit(init, preinit !== null);
  if (!judged.ok) {
    const { tag, message, facts } = judged.refusal;
    throw new CountersignError(tag, message, facts);
  }
  const { network } = judged;
  const policy = policyFor(config, network);
  const isNewNode = await createSecretIfNone(input);
  const secret = await openSecret(input);
  const ring = ringOf(secret, init, network, secp);
  secret.seed.wipe();
  const { hsmSecretType } = secret;
  const failPreapprovals = preinit?.tlvs.failPreapprove ?? false;
  const journal = isNewNode ? openStore(input, 'create') : openOrBeginStore(input);
  const opened = await openSigner(input, { ring, journal, policy, protocolVersion, failPreapprovals });
  return { ok: true, reply: initReply({ ring, hsmSecretType, preinit, protocolVersion }), ...opened };
}

/** As CLN: a node without a secret gets one. True when it did. */
async function createSecretIfNone(input: StartInput): Promise<boolean> {
  const { init, randomBytes, log, secretFile = SECRET_FILE } = input;
  if (!existsSync(secretFile)) await refuseLostSecret(input, secretFile);
  const isCreated = createSecretFile(randomBytes, init.tlvs.hsmPassphrase, secretFile);
  if (isCreated) log('unusual', 'HSM: created new hsm_secret file');
  return isCreated;
}

async function openSecret({ init, secretFile }: StartInput): Promise<HsmSecret> {
  const bytes = readSecretFile(secretFile);
  try {
    return await openHsmSecret(bytes, init.tlvs.hsmPassphrase);
  } finally {
    bytes.fill(0);
  }
}

/** A state without its secret is a lost file or the wrong directory: a new secret would only hide that. */
async function refuseLostSecret(input: StartInput, secretFile: string): Promise<void> {
  try {
    await openStore(input, 'open').close();
  } catch (error) {
    if (error instanceof StoreError && error.code === 'store-missing') return;
    throw error;
  }
  throw new CountersignError(
    'hsm-secret-file',
    `${secretFile} is missing, but ${resolve(input.config.stateDirectory)} holds the state of a node: restore ${secretFile} from its backup, or give a new node another state_directory`,
  );
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
