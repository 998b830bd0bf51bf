/** What a node's signer knows and did, over the operator's socket: its chain, its audit log. Promises that a signer without
 *  Countersign or without a chain is never taken for one that is well. */
import { deepEqual, equal } from 'node:assert/strict';
import { join } from 'node:path';
import { AdminClient, type SignerAnswer } from '@countersign/cli';
import type { Lightningd } from './lightningd.ts';
import { until } from './wait.ts';

const PAGE_ENTRIES = 500;
const FOLLOW_TIMEOUT_MS = 30_000;

export async function withSigner<T>(node: Lightningd, work: (client: AdminClient) => Promise<T>): Promise<T> {
  const client = await AdminClient.open(join(node.state_directory, 'admin.sock'));
  try {
    return await work(client);
  } finally {
    client.close();
  }
}

/** The nodes whose signers follow the chain. */
export function following(nodes: Lightningd[]): Lightningd[] {
  return nodes.filter(({ settings }) => settings.hsmd.kind === 'countersign' && settings.follows);
}

/** As `countersign chain status --json` gives it. */
export function chainStatus(node: Lightningd): Promise<SignerAnswer> {
  return withSigner(node, (client) => client.ask({ op: 'chain-status' }));
}

/** Waits until the signer has proven bitcoind's newest block, by its hash. */
export async function waitForProven(node: Lightningd): Promise<SignerAnswer> {
  const { bitcoind } = node.settings;
  const hash = (await bitcoind.call('getbestblockhash')) as string;
  const height = await bitcoind.height();
  return until(`the signer of ${node.name} to prove block ${height} ${hash}`, FOLLOW_TIMEOUT_MS, async () => {
    const status = await chainStatus(node);
    if (!status.has('tip') || status.at('tip').text('hash') !== hash) return undefined;
    return status.at('tip').number('provenHeightBlocks') === height ? status : undefined;
  });
}

/** The bodies of all entries of the audit log, the oldest first. */
export function auditBodies(node: Lightningd): Promise<SignerAnswer[]> {
  return withSigner(node, async (client) => {
    const bodies: SignerAnswer[] = [];
    for (let from = 1; ; ) {
      const asked = { op: 'audit-list', from, count: PAGE_ENTRIES } as const;
      const entries: SignerAnswer[] = (await client.ask(asked)).list('entries');
      const last = entries.at(-1);
      if (last === undefined) return bodies;
      bodies.push(...entries.map((entry) => entry.at('body')));
      from = last.number('seq') + 1;
    }
  });
}

/** The facts of every such event, the oldest first. */
export async function eventsOf(node: Lightningd, name: string): Promise<Readonly<Record<string, string>>[]> {
  return (await auditBodies(node))
    .flatMap((body) => (body.has('events') ? body.list('events') : []))
    .filter((event) => event.text('event') === name)
    .map((event) => event.object('facts'));
}

/** Tag and message of every refusal, and whether it was for the moment only. */
export async function refusalsOf(node: Lightningd): Promise<{ text: string; isTemporary: boolean }[]> {
  return (await auditBodies(node))
    .filter((body) => body.has('refusal'))
    .map((body) => body.at('refusal'))
    .map((one) => ({
      text: `${one.text('tag')}: ${one.text('message')}`,
      isTemporary: one.flag('temporary'),
    }));
}

/** How the node's channels ended on the chain, as its signer saw it, the oldest first. */
export async function closesSeen(node: Lightningd): Promise<string[]> {
  return (await eventsOf(node, 'channel-closed-on-chain')).map((facts) => facts.kind ?? '');
}

/** The signer has all blocks, knows of nothing wrong, and saw exactly these closes. */
export async function expectWell(node: Lightningd, closes: string[]): Promise<void> {
  if (following([node]).length === 0) return;
  const status = await waitForProven(node);
  equal(status.flag('isFresh'), true);
  deepEqual(
    status.list('alarms').map((alarm) => alarm.text('code')),
    [],
  );
  deepEqual(await closesSeen(node), closes, `closes that the signer of ${node.name} saw`);
}
