/**
 * The attacks that must fail, as data: what each does, which rule stops it and at which request. The scenarios of this
 * folder carry them out and are checked against this list; docs/attacks.md is made from it.
 */

export interface CatalogueEntry {
  readonly id: string;
  readonly attack: string;
  /** Tags of the rules that stop it; each is seen to do so by some scenario. Empty: something else stops it. */
  readonly refusedBy: readonly string[];
  /** The request that is refused, in words. */
  readonly at: string;
  /** What a reader should know beside it. */
  readonly note?: string;
  /** Why there is no scenario yet. */
  readonly waitsFor?: string;
}

/** Each is the tag of the field that a wrong commitment differs in. */
const FORM_TAGS = [
  'version',
  'locktime',
  'sequence',
  'input-single',
  'input-match-funding',
  'revocation-pubkey',
  'broadcaster-pubkey',
  'countersignatory-pubkey',
  'to-self-delay-range',
  'htlc-revocation-pubkey',
  'htlc-holder-htlc-pubkey',
  'htlc-counterparty-htlc-pubkey',
  'anchors-not-when-off',
  'anchor-to-holder',
  'anchor-to-counterparty',
  'anchor-amount',
  'anchor-static-remotekey',
  'anchor-match-fundingkey',
  'no-unrecognized-outputs',
  'singular-to-holder',
  'singular-to-counterparty',
];

