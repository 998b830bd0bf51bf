/**
 * The diagrams of `docs/diagrams` (Mermaid) and their pictures in `docs/img/drawn`. A picture carries the hash of what it was drawn
 * from, so that a stale one is found without drawing it.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { REPOSITORY } from './workspace.ts';

const SOURCES = join(REPOSITORY, 'docs/diagrams');
const PICTURES = join(REPOSITORY, 'docs/img/drawn');

export interface Diagram {
  readonly name: string;
  readonly source: string;
  /** Where its picture belongs. */
  readonly picture: string;
}

export function diagrams(): readonly Diagram[] {
  return readdirSync(SOURCES)
    .filter((file) => file.endsWith('.mmd'))
    .sort()
    .map((file) => {
      const name = file.slice(0, -'.mmd'.length);
      const source = readFileSync(join(SOURCES, file), 'utf8');
      return { name, source, picture: join(PICTURES, `${name}.svg`) };
    });
}

/** The last line of a picture. */
export function markOf({ name, source }: Diagram): string {
  const hash = createHash('sha256').update(source).digest('hex');
  return `<!-- drawn from docs/diagrams/${name}.mmd, sha256 ${hash} -->\n`;
}

/** Names of those whose picture is missing or was drawn from something else. */
export function staleDiagrams(): readonly string[] {
  return diagrams()
    .filter((one) => !existsSync(one.picture) || !readFileSync(one.picture, 'utf8').endsWith(markOf(one)))
    .map(({ name }) => name);
}
