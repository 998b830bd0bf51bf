/**
 * The scripts of HTLC outputs: the key that differs is named by its own tag, in both sides' commitments and both channel
 * types (attacks A26 and A27).
 */
import {
  type CommitmentKeys,
  type CommitmentOutput,
  type HtlcKeys,
  htlcScripts,
  sha256,
  toHex,
} from '@countersign/bitcoin';
import { describe, expect, it } from 'vitest';
import { htlc, type Party } from './channel-model.ts';
import { FORMS, FormCase, type InPsbt, type OutputPart, p2wsh, stranger, VIEWS } from './form-cases.ts';
import { adding, KINDS } from './open-channel.ts';

const unrecognized = 'policy-commitment-no-unrecognized-outputs';
const revocation = 'policy-commitment-htlc-revocation-pubkey';
const holders = 'policy-commitment-htlc-holder-htlc-pubkey';
const counterpartys = 'policy-commitment-htlc-counterparty-htlc-pubkey';

/** Whose HTLC key each is. */
const KEYS: readonly (readonly [Party, keyof CommitmentKeys, string])[] = [
  ['holder', 'broadcasterHtlc', holders],
  ['holder', 'countersignatoryHtlc', counterpartys],
  ['counterparty', 'broadcasterHtlc', counterpartys],
  ['counterparty', 'countersignatoryHtlc', holders],
];

