/**
 * Rules of law 5 and of key use that hold from the first version: how an input may be signed, whatever its outputs
 * are. Destinations, fees and velocity join them with the rest of law 5.
 */
import { rule } from '../policy/registry.ts';

export const sighashRule = rule({
  tag: 'policy-sighash',
  law: 5,
  severity: 'hard',
  operations: ['onchain', 'cc', 'fc', 'htlc', 'mc', 'sweep'],
  documentation:
    'Every signature commits to the whole transaction (SIGHASH_ALL, taproot DEFAULT), whatever a PSBT asks for. Sole exception: SINGLE|ANYONECANPAY on anchors channels for second-level HTLC transactions and their claims, with one input, one output, index 0.',
});

export const keyUse = rule({
  tag: 'policy-key-use',
  law: 'keys',
  severity: 'hard',
  operations: ['all'],
  documentation:
    'Each key signs only what it is for. The funding key signs commitments, closes, splices, its own anchor and the channel_announcement of its channel; a PSBT is signed only at the inputs named as ours, with the key that owns the spent output.',
});

export const htlcBelongs = rule({
  tag: 'policy-htlc-belongs',
  law: 5,
  severity: 'hard',
  operations: ['htlc', 'sweep'],
  documentation:
    "An HTLC transaction spends an output of a commitment the signer knows: one of ours that is validated and unrevoked, or one of the peer's that we signed and that is unrevoked, with the per-commitment point it was signed with.",
});
