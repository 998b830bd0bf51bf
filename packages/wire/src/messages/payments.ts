/**
 * Messages about payments: invoices and offers signed, payments approved before they are sent.
 * Source: CLN `hsmd/hsmd_wire.csv`.
 */
import { bool, octets } from '../codec.ts';
import { amountMsat, bip340sig, nodeId, recoverableSignature, sha256 } from '../hsm-types.ts';
import { wirestring } from '../text.ts';
import { reply, request } from './define.ts';

export const paymentMessages = {
  hsmd_sign_invoice: request(8, ['hsmd_sign_invoice_reply'], 'Signs a BOLT 11 invoice.', {
    u5bytes: octets,
    hrp: octets,
  }),
  hsmd_sign_invoice_reply: reply(108, 'The node key’s signature.', { sig: recoverableSignature }),
  hsmd_preapprove_invoice: request(38, ['hsmd_preapprove_invoice_reply'], 'May this invoice be paid?', {
    invstring: wirestring,
  }),
  hsmd_preapprove_invoice_reply: reply(138, 'Whether it may.', { approved: bool }),
  hsmd_preapprove_keysend: request(39, ['hsmd_preapprove_keysend_reply'], 'May this keysend be sent?', {
    destination: nodeId,
    paymentHash: sha256,
    amountMsat,
  }),
  hsmd_preapprove_keysend_reply: reply(139, 'Whether it may.', { approved: bool }),
  hsmd_preapprove_invoice_check: request(
    51,
    ['hsmd_preapprove_invoice_reply'],
    'As 38; with `checkOnly` nothing may be recorded. CLN answers with 138.',
    { invstring: wirestring, checkOnly: bool },
  ),
  hsmd_preapprove_invoice_check_reply: reply(151, 'In the csv, but never sent.', { approved: bool }),
  hsmd_preapprove_keysend_check: request(
    52,
    ['hsmd_preapprove_keysend_reply'],
    'As 39; with `checkOnly` nothing may be recorded. CLN answers with 139.',
    { destination: nodeId, paymentHash: sha256, amountMsat, checkOnly: bool },
  ),
  hsmd_preapprove_keysend_check_reply: reply(152, 'In the csv, but never sent.', { approved: bool }),
  hsmd_sign_bolt12: request(25, ['hsmd_sign_bolt12_reply'], 'Signs a BOLT 12 merkle root.', {
    messagename: wirestring,
    fieldname: wirestring,
    merkleroot: sha256,
    publictweak: octets,
  }),
  hsmd_sign_bolt12_reply: reply(125, 'BIP 340 signature.', { sig: bip340sig }),
  hsmd_sign_bolt12_2: request(
    41,
    ['hsmd_sign_bolt12_2_reply'],
    'Signs a BOLT 12 merkle root, also with an alias key.',
    {
      messagename: wirestring,
      fieldname: wirestring,
      merkleroot: sha256,
      info: octets,
      publictweak: octets,
    },
  ),
  hsmd_sign_bolt12_2_reply: reply(141, 'BIP 340 signature.', { sig: bip340sig }),
} as const;
