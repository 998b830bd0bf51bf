/**
 * Law 5 on recorded sessions of real nodes: under `hub`, with the approvals an operator would give, nothing that is about
 * the chain is refused but the splice signatures that CLN asks for before their commitments, and what a cheat asks for.
 */
import { fromHex, toHex } from '@countersign/bitcoin';
import { decide, KeyRing, keyView, type Policy, perform, policyOf } from '@countersign/core';
import { decodeMessage, encodeMessage, type Request } from '@countersign/wire';
import { describe, expect, it } from 'vitest';
import { openHsmSecretSync } from '../src/keys/hsm-secret.ts';
import { type Recording, readInit, recordings } from './keys/recordings.ts';
import { MemoryState } from './memory-state.ts';
import { regtest, secp } from './test-signer.ts';

const ONCHAIN =
  /withdrawal|anchorspend|mingle|mutual_close|splice|sign_commitment_tx|penalty|delayed|htlc_to_us|local_htlc|remote_htlc_tx/;
/** Of the session itself, and payments that nobody preapproved. */
const NOT_DECIDED = /^hsmd_(init|dev_.*|client_hsmfd|preapprove.*)$/;

/** Where l1 of `onchain` closes a channel to, as its operator told it: an address of bitcoind. */
const CLOSE_TO = '51200e6ed08c107156d4e23da37898a4c787e26888fafb3f7dc7b51e1c0175f20973';
const policy: Policy = policyOf(regtest, 'hub', {
  approvals: { auto: 'all', autoPaymentVelocity: null, expirySeconds: 3600 },
  allowlist: [{ kind: 'script', text: CLOSE_TO, addedAtSeconds: 0 }],
});

const EXPECTED: Readonly<Record<string, Readonly<Record<string, readonly number[]>>>> = {
  'dualfund-splice/l1': {
    'policy-onchain-initial-commitment-countersigned': [180],
    // A revoked commitment, published by a fault of lightningd.
    'policy-commitment-holder-not-revoked': [209],
  },
  'breach/l1': { 'policy-htlc-belongs': [109] },
};

/** Preimages are delivered by a plugin, which is not in the recordings of forwards; the load has nothing on chain. */
const sessions = recordings.filter(
  ({ name }) => !/^(synthetic|20-payments-load|bolt12|messages|forward)/.test(name),
);

/** Claims of HTLCs, with anchors: CLN's hsmd signs SINGLE|ANYONECANPAY, we sign ALL; the last byte of the reply says which. */
const isWholeForAlone = (name: string, ours: string, theirs: string): boolean =>
  name.includes('htlc_to_us') && ours.endsWith('01') && theirs.endsWith('83');

function play({ secretFile, passphrase, lines }: Recording) {
  const init = readInit(fromHex(lines.find(({ type_num }) => type_num === 11)!.request));
  const { seed } = openHsmSecretSync(secretFile, passphrase);
  const ring = new KeyRing({
    secp256k1: secp,
    seed,
    bip32PublicVersion: init.publicVersion,
    force: init.force,
  });
  const [keys, state] = [keyView(ring), new MemoryState()];
  const refused: Record<string, number[]> = {};
  let [asked, same] = [0, 0];
  for (const { seq, client, request, reply } of lines) {
    const decoded = decodeMessage(fromHex(request), 'request');
    if (!decoded.ok || NOT_DECIDED.test(decoded.message.name)) continue;
    const channel = client.dbid === 0 ? null : { peerId: fromHex(client.peer_id), dbid: BigInt(client.dbid) };
    const permissions = BigInt((client as unknown as { capabilities: number }).capabilities);
    const input = { state, client: { channel, permissions }, policy, keys, secp, protocolVersion: 6 };
    const decision = decide(
      { ...input, failPreapprovals: false, nowSeconds: 1_800_000_000, chain: null },
      decoded.message as Request,
    );
    const isOnchain = ONCHAIN.test(decoded.message.name);
    if (decision.kind === 'refused') {
      if (isOnchain && !/revoke-not-closed|previous-revoked/.test(decision.refusal.tag))
        refused[decision.refusal.tag] = [...(refused[decision.refusal.tag] ?? []), seq];
      continue;
    }
    state.apply(decision.changes);
    if (!isOnchain) continue;
    asked += 1;
    const ours = toHex(encodeMessage(perform(ring, decision.release)));
    if (ours === reply || isWholeForAlone(decoded.message.name, ours, reply ?? '')) same += 1;
  }
  return { refused, asked, same };
}

describe('on-chain requests of recorded sessions, under hub', () => {
  it.each(sessions.map((one) => [one.name, one] as const))('%s', (name, recording) => {
    const { refused, asked, same } = play(recording);
    expect(refused).toEqual(EXPECTED[name] ?? {});
    expect(same).toBe(asked);
    expect(asked).toBeGreaterThan(0);
  });
});
