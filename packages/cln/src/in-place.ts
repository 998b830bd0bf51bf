/**
 * In-place mode: the signer runs in this process, with its state, its sockets and its chain beside it.
 */
import { loadSecp256k1 } from '@countersign/bitcoin';
import { type ClientIdentity, malformedRefusal, type Refusal } from '@countersign/core';
import {
  type Beside,
  type Config,
  fractionsOf,
  negotiateVersion,
  type OpenedSigner,
  openBeside,
  PROTOCOL_VERSION_MAX,
  PROTOCOL_VERSION_MIN,
  startInPlace,
} from '@countersign/host';
import { decodeMessage } from '@countersign/wire';
import type { Door, DoorAnswer, Init, Opening, Surroundings } from './door.ts';

/** At once: the module is loaded while lightningd is on its way to INIT. */
const secp = loadSecp256k1();

export interface InPlaceOptions {
  readonly config: Config;
  readonly randomBytes: (count: number) => Uint8Array;
  readonly monotonicMs: () => number;
  /** Seconds since 1970. */
  readonly nowSeconds: () => number;
}

export async function openInPlace(
  options: InPlaceOptions,
  init: Init,
  surroundings: Surroundings,
): Promise<Opening> {
  const version = negotiateVersion(init.message);
  if (version === null) {
    const { hsmWireMinVersion: min, hsmWireMaxVersion: max } = init.message;
    const why = `Version ${min}-${max} not valid: we need ${PROTOCOL_VERSION_MIN}-${PROTOCOL_VERSION_MAX}`;
    return { ok: false, how: 'bad-init', why };
  }
  const { log, onBug } = surroundings;
  const preinit = init.preinit?.message ?? null;
  const started = await startInPlace({ ...options, secp, init: init.message, preinit, log }, version);
  if (!started.ok) return { ...started, how: 'failed' };
  // Before lightningd goes on: its plugins find the sockets there.
  const beside = await openBeside({
    ...options,
    opened: started,
    nodeSide: 'socket',
    random: fractionsOf(options),
    log,
    onProblem: (text) => log('broken', `countersign: ${text}`),
    onBug,
  });
  const door = new InPlaceDoor(started, beside, options.config.messageBytesMax, log);
  return { ok: true, door, reply: { kind: 'reply', reply: started.reply } };
}

class InPlaceDoor implements Door {
  readonly #opened: OpenedSigner;
  readonly #beside: Beside;
  readonly #messageBytesMax: number;
  readonly #log: Surroundings['log'];

  constructor(opened: OpenedSigner, beside: Beside, messageBytesMax: number, log: Surroundings['log']) {
    this.#opened = opened;
    this.#beside = beside;
    this.#messageBytesMax = messageBytesMax;
    this.#log = log;
  }

  async ask(client: ClientIdentity, body: Uint8Array): Promise<DoorAnswer> {
    const decoded = decodeMessage(body, 'request', { messageBytesMax: this.#messageBytesMax });
    if (!decoded.ok) {
      const { message, facts } = decoded.error;
      return this.#refuse(malformedRefusal('unknown', null, message, facts));
    }
    const { message } = decoded;
    if (message.name === 'unknown') {
      const facts = { message_type: message.type };
      return this.#refuse(malformedRefusal('unknown', null, 'unknown request', facts));
    }
    return this.#opened.signer.answer(client, message);
  }

  #refuse(refusal: Refusal): DoorAnswer {
    return { kind: 'refused', refusal, id: this.recordRefusal(refusal) };
  }

  recordRefusal(refusal: Refusal): number | null {
    return this.#opened.signer.recordRefusal(refusal);
  }

  /** Orderly: nothing enqueued is lost, no client gets a reply that is not durable. */
  async close(): Promise<void> {
    const { signer, journal } = this.#opened;
    await this.#beside.close();
    signer.end();
    const { commits, batches, records } = journal.stats;
    this.#log('debug', `countersign stats ${JSON.stringify({ commits, batches, records })}`);
    try {
      await journal.close();
    } catch (error) {
      this.#log('broken', `closing the store: ${String(error)}`);
    }
  }
}
