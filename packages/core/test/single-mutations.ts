/**
 * One field of an honest request changed so that somebody else would get the value: what an attacker would try at that
 * very moment. Each is a list of requests of which one must be refused, because a holder commitment gives nothing away
 * before its predecessor is revoked.
 */
import { type CommitmentKeys, p2wpkhOfKey, sat, type TxOutput } from '@countersign/bitcoin';
import type { Request } from '@countersign/wire';
import { type Balances, type BuildChanges, type ModelHtlc, retx } from './channel-model.ts';
import type { LiveChannel } from './live-channel.ts';
import { bytesOf, secp } from './test-signer.ts';

export interface Mutation {
  readonly what: string;
  /** Nothing explains such a transaction, so the search for a lease runs through: slow, and the same each time. */
  readonly isForm?: boolean;
  /** Built only when it is tried. */
  readonly requests: () => readonly Request[];
}

/** More than all that may be invisible in flight in these lives. */
const STOLEN_MSAT = 60_000_000n;
/** Below it an HTLC without cover may be charged to the dust budget. */
const NO_DUST_MSAT = 5_000_000n;
const KEYS: readonly (keyof CommitmentKeys)[] = [
  'revocation',
  'broadcasterDelayed',
  'broadcasterHtlc',
  'countersignatoryHtlc',
  'countersignatoryPayment',
];

const stranger = () => secp.publicKey(bytesOf('a stranger'));

type Commitment = Extract<
  Request,
  { name: 'hsmd_sign_remote_commitment_tx' | 'hsmd_validate_commitment_tx' }
>;

/** The commitment that is about to be asked for, with other content; then the revocation that would make it count. */
class Subject {
  readonly channel: LiveChannel;
  readonly request: Commitment;
  readonly isOurs: boolean;
  readonly next: Balances;

  constructor(channel: LiveChannel, request: Commitment) {
    this.channel = channel;
    this.request = request;
    this.isOurs = request.name === 'hsmd_validate_commitment_tx';
    this.next = this.isOurs ? channel.nextOurs : channel.nextPeers;
  }

  /**
   * What an invoice of ours brings with this commitment. Nothing obliges a node to take it (law 2), so a loss that is
   * not larger leaves us what we were certain of.
   */
  get giftMsat(): bigint {
    const { base, updates, node } = this.channel;
    let total = 0n;
    for (const { change } of updates) {
      if (change.kind !== 'remove' || change.how !== 'settled' || change.htlc.offeredBy === 'holder')
        continue;
      const isNow = base.htlcs.includes(change.htlc) && !this.next.htlcs.includes(change.htlc);
      if (isNow && !node.isOwed(change.htlc)) total += change.htlc.amountMsat;
    }
    return total;
  }

  asking(request: Request): readonly Request[] {
    const { model, ourNumber } = this.channel;
    return this.isOurs ? [request, model.revoke(ourNumber)] : [request];
  }

  build(balances: Balances, changes: BuildChanges = {}): readonly Request[] {
    const { model, ourNumber, theirNumber } = this.channel;
    return this.asking(
      this.isOurs
        ? model.validate(ourNumber + 1, balances, model.funding, changes)
        : model.signRemote(theirNumber + 1, balances, model.funding, changes),
    );
  }

  /** The peer signs whatever it profits from. */
  changed(outputs: (outputs: readonly TxOutput[]) => readonly TxOutput[]): readonly Request[] {
    const { model } = this.channel;
    const changed = retx<Commitment>(this.request, (tx) => ({ outputs: outputs(tx.outputs) }));
    if (changed.name === 'hsmd_sign_remote_commitment_tx') return this.asking(changed);
    const signature = model.peerFundingSignature(changed.tx.tx);
    return this.asking({ ...changed, sig: { signature, sighash: 1 } });
  }

  /** Ours that this commitment adds. */
  get added(): readonly ModelHtlc[] {
    return this.next.htlcs.filter(
      (one) => one.offeredBy === 'holder' && !this.channel.base.htlcs.includes(one),
    );
  }

  replacing(htlc: ModelHtlc, by: Partial<ModelHtlc>): readonly Request[] {
    const other = { ...htlc, ...by };
    return this.build({
      ...this.next,
      holderMsat: this.next.holderMsat - (other.amountMsat - htlc.amountMsat),
      htlcs: this.next.htlcs.map((one) => (one === htlc ? other : one)),
    });
  }
}

function amounts(subject: Subject): Mutation[] {
  const { next, added } = subject;
  const list: Mutation[] = [];
  if (next.holderMsat > 2n * STOLEN_MSAT && subject.giftMsat < STOLEN_MSAT) {
    const moved = {
      ...next,
      holderMsat: next.holderMsat - STOLEN_MSAT,
      counterpartyMsat: next.counterpartyMsat + STOLEN_MSAT,
    };
    list.push({ what: 'balance moved to the peer', requests: () => subject.build(moved) });
    for (const one of added)
      list.push({
        what: 'an HTLC of ours is larger',
        requests: () => subject.replacing(one, { amountMsat: one.amountMsat + STOLEN_MSAT }),
      });
  }
  return list;
}

