/**
 * Any single change to what a commitment pays, to whom, or in which order is refused by a hard rule of the form, in
 * either view and type and with any PSBT; and the diagnosis of a refusal answers for whatever it is shown.
 */
import {
  type CommitmentOutput,
  type CommitmentScriptParams,
  commitmentScripts,
  compareOutputs,
  equalBytes,
  msat,
  p2wshScript,
  psbtOutputWitnessScript,
  readWitnessScript,
  sat,
  toHex,
} from '@countersign/bitcoin';
import { findRule } from '@countersign/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { diagnoseOutputs } from '../src/ratchet/diagnose.ts';
import { explainOutput } from '../src/ratchet/explain.ts';
import { htlc, type ModelHtlc, type Party } from './channel-model.ts';
import { FormCase, type InPsbt, type OutputPart, PSBTS, p2wsh, VIEWS, worth } from './form-cases.ts';
import { adding, FORMATS } from './open-channel.ts';
import { processorMs } from './processor-time.ts';
import { bytesOf } from './test-signer.ts';

const FAMILY = [
  'no-unrecognized-outputs',
  'singular-to-holder',
  'singular-to-counterparty',
  'revocation-pubkey',
  'broadcaster-pubkey',
  'countersignatory-pubkey',
  'to-self-delay-range',
  'htlc-revocation-pubkey',
  'htlc-counterparty-htlc-pubkey',
  'htlc-holder-htlc-pubkey',
  'anchors-not-when-off',
  'anchor-to-holder',
  'anchor-to-counterparty',
  'anchor-amount',
  'anchor-static-remotekey',
  'anchor-match-fundingkey',
].map((name) => `policy-commitment-${name}`);

const cases = FORMATS.flatMap((format) =>
  [true, false].map((isOutbound) => new FormCase({ format, isOutbound }, 'without')),
);

const anHtlc: fc.Arbitrary<ModelHtlc> = fc
  .record({
    offeredBy: fc.constantFrom('holder' as const, 'counterparty' as const),
    amountSat: fc.constantFrom(10_000, 20_000, 20_001, 50_000),
    label: fc.constantFrom('a', 'b'),
    cltvExpiry: fc.constantFrom(700_000, 700_001),
  })
  .map(({ offeredBy, amountSat, label, cltvExpiry }) => htlc(offeredBy, amountSat, label, cltvExpiry));

/** Where we opened and the peer put funds in, its main output may be leased: locked longer. */
function isLease({ model }: FormCase, view: Party, outputs: readonly OutputPart[]): boolean {
  if (!model.isOutbound) return false;
  return outputs.some(({ witnessScript }) => {
    const read = witnessScript === null ? null : readWitnessScript(witnessScript);
    return view === 'counterparty'
      ? read?.kind === 'to_local' && read.delayBlocks > model.delayBlocks.counterparty
      : read?.kind === 'to_remote' && read.lockBlocks > 1;
  });
}

/** The changed outputs, or null where this change is none here. */
type Change = (outputs: readonly CommitmentOutput[], at: number, by: number) => readonly OutputPart[] | null;

const isMain = ({ kind }: CommitmentOutput) => kind === 'to_local' || kind === 'to_remote';
const flipped = (bytes: Uint8Array, by: number): Uint8Array =>
  bytes.map((byte, i) => (i === by % bytes.length ? byte ^ (1 << (by % 8)) : byte));
const sorted = (outputs: readonly OutputPart[]) => outputs.toSorted(compareOutputs);

