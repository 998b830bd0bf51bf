/** Scenarios about a signer on another machine: its link under cuts, its restarts, its absence. */
import { deepEqual, equal, match } from 'node:assert/strict';
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
const RESTARTS = 8;
const LOAD_TIMEOUT_MS = 1_800_000;
/** From the first payment after a fault to the next fault: the link is used when it is hit. */
const WHOLE_MS = { min: 0, max: 1_500 };
/** A side that hears nothing gives the connection up after seven seconds. */
const RECOVERY_MS = 40_000;
/** Long enough for a link to break, and for the nodes to notice nothing. */
const OUTAGE_MS: { readonly [F in Fault | 'kill']: { readonly min: number; readonly max: number } } = {
  drop: { min: 0, max: 2_000 },
  'deaf-near': { min: 0, max: 1_000 },
  'deaf-far': { min: 0, max: 1_000 },
  delay: { min: 200, max: 4_000 },
  kill: { min: 0, max: 2_000 },
};
const PAYERS_EACH_WAY = 3;

/** The stock hsmd has no link. */
const unlessCountersign: NonNullable<Scenario['unless']> = (_, signers) =>
  signers === 'none' ? 'the stock hsmd has no signer elsewhere' : undefined;

function remoteOf(node: Lightningd): RemoteSigner {
  const { remote } = node.settings;
  if (remote === null) throw new TypeError(`the signer of ${node.name} does not run apart`);
  return remote;
}

function recorded(node: Lightningd): RecordedAnswer[] {
  return readRecording(join(node.settings.directory, 'regtest', 'recorded.jsonl'));
}

interface Load {
  isOn: boolean;
  paid: number;
  /** What l1 has gained by it. */
  gained_msat: number;
}

/** Pays one after another until told to stop; every payment must succeed. */
async function payWhile(load: Load, payer: Lightningd, payee: Lightningd, scid: string): Promise<void> {
  const sign = payee.name === 'l1' ? 1 : -1;
  while (load.isOn) {
    const amount_msat = 1_000_000 + load.paid;
    const due = await invoice(payee, amount_msat);
    await send(payer, [{ node: payee, scid }], due);
    await waitPaid(payer, due);
    load.paid += 1;
    load.gained_msat += sign * amount_msat;
  }
}

/** Until a payment that was under way, or begun now, is complete. */
async function paysAgain(load: Load): Promise<void> {
  const { paid } = load;
  await until('a payment after a fault', RECOVERY_MS, () => load.paid > paid);
}

interface Faults {
  readonly counts: ReadonlyMap<Fault | 'kill', number>;
  readonly outage_ms: number;
}

/** Faults one after another, each under load. `suffer` returns when the outage is over. */
async function damage<F extends Fault | 'kill'>(
  faults: readonly F[],
  times: number,
  chance: Chance,
  load: Load,
  suffer: (fault: F, outage_ms: number) => Promise<void>,
): Promise<Faults> {
  const counts = new Map<F, number>();
  let outage_ms = 0;
  for (let i = 0; i < times; i++) {
    await paysAgain(load);
    await sleep(chance.between(WHOLE_MS.min, WHOLE_MS.max));
    const fault = chance.oneOf(faults);
    const { min, max } = OUTAGE_MS[fault];
    const duration_ms = chance.between(min, max);
    await suffer(fault, duration_ms);
    outage_ms += duration_ms;
    counts.set(fault, (counts.get(fault) ?? 0) + 1);
  }
  await paysAgain(load);
  return { counts, outage_ms };
}

