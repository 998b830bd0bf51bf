/**
 * A door to the signer with somebody listening: every request and its answer is counted, and told to a referee who shares no
 * code with the signer and works out what its owner is certain to keep.
 */
import { type Outcome, type OwnerTerms, Referee, type Tx, type Verdict } from '@countersign/adversary';
import type { SyncDoor, SyncDoorClient } from '@countersign/transport';
import { decodeMessage, encodeMessage, type MessageOf, type Reply, type Request } from '@countersign/wire';

export interface Refused {
  readonly request: string;
  /** Of the rule that spoke. */
  readonly tag: string;
  /** As the node's operator would see it, tag and numbers included. */
  readonly text: string;
}

/** The channel's newest requests: what a thief in the node's place would start from. */
export interface Overheard {
  client: SyncDoorClient | null;
  setup: MessageOf<'hsmd_setup_channel'> | null;
  /** The peer's newest commitment that was signed. */
  remote: MessageOf<'vls_sign_remote_commitment_tx2'> | null;
  /** Our newest commitment that was validated. */
  own: MessageOf<'vls_validate_commitment_tx2'> | null;
  /** The newest of ours that was revoked; −1 before the first. */
  revokedNumber: number;
  /** The first signed commitment of the peer: long revoked. */
  firstRemote: MessageOf<'vls_sign_remote_commitment_tx2'> | null;
}

const REFUSALS_KEPT = 100;

export class WatchedDoor implements SyncDoor {
  readonly #door: SyncDoor;
  readonly referee: Referee;
  readonly overheard: Overheard = {
    client: null,
    setup: null,
    remote: null,
    own: null,
    revokedNumber: -1,
    firstRemote: null,
  };
  signed = 0;
  refused = 0;
  /** The newest ones. */
  readonly refusals: Refused[] = [];
  /** What somebody decided lasted so long, altogether. */
  askedMs = 0;
  readonly #nowMs: () => number;

  constructor(door: SyncDoor, terms: OwnerTerms, nowMs: () => number) {
    this.#door = door;
    this.referee = new Referee(terms);
    this.#nowMs = nowMs;
  }

  ask(client: SyncDoorClient, body: Uint8Array): Uint8Array {
    const beganMs = this.#nowMs();
    const answer = this.#door.ask(client, body);
    this.askedMs += this.#nowMs() - beganMs;
    this.#heard(client, body, answer);
    return answer;
  }

  /** As a thief in the node asks: past LDK. */
  askAs(client: SyncDoorClient, request: Request): Outcome {
    return outcomeOf(this.ask(client, encodeMessage(request)));
  }

  async feed(body: Uint8Array): Promise<Uint8Array> {
    const answer = await this.#door.feed(body);
    const outcome = outcomeOf(answer);
    if (outcome.kind === 'refused') this.#note('feed', outcome);
    return answer;
  }

  /** As a thief in the node feeds the signer. */
  async feedAs(request: Request): Promise<Outcome> {
    return outcomeOf(await this.feed(encodeMessage(request)));
  }

  close(): Promise<void> {
    return this.#door.close();
  }

  /** A block, as the referee sees it. */
  blockConnected(txs: readonly Tx[], timeSeconds: number): void {
    this.referee.clock(timeSeconds);
    this.referee.blockConnected(txs);
  }

  verdict(): Verdict {
    return this.referee.verdict();
  }

  #heard(client: SyncDoorClient, body: Uint8Array, answer: Uint8Array): void {
    const decoded = decodeMessage(body, 'request');
    if (!decoded.ok || decoded.message.name === 'unknown') return;
    const request = decoded.message;
    const outcome = outcomeOf(answer);
    const { peerId, dbid } = client;
    this.referee.observed({ channel: peerId === null ? null : { peerId, dbid } }, request, outcome);
    if (outcome.kind === 'refused') {
      this.#note(request.name, outcome);
      return;
    }
    this.signed += 1;
    this.#remember(client, request);
  }

  #note(request: string, { tag, message }: Extract<Outcome, { kind: 'refused' }>): void {
    this.refusals.push({ request, tag, text: message });
    this.refusals.splice(0, this.refusals.length - REFUSALS_KEPT);
    this.refused += 1;
  }

  #remember(client: SyncDoorClient, request: Request): void {
    const { overheard } = this;
    switch (request.name) {
      case 'hsmd_setup_channel':
        overheard.client = client;
        overheard.setup = request;
        return;
      case 'vls_sign_remote_commitment_tx2':
        overheard.firstRemote ??= request;
        overheard.remote = request;
        return;
      case 'vls_validate_commitment_tx2':
        overheard.own = request;
        return;
      case 'hsmd_revoke_commitment_tx':
        overheard.revokedNumber = Math.max(overheard.revokedNumber, Number(request.commitNum));
        return;
      default:
    }
  }
}

/** `tag: sentence [facts]` in a refusal's text. */
function outcomeOf(answer: Uint8Array): Outcome {
  const decoded = decodeMessage(answer, 'reply');
  if (!decoded.ok || decoded.message.name === 'unknown') throw new TypeError('no reply of the wire');
  const reply = decoded.message as Reply;
  if (reply.name !== 'vls_signer_error') return { kind: 'reply', reply };
  const { message } = reply;
  const tag = message.slice(0, Math.max(0, message.indexOf(':')));
  return { kind: 'refused', tag, isTemporary: message.endsWith('(temporary: try again later)'), message };
}
