/**
 * INIT (11) and its reply (114) on the hsmd wire: the versions this signer speaks, and what it says of itself once it is
 * open. Whether the node's INIT may be answered at all is decided in core.
 */
import type { HsmSecret, KeyRing } from '@countersign/core';
import type { MessageOf, Reply } from '@countersign/wire';

type Init = MessageOf<'hsmd_init'>;
type Preinit = MessageOf<'hsmd_dev_preinit'>;

/** hsmd protocol versions this signer speaks. */
export const PROTOCOL_VERSION_MIN = 4;
/** hsmd protocol versions this signer speaks, at most. */
export const PROTOCOL_VERSION_MAX = 6;

/** Requests announced beyond the base protocol, by number, in CLN's order; the last two unless preinit says no. */
const CAPABILITIES = [28, 56, 142, 147, 149, 29, 32, 34, 40, 41, 45];
const PREAPPROVE_CHECKS = [51, 52];

/** The version both speak, or null when there is none (fatal in CLN). */
export function negotiateVersion(init: Init): number | null {
  if (PROTOCOL_VERSION_MIN > init.hsmWireMaxVersion || PROTOCOL_VERSION_MAX < init.hsmWireMinVersion)
    return null;
  return Math.min(init.hsmWireMaxVersion, PROTOCOL_VERSION_MAX);
}

export interface InitReplyFacts {
  readonly ring: KeyRing;
  readonly hsmSecretType: HsmSecret['hsmSecretType'];
  /** What a developer's preinit asked for; null without one. */
  readonly preinit: Preinit | null;
  readonly protocolVersion: number;
}

export function initReply({ ring, hsmSecretType, preinit, protocolVersion }: InitReplyFacts): Reply {
  const { nodeId, bip32, bolt12, bip86Base } = ring.identity;
  const checks = preinit?.tlvs.noPreapproveCheck === true ? [] : PREAPPROVE_CHECKS;
  return {
    name: 'hsmd_init_reply_v4',
    hsmVersion: protocolVersion,
    hsmCapabilities: [...CAPABILITIES, ...checks],
    nodeId,
    bip32,
    bolt12,
    tlvs: { hsmSecretType, ...(bip86Base && { bip86Base }) },
  };
}
