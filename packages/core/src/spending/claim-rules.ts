/**
 * Rules of law 5 for what a channel ends in: mutual closes, second-level HTLC transactions, and sweeps of commitment
 * outputs.
 */
import { rule, softRule } from '../policy/registry.ts';

const htlcForm = (tag: string, documentation: string) =>
  rule({ tag, law: 5, severity: 'hard', operations: ['htlc'], documentation });

export const htlcVersion = htlcForm(
  'policy-htlc-version',
  'A second-level HTLC transaction has version 2 (BOLT 3 "HTLC-Timeout and HTLC-Success Transactions").',
);
export const htlcLocktime = htlcForm(
  'policy-htlc-locktime',
  "The locktime of an HTLC-timeout transaction is its HTLC's expiry, that of an HTLC-success transaction is zero.",
);
export const htlcSequence = htlcForm(
  'policy-htlc-sequence',
  'The sequence of a second-level HTLC transaction is 1 for channels with anchors, else 0.',
);
export const htlcToSelfDelay = htlcForm(
  'policy-htlc-to-self-delay',
  'The output of a second-level HTLC transaction has the delay of the side that publishes it.',
);
export const htlcRevocationPubkey = htlcForm(
  'policy-htlc-revocation-pubkey',
  'The output of a second-level HTLC transaction can be taken by the other side with the revocation key of that commitment.',
);
export const htlcDelayedPubkey = htlcForm(
  'policy-htlc-delayed-pubkey',
  'The output of a second-level HTLC transaction pays to the delayed key of the side that publishes it.',
);

export const htlcFeeRange = softRule({
  tag: 'policy-htlc-fee-range',
  law: 5,
  operations: ['htlc'],
  carriesPromise: true,
  documentation:
    "A second-level HTLC transaction pays what BOLT 3 computes from the commitment's fee rate, within the allowed rates; none for channels with zero-fee HTLC transactions.",
});
export const htlcCltvRange = softRule({
  tag: 'policy-htlc-cltv-range',
  law: 5,
  operations: ['htlc'],
  carriesPromise: true,
  documentation: 'The locktime of an HTLC-timeout transaction is a block height, not a time.',
});
export const htlcBelongs = rule({
  tag: 'policy-htlc-belongs',
  law: 5,
  severity: 'hard',
  operations: ['htlc', 'sweep'],
  documentation:
    "An HTLC transaction spends an output of a commitment the signer knows: one of ours that is validated and unrevoked, or one of the peer's that we signed and that is unrevoked, with the per-commitment point it was signed with. What is swept from a commitment the signer does not know (a revoked one, or after a restore) goes to our wallet, not to an allowlisted destination.",
});

export const mutualValue = rule({
  tag: 'policy-mutual-value-matches-commitment',
  law: 5,
  severity: 'hard',
  operations: ['mc'],
  documentation:
    'A mutual close pays us our balance to the satoshi in the current commitments of both sides, less the fee where we pay it: as the funder, or as the closer under option_simple_close. Our output may be missing only below 1,000 sat (dust).',
});
export const mutualNoHtlcs = rule({
  tag: 'policy-mutual-no-pending-htlcs',
  law: 5,
  severity: 'hard',
  operations: ['mc'],
  documentation:
    'A mutual close is signed only when no current commitment holds an HTLC. One of the peer that it has not acknowledged does not count where the one before it has none: after a lost link the node may have forgotten it (BOLT 2, "Message Retransmission").',
});
export const mutualFeeRange = softRule({
  tag: 'policy-mutual-fee-range',
  law: 5,
  operations: ['mc'],
  carriesPromise: true,
  documentation:
    'The fee that a mutual close takes from us is within the fee rates and below the absolute limit.',
});
export const mutualDestination = softRule({
  tag: 'policy-mutual-destination-allowlisted',
  law: 5,
  operations: ['setup', 'mc'],
  carriesPromise: true,
  documentation:
    'A mutual close pays our balance to our wallet, or to an allowlisted destination; with an upfront shutdown script to exactly that one, and it is one of these when the channel opens.',
});

export const sweepVersion = softRule({
  tag: 'policy-sweep-version',
  law: 5,
  operations: ['sweep'],
  documentation: 'A sweep of a commitment output has version 2, which its relative lock needs (BIP 68).',
});
export const sweepSequence = softRule({
  tag: 'policy-sweep-sequence',
  law: 5,
  operations: ['sweep'],
  documentation:
    'The sequence of the input being signed is what its output needs: the delay of the script for delayed outputs, 1 for HTLC outputs of channels with anchors, else none, so that the sweep is valid as soon as it may be.',
});
export const sweepLocktime = softRule({
  tag: 'policy-sweep-locktime',
  law: 5,
  operations: ['sweep'],
  documentation:
    "The locktime of a sweep is zero, the expiry of the HTLC that timed out, or at most two blocks ahead of the signer's own chain; where it follows none, any height.",
});
export const sweepDestination = softRule({
  tag: 'policy-sweep-destination-allowlisted',
  law: 5,
  operations: ['sweep'],
  carriesPromise: true,
  documentation: 'Every output of a sweep pays to our wallet or to an allowlisted destination.',
});
export const sweepFeeRange = softRule({
  tag: 'policy-sweep-fee-range',
  law: 5,
  operations: ['sweep'],
  carriesPromise: true,
  documentation:
    'The fee of a sweep is within the fee rates. Where it has several inputs, which are signed one at a time, all that were signed of it so far count, each at the highest amount it was signed with. Of an output that nobody contests it takes at most a share, unless the output is small and the rate usual; before a deadline (an HTLC, a penalty) it may take all but dust: better fees than the adversary.',
});