function htlcs(subject: Subject): Mutation[] {
  const list: Mutation[] = [];
  for (const one of subject.added) {
    if (one.amountMsat < NO_DUST_MSAT) continue;
    const preimage = bytesOf('nobody pays for this');
    list.push({
      what: 'an HTLC of ours has another hash',
      requests: () => subject.replacing(one, { preimage }),
    });
    if (subject.channel.node.isForward(one))
      list.push({
        what: 'an HTLC of ours expires later',
        requests: () => subject.replacing(one, { cltvExpiry: one.cltvExpiry + 200 }),
      });
  }
  const { htlcs: listed } = subject.request;
  if (listed.length > 0) {
    const [first, ...rest] = listed;
    list.push({
      what: 'an HTLC is not listed',
      requests: () => subject.asking({ ...subject.request, htlcs: rest }),
    });
    const side = first!.side === 'local' ? ('remote' as const) : ('local' as const);
    list.push({
      what: 'the side of an HTLC',
      requests: () => subject.asking({ ...subject.request, htlcs: [{ ...first!, side }, ...rest] }),
    });
  }
  return list;
}

/** What left: failed ones become settled without a preimage, settled ones of forwards are given back. */
function removals(subject: Subject): Mutation[] {
  const { channel, next } = subject;
  const list: Mutation[] = [];
  for (const one of channel.base.htlcs) {
    if (next.htlcs.includes(one) || one.amountMsat < NO_DUST_MSAT + subject.giftMsat) continue;
    const how = channel.updates.find(({ change }) => change.kind === 'remove' && change.htlc === one)?.change;
    if (how?.kind !== 'remove') continue;
    const isOurs = one.offeredBy === 'holder';
    const isKnown = channel.node.isKnown(one);
    const isTheft = isOurs
      ? how.how === 'failed' && !isKnown
      : how.how === 'settled' && channel.node.isOwed(one);
    if (!isTheft) continue;
    list.push({
      what: isOurs ? 'a failed HTLC goes to the peer' : 'a settled HTLC is given back',
      requests: () =>
        subject.build({
          ...next,
          holderMsat: next.holderMsat - one.amountMsat,
          counterpartyMsat: next.counterpartyMsat + one.amountMsat,
        }),
    });
  }
  return list;
}

function forms(subject: Subject): Mutation[] {
  const { request, next } = subject;
  const other = { value: sat(700_000n), script: p2wpkhOfKey(stranger()) };
  const list: Mutation[] = [
    { what: 'the number', requests: () => subject.asking({ ...request, commitNum: request.commitNum + 1n }) },
    { what: 'an extra output', requests: () => subject.changed((outputs) => [...outputs, other]) },
    {
      what: 'an output to a stranger',
      requests: () =>
        subject.changed((outputs) => outputs.with(-1, { ...outputs.at(-1)!, script: other.script })),
    },
  ];
  if (request.tx.tx.outputs.length > 1)
    list.push({ what: 'the order', requests: () => subject.changed((outputs) => outputs.toReversed()) });
  const hasHtlc = request.htlcs.length > 0;
  for (const key of KEYS) {
    const isUsed = key.includes('Htlc') ? hasHtlc : isOutputThere(subject, key);
    if (isUsed)
      list.push({
        what: `the key ${key}`,
        requests: () => subject.build(next, { keys: { [key]: stranger() } }),
      });
  }
  return list;
}

/** Whether a commitment has the output that this key is for. */
function isOutputThere(subject: Subject, key: keyof CommitmentKeys): boolean {
  const { channel, isOurs, next } = subject;
  const number = isOurs ? channel.ourNumber + 1 : channel.theirNumber + 1;
  const built = channel.model.build(isOurs ? 'holder' : 'counterparty', number, next);
  const kind = key === 'countersignatoryPayment' ? 'to_remote' : 'to_local';
  return built.commitment.outputs.some((output) => output.kind === kind);
}

const flipped = (bytes: Uint8Array): Uint8Array => bytes.with(7, bytes[7]! ^ 4);

export function mutationsOf(channel: LiveChannel, request: Request): readonly Mutation[] {
  switch (request.name) {
    case 'hsmd_sign_remote_commitment_tx':
    case 'hsmd_validate_commitment_tx': {
      if (request.commitNum === 0n) return [];
      const subject = new Subject(channel, request);
      const wrongForms = forms(subject).map((one) => ({ ...one, isForm: true }));
      const all = [...amounts(subject), ...htlcs(subject), ...removals(subject), ...wrongForms];
      if (request.name === 'hsmd_sign_remote_commitment_tx') return all;
      const sig = { ...request.sig, signature: flipped(request.sig.signature) };
      return [...all, { what: 'the signature', requests: () => [{ ...request, sig }] }];
    }
    case 'hsmd_revoke_commitment_tx':
      return [{ what: 'the number', requests: () => [{ ...request, commitNum: request.commitNum + 1n }] }];
    case 'hsmd_validate_revocation': {
      const perCommitmentSecret = flipped(request.perCommitmentSecret);
      return [
        { what: 'the secret', requests: () => [{ ...request, perCommitmentSecret }] },
        { what: 'the number', requests: () => [{ ...request, revokeNum: request.revokeNum + 1n }] },
      ];
    }
    case 'hsmd_sign_remote_htlc_tx': {
      const one = retx(request, (tx) => ({
        outputs: tx.outputs.map((output) => ({ ...output, script: p2wpkhOfKey(stranger()) })),
      }));
      return [{ what: 'the output', requests: () => [one] }];
    }
    default:
      return [];
  }
}
