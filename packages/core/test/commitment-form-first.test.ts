/**
 * Where a commitment differs in several places, the refusal names the first in the order of the outputs, and what is
 * missing counts at its place.
 */
import { p2wshScript, sat, toLocalScript } from '@countersign/bitcoin';
import { describe, expect, it } from 'vitest';
import { htlc, type ModelHtlc, type Party } from './channel-model.ts';
import { FORMS, FormCase, type OutputPart, p2wsh, plain, stranger, VIEWS } from './form-cases.ts';
import { adding, KINDS } from './open-channel.ts';

const unrecognized = 'policy-commitment-no-unrecognized-outputs';
const revocation = 'policy-commitment-revocation-pubkey';
const missingHtlc = { tag: unrecognized, message: 'an HTLC of the list has no output' };
/** The rule of that side's anchor. */
const anchorTag = (side: Party) => `policy-commitment-anchor-to-${side}`;
const anchorOf = (side: Party, view: Party) => (side === view ? 'local_anchor' : 'remote_anchor');

const withHtlcs = (one: FormCase, ...htlcs: readonly ModelHtlc[]) =>
  one.adding(adding(one.channel.balances, ...htlcs));

describe.each(KINDS)('the first of several faults, %s', (_, options) => {
  const one = new FormCase(options, 'without');
  const many = new FormCase(options);
  const anchored = one.model.format === 'anchors_zero_fee_htlc';
  /** `to_local` under another revocation key: the last output, or the one before. */
  const revoked = (case_: FormCase, view: Party, value: bigint): OutputPart =>
    p2wsh(value, toLocalScript({ ...case_.build(view).keys, revocation: stranger }, 144));

  it('is an HTLC that is missing, before a larger output that differs', () => {
    for (const [view, psbt] of FORMS) {
      const request = many.changing(
        view,
        (o) => (o.value === 20_000n ? null : o.kind === 'to_local' ? revoked(many, view, o.value) : o),
        psbt,
      );
      expect(many.channel.refused(request)).toMatchObject({
        ...missingHtlc,
        facts: { missing_sat: 20_000n },
      });
    }
  });
  it('is an output that differs, before an HTLC that is missing and larger than all', () => {
    const large = withHtlcs(one, htlc(options.isOutbound ? 'holder' : 'counterparty', 550_000, 'large'));
    for (const view of VIEWS) {
      const last = large.outputs(view).length - 1;
      expect(large.outputs(view)[last]!.value).toBe(550_000n);
      const request = large.changing(view, (o, i) =>
        i === last ? null : o.kind === 'to_local' ? revoked(large, view, o.value) : o,
      );
      expect(large.tagOf(request)).toBe(revocation);
      const missed = large.changing(view, (o, i) => (i === last ? null : o));
      expect(large.channel.refused(missed)).toMatchObject({ ...missingHtlc, facts: { output: last } });
      expect(large.channel.refused(missed).facts).not.toHaveProperty('output_sat');
    }
  });
  it('is the HTLC that is missing where one unknown output stands for one of two', () => {
    for (const view of VIEWS) {
      // Sorts behind every other output of 30,000 sat.
      const standIn = plain(30_000n, p2wshScript(new Uint8Array(32).fill(0xff)));
      const outputs = many.outputs(view);
      const kept: readonly OutputPart[] = outputs.filter((o) => o.value !== 30_000n);
      const at = kept.findIndex((o) => o.value > 30_000n);
      expect(many.channel.refused(many.with(view, kept.toSpliced(at, 0, standIn)))).toMatchObject({
        ...missingHtlc,
        facts: { output: at, missing_sat: 30_000n },
      });
      // Where there are two, neither is missing: the first is an output that differs.
      expect(many.channel.refused(many.with(view, kept.toSpliced(at, 0, standIn, standIn))).message).not.toBe(
        missingHtlc.message,
      );
    }
  });
  it('is an output at the wrong place, where all are recognized', () => {
    for (const [view, psbt] of FORMS) {
      const outputs = one.outputs(view);
      const local = outputs.filter((o) => o.kind === 'to_local');
      const rest = outputs.filter((o) => o.kind !== 'to_local');
      const front = [...local, ...rest];
      const back = [...rest, ...local];
      const moved = outputs.at(-1)!.kind === 'to_local' ? front : anchored ? front : back;
      const side = view === 'holder' ? 'holder' : 'counterparty';
      const other = side === 'holder' ? 'counterparty' : 'holder';
      expect(one.channel.refused(one.with(view, moved, psbt))).toMatchObject({
        tag: `policy-commitment-singular-to-${moved === front ? side : other}`,
        message: 'the outputs are not in the order of BOLT 3',
        facts: { output: 0, stands_here: moved === front ? 'to_local' : 'to_remote' },
      });
      const htlcs = many.outputs(view);
      const first = htlcs.filter((o) => o.value === 30_000n);
      const swapped = [...first, ...htlcs.filter((o) => o.value !== 30_000n)];
      expect(many.channel.refused(many.with(view, swapped, psbt))).toMatchObject({
        tag: unrecognized,
        message: 'the outputs are not in the order of BOLT 3',
        facts: { output: 0, stands_here: 'an HTLC' },
      });
    }
  });

  if (!anchored) return;
  it.each(VIEWS)('is an anchor of the %s that is missing, before all that is larger', (side) => {
    for (const view of VIEWS) {
      const request = many.changing(view, (o) => {
        if (o.kind === anchorOf(side, view) || o.value === 20_000n) return null;
        return o.kind === 'to_local' ? revoked(many, view, o.value) : o;
      });
      const kind = anchorOf(side, view);
      expect(many.channel.refused(request)).toMatchObject({
        tag: anchorTag(side),
        message: `${kind} is missing`,
        facts: { output: many.outputs(view).findIndex((o) => o.kind === kind), missing_sat: 330n },
      });
    }
  });
  it('is the second anchor, if it differs, before an HTLC that is missing', () => {
    for (const view of VIEWS) {
      const request = many.changing(view, (o, i) =>
        i === 1 ? { ...o, value: sat(331n) } : o.value === 20_000n ? null : o,
      );
      expect(many.tagOf(request)).toBe('policy-commitment-anchor-amount');
    }
  });
  it.each(VIEWS)('is not an anchor of the %s that is not due', (side) => {
    const pushMsat = (side === 'holder') === options.isOutbound ? 998_000_000n : 0n;
    const lacking = new FormCase({ ...options, pushMsat }, 'without');
    const main = (view: Party) => (side === view ? 'to_remote' : 'to_local');
    for (const view of VIEWS) {
      const request = lacking.changing(view, (o) =>
        o.kind === main(view) ? plain(o.value, p2wshScript(new Uint8Array(32))) : o,
      );
      expect(lacking.tagOf(request)).toBe(
        main(view) === 'to_local' ? revocation : 'policy-commitment-countersignatory-pubkey',
      );
      // With an HTLC it is due without a main output, and its presence tells nothing.
      const offerer = side === 'holder' ? 'counterparty' : 'holder';
      const paid = withHtlcs(lacking, htlc(offerer, 20_000, 'one'), htlc(offerer, 30_000, 'two'));
      const outputs = paid.outputs(view);
      expect(outputs.some((o) => o.kind === anchorOf(side, view))).toBe(true);
      const first = outputs.filter((o) => o.value === 30_000n);
      const swapped = [...first, ...outputs.filter((o) => o.value !== 30_000n)];
      expect(paid.channel.refused(paid.with(view, swapped))).toMatchObject({
        tag: unrecognized,
        message: 'the outputs are not in the order of BOLT 3',
      });
    }
  });
});
