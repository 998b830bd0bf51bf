/** Scenarios about a signer on another machine: its link under cuts, its restarts, its absence. */
import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { join } from 'node:path';
import { FAULTS, type Fault } from '../bad-cable.ts';
import { Chance } from '../chance.ts';
import { balance_msat, channelsWith, fundWallet, openChannel, scidOf, waitForNoHtlcs } from '../channels.ts';
import { textAt } from '../json-value.ts';
import type { Lightningd } from '../lightningd.ts';
import { invoice, pay, send, waitPaid } from '../payments.ts';
import { REFUSED, type RecordedAnswer, readRecording, repetitionsIn } from '../recording.ts';
import type { RemoteSigner } from '../remote-signer.ts';
import type { Scenario } from '../scenario.ts';
import { auditBodies, expectWell } from '../signer-view.ts';
import { sleep, until } from '../wait.ts';
import type { World } from '../world.ts';

const CUTS = 100;
const CUTS_TIMEOUT_MS = 900_000;
/** Between the end of a fault and the next one. */
const WHOLE_MS = { min: 50, max: 1_500 };
/** Long enough for a link to break, and for the nodes to notice nothing. */
const OUTAGE_MS: { readonly [F in Fault]: { readonly min: number; readonly max: number } } = {
  drop: { min: 0, max: 2_000 },
  'deaf-near': { min: 0, max: 1_000 },
  'deaf-far': { min: 0, max: 1_000 },
  delay: { min: 200, max: 4_000 },
};
const PAYERS_EACH_WAY = 3;

/** The stock hsmd has no link. */
const unlessCountersign: NonNullable<Scenario['unless']> = (_, signers) =>
  signers === 'none' ? 'the stock hsmd has no signer elsewhere' : undefined;

export function remoteOf(node: Lightningd): RemoteSigner {
  const { remote } = node.settings;
  if (remote === null) throw new TypeError(`the signer of ${node.name} does not run apart`);
  return remote;
}

export function recorded(node: Lightningd): RecordedAnswer[] {
  return readRecording(join(node.settings.directory, 'regtest', 'recorded.jsonl'));
}

/** Pays one after another until told to stop; every payment must succeed. Gives how many did. */
async function payWhile(
  isOn: () => boolean,
  payer: Lightningd,
  payee: Lightningd,
  scid: string,
): Promise<number> {
  let paid = 0;
  for (; isOn(); paid++) {
    const due = await invoice(payee, 1_000_000 + paid);
    await send(payer, [{ node: payee, scid }], due);
    await waitPaid(payer, due);
  }
  return paid;
}

async function expectOpen(nodes: readonly [Lightningd, Lightningd]): Promise<void> {
  const [l1, l2] = nodes;
  for (const [node, peer] of [
    [l1, l2],
    [l2, l1],
  ] as const) {
    const states = (await channelsWith(node, peer)).map((channel) => textAt(channel, 'state'));
    deepEqual(states, ['CHANNELD_NORMAL']);
    equal(node.ended, undefined);
  }
}

/** No request was refused, by the node side or by the signer, and no reply contradicts another. */
async function expectFaithful(node: Lightningd): Promise<{ answers: number; repeated: number }> {
  const answers = recorded(node);
  deepEqual(
    answers.filter(({ answer }) => answer.startsWith(REFUSED)).map(({ type, answer }) => `${type} ${answer}`),
    [],
  );
  const { repeated, contradictions } = repetitionsIn(answers);
  deepEqual(contradictions, [], 'replies given twice with different content');
  const refused = (await auditBodies(node)).filter((body) => body.has('refusal'));
  deepEqual(
    refused.map((body) => body.at('refusal').text('tag')),
    [],
  );
  return { answers: answers.length, repeated };
}

interface Cuts {
  readonly counts: Map<Fault, number>;
  readonly outage_ms: number;
}

async function damage(signer: RemoteSigner, chance: Chance, cuts: number): Promise<Cuts> {
  const counts = new Map<Fault, number>();
  let outage_ms = 0;
  for (let i = 0; i < cuts; i++) {
    await sleep(chance.between(WHOLE_MS.min, WHOLE_MS.max));
    const fault = chance.oneOf(FAULTS);
    const { min, max } = OUTAGE_MS[fault];
    const duration_ms = chance.between(min, max);
    await signer.cable?.suffer(fault, duration_ms);
    outage_ms += duration_ms;
    counts.set(fault, (counts.get(fault) ?? 0) + 1);
  }
  return { counts, outage_ms };
}

