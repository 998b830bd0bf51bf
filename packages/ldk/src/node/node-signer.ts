/**
 * LDK's `NodeSigner`. Where LDK would end on an Err (its handshakes, onions and gossip), there is always an answer: when the
 * signer can't be asked it is one that is good for nothing, and the application is told.
 */
import type { Secp256k1 } from '@countersign/bitcoin';
import {
  ExpandedKey,
  NodeSigner,
  Option_BigEndianScalarZ_Some,
  Recipient,
  Result_ECDSASignatureNoneZ,
  Result_PublicKeyNoneZ,
  Result_RecoverableSignatureNoneZ,
  Result_SchnorrSignatureNoneZ,
  Result_ThirtyTwoBytesNoneZ,
} from 'lightningdevkit';
import type { LdkRefusal, SignerClient } from '../client.ts';
import { answered, replyOf } from '../signer/answers.ts';
import { BlindingFactors } from './blinding.ts';
import { type ExpectedHashes, invoiceText } from './invoice-text.ts';

export interface NodeSignerParts {
  readonly client: SignerClient;
  readonly secp: Secp256k1;
  readonly nodeId: Uint8Array;
  readonly inboundPaymentKey: Uint8Array;
  readonly expected: ExpectedHashes;
  readonly randomBytes: (count: number) => Uint8Array;
}

/** r = 1, s = 1: the form of a signature, and none. */
const NO_SIGNATURE = Uint8Array.from({ length: 64 }, (_, at) => (at % 32 === 31 ? 1 : 0));
const RECOVERY_ID_BYTES = 4;

export function nodeSigner(parts: NodeSignerParts): NodeSigner {
  const { client, nodeId, inboundPaymentKey, randomBytes } = parts;
  const factors = new BlindingFactors();
  const guarded = <T>(method: string, work: () => T, otherwise: (refusal: LdkRefusal) => T): T =>
    answered({ client, method, channelKeysId: null, work, otherwise });
  return NodeSigner.new_impl({
    get_inbound_payment_key: () => ExpandedKey.constructor_new(inboundPaymentKey),
    get_node_id: (recipient) =>
      recipient === Recipient.LDKRecipient_Node
        ? Result_PublicKeyNoneZ.constructor_ok(nodeId)
        : Result_PublicKeyNoneZ.constructor_err(),
    ecdh: (_, point, tweak) =>
      guarded(
        'ecdh',
        () => {
          const factor = tweak instanceof Option_BigEndianScalarZ_Some ? tweak.some.scalar_bytes : null;
          return Result_ThirtyTwoBytesNoneZ.constructor_ok(ecdh(parts, factors, point, factor));
        },
        // Nobody else can have it: what it is used for fails to authenticate.
        () => Result_ThirtyTwoBytesNoneZ.constructor_ok(randomBytes(32)),
      ),
    sign_invoice: (invoice, recipient) =>
      guarded(
        'sign_invoice',
        () => {
          if (recipient !== Recipient.LDKRecipient_Node) throw new Error('phantom nodes are not supported');
          const text = invoiceText(invoice, inboundPaymentKey, parts.expected);
          if (text === null)
            throw new Error('a hash in the invoice is of the application’s choice and was not announced');
          return Result_RecoverableSignatureNoneZ.constructor_ok(signInvoice(client, text));
        },
        () => Result_RecoverableSignatureNoneZ.constructor_err(),
      ),
    sign_bolt12_invoice: (invoice) =>
      guarded(
        'sign_bolt12_invoice',
        () =>
          Result_SchnorrSignatureNoneZ.constructor_ok(
            signBolt12(parts, invoice.signing_pubkey(), invoice.tagged_hash().merkle_root()),
          ),
        () => Result_SchnorrSignatureNoneZ.constructor_err(),
      ),
    sign_gossip_message: (message) =>
      guarded(
        'sign_gossip_message',
        () => Result_ECDSASignatureNoneZ.constructor_ok(signGossip(client, message.write())),
        () => Result_ECDSASignatureNoneZ.constructor_ok(NO_SIGNATURE),
      ),
  });
}

/** With the node's key, multiplied by the factor where there is one: which is the same as a multiplied point. */
function ecdh(
  { client, secp }: NodeSignerParts,
  factors: BlindingFactors,
  point: Uint8Array,
  shown: Uint8Array | null,
): Uint8Array {
  const ask = (asked: Uint8Array): Uint8Array =>
    replyOf(client.ask<'hsmd_ecdh_req'>('ecdh', null, { name: 'hsmd_ecdh_req', point: asked })).ss;
  if (shown === null) {
    const secret = ask(point);
    factors.noteSecret(secret);
    return secret;
  }
  const factor = factors.meant(shown);
  if (factor === undefined) throw new Error('LDK asks with a factor that follows from no secret before it');
  return ask(secp.publicKeyTweakMul(point, factor));
}

/** LDK wants the recovery id as four bytes behind the signature. */
function signInvoice(client: SignerClient, { hrp, u5 }: { hrp: Uint8Array; u5: Uint8Array }): Uint8Array {
  const { sig } = replyOf(
    client.ask<'hsmd_sign_invoice'>('sign_invoice', null, { name: 'hsmd_sign_invoice', u5bytes: u5, hrp }),
  );
  const out = new Uint8Array(sig.signature.length + RECOVERY_ID_BYTES);
  out.set(sig.signature);
  new DataView(out.buffer).setInt32(sig.signature.length, sig.recoveryId, true);
  return out;
}

function signBolt12(
  { client, nodeId }: NodeSignerParts,
  signer: Uint8Array,
  merkleroot: Uint8Array,
): Uint8Array {
  if (!nodeId.every((byte, at) => byte === signer[at]))
    throw new Error('an invoice of another key than the node’s');
  const { sig } = replyOf(
    client.ask<'hsmd_sign_bolt12_2'>('sign_bolt12_invoice', null, {
      name: 'hsmd_sign_bolt12_2',
      messagename: 'invoice',
      fieldname: 'signature',
      merkleroot,
      info: new Uint8Array(0),
      publictweak: new Uint8Array(0),
    }),
  );
  return sig;
}

function signGossip(client: SignerClient, message: Uint8Array): Uint8Array {
  const method = 'sign_gossip_message';
  const asked = client.ask<'vls_sign_gossip_message'>(method, null, {
    name: 'vls_sign_gossip_message',
    message,
  });
  return replyOf(asked).signature;
}