export const LAW_1: readonly CatalogueEntry[] = [
  {
    id: 'A01',
    attack: 'sign our own commitment n−1 for broadcast after its secret was released',
    refusedBy: ['policy-commitment-holder-not-revoked'],
    at: 'sign_commitment_tx, or the same transaction as a mutual close or a splice',
  },
  {
    id: 'A02',
    attack: 'validate n+1, get our own commitment n signed for broadcast, then ask to revoke n',
    refusedBy: ['policy-revoke-not-closed'],
    at: 'revoke_commitment_tx',
  },
  {
    id: 'A03',
    attack: "our own commitment n signed for broadcast, then the peer's next with all value moved",
    refusedBy: ['policy-revoke-not-closed'],
    at: 'sign_remote_commitment_tx',
  },
  {
    id: 'A04',
    attack: 'ask for secret n by each message that can carry it, before n+1 is validated',
    refusedBy: ['policy-revoke-new-commitment-valid'],
    at: 'revoke_commitment_tx, get_per_commitment_point (protocol 5)',
    note: 'validate_commitment_tx never carries a secret, whatever the protocol version.',
  },
  {
    id: 'A05',
    attack: 'validate n+1 with one invalid HTLC signature among many, then revoke n',
    refusedBy: ['policy-revoke-new-commitment-signed', 'policy-revoke-new-commitment-valid'],
    at: 'validate_commitment_tx, then revoke_commitment_tx',
  },
  {
    id: 'A06',
    attack: 'validate n+1 twice with different content, revoke n, broadcast either',
    refusedBy: ['policy-commitment-holder-not-revoked', 'policy-commitment-balance-conserved'],
    at: 'sign_commitment_tx of the first, or validate_commitment_tx of the unfair one',
  },
  {
    id: 'A07',
    attack: "sign the peer's commitment n in two variants, each fair alone, unfair together",
    refusedBy: ['policy-commitment-htlc-routing-balance', 'policy-commitment-balance-conserved'],
    at: 'sign_remote_commitment_tx',
  },
  {
    id: 'A07b',
    attack: 'a ninth variant of one number',
    refusedBy: ['policy-commitment-retry-same'],
    at: 'sign_remote_commitment_tx',
  },
  {
    id: 'A08',
    attack: "skip ahead: sign the peer's commitment n+1 while n−1 is unrevoked",
    refusedBy: ['policy-commitment-previous-revoked'],
    at: 'sign_remote_commitment_tx',
  },
  {
    id: 'A09',
    attack: 'a wrong revocation secret; the right one for another number; one that does not chain',
    refusedBy: ['policy-commitment-previous-revoked'],
    at: 'validate_revocation',
  },
  {
    id: 'A10',
    attack: 'after a mutual close was signed, move value in a new commitment and revoke',
    refusedBy: ['policy-revoke-not-closed'],
    at: 'sign_remote_commitment_tx, validate_commitment_tx, revoke_commitment_tx',
  },
  {
    id: 'A11',
    attack: 'forget a used channel, create it again under the same peer and number, start from commitment 0',
    refusedBy: [
      'policy-channel-original-channel-id-reuse',
      'policy-commitment-holder-not-revoked',
      'policy-commitment-retry-same',
    ],
    at: 'setup_channel; with unchanged parameters at the first commitment',
  },
  {
    id: 'A12',
    attack: 'roll the local store back to an earlier copy and go on',
    refusedBy: ['policy-channel-frozen', 'store-rolled-back'],
    at: 'INIT, with a witness file; without one sign_commitment_tx, once the peer has shown what it knows (check_future_secret)',
    note: 'A store on the same disk cannot see its own rollback, so a node that can write to it can do this. With `witness_file` where the node cannot write, the older copy is not opened; without, only the proof that the peer brings (channel_reestablish) freezes the channel.',
  },
  {
    id: 'A13',
    attack: 'two signer processes on one state, or on two copies of it',
    refusedBy: ['store-locked', 'store-fenced', 'store-rolled-back'],
    at: 'INIT of the second process; of two copies with a witness file, the next change of the first and its next INIT',
    note: 'Two copies are the rollback of A12 in another form: without `witness_file` they are not told apart.',
  },
  {
    id: 'A14',
    attack: 'kill the process between deciding and replying, at every step of an update; ask again',
    refusedBy: ['policy-commitment-holder-not-revoked'],
    at: 'sign_commitment_tx of what was revoked before the last kill',
    note: 'Every repeated request gets the identical reply. `npm run test:kill` does it at random moments of recorded sessions.',
  },
  {
    id: 'A15',
    attack: 'sign a second-level HTLC transaction of a revoked commitment of ours',
    refusedBy: ['policy-commitment-holder-not-revoked'],
    at: 'sign_any_local_htlc_tx',
  },
  {
    id: 'A16',
    attack: 'validate a state that gives away, skip the revocation, sign it for broadcast',
    refusedBy: ['policy-commitment-payment-settled-preimage', 'policy-routing-balanced'],
    at: 'sign_commitment_tx',
  },
  {
    id: 'A17',
    attack: 'a splice is signed, the next commitment validated on it alone, and the old one revoked',
    refusedBy: ['policy-revoke-new-commitment-valid'],
    at: 'revoke_commitment_tx (temporary)',
    note: 'That a splice is locked before it is buried is A17b.',
  },
  {
    id: 'A18',
    attack: 'two fundings of one opening without a common input, both confirm, one is revoked',
    refusedBy: ['policy-candidate-exclusive'],
    at: 'setup_channel or sign_withdrawal of the second',
  },
  {
    id: 'A19',
    attack: 'forget a live channel, then fail the incoming HTLCs of what it forwarded',
    refusedBy: ['policy-routing-balanced'],
    at: 'sign_remote_commitment_tx on the incoming channel',
    note: 'forget_channel is answered, and only marks (policy-channel-forget).',
  },
];

