/** The five laws, in their order. */
import { ledger } from '../ledger/law.ts';
import { payments } from '../payments/law.ts';
import { ratchet } from '../ratchet/law.ts';
import { spending } from '../spending/law.ts';
import { time } from '../time/law.ts';
import type { LawDefinition } from './law.ts';

/** The five laws, in order. */
export const LAWS: readonly LawDefinition[] = [ratchet, ledger, payments, time, spending];
