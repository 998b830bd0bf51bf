/**
 * A26 and A27: commitments with one wrong field, in both views. A colluding peer signs whatever the node shows the
 * signer, so only the rebuilt transaction tells.
 */
import {
  type CommitmentKeys,
  p2wpkhOfKey,
  p2wshOfScript,
  sat,
  type Transaction,
  type TxOutput,
  toRemoteAnchoredScript,
} from '@countersign/bitcoin';
import type { HsmHtlc, MessageOf } from '@countersign/wire';
import {
  type Balances,
  type BuildChanges,
  type Built,
  type Format,
  input,
  type Party,
  retx,
} from '../../packages/core/test/channel-model.ts';
import { bytesOf } from '../../packages/core/test/test-signer.ts';
import type { Scenario } from './attack.ts';
import { AttackChannel } from './channel.ts';
import { type AttackWorld, secp } from './world.ts';

const tag = (rest: string): string => `policy-commitment-${rest}`;
const ANCHORS = 'anchors_zero_fee_htlc';
const STRANGER = secp.publicKey(bytesOf('a key of somebody else'));

interface Subject {
  readonly channel: AttackChannel;
  readonly view: Party;
  readonly balances: Balances;
  readonly built: Built;
}

interface WrongField {
  readonly what: string;
  readonly format?: Format;
  readonly hasHtlc?: boolean;
  readonly expected: (view: Party) => string | readonly string[];
  /** The commitment is built with this instead. */
  readonly built?: (view: Party) => BuildChanges;
  /** The transaction is changed like this. */
  readonly changed?: (subject: Subject) => Partial<Transaction>;
}

const keys = (changes: Partial<CommitmentKeys>) => (): BuildChanges => ({ keys: changes });

const replaced = (
  { built }: Subject,
  find: (kind: string) => boolean,
  change: (output: TxOutput) => TxOutput | null,
): Partial<Transaction> => {
  const at = built.commitment.outputs.findIndex(({ kind }) => find(kind));
  const changed = change(built.tx.outputs[at]!);
  const outputs = changed === null ? built.tx.outputs.toSpliced(at, 1) : built.tx.outputs.with(at, changed);
  return { outputs };
};

/** The HTLC's output as another revocation key would give it; everything else stays. */
function withForeignHtlcRevocation({ channel, view, balances, built }: Subject): Partial<Transaction> {
  const number = view === 'holder' ? channel.ourNumber + 1 : channel.theirNumber + 1;
  const foreign = channel.model.build(view, number, balances, channel.funding, {
    keys: { revocation: STRANGER },
  });
  const at = foreign.commitment.outputs.findIndex(({ kind }) => kind.endsWith('_htlc'));
  return { outputs: built.tx.outputs.with(at, foreign.tx.outputs[at]!) };
}

