/**
 * What a refused commitment's operator reads: each fault in its own words, with the values that were compared; and what
 * is concluded where no witness script tells.
 */
import {
  ANCHOR_SAT,
  anchorScript,
  buildScript,
  type CommitmentOutput,
  htlcScripts,
  OP,
  p2trScript,
  p2wpkhOfKey,
  p2wshScript,
  sha256,
  toHex,
  toLocalScript,
  toRemoteAnchoredScript,
} from '@countersign/bitcoin';
import { describe, expect, it } from 'vitest';
import { htlc, type Party } from './channel-model.ts';
import {
  FormCase,
  type InPsbt,
  type OutputPart,
  p2wsh,
  plain,
  stranger,
  VIEWS,
  worth,
} from './form-cases.ts';
import { adding } from './open-channel.ts';
import { bytesOf } from './test-signer.ts';

const tag = (name: string) => `policy-commitment-${name}`;
const unrecognized = tag('no-unrecognized-outputs');
const anchors = new FormCase({ format: 'anchors_zero_fee_htlc', isOutbound: false });
const plainType = new FormCase({ format: 'static_remotekey', isOutbound: false });

type Change = (output: CommitmentOutput, index: number, view: Party) => OutputPart | readonly OutputPart[];
/** Among the honest outputs, after the first. */
const extra =
  (...parts: readonly OutputPart[]): Change =>
  (o, i) =>
    i === 0 ? [o, ...parts] : o;
const only =
  (kind: string, change: (o: CommitmentOutput, view: Party) => OutputPart): Change =>
  (o, _, view) =>
    o.kind === kind ? change(o, view) : o;
const received = (keys: object, expiryMore = 0, form = anchors): Change =>
  only('received_htlc', (o, view) => {
    const scripts = htlcScripts({ ...form.build(view).keys, ...keys }, form.model.format);
    const { preimage, cltvExpiry } = form.balances.htlcs[o.htlcIndex]!;
    return p2wsh(o.value, scripts.received(sha256(preimage), cltvExpiry + expiryMore));
  });

