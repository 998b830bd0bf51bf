/** `countersign channel remedies`: what a plan looks like to the operator. */
import { describe, expect, it } from 'vitest';
import { SignerAnswer } from '../src/admin/answer.ts';
import { remedyLines } from '../src/commands/channel.ts';

const justice = {
  kind: 'justice',
  txid: 'ab'.repeat(32),
  after: null,
  valueSat: 905_494,
  feeSat: 2_100,
  weight: 900,
  bump: 'replace',
  earliestHeightBlocks: 800_000,
  deadlineHeightBlocks: 800_144,
  isReleased: true,
  isFallback: false,
  isPunishable: false,
  raw: '00',
};

const lines = (changed: object) =>
  remedyLines(
    new SignerAnswer(
      { channel: 'peer/1', remedies: [], remediesMore: 0, unclaimed: [], unclaimedMore: 0, ...changed },
      'the answer',
    ),
  );

describe('the plan of a channel', () => {
  it('names each transaction with its worth, its fee and its time', () => {
    const [line] = lines({ remedies: [justice] });
    expect(line).toContain('justice');
    expect(line).toContain(justice.txid);
    expect(line).toMatch(/905,494 sat +fee 2,100 +from height 800,000, before 800,144/);
  });

  it('says what a transaction is good for', () => {
    const open = { ...justice, kind: 'commitment', isReleased: false, raw: null, deadlineHeightBlocks: null };
    const [first, second, third] = lines({
      remedies: [open, { ...justice, isFallback: true }, { ...justice, isPunishable: true }],
    });
    expect(first).toMatch(/from height 800,000 +would end the channel$/);
    expect(second).toMatch(/if another of these fails$/);
    expect(third).toMatch(/the peer can take it$/);
  });

  it('tells what it leaves alone, what is more, and that there is nothing', () => {
    const left = { outpoint: `${'cd'.repeat(32)}:0`, valueSat: 330, role: 'anchor-holder', reason: 'anchor' };
    expect(lines({ unclaimed: [left] })).toEqual([
      'Nothing to publish.',
      `left: ${left.outpoint} (330 sat): anchor`,
    ]);
    expect(lines({ remedies: [justice], remediesMore: 3 }).at(-1)).toBe('… and 3 more');
  });
});
