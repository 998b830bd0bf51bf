/**
 * Draws the stale diagrams of `docs/diagrams` with Mermaid in a headless Chromium (`npm run diagrams`; `--all` draws every one).
 * Mermaid brings a hundred packages, so it is no dependency of the project: `npm ci --prefix tools/diagrams` installs it here.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { diagrams, markOf, staleDiagrams } from './diagrams.ts';
import { REPOSITORY } from './workspace.ts';

const MERMAID = join(REPOSITORY, 'tools/diagrams/node_modules/mermaid/dist/mermaid.min.js');
const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';

/** Grey on white: it has to be read in light and dark pages. */
const SETTINGS = {
  startOnLoad: false,
  theme: 'neutral',
  deterministicIds: true,
  fontFamily: 'Helvetica, Arial, sans-serif',
  sequence: { useMaxWidth: true, mirrorActors: false, messageAlign: 'left', noteAlign: 'left', wrap: false },
};

interface MermaidInPage {
  initialize(settings: object): void;
  render(id: string, source: string): Promise<{ readonly svg: string }>;
}

for (const file of [MERMAID, CHROMIUM]) {
  if (existsSync(file)) continue;
  console.error(
    `${file} is missing: "npm ci --prefix tools/diagrams" installs Mermaid, the package "chromium" of Debian the browser (or set CHROMIUM)`,
  );
  process.exit(1);
}

const wanted = process.argv.includes('--all') ? diagrams().map(({ name }) => name) : staleDiagrams();
const browser = await chromium.launch({ executablePath: CHROMIUM });
try {
  const page = await browser.newPage();
  await page.addScriptTag({ path: MERMAID });
  for (const diagram of diagrams().filter(({ name }) => wanted.includes(name))) {
    const svg = await page.evaluate(
      async ({ settings, name, source }) => {
        const { mermaid } = globalThis as unknown as { readonly mermaid: MermaidInPage };
        mermaid.initialize(settings);
        return (await mermaid.render(`d-${name}`, source)).svg;
      },
      { settings: SETTINGS, name: diagram.name, source: diagram.source },
    );
    const onWhite = svg.replace(/style="([^"]*)"/, 'style="$1; background-color: white"');
    writeFileSync(diagram.picture, `${onWhite}\n${markOf(diagram)}`);
  }
} finally {
  await browser.close();
}
console.log(`diagrams: ${diagrams().length}, of which drawn: ${wanted.length}`);
