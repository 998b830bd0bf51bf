/**
 * What a signer is asked before anything else, on each of its connections: one question at a time, under the number that VLS
 * keeps for the INIT it repeats. It ends with the connection, or when its time is over.
 */
import type { LinkClock } from '../link/clock.ts';
import { LinkError } from '../link/error.ts';
import type { GreetingAsk } from '../link/node-side.ts';
import type { LinkAnswer, LinkClient } from '../link/protocol.ts';
import { contextOf } from './client-of.ts';
import { answerOf, foreignRefusal } from './foreign-answer.ts';
import { initForVls, isPreinit } from './message-type.ts';
import { type SignerResponse, U64_MAX } from './messages.ts';
import type { SignerStream } from './signer-stream.ts';

interface Question {
  readonly client: LinkClient;
  readonly body: Uint8Array;
  readonly resolve: (answer: LinkAnswer) => void;
  readonly reject: (error: LinkError) => void;
}

const NO_REPLY: LinkAnswer = { kind: 'reply', body: new Uint8Array(0) };

export class Greeting {
  readonly #stream: SignerStream;
  readonly #cancel: () => void;
  #question: Question | null = null;
  #why: string | null = null;

  constructor(stream: SignerStream, clock: LinkClock, patienceMs: number) {
    this.#stream = stream;
    this.#cancel = clock.after(patienceMs, () => this.end('INIT was not answered in time'));
  }

  readonly ask: GreetingAsk = async (client, body) => {
    // VLS ends a connection over settings it does not know, and answers none.
    if (isPreinit(body)) return NO_REPLY;
    if (this.#why !== null) throw new LinkError('link-ended', this.#why);
    if (this.#question !== null)
      throw new LinkError('link-queue-full', 'a greeting is one question at a time');
    return new Promise((resolve, reject) => {
      const said = initForVls(body);
      this.#question = { client, body: said, resolve, reject };
      this.#stream.send({ requestId: U64_MAX, context: contextOf(client), message: said });
    });
  };

  /** Whether that was the answer to a question of this greeting. */
  answered({ requestId, error, isTemporaryFailure, message }: SignerResponse): boolean {
    const question = this.#question;
    if (question === null || requestId !== U64_MAX) return false;
    this.#question = null;
    const { client, body, resolve } = question;
    resolve(
      isTemporaryFailure
        ? foreignRefusal(client, body, { code: 'policy', text: error, temporary: true })
        : answerOf(client, body, error, message),
    );
    return true;
  }

  /** Nothing more can be asked. */
  end(why = 'the connection is gone'): void {
    this.#cancel();
    this.#why ??= why;
    this.#question?.reject(new LinkError('link-ended', this.#why));
    this.#question = null;
  }
}
