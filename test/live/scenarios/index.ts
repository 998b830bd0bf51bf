/** The scenarios of the live suite, in the order they run. */
import type { Scenario } from '../scenario.ts';
import { CHAIN } from './chain.ts';
import { CLOSING } from './closing.ts';
import { EXPERIMENTAL } from './experimental.ts';
import { JUSTICE } from './justice.ts';
import { MESSAGES } from './messages.ts';
import { OPENING } from './opening.ts';
import { OPERATOR } from './operator.ts';
import { PAYMENTS_SCENARIOS } from './payments.ts';
import { REMOTE } from './remote.ts';
import { RESTARTS } from './restarts.ts';
import { WALLET } from './wallet.ts';

export const SCENARIOS: Scenario[] = [
  ...OPENING,
  ...PAYMENTS_SCENARIOS,
  ...OPERATOR,
  ...WALLET,
  ...CLOSING,
  ...JUSTICE,
  ...RESTARTS,
  ...EXPERIMENTAL,
  ...CHAIN,
  ...MESSAGES,
  ...REMOTE,
];
