/** The summary page: one file of HTML without scripts, from a run's result alone. Everything that came from a run is escaped. */
import { type Coverage, coverageOf, type GrantedRow, type LawCoverage, type RuleName } from './coverage.ts';
import { html, type Markup } from './html.ts';
import { OPERATIONS } from './operations.ts';
import { mutantSections } from './page-mutants.ts';
import { PAGE_STYLE } from './page-style.ts';
import { wealthPlot } from './plot.ts';
import type { FoundRun, RunResult, StoryStep, TheftReport } from './result.ts';
import { asSentence, endgameLines, findingWords, moveWords, satWords } from './story.ts';

export interface PageOptions {
  /** The signer's rules, for the table of coverage. */
  readonly rules: readonly RuleName[];
  /** Shown under the title, for example the date and the version. */
  readonly subtitle: string;
}

export function reportPage(result: RunResult, { rules, subtitle }: PageOptions): string {
  const body = html`<main>
<h1>The adversary</h1>
<p class="quiet">${subtitle}</p>
${verdict(result)}
${figures(result)}
${wealthSection(result)}
${result.found === null ? null : foundSection(result.found)}
${coverageSection(coverageOf(result.coverage, rules))}
${mutantSections(result.mutants, result.excused)}
</main>`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>The adversary: seed ${result.setup.seed}</title>
<style>${PAGE_STYLE}</style>
</head>
<body>
${body.text}
</body>
</html>
`;
}

function verdict({ setup, found, mutants }: RunResult): Markup {
  const survivors = mutants.filter(({ outcome }) => outcome !== 'robbed').length;
  if (found !== null)
    return html`<p class="verdict bad"><strong>${asSentence(findingWords(found.finding))}</strong></p>`;
  if (survivors > 0) {
    const text = `${survivors} of ${mutants.length} broken signers were not robbed: the adversary is too weak for them.`;
    return html`<p class="verdict bad"><strong>${text}</strong></p>`;
  }
  const kept = setup.isHonest
    ? 'No honest request was refused.'
    : 'The owner lost nothing that it did not agree to.';
  const robbed = mutants.length === 0 ? '' : ` All ${mutants.length} broken signers were robbed.`;
  return html`<p class="verdict">${kept}${robbed}</p>`;
}

function figures({
  setup,
  steps,
  matches,
  elapsedMs,
  longestMatchSteps,
  wealthChecks,
  endgames,
}: RunResult): Markup {
  const perSecond = elapsedMs > 0 ? Math.round((steps * 1000) / elapsedMs) : 0;
  const rows: readonly (readonly [string, string])[] = [
    ['requests', count(steps)],
    ['requests per second', count(perSecond)],
    ['matches', count(matches)],
    ['longest match', count(longestMatchSteps)],
    ['W computed', count(wealthChecks)],
    ['strategies played out', count(endgames)],
    ['channels at a time', count(setup.channels)],
    ['seed', `${setup.seed}`],
    ['signer', setup.mutant ?? (setup.subject === 'process' ? 'real process' : 'in this process')],
  ];
  const cells = rows.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`);
  return html`<dl class="figures">${cells}</dl>`;
}

const count = (value: number): string => value.toLocaleString('en-US');

function wealthSection({ readings, found }: RunResult): Markup {
  const theftStep = found?.finding.kind === 'theft' ? found.finding.theft.step : null;
  return html`<h2>What the owner is certain to keep</h2>
<div class="card">${wealthPlot({ readings, theftStep })}</div>
<ul class="legend">
<li><i class="total"></i>W: it may only rise</li>
<li><i class="kept"></i>the owner's for certain</li>
<li><i class="agreed"></i>left with the owner's consent</li>
<li><i class="dip"></i>below the highest W so far</li>
</ul>`;
}

function foundSection({ finding, seed, moves, movesPlayed, story }: FoundRun): Markup {
  const cut = moves.length < movesPlayed ? ` What is left of ${movesPlayed} moves, in world ${seed}:` : '';
  return html`<h2>What happened</h2>
<p>${asSentence(findingWords(finding))}${cut}</p>
<ol class="mono" start="0">${moves.map((move) => html`<li>${moveWords(move)}</li>`)}</ol>
${finding.kind === 'theft' ? theftSection(finding.theft) : null}
${finding.kind === 'endgame' ? html`<div class="card mono">${endgameLines(finding.endgame).map((one) => html`<p>${one}</p>`)}</div>` : null}
${finding.kind === 'refusal' ? html`<p class="card mono">${finding.refusal.message}</p>` : null}
<h3>The last requests</h3>
<div class="card"><ol class="story mono">${story.map(storyItem)}</ol></div>`;
}

function theftSection({ beforeSat, afterSat, missingSat, step, strategy }: TheftReport): Markup {
  const rows = strategy.map(
    ({ where, what, ownerSat }) =>
      html`<tr><td><code>${where}</code></td><td>${what}</td><td class="number">${count(ownerSat)}</td></tr>`,
  );
  return html`<h3>The strategy that steals</h3>
<p>W was ${satWords(beforeSat)} and is ${satWords(afterSat)} after request ${step}; ${satWords(missingSat)} are missing beyond all
consent. From there the attacker goes to the chain:</p>
<div class="card"><table><tr><th>where</th><th>what</th><th class="number">the owner's, sat</th></tr>${rows}</table></div>`;
}

function storyItem({ index, move, intent, client, request, outcome }: StoryStep): Markup {
  return html`<li><span class="quiet">${index} · move ${move} · ${client}</span><br><span class="${intent}">${request}</span><br>${outcome}</li>`;
}

function coverageSection(coverage: Coverage): Markup {
  const { granted, laws, rules, rulesHeard } = coverage;
  const used = OPERATIONS.filter(({ operation }) =>
    granted.some((one) => one.operation === operation && one.honest + one.attacks + one.refused > 0),
  );
  return html`<h2>What was tried</h2>
<p>${rulesHeard} of ${rules} rules refused something.</p>
<div class="card"><table>
<tr><th>operation</th><th class="number">honest, granted</th><th class="number">attacks, granted</th><th class="number">refused</th></tr>
${granted.map(grantedRow)}
</table></div>
${laws.map((law) => lawSection(law, used))}`;
}

function grantedRow({ operation, title, honest, attacks, refused }: GrantedRow): Markup {
  return html`<tr><td>${title} <code class="quiet">${operation}</code></td><td class="number">${count(honest)}</td><td class="number">${count(attacks)}</td><td class="number">${count(refused)}</td></tr>`;
}

function lawSection({ law, rows, silent }: LawCoverage, used: typeof OPERATIONS): Markup {
  const title = /^[1-5]$/.test(law) ? `Law ${law}` : law === 'none' ? 'Beside the rules' : `Chapter ${law}`;
  const heads = used.map(({ operation }) => html`<th class="number">${operation}</th>`);
  const body = rows.map(({ tag, attacks, honest, total }) => {
    const cells = used.map(({ operation }) => {
      const sum = (attacks[operation] ?? 0) + (honest[operation] ?? 0);
      return html`<td class="number">${sum === 0 ? '·' : count(sum)}</td>`;
    });
    return html`<tr><td><code>${tag}</code></td>${cells}<td class="number">${count(total)}</td></tr>`;
  });
  const quiet = silent.map((tag) => html`<code>${tag}</code> `);
  return html`<h3>${title}</h3>
${rows.length === 0 ? null : html`<div class="card"><table><tr><th>refused by</th>${heads}<th class="number">all</th></tr>${body}</table></div>`}
${silent.length === 0 ? null : html`<p class="silent">Never heard: ${quiet}</p>`}`;
}
