/**
 * Rules of law 5 for transactions of the wallet: where its satoshis go, what is left as fee, and which signature may
 * be given at all. Closes, second level and sweeps have theirs in `claim-rules.ts`.
 */
import { rule, softRule } from '../policy/registry.ts';

export const sighashRule = rule({
  tag: 'policy-sighash',
  law: 5,
  severity: 'hard',
  operations: ['onchain', 'cc', 'fc', 'htlc', 'mc', 'sweep'],
  documentation:
    'Every signature commits to the whole transaction (SIGHASH_ALL, taproot DEFAULT), whatever a PSBT asks for. Sole exception: SINGLE|ANYONECANPAY on anchors channels for second-level HTLC transactions, with one input, one output, index 0: their outputs are none of the wallet’s, so they count for nothing in another transaction.',
});

export const keyUse = rule({
  tag: 'policy-key-use',
  law: 'keys',
  severity: 'hard',
  operations: ['all'],
  documentation:
    'Each key signs only what it is for. The funding key signs commitments, closes, splices, its own anchor and the channel_announcement of its channel; a PSBT is signed only at the inputs named as ours, with the key that owns the spent output.',
});

export const formatStandard = softRule({
  tag: 'policy-onchain-format-standard',
  law: 5,
  operations: ['onchain'],
  documentation:
    'A wallet transaction has version 2, its locktime is zero or a block height that is not far ahead, and our inputs are final, replaceable, or locked for at most 4,032 blocks (to_remote outputs, leases).',
});

export const maxSize = softRule({
  tag: 'policy-onchain-max-size',
  law: 5,
  operations: ['onchain'],
  documentation: 'The weight of a wallet transaction, signatures included, stays below a limit.',
});

export const onchainFeeRange = softRule({
  tag: 'policy-onchain-fee-range',
  law: 5,
  operations: ['onchain'],
  carriesPromise: true,
  documentation:
    'What a transaction takes from us beyond what goes to known destinations is fee, and stays within the fee rates and an absolute limit; approved transactions too. With inputs of others, or the funding of a channel, it is the difference of two sums: our wallet inputs and our balance in every funding it spends, against the outputs that are ours, allowlisted or approved and our balance in the first commitment of every funding it creates.',
});

export const feeVelocity = softRule({
  tag: 'policy-onchain-fee-velocity',
  law: 5,
  operations: ['onchain', 'fc', 'mc', 'htlc', 'sweep'],
  carriesPromise: true,
  documentation:
    'All fees of wallet transactions, closes, commitments of ours and sweeps together stay below a limit for each window of time, across restarts. The fee for spending an output counts once, at its highest, however often it is signed. Claims of what would be lost otherwise count but are never refused; a penalty signed in advance for a watchtower does not count.',
});

export const anchorReserve = softRule({
  tag: 'policy-onchain-anchor-reserve',
  law: 5,
  operations: ['onchain'],
  documentation:
    "While channels with anchors live, a spend that nobody approved leaves something to pay for their commitments. The signer can't see the whole wallet: it refuses a transaction without any output of ours that spends the last of the wallet outputs it knows, when those held the reserve before.",
});

export const inputAmountsProven = rule({
  tag: 'policy-onchain-input-amounts-proven',
  law: 5,
  severity: 'hard',
  operations: ['onchain'],
  documentation:
    'Every segwit version 0 input we sign has its amount proven: by its whole previous transaction in the PSBT, by the record of the commitment it comes from, by the proven block that created it, or because it is the only input. Otherwise two requests with false amounts would burn the difference as fee: each signature commits to the amount of its own input only. Inputs of sweeps are signed one at a time, and counted together (policy-sweep-fee-range).',
});

export const fundingNonMalleable = rule({
  tag: 'policy-onchain-funding-non-malleable',
  law: 5,
  severity: 'hard',
  operations: ['onchain'],
  documentation:
    "A transaction that creates the funding of a channel spends nothing but witness programs, the inputs of others included: otherwise its txid could change after the commitments were signed. P2SH counts only with the witness program in the PSBT's redeem script.",
});

export const outputScriptpubkey = rule({
  tag: 'policy-onchain-output-scriptpubkey',
  law: 5,
  severity: 'hard',
  operations: ['onchain'],
  documentation: "The funding output pays to the 2-of-2 of both sides' funding keys of its channel.",
});

export const outputMatchCommitment = rule({
  tag: 'policy-onchain-output-match-commitment',
  law: 5,
  severity: 'hard',
  operations: ['onchain'],
  documentation: 'The funding output has exactly the value its channel was set up with.',
});

export const initialCountersigned = rule({
  tag: 'policy-onchain-initial-commitment-countersigned',
  law: 5,
  severity: 'hard',
  operations: ['onchain'],
  documentation:
    "A transaction that creates a channel's funding, or that splices it, is signed only once our first commitment on that funding is validated with the peer's signatures: else the peer could keep all of it hostage. Core Lightning's splicing asks for the signature on the shared input once before there are commitments; it gets a placeholder that is no signature, and the real one when it asks again.",
});

export const noFundInbound = softRule({
  tag: 'policy-onchain-no-fund-inbound',
  law: 5,
  operations: ['onchain'],
  carriesPromise: true,
  documentation:
    'Our money funds a channel that the peer opened only if its first commitment gives us a balance (dual funding).',
});

export const noChannelPush = softRule({
  tag: 'policy-onchain-no-channel-push',
  law: 5,
  operations: ['onchain'],
  documentation:
    'What a channel gives to the peer from the start, beyond what the peer puts in, must be approved, with the transaction that funds it.',
});

export const noUnknownOutputs = rule({
  tag: 'policy-onchain-no-unknown-outputs',
  law: 5,
  severity: 'approver',
  operations: ['onchain'],
  documentation:
    'Every output is ours (a wallet script within the index window), allowlisted, the funding of a channel whose first commitment is countersigned, or approved: for exactly this txid, for a splice by its script and amount. With inputs of others their outputs are theirs, as long as what leaves us is no more than the fee. What raises the fee of a commitment or of an HTLC transaction pays only to our wallet.',
});

export const walletPathPredictable = softRule({
  tag: 'policy-onchain-wallet-path-predictable',
  law: 5,
  operations: ['onchain', 'sweep', 'mc'],
  documentation:
    'An output to our own wallet uses a key within a window above the highest index in use: at an index that nobody would search, the money is ours and lost all the same.',
});

export const sharedAllowlist = softRule({
  tag: 'policy-onchain-shared-allowlist',
  law: 5,
  operations: ['onchain', 'mc'],
  documentation:
    'In transactions with a peer of the same team only outputs of our own wallet count as ours: its destinations may stand on our allowlist, and would hide that our share goes to it.',
});

export const fundingVelocity = softRule({
  tag: 'policy-velocity-funding',
  law: 5,
  operations: ['onchain'],
  carriesPromise: true,
  documentation:
    'What our wallet puts into channels stays below a limit for each window of time, when the operator sets one.',
});
