/** The generated pages: complete, and the same each time. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildProgram } from '@countersign/cli';
import { allRules, type Rule } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { renderCliDocument } from '../../tools/cli-document.ts';
import { renderErrorsDocument } from '../../tools/errors-document.ts';
import { renderPoliciesDocument } from '../../tools/policies-document.ts';
import { REPOSITORY } from '../../tools/workspace.ts';

function read(pattern: string): string[] {
  return globSync(pattern, { cwd: REPOSITORY }).map((path) => readFileSync(join(REPOSITORY, path), 'utf8'));
}

describe('policies', () => {
  it('has one section for each rule, under its law', () => {
    const page = renderPoliciesDocument(allRules());
    for (const { tag, documentation } of allRules()) {
      expect(page.split(`\n### ${tag}\n`), tag).toHaveLength(2);
      expect(page).toContain(documentation);
    }
  });

  it('says which law is not in force, and has it even without a rule', () => {
    const rule: Rule = { tag: 'policy-x', law: 2, severity: 'soft', operations: ['cc'], documentation: 'X.' };
    const section = renderPoliciesDocument([rule])
      .split('\n## ')
      .find((part) => part.startsWith('Law 2'));
    expect(section).toMatch(/does not enforce this law[\s\S]*### policy-x\n\nsoft: [^\n]*`cc`\n\nX\.\n/);
    expect(renderPoliciesDocument([])).toContain('## Law 3');
    expect(renderPoliciesDocument([])).not.toContain('## Form');
  });

  it('explains each operation that a rule names, and no other', () => {
    const rule: Rule = { tag: 'policy-x', law: 1, severity: 'hard', operations: ['mc'], documentation: 'X.' };
    const page = renderPoliciesDocument([rule]);
    expect(page).toContain('| `mc` |');
    expect(page).not.toContain('| `rev` |');
  });
});

describe('errors', () => {
  it('names every code that a package raises', () => {
    const page = renderErrorsDocument();
    const raised = read('packages/*/src/**/*.ts').flatMap((text) =>
      [...text.matchAll(/new (?:Countersign|Frame|Descriptor|Command|Store)Error\(\s*'([a-z-]+)'/g)].map(
        (match) => match[1]!,
      ),
    );
    expect(raised.length).toBeGreaterThan(20);
    expect([...new Set(raised)].filter((code) => !page.includes(`| \`${code}\` |`))).toEqual([]);
  });

  it('names every base code', () => {
    const page = renderErrorsDocument();
    const supers = read('packages/*/src/**/*.ts').flatMap((text) =>
      [...text.matchAll(/\bsuper\(\s*'([a-z-]+)'/g)].map((match) => match[1]!),
    );
    expect(supers).toContain('invariant-broken');
    expect(supers.filter((code) => !page.includes(`| \`${code}\` |`))).toEqual([]);
  });
});

describe('cli', () => {
  it('shows every option of every command, whatever the terminal', () => {
    const page = renderCliDocument(buildProgram());
    const options = buildProgram().commands.flatMap((command) => command.options.map(({ flags }) => flags));
    expect(options.length).toBeGreaterThan(3);
    for (const flags of options) expect(page).toContain(flags);
    expect(page.includes('\u001b')).toBe(false);
    expect(renderCliDocument(buildProgram())).toBe(page);
  });
});
