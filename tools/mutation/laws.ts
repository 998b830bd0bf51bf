/**
 * What is mutated for each law, and which tests of core its mutants meet. The long random lives are left out: a mutant
 * that only they notice has no test of its own.
 */
export interface MutatedLaw {
  /** Folder of core, and name in the report. */
  readonly folder: string;
  /** Test files of core, without ending. */
  readonly tests: readonly string[];
}

const LAW_TESTS = [
  'law*',
  'ledger-*',
  'review*',
  'preimage*',
  'trim-line',
  'candidates',
  'channel-lifecycle',
  'variant-order',
];

export const MUTATED_LAWS: readonly MutatedLaw[] = [
  {
    folder: 'ratchet',
    tests: [...LAW_TESTS, 'commitment-form*', 'ratchet-*', 'frozen', 'decide', 'edges', 'spending-close'],
  },
  { folder: 'ledger', tests: [...LAW_TESTS, 'ratchet-*', 'record-migrations'] },
  {
    folder: 'payments',
    tests: [
      ...LAW_TESTS,
      'approvals',
      'preapproval',
      'small-payments',
      'bolt*',
      'administration',
      'identity',
      'ratchet-holder',
      'chain-*',
      'two-fundings',
      'every-rule',
    ],
  },
  { folder: 'time', tests: [...LAW_TESTS, 'chain-*', 'two-fundings', 'remedies-*'] },
  {
    folder: 'spending',
    tests: [
      'spending-*',
      'sweeps',
      'wallet',
      'opening',
      'review5-*',
      'ratchet-closing',
      'allowlist-entry',
      'approvals',
    ],
  },
];