export const LAW_2: readonly CatalogueEntry[] = [
  {
    id: 'A20',
    attack: 'the next commitment moves balance to the peer with no change of HTLCs, in either view',
    refusedBy: ['policy-commitment-balance-conserved'],
    at: 'sign_remote_commitment_tx, validate_commitment_tx',
  },
  {
    id: 'A21',
    attack: 'an offered HTLC is removed as settled, and nobody has its preimage',
    refusedBy: ['policy-commitment-payment-settled-preimage'],
    at: 'sign_remote_commitment_tx, revoke_commitment_tx',
  },
  {
    id: 'A22',
    attack: 'a received HTLC whose preimage we gave away is removed without credit',
    refusedBy: ['policy-commitment-balance-conserved'],
    at: 'revoke_commitment_tx, sign_remote_commitment_tx',
  },
  {
    id: 'A23',
    attack: 'two HTLCs equal in amount, hash and expiry: one is removed, counted twice',
    refusedBy: ['policy-commitment-balance-conserved'],
    at: 'sign_remote_commitment_tx, validate_commitment_tx',
  },
  {
    id: 'A24',
    attack: 'our balance leaks up to a satoshi per update, 10,000 times',
    refusedBy: ['policy-commitment-balance-conserved', 'policy-commitment-dust-outflow'],
    note: 'Balances are kept to the millisatoshi: a satoshi that the peer gets at once is one too many. What is rounded away first, as in an honest channel, is dust outflow, so 10,000 updates lose its budget and no more.',
    at: 'sign_remote_commitment_tx',
  },
  {
    id: 'A25',
    attack: 'the feerate goes to its maximum, and many HTLCs are dust that only miners get',
    refusedBy: ['policy-commitment-dust-exposure'],
    at: 'sign_remote_commitment_tx, revoke_commitment_tx',
  },
  {
    id: 'A26',
    attack: 'one wrong field of a commitment: keys, delay, anchors, extra or swapped outputs, form',
    refusedBy: FORM_TAGS.map((tag) => `policy-commitment-${tag}`),
    at: 'sign_remote_commitment_tx, validate_commitment_tx',
  },
  {
    id: 'A27',
    attack: 'the list of HTLCs and the transaction disagree: one is omitted, or its side flipped',
    refusedBy: ['policy-commitment-no-unrecognized-outputs'],
    at: 'sign_remote_commitment_tx, validate_commitment_tx',
  },
  {
    id: 'A27b',
    attack: 'thousands of updates, each losing 350 sat to a trimmed HTLC that no message mentions',
    refusedBy: ['policy-commitment-dust-outflow'],
    at: 'sign_remote_commitment_tx or revoke_commitment_tx once the budget is used',
  },
  {
    id: 'A27c',
    attack: 'an HTLC visible in one view and trimmed in the other, settled twice',
    refusedBy: ['policy-commitment-balance-conserved'],
    at: 'sign_remote_commitment_tx or validate_commitment_tx',
  },
  {
    id: 'A28',
    attack: 'amounts that sum past 2^64, that wrap below zero, or above 21 million bitcoin',
    refusedBy: ['policy-generic-error'],
    at: 'setup_channel, sign_remote_commitment_tx, validate_commitment_tx',
  },
  {
    id: 'A29',
    attack: 'the first commitment gives the peer more than the push',
    refusedBy: ['policy-commitment-initial-funding-value'],
    at: 'sign_remote_commitment_tx, validate_commitment_tx',
  },
];

