/**
 * How a node without lightningd's INIT introduces itself (VLS's messages for LDK), and what else it asks of the signer's place
 * instead of its rules: who it is, whether it lives, random bytes.
 */
import { type KeyRing, malformedRefusal, type Network, type Refusal } from '@countersign/core';
import type { Reply, Request } from '@countersign/wire';

/** VLS `KeyDerivationStyle`. */
const STYLE_NUMBERS: Readonly<Record<number, string>> = { 1: 'cln', 2: 'ldk', 3: 'lnd' };

export interface SignerIdentity {
  readonly ring: KeyRing;
  readonly network: Network;
}

export type IntroductionAnswer =
  | { readonly kind: 'reply'; readonly reply: Reply }
  | { readonly kind: 'refused'; readonly refusal: Refusal };

/** Null for every request that is for the signer to decide. */
export function answerForPlace(
  identity: SignerIdentity,
  randomBytes: (count: number) => Uint8Array,
  request: Request,
): IntroductionAnswer | null {
  // VLS's account key: what the node derives its addresses from.
  const { nodeId, wallet: bip32, bolt12 } = identity.ring.identity;
  switch (request.name) {
    case 'vls_hsmd_init2': {
      const refusal = mismatch(identity, request);
      if (refusal !== null) return { kind: 'refused', refusal };
      return replied({ name: 'vls_hsmd_init2_reply', nodeId, bip32, bolt12 });
    }
    case 'vls_node_info':
      return replied({
        name: 'vls_node_info_reply',
        networkName: identity.network.name,
        nodeId,
        bip32,
      });
    case 'vls_ping':
      return replied({ name: 'vls_pong', id: request.id, message: request.message });
    case 'vls_get_secure_random_bytes':
      return replied({ name: 'vls_get_secure_random_bytes_reply', randomBytes: randomBytes(32) });
    default:
      return null;
  }
}

const replied = (reply: Reply): IntroductionAnswer => ({ kind: 'reply', reply });

type Init2 = Extract<Request, { name: 'vls_hsmd_init2' }>;

/** `policy-init-binding`: one network for one seed, and neither seed nor destinations are the node's to choose. */
function mismatch({ network, ring }: SignerIdentity, init: Init2): Refusal | null {
  const { networkName, derivationStyle, devSeed, devAllowlist } = init;
  if (networkName !== network.name)
    return bound("the signer's keys belong to another network than the node's", {
      network: network.name,
      network_asked: networkName,
    });
  if (STYLE_NUMBERS[derivationStyle] !== ring.style)
    return bound("the signer's keys are derived in another way than the node expects", {
      key_style: ring.style,
      key_style_asked: STYLE_NUMBERS[derivationStyle] ?? derivationStyle,
    });
  if (devSeed !== undefined || devAllowlist.length > 0)
    return bound('a seed and destinations are not for the node to choose', {});
  return null;
}

function bound(message: string, facts: Refusal['facts']): Refusal {
  const refusal = malformedRefusal('vls_hsmd_init2', null, message, facts);
  return { ...refusal, code: 'policy', tag: 'policy-init-binding', law: 'setup' };
}