const CHANGES: Readonly<Record<string, Change>> = {
  'a bit of an output script': (outputs, at, by) =>
    sorted(outputs.map((o, i) => (i === at ? { ...o, script: flipped(o.script, by) } : o))),
  'a bit of a witness script': (outputs, at, by) => {
    const { witnessScript, value } = outputs[at]!;
    if (witnessScript === null) return null;
    return sorted(outputs.with(at, { ...outputs[at]!, ...p2wsh(value, flipped(witnessScript, by)) }));
  },
  // The amounts of main outputs are law 2's.
  'an amount': (outputs, at, by) => {
    const output = outputs[at]!;
    return isMain(output)
      ? null
      : sorted(outputs.with(at, worth(output, output.value + BigInt(1 + (by % 1000)))));
  },
  'an output left out': (outputs, at) => (isMain(outputs[at]!) ? null : outputs.toSpliced(at, 1)),
  'an output twice': (outputs, at) => outputs.toSpliced(at, 0, outputs[at]!),
  'a foreign output': (outputs, _, by) =>
    sorted([
      ...outputs,
      { value: sat(BigInt(by)), script: p2wshScript(bytesOf(`${by}`)), witnessScript: null },
    ]),
  'another order': (outputs, at, by) => {
    const others = outputs.toSpliced(at, 1);
    const moved = others.toSpliced(by % outputs.length, 0, outputs[at]!);
    const same = moved.every((o, i) => compareOutputs(o, outputs[i]!) === 0);
    return same ? null : moved;
  },
};

describe('any single change to an honest commitment', () => {
  const step = fc.record({
    one: fc.constantFrom(...cases),
    htlcs: fc.array(anHtlc, { maxLength: 4 }),
    view: fc.constantFrom(...VIEWS),
    psbt: fc.constantFrom<InPsbt>(...PSBTS),
    at: fc.nat(1000),
    by: fc.nat(1000),
  });

  it.each(Object.entries(CHANGES))('is refused by a hard rule of the form: %s', (_, change) => {
    fc.assert(
      fc.property(step, ({ one, htlcs, view, psbt, at, by }) => {
        const now = one.adding(adding(one.balances, ...htlcs));
        const outputs = now.outputs(view);
        const changed = change(outputs, at % outputs.length, by);
        if (changed === null || isLease(now, view, changed)) return;
        const { tag, law, facts } = now.channel.refused(now.with(view, changed, psbt));
        expect(FAMILY).toContain(tag);
        expect(findRule(tag)).toMatchObject({ severity: 'hard', law: 1 });
        expect(law).toBe(1);
        expect(facts).toMatchObject({ broadcaster: view, number: 1 });
      }),
      { numRuns: 60 },
    );
  });

  it('is refused by a hard rule of the form: the list of HTLCs', () => {
    fc.assert(
      fc.property(step, fc.constantFrom('less', 'more', 'side', 'hash', 'amount', 'expiry'), (a, what) => {
        const now = a.one.adding(adding(a.one.balances, ...a.htlcs));
        const request = now.with(a.view, now.outputs(a.view), a.psbt) as ReturnType<FormCase['honest']>;
        const i = a.at % Math.max(1, request.htlcs.length);
        const changed = request.htlcs[i];
        if (changed === undefined) return;
        const isOffered = (changed.side === 'local') === (a.view === 'holder');
        const replaced = {
          less: [],
          more: [changed, changed],
          side: [{ ...changed, side: changed.side === 'local' ? ('remote' as const) : ('local' as const) }],
          hash: [{ ...changed, paymentHash: flipped(changed.paymentHash, a.by) }],
          amount: [{ ...changed, amount: msat(changed.amount + 1000n * BigInt(1 + a.by)) }],
          // An HTLC the broadcaster offered has its expiry in no output.
          expiry: [{ ...changed, cltvExpiry: changed.cltvExpiry + (isOffered ? 0 : 1) }],
        }[what];
        if (what === 'expiry' && isOffered) return;
        const htlcs = request.htlcs.toSpliced(i, 1, ...replaced);
        expect(FAMILY).toContain(now.tagOf({ ...request, htlcs }));
      }),
      { numRuns: 60 },
    );
  });
});

