/**
 * What the node side may bring on one connection: preimages, headers and blocks, and nothing else. Whoever asks for more gets a
 * refusal, and its connection is to end. The same for `node.sock` and for a link to another machine.
 */
import {
  type ClientIdentity,
  malformedRefusal,
  PERMISSION,
  REFUSAL_WIRE_CODE,
  type Refusal,
  refusalText,
} from '@countersign/core';
import { decodeMessage, HEADERS_MAX, type MessageOf, type Reply, type Request } from '@countersign/wire';
import type { Answer } from '../signer.ts';
import { type ChainDesk, ChainSession, type ChainSessionAnswer, isChainRequest } from './chain-session.ts';
import { BlockRoom } from './vls-block.ts';
import { isVlsChainRequest, VlsChainSession } from './vls-chain.ts';

/** A full message of headers, the longest there is, and little more. */
export const NODE_FRAME_BYTES_MAX = 1024 + 80 * HEADERS_MAX;

/** The node's permission, not lightningd's own client: nothing here signs gossip or does an ECDH. */
const NODE_SIDE: ClientIdentity = { channel: null, permissions: PERMISSION.MASTER };

/** The part of the signer that the node side reaches. */
export interface NodeSide {
  answer(client: ClientIdentity, request: MessageOf<'countersign_preimages'>): Promise<Answer>;
  recordRefusal(refusal: Refusal): number | null;
}

export interface FeedAnswer {
  readonly reply: Reply;
  /** What was asked has no place here: the connection ends once the reply has left. */
  readonly isEnd: boolean;
}

/** Where the feeders of one signer bring what they have: all of them share one room for blocks. */
export class FeedDesk {
  readonly #signer: NodeSide;
  readonly #chain: ChainDesk | null;
  readonly #room = new BlockRoom();

  /** `chain` is null where the chain does not come from the node. */
  constructor(signer: NodeSide, chain: ChainDesk | null) {
    this.#signer = signer;
    this.#chain = chain;
  }

  /** One connection. */
  open(): FeedSession {
    const chain = this.#chain;
    if (chain === null) return new FeedSession(this.#signer, null);
    const vls = new VlsChainSession(chain, this.#room);
    return new FeedSession(this.#signer, { own: new ChainSession(chain), vls });
  }
}

/** Our own messages about the chain, and VLS's: each keeps what it collects to itself. */
interface Sessions {
  readonly own: ChainSession;
  readonly vls: VlsChainSession;
}

export class FeedSession {
  readonly #signer: NodeSide;
  readonly #sessions: Sessions | null;

  constructor(signer: NodeSide, sessions: Sessions | null) {
    this.#signer = signer;
    this.#sessions = sessions;
  }

  /** The body of a frame. Rejects only for a bug of ours. */
  async answer(body: Uint8Array): Promise<FeedAnswer> {
    const asked = this.#requestIn(body);
    if (asked.name === 'refused') {
      this.#signer.recordRefusal(asked.refusal);
      return { reply: refused(asked.refusal), isEnd: true };
    }
    return { reply: await this.#replyTo(asked), isEnd: false };
  }

  /** The connection has ended: what it brought half of is forgotten. */
  close(): void {
    this.#sessions?.vls.forget();
  }

  async #replyTo(asked: Exclude<Asked, { name: 'refused' }>): Promise<Reply> {
    if (asked.name === 'countersign_preimages') {
      const answered = await this.#signer.answer(NODE_SIDE, asked);
      return answered.kind === 'reply' ? answered.reply : refused(answered.refusal);
    }
    const answered = await asked.answer();
    if (answered.kind === 'reply') return answered.reply;
    if (!answered.isRecorded) this.#signer.recordRefusal(answered.refusal);
    return refused(answered.refusal, answered.wireCode);
  }

  #requestIn(body: Uint8Array): Asked {
    const decoded = decodeMessage(body, 'request', { messageBytesMax: NODE_FRAME_BYTES_MAX });
    if (!decoded.ok) {
      const { message, facts } = decoded.error;
      return { name: 'refused', refusal: malformedRefusal('unknown', null, message, facts) };
    }
    const { message } = decoded;
    if (message.name === 'countersign_preimages') return message;
    if (!isChainRequest(message) && !isVlsChainRequest(message))
      return unwanted(message, 'the socket of the node side takes preimages and blocks only');
    if (this.#sessions === null)
      return unwanted(message, 'the chain does not come from the node: see source in [chain]');
    const { own, vls } = this.#sessions;
    return {
      name: 'chain',
      answer: () => (isChainRequest(message) ? own.answer(message) : vls.answer(message)),
    };
  }
}

type Asked =
  | MessageOf<'countersign_preimages'>
  | { readonly name: 'chain'; readonly answer: () => Promise<ChainSessionAnswer> }
  | { readonly name: 'refused'; readonly refusal: Refusal };

function unwanted(
  message: Request | { readonly name: 'unknown'; readonly type: number },
  text: string,
): Asked {
  const facts = message.name === 'unknown' ? { message_type: message.type } : {};
  return { name: 'refused', refusal: malformedRefusal(message.name, null, text, facts) };
}

function refused(refusal: Refusal, wireCode = REFUSAL_WIRE_CODE[refusal.code]): Reply {
  return {
    name: 'vls_signer_error',
    code: wireCode,
    message: refusalText(refusal),
  };
}