export const LAW_3: readonly CatalogueEntry[] = [
  {
    id: 'A30',
    attack: 'offer an HTLC with neither an incoming one nor an approval',
    refusedBy: ['policy-commitment-htlc-offered-hash-matches'],
    at: 'sign_remote_commitment_tx',
  },
  {
    id: 'A31',
    attack: 'a tiny incoming HTLC, a huge outgoing one with the same hash',
    refusedBy: ['policy-commitment-htlc-routing-balance'],
    at: 'sign_remote_commitment_tx',
  },
  {
    id: 'A32',
    attack: 'pay one approved invoice twice, one after the other',
    refusedBy: ['policy-commitment-payment-invoiced'],
    at: 'sign_remote_commitment_tx',
  },
  {
    id: 'A33',
    attack: 'pay one invoice over several channels, together more than amount and fee budget',
    refusedBy: ['policy-commitment-payment-invoiced', 'policy-payment-fee-budget'],
    at: 'sign_remote_commitment_tx',
  },
  {
    id: 'A34',
    attack: 'fail the incoming HTLC while the outgoing one is claimable in any unrevoked commitment',
    refusedBy: ['policy-routing-balanced'],
    at: 'sign_remote_commitment_tx, revoke_commitment_tx',
  },
  {
    id: 'A35',
    attack: 'the outgoing HTLC is settled, then the incoming one failed',
    refusedBy: ['policy-routing-balanced'],
    at: 'sign_remote_commitment_tx',
  },
  {
    id: 'A36',
    attack: 'forward an incoming HTLC that stands in one view only (not irrevocably committed)',
    refusedBy: ['policy-commitment-htlc-routing-balance', 'policy-commitment-htlc-offered-hash-matches'],
    at: 'sign_remote_commitment_tx',
  },
  {
    id: 'A38',
    attack: 'the incoming HTLC expires before, or too soon after, the outgoing one',
    refusedBy: ['policy-routing-cltv-delta'],
    at: 'sign_remote_commitment_tx',
  },
  {
    id: 'A39',
    attack: 'the hashes of incoming and outgoing differ by one bit',
    refusedBy: ['policy-commitment-htlc-offered-hash-matches'],
    at: 'sign_remote_commitment_tx',
  },
  {
    id: 'A40',
    attack:
      'an invoice that expired, has a bad signature, is of another network, or is paid with another amount',
    refusedBy: [
      'policy-invoice-not-expired',
      'policy-invoice-signature',
      'policy-commitment-payment-invoiced',
    ],
    at: 'preapprove_invoice; the amount at sign_remote_commitment_tx',
  },
  {
    id: 'A41',
    attack: 'use up the velocity of payments, restart the signer, go on',
    refusedBy: ['policy-commitment-payment-velocity'],
    at: 'preapprove_invoice',
  },
  {
    id: 'A42',
    attack: 'a keysend is approved, the HTLC has its hash and another amount',
    refusedBy: ['policy-commitment-payment-invoiced'],
    at: 'sign_remote_commitment_tx',
  },
  {
    id: 'A43',
    attack: 'let the payment record lapse by jumps of the clock, then pay again',
    refusedBy: ['policy-commitment-payment-invoiced', 'policy-commitment-payment-approved'],
    at: 'sign_remote_commitment_tx',
  },
  {
    id: 'A45',
    attack: 'get paid for an invoice, then send the same amount out under the same hash',
    refusedBy: ['policy-commitment-htlc-offered-hash-matches'],
    at: 'sign_remote_commitment_tx',
  },
  {
    id: 'A49',
    attack: 'a keysend to an allowlisted payee, the HTLC to a colluding peer',
    refusedBy: ['policy-commitment-payment-approved'],
    at: 'preapprove_keysend, sign_remote_commitment_tx',
  },
];

export const LAW_4: readonly CatalogueEntry[] = [
  {
    id: 'A17b',
    attack: 'lock_outpoint of a signed splice before it is buried, so that the old funding is forgotten',
    refusedBy: ['policy-revoke-new-commitment-valid'],
    at: 'lock_outpoint (temporary)',
  },
  {
    id: 'A37',
    attack: 'forward from a channel whose funding is unconfirmed, spent or reorganised away',
    refusedBy: [
      'policy-commitment-htlc-received-spends-active-utxo',
      'policy-commitment-spends-active-utxo',
      'policy-commitment-htlc-routing-balance',
    ],
    at: 'sign_remote_commitment_tx, of the incoming channel already while its funding is unconfirmed',
  },
  {
    id: 'A44',
    attack: 'leave an expired outgoing HTLC in place, send nothing more, let the incoming one time out',
    refusedBy: ['policy-commitment-htlc-cltv-range', 'policy-routing-abandon-unresolved'],
    at: 'sign_remote_commitment_tx of anything but its removal; alarm at the deadline, and remedies',
    note: 'With `source = "node"` the signer has no way to the network: what it would publish is listed by `remedies`. With a source of its own it publishes.',
  },
  {
    id: 'A46',
    attack:
      'the peer funds 1,000 sat (or a foreign script), setup says 10 BTC, forward real money against it',
    refusedBy: ['policy-channel-funding-onchain'],
    at: 'lock_outpoint, sign_remote_commitment_tx',
  },
  {
    id: 'A47',
    attack: 'a zero-conf or one block deep incoming channel: forward, then double-spend its funding',
    refusedBy: ['policy-commitment-htlc-received-spends-active-utxo'],
    at: 'sign_remote_commitment_tx',
  },
  {
    id: 'A48',
    attack: 'downstream claims on chain with the preimage, the node hides it, upstream times out',
    refusedBy: ['policy-routing-balanced'],
    at: 'sign_remote_commitment_tx that fails the incoming HTLC; alarm at the deadline',
    note: 'The preimage is taken from the witness; the incoming HTLC can be claimed with it.',
  },
];

