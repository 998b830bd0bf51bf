/** Signers that do not save what they could: their requests are judged as ever, their rescues are wrong. */
import type { Mutant } from './mutant.ts';

const CLAIMS = 'packages/core/src/remedies/close-claims.ts';
const OWN = 'packages/core/src/remedies/own-commitment.ts';

export const REMEDIES: readonly Mutant[] = [
  {
    id: 'no-penalty',
    law: 'remedies',
    attackIds: ['A74'],
    description: "does not take the peer's main output of a revoked commitment",
    theft: 'publishes an old commitment that gave the peer more',
    edits: [
      {
        file: CLAIMS,
        find: "  if (kind !== 'counterparty-revoked') return null;\n  const main",
        replace: "  if (kind !== 'counterparty-revoked' || of.role.length > 0) return null;\n  const main",
      },
    ],
  },
  {
    id: 'no-penalty-of-htlcs',
    law: 'remedies',
    attackIds: ['A74'],
    description: 'does not take the HTLC outputs of a revoked commitment',
    theft: 'publishes an old commitment whose value was in HTLCs',
    edits: [
      {
        file: CLAIMS,
        find: "  if (secondLevel === null || of.htlc === null) return 'no-key-material';\n  const witnessScript",
        replace:
          "  if (secondLevel !== null || of.htlc === null) return 'no-key-material';\n  const witnessScript",
      },
    ],
  },
  {
    id: 'breach-unseen',
    law: 'remedies',
    attackIds: ['A74'],
    description: 'takes a commitment that was revoked after it was published for a current one',
    theft: 'revokes a commitment that is on its way into a block',
    edits: [
      {
        file: 'packages/core/src/remedies/plan.ts',
        find: "  if (kind === 'counterparty' && number < record.counterpartyNextRevoke) return 'counterparty-revoked';",
        replace: "  if (kind === 'counterparty' && number < 0) return 'counterparty-revoked';",
      },
    ],
  },
  {
    id: 'timeout-unpublishable',
    law: 'remedies',
    attackIds: ['A44'],
    description: 'signs HTLC-timeout transactions with the wrong witness',
    theft: 'leaves HTLCs of ours to expire on our own commitment, and claims them later',
    edits: [
      {
        file: OWN,
        find: '      encodeScriptSignature(signature, countersignatoryHtlcSighash(format)),\n',
        replace: '      encodeScriptSignature(signature, SIGHASH.ALL | 0x80),\n',
      },
    ],
  },
  {
    id: 'expired-htlc-left',
    law: 'remedies',
    attackIds: ['A44'],
    description: "does not take our expired HTLC back from the peer's commitment",
    theft: 'closes with its own commitment and claims the outgoing HTLC after the incoming one is gone',
    edits: [
      {
        file: CLAIMS,
        find: "  if (htlc.offeredBy === 'holder') {\n    const { cltvExpiry } = htlc;",
        replace: "  if (htlc.offeredBy === 'holder' && csvBlocks < 0) {\n    const { cltvExpiry } = htlc;",
      },
    ],
  },
  {
    id: 'preimage-of-witness-ignored',
    law: 'remedies',
    attackIds: ['A48'],
    description: 'does not learn the preimage that a claim on the chain shows',
    theft: 'claims the outgoing HTLC on the chain; the incoming one times out',
    edits: [
      {
        file: 'packages/core/src/chain/monitor.ts',
        find: '    if (preimage !== null) learn(place, preimage);',
        replace: '    if (preimage !== null && preimage.length === 0) learn(place, preimage);',
      },
    ],
  },
  {
    id: 'second-funding-left',
    law: 'remedies',
    attackIds: ['A18'],
    description: 'closes one of two fundings of a channel that are on the chain, and forgets the other',
    theft: 'has two rounds of an opening mined, and never closes the one that is left',
    edits: [
      {
        file: 'packages/core/src/remedies/fundings-to-close.ts',
        find: '  if (left.length > 0 || read(closingRecords, id) !== null) return left;',
        replace:
          '  if (read(closingRecords, id) !== null) return [];\n  if (left.length > 0) return left.slice(0, 1);',
      },
    ],
  },
];
