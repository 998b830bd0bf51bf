/**
 * The outputs of a commitment as a set, and the fields of the main outputs: each named by its own tag, in both sides'
 * commitments and both channel types, whatever the PSBT tells (attacks A26 and A27).
 */
import {
  buildScript,
  msat,
  OP,
  p2trScript,
  p2wpkhOfKey,
  p2wshScript,
  sat,
  toHex,
  toLocalScript,
  toRemoteAnchoredScript,
} from '@countersign/bitcoin';
import { describe, expect, it } from 'vitest';
import type { Party } from './channel-model.ts';
import { retx } from './channel-model.ts';
import { FORMS, FormCase, p2wsh, plain, stranger, VIEWS, worth } from './form-cases.ts';
import { KINDS } from './open-channel.ts';
import { bytesOf } from './test-signer.ts';

const unrecognized = 'policy-commitment-no-unrecognized-outputs';
const singular = {
  holder: 'policy-commitment-singular-to-holder',
  counterparty: 'policy-commitment-singular-to-counterparty',
};
const other = (party: Party): Party => (party === 'holder' ? 'counterparty' : 'holder');

describe.each(KINDS)('the main outputs of a commitment, %s', (_, options) => {
  const one = new FormCase(options, 'without');
  const many = new FormCase(options);
  const { model } = many;
  const anchored = model.format === 'anchors_zero_fee_htlc';
  /** The request with another `to_local`, among honest HTLCs. */
  const local = (
    view: Party,
    change: Parameters<typeof toLocalScript>[0],
    delay: number,
    psbt: (typeof FORMS)[number][1],
  ) =>
    many.changing(
      view,
      (o) => (o.kind === 'to_local' ? p2wsh(o.value, toLocalScript(change, delay)) : o),
      psbt,
    );

  it.each(FORMS)(
    'policy-commitment-revocation-pubkey: trips on another key (%s, PSBT with %s)',
    (view, psbt) => {
      const tag = 'policy-commitment-revocation-pubkey';
      const { keys } = many.build(view);
      const request = local(view, { ...keys, revocation: stranger }, model.delayBlocks[view], psbt);
      expect(many.tagOf(request)).toBe(tag);
      expect(one.tagOf(one.building(view, { keys: { revocation: stranger } }, psbt))).toBe(tag);
      expect(one.tagOf(one.building(view, { keys: { revocation: keys.broadcasterDelayed } }, psbt))).toBe(
        tag,
      );
    },
  );
  it('policy-commitment-revocation-pubkey: trips before the delay and the delayed key, which differ too', () => {
    const changes = { keys: { revocation: stranger, broadcasterDelayed: stranger }, delayBlocks: 1 };
    for (const view of VIEWS) {
      expect(one.channel.refused(one.building(view, changes))).toMatchObject({
        tag: 'policy-commitment-revocation-pubkey',
        law: 1,
        code: 'policy',
        facts: {
          broadcaster: view,
          number: 1,
          field: 'revocation',
          found: toHex(stranger),
          expected: toHex(one.build(view).keys.revocation),
        },
      });
    }
  });
  it('policy-commitment-revocation-pubkey: trips on the keys of another number', () => {
    for (const view of VIEWS) {
      const point = model.point(view, 2);
      expect(one.tagOf(one.building(view, { point }))).toBe('policy-commitment-revocation-pubkey');
    }
  });
  it('policy-commitment-revocation-pubkey: passes the key of this channel and number', () => {
    const honest = new FormCase(options);
    for (const view of VIEWS) honest.channel.ask(honest.honest(view));
  });

  it('policy-commitment-broadcaster-pubkey: trips on another delayed key', () => {
    for (const view of VIEWS) {
      const keys = { ...many.build(view).keys, broadcasterDelayed: stranger };
      const tag = 'policy-commitment-broadcaster-pubkey';
      expect(many.tagOf(local(view, keys, model.delayBlocks[view], 'witness scripts'))).toBe(tag);
      expect(one.tagOf(one.building(view, { keys: { broadcasterDelayed: stranger } }))).toBe(tag);
      // Without the script only that to_local differs can be told: the first field it may be.
      expect(many.tagOf(local(view, keys, model.delayBlocks[view], 'nothing'))).toBe(
        'policy-commitment-revocation-pubkey',
      );
    }
  });
  it('policy-commitment-broadcaster-pubkey: passes the key of this channel and number', () => {
    const honest = new FormCase(options, 'without');
    for (const view of VIEWS) honest.channel.ask(honest.honest(view));
  });

  it.each(FORMS)(
    'policy-commitment-countersignatory-pubkey: trips on another key (%s, PSBT with %s)',
    (view, psbt) => {
      const tag = 'policy-commitment-countersignatory-pubkey';
      for (const key of [stranger, model.holderFundingKey]) {
        const changes = { keys: { countersignatoryPayment: key } };
        expect(many.tagOf(many.building(view, changes, psbt))).toBe(tag);
        expect(one.tagOf(one.building(view, changes, psbt))).toBe(tag);
      }
    },
  );
  it('policy-commitment-countersignatory-pubkey: passes the payment basepoint', () => {
    const honest = new FormCase(options);
    for (const view of VIEWS) {
      const { keys } = honest.build(view);
      expect(keys.countersignatoryPayment).toEqual(model[other(view)].payment);
      honest.channel.ask(honest.honest(view));
    }
  });

  it.each(FORMS)(
    'policy-commitment-to-self-delay-range: trips on another delay (%s, PSBT with %s)',
    (view, psbt) => {
      const agreed = model.delayBlocks[view];
      for (const delayBlocks of [0, 1, agreed - 1, 4033, 6100, 0xffff]) {
        if (psbt === 'nothing' && delayBlocks > 6100) continue;
        const request = one.building(view, { delayBlocks }, psbt);
        expect(one.channel.refused(request)).toMatchObject({
          tag: 'policy-commitment-to-self-delay-range',
          facts: { found: delayBlocks, expected: agreed },
        });
      }
      const among = local(view, many.build(view).keys, agreed - 1, psbt);
      expect(many.tagOf(among)).toBe('policy-commitment-to-self-delay-range');
    },
  );
  it('policy-commitment-to-self-delay-range: trips on a delay that no transaction could wait for', () => {
    for (const view of VIEWS) {
      const { revocation, broadcasterDelayed } = one.build(view).keys;
      const delay = Uint8Array.of(0, 0, 1);
      const script = buildScript(
        OP.OP_IF,
        revocation,
        OP.OP_ELSE,
        delay,
        OP.OP_CHECKSEQUENCEVERIFY,
        OP.OP_DROP,
        broadcasterDelayed,
        OP.OP_ENDIF,
        OP.OP_CHECKSIG,
      );
      const request = one.changing(view, (o) => (o.kind === 'to_local' ? p2wsh(o.value, script) : o));
      expect(one.channel.refused(request)).toMatchObject({
        tag: 'policy-commitment-to-self-delay-range',
        facts: { found: 65_536 },
      });
    }
  });
  it('policy-commitment-to-self-delay-range: passes the delay of the opening', () => {
    const honest = new FormCase(options, 'without');
    for (const view of VIEWS)
      honest.channel.ask(honest.building(view, { delayBlocks: model.delayBlocks[view] }));
  });

  it.each([
    ['holder', 'to_local', 'to_remote'],
    ['counterparty', 'to_remote', 'to_local'],
  ] as const)('policy-commitment-singular-to-%s: trips on a second output', (party, inOurs, inTheirs) => {
    for (const [view, kind] of [
      ['holder', inOurs],
      ['counterparty', inTheirs],
    ] as const) {
      for (const more of [0n, 1n, -40_000n]) {
        const twice = many.changing(view, (o) => (o.kind === kind ? [o, worth(o, o.value + more)] : o));
        expect(many.channel.refused(twice)).toMatchObject({
          tag: singular[party],
          message: `${kind} occurs twice`,
          facts: { output: expect.any(Number), first_output: expect.any(Number) },
        });
      }
    }
  });
  it('policy-commitment-singular-to-holder: trips on our output at the place of another', () => {
    for (const [view, kind] of [
      ['holder', 'to_local'],
      ['counterparty', 'to_remote'],
    ] as const) {
      const outputs = many.outputs(view);
      const first = outputs.filter((o) => o.kind === kind);
      const request = many.with(view, [...first, ...outputs.filter((o) => o.kind !== kind)]);
      expect(many.channel.refused(request)).toMatchObject({
        tag: singular.holder,
        facts: { output: 0, stands_here: kind },
      });
    }
  });
  it("policy-commitment-singular-to-counterparty: trips on the peer's output at the place of another", () => {
    for (const [view, kind] of [
      ['holder', 'to_remote'],
      ['counterparty', 'to_local'],
    ] as const) {
      const outputs = many.outputs(view);
      const first = outputs.filter((o) => o.kind === kind);
      const request = many.with(view, [...first, ...outputs.filter((o) => o.kind !== kind)]);
      expect(many.tagOf(request)).toBe(singular.counterparty);
    }
  });
  it('policy-commitment-singular-to-holder: passes one output of ours, or none', () => {
    const honest = new FormCase(options);
    for (const view of VIEWS) honest.channel.ask(honest.honest(view));
    const none = new FormCase({ ...options, pushMsat: options.isOutbound ? 998_000_000n : 0n }, 'without');
    for (const view of VIEWS) none.channel.ask(none.honest(view));
  });
  it('policy-commitment-singular-to-counterparty: passes one output of the peer, or none', () => {
    const honest = new FormCase(options);
    for (const view of VIEWS) honest.channel.ask(honest.honest(view));
    const none = new FormCase({ ...options, pushMsat: options.isOutbound ? 0n : 998_000_000n }, 'without');
    for (const view of VIEWS) none.channel.ask(none.honest(view));
  });

  it.each(FORMS)(
    'policy-commitment-no-unrecognized-outputs: trips on one more output (%s, PSBT with %s)',
    (view, psbt) => {
      const { keys } = many.build(view);
      const extras = [
        plain(50_000n, p2wpkhOfKey(stranger)),
        plain(50_000n, p2wshScript(bytesOf('foreign'))),
        plain(50_000n, p2trScript(bytesOf('foreign'))),
        plain(2_000_000n, bytesOf('foreign')),
        plain(0n, Uint8Array.of(OP.OP_RETURN)),
        p2wsh(50_000n, buildScript(stranger, OP.OP_CHECKSIG)),
        // Like a main output that is there already.
        p2wsh(50_000n, toLocalScript({ ...keys, revocation: stranger }, 144)),
        ...(anchored ? [p2wsh(50_000n, toRemoteAnchoredScript(stranger))] : []),
      ];
      for (const case_ of [one, many])
        for (const extra of extras)
          expect(case_.tagOf(case_.changing(view, (o, i) => (i === 0 ? [o, extra] : o), psbt))).toBe(
            unrecognized,
          );
    },
  );
  it('policy-commitment-no-unrecognized-outputs: trips on an output whose PSBT tells of another script', () => {
    for (const view of VIEWS) {
      // The honest witness script beside an output that commits to another: what counts is the output.
      const lying = one.changing(view, (o) =>
        o.kind === 'to_local'
          ? { ...p2wsh(o.value, toLocalScript(one.build(view).keys, 7)), witnessScript: o.witnessScript }
          : o,
      );
      expect(one.channel.refused(lying)).toMatchObject({
        tag: 'policy-commitment-to-self-delay-range',
        facts: { found: 7 },
      });
      const long = p2wsh(50_000n, new Uint8Array(100_000));
      expect(one.tagOf(one.changing(view, (o, i) => (i === 0 ? [o, long] : o)))).toBe(unrecognized);
    }
  });
  it("refuses the other side's commitment by the first HTLC, which is none of the list or not revocable", () => {
    for (const view of VIEWS) {
      const outputs = many.outputs(other(view));
      for (const psbt of ['witness scripts', 'nothing'] as const)
        expect(many.tagOf(many.with(view, outputs, psbt))).toMatch(
          /^policy-commitment-(no-unrecognized-outputs|htlc-revocation-pubkey)$/,
        );
    }
  });
  it('policy-commitment-no-unrecognized-outputs: trips on an HTLC at the place of another output', () => {
    for (const [view, psbt] of FORMS) {
      const outputs = many.outputs(view);
      const moved = outputs.toSorted((a, b) => Number(b.value === 20_000n) - Number(a.value === 20_000n));
      const swapped = anchored
        ? moved
        : outputs.toSorted((a, b) => Number(b.value === 30_000n) - Number(a.value === 30_000n));
      expect(many.tagOf(many.with(view, swapped, psbt))).toBe(unrecognized);
    }
  });
  it('policy-commitment-no-unrecognized-outputs: trips when the list and the transaction disagree (A27)', () => {
    for (const view of VIEWS) {
      const request = many.honest(view);
      const first = request.htlcs[0]!;
      const lists = [
        request.htlcs.slice(1),
        request.htlcs.slice(0, -1),
        [...request.htlcs, first],
        [...request.htlcs, { ...first, amount: msat(700_000n) }],
        [...request.htlcs, { ...first, amount: msat(2_000_000_000n) }],
        request.htlcs.map((h, i) =>
          i === 0 ? { ...h, side: h.side === 'local' ? ('remote' as const) : ('local' as const) } : h,
        ),
        request.htlcs.map((h, i) => (i === 1 ? { ...h, paymentHash: bytesOf('another') } : h)),
        request.htlcs.map((h) => ({ ...h, amount: msat(h.amount + 1000n) })),
      ];
      for (const htlcs of lists) expect(many.tagOf({ ...request, htlcs })).toBe(unrecognized);
      // Only received HTLCs carry their expiry in the script; the others' is in the HTLC transaction.
      const inScript = view === 'holder' ? 'remote' : 'local';
      const later = request.htlcs.map((h) => (h.side === inScript ? { ...h, cltvExpiry: 1 } : h));
      expect(many.tagOf({ ...request, htlcs: later })).toBe(unrecognized);
      const empty = { ...request, htlcs: [] };
      expect(many.tagOf(empty)).toBe(unrecognized);
    }
  });
  it('policy-commitment-no-unrecognized-outputs: trips on an HTLC output repeated, dropped, or of another amount', () => {
    for (const [view, psbt] of FORMS) {
      const changes = [
        many.changing(view, (o) => (o.value === 30_000n ? [o, o] : o), psbt),
        many.changing(view, (o) => (o.value === 20_000n ? null : o), psbt),
        many.changing(view, (o) => (o.value === 20_000n ? worth(o, 20_001n) : o), psbt),
      ];
      for (const request of changes) expect(many.tagOf(request)).toBe(unrecognized);
    }
  });
  it('policy-commitment-no-unrecognized-outputs: passes the list in any order', () => {
    const honest = new FormCase(options);
    for (const view of VIEWS) {
      const request = honest.honest(view);
      honest.channel.ask({ ...request, htlcs: request.htlcs.toReversed() });
    }
  });
  it('policy-commitment-no-unrecognized-outputs: passes whatever the PSBT has of the outputs', () => {
    const honest = new FormCase(options);
    for (const [view, psbt] of FORMS) honest.channel.ask(honest.building(view, {}, psbt));
    const lying = honest.outputs('holder').map((o) => ({ ...o, witnessScript: bytesOf('nonsense') }));
    honest.channel.ask(honest.with('holder', lying));
  });
  it('says which output it is, and its amount', () => {
    const request = retx(many.honest('holder'), (tx) => ({
      outputs: [...tx.outputs, { value: sat(2_000_000n), script: bytesOf('foreign') }],
    }));
    expect(many.channel.refused(request).facts).toMatchObject({
      output: many.outputs('holder').length,
      output_sat: 2_000_000n,
    });
  });
});
