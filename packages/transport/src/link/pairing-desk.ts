/**
 * The node side of a pairing: who comes with a valid proof is pinned, once, under the name the operator gave. Everybody else is
 * told no and nothing more, a few times a minute at most, and is logged.
 */
import type { LinkClock } from './clock.ts';
import type { Visitor } from './doorman.ts';
import { LinkError } from './error.ts';
import type { LinkLog } from './log.ts';
import { RefusalLog } from './log.ts';
import type { OpenPairing, PairingBook } from './pairing-book.ts';
import {
  decodePairingRequest,
  encodePairingReply,
  isProof,
  type PairingEnds,
  type PairingRefusal,
  proofOf,
  receiveOne,
} from './pairing-proof.ts';
import type { PinStore } from './pins.ts';

export interface PairingDeskOptions {
  readonly book: PairingBook;
  readonly pins: PinStore;
  /** Pin of the node side's own key, as the tokens have it. */
  readonly nodePin: () => string;
  readonly clock: LinkClock;
  readonly log: LinkLog;
  readonly onPaired?: (name: string, pin: string) => void;
}

/** Attempts within a minute: of one address, and of all. */
export const ATTEMPTS_PER_ADDRESS_MAX = 5;
export const ATTEMPTS_MAX = 30;
const MINUTE_MS = 60_000;

type Verdict =
  | { readonly kind: 'paired'; readonly pairing: OpenPairing }
  | { readonly kind: 'refused'; readonly reason: PairingRefusal };

export class PairingDesk {
  readonly #options: PairingDeskOptions;
  readonly #refusals: RefusalLog;
  /** Of the present minute. */
  #attempts = new Map<string, number>();
  #attemptsOfAll = 0;
  #minuteStartMs = Number.NEGATIVE_INFINITY;

  constructor(options: PairingDeskOptions) {
    this.#options = options;
    this.#refusals = new RefusalLog(options.log, options.clock);
  }

  /** Answer one connection of the pairing protocol. The doorman's time limit holds until it is closed. */
  serve(visitor: Visitor): void {
    void this.#serve(visitor);
  }

  async #serve(visitor: Visitor): Promise<void> {
    const { socket, address } = visitor;
    try {
      const verdict = this.#isTooOften(address) ? refused('busy') : await this.#judge(visitor);
      if (verdict.kind === 'refused') {
        this.#refuse(address, verdict.reason);
        socket.end(encodePairingReply(verdict));
        return;
      }
      const { pairing } = verdict;
      socket.end(
        encodePairingReply({ kind: 'paired', proof: proofOf('node', pairing.secret, this.#ends(visitor)) }),
      );
    } catch (error) {
      socket.destroy();
      this.#refuse(address, error instanceof LinkError ? error.message : 'an error of this side');
      if (!(error instanceof LinkError)) throw error;
    }
  }

  async #judge(visitor: Visitor): Promise<Verdict> {
    const { book, pins, log, onPaired } = this.#options;
    const { ticket, proof } = decodePairingRequest(await receiveOne(visitor.socket));
    const { pin } = visitor.peer;
    const pairing = book.find(ticket);
    if (pairing === undefined || !isProof(proof, proofOf('signer', pairing.secret, this.#ends(visitor))))
      return refused('unknown');
    pins.refresh();
    // Whoever lost the answer may ask for it again, as long as its key is trusted.
    if (pairing.usedBy !== null)
      return pairing.usedBy === pin && pins.find(pin) !== undefined && !book.isExpired(pairing)
        ? { kind: 'paired', pairing }
        : refused('used');
    if (book.isExpired(pairing)) return refused('expired');
    try {
      pins.add(pairing.name, pin);
    } catch (error) {
      if (error instanceof LinkError && error.code === 'pin-taken') return refused('name-taken');
      throw error;
    }
    book.use(pairing, pin);
    const { name } = pairing;
    log({
      level: 'info',
      event: 'pairing-done',
      text: `${name} is paired`,
      facts: { name, pin, address: visitor.address },
    });
    onPaired?.(name, pin);
    return { kind: 'paired', pairing };
  }

  #ends({ socket, peer }: Visitor): PairingEnds {
    return { socket, nodePin: this.#options.nodePin(), signerPin: peer.pin };
  }

  #refuse(address: string, reason: string): void {
    this.#refusals.refused('pairing-refused', `a pairing from ${address} was refused: ${reason}`, {
      address,
      reason,
    });
  }

  #isTooOften(address: string): boolean {
    const now = this.#options.clock.monotonicMs();
    if (now - this.#minuteStartMs >= MINUTE_MS) {
      this.#minuteStartMs = now;
      this.#attempts = new Map();
      this.#attemptsOfAll = 0;
    }
    const attempts = (this.#attempts.get(address) ?? 0) + 1;
    if (attempts > ATTEMPTS_PER_ADDRESS_MAX || this.#attemptsOfAll >= ATTEMPTS_MAX) return true;
    this.#attempts.set(address, attempts);
    this.#attemptsOfAll++;
    return false;
  }
}

function refused(reason: PairingRefusal): Verdict {
  return { kind: 'refused', reason };
}
