/** Signers without some part of law 1, the ratchet. */
import type { Mutant } from './mutant.ts';

const HOLDER = 'packages/core/src/ratchet/holder.ts';
const COUNTERPARTY = 'packages/core/src/ratchet/counterparty.ts';
const SETUP = 'packages/core/src/channel/setup.ts';

export const LAW_1: readonly Mutant[] = [
  {
    id: 'revoked-for-broadcast',
    law: 1,
    attackIds: ['A01'],
    description: 'signs a commitment of ours whose secret has left',
    theft: 'the node has it signed after its revocation, and the peer punishes it with the secret',
    edits: [
      {
        file: HOLDER,
        find: `  const carried = commitmentNumberFrom(tx, obscureFactorOf(ctx, channel));
  if (carried === null`,
        replace: `  if (number < record.holderNextRevoke) return;
  const carried = commitmentNumberFrom(tx, obscureFactorOf(ctx, channel));
  if (carried === null`,
      },
    ],
  },
  {
    id: 'revoke-after-broadcast',
    law: 1,
    attackIds: ['A02'],
    description: 'gives the secret of a commitment that it has signed for broadcast',
    theft: 'publishes the signed commitment and takes all of it with the secret',
    edits: [
      {
        file: HOLDER,
        find: `  requireReleased(channel);
  if (isClosing(record)) {`,
        replace: `  requireReleased(channel);
  if (record.mutualCloseSigned) {`,
      },
    ],
  },
  {
    id: 'unjudged-while-closing',
    law: 1,
    attackIds: ['A03'],
    description: "signs whatever the peer's next commitment says once our own was signed for broadcast",
    theft: "has ours signed, then the peer's with all value moved to the peer, and publishes that one",
    edits: [
      {
        file: COUNTERPARTY,
        find: `  if (known === undefined) {
    requireVariantAllowed`,
        replace: `  if (known === undefined && !isClosing(channel.record)) {
    requireVariantAllowed`,
      },
      {
        file: COUNTERPARTY,
        find: '  } else if (known !== issued.at(-1)) {',
        replace: '  } else if (known !== undefined && known !== issued.at(-1)) {',
      },
    ],
  },
  {
    id: 'moves-on-after-close',
    law: 1,
    attackIds: ['A10'],
    description: 'goes on with a channel whose mutual close is signed',
    theft: 'pays us over the channel after the close was signed, has that forwarded, and publishes the close',
    edits: [
      {
        file: HOLDER,
        find: 'return record.mutualCloseSigned || record.holderSigned !== null;',
        replace: 'return record.holderSigned !== null;',
      },
    ],
  },
  {
    id: 'revoke-unvalidated',
    law: 1,
    attackIds: ['A04'],
    description: 'gives a secret whose successor was never validated',
    theft: 'leaves the owner without any commitment to publish, so that the funding stays where it is',
    edits: [
      {
        file: HOLDER,
        find: '  if (live.length === 0 || behind.length > 0) {',
        replace: '  if (live.length === 0) {',
      },
    ],
  },
  {
    id: 'htlc-signature-unchecked',
    law: 1,
    attackIds: ['A05'],
    description: "takes any bytes for the peer's signature on an HTLC transaction of ours",
    theft: 'has the commitment before it revoked; the HTLC transaction of the new one is never valid',
    edits: [
      {
        file: HOLDER,
        find: '!ctx.secp.verifyEcdsa(hash, signature.signature, judged.keys.countersignatoryHtlc)',
        replace: 'hash.length === 0',
      },
    ],
  },
  {
    id: 'commitment-signature-unchecked',
    law: 1,
    attackIds: ['A05'],
    description: "takes any bytes for the peer's signature on a commitment of ours",
    theft: 'has the commitment before it revoked; the new one can never be published',
    edits: [
      {
        file: HOLDER,
        find: '!ctx.secp.verifyEcdsa(hash, request.sig.signature, candidate.counterpartyFundingKey)',
        replace: 'hash.length === 0',
      },
    ],
  },
  {
    id: 'giving-commitment-for-broadcast',
    law: 1,
    attackIds: ['A16'],
    description: 'signs a validated successor for broadcast without judging what it gives away',
    theft: 'validates a state without the incoming HTLC of a forward, and has that one signed for broadcast',
    edits: [
      {
        file: HOLDER,
        find: 'validated.ledger === null ? judgedForBroadcast(ctx, channel, candidate, validated) : record;',
        replace:
          'judgedForBroadcast.length < 0 ? judgedForBroadcast(ctx, channel, candidate, validated) : record;',
      },
    ],
  },
  {
    id: 'revoke-on-one-funding',
    law: 1,
    attackIds: ['A17'],
    description: 'gives a secret when the next commitment is validated on one of several fundings',
    theft:
      'validates only on a splice that will never confirm; nothing is left to publish on the funding there is',
    edits: [
      {
        file: HOLDER,
        find: '  if (live.length === 0 || behind.length > 0) {',
        replace: '  if (live.length === 0 || behind.length === live.length) {',
      },
    ],
  },
  {
    id: 'lock-unburied',
    law: 1,
    attackIds: ['A17'],
    description: 'locks a funding that its own chain does not show',
    theft: 'locks a splice that never confirms: the commitments on the old funding are dropped',
    showsAtTheEnd: true,
    edits: [
      {
        file: 'packages/core/src/time/burial.ts',
        find: 'return isZeroConf(ctx.policy, scopeOf(channel.record)) && !named.isSplice ? named : null;',
        replace: 'return isZeroConf(ctx.policy, scopeOf(channel.record)) || named !== null ? named : null;',
      },
      // The second line of defence: no lock drops a funding of the chain that holds something of ours.
      {
        file: 'packages/core/src/time/other-fundings.ts',
        find: 'if (ctx.chain === null) return;',
        replace: 'if (ctx !== null) return;',
      },
    ],
  },
  {
    id: 'two-fundings',
    law: 1,
    attackIds: ['A18'],
    description: 'signs rounds of an opening that may both confirm',
    theft: 'confirms both: the commitments on the one that the channel does not live on are revoked',
    edits: [
      {
        file: 'packages/core/src/spending/fundings.ts',
        find: 'if (spends.length === 0 || spends.some(',
        replace: 'if (spends.length >= 0 || spends.some(',
      },
      // The second line of defence: nothing goes on while two of them can hold something of ours.
      {
        file: 'packages/core/src/time/other-fundings.ts',
        find: 'ctx.chain === null || record.candidates.length === 1) return;',
        replace: 'ctx.chain === null || record.candidates.length >= 1) return;',
      },
    ],
  },
  {
    id: 'forgets-live-channel',
    law: 1,
    attackIds: ['A19'],
    description: 'deletes the record of a channel that the node forgets',
    theft: 'forgets a live channel: the owner has nothing to publish any more, and no secret to punish with',
    edits: [
      {
        file: 'packages/core/src/channel/lifecycle.ts',
        find: 'saveChannel(ctx, id, { ...record, forgotten: true });',
        replace: 'ctx.draft.put(channelRecords, id, null);',
      },
    ],
  },
  {
    id: 'channel-begins-again',
    law: 1,
    attackIds: ['A11'],
    description: 'sets a used channel up again under the same number, with its ratchet at the start',
    theft: 'begins the channel again and has the secrets of its first life revealed in the second',
    edits: [
      {
        file: SETUP,
        find: '  if (!isUntouched(record, ctx.chain)) {',
        replace: '  if (!isUntouched(record, ctx.chain) && record.frozen) {',
      },
    ],
  },
  {
    id: 'any-revocation-secret',
    law: 1,
    attackIds: ['A09'],
    description: 'takes a revocation by a secret that does not open the point that was signed for',
    theft: 'reveals the secrets of another seed, and publishes a revoked commitment that nobody can punish',
    edits: [
      {
        file: COUNTERPARTY,
        find: '!equalBytes(ctx.secp.publicKey(request.perCommitmentSecret), signed.point)',
        replace: 'signed.point.length === 0',
      },
    ],
  },
  {
    id: 'secrets-need-not-chain',
    law: 1,
    attackIds: ['A09'],
    description: 'takes revocation secrets that do not derive from one another, and loses those before',
    theft: 'uses unrelated secrets, and publishes an old commitment whose secret is gone',
    edits: [
      {
        file: COUNTERPARTY,
        find: '  if (!inserted.ok) {',
        replace: '  if (!inserted.ok && number < 0) {',
      },
      {
        file: COUNTERPARTY,
        find: 'counterpartySecrets: inserted.store.entries,',
        replace: 'counterpartySecrets: inserted.ok ? inserted.store.entries : record.counterpartySecrets,',
      },
    ],
  },
  {
    id: 'two-points-of-one-number',
    law: 1,
    attackIds: ['A07'],
    description: 'signs variants of one number with different points',
    theft: 'revokes the number by the secret of one point, and publishes the variant of the other',
    edits: [
      {
        file: COUNTERPARTY,
        find: '  if (!equalBytes(known.point, point)) {',
        replace: '  if (point.length === 0) {',
      },
    ],
  },
  {
    id: 'only-the-last-variant',
    law: 1,
    attackIds: ['A07', 'A34'],
    description: "counts of the peer's unrevoked commitments only the last that was signed",
    theft: 'has the outgoing HTLC taken out, fails the incoming one, and publishes the commitment before',
    edits: [
      {
        file: 'packages/core/src/channel/live.ts',
        find: "for (const content of candidate.issued) add('counterparty', content);",
        replace: "for (const content of candidate.issued.slice(-1)) add('counterparty', content);",
      },
    ],
  },
  {
    id: 'other-funding-stranded',
    law: 1,
    attackIds: ['A18'],
    description:
      'goes on with a channel while another funding of it can be on the chain with something of ours',
    theft:
      'has a round mined that it paid for itself, lets the owner revoke commitment 0 there, and publishes the round that the wallet paid for',
    edits: [
      {
        file: 'packages/core/src/time/other-fundings.ts',
        find: 'ctx.chain === null || record.candidates.length === 1) return;',
        replace: 'ctx.chain === null || record.candidates.length >= 1) return;',
      },
    ],
  },
  {
    id: 'splice-of-anything',
    law: 1,
    attackIds: ['A63'],
    description: 'signs a splice of what the node calls a funding, whatever the chain has there',
    theft:
      'names a coin of its own that has no witness: the splice, with a coin of ours in it, comes under a txid on which nothing was signed',
    edits: [
      {
        file: 'packages/core/src/spending/spend.ts',
        find: 'for (const funding of sums.spent) requireMined(ctx, funding);',
        replace: 'for (const funding of sums.spent) if (funding.index < 0) requireMined(ctx, funding);',
      },
    ],
  },
  {
    id: 'splice-beside',
    law: 1,
    attackIds: ['A18'],
    description: 'signs a splice of a round beside the one that the channel lives on, and goes on',
    theft: 'has an HTLC of ours offered on both, and claims it on each',
    edits: [
      {
        file: 'packages/core/src/spending/fundings.ts',
        find: 'requireNothingBeside(ctx, { id, record }, candidate, tx.inputs);',
        replace: 'if (spent.length === 0) requireNothingBeside(ctx, { id, record }, candidate, tx.inputs);',
      },
      // The second line of defence: a splice that is signed counts as one that can come.
      {
        file: 'packages/core/src/time/other-fundings.ts',
        find: 'if (!candidate.fundingSigned) return false;',
        replace: 'if (candidate.isSplice || !candidate.fundingSigned) return false;',
      },
    ],
  },
];
