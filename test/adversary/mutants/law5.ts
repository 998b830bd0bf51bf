/** Signers without some part of law 5, destinations and fees. */
import type { Mutant } from './mutant.ts';

const SPEND = 'packages/core/src/spending/spend.ts';
const SUMS = 'packages/core/src/spending/sums.ts';
const FUNDINGS = 'packages/core/src/spending/fundings.ts';
const FEES = 'packages/core/src/spending/fees.ts';
const CLOSE = 'packages/core/src/spending/close.ts';
const SWEEP_RULES = 'packages/core/src/spending/sweep-rules.ts';
const SWEEPS = 'packages/core/src/spending/sweeps.ts';
const INPUTS = 'packages/core/src/spending/inputs.ts';
const ANCHORS = 'packages/core/src/spending/anchors.ts';
const APPROVALS = 'packages/core/src/spending/approvals.ts';

/** Fees of a window that are soon used up. */
const LITTLE_FEES = 'fee_velocity = { amount_sat = 30_000, per = "day" }';

export const LAW_5: readonly Mutant[] = [
  {
    id: 'withdraws-anywhere',
    law: 5,
    attackIds: ['A53'],
    description: 'needs no approval for any destination',
    theft: 'withdraws the wallet to an address of the thief',
    edits: [
      {
        file: SPEND,
        find: '  const missing = unapprovedOutputs(ctx, tx, needed, fundings);',
        replace:
          '  const missing: readonly PendingOutput[] = fundings.length < 0 ? unapprovedOutputs(ctx, tx, needed, fundings) : [];',
      },
    ],
  },
  {
    id: 'every-address-allowed',
    law: 5,
    attackIds: ['A53'],
    description: 'takes every address for one of the allowlist',
    theft: 'withdraws the wallet, closes and sweeps to an address of the thief',
    edits: [
      {
        file: 'packages/core/src/spending/allowlist.ts',
        find: 'return address !== null && sameAddress(entry.text, address);',
        replace: 'return address !== null && entry.text.length > 0;',
      },
    ],
  },
  {
    id: 'approval-of-another-transaction',
    law: 5,
    attackIds: ['A54'],
    description: 'lets an approved output stand in any transaction, as often as it comes',
    theft: 'has the approved payment signed again and again from other coins',
    edits: [
      {
        file: APPROVALS,
        find: '  const covered = [...(approvalOf(ctx, txidToHex(txid(tx)))?.outputs ?? [])];',
        replace: `  const covered = indexedApprovals(ctx.draft).flatMap(({ kind, id }) => (kind === 'onchain' ? (approvalOf(ctx, id)?.outputs ?? []) : []));`,
      },
      {
        file: APPROVALS,
        find: 'import { indexApproval }',
        replace: 'import { indexApproval, indexedApprovals }',
      },
    ],
  },
  {
    id: 'amounts-believed',
    law: 5,
    attackIds: ['A55'],
    description: 'believes the amounts of segwit v0 inputs, each time anew',
    theft:
      'has two inputs signed in two requests, each time with a lie about the other, and burns one as fee',
    edits: [
      {
        file: 'packages/core/src/spending/spend-form.ts',
        find: '  if (psbt.unsignedTx.inputs.length === 1) return;',
        replace: '  if (psbt.unsignedTx.inputs.length > 0) return;',
      },
      {
        file: SUMS,
        find: `    const claims = [...named, ...before].filter((one) => one.index === index);
    const output = psbtSpentOutput(psbt, index);`,
        replace: `    const claims = [...named, ...before.slice(0, 0)].filter((one) => one.index === index);
    const output = psbtSpentOutput(psbt, index);`,
      },
    ],
  },
  {
    id: 'funding-script-unchecked',
    law: 5,
    attackIds: ['A51'],
    description: "signs a funding whose output is not the channel's 2-of-2",
    theft: 'opens a channel whose funding pays to a script of the thief',
    edits: [
      {
        file: FUNDINGS,
        find: '  if (!equalBytes(output.script, script)) {',
        replace: '  if (!equalBytes(output.script, script) && script.length === 0) {',
      },
    ],
  },
  {
    id: 'funding-before-commitment',
    law: 5,
    attackIds: ['A52'],
    description: 'signs a funding before its first commitment is countersigned',
    theft: 'the peer never signs: the funding can be spent by both together only',
    edits: [
      {
        file: FUNDINGS,
        find: '  if (candidate.validated.length === 0) {',
        replace: '  if (candidate.validated.length === 0 && candidate.issued.length === 0) {',
      },
    ],
  },
  {
    id: 'push-unapproved',
    law: 5,
    attackIds: ['A29'],
    description: 'takes the whole value of a new channel for ours',
    theft: 'opens a channel that pushes all of it to the peer',
    edits: [
      {
        file: SUMS,
        find: 'const createdSat = created.reduce((sum, { balanceSat }) => sum + balanceSat, 0n);',
        replace: 'const createdSat = created.reduce((sum, { candidate }) => sum + candidate.valueSat, 0n);',
      },
      {
        file: SPEND,
        find: '  const gifts = giftsOf(psbt, sums);',
        replace: '  const gifts = giftsOf(psbt, sums).slice(0, 0);',
      },
    ],
  },
  {
    id: 'close-to-anybody',
    law: 5,
    attackIds: ['A57'],
    description: 'takes every script of a mutual close for ours',
    theft: 'closes to a script of the thief',
    edits: [
      {
        file: CLOSE,
        find: '  if (!isAllowlisted(ctx, script)) return false;',
        replace: '  if (!isAllowlisted(ctx, script)) return true;',
      },
    ],
  },
  {
    id: 'close-with-htlcs',
    law: 5,
    attackIds: ['A57'],
    description: 'signs a close while HTLCs are pending',
    theft: 'closes the channel whose incoming HTLC pays for one that stands elsewhere',
    edits: [
      {
        file: CLOSE,
        find: '  if (pending === undefined) return;',
        replace: '  if (pending === undefined || pending.number >= 0) return;',
      },
    ],
  },
  {
    id: 'claims-signed-loosely',
    law: 5,
    attackIds: ['A64', 'A69'],
    description: "signs claims on the peer's anchors commitment SINGLE|ANYONECANPAY",
    theft: 'carries the claim into a withdrawal, where its output makes up for a coin that goes to the thief',
    edits: [
      {
        file: SWEEPS,
        find: `    sighash: inputSighash(request.tx, sweep.input, request.wscript, SIGHASH_ALL),
    sighashType: SIGHASH_ALL,
  };
}

/** The expiry`,
        replace: `    sighash: inputSighash(request.tx, sweep.input, request.wscript, request.optionAnchorOutputs ? 0x83 : SIGHASH_ALL),
    sighashType: request.optionAnchorOutputs ? 0x83 : SIGHASH_ALL,
  };
}

/** The expiry`,
      },
    ],
  },
  {
    id: 'inputs-forgotten',
    law: 5,
    attackIds: ['A55', 'A59'],
    description: 'judges each input of a sweep as if it were the only one that is signed',
    theft: 'burns one of two claims as the fee of the other',
    edits: [
      {
        file: 'packages/core/src/spending/signed-inputs.ts',
        find: '  if (tx.inputs.length === 1) return [input];',
        replace: '  if (tx.inputs.length > 0) return [input];',
      },
    ],
  },
  {
    id: 'sweep-fee-unlimited',
    law: 5,
    attackIds: ['A59'],
    description: 'lets a sweep pay any fee',
    theft: 'burns the delayed outputs of a force close, or has a friend mine them',
    edits: [
      {
        file: SWEEP_RULES,
        find: `  requireFee(ctx, sweepFeeRange, scope, { feeSat, weight, weightMin });
  if (sweep.isUncontested) requireShare(ctx, scope, feeSat, inSat, weight);
  else requireAboveDust`,
        replace: `  if (feeSat < 0n) requireFee(ctx, sweepFeeRange, scope, { feeSat, weight, weightMin });
  if (sweep.isUncontested && feeSat < 0n) requireShare(ctx, scope, feeSat, inSat, weight);
  else requireAboveDust`,
      },
    ],
  },
  {
    id: 'sweep-to-anybody',
    law: 5,
    attackIds: ['A59'],
    description: 'sweeps to any script',
    theft: 'has the delayed output of a force close swept to a script of the thief',
    edits: [
      {
        file: SWEEP_RULES,
        find: '    if (isOurs(ctx, script)) return;',
        replace: '    if (isOurs(ctx, script) || script.length > 0) return;',
      },
    ],
  },
  {
    id: 'bump-to-anybody',
    law: 5,
    attackIds: ['A61'],
    description: 'lets a fee bump pay to any script',
    theft: 'drains a coin of the wallet beside an anchor or an HTLC',
    edits: [
      {
        file: ANCHORS,
        find: '    if (!isOurs(ctx, script)) {',
        replace: '    if (!isOurs(ctx, script) && script.length === 0) {',
      },
    ],
  },
  {
    id: 'paired-with-anything',
    law: 5,
    attackIds: ['A69'],
    description: 'counts wallet money beside a P2WSH output as an HTLC with its own output',
    theft: 'pays wallet money to a script that the peer may take, in a transaction for an HTLC that is none',
    edits: [
      {
        file: ANCHORS,
        find: '  if (commitment === null || output === undefined) return false;',
        replace: `  if (commitment === null && output !== undefined) return output.script.length === 34;
  if (commitment === null || output === undefined) return false;`,
      },
    ],
  },
  {
    id: 'message-is-a-sighash',
    law: 5,
    attackIds: ['A62'],
    description: 'signs messages with wallet keys without a prefix',
    theft: 'has the BIP 143 preimage of a spend of the wallet signed as a message',
    edits: [
      {
        file: 'packages/core/src/keys/digests.ts',
        find: '  return hash256(BITCOIN_PREFIX, compactSize(message.length), message);',
        replace: '  return BITCOIN_PREFIX.length > compactSize(0).length ? hash256(message) : message;',
      },
    ],
  },
  {
    id: 'announcement-unparsed',
    law: 5,
    attackIds: ['A66'],
    description: 'signs the double hash of whatever follows 258 bytes with the funding key',
    theft: 'hides the BIP 143 preimage of a spend of the funding in a channel_announcement',
    edits: [
      {
        file: 'packages/core/src/identity/gossip.ts',
        find: '  const announcement = parseAnnouncement(message);\n',
        replace: `  if (message.length > 0) return { kind: 'sign-channel-announcement', digest, channel, reply };
  const announcement = parseAnnouncement(message);
`,
      },
    ],
  },
  {
    id: 'sighash-as-asked',
    law: 5,
    attackIds: ['A64'],
    description: 'signs wallet inputs over as much of the transaction as the PSBT asks for',
    theft: 'asks for NONE, and lets the signed input pay to the thief',
    edits: [
      {
        file: INPUTS,
        find: 'if (asked === undefined || asked === SIGHASH.ALL ||',
        replace: 'if (asked === undefined || asked > 0 ||',
      },
      {
        file: INPUTS,
        find: 'segwitV0Sighash(segwit, input.index, input.scriptCode, input.spent.value, SIGHASH.ALL);',
        replace:
          'segwitV0Sighash(segwit, input.index, input.scriptCode, input.spent.value, psbtSighashType(psbt, input.index) ?? SIGHASH.ALL);',
      },
    ],
  },
  {
    id: 'splice-shares-unjudged',
    law: 5,
    attackIds: ['A63'],
    description: 'signs a splice without asking where our share goes',
    theft: 'splices our balance out to a script of the thief',
    edits: [
      {
        file: 'packages/core/src/spending/splice.ts',
        find: '  judgeShares(ctx, candidate, request);\n  return',
        replace: '  if (candidate.valueSat < 0n) judgeShares(ctx, candidate, request);\n  return',
      },
    ],
  },
  {
    id: 'onchain-fee-unlimited',
    law: 5,
    attackIds: ['A59'],
    description: 'lets on-chain transactions pay any fee',
    theft: 'burns a coin of the wallet as fee, or has a friend mine it',
    edits: [
      {
        file: FEES,
        find: '  const facts = { fee_sat: feeSat, weight };\n',
        replace: '  const facts = { fee_sat: feeSat, weight };\n  if (feeSat > 0n) return;\n',
      },
    ],
  },
  {
    id: 'fee-velocity-uncounted',
    law: 5,
    attackIds: ['A41'],
    description: 'never says that fees are too many',
    theft: 'pays a high fee from one address of ours to another, over and over',
    policyLines: [LITTLE_FEES],
    edits: [
      {
        file: FEES,
        find: "  else if (!tryFlow(ctx, 'fee', limit, newSat * 1000n)) {",
        replace: "  else if (!tryFlow(ctx, 'fee', limit, newSat * 1000n) && newSat < 0n) {",
      },
    ],
  },
  {
    id: 'velocity-forgotten-by-restart',
    law: 5,
    attackIds: ['A41'],
    description: 'begins every velocity at nothing when the signer starts',
    theft: 'uses the budget up, restarts the signer, and goes on',
    policyLines: [LITTLE_FEES],
    edits: [
      {
        file: 'packages/host/src/memory.ts',
        find: 'const value = stored.value === null ? null : decodeRecord(kind, stored.value);',
        replace:
          "const isLost = stored.value === null || key.startsWith('velocity/');\n    const value = isLost ? null : decodeRecord(kind, stored.value);",
      },
    ],
  },
];
