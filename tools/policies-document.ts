/**
 * Renders `docs/policies.md` from the registry of rules in `core`. Pure: the same registry gives the same text.
 */
import { LAWS, type Law, type Operation, type Rule } from '@countersign/core';

interface Section {
  readonly law: Law;
  readonly title: string;
  readonly promise: string;
}

const SECTIONS: readonly Section[] = [
  ...LAWS.map(({ number, title, promise }) => ({
    law: number,
    title: `Law ${number}: ${title}`,
    promise,
  })),
  { law: 'keys', title: 'Keys', promise: 'Each key signs only what it is for.' },
  { law: 'setup', title: 'Set-up', promise: 'What holds before and beside the laws.' },
  {
    law: 'form',
    title: 'Form',
    promise: 'What every request must be, whatever it asks for.',
  },
];

const OPERATIONS: Readonly<Record<Operation, string>> = {
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

const SEVERITY: Readonly<Record<Rule['severity'], string>> = {
  hard: 'hard: always refuses',
  soft: 'soft: refuses; may be set to `warn`, as the preset `permissive` does',
  approver: 'approver: refuses until the operator or an automatic rule approves',
};

function ruleSection(rule: Rule): string[] {
  const operations = rule.operations.map((operation) => `\`${operation}\``).join(', ');
  return [
    `### ${rule.tag}`,
    '',
    `${SEVERITY[rule.severity]} · operations: ${operations}`,
    '',
    rule.documentation,
    '',
  ];
}

function lawSection({ title, promise }: Section, rules: readonly Rule[]): string[] {
  return [`## ${title}`, '', promise, '', ...rules.flatMap(ruleSection)];
}

export function renderPoliciesDocument(rules: readonly Rule[]): string {
  const sections = SECTIONS.flatMap((section) => {
    const own = rules.filter((rule) => rule.law === section.law);
    return own.length === 0 ? [] : lawSection(section, own);
  });
  const used = new Set(rules.flatMap((rule) => rule.operations));
  const operations = Object.entries(OPERATIONS)
    .filter(([name]) => used.has(name as Operation))
    .map(([name, meaning]) => `| \`${name}\` | ${meaning} |`);
  const lines = [
    '# Policies',
    '',
    '<!-- Generated from the registry of rules in packages/core. Edit the rule, not this page. -->',
    '',
    `The ${rules.length} rules this version can refuse a request by. A rule’s tag is its stable name: it stands in every refusal,`,
    'and thereby in lightningd’s log.',
    '',
    ...sections,
    '## Operations',
    '',
    'What a request does, whatever message asks for it.',
    '',
    '| operation | what it is |',
    '|---|---|',
    ...operations,
    '',
  ];
  return lines.join('\n');
}
