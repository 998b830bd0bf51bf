/** For operators: refusals of wallet spends, fundings, splices, closes, sweeps and second-level transactions. */
import { type Guides, hostile, limited } from './guide.ts';

const APPROVE =
  'Look at the outputs with `countersign approvals list`. If the spend is yours, approve it and ask the node again; else reject it and find out who asked.';

const ONCHAIN: Guides = {
  'policy-onchain-format-standard': {
    happened: 'The transaction has a version, locktime or sequence that wallets do not use.',
    means:
      'It may never confirm, or only long after it was signed. Some external PSBT tools make such transactions.',
    todo: 'Make it again with the node’s own commands.',
  },
  'policy-onchain-max-size': limited(
    'The transaction is heavier than the limit.',
    'Usually a spend of very many small outputs.',
    ['onchainWeightMax'],
    'Spend fewer inputs at a time.',
  ),
  'policy-onchain-fee-range': limited(
    'The fee, by rate or in all, is outside of the range.',
    'The node’s fee estimate is off, or somebody burns your money as fees. This holds for approved spends too.',
    ['onchainFeerateMinPerKw', 'onchainFeerateMaxPerKw', 'onchainFeeMaxSat'],
    'Give the fee rate in the command, or raise the limit while fees are really that high.',
  ),
  'policy-onchain-fee-velocity': limited(
    'More fees would be paid in this window of time than the budget allows.',
    'Many closes or opens at high fees; or a node that burns fees. Claims that defend money against a deadline are never refused by this.',
    ['feeVelocity'],
    'Wait until the window has moved on, or raise fee_velocity.',
  ),
  'policy-onchain-anchor-reserve': limited(
    'The spend would leave too little in the wallet for the fees of a force close.',
    'Channels with anchors pay those fees from the wallet; without a reserve a force close may not confirm in time.',
    ['anchorReserveSat'],
    'Spend less, or add money to the wallet first.',
  ),
  'policy-sighash': hostile('A signature was asked for that does not commit to the whole transaction.'),
  'policy-onchain-input-amounts-proven': {
    happened: 'An input came without what proves its amount.',
    means:
      'With false amounts, two signatures can be combined into one transaction that burns the difference as fee. External PSBTs often lack the previous transactions.',
    todo: 'Add the full previous transactions to the PSBT (`utxoupdatepsbt` of bitcoind does).',
  },
  'policy-onchain-funding-non-malleable': {
    happened: 'A transaction that funds a channel has an input that is no segwit input.',
    means:
      'Its txid could change after signing, and the money would be stuck. External wallets with old addresses do this.',
    todo: 'Fund the channel from segwit outputs; ask a dual-funding peer to do so.',
  },
  'policy-onchain-output-scriptpubkey': hostile(
    'The funding output pays another script than the channel’s 2-of-2.',
  ),
  'policy-onchain-output-match-commitment': hostile(
    'The funding output has another value than the channel was set up with.',
  ),
  'policy-onchain-initial-commitment-countersigned': hostile(
    'A funding was to be signed before the peer had signed our first commitment, so the money could not be taken back.',
  ),
  'policy-onchain-no-fund-inbound': hostile(
    'Our wallet was to pay into a channel that the peer opened, without terms that credit it to us.',
  ),
  'policy-onchain-no-channel-push': {
    happened: 'A channel was to be opened that gives part of its value to the peer at once (`push_msat`).',
    means: 'A push is a payment. You ordered it, or somebody with your node did.',
    todo: APPROVE,
  },
  'policy-onchain-no-unknown-outputs': {
    happened:
      'The transaction pays to a destination that is not yours, not on the allowlist, and not approved.',
    means: 'Every withdrawal to a new address looks like this, whoever ordered it.',
    todo: `${APPROVE} Destinations you pay often belong on the allowlist.`,
  },
  'policy-onchain-wallet-path-predictable': limited(
    'Change goes to an address far beyond those that are in use.',
    'Money there is yours, but a recovered wallet would not find it. A node with a new database may begin higher than this signer knows.',
    ['walletIndexWindow'],
  ),
  'policy-onchain-shared-allowlist': {
    happened:
      'In a transaction with a peer marked as a team node, an allowlisted destination was to count as ours.',
    means: 'Both sides could claim the same output as theirs, and one of them would be wrong.',
    todo: 'Close to the wallet, or take the mark shared_allowlist off the peer.',
  },
};

const SPENDS: Guides = {
  'policy-htlc-version': hostile('A second-level HTLC transaction has another version than BOLT 3 says.'),
  'policy-htlc-locktime': hostile('A second-level HTLC transaction has another locktime than its HTLC.'),
  'policy-htlc-sequence': hostile(
    'A second-level HTLC transaction has another sequence than its channel type.',
  ),
  'policy-htlc-to-self-delay': hostile(
    'The output of a second-level HTLC transaction has another delay than the channel.',
  ),
  'policy-htlc-revocation-pubkey': hostile(
    'The output of a second-level HTLC transaction has another revocation key than its commitment.',
  ),
  'policy-htlc-delayed-pubkey': hostile(
    'The output of a second-level HTLC transaction has another delayed key than its commitment.',
  ),
  'policy-htlc-cltv-range': hostile('A second-level HTLC transaction has an expiry that no HTLC may have.'),
  'policy-htlc-fee-range': limited(
    'The fee of a second-level HTLC transaction is outside of the range.',
    'The commitment it belongs to has an extreme fee rate, or somebody burns the HTLC as fees.',
    ['feerateMaxPerKw'],
  ),
  'policy-htlc-belongs': hostile('The output that is spent stands in no commitment that the signer knows.'),
  'policy-mutual-value-matches-commitment': hostile(
    'A mutual close gives us less than our balance and our part of the fee explain.',
  ),
  'policy-mutual-no-pending-htlcs': hostile('A mutual close was asked for while HTLCs are pending.'),
  'policy-mutual-fee-range': limited(
    'The fee of a mutual close is outside of the range.',
    'The two nodes’ fee estimates differ, or the peer or the node burns the balance.',
    ['onchainFeerateMinPerKw', 'onchainFeerateMaxPerKw', 'onchainFeeMaxSat'],
    'Close again with a fee range (CLN: `close` with `feerange`). After a while the node closes alone instead.',
  ),
  'policy-mutual-destination-allowlisted': {
    happened:
      'Our part of a close was to go to a destination that is neither the wallet’s nor on the allowlist.',
    means: 'You closed to an address of another wallet, or somebody with your node did.',
    todo: 'Put the address on the allowlist and close again, or close without a destination.',
  },
  'policy-sweep-version': hostile('A sweep has another transaction version than the spent output needs.'),
  'policy-sweep-sequence': hostile('A sweep has another sequence at the signed input than its delay needs.'),
  'policy-sweep-locktime': hostile('A sweep has a locktime that no HTLC of it needs.'),
  'policy-sweep-destination-allowlisted': hostile(
    'A sweep of a closed channel pays to a destination that is neither the wallet’s nor on the allowlist.',
  ),
  'policy-sweep-fee-range': limited(
    'The fee of a sweep is outside of the range, or too large a part of its value.',
    'A small output at high fees, or a node that burns fees.',
    ['onchainFeerateMinPerKw', 'onchainFeerateMaxPerKw', 'onchainFeeMaxSat', 'sweepFeeMaxPercent'],
    'Wait for lower fees: the node asks again. Nobody else can take this output meanwhile.',
  ),
};

export const ONCHAIN_GUIDE: Guides = { ...ONCHAIN, ...SPENDS };
