/** Signers without some part of law 2, the balance of each channel. */
import type { Mutant } from './mutant.ts';

const EXPLAIN = 'packages/core/src/ledger/explain.ts';
const JUDGE = 'packages/core/src/ledger/judge.ts';
const LIMITS = 'packages/core/src/ledger/limits.ts';
const KNOWLEDGE = 'packages/core/src/ledger/knowledge.ts';
const MATCH = 'packages/bitcoin/src/bolt3/match.ts';

/** What is lost invisibly is soon seen where little of it is allowed. */
const LITTLE_DUST = 'dust_outflow_velocity = { amount_sat = 200, per = "day" }';

/** What is lost in fractions of a satoshi takes hundreds of updates even so. */
const HARDLY_ANY_DUST = 'dust_outflow_velocity = { amount_sat = 10, per = "day" }';

export const LAW_2: readonly Mutant[] = [
  {
    id: 'balance-believed',
    law: 2,
    attackIds: ['A20'],
    description: 'believes that our output is what it should be, whatever the transaction has there',
    theft: 'the next commitment gives our balance to the peer, with no HTLC changed',
    edits: [
      {
        file: EXPLAIN,
        find: 'return expectedMsat >= seenMsat && expectedMsat < seenMsat + 1000n ? expectedMsat : seenMsat;',
        replace: 'return seenMsat < 0n ? seenMsat : expectedMsat;',
      },
    ],
  },
  {
    id: 'own-balance-unexplained',
    law: 2,
    attackIds: ['A20'],
    description: 'asks of our own commitments no explanation of the balance',
    theft: 'has a commitment of ours validated that leaves us nothing, and the one before revoked',
    edits: [
      {
        file: JUDGE,
        find: '  if (!explained.ok) return refuseUnexplained(channel, proposal, observed, explained);',
        replace: `  if (!explained.ok && proposal.view === 'holder') return { ledger: before, observed, added: [], fates: [] };
  if (!explained.ok) return refuseUnexplained(channel, proposal, observed, explained);`,
      },
    ],
  },
  {
    id: 'peer-balance-unexplained',
    law: 2,
    attackIds: ['A20'],
    description: "asks of the peer's commitments no explanation of the balance",
    theft: "has a commitment of the peer's signed that leaves us nothing",
    edits: [
      {
        file: JUDGE,
        find: '  if (!explained.ok) return refuseUnexplained(channel, proposal, observed, explained);',
        replace: `  if (!explained.ok && proposal.view === 'counterparty') return { ledger: before, observed, added: [], fates: [] };
  if (!explained.ok) return refuseUnexplained(channel, proposal, observed, explained);`,
      },
    ],
  },
  {
    id: 'settled-without-preimage',
    law: 2,
    attackIds: ['A21'],
    description: 'lets an HTLC of ours be settled by a preimage that the signer never saw',
    theft: 'settles the outgoing HTLC of a forward and keeps the preimage; the incoming one times out',
    edits: [
      {
        file: KNOWLEDGE,
        find: 'return isWarn && (isPermissive || !backsIncoming(record));',
        replace: 'return isPermissive || isWarn || record !== undefined;',
      },
    ],
  },
  {
    id: 'removed-counts-as-credited',
    law: 2,
    attackIds: ['A22'],
    description: 'books every received HTLC that was removed as credited',
    theft: 'fails the incoming HTLC while the outgoing one is settled: the value went back to its sender',
    edits: [
      {
        file: EXPLAIN,
        find: "if (offeredBy === 'counterparty' && isOurs) fates.push",
        replace: "if (offeredBy === 'counterparty') fates.push",
      },
    ],
  },
  {
    id: 'equal-htlcs-are-one',
    law: 2,
    attackIds: ['A23'],
    description: 'takes HTLCs that are equal in every field for one',
    theft: 'removes one of two equal HTLCs of ours without giving it back',
    edits: [
      {
        file: 'packages/core/src/ledger/htlc-set.ts',
        find: 'return { added, gone: before.rest(), hidden: hidden.rest() };',
        replace: `const still = new Set(next.map(htlcKey));
  return { added, gone: before.rest().filter((htlc) => !still.has(htlcKey(htlc))), hidden: hidden.rest() };`,
      },
    ],
  },
  {
    id: 'rounding-is-free',
    law: 2,
    attackIds: ['A24'],
    description: 'takes what rounding could make for no loss',
    theft: 'takes a satoshi with every update, without end',
    policyLines: [HARDLY_ANY_DUST],
    edits: [
      {
        file: EXPLAIN,
        find: '  const driftMsat = before.driftMsat + holderMsat - explainedMsat + foundMsat;',
        replace:
          '  const driftMsat = before.driftMsat + (lossMsat > 0n && lossMsat < 2000n ? 0n : holderMsat - explainedMsat) + foundMsat;',
      },
    ],
  },
  {
    id: 'dust-exposure-unlimited',
    law: 2,
    attackIds: ['A25'],
    description: 'lets any value be in flight without an output',
    theft: 'raises the fee rate until the HTLCs of forwards have no output, and publishes that commitment',
    policyLines: ['dust_exposure_sat = 2_000', 'dust_exposure_per_feerate_sat = 0'],
    edits: [
      {
        file: LIMITS,
        find: '  if (dustSat > dustMax) {',
        replace: '  if (dustSat > dustMax && dustSat < 0n) {',
      },
    ],
  },
  {
    id: 'dust-outflow-unlimited',
    law: 2,
    attackIds: ['A27b'],
    description: 'counts what leaves invisibly, and never says that it is too much',
    theft: 'has a little of our balance vanish with each update, in HTLCs that no message mentions',
    policyLines: [LITTLE_DUST],
    edits: [
      {
        file: 'packages/core/src/ledger/dust.ts',
        find: '  if (amountMsat > 0n && flowed + amountMsat > limit.amountSat * 1000n) {',
        replace: '  if (amountMsat < 0n && flowed + amountMsat > limit.amountSat * 1000n) {',
      },
    ],
  },
  {
    id: 'first-commitment-unjudged',
    law: 2,
    attackIds: ['A29'],
    description: 'takes any division of the funding for commitment 0',
    theft: 'once the funding is signed, another commitment 0 gives it to the peer',
    edits: [
      {
        file: JUDGE,
        find: '  if (dueMsat < 0n || holderMsat < dueMsat) {',
        replace: '  if (dueMsat < 0n) {',
      },
    ],
  },
  {
    id: 'feerate-unlimited',
    law: 2,
    attackIds: ['A25'],
    description: 'signs commitments of any fee rate',
    theft: 'raises the rate of a channel that we funded until our balance is the fee',
    edits: [
      {
        file: LIMITS,
        find: '  if (rate < limits.feerateMinPerKw || rate > max) {',
        replace: '  if (rate < limits.feerateMinPerKw) {',
      },
    ],
  },
  {
    id: 'peer-sets-htlc-fees',
    law: 2,
    attackIds: ['A68'],
    description: 'lets the peer as funder set a rate where HTLC transactions pay fees',
    theft: 'sets 250,000 per kw with HTLCs of ours in flight, which their own transactions then burn',
    edits: [
      {
        file: LIMITS,
        find: 'const peerPays = !setup.isOutbound && hasAnchors(setup.format);',
        replace: 'const peerPays = !setup.isOutbound && setup.format.length > 0;',
      },
    ],
  },
  {
    id: 'any-output-is-to-remote',
    law: 2,
    attackIds: ['A26'],
    description: 'takes an output of unknown script for to_remote where there are no HTLCs',
    theft: "in the peer's commitment our balance pays to a script of the peer",
    edits: [
      {
        file: MATCH,
        find: '    const kind = mainKind(scripts, output);',
        replace: `    const isFree = expectation.htlcs.length === 0 && indices.to_remote === null;
    const kind = mainKind(scripts, output) ?? (isFree ? 'to_remote' : null);`,
      },
    ],
  },
];
