/**
 * The hard rules of a commitment's form: law 1 counts numbers, and what a transaction is must be certain before its
 * number can mean anything. Each field has its own tag, so that a refusal names what differs.
 */
import { rule } from '../policy/registry.ts';

const form = (tag: string, documentation: string) =>
  rule({ tag, law: 1, severity: 'hard', operations: ['cc', 'hc', 'fc'], documentation });
/** Of the outputs: at `fc` the transaction must be the one that was validated, output for output. */
const output = (tag: string, documentation: string) =>
  rule({ tag, law: 1, severity: 'hard', operations: ['cc', 'hc'], documentation });

export const commitmentVersion = form(
  'policy-commitment-version',
  'A commitment transaction has version 2 (BOLT 3 "Commitment Transaction").',
);
export const commitmentLocktime = form(
  'policy-commitment-locktime',
  'The upper 8 bits of the locktime are 0x20 and the lower 24 carry those of the obscured commitment number, which must be the number the request names.',
);
export const commitmentSequence = form(
  'policy-commitment-sequence',
  'The upper 8 bits of the sequence are 0x80 and the lower 24 carry the upper half of the obscured commitment number, which must be the number the request names.',
);
export const commitmentInputSingle = form(
  'policy-commitment-input-single',
  'A commitment transaction has exactly one input: the funding output.',
);
export const inputMatchFunding = form(
  'policy-commitment-input-match-funding',
  'The input spends a funding of this channel, with the peer key that funding was set up with.',
);

export const unrecognizedOutputs = output(
  'policy-commitment-no-unrecognized-outputs',
  "Every output is one BOLT 3 prescribes for this number: a main output, an anchor, or an HTLC of the request's list, with the scripts that this channel's keys give; every listed HTLC has its output, in the order of BOLT 3. A transaction with foreign scripts could not be revoked. Where an output is recognizably one of these with another key, delay or amount, the rule of that field refuses.",
);
export const singularToHolder = output(
  'policy-commitment-singular-to-holder',
  'At most one output pays our balance to us, and it stands where the order of BOLT 3 puts it.',
);
export const singularToCounterparty = output(
  'policy-commitment-singular-to-counterparty',
  "At most one output pays the peer's balance to it, and it stands where the order of BOLT 3 puts it.",
);

export const revocationPubkey = output(
  'policy-commitment-revocation-pubkey',
  'The revocation key of `to_local` is the one that the revocation basepoint of the other side and the per-commitment point give (BOLT 3 "Key Derivation"). With another, a revoked commitment could not be punished, or ours could be taken.',
);
export const broadcasterPubkey = output(
  'policy-commitment-broadcaster-pubkey',
  'The delayed key of `to_local` is derived from the delayed payment basepoint of the side that may publish the commitment.',
);
export const countersignatoryPubkey = output(
  'policy-commitment-countersignatory-pubkey',
  '`to_remote` pays the payment basepoint of the side that does not publish the commitment (option_static_remotekey).',
);
export const toSelfDelayRange = output(
  'policy-commitment-to-self-delay-range',
  "The delay of `to_local` is the one agreed at the opening, whose range is judged there. Only a lease lengthens it, to at most 4,032 blocks: ours one that we signed, the peer's where it put funds into a channel that we opened.",
);

export const htlcRevocationPubkey = output(
  'policy-commitment-htlc-revocation-pubkey',
  'Every HTLC output can be taken with the revocation key once the commitment is revoked.',
);
export const htlcCounterpartyHtlcPubkey = output(
  'policy-commitment-htlc-counterparty-htlc-pubkey',
  "The peer's key in every HTLC output is derived from its HTLC basepoint and the per-commitment point.",
);
export const htlcHolderHtlcPubkey = output(
  'policy-commitment-htlc-holder-htlc-pubkey',
  'Our key in every HTLC output is derived from our HTLC basepoint and the per-commitment point.',
);

export const anchorsNotWhenOff = output(
  'policy-commitment-anchors-not-when-off',
  'A channel whose type has no anchors has no anchor outputs, and neither `to_remote` nor an HTLC in the form that anchors bring.',
);
export const anchorToHolder = output(
  'policy-commitment-anchor-to-holder',
  'In a channel with anchors we have exactly one, if and only if we have a main output or there is an HTLC, where the order of BOLT 3 puts it.',
);
export const anchorToCounterparty = output(
  'policy-commitment-anchor-to-counterparty',
  'In a channel with anchors the peer has exactly one, if and only if it has a main output or there is an HTLC, where the order of BOLT 3 puts it.',
);
export const anchorAmount = output(
  'policy-commitment-anchor-amount',
  'An anchor has exactly 330 sat (BOLT 3 `to_local_anchor`).',
);
export const anchorStaticRemotekey = output(
  'policy-commitment-anchor-static-remotekey',
  'In a channel with anchors `to_remote` is the P2WSH of the static remote key, locked for one block (longer only by a lease): not its P2WPKH, and not without the lock.',
);
export const anchorMatchFundingkey = output(
  'policy-commitment-anchor-match-fundingkey',
  'An anchor belongs to the funding key of its side.',
);
