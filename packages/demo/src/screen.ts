/**
 * The facts as lines of text: for a terminal of any usual size, and for someone who has never seen Lightning. Pure.
 */
import { grouped, padEnd, type Style, wrap } from '@countersign/cli';
import type { AttackFacts, ChannelFacts, DemoFacts } from './facts.ts';

const COLUMNS_MIN = 60;
const COLUMNS_MAX = 100;
const LABEL_COLUMNS = 18;
const ATTACKS_SHOWN = 3;
const LINES_SHOWN = 4;

export interface ScreenSize {
  readonly columns: number;
  readonly rows: number;
}

const sat = (amount: bigint | number): string => `${grouped(Number(amount))} sat`;

/** At most `rows` lines; what happened least recently is left out first. */
export function drawScreen(facts: DemoFacts, style: Style, size: ScreenSize): readonly string[] {
  const columns = Math.min(COLUMNS_MAX, Math.max(COLUMNS_MIN, size.columns - 1));
  const lines = [
    ...head(style),
    '',
    ...standing(facts, style, columns),
    '',
    ...attacks(facts, style, columns),
  ];
  const news = facts.lines.slice(0, LINES_SHOWN).map((line) => `  ${style.dim(line)}`);
  const foot = ['', `  ${style.bold('p')} pay   ${style.bold('a')} attack   ${style.bold('q')} quit`];
  const room = Math.max(0, size.rows - 1 - foot.length);
  return [...[...lines, '', ...news].slice(0, room), ...foot];
}

function head(style: Style): readonly string[] {
  return [
    `${style.bold('Countersign')} ${style.dim('· a Lightning node whose keys are somewhere else · play money')}`,
    '',
    `  Alice’s node ${style.dim('──asks──▶')} ${style.bold('Countersign')} ${style.dim('holds the keys, signs what cannot lose money')}`,
    `       ${style.dim('│ channel')}`,
    '   Bob’s node',
  ];
}

function standing(facts: DemoFacts, style: Style, columns: number): readonly string[] {
  const row = (label: string, text: string): string => `  ${padEnd(label, LABEL_COLUMNS)}${text}`;
  const { channel, paymentsSent, paymentsReceived, spentSat, earnedSat } = facts;
  const opening = style.dim('opening: the funding waits for its blocks');
  return [
    row('Channel', channel === null ? opening : balance(channel, style, columns - LABEL_COLUMNS - 2)),
    row(
      '',
      channel === null ? '' : style.dim(`Alice ${sat(channel.oursSat)} · Bob ${sat(channel.theirsSat)}`),
    ),
    row('Wallet', sat(facts.walletSat)),
    row(
      'Payments',
      `${paymentsSent} sent, ${sat(spentSat)} · ${paymentsReceived} received, ${sat(earnedSat)}`,
    ),
    row('Blocks', grouped(facts.heightBlocks)),
    row(
      'Signer',
      `${grouped(facts.signed)} answered, ${facts.answerMs.toFixed(1)} ms each · ${grouped(facts.refused)} refused`,
    ),
    '',
    row(
      'Certain to keep',
      `${style.bold(style.green(sat(facts.certainSat)))}  ${style.dim('whatever the node does from now on')}`,
    ),
    row('Stolen', `${haul(facts, style)}  ${style.dim(`of ${sat(facts.triedSat)} that attacks were after`)}`),
  ];
}

const haul = ({ stolenSat }: DemoFacts, style: Style): string =>
  stolenSat === 0n ? style.bold(style.green('0 sat')) : style.bold(style.red(sat(stolenSat)));

function balance({ capacitySat, oursSat, theirsSat }: ChannelFacts, style: Style, columns: number): string {
  const cells = Math.max(10, Math.min(48, columns));
  const part = (amount: bigint): number => Number((amount * BigInt(cells)) / capacitySat);
  const [ours, theirs] = [part(oursSat), part(theirsSat)];
  // What is in neither balance is under way, or fee.
  const between = Math.max(0, cells - ours - theirs);
  return style.green('█'.repeat(ours)) + style.dim('▒'.repeat(between)) + style.yellow('█'.repeat(theirs));
}

function attacks({ attacks: all }: DemoFacts, style: Style, columns: number): readonly string[] {
  if (all.length === 0) {
    return [
      `  ${style.dim('Every few seconds a thief takes over Alice’s node and asks the signer for something. Or press a.')}`,
    ];
  }
  return all.slice(0, ATTACKS_SHOWN).flatMap((one) => [...attack(one, style, columns), '']);
}

/** One attack, told in full. */
export function attack(facts: AttackFacts, style: Style, columns: number): readonly string[] {
  const { title, story, stakeSat, refusedBy, wealthBeforeSat, wealthAfterSat } = facts;
  const inside = columns - 6;
  const stake = style.dim(` after ${sat(stakeSat)}`);
  const verdict =
    refusedBy === null
      ? [`    ${style.red(style.bold('SIGNED'))}`]
      : [
          `    ${style.green('refused')} ${style.dim('by')} ${style.cyan(refusedBy.tag)}`,
          ...wrap(reason(refusedBy), inside).map((line) => `    ${style.dim(line)}`),
        ];
  const kept =
    wealthAfterSat < wealthBeforeSat
      ? [`    ${style.red(`certain to keep fell from ${sat(wealthBeforeSat)} to ${sat(wealthAfterSat)}`)}`]
      : [];
  return [
    `  ${style.yellow('⚔')} ${style.bold(title)}${stake}`,
    ...wrap(story, inside).map((line) => `    ${line}`),
    ...verdict,
    ...kept,
  ];
}

const FACT_COLUMNS_MAX = 40;

/** A refusal's text is `tag: sentence [name=value …]`; keys and hashes among the values mean nothing to people. */
function reason({ tag, text }: { readonly tag: string; readonly text: string }): string {
  const parts = /^(.*?)(?: \[(.*)\])?$/s.exec(text.slice(`${tag}: `.length));
  const facts = (parts?.[2] ?? '').split(' ').filter((fact) => fact.length <= FACT_COLUMNS_MAX);
  const named = facts.map((fact) => fact.replaceAll('_', ' ').replace('=', ' ')).join(', ');
  return `${parts?.[1] ?? text}${named.trim() === '' ? '' : ` (${named})`}`;
}