export const CHAIN: readonly CatalogueEntry[] = [
  {
    id: 'A70',
    attack: 'fake blocks: bad proof of work, wrong difficulty, unconnected, times that are warped',
    refusedBy: ['policy-chain-validated'],
    at: 'countersign_headers',
  },
  {
    id: 'A71',
    attack: 'a block with a transaction left out, added or doubled (CVE-2012-2459), or with other witnesses',
    refusedBy: ['policy-chain-proof'],
    at: 'countersign_block_chunk',
  },
  {
    id: 'A72',
    attack: 'withhold the contents of blocks, or blocks altogether; show a chain that few mine',
    refusedBy: ['policy-commitment-spends-active-utxo'],
    at: 'sign_remote_commitment_tx with a new HTLC of ours (temporary); alarm',
    note: 'Here headers come without contents. A chain that is silent or slow raises the alarms `chain-silent` and `hashrate` (policy-chain-hashrate), not on regtest, where blocks come when somebody wants one: that is shown by packages/core/test/chain-alarms.test.ts.',
  },
  {
    id: 'A73',
    attack: 'a reorg removes the funding, and the channel goes on',
    refusedBy: ['policy-commitment-spends-active-utxo'],
    at: 'sign_remote_commitment_tx (temporary)',
  },
  {
    id: 'A74',
    attack: 'the peer publishes a revoked commitment with HTLCs, at any age',
    refusedBy: ['policy-commitment-spends-active-utxo', 'policy-routing-balanced'],
    at: 'sign_remote_commitment_tx of this channel, and of one that would let go of an HTLC that paid; alarm, justice',
  },
  {
    id: 'A75',
    attack: 'one of two oracles attests; one attests for another chain',
    refusedBy: ['policy-chain-oracle-quorum'],
    at: 'the block that should count',
    note: 'No oracle can be configured yet. The judgement itself is tested by packages/core/test/chain-alarms.test.ts.',
    waitsFor: 'oracles in the configuration',
  },
  {
    id: 'A76',
    attack: 'malformed messages about the chain: pieces out of order, too long, of another block; garbage',
    refusedBy: ['policy-generic-error'],
    at: 'countersign_block_chunk, countersign_headers',
    note: 'Bytes that are no message close their connection; the others go on.',
  },
];

