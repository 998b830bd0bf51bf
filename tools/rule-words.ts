/** How the generated pages speak of rules: the sections of the laws, operations, severities, links. */
import { LAWS, type Law, type Operation, type Rule } from '@countersign/core';

export interface Section {
  readonly law: Law;
  readonly title: string;
  readonly promise: string;
}

export const SECTIONS: readonly Section[] = [
  ...LAWS.map(({ number, title, promise }) => ({
    law: number,
    title: `Law ${number}: ${title}`,
    promise,
  })),
  { law: 'keys', title: 'Keys', promise: 'Each key signs only what it is for.' },
  { law: 'setup', title: 'Set-up', promise: 'What holds before and beside the laws.' },
  {
    law: 'chain',
    title: 'Chain',
    promise: 'What the signer believes about the chain is proven to it, block by block.',
  },
  {
    law: 'form',
    title: 'Form',
    promise: 'What every request must be, whatever it asks for.',
  },
];

export const OPERATIONS: Readonly<Record<Operation, string>> = {
  init: 'the start of a session',
  new: 'a new channel number',
  setup: 'the parameters of a channel or of one more funding',
  cc: 'sign a commitment of the counterparty',
  hc: 'validate a commitment of the holder',
  rev: 'revoke a commitment of the holder',
  vr: 'validate a revocation of the counterparty',
  fc: 'sign a commitment of the holder for broadcast',
  htlc: 'sign a second-level HTLC transaction',
  mc: 'sign a mutual close',
  sweep: 'claim an output of a commitment',
  onchain: 'sign a wallet input, a funding or a splice',
  pay: 'preapprove a payment',
  block: 'take a block into the chain view',
  rpc: 'other requests of the node',
  all: 'every request',
};

export const SEVERITY: Readonly<Record<Rule['severity'], string>> = {
  hard: 'hard: always refuses',
  soft: 'soft: refuses; may be set to `warn`, as the preset `permissive` does',
  approver: 'approver: refuses until the operator or an automatic rule approves',
};

/** GitHub's anchor of a heading that is a tag. */
export const linkTo = (tag: string, page = ''): string => `[${tag}](${page}#${tag})`;

export const code = (text: string): string => `\`${text}\``;

/** The operations that rules name, as a table. */
export function operationsTable(rules: readonly Rule[]): string[] {
  const used = new Set(rules.flatMap((rule) => rule.operations));
  return [
    '| operation | what it is |',
    '|---|---|',
    ...Object.entries(OPERATIONS)
      .filter(([name]) => used.has(name as Operation))
      .map(([name, meaning]) => `| \`${name}\` | ${meaning} |`),
    '',
  ];
}