const WRONG_FIELDS: readonly WrongField[] = [
  { what: 'version', expected: () => tag('version'), changed: () => ({ version: 3 }) },
  {
    what: 'locktime',
    expected: () => tag('locktime'),
    changed: ({ built }) => ({ locktime: built.tx.locktime ^ 1 }),
  },
  {
    what: 'locktime of no commitment',
    expected: () => tag('locktime'),
    changed: ({ built }) => ({ locktime: built.tx.locktime & 0xff_ffff }),
  },
  {
    what: 'sequence',
    expected: () => [tag('sequence'), tag('locktime')],
    changed: ({ built }) => ({ inputs: [{ ...built.tx.inputs[0]!, sequence: 0xffff_ffff }] }),
  },
  {
    what: 'a second input',
    expected: () => tag('input-single'),
    changed: ({ built }) => ({ inputs: [...built.tx.inputs, input({ txid: bytesOf('more'), vout: 0 })] }),
  },
  {
    what: 'another funding',
    expected: () => tag('input-match-funding'),
    changed: ({ built }) => ({ inputs: [{ ...built.tx.inputs[0]!, vout: 0 }] }),
  },
  {
    what: 'revocation key',
    expected: () => tag('revocation-pubkey'),
    built: keys({ revocation: STRANGER }),
  },
  {
    what: 'delayed key',
    expected: () => tag('broadcaster-pubkey'),
    built: keys({ broadcasterDelayed: STRANGER }),
  },
  {
    what: 'delay',
    expected: () => tag('to-self-delay-range'),
    built: () => ({ delayBlocks: 1 }),
  },
  {
    what: 'to_remote key',
    expected: () => tag('countersignatory-pubkey'),
    built: keys({ countersignatoryPayment: STRANGER }),
    format: 'static_remotekey',
  },
  {
    what: 'to_remote key behind an anchor',
    expected: () => tag('countersignatory-pubkey'),
    built: keys({ countersignatoryPayment: STRANGER }),
  },
  {
    what: "HTLC key of the commitment's owner",
    hasHtlc: true,
    expected: (view) => tag(`htlc-${view}-htlc-pubkey`),
    built: keys({ broadcasterHtlc: STRANGER }),
  },
  {
    what: 'HTLC key of the other side',
    hasHtlc: true,
    expected: (view) => tag(`htlc-${view === 'holder' ? 'counterparty' : 'holder'}-htlc-pubkey`),
    built: keys({ countersignatoryHtlc: STRANGER }),
  },
  {
    what: 'revocation key of the HTLC',
    hasHtlc: true,
    expected: () => tag('htlc-revocation-pubkey'),
    built: keys({ revocation: STRANGER }),
    changed: withForeignHtlcRevocation,
  },
  {
    what: 'an extra output',
    expected: () => tag('no-unrecognized-outputs'),
    changed: ({ built }) => ({
      outputs: [...built.tx.outputs, { value: sat(2_000_000n), script: p2wpkhOfKey(STRANGER) }],
    }),
  },
  {
    what: 'an output to somebody else instead of ours',
    expected: () => [
      tag('no-unrecognized-outputs'),
      tag('countersignatory-pubkey'),
      tag('broadcaster-pubkey'),
    ],
    changed: (subject) =>
      replaced(
        subject,
        (kind) => kind === (subject.view === 'holder' ? 'to_local' : 'to_remote'),
        (output) => ({ ...output, script: p2wpkhOfKey(STRANGER) }),
      ),
  },
  {
    what: 'our anchor is missing',
    expected: () => tag('anchor-to-holder'),
    changed: (subject) =>
      replaced(
        subject,
        (kind) => kind === (subject.view === 'holder' ? 'local_anchor' : 'remote_anchor'),
        () => null,
      ),
  },
  {
    what: "the peer's anchor is missing",
    expected: () => tag('anchor-to-counterparty'),
    changed: (subject) =>
      replaced(
        subject,
        (kind) => kind === (subject.view === 'holder' ? 'remote_anchor' : 'local_anchor'),
        () => null,
      ),
  },
  {
    what: 'an anchor of another amount',
    expected: () => tag('anchor-amount'),
    changed: (subject) =>
      replaced(
        subject,
        (kind) => kind.endsWith('anchor'),
        (output) => ({ ...output, value: sat(331n) }),
      ),
  },
  {
    what: 'our anchor is of a foreign key',
    expected: () => tag('anchor-match-fundingkey'),
    built: () => ({ holderFundingKey: STRANGER }),
  },
  {
    what: 'anchors where the channel has none',
    format: 'static_remotekey',
    expected: () => tag('anchors-not-when-off'),
    changed: ({ channel, built }) => ({
      outputs: [{ value: sat(330n), script: channel.model.holderAnchor.output.script }, ...built.tx.outputs],
    }),
  },
  {
    what: 'to_remote without its anchor form',
    expected: () => tag('anchor-static-remotekey'),
    changed: (subject) =>
      replaced(
        subject,
        (kind) => kind === 'to_remote',
        (output) => ({ ...output, script: p2wpkhOfKey(subject.built.keys.countersignatoryPayment) }),
      ),
  },
  {
    what: 'to_remote locked for longer',
    expected: () => [tag('anchor-static-remotekey'), tag('countersignatory-pubkey')],
    changed: (subject) =>
      replaced(
        subject,
        (kind) => kind === 'to_remote',
        (output) => ({
          ...output,
          script: p2wshOfScript(toRemoteAnchoredScript(subject.built.keys.countersignatoryPayment, 60_000)),
        }),
      ),
  },
  {
    what: 'the outputs swapped',
    expected: () => [
      tag('singular-to-holder'),
      tag('singular-to-counterparty'),
      tag('anchor-to-holder'),
      tag('anchor-to-counterparty'),
      tag('no-unrecognized-outputs'),
    ],
    changed: ({ built }) => ({ outputs: built.tx.outputs.toReversed() }),
  },
  {
    what: 'our output twice',
    expected: () => [tag('singular-to-holder'), tag('no-unrecognized-outputs'), tag('balance-conserved')],
    changed: ({ view, built }) => {
      const at = built.commitment.outputs.findIndex(
        ({ kind }) => kind === (view === 'holder' ? 'to_local' : 'to_remote'),
      );
      return { outputs: built.tx.outputs.toSpliced(at, 0, built.tx.outputs[at]!) };
    },
  },
];

