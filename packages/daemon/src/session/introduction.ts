/**
 * INIT over a link: the node introduces itself to a signer whose keys are open already. It is told who the signer is, or why it
 * may not use it; the answer is what lightningd expects of its own hsmd either way.
 */
import { equalBytes } from '@countersign/bitcoin';
import {
  decideInit,
  type HsmSecret,
  type KeyRing,
  malformedRefusal,
  type Network,
  type Refusal,
  refusalText,
} from '@countersign/core';
import {
  initReply,
  type Negotiated,
  negotiateVersion,
  PROTOCOL_VERSION_MAX,
  PROTOCOL_VERSION_MIN,
} from '@countersign/host';
import type { MessageOf, Reply } from '@countersign/wire';

type Init = MessageOf<'hsmd_init'>;
type Preinit = MessageOf<'hsmd_dev_preinit'>;

export interface Initializer {
  readonly ring: KeyRing;
  readonly hsmSecretType: HsmSecret['hsmSecretType'];
  readonly network: Network;
}

export type Introduction = { readonly reply: Reply } & (
  | { readonly ok: true; readonly negotiated: Negotiated }
  | { readonly ok: false; readonly refusal: Refusal }
);

/** lightningd's EXITCODE_HSM_GENERIC_ERROR: it prints the text and ends. */
const GENERIC_ERROR_CODE = 20;

/** `preinit` is null without one. */
export function introduce(own: Initializer, init: Init, preinit: Preinit | null): Introduction {
  const refusal = refusalTo(own, init, preinit);
  if (refusal !== null) return failed(refusal);
  const protocolVersion = negotiateVersion(init);
  if (protocolVersion === null) {
    const { hsmWireMinVersion, hsmWireMaxVersion } = init;
    const message = `this signer speaks versions ${PROTOCOL_VERSION_MIN} to ${PROTOCOL_VERSION_MAX} of the hsmd protocol`;
    const facts = { version_min: hsmWireMinVersion, version_max: hsmWireMaxVersion };
    return failed(malformedRefusal(init.name, null, message, facts));
  }
  const { ring, hsmSecretType } = own;
  const failPreapprovals = preinit?.tlvs.failPreapprove ?? false;
  return {
    ok: true,
    reply: initReply({ ring, hsmSecretType, preinit, protocolVersion }),
    negotiated: { protocolVersion, failPreapprovals },
  };
}

function failed(refusal: Refusal): Introduction {
  const errorMessage = `countersign: ${refusalText(refusal)}`;
  const reply: Reply = { name: 'hsmd_init_reply_failure', errorCode: GENERIC_ERROR_CODE, errorMessage };
  return { ok: false, refusal, reply };
}

function refusalTo({ network }: Initializer, init: Init, preinit: Preinit | null): Refusal | null {
  const judged = decideInit(init, preinit !== null);
  if (!judged.ok) return judged.refusal;
  if (!equalBytes(judged.network.chainHash, network.chainHash)) {
    return bound(`the signer's keys belong to ${network.name}, the node is on ${judged.network.name}`);
  }
  const isForced =
    init.devForcePrivkey ??
    init.devForceBip32Seed ??
    init.devForceChannelSecrets ??
    init.devForceChannelSecretsShaseed;
  return isForced === undefined ? null : bound('the keys of a signer elsewhere are not the node’s to choose');
}

function bound(message: string): Refusal {
  return {
    code: 'policy',
    tag: 'policy-init-binding',
    law: 'setup',
    severity: 'error',
    temporary: false,
    message,
    facts: {},
    request: 'hsmd_init',
    channel: null,
  };
}
