/**
 * Renders `docs/policies.md` from the registry of rules in `core` and the limits of the configuration. Pure: the same
 * registry gives the same text.
 */
import {
  defaultLimits,
  guideOf,
  type Limits,
  networkByName,
  type Preset,
  type Rule,
} from '@countersign/core';
import { LIMIT_FORMS, LIMIT_NAMES, PRESETS, tomlKey } from '@countersign/host';
import { code, linkTo, operationsTable, SECTIONS, SEVERITY, type Section } from './rule-words.ts';

type Value = Limits[keyof Limits];

const onNetwork = (name: string): Limits => {
  const network = networkByName(name);
  if (network === undefined) throw new Error(`no network ${name}`);
  return defaultLimits(network);
};

const grouped = (value: number | bigint): string => String(value).replace(/\B(?=(?:\d{3})+$)/g, '_');

function valueText(value: Value): string {
  if (value === null) return 'none';
  if (typeof value !== 'object') return code(grouped(value));
  return code(`{ amount_sat = ${grouped(value.amountSat)}, per = "${value.per}" }`);
}

/** `144` on mainnet, `4` on test networks; once where they agree. */
function defaultsText(name: keyof Limits): string {
  const [main, test] = [valueText(onNetwork('bitcoin')[name]), valueText(onNetwork('signet')[name])];
  return main === test ? main : `${main} on mainnet, ${test} on test networks`;
}

function optionalText({ presets }: Rule): string {
  if (presets === undefined) return '';
  const on = presets.length === 0 ? 'by no preset' : `by ${presets.map((one) => code(one)).join(', ')}`;
  return ` · **optional**: switched on ${on}, or by its own line under [policy.rules]`;
}

function ruleSection(rule: Rule): string[] {
  const operations = rule.operations.map(code).join(', ');
  const promise = rule.carriesPromise === true ? ' · **the promise rests on it**' : '';
  const guide = guideOf(rule.tag);
  const limits = (guide?.limits ?? []).map((name) => `- ${code(tomlKey(name))}: ${defaultsText(name)}`);
  return [
    `### ${rule.tag}`,
    '',
    `${SEVERITY[rule.severity]} · operations: ${operations}${promise}${optionalText(rule)}`,
    '',
    rule.documentation,
    '',
    ...(guide?.needsChain === true ? ['Not judged while the signer follows no chain.', ''] : []),
    ...(limits.length > 0 ? ['Compares with:', '', ...limits, ''] : []),
    ...(guide === undefined ? [] : [`[What to do when it refuses](refusals.md#${rule.tag})`, '']),
  ];
}

function lawSection({ title, promise }: Section, rules: readonly Rule[]): string[] {
  return [`## ${title}`, '', promise, '', ...rules.flatMap(ruleSection)];
}

const LEAD: Readonly<Record<Preset, string>> = {
  permissive:
    'every soft rule warns and everything is approved: tests, and moving a node here. **The promise is void**',
  wallet: 'every rule refuses; no forwards',
  merchant: 'every rule refuses; no forwards, and nothing is paid out',
  hub: 'every rule refuses; forwards and payments',
};

/** What a preset makes of each optional rule; all other rules are alike under those that refuse. */
function presetsTable(rules: readonly Rule[]): string[] {
  const optional = rules.filter((rule) => rule.presets !== undefined);
  const does = (rule: Rule, preset: Preset) =>
    rule.presets?.includes(preset) === true ? '**error**' : 'off';
  return [
    '## Presets',
    '',
    '`preset` under [policy] decides what the rules do that no line of the file sets. All limits are the same under every preset.',
    '',
    '| preset | |',
    '|---|---|',
    ...PRESETS.map((preset) => `| ${code(preset)} | ${LEAD[preset]} |`),
    '',
    ...(optional.length === 0
      ? []
      : [
          'Optional rules:',
          '',
          `| rule | ${PRESETS.map(code).join(' | ')} |`,
          `|---|${PRESETS.map(() => '---|').join('')}`,
          ...optional.map(
            (rule) => `| ${linkTo(rule.tag)} | ${PRESETS.map((preset) => does(rule, preset)).join(' | ')} |`,
          ),
          '',
        ]),
  ];
}

function limitsTable(rules: readonly Rule[]): string[] {
  const [main, test] = [onNetwork('bitcoin'), onNetwork('signet')];
  const users = (name: keyof Limits) =>
    rules.filter(({ tag }) => guideOf(tag)?.limits?.includes(name) === true).map(({ tag }) => linkTo(tag));
  const rows = LIMIT_NAMES.map((name) => {
    const { unit, scope, meaning } = LIMIT_FORMS[name];
    const where = scope === 'channel' ? 'yes' : 'no';
    const cells = [code(tomlKey(name)), meaning, unit, valueText(main[name]), valueText(test[name]), where];
    return `| ${[...cells, users(name).join(', ')].join(' | ')} |`;
  });
  return [
    '## Limits',
    '',
    'Keys of [policy] in `countersign.toml`. Where a peer or channel may have its own, the key may stand in its table too.',
    '',
    '| key | bounds | unit | mainnet | test networks | per peer, channel | rules |',
    '|---|---|---|---|---|---|---|',
    ...rows,
    '',
  ];
}

function index(rules: readonly Rule[]): string[] {
  return [
    '## Index',
    '',
    '| tag | kind | promise | operations |',
    '|---|---|---|---|',
    ...rules.map(({ tag, severity, carriesPromise, presets, operations }) => {
      const kind = presets === undefined ? severity : `${severity}, optional`;
      const cells = [linkTo(tag), kind, carriesPromise === true ? 'yes' : '', operations.map(code).join(' ')];
      return `| ${cells.join(' | ')} |`;
    }),
    '',
  ];
}

export function renderPoliciesDocument(rules: readonly Rule[]): string {
  const sections = SECTIONS.flatMap((section) => {
    const own = rules.filter((rule) => rule.law === section.law);
    return own.length === 0 ? [] : lawSection(section, own);
  });
  const promised = rules.filter((rule) => rule.carriesPromise === true && rule.presets === undefined);
  const lines = [
    '# Policies',
    '',
    '<!-- Generated from the registry of rules in packages/core. Edit the rule, not this page. -->',
    '',
    `The ${rules.length} rules this version can refuse a request by. A rule’s tag is its stable name: it stands in every refusal,`,
    'and thereby in lightningd’s log; [refusals.md](refusals.md) says what to do then, [configuration.md](configuration.md)',
    'how to set rules and limits.',
    '',
    `Hard rules always refuse. Soft rules may be set to \`warn\`: the request passes and the audit log has it. Of those, the promise rests on ${promised.length}:`,
    'setting one of them to `warn` voids it, and the signer says so at every start.',
    '',
    ...presetsTable(rules),
    ...sections,
    ...limitsTable(rules),
    '## Operations',
    '',
    'What a request does, whatever message asks for it.',
    '',
    ...operationsTable(rules),
    ...index(rules),
  ];
  return `${lines.join('\n').trimEnd()}\n`;
}
