/** The story of a run as text: what was played, what happened, and how the theft would go on. */
import type {
  EndgameReport,
  Finding,
  FoundRun,
  RunMove,
  RunResult,
  StoryStep,
  TheftReport,
} from './result.ts';

export const satWords = (sat: number): string => `${Math.round(sat).toLocaleString('en-US')} sat`;

export function moveWords({ kind, channel, a, b, c }: RunMove): string {
  return `${kind} (channel ${channel}; ${a}, ${b}, ${c})`;
}

export function findingWords(finding: Finding): string {
  switch (finding.kind) {
    case 'theft':
      return `theft of ${satWords(finding.theft.missingSat)}, found after ${finding.theft.cause}`;
    case 'refusal':
      return `an honest ${finding.refusal.request} was refused by ${finding.refusal.tag}`;
    case 'endgame':
      return `${satWords(finding.endgame.missingSat)} were certain and never came: the signer did not save them`;
    case 'crash':
      return `the signer did not survive: ${finding.message}`;
  }
}

export const asSentence = (words: string): string => `${words.slice(0, 1).toUpperCase()}${words.slice(1)}.`;

/** Ends with a newline. */
export function storyOf(result: RunResult): string {
  const { setup, steps, matches, found } = result;
  const mutant = setup.mutant === null ? '' : `, against the mutant ${setup.mutant}`;
  const head = [
    `seed ${setup.seed}, ${setup.channels} channels${mutant}: ${steps} requests in ${matches} matches`,
  ];
  if (found === null) {
    const kept = setup.isHonest
      ? 'nobody honest was refused'
      : 'the owner lost nothing that it did not agree to';
    return `${[...head, kept].join('\n')}\n`;
  }
  return `${[...head, '', ...foundLines(found)].join('\n')}\n`;
}

function foundLines(found: FoundRun): readonly string[] {
  const { finding, seed, moves, movesPlayed, story } = found;
  const cut = moves.length < movesPlayed ? `, cut down from ${movesPlayed}` : '';
  return [
    asSentence(findingWords(finding)),
    '',
    `The moves (world ${seed}${cut}):`,
    ...moves.map((move, i) => `  ${i}. ${moveWords(move)}`),
    '',
    'The last requests:',
    ...story.map(stepLine),
    ...(finding.kind === 'theft' ? ['', ...theftLines(finding.theft)] : []),
    ...(finding.kind === 'endgame' ? ['', ...endgameLines(finding.endgame)] : []),
    ...(finding.kind === 'refusal' ? ['', `  ${finding.refusal.message}`] : []),
  ];
}

function stepLine({ index, move, intent, client, request, outcome }: StoryStep): string {
  const mark = intent === 'attack' ? '!' : ' ';
  return `  ${mark} ${index} (move ${move}) ${client}: ${request}\n        ${outcome}`;
}

function theftLines(theft: TheftReport): readonly string[] {
  const { beforeSat, afterSat, missingSat, step, move, strategy } = theft;
  return [
    `W was ${satWords(beforeSat)} before and is ${satWords(afterSat)} after request ${step} (move ${move}):`,
    `${satWords(missingSat)} are missing beyond everything that the owner agreed to.`,
    'From here the attacker goes to the chain:',
    ...strategy.map(({ where, what, ownerSat }) => {
      const left = ownerSat === 0 ? '' : `; ${satWords(ownerSat)} of it are certainly the owner's`;
      return `  - ${where}: ${what}${left}`;
    }),
  ];
}

export function endgameLines(endgame: EndgameReport): readonly string[] {
  const { played, expectedSat, reachedSat, blocks, chosen, refusedRescues } = endgame;
  return [
    `The ${played} strategy was played over ${blocks} blocks, with only what the signer itself publishes for the owner.`,
    `${satWords(expectedSat)} were certain, ${satWords(reachedSat)} were there in the end:`,
    ...chosen.map((one) => `  - ${one}`),
    ...refusedRescues.map((one) => `  - the chain refused ${one}`),
  ];
}

/** One line, for a table. */
export function storyLine({ finding, moves }: FoundRun): string {
  const kinds = moves.map(({ kind }) => kind);
  const shown = kinds.length > 12 ? ['…', ...kinds.slice(-12)] : kinds;
  return `${findingWords(finding)}: ${shown.join(', ')}`;
}
