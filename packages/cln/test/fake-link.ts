/** A link whose signer is a function, and whose state the test says. */
import type {
  LinkAnswer,
  LinkClient,
  LinkFeed,
  LinkRefusal,
  LinkState,
  SignerLink,
} from '@countersign/transport';

export type Answering = (client: LinkClient, body: Uint8Array) => Promise<LinkAnswer> | LinkAnswer;

export class FakeLink implements SignerLink {
  state: LinkState = 'up';
  answering: Answering;
  readonly asked: { readonly client: LinkClient; readonly body: Uint8Array }[] = [];
  readonly #listeners = new Set<(state: LinkState) => void>();

  constructor(answering: Answering, state: LinkState = 'up') {
    this.answering = answering;
    this.state = state;
  }

  async ask(client: LinkClient, body: Uint8Array): Promise<LinkAnswer> {
    this.asked.push({ client, body });
    return this.answering(client, body);
  }

  openFeed(): LinkFeed {
    return { ask: (body) => this.ask({ peerId: null, dbid: 0n, permissions: 0n }, body), close: () => {} };
  }

  onState(listener: (state: LinkState) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  set(state: LinkState): void {
    this.state = state;
    for (const listener of [...this.#listeners]) listener(state);
  }

  async close(): Promise<void> {
    this.set('closed');
  }
}

export function refusedBy(changed: Partial<LinkRefusal> = {}): LinkAnswer {
  return {
    kind: 'refused',
    refusal: {
      code: 'policy',
      tag: 'policy-test',
      request: 'hsmd_ecdh_req',
      channel: null,
      text: 'no',
      temporary: false,
      auditId: 7,
      facts: { value_sat: 5n },
      ...changed,
    },
  };
}
