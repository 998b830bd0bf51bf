/** For operators: refusals of commitments, their signatures and revocations. */
import { type Guides, hostile, limited } from './guide.ts';

const WAIT = 'Wait: the node asks again by itself.';

const form = (name: string, what: string): Guides => ({
  [`policy-commitment-${name}`]: hostile(`The commitment has ${what}.`),
});

const FORM: Guides = {
  ...form('version', 'another transaction version than BOLT 3 says'),
  ...form('locktime', 'a locktime that does not carry its number'),
  ...form('sequence', 'a sequence that does not carry its number'),
  ...form('input-single', 'not exactly one input'),
  ...form('input-match-funding', 'an input that is no funding of this channel'),
  ...form('singular-to-holder', 'more than one main output of ours'),
  ...form('singular-to-counterparty', 'more than one main output of the peer'),
  ...form('no-unrecognized-outputs', 'an output that nothing explains'),
  ...form('revocation-pubkey', 'another revocation key than this channel and number give'),
  ...form('broadcaster-pubkey', 'another delayed key than this channel and number give'),
  ...form('countersignatory-pubkey', 'another to_remote key than the channel’s'),
  ...form('to-self-delay-range', 'another delay than the channel was set up with'),
  ...form('htlc-revocation-pubkey', 'an HTLC output with another revocation key'),
  ...form('htlc-counterparty-htlc-pubkey', 'an HTLC output with another HTLC key of the peer'),
  ...form('htlc-holder-htlc-pubkey', 'an HTLC output with another HTLC key of ours'),
  ...form('anchors-not-when-off', 'an anchor although the channel type has none'),
  ...form('anchor-to-holder', 'no anchor of ours, or one too many'),
  ...form('anchor-to-counterparty', 'no anchor of the peer, or one too many'),
  ...form('anchor-amount', 'an anchor of another value than 330 sat'),
  ...form('anchor-static-remotekey', 'anchors, but a to_remote output without its delay of one block'),
  ...form('anchor-match-fundingkey', 'an anchor with another key than the funding key'),
  ...form('outputs-trimmed', 'an output below the dust limit, or lacks one above it'),
  ...form('first-no-htlcs', 'HTLCs although it is the first of the channel'),
  ...form('initial-funding-value', 'another split of the value than the channel was opened with'),
};

const LEDGER: Guides = {
  'policy-commitment-balance-conserved': hostile(
    'Balance moved between two commitments without HTLCs that explain it.',
  ),
  'policy-commitment-dust-exposure': limited(
    'Too much value is in flight in HTLCs that are too small for an output.',
    'After a force close all of it goes to miners. Many small payments at a high fee rate get there.',
    ['dustExposureSat', 'dustExposurePerFeerateSat'],
    'It passes once some of the small payments are through. Lower the node’s own dust exposure limit if it happens often.',
  ),
  'policy-commitment-dust-outflow': limited(
    'More value left in this window of time through payments too small to be seen, and through rounding, than the budget allows.',
    'A busy router of tiny payments may get there, sooner with channels of type static_remotekey, where a fee rate of 1,000 per kw hides HTLCs below 1,250 sat, and one of 10,000 those below 7,600: what became of them shows late, and counts as lost until then. So does a node that drains channels a few satoshi at a time.',
    ['dustOutflowVelocity'],
    'Compare with the small payments you know of. If they explain it, raise dust_outflow_velocity, or wait: the budget renews, and lightningd asks again when it reconnects. Else treat the node as compromised.',
  ),
  'policy-commitment-payment-settled-preimage': {
    happened:
      'A payment was to count as made, but its preimage, the proof of it, is not known to the signer.',
    means: 'The node side does not hand preimages over, or the payment was not made.',
    todo: 'Install the companion plugin, or see that it runs. Until then the rule only warns, unless you set it.',
  },
  'policy-commitment-fee-range': limited(
    'The fee rate of the commitment is outside of the range.',
    'Fees rise fast, or one of the two nodes’ estimates is off. Without anchors, a rate set by the peer can burn HTLCs.',
    ['feerateMinPerKw', 'feerateMaxPerKw', 'feerateMaxPeerPaysPerKw'],
  ),
  'policy-commitment-htlc-count-limit': limited(
    'There are more HTLCs in one direction than the limit.',
    'A busy channel, or a peer that fills it.',
    ['htlcCountMax'],
  ),
  'policy-commitment-htlc-inflight-limit': limited(
    'The HTLCs in one direction are worth more than the limit.',
    'A large payment, or a peer that fills the channel.',
    ['htlcInflightMaxSat'],
  ),
  'policy-commitment-htlc-cltv-range': {
    ...limited(
      'A new HTLC expires too soon or too far in the future, or an old one has passed its deadline.',
      'A payment over a very long route, or one that would be stuck for weeks; or a channel that should have gone to the chain.',
      ['cltvMarginBlocks', 'cltvMaxBlocks', 'deadlineGraceBlocks', 'claimMarginBlocks', 'chainLagBlocksMax'],
    ),
    needsChain: true,
  },
  'policy-commitment-spends-active-utxo': {
    happened: 'The funding of the channel is not buried deep enough yet, or it is spent.',
    means: 'Usually a new channel. A state that spends nothing is worth nothing.',
    todo: `${WAIT} For a peer you trust not to double-spend, zero_conf = true in its table lifts the rule.`,
    limits: ['fundingDepthBlocks'],
    needsChain: true,
  },
};

const RATCHET: Guides = {
  'policy-commitment-previous-revoked': hostile(
    'The next commitment of the peer was to be signed although an older one is not revoked, or its secret is not the right one.',
  ),
  'policy-commitment-holder-not-revoked': hostile(
    'A commitment of ours was to be signed or used that is revoked already: publishing it would give the peer everything.',
  ),
  'policy-commitment-retry-same': {
    happened: 'The same number was asked for again with other content, once too often or too late.',
    means:
      'Nodes that lose the connection may try again with other content, a few times. More is no accident.',
    todo: 'Reconnect the peer. If it goes on, close the channel and treat the node as compromised.',
  },
  'policy-revoke-new-commitment-signed': hostile(
    'The peer’s signatures on the next commitment are missing or wrong.',
  ),
  'policy-revoke-new-commitment-valid': {
    happened:
      'The current commitment was to be revoked before the next one was validated on every funding of the channel.',
    means:
      'The channel would have no state that can be published. With a splice pending, a node that is ahead of the signer may ask too early.',
    todo: `${WAIT} If it goes on without a splice, treat the node as compromised.`,
  },
  'policy-revoke-not-closed': {
    happened: 'A new state was asked for after a close, or a commitment for broadcast, was signed.',
    means:
      'The channel is closing for good, whether or not the transaction was published. A node that crashed while it closed may try to go on.',
    todo: 'Let the channel close: publish the commitment or the close that was signed.',
  },
};

export const COMMITMENT_GUIDE: Guides = { ...FORM, ...LEDGER, ...RATCHET };
