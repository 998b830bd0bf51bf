/** Signers without some part of law 4, time, and of what they believe about the chain. */
import type { Mutant } from './mutant.ts';

const INCOMING = 'packages/core/src/time/incoming.ts';
const FORWARDS = 'packages/core/src/time/forwards.ts';
/** Commitments may go on after one block, so that only the depth of payments stands between a short reorg and a forward. */
const SHALLOW_FUNDINGS = 'funding_depth_blocks = 1';
const RESOLUTION = 'packages/core/src/chain/resolution.ts';

export const LAW_4: readonly Mutant[] = [
  {
    id: 'any-funding-counts',
    law: 4,
    attackIds: ['A37'],
    description: 'lets HTLCs cover forwards whose funding is unconfirmed, spent or reorganised away',
    theft: 'forwards over a channel whose funding is taken back, or closed in an older state',
    policyLines: [SHALLOW_FUNDINGS],
    edits: [
      {
        file: INCOMING,
        find: '  const closing = ctx.draft.get(closingRecords, channel);',
        replace:
          "  if (record.peerId.length > 0) return 'buried';\n  const closing = ctx.draft.get(closingRecords, channel);",
      },
    ],
  },
  {
    id: 'one-block-is-deep-enough',
    law: 4,
    attackIds: ['A47'],
    description: 'lets HTLCs cover forwards whose funding is one block deep',
    theft: 'forwards over a fresh channel, and double-spends its funding with a short reorg',
    policyLines: [SHALLOW_FUNDINGS],
    edits: [
      {
        file: INCOMING,
        find: 'status.depthBlocks < paymentDepthBlocks',
        replace: 'status.depthBlocks < Math.min(1, paymentDepthBlocks)',
      },
    ],
  },
  {
    id: 'funding-value-unchecked',
    law: 4,
    attackIds: ['A46'],
    description: 'believes the node how much a funding is worth',
    theft:
      'funds a channel with a thousand satoshi, says it has a million, and has real money forwarded over it',
    edits: [
      {
        file: 'packages/core/src/chain/fundings.ts',
        find: '  return output.valueSat === valueSat && equalBytes(output.script, own);',
        replace: '  return output.valueSat <= valueSat && equalBytes(output.script, own);',
      },
    ],
  },
  {
    id: 'any-round-counts',
    law: 4,
    attackIds: ['A46'],
    description: 'takes a funding for one of the channel’s though no commitment of ours is on it',
    theft:
      'has a second round of an opening mined, a gift with nothing signed on it, and pays over the first, which is nowhere',
    edits: [
      {
        file: 'packages/core/src/chain/ours.ts',
        find: '(!candidate.isSplice || candidate.fundingSigned) && currentContent(record, candidate) !== undefined;',
        replace: 'record.candidates.includes(candidate);',
      },
    ],
  },
  {
    id: 'expiry-order-unchecked',
    law: 4,
    attackIds: ['A38'],
    description: 'forwards an HTLC that expires after the one that pays for it',
    theft: 'takes the incoming HTLC back at its expiry, and claims the outgoing one afterwards',
    edits: [
      {
        file: FORWARDS,
        find: '  if (late === null) return null;\n  const missingMsat',
        replace: '  if (late === null || late.outgoingMsat > 0n) return null;\n  const missingMsat',
      },
    ],
  },
  {
    id: 'late-cover-counts',
    law: 4,
    attackIds: ['A38'],
    description: 'lets an incoming HTLC that is about to expire cover what is settled',
    theft: 'settles the outgoing HTLC when the incoming one can no longer be claimed in time',
    edits: [
      {
        file: FORWARDS,
        find: '  if (missingMsat <= earlyMissingMsat(ctx, step, step.before)) return;',
        replace: '  if (missingMsat <= earlyMissingMsat(ctx, step, step.before) || missingMsat > 0n) return;',
      },
    ],
  },
  {
    id: 'no-deadline',
    law: 4,
    attackIds: ['A44'],
    description: 'never takes a channel to the chain by itself',
    theft: 'sends nothing more: the expired outgoing HTLC stays until the incoming one has timed out',
    edits: [
      {
        file: 'packages/host/src/chain/ends.ts',
        find: "some(({ level }) => level === 'passed');",
        replace: "some(({ level }) => level === 'passed' && id === '');",
      },
    ],
  },
  {
    id: 'any-contest-delay',
    law: 4,
    attackIds: ['A50'],
    description: 'opens channels with any contest delay',
    theft:
      'gives itself a delay of one block, and has a revoked commitment spent before anybody can punish it',
    edits: [
      {
        file: 'packages/core/src/channel/setup-rules.ts',
        find: '    if (delay >= min && delay <= max) continue;',
        replace: '    if (delay >= 0 && delay <= 65_535) continue;',
      },
    ],
  },
  {
    id: 'shallow-close-decides',
    law: 'chain',
    attackIds: ['A73'],
    description: 'takes a close for final with its first block',
    theft:
      'closes without the outgoing HTLC, fails the incoming one, and reorganises to the commitment that has it',
    edits: [
      {
        file: RESOLUTION,
        find: '    chain.provenHeightBlocks - heightBlocks + 1 >= resolveDepthBlocks;',
        replace: '    chain.provenHeightBlocks - heightBlocks + 1 >= Math.min(1, resolveDepthBlocks);',
      },
    ],
  },
  {
    id: 'reorg-takes-nothing-back',
    law: 'chain',
    attackIds: ['A73'],
    description: 'keeps what a block had brought when the block is gone',
    theft: 'has a funding buried, reorganises it away, and forwards over the channel all the same',
    edits: [
      {
        file: 'packages/core/src/chain/rollback.ts',
        find: '  if (!isLate(output.created) && !isLate(output.spent)) return output;',
        replace: '  if (!isLate(output.created) || !isLate(output.spent)) return output;',
      },
    ],
  },
  {
    id: 'block-content-unproven',
    law: 'chain',
    attackIds: ['A71'],
    description: 'believes the node what is in a block',
    theft: 'shows a funding in a block that does not have it, and has real money forwarded over the channel',
    edits: [
      {
        file: 'packages/bitcoin/src/block-reader.ts',
        find: '    if (!equalBytes(root, header.merkleRoot))',
        replace: '    if (!equalBytes(root, header.merkleRoot) && root.length === 0)',
      },
      {
        file: 'packages/bitcoin/src/block-reader.ts',
        find: '    if (!equalBytes(hash256(root, reserved), script.subarray(6, COMMITMENT_BYTES_MIN)))',
        replace:
          '    if (!equalBytes(hash256(root, reserved), script.subarray(6, COMMITMENT_BYTES_MIN)) && root.length === 0)',
      },
    ],
  },
];
