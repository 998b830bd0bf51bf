/**
 * Anchors, and what a channel type makes of them: each fault by its own tag, in both sides' commitments (attack A26).
 */
import {
  ANCHOR_SAT,
  anchorScript,
  buildScript,
  type CommitmentOutput,
  encodeScriptNumber,
  OP,
  p2wpkhOfKey,
  toRemoteAnchoredScript,
} from '@countersign/bitcoin';
import { describe, expect, it } from 'vitest';
import type { Party } from './channel-model.ts';
import {
  FORMS,
  FormCase,
  type InPsbt,
  type OutputPart,
  p2wsh,
  plain,
  stranger,
  VIEWS,
  worth,
} from './form-cases.ts';

const SIDES = [true, false] as const;
const toHolder = 'policy-commitment-anchor-to-holder';
const toCounterparty = 'policy-commitment-anchor-to-counterparty';
const amount = 'policy-commitment-anchor-amount';
const staticRemotekey = 'policy-commitment-anchor-static-remotekey';
const matchFundingkey = 'policy-commitment-anchor-match-fundingkey';
const whenOff = 'policy-commitment-anchors-not-when-off';
const countersignatory = 'policy-commitment-countersignatory-pubkey';
const unrecognized = 'policy-commitment-no-unrecognized-outputs';

const isAnchor = ({ kind }: CommitmentOutput) => kind === 'local_anchor' || kind === 'remote_anchor';
/** The kind of the anchor of that side. */
const anchorOf = (side: Party, view: Party) => (side === view ? 'local_anchor' : 'remote_anchor');