export const LAW_5: readonly CatalogueEntry[] = [
  {
    id: 'A50',
    attack: 'a delay of 1 block for the peer, of 60,000 for us',
    refusedBy: [
      'policy-channel-contest-delay-range-counterparty',
      'policy-channel-contest-delay-range-holder',
    ],
    at: 'setup_channel',
  },
  {
    id: 'A51',
    attack: "the funding output pays the attacker's script, or its value is off by one",
    refusedBy: ['policy-onchain-output-scriptpubkey', 'policy-onchain-output-match-commitment'],
    at: 'sign_withdrawal',
  },
  {
    id: 'A52',
    attack: 'sign the funding before commitment 0 is countersigned',
    refusedBy: ['policy-onchain-initial-commitment-countersigned'],
    at: 'sign_withdrawal',
  },
  {
    id: 'A53',
    attack: 'withdraw to an unknown address',
    refusedBy: ['policy-onchain-no-unknown-outputs'],
    at: 'sign_withdrawal',
  },
  {
    id: 'A54',
    attack: 'a spend is approved, another is signed: one more output, or a higher fee',
    refusedBy: ['policy-onchain-no-unknown-outputs', 'policy-onchain-fee-range'],
    at: 'sign_withdrawal',
  },
  {
    id: 'A55',
    attack: 'segwit v0 inputs with false amounts, signed twice in different combinations (fee burn)',
    refusedBy: ['policy-onchain-input-amounts-proven'],
    at: 'sign_withdrawal',
  },
  {
    id: 'A56',
    attack: 'change to wallet index 2^31−1',
    refusedBy: ['policy-onchain-wallet-path-predictable'],
    at: 'sign_withdrawal',
  },
  {
    id: 'A57',
    attack: 'a mutual close to a foreign script; short by more than the fee share; with HTLCs pending',
    refusedBy: [
      'policy-mutual-destination-allowlisted',
      'policy-mutual-value-matches-commitment',
      'policy-mutual-no-pending-htlcs',
    ],
    at: 'sign_mutual_close_tx',
  },
  {
    id: 'A58',
    attack: 'a mutual close with an allowlisted script of a team peer counted as ours',
    refusedBy: ['policy-onchain-shared-allowlist'],
    at: 'sign_mutual_close_tx',
  },
  {
    id: 'A59',
    attack: 'a sweep that pays 99 % to fees',
    refusedBy: ['policy-sweep-fee-range'],
    at: 'sign_delayed_payment_to_us',
  },
  {
    id: 'A60',
    attack: 'a sweep whose input 1 has the sequence that input 0 would need',
    refusedBy: ['policy-sweep-sequence'],
    at: 'sign_delayed_payment_to_us',
  },
  {
    id: 'A61',
    attack: 'an anchor spend or a mingled HTLC transaction that drains a wallet input to a foreign output',
    refusedBy: ['policy-onchain-no-unknown-outputs'],
    at: 'sign_anchorspend, sign_htlc_tx_mingle',
  },
  {
    id: 'A62',
    attack: "gossip, message, bolt12 and secret requests made to be another protocol's signature",
    refusedBy: ['policy-generic-error'],
    at: 'each of these requests',
  },
  {
    id: 'A63',
    attack: 'a splice whose new funding gives our share away; a splice without countersigned commitments',
    refusedBy: ['policy-commitment-initial-funding-value', 'policy-onchain-initial-commitment-countersigned'],
    at: 'sign_splice_tx (the signature of the shared input), sign_withdrawal of the coins that go in',
    note: 'While a coin of the wallet still has to be signed, the shared input may be: CLN asks for it early.',
  },
  {
    id: 'A64',
    attack: 'a PSBT asks for NONE, SINGLE or ANYONECANPAY on wallet inputs',
    refusedBy: ['policy-sighash'],
    at: 'sign_withdrawal, sign_anchorspend',
  },
  {
    id: 'A65',
    attack: 'an anchor spend or withdrawal that carries the funding outpoint as one more input',
    refusedBy: ['policy-key-use'],
    at: 'sign_anchorspend, sign_withdrawal',
  },
  {
    id: 'A66',
    attack: 'a channel_announcement of 258 bytes and a BIP 143 preimage that spends the funding',
    refusedBy: ['policy-key-use'],
    at: 'sign_any_cannouncement_req, cannouncement_sig_req',
  },
  {
    id: 'A67',
    attack: 'INIT for regtest, or with dev_force fields, on a mainnet seed',
    refusedBy: ['policy-init-binding', 'store-bound-elsewhere'],
    at: 'INIT',
  },
  {
    id: 'A68',
    attack: 'the peer sets 250,000 per kw on a static_remotekey channel with many HTLCs of ours',
    refusedBy: ['policy-commitment-fee-range'],
    at: 'sign_remote_commitment_tx, revoke_commitment_tx',
  },
  {
    id: 'A69',
    attack: 'wallet money paid to the delayed script of a revoked commitment of ours',
    refusedBy: ['policy-onchain-no-unknown-outputs'],
    at: 'sign_htlc_tx_mingle',
  },
];

export const CATALOGUE: readonly CatalogueEntry[] = [
  ...LAW_1,
  ...LAW_2,
  ...LAW_3,
  ...LAW_4,
  ...LAW_5,
  ...CHAIN,
];
