/** A heartbeat for people. Its texts may come from anywhere: fit for a terminal when they leave here. */
import { fromHex } from '@countersign/bitcoin';
import { type Heartbeat, networkByChainHash } from '@countersign/core';
import { grouped, moment, printable, table } from '../terminal.ts';

export function heartbeatLines(heartbeat: Heartbeat, nowSeconds: number): string[] {
  const { nodeId, sequence, timeSeconds, startedAtSeconds, counters } = heartbeat;
  const { pendingApprovals, commits } = counters;
  const rows = [
    ['node', nodeId],
    ['network', networkName(heartbeat)],
    ['time', `${moment(timeSeconds)} (${ageText(nowSeconds - timeSeconds)})`],
    ['running since', moment(startedAtSeconds)],
    ['sequence', `${sequence.start}/${sequence.count}`],
    ['chain', chainText(heartbeat)],
    ['channels', channelsText(counters)],
    ['approvals', pendingApprovals === null ? 'unknown' : `${pendingApprovals} waiting`],
    ['commits', grouped(commits)],
    ['refusals', refusalsText(counters)],
    ['policy', policyText(heartbeat)],
    ['alarms', countText(heartbeat.alarms.length, heartbeat.cut.alarms)],
    ['deadlines', countText(heartbeat.deadlines.length, heartbeat.cut.deadlines)],
  ];
  const lines = [...table(rows, ['left', 'left']), ...alarmLines(heartbeat), ...deadlineLines(heartbeat)];
  return lines.map(printable);
}

function networkName({ chainHash }: Heartbeat): string {
  return networkByChainHash(fromHex(chainHash).reverse())?.name ?? `unknown (${chainHash})`;
}

const ageText = (ageSeconds: number): string =>
  ageSeconds < 0 ? `${-ageSeconds} s in the future` : `${ageSeconds} s ago`;

function chainText({ chain }: Heartbeat): string {
  if (chain === null) return 'not followed';
  const { tipHeightBlocks, provenHeightBlocks, lagBlocks, medianTimeSeconds } = chain;
  const lag = lagBlocks === 0 ? '' : `, proven up to ${provenHeightBlocks} (${lagBlocks} behind)`;
  return `height ${tipHeightBlocks}${lag}, median time ${moment(medianTimeSeconds)}`;
}

function channelsText({ channels, channelsLive }: Heartbeat['counters']): string {
  if (channels === null) return channelsLive === null ? 'unknown' : `${channelsLive} set up`;
  const { opening, open, closing, closed } = channels;
  return `${open} open, ${opening} opening, ${closing} closing, ${closed} closed`;
}

function refusalsText({ refusals }: Heartbeat['counters']): string {
  if (refusals.total === 0) return 'none since the start';
  const most = Object.entries(refusals.byTag).sort(([, a], [, b]) => b - a);
  return `${grouped(refusals.total)} since the start: ${most.map(([tag, count]) => `${tag} ${count}`).join(', ')}`;
}

const PROMISE = {
  kept: 'the promise is kept',
  limited: 'the promise is kept, except for what is not judged',
  void: 'THE PROMISE IS VOID',
} as const;

function policyText({ policy }: Heartbeat): string {
  const { preset, promise, weakened, weakenedCut } = policy;
  const more = weakenedCut === 0 ? '' : ` and ${weakenedCut} more`;
  const list = weakened.length === 0 ? '' : `; not refusing: ${weakened.join(', ')}${more}`;
  return `${preset}: ${PROMISE[promise]}${list}`;
}

function countText(shown: number, cut: number): string {
  if (shown + cut === 0) return 'none';
  return cut === 0 ? `${shown}` : `${shown + cut}, of which ${shown} are told`;
}

function alarmLines({ alarms }: Heartbeat): string[] {
  return alarms.flatMap(({ code, severity, channel, sinceHeightBlocks, message, facts }) => {
    const where = channel === null ? '' : `, channel ${channel}`;
    const since = sinceHeightBlocks === null ? '' : `, since height ${sinceHeightBlocks}`;
    const list = Object.entries(facts).map(([name, value]) => `${name}=${value}`);
    return [
      `${severity === 'critical' ? 'ALARM' : 'alarm'} ${code}${where}${since}: ${message}`,
      ...(list.length === 0 ? [] : [`  ${list.join(' ')}`]),
    ];
  });
}

function deadlineLines({ deadlines }: Heartbeat): string[] {
  return deadlines.map(
    ({ channel, heightBlocks, blocksLeft, level, what, amountMsat }) =>
      `deadline ${level}: ${what}, ${blocksLeft} blocks left to height ${heightBlocks}, ${amountMsat} msat, channel ${channel}`,
  );
}
