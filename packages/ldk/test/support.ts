/** Doors that answer as a test says, and LDK's own commitments to read. */
import {
  type SyncDoor,
  type SyncDoorClient,
  SyncDoorError,
  type SyncDoorRequest,
} from '@countersign/transport';
import { decodeMessage, encodeMessage, type Reply, type Request } from '@countersign/wire';

export interface Asked {
  readonly client: SyncDoorClient;
  readonly request: Request;
}

export type Answer = (request: Request) => Reply | Uint8Array | null;

/** Answers by `answer`; null: nobody is there. */
export class TestDoor implements SyncDoor {
  readonly asked: Asked[] = [];
  readonly fed: Request[] = [];
  answer: Answer;

  constructor(answer: Answer) {
    this.answer = answer;
  }

  ask(client: SyncDoorClient, request: Uint8Array): Uint8Array {
    const message = read(request);
    this.asked.push({ client, request: message });
    return this.#reply(message);
  }

  async feed(request: Uint8Array): Promise<Uint8Array> {
    const message = read(request);
    this.fed.push(message);
    return this.#reply(message);
  }

  #reply(request: Request): Uint8Array {
    const reply = this.answer(request);
    if (reply === null) throw new SyncDoorError('sync-door-unreachable', 'nobody is there');
    return reply instanceof Uint8Array ? reply : encodeMessage(reply);
  }

  async close(): Promise<void> {}
}

/** Takes several at once. */
export class TogetherDoor extends TestDoor {
  readonly together: number[] = [];

  askTogether(requests: readonly SyncDoorRequest[]): readonly Uint8Array[] {
    this.together.push(requests.length);
    return requests.map(({ client, request }) => this.ask(client, request));
  }
}

function read(bytes: Uint8Array): Request {
  const decoded = decodeMessage(bytes, 'request');
  if (!decoded.ok || decoded.message.name === 'unknown') throw new Error('no request');
  return decoded.message;
}

export const refusedWith = (message: string, code = 1): Reply => ({
  name: 'vls_signer_error',
  code,
  message,
});
