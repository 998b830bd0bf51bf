/**
 * Renders `docs/refusals.md`: for operators, what each refusal means and what to do. Pure, from the registry and the
 * guides beside it.
 */
import { guideOf, REFUSAL_WIRE_CODE, type Refusal, type Rule, refusalText } from '@countersign/core';
import { encodeMessage } from '@countersign/wire';
import { code, linkTo, SECTIONS } from './rule-words.ts';

/** What a refusal looks like; the numbers are of no real channel. */
const EXAMPLE: Refusal = {
  code: 'policy',
  tag: 'policy-commitment-fee-range',
  law: 2,
  severity: 'error',
  temporary: false,
  message: 'the fee rate of the commitment is out of range',
  facts: { feerate_per_kw: 40_000, feerate_max_per_kw: 25_000 },
  request: 'hsmd_sign_remote_commitment_tx',
  channel: '02ab…/17',
};

/** A field that is not described here does not compile. */
const FIELDS: Readonly<Record<keyof Refusal, string>> = {
  code: 'what kind of no it is: see the table of codes',
  tag: 'the rule, by its stable name: look it up below',
  law: 'the law the rule belongs to (1 to 5), or `keys`, `setup`, `form`',
  severity: '`error`; a rule at `warn` leaves a warning in the audit log and refuses nothing',
  temporary: 'true: the same request may pass later without anyone changing anything',
  message: 'one sentence about this request',
  facts: 'the numbers that were compared, with their units in their names',
  request: 'the message of the node',
  channel: 'node id of the peer and the node’s number of the channel; none for requests without a channel',
};

const CODES: Readonly<Record<Refusal['code'], string>> = {
  policy: 'a rule forbids it',
  malformed: 'the request is not well formed, or contradicts what the signer knows',
  permission: 'the client that asked may not ask this',
  'not-initialized': 'a request before INIT',
  'store-failed':
    'the store failed: the signer signs nothing until it is started again. See [errors](errors.md)',
  unreachable: 'said by the node side: the signer could not be asked',
};

function ruleSection(rule: Rule): string[] {
  const guide = guideOf(rule.tag);
  if (guide === undefined) return [];
  return [
    `### ${rule.tag}`,
    '',
    `**What happened.** ${guide.happened}`,
    '',
    `**What it means.** ${guide.means}`,
    '',
    `**What to do.** ${guide.todo}`,
    '',
    ...(rule.severity === 'hard' ? [] : [`The rule: ${linkTo(rule.tag, 'policies.md')}.`, '']),
  ];
}

const table = (head: string, rows: readonly string[]): string[] => [
  `| ${head.split('|').join(' | ')} |`,
  `|${head
    .split('|')
    .map(() => '---')
    .join('|')}|`,
  ...rows,
  '',
];

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const HEX_SHOWN = 70;

function shownByCln(): string[] {
  const text = refusalText(EXAMPLE);
  const answer = { name: 'vls_signer_error', code: REFUSAL_WIRE_CODE[EXAMPLE.code], message: text } as const;
  return [
    '## Where it stands',
    '',
    'The signer answers with a message that says no. Core Lightning 26.06 shows it in one of these ways:',
    '',
    ...table('request|what you see', [
      '| of a daemon (channeld, openingd, closingd…) | `**BROKEN** … Bad … reply 0bb8…`: the refusal in hex, in lightningd’s log. The daemon ends and is started again when the peer reconnects |',
      '| a withdrawal, `signpsbt` | an error of the command: `HSM gave bad sign_withdrawal_reply 0bb8…` |',
      '| a preapproval (`pay`, `xpay`, `keysend`) | `invoice was declined` or `keysend was declined`; the reason is in lightningd’s log (`UNUSUAL hsmd`) |',
      '| an anchor spend | nothing: it stays unsigned and is tried again with the next block |',
      '| lightningd’s own other requests | lightningd ends with the refusal as its last words; some come again at the next start. [refusal-table.md](refusal-table.md) has each |',
    ]),
    'The signer’s own line is in lightningd’s log in any case:',
    '',
    '```text',
    `UNUSUAL hsmd: refused ${EXAMPLE.request}: ${text}`,
    '```',
    '',
    'In hex: `0bb8` (3000, the type), two bytes of code, then the text.',
    '',
    '```text',
    `${hexOf(encodeMessage(answer)).slice(0, HEX_SHOWN)}…`,
    '```',
    '',
    '`echo <hex> | xxd -r -p` makes it readable.',
    '',
  ];
}

function fields(): string[] {
  const rows = Object.entries(FIELDS).map(([name, meaning]) => {
    const value = EXAMPLE[name as keyof Refusal];
    return `| \`${name}\` | \`${typeof value === 'object' ? JSON.stringify(value) : String(value)}\` | ${meaning} |`;
  });
  return [
    '## What it says',
    '',
    'A refusal changes nothing: the channel is as before, other channels and the process go on. The audit log has all of it,',
    'and none of it is ever a secret.',
    '',
    ...table('field|example|', rows),
  ];
}

function codes(): string[] {
  const rows = Object.entries(CODES).map(
    ([name, meaning]) => `| ${code(name)} | ${REFUSAL_WIRE_CODE[name as Refusal['code']]} | ${meaning} |`,
  );
  return ['## Codes', '', ...table('code|on the wire|what it means', rows)];
}

export function renderRefusalsDocument(rules: readonly Rule[]): string {
  const sections = SECTIONS.flatMap((section) => {
    const own = rules.filter((rule) => rule.law === section.law).flatMap(ruleSection);
    return own.length === 0 ? [] : [`## ${section.title}`, '', ...own];
  });
  const lines = [
    '# Refusals',
    '',
    '<!-- Generated from the guides in packages/core/src/policy/guide. Edit them, not this page. -->',
    '',
    'The signer refused something. This page is for whoever runs the node: what happened, what it means, what to do. The rules',
    'themselves are in [policies.md](policies.md).',
    '',
    'First question: did anybody order what was refused? If nobody did, somebody else has your node; the signer did its work.',
    'Leave its rules as they are and install the node anew from a source you trust.',
    '',
    ...shownByCln(),
    ...fields(),
    ...codes(),
    ...sections,
  ];
  return `${lines.join('\n').trimEnd()}\n`;
}