describe.each(KINDS)('the HTLCs of a commitment, %s', (_, options) => {
  const many = new FormCase(options);
  const { format } = many.model;

  /** The script of this HTLC with other keys, or in another form. */
  function rescripted(
    view: Party,
    output: CommitmentOutput,
    keys: Partial<HtlcKeys>,
    form = format,
  ): OutputPart {
    const scripts = htlcScripts({ ...many.build(view).keys, ...keys }, form);
    const { preimage, cltvExpiry } = many.balances.htlcs[output.htlcIndex]!;
    const hash = sha256(preimage);
    const script =
      output.kind === 'offered_htlc' ? scripts.offered(hash) : scripts.received(hash, cltvExpiry);
    return p2wsh(output.value, script);
  }
  /** With one HTLC output, or every one, under other keys. */
  const changing = (
    view: Party,
    which: number | 'all',
    keys: Partial<HtlcKeys>,
    psbt: InPsbt = 'witness scripts',
  ) =>
    many.changing(
      view,
      (o) => (o.htlcIndex >= 0 && (which === 'all' || o.htlcIndex === which) ? rescripted(view, o, keys) : o),
      psbt,
    );

  it('policy-commitment-htlc-revocation-pubkey: trips on another key in any HTLC', () => {
    for (const view of VIEWS) {
      for (const which of [0, 1, 2, 'all'] as const)
        expect(many.tagOf(changing(view, which, { revocation: stranger }))).toBe(revocation);
    }
  });
  it('policy-commitment-htlc-revocation-pubkey: trips before the main output that has it too', () => {
    for (const [view, psbt] of FORMS)
      expect(many.tagOf(many.building(view, { keys: { revocation: stranger } }, psbt))).toBe(revocation);
  });
  it('policy-commitment-htlc-revocation-pubkey: trips before other keys of the script', () => {
    for (const view of VIEWS) {
      const keys = { revocation: stranger, broadcasterHtlc: stranger, countersignatoryHtlc: stranger };
      expect(many.tagOf(changing(view, 1, keys))).toBe(revocation);
    }
  });
  it('policy-commitment-htlc-revocation-pubkey: passes the key of this channel and number', () => {
    const honest = new FormCase(options);
    for (const view of VIEWS) honest.channel.ask(honest.honest(view));
  });

  it.each(KEYS.filter(([, , tag]) => tag === holders))(
    'policy-commitment-htlc-holder-htlc-pubkey: trips on another key of ours (%s commitment, %s)',
    (view, key, tag) => {
      for (const which of [0, 1, 2, 'all'] as const)
        expect(many.tagOf(changing(view, which, { [key]: stranger }))).toBe(tag);
      expect(many.channel.refused(changing(view, 'all', { [key]: stranger }))).toMatchObject({
        law: 1,
        facts: { field: key, found: toHex(stranger), expected: toHex(many.build(view).keys[key]) },
      });
    },
  );
  it('policy-commitment-htlc-holder-htlc-pubkey: passes the key of this channel and number', () => {
    const honest = new FormCase(options);
    for (const view of VIEWS) honest.channel.ask(honest.honest(view));
  });
  it.each(KEYS.filter(([, , tag]) => tag === counterpartys))(
    "policy-commitment-htlc-counterparty-htlc-pubkey: trips on another key of the peer's (%s commitment, %s)",
    (view, key, tag) => {
      for (const which of [0, 1, 2, 'all'] as const)
        expect(many.tagOf(changing(view, which, { [key]: stranger }))).toBe(tag);
    },
  );
  it('policy-commitment-htlc-counterparty-htlc-pubkey: passes the key of this channel and number', () => {
    const honest = new FormCase(options);
    for (const view of VIEWS) honest.channel.ask(honest.honest(view));
  });
  it('names the key that stands first in the script where both differ', () => {
    const keys = { broadcasterHtlc: stranger, countersignatoryHtlc: stranger };
    expect(many.tagOf(changing('holder', 0, keys))).toBe(counterpartys);
    expect(many.tagOf(changing('counterparty', 0, keys))).toBe(holders);
  });
  it('names a key that every HTLC shares where no witness script tells, and else the output', () => {
    for (const [view, key, tag] of KEYS) {
      const all = changing(view, 'all', { [key]: stranger }, 'nothing');
      expect(many.tagOf(all)).toBe(view === 'holder' ? counterpartys : holders);
      expect([holders, counterpartys]).toContain(tag);
      expect(many.tagOf(changing(view, 0, { [key]: stranger }, 'nothing'))).toBe(unrecognized);
    }
  });
  it('names no key where the HTLC itself is another', () => {
    for (const view of VIEWS) {
      const request = changing(view, 1, { revocation: stranger });
      const lists = {
        amount: many
          .honest(view)
          .htlcs.map((h) => ({ ...h, amount: h.amount === 30_000_000n ? h.amount + 1000n : h.amount })),
        hash: many.honest(view).htlcs.map((h) => ({ ...h, paymentHash: sha256(h.paymentHash) })),
        side: many
          .honest(view)
          .htlcs.map((h) => ({ ...h, side: h.side === 'local' ? ('remote' as const) : ('local' as const) })),
      };
      for (const htlcs of Object.values(lists))
        expect(many.tagOf({ ...request, htlcs } as typeof request)).toBe(unrecognized);
    }
  });
  it('names an expiry of the script that is not in the list as an output of its own', () => {
    for (const view of VIEWS) {
      const kind = 'received_htlc';
      const scripts = htlcScripts(many.build(view).keys, format);
      const request = many.changing(view, (o) => {
        if (o.kind !== kind) return o;
        const { preimage, cltvExpiry } = many.balances.htlcs[o.htlcIndex]!;
        return p2wsh(o.value, scripts.received(sha256(preimage), cltvExpiry + 1));
      });
      expect(many.tagOf(request)).toBe(unrecognized);
    }
  });
  it('knows equal HTLCs apart from one too many, and one that is left out from one that differs', () => {
    const twice = htlc('counterparty', 40_000, 'twice', 700_030);
    const later = htlc('counterparty', 60_000, 'later', 700_031);
    const one = many.adding(adding(many.channel.balances, twice, twice, later));
    for (const view of VIEWS) {
      const delayed = one.building(view, { delayBlocks: 7 });
      expect(one.tagOf(delayed)).toBe('policy-commitment-to-self-delay-range');
      const outputs = one.outputs(view);
      const first = outputs.findIndex((o) => o.value === 40_000n);
      expect(one.channel.refused(one.with(view, outputs.toSpliced(first, 1)))).toMatchObject({
        tag: unrecognized,
        message: 'an HTLC of the list has no output',
        facts: { missing_sat: 40_000n },
      });
      expect(one.channel.refused(one.with(view, outputs.toSpliced(first, 0, outputs[first]!)))).toMatchObject(
        {
          message: 'an HTLC has more outputs than the list has HTLCs',
          facts: { output: first + 2, output_sat: 40_000n },
        },
      );
      // The smaller of two that are left out is the first, whatever the order of the list.
      const without = one.changing(view, (o) => (o.htlcIndex >= 1 ? null : o));
      const request = without as ReturnType<FormCase['honest']>;
      for (const htlcs of [request.htlcs, request.htlcs.toReversed()])
        expect(one.channel.refused({ ...request, htlcs }).facts).toMatchObject({ missing_sat: 40_000n });
    }
  });
  it('names the form of another channel type', () => {
    const other = format === 'static_remotekey' ? 'anchors_zero_fee_htlc' : 'static_remotekey';
    const tag = format === 'static_remotekey' ? 'policy-commitment-anchors-not-when-off' : unrecognized;
    for (const [view, psbt] of FORMS) {
      for (const which of [0, 1, 2]) {
        const form = (keys: Partial<HtlcKeys>) =>
          many.changing(view, (o) => (o.htlcIndex === which ? rescripted(view, o, keys, other) : o), psbt);
        expect(many.tagOf(form({}))).toBe(tag);
        if (psbt === 'witness scripts') expect(many.tagOf(form({ revocation: stranger }))).toBe(revocation);
      }
    }
  });
});
