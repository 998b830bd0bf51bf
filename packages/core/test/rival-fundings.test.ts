/** The operator is told when a peer has two fundings of one channel mined, and when that is over: by an alarm, and once each by the audit log. */
import { outPointToString } from '@countersign/bitcoin';
import { alarmsOfChannel } from '@countersign/core';
import { expect, it } from 'vitest';
import { recordOf } from './forwarder.ts';
import { PUSHED_SAT, TwoFundings } from './two-fundings.ts';

const eventsOf = (two: TwoFundings) =>
  two.signer.events.filter(({ event }) => event.startsWith('two-fundings'));
const names = (two: TwoFundings) => eventsOf(two).map(({ event }) => event);
const alarmOf = (two: TwoFundings) =>
  alarmsOfChannel(two.signer.read, two.signer.policy, two.id, recordOf(two.channel), []);
const bothOf = ({ first, second }: TwoFundings) =>
  [first, second].map(({ outpoint }) => outPointToString(outpoint)).join(' ');

it('two fundings with something of ours are an alarm from the block of the second on', () => {
  const two = new TwoFundings().mineFirst();
  expect(alarmOf(two)).toEqual([]);
  two.mineSecond();
  const { heightBlocks } = two.signer.view;
  two.signer.mineEmpty(5);
  const alarm = {
    code: 'two-fundings',
    severity: 'critical',
    channel: two.id,
    sinceHeightBlocks: heightBlocks,
    message:
      'the peer has two fundings of this channel on the chain, with something of ours: close the channel',
    facts: { count: 2, fundings: bothOf(two), ours_sat: 2n * PUSHED_SAT },
  };
  expect(alarmOf(two)).toEqual([alarm]);
  const { count: _, ...facts } = alarm.facts;
  expect(eventsOf(two)).toEqual([{ event: 'two-fundings-began', facts: { channel: two.id, ...facts } }]);
});

it('the second may be the older one', () => {
  const two = new TwoFundings().mineSecond();
  two.signer.mineEmpty(3);
  two.mineFirst();
  expect(alarmOf(two)).toMatchObject([{ sinceHeightBlocks: two.signer.view.heightBlocks - 2 }]);
});

it.each(['first', 'second'] as const)('it is over when the %s is closed, by whomever', (which) => {
  for (const side of ['holder', 'counterparty'] as const) {
    const two = new TwoFundings().mineBoth();
    two.signer.mine(two.commitment(side, 0, two[which])).mineEmpty(3);
    expect(alarmOf(two)).toEqual([]);
    expect(names(two)).toEqual(['two-fundings-began', 'two-fundings-over']);
    expect(eventsOf(two)[1]!.facts).toMatchObject({ channel: two.id, fundings: bothOf(two) });
  }
});

it('both in one block that another history does not have, and then has', () => {
  const two = new TwoFundings();
  const { mined } = two.signer;
  two.signer.mineEmpty(2);
  const fork = two.signer.view.heightBlocks;
  two.signer.mine(two.first.tx, two.second.tx);
  expect(alarmOf(two)).toHaveLength(1);
  two.signer.mined = mined.forkAt(fork);
  two.signer.mined.extendBy(3);
  two.signer.follow();
  expect(alarmOf(two)).toEqual([]);
  two.mineBoth();
  expect(alarmOf(two)).toHaveLength(1);
  expect(names(two)).toEqual(['two-fundings-began', 'two-fundings-over', 'two-fundings-began']);
});

it('two with nothing of ours, or with something in the one that the channel lives on, are none', () => {
  const nothing = new TwoFundings({ pushMsat: 0n }).mineBoth();
  expect(alarmOf(nothing)).toEqual([]);
  const { channel } = nothing;
  const { model } = channel;
  const third = model.newFunding('third round', nothing.first.valueSat);
  const pushed = { ...model.initial, holderMsat: 300_000_000n, counterpartyMsat: 700_000_000n };
  channel.ask({ ...model.setup(third), pushValue: 300_000_000n });
  channel.ask(model.validate(0, pushed, third));
  channel.ask(model.signRemote(0, pushed, third));
  nothing.signer.mine(third.tx);
  expect(alarmOf(nothing)).toEqual([]);
  expect(names(nothing)).toEqual([]);
  // As soon as it lives on another one, it would lose what is in the third.
  channel.ask(model.lock(nothing.first));
  expect(alarmOf(nothing)).toMatchObject([{ code: 'two-fundings', facts: { count: 3, ours_sat: 300_000n } }]);
});