async function underLoad(
  world: World,
  work: (l1: Lightningd) => Promise<Cuts>,
  note: (text: string) => void,
): Promise<void> {
  const wishes = { hsmd: 'countersign', remote: true, has_cable: true, records: true } as const;
  const [l1, l2] = await world.pair(wishes, {});
  await fundWallet(l1, 2_000_000);
  await openChannel(l1, l2, { push_sat: 400_000 });
  const scid = await scidOf(l1, l2);
  const before_msat = await balance_msat(l1, l2);
  let isOn = true;
  const start_ms = performance.now();
  const payers = Array.from({ length: PAYERS_EACH_WAY }, () => [
    payWhile(() => isOn, l1, l2, scid),
    payWhile(() => isOn, l2, l1, scid),
  ]).flat();
  let cuts: Cuts;
  try {
    cuts = await Promise.race([
      work(l1),
      // A payment that fails ends the scenario at once.
      Promise.all(payers).then(() => Promise.reject(new TypeError('the payers stopped'))),
    ]);
  } finally {
    isOn = false;
  }
  const paid = (await Promise.all(payers)).reduce((sum, one) => sum + one, 0);
  const took_ms = performance.now() - start_ms;
  await waitForNoHtlcs(l1, l2);
  await expectOpen([l1, l2]);
  const { answers, repeated } = await expectFaithful(l1);
  const longest_ms = Math.max(...recorded(l1).map(({ took_ms }) => took_ms));
  await pay(l1, l2, 3_000_000);
  await expectWell(l1, []);
  ok(before_msat > 0);
  const kinds = [...cuts.counts].map(([fault, count]) => `${count} ${fault}`).join(', ');
  note(
    `${kinds}; the cable was bad for ${(cuts.outage_ms / 1000).toFixed(0)} of ${(took_ms / 1000).toFixed(0)} s`,
  );
  note(`${paid} payments, none failed; ${answers} answers, ${repeated} repeated, longest ${longest_ms} ms`);
}

const cut: Scenario = {
  name: 'remote-link-cut',
  about: `the link to the signer is damaged ${CUTS} times amid payments both ways: dropped, half dead, held back`,
  unless: unlessCountersign,
  timeout_ms: CUTS_TIMEOUT_MS,
  run: (world, note) => underLoad(world, (l1) => damage(remoteOf(l1), new Chance(world.seed), CUTS), note),
};

const RESTARTS = 8;

const restarts: Scenario = {
  name: 'remote-signer-killed',
  about: `SIGKILL of the signer amid payments, ${RESTARTS} times: the node goes on when it is back, INIT is repeated silently`,
  unless: unlessCountersign,
  timeout_ms: CUTS_TIMEOUT_MS,
  run: (world, note) =>
    underLoad(
      world,
      async (l1) => {
        const chance = new Chance(world.seed);
        const signer = remoteOf(l1);
        let outage_ms = 0;
        for (let i = 0; i < RESTARTS; i++) {
          await sleep(chance.between(500, 2_000));
          const duration_ms = chance.between(0, 2_000);
          await signer.kill();
          await sleep(duration_ms);
          signer.start();
          outage_ms += duration_ms;
        }
        return { counts: new Map(), outage_ms };
      },
      note,
    ),
};

const waits: Scenario = {
  name: 'remote-waits',
  about:
    'lightningd is started without its signer: it waits and says for whom; then a restart of both, in either order',
  unless: unlessCountersign,
  run: async (world) => {
    const [l1, l2] = await world.pair({ hsmd: 'countersign', remote: true }, {});
    await fundWallet(l1, 2_000_000);
    await openChannel(l1, l2, { push_sat: 400_000 });
    const signer = remoteOf(l1);
    await l1.stop();
    await signer.kill();
    const starting = l1.startWithoutSigner();
    await until('the node to say what it waits for', 20_000, () =>
      /countersign: waiting for the signer at 127\.0\.0\.1:\d+/.test(l1.output()),
    );
    equal(l1.ended, undefined);
    await sleep(1_000);
    signer.start();
    await starting;
    match(l1.log(), /UNUSUAL hsmd: countersign: waiting for the signer/);
    await pay(l1, l2, 3_000_000);
  },
};

export const REMOTE: Scenario[] = [cut, restarts, waits];
