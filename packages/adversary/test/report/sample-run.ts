/** A made-up run for the tests of the report: a theft, hostile texts, every kind of row. */
import type { RunResult } from '../../src/index.ts';

export const HOSTILE = `<script>alert("x")</script>&'`;

const readings = Array.from({ length: 900 }, (_, i) => {
  const highSat = 8_000_000 + i * 900;
  const dip = i % 37 === 0 ? (i % 7) * 900 : 0;
  return { step: i * 3, wealthSat: highSat - dip - (i > 880 ? 250_000 : 0), highSat, agreedSat: i * 1_500 };
});

export const RUN: RunResult = {
  setup: { seed: 7, channels: 5, isHonest: false, mutant: null, subject: 'memory' },
  steps: 2_700,
  matches: 3,
  elapsedMs: 6_750,
  longestMatchSteps: 1_400,
  wealthChecks: 2_600,
  endgames: 3,
  readings,
  coverage: [
    { intent: 'honest', request: 'hsmd_sign_remote_commitment_tx', outcome: 'ok', count: 900 },
    { intent: 'attack', request: 'hsmd_sign_remote_commitment_tx', outcome: 'ok', count: 3 },
    { intent: 'attack', request: 'hsmd_sign_remote_commitment_tx', outcome: 'policy-a', count: 12 },
    { intent: 'attack', request: 'hsmd_revoke_commitment_tx', outcome: 'policy-a', count: 2 },
    { intent: 'honest', request: 'hsmd_revoke_commitment_tx', outcome: 'policy-b', count: 1 },
    { intent: 'attack', request: 'hsmd_ecdh_req', outcome: 'not-encodable', count: 4 },
  ],
  found: {
    finding: {
      kind: 'theft',
      theft: {
        missingSat: 249_500,
        beforeSat: 8_800_000,
        afterSat: 8_550_000,
        step: 2_646,
        move: 4,
        cause: 'hsmd_revoke_commitment_tx',
        strategy: [
          { where: 'channel 3', what: 'ends with counterparty commitment 7', ownerSat: 412_000 },
          { where: 'payment 0102', what: 'its preimage is shown', ownerSat: 0 },
        ],
      },
    },
    seed: 99,
    moves: [
      { kind: 'open', channel: 0, a: 1, b: 2, c: 3 },
      { kind: 'forward', channel: 1, a: 10, b: 0, c: 7 },
    ],
    movesPlayed: 60,
    story: [
      {
        index: 2_644,
        move: 3,
        intent: 'honest',
        client: 'channel 3',
        request: 'hsmd_sign_remote_commitment_tx: commitNum 7',
        outcome: 'granted',
      },
      {
        index: 2_645,
        move: 4,
        intent: 'attack',
        client: 'node',
        request: HOSTILE,
        outcome: `refused: ${HOSTILE}`,
      },
    ],
  },
  mutants: [
    {
      id: 'balance-believed',
      law: '2',
      attackIds: ['A20'],
      description: 'believes what it is told',
      theft: 'tells it',
      outcome: 'robbed',
      steps: 120,
      missingSat: 90_000,
      story: HOSTILE,
    },
    {
      id: 'hard-to-rob',
      law: 'remedies',
      attackIds: [],
      description: 'stands still',
      theft: 'waits',
      outcome: 'survived',
      steps: 5_000,
      missingSat: 0,
      story: '',
    },
  ],
  excused: [['A72', 'silence means nothing here']],
};

export const RULES = [
  { tag: 'policy-a', law: '1' },
  { tag: 'policy-b', law: '1' },
  { tag: 'policy-c', law: '2' },
];