describe.each(SIDES)('anchors, outbound %s', (isOutbound) => {
  const options = { format: 'anchors_zero_fee_htlc', isOutbound } as const;
  const cases = [new FormCase(options), new FormCase(options, 'without')];
  const many = cases[0]!;
  /** One side has no main output; without HTLCs it has no anchor either. */
  const lacking = (side: Party, htlcs: 'with HTLCs' | 'without' = 'without') =>
    new FormCase({ ...options, pushMsat: (side === 'holder') === isOutbound ? 998_000_000n : 0n }, htlcs);

  describe.each([
    ['holder', toHolder],
    ['counterparty', toCounterparty],
  ] as const)('of the %s', (side, tag) => {
    const change = (
      one: FormCase,
      view: Party,
      psbt: InPsbt,
      how: (anchor: CommitmentOutput) => OutputPart | readonly OutputPart[] | null,
    ) => one.changing(view, (o) => (o.kind === anchorOf(side, view) ? how(o) : o), psbt);

    it.each(FORMS)('is missed (%s, PSBT with %s)', (view, psbt) => {
      for (const one of cases) {
        expect(one.channel.refused(change(one, view, psbt, () => null))).toMatchObject({
          tag,
          law: 1,
          facts: { missing_sat: 330n },
        });
      }
    });
    it.each(FORMS)('is there once (%s, PSBT with %s)', (view, psbt) => {
      for (const one of cases) {
        expect(one.tagOf(change(one, view, psbt, (o) => [o, o]))).toBe(tag);
        expect(one.tagOf(change(one, view, psbt, (o) => [o, worth(o, 400n)]))).toBe(tag);
      }
    });
    it('is not there for a side without a main output, in a commitment without HTLCs', () => {
      const one = lacking(side);
      for (const view of VIEWS) {
        const key = side === 'holder' ? one.model.holderFundingKey : one.model.funding.peerKey;
        const anchor = p2wsh(ANCHOR_SAT, anchorScript(key));
        for (const psbt of ['witness scripts', 'nothing'] as const) {
          const request = one.changing(view, (o, i) => (i === 0 ? [anchor, o] : o), psbt);
          expect(one.channel.refused(request)).toMatchObject({
            tag,
            message: `${anchorOf(side, view)} has neither a main output nor an HTLC beside it`,
            facts: { output_sat: 330n },
          });
        }
      }
    });
    it('stands where BOLT 3 puts it', () => {
      for (const view of VIEWS) {
        const outputs = many.outputs(view);
        const anchors = outputs.filter(isAnchor);
        // Exchanged, the anchor that should stand second comes first.
        const exchanged = many.with(view, [...anchors.toReversed(), ...outputs.filter((o) => !isAnchor(o))]);
        expect(many.tagOf(exchanged)).toBe(
          anchors[1]!.kind === anchorOf('holder', view) ? toHolder : toCounterparty,
        );
      }
    });
  });
  it('policy-commitment-anchor-to-holder: trips when it is missing, before a main output that differs', () => {
    for (const view of VIEWS) {
      const request = many.changing(view, (o) => {
        if (o.kind === anchorOf('holder', view)) return null;
        return o.kind === 'to_remote' ? p2wsh(o.value, toRemoteAnchoredScript(stranger)) : o;
      });
      expect(many.tagOf(request)).toBe(toHolder);
    }
  });
  it('policy-commitment-anchor-to-counterparty: trips when it is missing, before an HTLC that is too', () => {
    for (const view of VIEWS) {
      const request = many.changing(view, (o) =>
        o.kind === anchorOf('counterparty', view) || o.value === 20_000n ? null : o,
      );
      expect(many.tagOf(request)).toBe(toCounterparty);
    }
  });
  it('policy-commitment-anchor-to-holder: passes with a main output or an HTLC, and none without', () => {
    for (const htlcs of ['with HTLCs', 'without'] as const) {
      const one = new FormCase(options, htlcs);
      for (const view of VIEWS) one.channel.ask(one.honest(view));
    }
    const none = lacking('holder');
    for (const view of VIEWS) {
      expect(none.outputs(view).some(({ kind }) => kind === anchorOf('holder', view))).toBe(false);
      none.channel.ask(none.honest(view));
    }
  });
  it('policy-commitment-anchor-to-counterparty: passes with a main output or an HTLC, and none without', () => {
    for (const htlcs of ['with HTLCs', 'without'] as const) {
      const one = new FormCase(options, htlcs);
      for (const view of VIEWS) one.channel.ask(one.honest(view));
    }
    const none = lacking('counterparty');
    for (const view of VIEWS) {
      expect(none.outputs(view).some(({ kind }) => kind === anchorOf('counterparty', view))).toBe(false);
      none.channel.ask(none.honest(view));
    }
  });

  it.each(FORMS)(
    'policy-commitment-anchor-amount: trips on any other amount (%s, PSBT with %s)',
    (view, psbt) => {
      for (const one of cases) {
        for (const kind of ['local_anchor', 'remote_anchor']) {
          for (const value of [0n, 329n, 331n, 60_000n]) {
            const request = one.changing(view, (o) => (o.kind === kind ? worth(o, value) : o), psbt);
            expect(one.channel.refused(request)).toMatchObject({
              tag: amount,
              message: 'an anchor has another amount than 330 sat',
              facts: { output_sat: value, found_sat: value, expected_sat: 330n },
            });
          }
        }
      }
    },
  );
  it("policy-commitment-anchor-amount: trips on an anchor of a stranger's key beside the two", () => {
    for (const view of VIEWS) {
      const anchor = p2wsh(331n, anchorScript(stranger));
      expect(many.tagOf(many.changing(view, (o, i) => (i === 0 ? [o, anchor] : o)))).toBe(amount);
    }
  });
  it('policy-commitment-anchor-amount: passes 330 sat', () => {
    const one = new FormCase(options);
    for (const view of VIEWS) {
      expect(
        one
          .outputs(view)
          .filter(isAnchor)
          .map(({ value }) => value),
      ).toEqual([330n, 330n]);
      one.channel.ask(one.honest(view));
    }
  });

  it.each(FORMS)(
    "policy-commitment-anchor-match-fundingkey: trips on a stranger's anchor (%s, PSBT with %s)",
    (view, psbt) => {
      for (const one of cases) {
        for (const changes of [{ holderFundingKey: stranger }, { peerFundingKey: stranger }])
          expect(one.tagOf(one.building(view, changes, psbt))).toBe(matchFundingkey);
      }
    },
  );
  it('policy-commitment-anchor-match-fundingkey: trips on a third anchor', () => {
    for (const one of cases) {
      for (const view of VIEWS) {
        const anchor = p2wsh(ANCHOR_SAT, anchorScript(stranger));
        expect(one.tagOf(one.changing(view, (o, i) => (i === 0 ? [o, anchor] : o)))).toBe(matchFundingkey);
        const untold = one.changing(view, (o, i) => (i === 0 ? [o, anchor] : o), 'nothing');
        expect(one.tagOf(untold)).toBe(unrecognized);
      }
    }
  });
  it("policy-commitment-anchor-match-fundingkey: passes both sides' funding keys", () => {
    const one = new FormCase(options, 'without');
    for (const view of VIEWS) one.channel.ask(one.honest(view));
  });

  /** Where we opened and the peer put funds in, its main output may be leased. */
  const isLease = (view: Party, blocks: number) => isOutbound && view === 'holder' && blocks === 2;
  const toRemote = (
    one: FormCase,
    view: Party,
    script: (key: Uint8Array, value: bigint) => OutputPart,
    psbt: InPsbt,
  ) =>
    one.changing(
      view,
      (o) => (o.kind === 'to_remote' ? script(one.build(view).keys.countersignatoryPayment, o.value) : o),
      psbt,
    );
  it.each(FORMS)(
    'policy-commitment-anchor-static-remotekey: trips on to_remote as P2WPKH (%s, PSBT with %s)',
    (view, psbt) => {
      for (const one of cases)
        expect(one.tagOf(toRemote(one, view, (key, value) => plain(value, p2wpkhOfKey(key)), psbt))).toBe(
          staticRemotekey,
        );
    },
  );
  it.each(FORMS)(
    'policy-commitment-anchor-static-remotekey: trips on another lock (%s, PSBT with %s)',
    (view, psbt) => {
      for (const one of cases) {
        for (const blocks of [0, 2, 0xffff]) {
          const script = (key: Uint8Array) =>
            buildScript(key, OP.OP_CHECKSIGVERIFY, encodeScriptNumber(blocks), OP.OP_CHECKSEQUENCEVERIFY);
          const request = toRemote(one, view, (key, value) => p2wsh(value, script(key)), psbt);
          // A lock of none can be told from the script only: BOLT 3 gives it at least one block.
          const untold = psbt === 'nothing' && (blocks === 0 || blocks > 6100);
          if (untold) expect(one.tagOf(request)).toBe(countersignatory);
          else if (isLease(view, blocks))
            expect(one.tagOf(request)).toBe('policy-revoke-new-commitment-signed');
          else
            expect(one.channel.refused(request)).toMatchObject({
              tag: staticRemotekey,
              facts: { found: blocks, expected: 1 },
            });
        }
      }
    },
  );
  it('policy-commitment-anchor-static-remotekey: passes a lock of one block', () => {
    const one = new FormCase(options);
    for (const view of VIEWS) one.channel.ask(one.honest(view));
  });
  it('policy-commitment-anchors-not-when-off: passes the anchors of a channel that has them', () => {
    const one = new FormCase(options);
    for (const view of VIEWS) one.channel.ask(one.honest(view));
  });
});

