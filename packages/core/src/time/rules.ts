/** The rules of law 4: what must be claimed can still be claimed. */
import { rule, softRule } from '../policy/registry.ts';

export const routingCltvDelta = softRule({
  tag: 'policy-routing-cltv-delta',
  law: 4,
  operations: ['cc', 'rev', 'fc'],
  carriesPromise: true,
  documentation:
    'For every expiry of an outgoing HTLC of a payment, what goes out with that expiry or later is covered by what comes in at least `cltv_delta_blocks` later, by credit, or by approval: exact for several parts of one hash. What is settled may be covered by any incoming HTLC that expires more than `claim_margin_blocks` above the tip.',
});

export const htlcCltvRange = softRule({
  tag: 'policy-commitment-htlc-cltv-range',
  law: 4,
  operations: ['cc', 'rev', 'fc'],
  carriesPromise: true,
  documentation:
    'A newly offered HTLC expires less than `cltv_max_blocks` above the height of the chain view, and one of a payment of our own more than `cltv_margin_blocks` above it; a forward needs an incoming HTLC that lives longer (`policy-routing-cltv-delta`). A received one outside of it is accepted, since strangers can send it, but covers no forward. Standing ones have a deadline: `deadline_grace_blocks` after its expiry for an offered HTLC, `claim_margin_blocks` before it for a received one whose preimage is known and that covers what went out; from then on no commitment may still have it, and the channel belongs on the chain.',
});

export const spendsActiveUtxo = softRule({
  tag: 'policy-commitment-spends-active-utxo',
  law: 4,
  operations: ['cc', 'rev'],
  carriesPromise: true,
  documentation:
    'Commitments after the first need a funding that has a commitment of ours and is buried `funding_depth_blocks` deep and not spent, by the chain view; depth 0 only where the operator marked the channel or its peer zero-conf. Temporary: it passes when the block has come.',
});

export const receivedSpendsActiveUtxo = softRule({
  tag: 'policy-commitment-htlc-received-spends-active-utxo',
  law: 4,
  operations: ['cc', 'rev'],
  carriesPromise: true,
  documentation:
    'An incoming HTLC covers a forward only on a channel whose funding is buried `payment_depth_blocks` deep and not spent, by the chain view; a zero-conf mark does not change that, and what is credited before is income and covers nothing. A funding counts with a commitment of ours on it; a splice, when we signed it. Temporary while the funding is awaited; for good once it is spent. What a buried commitment has to be claimed covers what went out before, and nothing new.',
});

export const fundingOnchain = rule({
  tag: 'policy-channel-funding-onchain',
  law: 4,
  severity: 'hard',
  operations: ['cc', 'rev', 'fc'],
  documentation:
    'The buried funding output is what the channel was set up with: exactly its 2-of-2 script, exactly its value. A peer could otherwise fund ten coins with a thousand satoshi: its signatures commit to any amount.',
});