type Case = readonly [
  message: string,
  form: FormCase,
  psbt: InPsbt,
  tag: string,
  change: Change,
  facts?: Readonly<Record<string, unknown>>,
];
const scripts = 'witness scripts';
const CASES: readonly Case[] = [
  [
    'to_local has another revocation key',
    plainType,
    scripts,
    tag('revocation-pubkey'),
    only('to_local', (o, view) =>
      p2wsh(o.value, toLocalScript({ ...plainType.build(view).keys, revocation: stranger }, 144)),
    ),
    { field: 'revocation', found: toHex(stranger) },
  ],
  [
    'to_local has another delay than the channel was set up with',
    anchors,
    'nothing',
    tag('to-self-delay-range'),
    only('to_local', (o, view) => p2wsh(o.value, toLocalScript(anchors.build(view).keys, 9))),
    { field: 'blocks', found: 9 },
  ],
  [
    'to_local has another delayed key',
    anchors,
    scripts,
    tag('broadcaster-pubkey'),
    only('to_local', (o, view) =>
      p2wsh(
        o.value,
        toLocalScript(
          { ...anchors.build(view).keys, broadcasterDelayed: stranger },
          anchors.model.delayBlocks[view],
        ),
      ),
    ),
    { field: 'broadcasterDelayed', found: toHex(stranger) },
  ],
  [
    'to_local has another script than our keys give, and not by its delay',
    plainType,
    'nothing',
    tag('revocation-pubkey'),
    only('to_local', (o) => plain(o.value, p2wshScript(bytesOf('unknown')))),
  ],
  [
    'to_remote pays another key',
    plainType,
    'nothing',
    tag('countersignatory-pubkey'),
    only('to_remote', (o) => plain(o.value, p2wpkhOfKey(stranger))),
  ],
  [
    'to_remote pays another key',
    anchors,
    scripts,
    tag('countersignatory-pubkey'),
    only('to_remote', (o) => p2wsh(o.value, toRemoteAnchoredScript(stranger))),
    { field: 'countersignatoryPayment', found: toHex(stranger) },
  ],
  [
    'to_remote pays another key',
    anchors,
    'nothing',
    tag('countersignatory-pubkey'),
    only('to_remote', (o) => p2wsh(o.value, toRemoteAnchoredScript(stranger))),
  ],
  [
    'to_remote has another lock than one block',
    anchors,
    'nothing',
    tag('anchor-static-remotekey'),
    only('to_remote', (o, view) =>
      p2wsh(o.value, toRemoteAnchoredScript(anchors.build(view).keys.countersignatoryPayment, 6100)),
    ),
    { field: 'blocks', found: 6100, expected: 1 },
  ],
  [
    'to_remote is the P2WPKH of a channel without anchors',
    anchors,
    scripts,
    tag('anchor-static-remotekey'),
    only('to_remote', (o, view) =>
      plain(o.value, p2wpkhOfKey(anchors.build(view).keys.countersignatoryPayment)),
    ),
  ],
  [
    'to_remote has the form of a channel type with anchors',
    plainType,
    'nothing',
    tag('anchors-not-when-off'),
    only('to_remote', (o, view) =>
      p2wsh(o.value, toRemoteAnchoredScript(plainType.build(view).keys.countersignatoryPayment)),
    ),
  ],
  [
    'to_remote has the form of a channel type with anchors',
    plainType,
    scripts,
    tag('anchors-not-when-off'),
    only('to_remote', (o) => p2wsh(o.value, toRemoteAnchoredScript(stranger))),
  ],
  [
    'an anchor in a channel of a type without anchors',
    plainType,
    scripts,
    tag('anchors-not-when-off'),
    extra(p2wsh(ANCHOR_SAT, anchorScript(stranger))),
  ],
  [
    'an anchor in a channel of a type without anchors',
    plainType,
    'nothing',
    tag('anchors-not-when-off'),
    extra(p2wsh(ANCHOR_SAT, anchorScript(plainType.model.holderFundingKey))),
  ],
  [
    'an anchor has another amount than 330 sat',
    anchors,
    scripts,
    tag('anchor-amount'),
    extra(p2wsh(331n, anchorScript(stranger))),
    { expected_sat: 330n, output_sat: 331n },
  ],
  [
    "an anchor belongs to neither side's funding key",
    anchors,
    scripts,
    tag('anchor-match-fundingkey'),
    extra(p2wsh(ANCHOR_SAT, anchorScript(stranger))),
    {
      found: toHex(stranger),
      expected_of_broadcaster: expect.any(String),
      expected_of_other: expect.any(String),
    },
  ],
  [
    "an anchor belongs to neither side's funding key",
    anchors,
    'nothing',
    tag('anchor-match-fundingkey'),
    only('local_anchor', (o) => plain(o.value, p2wshScript(bytesOf('unknown')))),
  ],
  [
    "an anchor belongs to neither side's funding key",
    anchors,
    'nothing',
    tag('anchor-match-fundingkey'),
    only('remote_anchor', (o) => plain(o.value, p2wshScript(bytesOf('unknown')))),
  ],
  [
    'an HTLC has another revocation key',
    anchors,
    scripts,
    tag('htlc-revocation-pubkey'),
    received({ revocation: stranger }),
    { field: 'revocationHash' },
  ],
  ['an HTLC that is not in the list', anchors, scripts, unrecognized, received({ revocation: stranger }, 1)],
  [
    'an HTLC has the script of another channel type',
    anchors,
    scripts,
    unrecognized,
    only('received_htlc', (o, view) => {
      const other = htlcScripts(anchors.build(view).keys, 'static_remotekey');
      const { preimage, cltvExpiry } = anchors.balances.htlcs[o.htlcIndex]!;
      return p2wsh(o.value, other.received(sha256(preimage), cltvExpiry));
    }),
    { field: 'isLocked', found: false, expected: true },
  ],
  [
    'an HTLC has the script of a channel type with anchors',
    plainType,
    'nothing',
    tag('anchors-not-when-off'),
    only('received_htlc', (o, view) => {
      const other = htlcScripts(plainType.build(view).keys, 'anchors_zero_fee_htlc');
      const { preimage, cltvExpiry } = plainType.balances.htlcs[o.htlcIndex]!;
      return p2wsh(o.value, other.received(sha256(preimage), cltvExpiry));
    }),
  ],
  [
    'an output with the amount of an HTLC in the list, and another script',
    plainType,
    'nothing',
    unrecognized,
    only('received_htlc', (o) => plain(o.value, p2wshScript(bytesOf('unknown')))),
  ],
  [
    'one more output in the form of to_local',
    anchors,
    scripts,
    unrecognized,
    extra(p2wsh(50_000n, toLocalScript({ revocation: stranger, broadcasterDelayed: stranger }, 1))),
  ],
  [
    'one more output in the form of to_remote',
    anchors,
    scripts,
    unrecognized,
    extra(p2wsh(50_000n, toRemoteAnchoredScript(stranger))),
  ],
  [
    'a script that no output of a commitment has',
    anchors,
    scripts,
    unrecognized,
    extra(p2wsh(50_000n, buildScript(stranger, OP.OP_CHECKSIG))),
  ],
  [
    'a script that no output of a commitment has',
    anchors,
    'nothing',
    unrecognized,
    extra(plain(50_000n, p2trScript(bytesOf('unknown')))),
  ],
  [
    "an output is none that this channel's keys and HTLCs explain",
    anchors,
    'nothing',
    unrecognized,
    extra(plain(50_000n, p2wshScript(bytesOf('unknown')))),
  ],
];

