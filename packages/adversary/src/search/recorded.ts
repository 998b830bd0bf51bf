/**
 * Replay and mutate: a session that a real node had with its signer, with changed copies of its requests in between, some of
 * them from long ago. No chain comes with a recording, so the referee believes every funding that was set up.
 */
import type { Request } from '@countersign/wire';
import { Dice } from '../player/dice.ts';
import { Referee, type Verdict } from '../referee/referee.ts';
import type { OwnerTerms } from '../referee/terms.ts';
import type { Client, Subject } from '../subject.ts';
import { mutateRequest } from './mutate.ts';

export interface Recorded {
  readonly client: Client;
  readonly request: Request;
}

export interface RecordedOptions {
  readonly seed: number;
  /** Changed requests before each recorded one, on average. */
  readonly changesPerRequest: number;
}

export interface RecordedResult {
  readonly steps: number;
  /** Changed requests, and those of them that were granted. */
  readonly changed: number;
  readonly granted: number;
  /** Of the recording itself. */
  readonly refused: number;
  readonly wealthSat: number;
  readonly highSat: number;
  readonly theft: (Verdict & { readonly step: number; readonly request: Request }) | null;
}

/**
 * A request from this far back may be changed too: old commitments, old secrets. A set-up is changed only afterwards: one that
 * comes first makes another channel, which the rest of the session does not fit.
 */
const REACH = 60;

export async function attackRecording(
  subject: Subject,
  terms: OwnerTerms,
  session: readonly Recorded[],
  { seed, changesPerRequest }: RecordedOptions,
): Promise<RecordedResult> {
  const dice = new Dice(seed);
  const referee = new Referee(terms);
  referee.known.believesFundings = true;
  referee.clock(0);
  let [steps, changed, granted, refused] = [0, 0, 0, 0];
  let verdict: Verdict = referee.verdict();
  const ask = async ({ client, request }: Recorded): Promise<boolean> => {
    steps += 1;
    const outcome = await subject.ask(client, request);
    referee.observed(client, request, outcome);
    verdict = referee.verdict();
    return outcome.kind === 'reply';
  };
  const told = (theft: RecordedResult['theft']): RecordedResult => {
    const { wealthSat, highSat } = verdict;
    return { steps, changed, granted, refused, wealthSat, highSat, theft };
  };
  for (const [i, one] of session.entries()) {
    const count = dice.roll(2 * changesPerRequest + 1);
    for (let left = count; left > 0; left--) {
      const isOwn = dice.chance(60) && one.request.name !== 'hsmd_setup_channel';
      const from = isOwn ? one : session[Math.max(0, i - 1 - dice.roll(REACH))]!;
      const request = mutateRequest(from.request, dice);
      changed += 1;
      if (await ask({ client: from.client, request })) granted += 1;
      if (verdict.theft !== null) return told({ ...verdict, step: steps, request });
    }
    if (!(await ask(one))) refused += 1;
    if (verdict.theft !== null) return told({ ...verdict, step: steps, request: one.request });
  }
  return told(null);
}
