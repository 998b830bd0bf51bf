/** The rules of law 3 that commitments are judged by: each payment conserves value over all channels. */
import { rule, softRule } from '../policy/registry.ts';

const GIVES = ['cc', 'rev', 'fc'] as const;

export const offeredHashMatches = rule({
  tag: 'policy-commitment-htlc-offered-hash-matches',
  law: 3,
  severity: 'hard',
  operations: GIVES,
  documentation:
    'An HTLC offered by us has an incoming HTLC or an approval with its payment hash. What was credited beyond what it had to cover is income and covers nothing any more; a hash of an invoice of ours is no forward.',
});

export const routingBalance = rule({
  tag: 'policy-commitment-htlc-routing-balance',
  law: 3,
  severity: 'hard',
  operations: GIVES,
  documentation:
    'A forward pays out at most what comes in: the incoming HTLCs of its hash, each irrevocably committed (in every commitment that could reach the chain), less what they cover already. While only an older variant that the peer never acknowledged makes it too much, the refusal is temporary.',
});

export const routingBalanced = rule({
  tag: 'policy-routing-balanced',
  law: 3,
  severity: 'hard',
  operations: GIVES,
  documentation:
    'An incoming HTLC is released without credit only when the outgoing one it covers is gone from every unrevoked commitment. While only an older variant that the peer never acknowledged stands in the way, the refusal is temporary. An outgoing HTLC below the trim line stands in nobody’s way: nothing may show that it has failed, so it counts as dust outflow until it is seen to be gone.',
});

export const noRouting = softRule({
  tag: 'policy-no-routing',
  law: 3,
  operations: GIVES,
  presets: ['wallet', 'merchant'],
  documentation: 'Optional: no forwards at all. An HTLC offered by us must be a payment of our own.',
});

export const routingFeeMin = softRule({
  tag: 'policy-routing-fee-min',
  law: 3,
  operations: GIVES,
  documentation: 'A forward earns at least `routing_fee_min_msat`, by default nothing.',
});

export const abandonUnresolved = softRule({
  tag: 'policy-routing-abandon-unresolved',
  law: 3,
  operations: GIVES,
  documentation:
    'Releasing the incoming HTLC while the outgoing one is expired but unresolved loses the payment if the peer claims it after all. Allowed only up to `abandon_unresolved_max_sat` (default 0), counted as a fee; it needs the chain view to know that the outgoing HTLC expired.',
});