describe('the diagnosis', () => {
  const many = new FormCase();
  const claimOf = (view: (typeof VIEWS)[number], request = many.honest(view)) => {
    const { keys } = many.build(view);
    const { model } = many;
    const params: CommitmentScriptParams = {
      format: model.format,
      keys,
      broadcasterFundingKey: view === 'holder' ? model.holderFundingKey : model.funding.peerKey,
      countersignatoryFundingKey: view === 'holder' ? model.funding.peerKey : model.holderFundingKey,
      toSelfDelayBlocks: model.delayBlocks[view],
      funder: view === 'holder' ? 'broadcaster' : 'countersignatory',
    };
    const htlcs = request.htlcs.map((one) => ({
      direction:
        (one.side === 'local') === (view === 'holder') ? ('offered' as const) : ('received' as const),
      amountMsat: one.amount,
      paymentHash: one.paymentHash,
      cltvExpiry: one.cltvExpiry,
    }));
    return { tx: request.tx.tx, psbt: request.tx.psbt, params, htlcs, broadcaster: view };
  };

  it('never approves: what it finds no fault with stays refused', () => {
    for (const view of VIEWS) {
      expect(diagnoseOutputs(claimOf(view))).toEqual({
        rule: findRule('policy-commitment-no-unrecognized-outputs'),
        message: 'the outputs are not those of this commitment',
        facts: {},
      });
    }
  });
  it('explains an output of the commitment itself as one more', () => {
    const claim = claimOf('holder');
    for (const output of many.outputs('holder')) {
      if (output.witnessScript === null) continue;
      const found = explainOutput(output, output.witnessScript, {
        ...claim,
        scripts: commitmentScripts(claim.params),
        missingMain: new Set(['to_local', 'to_remote', 'local_anchor', 'remote_anchor']),
        missingHtlcs: [],
        unknownCount: 1,
      });
      expect(found.rule.tag).toMatch(/no-unrecognized-outputs|anchor-match-fundingkey/);
    }
  });
  it('answers with a hard rule for any outputs and any witness scripts', () => {
    const honest = many.outputs('holder');
    const script = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.constantFrom(...honest.map((o) => o.script)),
      fc.constantFrom(...honest.flatMap((o) => o.witnessScript ?? [])),
    );
    const output = fc.record({
      value: fc.constantFrom(0n, 330n, 20_000n, 30_000n, 500_000n).map(sat),
      script,
      witnessScript: fc.option(script),
      commits: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(output, { maxLength: 12 }), fc.constantFrom(...VIEWS), (outputs, view) => {
        const parts = outputs.map(({ commits, ...o }) =>
          commits && o.witnessScript !== null ? p2wsh(o.value, o.witnessScript) : o,
        );
        const request = many.with(view, parts) as ReturnType<FormCase['honest']>;
        expect(FAMILY).toContain(diagnoseOutputs(claimOf(view, request)).rule.tag);
      }),
      { numRuns: 300 },
    );
  });
  it('is soon done with 966 HTLCs that are all foreign, and with as many outputs as a frame holds', () => {
    const claim = claimOf('holder');
    const htlcs = Array.from({ length: 966 }, () => claim.htlcs[0]!);
    const outputs = Array.from({ length: 20_000 }, (_, i) => ({
      value: sat(20_000n),
      script: p2wshScript(bytesOf(`${i}`)),
    }));
    const request = many.with(
      'holder',
      outputs.map((o) => ({ ...o, witnessScript: null })),
    ) as ReturnType<FormCase['honest']>;
    const foreign = { ...claimOf('holder', request), htlcs };
    expect(processorMs(() => diagnoseOutputs(foreign))).toBeLessThan(5000);
  });
  it('reads only witness scripts that the outputs commit to', () => {
    const honest = many.honest('holder');
    const scripts = honest.tx.tx.outputs.map((_, i) => psbtOutputWitnessScript(honest.tx.psbt, i));
    expect(scripts.filter((one) => one !== undefined)).toHaveLength(many.outputs('holder').length);
    for (const [i, one] of scripts.entries())
      expect(equalBytes(p2wsh(1n, one!).script, honest.tx.tx.outputs[i]!.script), toHex(one!)).toBe(true);
  });
});