type Commitment = MessageOf<'hsmd_sign_remote_commitment_tx'> | MessageOf<'hsmd_validate_commitment_tx'>;

/** The next commitment of that view with the change in it, signed by the colluding peer where it signs. */
function wrong(subject: Subject, field: WrongField): Commitment {
  const { channel, view, balances } = subject;
  const { model, funding, ourNumber, theirNumber } = channel;
  const changes = field.built?.(view) ?? {};
  const honest =
    view === 'holder'
      ? model.validate(ourNumber + 1, balances, funding, changes)
      : model.signRemote(theirNumber + 1, balances, funding, changes);
  if (field.changed === undefined) return honest;
  const changed = retx<Commitment>(honest, () => field.changed!(subject));
  return resigned(channel, changed);
}

function resigned(channel: AttackChannel, request: Commitment): Commitment {
  if (request.name !== 'hsmd_validate_commitment_tx') return request;
  const signature = channel.model.peerFundingSignature(request.tx.tx, channel.funding);
  return { ...request, sig: { signature, sighash: 1 } };
}

async function subjects(world: AttackWorld, format: Format, hasHtlc: boolean): Promise<readonly Subject[]> {
  const channel = await new AttackChannel(world, { format }).open();
  if (hasHtlc) await channel.peerOffers(channel.htlc('counterparty', 70_000, 'htlc'));
  const balances = { ...channel.balances, feeratePerKw: channel.balances.feeratePerKw + 1 };
  return (['counterparty', 'holder'] as const).map((view) => {
    const number = (view === 'holder' ? channel.ourNumber : channel.theirNumber) + 1;
    return { channel, view, balances, built: channel.model.build(view, number, balances) };
  });
}

const fields: readonly Scenario[] = WRONG_FIELDS.map((field) => ({
  id: 'A26',
  variant: field.what,
  async run(world: AttackWorld) {
    const views = await subjects(world, field.format ?? ANCHORS, field.hasHtlc === true);
    for (const subject of views)
      await subject.channel.refused(wrong(subject, field), field.expected(subject.view));
    await views[0]!.channel.goesOn();
  },
}));

const LISTS: readonly (readonly [
  string,
  (list: readonly HsmHtlc[]) => readonly HsmHtlc[],
  readonly string[],
])[] = [
  ['one is omitted', (list) => list.slice(1), [tag('no-unrecognized-outputs')]],
  ['one is listed twice', (list) => [...list, list[0]!], [tag('no-unrecognized-outputs')]],
  [
    'its side flipped',
    (list) => [{ ...list[0]!, side: list[0]!.side === 'local' ? 'remote' : 'local' }, ...list.slice(1)],
    [tag('no-unrecognized-outputs'), tag('htlc-holder-htlc-pubkey'), tag('htlc-counterparty-htlc-pubkey')],
  ],
  [
    'another amount',
    (list) => [{ ...list[0]!, amount: (list[0]!.amount * 2n) as HsmHtlc['amount'] }, ...list.slice(1)],
    [tag('no-unrecognized-outputs')],
  ],
  [
    'another hash',
    (list) => [{ ...list[0]!, paymentHash: bytesOf('another hash') }, ...list.slice(1)],
    [tag('no-unrecognized-outputs')],
  ],
];

const lists: readonly Scenario[] = LISTS.map(([variant, change, expected]) => ({
  id: 'A27',
  variant,
  async run(world: AttackWorld) {
    const channel = await new AttackChannel(world).open();
    await channel.peerOffers(
      channel.htlc('counterparty', 70_000, 'first'),
      channel.htlc('counterparty', 80_000, 'second'),
    );
    const next = { ...channel.balances, feeratePerKw: channel.balances.feeratePerKw + 1 };
    const { model } = channel;
    for (const request of [model.signRemote(2, next), model.validate(2, next)])
      await channel.refused({ ...request, htlcs: [...change(request.htlcs)] }, expected);
    await channel.goesOn();
  },
}));

export const FORM_SCENARIOS: readonly Scenario[] = [...fields, ...lists];
