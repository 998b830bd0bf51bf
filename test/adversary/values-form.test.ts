/**
 * The referee reads a request by values (LDK's) as it reads the same request with a transaction (Core Lightning's): the same
 * game, told in both forms, leaves the same possible endings of every channel.
 */
import {
  type Client,
  commitmentKeys,
  honestDealer,
  type Outcome,
  p2wpkh,
  p2wsh,
  playMove,
  Referee,
  type Subject,
  toLocalScript,
  toRemoteScript,
  World,
} from '@countersign/adversary';
import { toHex } from '@countersign/bitcoin';
import type { MessageOf, Request } from '@countersign/wire';
import { describe, expect, it } from 'vitest';
import { ownerTerms } from './owner.ts';
import { MemorySubject } from './subject.ts';

type Sat = MessageOf<'hsmd_setup_channel'>['channelValue'];
type SignRemote = MessageOf<'hsmd_sign_remote_commitment_tx'>;
type Validate = MessageOf<'hsmd_validate_commitment_tx'>;
type File = Referee['known']['files'] extends ReadonlyMap<string, infer F> ? F : never;

/** Retells what it hears to a second referee, in LDK's form where there is one. */
class Retelling {
  readonly plain = new Referee(ownerTerms());
  readonly byValues = new Referee(ownerTerms());
  #held: {
    client: Client;
    request: SignRemote;
    outcome: Outcome;
    sigs: MessageOf<'hsmd_sign_tx_reply'>['sig'][];
  } | null = null;
  readonly retold = new Map<string, number>();

  observed(client: Client, request: Request, outcome: Outcome): void {
    if (request.name === 'hsmd_sign_remote_htlc_tx' && outcome.kind === 'reply' && this.#held !== null) {
      if (outcome.reply.name === 'hsmd_sign_tx_reply') this.#held.sigs.push(outcome.reply.sig);
      this.plain.observed(client, request, outcome);
      return;
    }
    this.#release();
    const told = this.#retell(client, request, outcome);
    this.plain.observed(client, request, outcome);
    if (told === 'held' && request.name === 'hsmd_sign_remote_commitment_tx')
      this.#held = { client, request, outcome, sigs: [] };
    else if (told !== 'held') this.#tell(client, told.request, told.outcome);
  }

  end(): void {
    this.#release();
  }

  #tell(client: Client, request: Request, outcome: Outcome): void {
    if (request.name.startsWith('vls_'))
      this.retold.set(request.name, (this.retold.get(request.name) ?? 0) + 1);
    this.byValues.observed(client, request, outcome);
  }

  #retell(
    client: Client,
    request: Request,
    outcome: Outcome,
  ): 'held' | { readonly request: Request; readonly outcome: Outcome } {
    if (outcome.kind === 'refused' || client.channel === null) return { request, outcome };
    const { reply } = outcome;
    switch (request.name) {
      case 'hsmd_get_per_commitment_point':
        if (reply.name !== 'hsmd_get_per_commitment_point_reply') break;
        return {
          request: { name: 'vls_get_per_commitment_point2', n: request.n },
          outcome: {
            kind: 'reply',
            reply: {
              name: 'vls_get_per_commitment_point2_reply',
              perCommitmentPoint: reply.perCommitmentPoint,
            },
          },
        };
      case 'hsmd_validate_commitment_tx': {
        const file = this.plain.known.file(client.channel.peerId, client.channel.dbid);
        const values = valuesOf(file, 'holder', file.points.get(Number(request.commitNum)), request);
        const { commitNum, feerate, htlcs, sig, htlcSigs } = request;
        const byValues = { commitNum, feerate, htlcs, sig, htlcSigs, ...values };
        return { request: { name: 'vls_validate_commitment_tx2', ...byValues }, outcome };
      }
      case 'hsmd_sign_remote_commitment_tx':
        return 'held';
      case 'hsmd_sign_mutual_close_tx': {
        const { outputs } = request.tx.tx;
        if (outputs.length !== 2 || request.tx.tx.locktime !== 0) break;
        const [one, other] = outputs;
        return {
          request: {
            name: 'vls_sign_mutual_close_tx2',
            toLocalValue: one!.value,
            toRemoteValue: other!.value,
            localScript: one!.script,
            remoteScript: other!.script,
            localWalletPathHint: [],
          },
          outcome,
        };
      }
      default:
    }
    return { request, outcome };
  }

  #release(): void {
    const held = this.#held;
    this.#held = null;
    if (held === null || held.client.channel === null) return;
    const { client, request, outcome, sigs } = held;
    if (outcome.kind === 'refused' || outcome.reply.name !== 'hsmd_sign_tx_reply') return;
    const file = this.plain.known.file(held.client.channel.peerId, held.client.channel.dbid);
    const { commitNum, feerate, htlcs, remotePerCommit } = request;
    const values = valuesOf(file, 'counterparty', remotePerCommit, request);
    this.#tell(
      client,
      { name: 'vls_sign_remote_commitment_tx2', commitNum, feerate, htlcs, remotePerCommit, ...values },
      {
        kind: 'reply',
        reply: { name: 'vls_sign_commitment_tx_with_htlcs_reply', sig: outcome.reply.sig, htlcSigs: sigs },
      },
    );
  }
}

