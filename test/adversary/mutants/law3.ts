/** Signers without some part of law 3, the balance of each payment. */
import type { Edit, Mutant } from './mutant.ts';

const BALANCE = 'packages/core/src/payments/balance.ts';
const CONSERVE = 'packages/core/src/payments/conserve.ts';
const JUDGE = 'packages/core/src/payments/judge.ts';
const PART = 'packages/core/src/payments/part.ts';
const APPROVALS = 'packages/core/src/payments/approvals.ts';
const FEE_BUDGET = 'packages/core/src/payments/fee-budget.ts';

/** Law 4 adds up the same amounts once more, by their expiry. */
const IN_TIME: Edit = {
  file: 'packages/core/src/time/forwards.ts',
  find: '  if (late === null) return null;\n  const missingMsat',
  replace: '  if (late === null || late.outgoingMsat > 0n) return null;\n  const missingMsat',
};

export const LAW_3: readonly Mutant[] = [
  {
    id: 'offer-without-counterpart',
    law: 3,
    attackIds: ['A30'],
    description: 'offers an HTLC that nothing covers and nobody approved',
    theft: 'offers our balance to a peer that knows the preimage',
    edits: [
      {
        file: CONSERVE,
        find: '  const amountMsat = msat(outMsat(record) - coverMsat(record));',
        replace: `  if (!isForward) return record;
  const amountMsat = msat(outMsat(record) - coverMsat(record));`,
      },
    ],
  },
  {
    id: 'any-cover-is-enough',
    law: 3,
    attackIds: ['A31'],
    description: 'lets any incoming HTLC cover any amount under its hash',
    theft: 'a peer sends a thousand satoshi and has a hundred times as much forwarded',
    edits: [
      {
        file: BALANCE,
        find: `export function deficitMsat(record: PaymentRecord, nowSeconds: number): bigint {`,
        replace: `export function deficitMsat(record: PaymentRecord, nowSeconds: number): bigint {
  if (coverMsat(record) > 0n) return 0n;`,
      },
      // The fee that a forward earns, and what covers it in time, compare the same amounts again.
      {
        file: CONSERVE,
        find: '    earned < step.limits.routingFeeMinMsat,',
        replace: '    earned < step.limits.routingFeeMinMsat - out,',
      },
      IN_TIME,
    ],
  },
  {
    id: 'settled-is-forgotten',
    law: 3,
    attackIds: ['A32'],
    description: 'forgets what a payment has settled once no HTLC of it stands',
    theft: 'pays one approved invoice again and again',
    edits: [
      {
        file: JUDGE,
        find: 'settledMsat: record.settledMsat + larger(part.settledHolderMsat, part.settledCounterpartyMsat),',
        replace: 'settledMsat: record.settledMsat,',
      },
    ],
  },
  {
    id: 'channels-counted-apart',
    law: 3,
    attackIds: ['A33'],
    description: 'compares what goes out under a hash channel by channel',
    theft: 'pays one approved invoice over every channel at once',
    edits: [
      {
        file: BALANCE,
        find: 'return record.parts.reduce((sum, part) => sum + part.outMsat, record.settledMsat);',
        replace:
          'return record.parts.reduce((most, part) => larger(most, part.outMsat), record.settledMsat);',
      },
      IN_TIME,
    ],
  },
  {
    id: 'release-at-any-time',
    law: 3,
    attackIds: ['A34', 'A35'],
    description: 'lets an incoming HTLC go whatever the outgoing one has come to',
    theft: 'fails the incoming HTLC of a forward whose outgoing one is settled or stands',
    edits: [
      {
        file: CONSERVE,
        find: '  if (!grows) return refuseRelease(ctx, step, record);',
        replace: '  if (!grows) return record;',
      },
    ],
  },
  {
    id: 'one-view-is-enough',
    law: 3,
    attackIds: ['A36'],
    description: 'counts an incoming HTLC that stands in one of the commitments',
    theft:
      "adds the incoming HTLC to the peer's commitment only, has it forwarded, and it never comes to ours",
    edits: [
      {
        file: PART,
        find: '    inMsat = least(inMsat, isOurs ? sums.receivedMsat + credited : 0n);',
        replace: '    inMsat = larger(inMsat ?? 0n, sums.receivedMsat + credited);',
      },
    ],
  },
  {
    id: 'income-covers-again',
    law: 3,
    attackIds: ['A45'],
    description: 'lets what was received for good cover an HTLC that goes out under its hash',
    theft: 'gets an invoice of the owner paid, and sends the same amount on to a peer',
    edits: [
      {
        file: BALANCE,
        find: '  return record.invoice === null ? positive(inMsat(record) - record.incomeMsat) : 0n;',
        replace: '  return positive(inMsat(record) - record.incomeMsat);',
      },
      {
        file: BALANCE,
        find: '  const incomeMsat = larger(surplus, record.incomeMsat);',
        replace: '  const incomeMsat = surplus < 0n ? surplus : record.incomeMsat;',
      },
    ],
  },
  {
    id: 'approved-amount-unbound',
    law: 3,
    attackIds: ['A42'],
    description: 'lets any amount go out under a hash that has an approval',
    theft: 'offers ten times the amount of an approved invoice to its payee, who is a friend',
    edits: [
      {
        file: FEE_BUDGET,
        find: '  if (feeMsat <= approval.feeBudgetMsat) return;',
        replace: '  if (feeMsat <= approval.feeBudgetMsat || feeMsat > 0n) return;',
      },
    ],
  },
  {
    id: 'fee-budget-unbound',
    law: 3,
    attackIds: ['A42'],
    description: 'allows a routing fee as large as the payment',
    theft: 'pays an approved invoice through a peer that keeps the other half',
    edits: [
      {
        file: FEE_BUDGET,
        find: '  return msat(budget < max ? budget : max);',
        replace: '  return msat((budget < max ? budget : max) + amountMsat);',
      },
    ],
  },
  {
    id: 'paid-record-retires-early',
    law: 3,
    attackIds: ['A43'],
    description: 'forgets a payment once nothing of it stands',
    theft: 'has the invoice approved again and pays it again',
    edits: [
      {
        file: BALANCE,
        find: 'approval === null && invoice === null && isSquare(record)',
        replace: 'invoice === null',
      },
    ],
  },
  {
    id: 'keysend-proves-payee',
    law: 3,
    attackIds: ['A49'],
    description: 'believes the node whom a keysend pays',
    theft: 'names the payee on the allowlist, and offers the HTLC to a peer that knows the preimage',
    edits: [
      {
        file: APPROVALS,
        find: "(kind === 'invoice' ? payee : null);",
        replace: '(kind.length > 0 ? payee : null);',
      },
    ],
  },
  {
    id: 'every-payee-allowed',
    law: 3,
    attackIds: ['A40'],
    description: 'approves the invoices of every node',
    theft: 'has an invoice of its own approved and pays it with our balance',
    edits: [
      {
        file: APPROVALS,
        find: "const isPayee = (entry: AllowlistEntry) => entry.kind === 'payee' && entry.text === text;",
        replace: "const isPayee = (entry: AllowlistEntry) => entry.kind === 'payee' && text.length > 0;",
      },
    ],
  },
  {
    id: 'claim-on-chain-is-no-loss',
    law: 3,
    attackIds: ['A35', 'A48'],
    description: 'takes an outgoing HTLC that was claimed on the chain for one that came back',
    theft: 'claims the outgoing HTLC on the chain, and has the incoming one failed off it',
    edits: [
      {
        file: 'packages/core/src/chain/resolution.ts',
        find: "  if (offeredBy === 'holder' && preimage !== null) return 'settled';",
        replace: "  if (offeredBy === 'holder' && preimage !== null) return 'failed';",
      },
      // Whoever knows the preimage credits the incoming HTLC, whatever became of the outgoing one.
      {
        file: 'packages/core/src/chain/monitor.ts',
        find: '    if (preimage !== null) learn(place, preimage);',
        replace: '    if (preimage !== null && preimage.length === 0) learn(place, preimage);',
      },
    ],
  },
];
