/** The generated pages: complete, and the same each time. */
import { execFileSync } from 'node:child_process';
import { globSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fromHex, loadSecp256k1 } from '@countersign/bitcoin';
import { buildProgram } from '@countersign/cli';
import {
  allRules,
  guideOf,
  networkByName,
  REFUSAL_WIRE_CODE,
  type Rule,
  verifyHeartbeat,
} from '@countersign/core';
import { AUTO_APPROVALS, LIMIT_NAMES, PRESETS, parseConfig, policyFor, tomlKey } from '@countersign/host';
import { encodeMessage } from '@countersign/wire';
import { describe, expect, it } from 'vitest';
import { renderCliDocument } from '../../tools/cli-document.ts';
import { renderErrorsDocument } from '../../tools/errors-document.ts';
import { renderPoliciesDocument } from '../../tools/policies-document.ts';
import { renderRefusalsDocument } from '../../tools/refusals-document.ts';
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

  const section = (page: string, title: string): string =>
    page.split('\n## ').find((part) => part.startsWith(title)) ?? '';

  it('says of a rule what it does, what it rests on, and what it compares with', () => {
    const rule: Rule = {
      tag: 'policy-commitment-fee-range',
      law: 2,
      severity: 'soft',
      operations: ['cc', 'fc'],
      carriesPromise: true,
      documentation: 'Only in range.',
    };
    const page = renderPoliciesDocument([rule]);
    expect(section(page, 'Law 2')).toMatch(
      /### policy-commitment-fee-range\n\nsoft: [^\n]*`cc`, `fc` · \*\*the promise rests on it\*\*\n\nOnly in range\.\n/,
    );
    expect(page).toContain(
      '- `feerate_max_peer_pays_per_kw`: `250_000` on mainnet, `333_333` on test networks',
    );
    expect(page).toContain('- `feerate_min_per_kw`: `253`\n');
    expect(page).toContain('(refusals.md#policy-commitment-fee-range)');
    expect(section(page, 'Index')).toContain('| soft | yes | `cc` `fc` |');
    expect(renderPoliciesDocument([])).not.toContain('## Form');
  });

  it('says which presets switch an optional rule on, and which rules wait for a chain', () => {
    const optional: Rule = {
      tag: 'policy-no-routing',
      law: 3,
      severity: 'soft',
      operations: ['cc'],
      presets: ['wallet', 'merchant'],
      documentation: 'None.',
    };
    const page = renderPoliciesDocument([
      optional,
      { ...optional, tag: 'policy-velocity-transferred', presets: [] },
      { ...optional, tag: 'policy-commitment-spends-active-utxo' },
    ]);
    expect(section(page, 'Presets')).toContain(
      '| [policy-no-routing](#policy-no-routing) | off | **error** | **error** | off |',
    );
    expect(page).toContain('**optional**: switched on by `wallet`, `merchant`, or by');
    expect(page).toContain('**optional**: switched on by no preset, or by');
    expect(page.split('Not judged while the signer follows no chain.')).toHaveLength(2);
  });

  it('has every limit with its key and both defaults', () => {
    const limits = section(renderPoliciesDocument(allRules()), 'Limits');
    for (const name of LIMIT_NAMES) expect(limits).toContain(`| \`${tomlKey(name)}\` | `);
    expect(limits).toContain(
      '| `contest_delay_min_blocks` | shortest to_self_delay of either side | blocks | `144` | `4` | yes |',
    );
    expect(limits).toContain('| `{ amount_sat = 20_000, per = "day" }` |');
    expect(limits).toMatch(/\| `payment_velocity` \| [^|]* \| [^|]* \| none \| none \| no \|/);
  });

  it('explains each operation that a rule names, and no other', () => {
    const rule: Rule = { tag: 'policy-x', law: 1, severity: 'hard', operations: ['mc'], documentation: 'X.' };
    const page = renderPoliciesDocument([rule]);
    expect(page).toContain('| `mc` |');
    expect(page).not.toContain('| `rev` |');
  });
});

