/** LDK's `SignerProvider`: names of new channels, signers of known ones, and scripts of the wallet. */
import {
  ChannelPublicKeys,
  DecodeError,
  DelayedPaymentBasepoint,
  type EcdsaChannelSigner,
  HtlcBasepoint,
  Result_CVec_u8ZNoneZ,
  Result_EcdsaChannelSignerDecodeErrorZ,
  Result_ShutdownScriptNoneZ,
  RevocationBasepoint,
  ShutdownScript,
  SignerProvider,
} from 'lightningdevkit';
import { keyHashOf } from '../wallet/keys.ts';
import { answered } from './answers.ts';
import { type ChannelSignerParts, channelSigner } from './channel-signer.ts';
import type { ChannelState, PartyKeys } from './channel-state.ts';

export interface ProviderParts extends ChannelSignerParts {
  /** Addresses of the wallet, as scripts. */
  readonly addresses: { receiveScript(): Uint8Array };
  readonly randomBytes: (count: number) => Uint8Array;
}

const KEYS_ID_BYTES = 32;

export function signerProvider(parts: ProviderParts): SignerProvider {
  const { client, book } = parts;
  const guarded = <T>(
    method: string,
    channelKeysId: Uint8Array | null,
    work: () => T,
    otherwise: () => T,
  ): T => answered({ client, method, channelKeysId, work, otherwise });
  return SignerProvider.new_impl({
    generate_channel_keys_id: (_inbound, _valueSat, userChannelId) => {
      const keysId = parts.randomBytes(KEYS_ID_BYTES);
      book.named(keysId, inOrder(userChannelId));
      return keysId;
    },
    derive_channel_signer: (valueSat, keysId) => deriveSigner(parts, keysId, valueSat),
    // LDK before 0.0.113 wrote signers out; none of those is ours.
    read_chan_signer: () =>
      Result_EcdsaChannelSignerDecodeErrorZ.constructor_err(DecodeError.constructor_unknown_version()),
    get_destination_script: (keysId) =>
      guarded(
        'get_destination_script',
        keysId,
        () => {
          if (book.find(keysId)?.keys === null) throw new Error('the signer gave no keys for the channel');
          return Result_CVec_u8ZNoneZ.constructor_ok(parts.addresses.receiveScript());
        },
        () => Result_CVec_u8ZNoneZ.constructor_err(),
      ),
    get_shutdown_scriptpubkey: () =>
      guarded(
        'get_shutdown_scriptpubkey',
        null,
        () =>
          Result_ShutdownScriptNoneZ.constructor_ok(
            ShutdownScript.constructor_new_p2wpkh(keyHashOf(parts.addresses.receiveScript())),
          ),
        () => Result_ShutdownScriptNoneZ.constructor_err(),
      ),
  });
}

function deriveSigner(parts: ProviderParts, keysId: Uint8Array, valueSat: bigint): EcdsaChannelSigner {
  const state: ChannelState = parts.book.channel(keysId, valueSat);
  return channelSigner(parts, state, publicKeys(state.keys ?? PLACEHOLDER));
}

const publicKeys = ({ funding, basepoints }: PartyKeys): ChannelPublicKeys =>
  ChannelPublicKeys.constructor_new(
    funding,
    RevocationBasepoint.constructor_new(basepoints.revocation),
    basepoints.payment,
    DelayedPaymentBasepoint.constructor_new(basepoints.delayedPayment),
    HtlcBasepoint.constructor_new(basepoints.htlc),
  );

/** The curve's generator: some point, for a channel that will not open (`get_destination_script` refuses it). */
const GENERATOR = Uint8Array.from(
  '0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798'.match(/../g) ?? [],
  (byte) => Number.parseInt(byte, 16),
);
const PLACEHOLDER: PartyKeys = {
  funding: GENERATOR,
  basepoints: { revocation: GENERATOR, payment: GENERATOR, htlc: GENERATOR, delayedPayment: GENERATOR },
};

/** The bindings hand a u128 out with its bytes the wrong way round. */
function inOrder(value: bigint): bigint {
  let out = 0n;
  for (let i = 0n; i < 16n; i++) out = (out << 8n) | ((value >> (8n * i)) & 0xffn);
  return out;
}
