/**
 * The rules of law 1 (the ratchet). The hard rules of commitment form that it stands on are in `form-rules.ts`.
 */
import { rule } from '../policy/registry.ts';

export const holderNotRevoked = rule({
  tag: 'policy-commitment-holder-not-revoked',
  law: 1,
  severity: 'hard',
  operations: ['fc', 'htlc', 'hc'],
  documentation:
    'A holder commitment is signed for broadcast, spent from, or validated only while its secret has never left the signer. Publishing a revoked commitment lets the peer take everything.',
});
export const previousRevoked = rule({
  tag: 'policy-commitment-previous-revoked',
  law: 1,
  severity: 'hard',
  operations: ['cc', 'vr'],
  documentation:
    'A counterparty commitment n is signed only if n−2 and older are revoked by a secret that matches the point we signed for and chains in the BOLT 3 secret store.',
});
export const retrySame = rule({
  tag: 'policy-commitment-retry-same',
  law: 1,
  severity: 'hard',
  operations: ['cc', 'hc'],
  documentation:
    'A repeated commitment number has identical content, or it is the newest unrevoked number and this is an admissible variant of it; at most 8 variants of one number, all with the same per-commitment point.',
});
export const newCommitmentSigned = rule({
  tag: 'policy-revoke-new-commitment-signed',
  law: 1,
  severity: 'hard',
  operations: ['hc', 'rev'],
  documentation:
    "All of the peer's signatures on the next holder commitment (the commitment's and every HTLC's) are valid before the current one may be revoked.",
});
export const newCommitmentValid = rule({
  tag: 'policy-revoke-new-commitment-valid',
  law: 1,
  severity: 'hard',
  operations: ['rev'],
  documentation:
    'The secret of holder commitment n leaves the signer only after n+1 was validated on every live candidate funding and is durable.',
});
export const revokeNotClosed = rule({
  tag: 'policy-revoke-not-closed',
  law: 1,
  severity: 'hard',
  operations: ['rev', 'cc', 'hc'],
  documentation:
    'After a holder commitment was signed for broadcast, or a mutual close was signed, there is no new commitment of either side and no revocation, ever.',
});
export const channelFrozen = rule({
  tag: 'policy-channel-frozen',
  law: 1,
  severity: 'hard',
  operations: ['all'],
  documentation:
    'A secret shown to us was right for a commitment this store never revoked: the store was rolled back. The channel signs no commitment and revokes nothing any more; only sweeps remain. The operator’s kill switch does the same until it is released.',
});
export const channelIdReuse = rule({
  tag: 'policy-channel-original-channel-id-reuse',
  law: 1,
  severity: 'hard',
  operations: ['setup'],
  documentation:
    'A (peer, dbid) pair is set up again only if nothing of its former channel went beyond commitment 0 and we never signed its funding; an outpoint is never the funding of two channels. The same pair means the same secrets.',
});
export const channelForget = rule({
  tag: 'policy-channel-forget',
  law: 1,
  severity: 'hard',
  operations: ['rpc'],
  documentation:
    'Forgetting a channel only marks it: its ratchet stays on record, so a forgotten channel cannot begin again from commitment 0.',
});
export const candidateExclusive = rule({
  tag: 'policy-candidate-exclusive',
  law: 1,
  severity: 'hard',
  operations: ['setup', 'onchain', 'cc', 'rev', 'rpc'],
  documentation:
    'A channel has at most 16 live candidate fundings, and only a known candidate can be locked. Two of them never both confirm: no transaction creates two, a splice that we sign spends a funding of its channel that the chain has, in the place of every one that holds something of ours, and a round of an opening has an input of every other one that we signed; our wallet signs for none when another is mined. A peer may still have several rounds mined that it alone paid for, beside one of ours too: while two fundings that hold something of ours are on the chain, or one of our wallet’s can come there, nothing is signed or revoked beyond commitment 0 and no lock drops one of them (temporary); the channel can be closed, on each of them. All of them count as live until one is locked. CLN may lock another round of an opening than the mined one: until number 0 is revoked, the first commitment beyond it names the funding, and then no other can.',
});
