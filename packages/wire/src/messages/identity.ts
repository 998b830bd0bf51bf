/**
 * Messages that use the node's identity and derived keys: ECDH, signed text, derived secrets, checks of derivations.
 * Source: CLN `hsmd/hsmd_wire.csv`; VLS's 1036 for LDK.
 */
import { bool, octets, u32 } from '../codec.ts';
import { pubkey, recoverableSignature, secret } from '../hsm-types.ts';
import { reply, request } from './define.ts';

export const identityMessages = {
  hsmd_ecdh_req: request(1, ['hsmd_ecdh_resp'], 'ECDH of the node key with a point.', { point: pubkey }),
  hsmd_ecdh_resp: reply(100, 'SHA-256 of the shared point.', { ss: secret }),
  hsmd_sign_message: request(23, ['hsmd_sign_message_reply'], 'Signs text with the node key.', {
    msg: octets,
  }),
  hsmd_sign_message_reply: reply(123, 'The node key’s signature.', { sig: recoverableSignature }),
  hsmd_bip137_sign_message: request(
    45,
    ['hsmd_bip137_sign_message_reply'],
    'Signs text with a wallet key (BIP 137).',
    { msg: octets, keyidx: u32 },
  ),
  hsmd_bip137_sign_message_reply: reply(145, 'The wallet key’s signature.', { sig: recoverableSignature }),
  hsmd_derive_secret: request(27, ['hsmd_derive_secret_reply'], 'A secret derived for a named purpose.', {
    info: octets,
  }),
  hsmd_derive_secret_reply: reply(127, 'The derived secret.', { secret }),
  hsmd_check_pubkey: request(28, ['hsmd_check_pubkey_reply'], 'Is this our wallet key at `index`?', {
    index: u32,
    pubkey,
  }),
  hsmd_check_pubkey_reply: reply(128, 'Whether it is.', { ok: bool }),
  hsmd_check_bip86_pubkey: request(
    56,
    ['hsmd_check_bip86_pubkey_reply'],
    'Is this our BIP 86 wallet key at `index`?',
    {
      index: u32,
      pubkey,
    },
  ),
  hsmd_check_bip86_pubkey_reply: reply(156, 'Whether it is.', { ok: bool }),

  vls_get_secure_random_bytes: request(
    1036,
    ['vls_get_secure_random_bytes_reply'],
    'Random bytes of the signer’s machine. Answered where a session has some (in process); no rule decides them.',
    {},
  ),
  vls_get_secure_random_bytes_reply: reply(1136, '32 random bytes.', { randomBytes: secret }),
} as const;