describe.each(SIDES)('a channel type without anchors, outbound %s', (isOutbound) => {
  const options = { format: 'static_remotekey', isOutbound } as const;
  const cases = [new FormCase(options), new FormCase(options, 'without')];

  it.each(FORMS)(
    'policy-commitment-anchors-not-when-off: trips on an anchor (%s, PSBT with %s)',
    (view, psbt) => {
      for (const one of cases) {
        for (const key of [one.model.holderFundingKey, one.model.funding.peerKey]) {
          for (const value of [ANCHOR_SAT, 331n, 60_000n]) {
            const anchor = p2wsh(value, anchorScript(key));
            expect(one.tagOf(one.changing(view, (o, i) => (i === 0 ? [o, anchor] : o), psbt))).toBe(whenOff);
          }
        }
        const foreign = p2wsh(ANCHOR_SAT, anchorScript(stranger));
        expect(one.tagOf(one.changing(view, (o, i) => (i === 0 ? [o, foreign] : o), psbt))).toBe(
          psbt === 'nothing' ? unrecognized : whenOff,
        );
      }
    },
  );
  it.each(FORMS)(
    'policy-commitment-anchors-not-when-off: trips on a locked to_remote (%s, PSBT with %s)',
    (view, psbt) => {
      for (const one of cases) {
        const key = one.build(view).keys.countersignatoryPayment;
        const locked = (blocks: number) => (o: CommitmentOutput) =>
          o.kind === 'to_remote' ? p2wsh(o.value, toRemoteAnchoredScript(key, blocks)) : o;
        expect(one.tagOf(one.changing(view, locked(1), psbt))).toBe(whenOff);
        if (psbt === 'witness scripts') {
          expect(one.tagOf(one.changing(view, locked(7), psbt))).toBe(whenOff);
          const more = p2wsh(50_000n, toRemoteAnchoredScript(stranger));
          expect(one.tagOf(one.changing(view, (o, i) => (i === 0 ? [o, more] : o), psbt))).toBe(whenOff);
        }
      }
    },
  );
  it('policy-commitment-anchors-not-when-off: passes no anchors', () => {
    const one = new FormCase(options);
    for (const view of VIEWS) one.channel.ask(one.honest(view));
  });
});