describe('a refusal of a commitment says', () => {
  it.each(CASES.map((one) => [one[0], one] as const))('%s', (message, one) => {
    const [, form, psbt, tag, change, facts = {}] = one;
    for (const view of VIEWS) {
      const request = form.changing(view, (o, i) => change(o, i, view), psbt);
      expect(form.channel.refused(request)).toMatchObject({
        tag,
        message,
        facts: { broadcaster: view, ...facts },
      });
    }
  });
  it('whose key of an HTLC is another', () => {
    for (const view of VIEWS) {
      for (const [key, words] of [
        ['countersignatoryHtlc', 'an HTLC has another key of the side that does not publish'],
        ['broadcasterHtlc', 'an HTLC has another key of the side that publishes'],
      ] as const) {
        const request = anchors.building(view, { keys: { [key]: stranger } });
        expect(anchors.channel.refused(request)).toMatchObject({ message: words, facts: { field: key } });
      }
    }
  });
});

describe('without witness scripts', () => {
  const offered = (form: FormCase, count: number): FormCase =>
    form.adding(
      adding(
        form.channel.balances,
        ...Array.from({ length: count }, (_, i) => htlc('counterparty', 20_000 + i, `paid ${i}`)),
      ),
    );
  const unknown = (o: OutputPart, label = `${o.value}`) => plain(o.value, p2wshScript(bytesOf(label)));
  const isHtlc = ({ htlcIndex }: CommitmentOutput) => htlcIndex >= 0;
  /** We opened and have nothing left beside the fee, the peer offers. */
  const lacking = new FormCase(
    { format: 'static_remotekey', isOutbound: true, pushMsat: 998_000_000n },
    'without',
  );

  it('HTLCs and to_local that all differ share the revocation key', () => {
    for (const count of [1, 2]) {
      const form = offered(plainType, count);
      for (const view of VIEWS) {
        const request = form.changing(
          view,
          (o) => (isHtlc(o) || o.kind === 'to_local' ? unknown(o) : o),
          'nothing',
        );
        expect(form.channel.refused(request)).toMatchObject({
          tag: tag('htlc-revocation-pubkey'),
          message: 'every HTLC and to_local have other scripts than our keys give',
        });
      }
    }
  });
  it('HTLCs that all differ share another key, where to_local is right or not there', () => {
    for (const form of [offered(plainType, 2), offered(lacking, 2)]) {
      const request = form.changing('holder', (o) => (isHtlc(o) ? unknown(o) : o), 'nothing');
      expect(form.channel.refused(request)).toMatchObject({
        tag: tag('htlc-counterparty-htlc-pubkey'),
        message: 'every HTLC has another script than our keys give, and to_local has its own',
      });
    }
    // One more foreign output is not to_local, which is there.
    const form = offered(plainType, 2);
    const more = form.changing(
      'holder',
      (o, i) => [...(i === 0 ? [worth(unknown(o, 'more'), 70_000n)] : []), isHtlc(o) ? unknown(o) : o],
      'nothing',
    );
    expect(form.tagOf(more)).toBe(tag('htlc-counterparty-htlc-pubkey'));
  });
  it('a single HTLC that differs may be another HTLC', () => {
    for (const form of [offered(plainType, 1), offered(lacking, 1)]) {
      const request = form.changing('holder', (o) => (isHtlc(o) ? unknown(o) : o), 'nothing');
      expect(form.tagOf(request)).toBe(unrecognized);
    }
  });
  it('what is no P2WSH is never taken for a main output that may not be due', () => {
    const more = plain(50_000n, p2trScript(bytesOf('unknown')));
    expect(lacking.tagOf(lacking.changing('holder', (o, i) => (i === 0 ? [o, more] : o), 'nothing'))).toBe(
      unrecognized,
    );
  });
});