async function expectOpen(l1: Lightningd, l2: Lightningd): Promise<void> {
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
async function expectFaithful(node: Lightningd): Promise<string> {
  const answers = recorded(node);
  const refused = answers.filter(({ answer }) => answer.startsWith(REFUSED));
  deepEqual(
    refused.map(({ type, answer }) => `${type} ${answer}`),
    [],
  );
  const { repeated, contradictions } = repetitionsIn(answers);
  deepEqual(contradictions, [], 'replies given twice with different content');
  const tags = (await auditBodies(node))
    .filter((body) => body.has('refusal'))
    .map((body) => body.at('refusal').text('tag'));
  deepEqual(tags, []);
  const longest_ms = Math.max(...answers.map(({ took_ms }) => took_ms));
  return `${answers.length} answers, ${repeated} given more than once, the longest after ${longest_ms} ms`;
}

/** Payments both ways while `work` does its worst to the signer of l1. */
async function underLoad(
  world: World,
  note: (text: string) => void,
  work: (signer: RemoteSigner, load: Load) => Promise<Faults>,
): Promise<void> {
  const wishes = { hsmd: 'countersign', remote: true, has_cable: true, records: true } as const;
  const [l1, l2] = await world.pair(wishes, {});
  await fundWallet(l1, 2_000_000);
  await openChannel(l1, l2, { push_sat: 400_000 });
  const scid = await scidOf(l1, l2);
  const before_msat = await balance_msat(l1, l2);
  const load: Load = { isOn: true, paid: 0, gained_msat: 0 };
  const start_ms = performance.now();
  const payers = Array.from({ length: PAYERS_EACH_WAY }, () => [
    payWhile(load, l1, l2, scid),
    payWhile(load, l2, l1, scid),
  ]).flat();
  const allPayers = Promise.all(payers);
  // A payment that fails ends the scenario at once.
  const failed = allPayers.then(() => Promise.reject(new TypeError('the payers stopped')));
  let faults: Faults;
  try {
    faults = await Promise.race([work(remoteOf(l1), load), failed]);
  } finally {
    load.isOn = false;
    failed.catch(() => {});
  }
  await allPayers;
  const took_ms = performance.now() - start_ms;
  await waitForNoHtlcs(l1, l2);
  await expectOpen(l1, l2);
  equal(await balance_msat(l1, l2), before_msat + load.gained_msat);
  const faithful = await expectFaithful(l1);
  await pay(l1, l2, 3_000_000);
  await expectWell(l1, []);
  const kinds = [...faults.counts].map(([fault, count]) => `${count} ${fault}`).join(', ');
  note(`${kinds}: ${(faults.outage_ms / 1000).toFixed(0)} of ${(took_ms / 1000).toFixed(0)} s`);
  note(`${load.paid} payments, none failed`);
  note(faithful);
}

const cut: Scenario = {
  name: 'remote-link-cut',
  about: `the link to the signer is damaged ${CUTS} times amid payments both ways: dropped, half dead, held back`,
  unless: unlessCountersign,
  timeout_ms: LOAD_TIMEOUT_MS,
  run: (world, note) =>
    underLoad(world, note, async ({ cable }, load) => {
      if (cable === null) throw new TypeError('there is no cable');
      const chance = new Chance(world.seed);
      return damage(FAULTS, CUTS, chance, load, (fault, outage_ms) => cable.suffer(fault, outage_ms));
    }),
};

const killed: Scenario = {
  name: 'remote-signer-killed',
  about: `SIGKILL of the signer amid payments, ${RESTARTS} times: INIT is repeated silently, and the node goes on`,
  unless: unlessCountersign,
  timeout_ms: LOAD_TIMEOUT_MS,
  run: (world, note) =>
    underLoad(world, note, (signer, load) =>
      damage(['kill'], RESTARTS, new Chance(world.seed), load, async (_, outage_ms) => {
        await signer.kill();
        await sleep(outage_ms);
        signer.start();
      }),
    ),
};

const waits: Scenario = {
  name: 'remote-waits',
  about:
    'lightningd is started before its signer: it waits, and says for whom on its terminal and in its log',
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
    match(l1.log(), /UNUSUAL +hsmd: countersign: waiting for the signer/);
    await pay(l1, l2, 3_000_000);
  },
};

export const REMOTE: Scenario[] = [cut, killed, waits];
