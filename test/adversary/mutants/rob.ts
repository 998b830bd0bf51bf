/**
 * Robs broken signers, several at a time. What robs one is played against the sound signer too, which must lose nothing by it:
 * a loss that both share says nothing of the mutant, and the hunt goes on with another seed.
 */
import { type Finding, type MutantRow, storyLine } from '@countersign/adversary';
import { campaignApart } from '../apart.ts';
import { type CampaignOptions, ENDGAMES, replayed } from '../campaign.ts';
import type { Mutant } from './mutant.ts';

export interface RobOptions
  extends Pick<CampaignOptions, 'movesPerMatch' | 'greedyPercent' | 'endgameEvery' | 'shrinkMs'> {
  readonly seed: number;
  /** Requests that the adversary may ask of one mutant. */
  readonly steps: number;
  readonly channels: number;
  /** Longest time for one mutant. */
  readonly timeoutMs: number;
  readonly jobs: number;
  readonly onRow?: (row: MutantRow) => void;
}

/** Hunts of one mutant that ended with what the sound signer loses too. */
const ATTEMPTS_MAX = 12;

/** The order of the answers is that of the mutants. */
export async function robAll(mutants: readonly Mutant[], options: RobOptions): Promise<readonly MutantRow[]> {
  const rows: MutantRow[] = [];
  const waiting = mutants.map((mutant, i) => [mutant, i] as const);
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [mutant, i] = next;
      rows[i] = await rob(mutant, options);
      options.onRow?.(rows[i]!);
    }
  };
  await Promise.all(Array.from({ length: options.jobs }, work));
  return rows;
}

async function rob(mutant: Mutant, options: RobOptions): Promise<MutantRow> {
  const { id, law, attackIds, description, theft } = mutant;
  const row = (outcome: MutantRow['outcome'], steps: number, story: string, missingSat = 0): MutantRow => ({
    ...{ id, law: `${law}`, attackIds, description, theft },
    ...{ outcome, steps, missingSat, story },
  });
  const untilMs = performance.now() + options.timeoutMs;
  let asked = 0;
  let shared = '';
  for (let attempt = 0; attempt < ATTEMPTS_MAX && asked < options.steps; attempt++) {
    const leftMs = untilMs - performance.now();
    const answer = await campaignApart(optionsOf(mutant, options, attempt, asked), leftMs);
    if (!answer.ok) return row('failed', asked, answer.why);
    const { found, steps, setup } = answer.result;
    asked += steps;
    if (found === null) return row(shared === '' ? 'survived' : 'failed', asked, shared);
    const missingSat = missingOf(found.finding);
    if (missingSat === null) return row('failed', asked, storyLine(found));
    // Here no mutant is loaded: it is the sound signer of the same owner.
    const control = await replayed({ ...setup, seed: found.seed }, found.moves, endgamesOf(found.finding));
    if (control.found === null) return row('robbed', asked, storyLine(found), missingSat);
    shared = `the sound signer loses by the same moves: ${storyLine(control.found)}`;
  }
  return row('failed', asked, shared);
}

function optionsOf(mutant: Mutant, options: RobOptions, attempt: number, asked: number) {
  const { seed, steps, channels, movesPerMatch, greedyPercent, endgameEvery, shrinkMs } = options;
  return {
    setup: {
      seed: seed + attempt,
      channels,
      isHonest: false,
      mutant: mutant.id,
      subject: 'memory' as const,
    },
    steps: steps - asked,
    ...{ movesPerMatch, greedyPercent, shrinkMs },
    // What a signer does not save shows at the end alone.
    endgameEvery: mutant.showsAtTheEnd === true || mutant.law === 'remedies' ? 1 : endgameEvery,
    favoured: mutant.attackIds,
  };
}

/** What shows in W shows without them. */
const endgamesOf = (finding: Finding) =>
  ENDGAMES.filter((kind) => finding.kind === 'endgame' && finding.endgame.played === kind);

/** Null: nothing was stolen, something else went wrong. */
function missingOf(finding: Finding): number | null {
  switch (finding.kind) {
    case 'theft':
      return finding.theft.missingSat;
    case 'endgame':
      return finding.endgame.missingSat;
    default:
      return null;
  }
}
