/** The part of the page about broken signers: which were robbed, after how many requests, and which attacks need none. */
import { html, type Markup } from './html.ts';
import type { MutantRow } from './result.ts';

export function mutantSections(
  mutants: readonly MutantRow[],
  excused: readonly (readonly [attackId: string, reason: string])[],
): Markup | null {
  if (mutants.length === 0) return null;
  const robbed = mutants.filter(({ outcome }) => outcome === 'robbed').length;
  return html`<h2>Broken signers</h2>
<p>Each has one rule taken out. ${robbed} of ${mutants.length} were robbed.</p>
<div class="card"><table>
<tr><th>signer</th><th>law</th><th>attacks</th><th>what it does, and how that is used</th><th class="number">requests</th><th>outcome</th></tr>
${mutants.map(mutantRow)}
</table></div>
${excused.length === 0 ? null : excusedSection(excused)}`;
}

function mutantRow(row: MutantRow): Markup {
  const { id, law, attackIds, description, theft, outcome, steps, missingSat, story } = row;
  const loss = outcome === 'robbed' ? `${missingSat.toLocaleString('en-US')} sat` : '';
  return html`<tr><td><code>${id}</code></td><td>${law}</td><td>${attackIds.join(' ')}</td>
<td>${description}<br><span class="quiet">${theft}</span><details><summary>story</summary><span class="mono">${story}</span></details></td>
<td class="number">${steps.toLocaleString('en-US')}</td><td class="${outcome === 'robbed' ? 'good' : 'bad'}">${outcome}<br>${loss}</td></tr>`;
}

function excusedSection(excused: readonly (readonly [attackId: string, reason: string])[]): Markup {
  return html`<h3>Attacks that no broken signer stands for</h3>
<div class="card"><table>${excused.map(
    ([id, reason]) => html`<tr><td><code>${id}</code></td><td>${reason}</td></tr>`,
  )}</table></div>`;
}