/** What LDK says instead of the transaction: the values of the two main outputs. */
function valuesOf(
  file: File,
  side: 'holder' | 'counterparty',
  point: Uint8Array | undefined,
  request: SignRemote | Validate,
): { readonly toLocalValue: Sat; readonly toRemoteValue: Sat } {
  const { owner, terms } = file;
  const funding = [...file.fundings.values()].at(-1);
  if (owner === null || terms === null || funding === undefined || point === undefined)
    throw new Error('too early');
  const peer = { ...terms.peer, funding: funding.peerKey };
  const [broadcaster, other] = side === 'holder' ? [owner, peer] : [peer, owner];
  const keys = commitmentKeys(broadcaster, other, point);
  const delay = side === 'holder' ? terms.ownerDelayBlocks : terms.peerDelayBlocks;
  const toLocal = p2wsh(toLocalScript(keys, delay));
  const toRemote =
    terms.kind === 'anchors_zero_fee_htlc' ? p2wsh(toRemoteScript(other.payment)) : p2wpkh(other.payment);
  const valueAt = (script: Uint8Array) =>
    (request.tx.tx.outputs.find((output) => toHex(output.script) === toHex(script))?.value ?? 0n) as Sat;
  const [own, others] = [valueAt(toLocal), valueAt(toRemote)];
  return side === 'holder'
    ? { toLocalValue: own, toRemoteValue: others }
    : { toLocalValue: others, toRemoteValue: own };
}

function listening(subject: Subject, retelling: Retelling): Subject {
  return {
    ask: async (client, request) => {
      const outcome = await subject.ask(client, request);
      retelling.observed(client, request, outcome);
      return outcome;
    },
    feedChain: (headers, blocks) => subject.feedChain(headers, blocks),
    rescues: () => subject.rescues(),
    owner: (act) => subject.owner(act),
    restart: () => subject.restart(),
    setClock: (seconds) => subject.setClock(seconds),
    close: () => subject.close(),
  };
}

const endingsOf = ({ known }: Referee): unknown =>
  [...known.files.values()].map(({ id, endings, revoked, points }) => ({
    id,
    points: [...points].map(([number, point]) => [number, toHex(point)]),
    endings: endings.map(({ txid, name, directSat, slackSat, htlcs, isReleased, isComplete }) => ({
      txid,
      name,
      directSat,
      slackSat,
      htlcs,
      isReleased,
      isComplete,
    })),
    revoked: revoked.map(({ txid }) => txid),
    signed: [...known.htlcSignatures.keys()],
  }));

describe('requests by values', () => {
  it.each([11, 12])('mean the same to the referee: seed %i', async (seed) => {
    const retelling = new Retelling();
    const world = await World.begin(listening(await MemorySubject.create(), retelling), {
      seed,
      isHonest: true,
    });
    const dealer = honestDealer(seed);
    for (let i = 0; i < 300; i++) {
      await playMove(world, dealer.next());
      retelling.end();
      expect(endingsOf(retelling.byValues)).toEqual(endingsOf(retelling.plain));
    }
    expect(retelling.retold.get('vls_validate_commitment_tx2')).toBeGreaterThan(20);
    expect(retelling.retold.get('vls_sign_remote_commitment_tx2')).toBeGreaterThan(20);
    await world.subject.close();
  });
});