describe('refusals', () => {
  const page = renderRefusalsDocument(allRules());

  it('has for each rule what happened, what it means and what to do', () => {
    for (const { tag } of allRules()) {
      const [, own = ''] = page.split(`\n### ${tag}\n`);
      expect(own, tag).toMatch(
        /^\n\*\*What happened\.\*\* .+\n\n\*\*What it means\.\*\* .+\n\n\*\*What to do\.\*\* .+\n/,
      );
    }
  });

  it('shows a refusal as text and as the bytes that a log has', () => {
    const [, hex = ''] = /^(0bb8[0-9a-f]+)…$/m.exec(page) ?? [];
    const [, text = ''] = /^UNUSUAL hsmd: refused [a-z_]+: (policy-.*)$/m.exec(page) ?? [];
    const bytes = encodeMessage({ name: 'vls_signer_error', code: 1, message: text });
    expect(Buffer.from(bytes).toString('hex').startsWith(hex)).toBe(true);
    expect(hex.length).toBeGreaterThan(40);
  });

  it('names every code and every field', () => {
    for (const code of Object.keys(REFUSAL_WIRE_CODE)) expect(page).toContain(`| \`${code}\` | `);
    for (const field of [
      'code',
      'tag',
      'law',
      'severity',
      'temporary',
      'message',
      'facts',
      'request',
      'channel',
    ]) {
      expect(page).toContain(`| \`${field}\` | `);
    }
  });

  it('leaves out a rule that has no guide', () => {
    const rule: Rule = { tag: 'policy-x', law: 1, severity: 'hard', operations: ['mc'], documentation: 'X.' };
    expect(renderRefusalsDocument([rule])).not.toContain('policy-x');
    expect(renderPoliciesDocument([rule])).not.toContain('refusals.md#policy-x');
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

describe('the configuration', () => {
  const [page = ''] = read('docs/configuration.md');
  const examples = [...page.matchAll(/```toml\n([\s\S]*?)```/g)].map((match) => match[1] ?? '');
  const [bitcoin, signet] = ['bitcoin', 'signet'].map((name) => networkByName(name)!);

  it.each(examples.map((text) => [text.split('\n', 1)[0] ?? '', text]))(
    'example "%s" is valid',
    (_, text) => {
      const config = parseConfig(text, 'countersign.toml');
      const network = text.includes('tb1q') || text.includes('"permissive"') ? signet! : bitcoin!;
      expect(policyFor(config, network).network).toBe(network);
    },
  );

  it('has an example of everything, and every key by its name', () => {
    expect(examples.length).toBeGreaterThan(8);
    const keys = [
      ...LIMIT_NAMES.map(tomlKey),
      'zero_conf',
      'shared_allowlist',
      'auto',
      'auto_payment_velocity',
    ];
    const others = [
      'every_seconds',
      'file',
      'expiry_hours',
      'destinations',
      'payees',
      'preset',
      'mode',
      'message_bytes_max',
    ];
    const chain = [
      'url',
      'cookie_file',
      'user',
      'password_file',
      'birthday_height',
      'poll_seconds',
      'publish',
    ];
    for (const key of [...keys, ...others, ...chain]) expect(page).toContain(`\`${key}\``);
    for (const name of [...PRESETS, ...AUTO_APPROVALS]) expect(page).toContain(`\`${name}\``);
  });

  it('names only rules that there are or will be', () => {
    const named = new Set([...page.matchAll(/policy-[a-z-]*[a-z](?!\*)/g)].map((match) => match[0]));
    expect([...named].filter((tag) => guideOf(tag) === undefined && !page.includes(`${tag}-*`))).toEqual([]);
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

describe('the page of the heartbeat', () => {
  const [page = ''] = read('docs/heartbeat.md');
  const [example = ''] = read('docs/examples/heartbeat.txt');
  const nodeId = /--node-id ([0-9a-f]{66})/.exec(page)?.[1] ?? '';

  it('has an example that verifies, and that has every member the page names', () => {
    const verdict = verifyHeartbeat(loadSecp256k1(), example, fromHex(nodeId));
    if (!verdict.ok) throw new Error(verdict.message);
    for (const name of Object.keys(verdict.heartbeat)) expect(page).toContain(`\`${name}\``);
  });

  it('shows a configuration that is valid', () => {
    const text = /```toml\n([\s\S]*?)```/.exec(page)?.[1] ?? '';
    expect(parseConfig(text, 'x').heartbeat).toEqual({ everySeconds: 30, file: 'heartbeat.json' });
  });

  it('shows how to verify one without this project', () => {
    const script = /```js\n([\s\S]*?)```/.exec(page)?.[1] ?? '';
    // Beside node_modules, where its import is found.
    const path = join(REPOSITORY, 'node_modules/.cache/heartbeat-example.mjs');
    const run = (text: string): string => {
      writeFileSync(path, text);
      return execFileSync(process.execPath, [path], { cwd: REPOSITORY }).toString();
    };
    try {
      expect(run(script)).toBe('valid\n');
      expect(run(script.replace("'latin1')", "'latin1').replace('1234', '1235')"))).toBe('not valid\n');
    } finally {
      rmSync(path, { force: true });
    }
  });
});
