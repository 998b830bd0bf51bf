/** The form of refusals on the wire: what says no in its own way, and the words a splice gets for a signature. */
import { createPsbt, fromHex, loadSecp256k1, msat, sha256 } from '@countersign/bitcoin';
import type { Refusal } from '@countersign/core';
import { decodeMessage, encodeMessage, type Request } from '@countersign/wire';
import { describe, expect, it } from 'vitest';
import { isAskedAgain, refusalReply } from '../src/refusal-form.ts';

const secp = loadSecp256k1();
const refusal = (tag: string, temporary: boolean): Refusal => ({
  code: 'policy',
  tag,
  law: 5,
  severity: 'error',
  temporary,
  message: 'no',
  facts: {},
  request: 'hsmd_sign_splice_tx',
  channel: null,
});
const TOO_EARLY = 'policy-onchain-initial-commitment-countersigned';
const splice = { name: 'hsmd_sign_splice_tx' } as Request;

describe('a splice asked for before its commitments', () => {
  const reply = refusalReply(splice, refusal(TOO_EARLY, true));
  const signature = reply.name === 'hsmd_sign_tx_reply' ? reply.sig.signature : new Uint8Array(0);

  it('gets words in the form of a signature, which say what is missing', () => {
    expect(new TextDecoder().decode(signature)).toBe(
      'Countersign: not signed, commit-ments of this splice come first.',
    );
    const decoded = decodeMessage(encodeMessage(reply), 'reply');
    expect(decoded).toMatchObject({ ok: true, message: { sig: { sighash: 1 } } });
  });

  it('gets no signature: no point of the curve has this r, so it verifies for no key and no hash', () => {
    const r = signature.subarray(0, 32);
    for (const parity of [2, 3]) expect(secp.isPublicKey(Uint8Array.from([parity, ...r]))).toBe(false);
    const halfOrder = BigInt('0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0');
    const number = (bytes: Uint8Array) => BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
    expect(number(r) < halfOrder && number(signature.subarray(32)) < halfOrder).toBe(true);
    for (let i = 1; i < 20; i++) {
      const key = secp.publicKey(sha256(Uint8Array.of(i)));
      expect(secp.verifyEcdsa(sha256(Uint8Array.of(i, i)), signature, key)).toBe(false);
    }
  });

  it('is the only refusal of a splice in this form, and only for a splice', () => {
    for (const other of [refusal(TOO_EARLY, false), refusal('policy-channel-frozen', true)])
      expect(refusalReply(splice, other).name).toBe('vls_signer_error');
    for (const request of [null, { name: 'hsmd_sign_mutual_close_tx' } as Request])
      expect(refusalReply(request, refusal(TOO_EARLY, true)).name).toBe('vls_signer_error');
  });
});

it('a refusal is text otherwise, with its tag first', () => {
  const reply = refusalReply(null, refusal('policy-sighash', false));
  expect(reply).toMatchObject({ code: 1, message: expect.stringMatching(/^policy-sighash: no/) });
  expect(fromHex('0bb8')).toEqual(encodeMessage(reply).subarray(0, 2));
});

const hash = new Uint8Array(32).fill(7);
const destination = Uint8Array.of(2, ...new Uint8Array(32).fill(1));
const psbt = createPsbt({ version: 2, inputs: [], outputs: [], locktime: 0 });

it('what has a gentle form is declined in it', () => {
  const no = refusal('policy-generic-error', false);
  const keysend = { destination, paymentHash: hash, amountMsat: msat(1000n) };
  expect(refusalReply({ name: 'hsmd_preapprove_invoice', invstring: 'lnbc' }, no)).toMatchObject({
    approved: false,
  });
  expect(refusalReply({ name: 'hsmd_preapprove_keysend', ...keysend }, no)).toEqual({
    name: 'hsmd_preapprove_keysend_reply',
    approved: false,
  });
  const bump = {
    name: 'hsmd_sign_anchorspend',
    peerid: destination,
    channelDbid: 1n,
    inputs: [],
    psbt,
  } as const;
  expect(refusalReply(bump, no)).toEqual({ name: 'hsmd_sign_anchorspend_reply', psbt });
});

it('a no for now is asked again only where the reply would end a daemon', () => {
  const later = refusal('policy-commitment-spends-active-utxo', true);
  const revoke = encodeMessage({ name: 'hsmd_revoke_commitment_tx', commitNum: 1n });
  const invoice = encodeMessage({ name: 'hsmd_preapprove_invoice', invstring: 'lnbc' });
  expect(isAskedAgain(revoke, later)).toBe(true);
  expect(isAskedAgain(invoice, later)).toBe(false);
  expect(isAskedAgain(revoke, refusal('policy-generic-error', false))).toBe(false);
  expect(isAskedAgain(Uint8Array.of(0), later)).toBe(false);
  expect(isAskedAgain(Uint8Array.of(0xff, 0xff), later)).toBe(false);
});
