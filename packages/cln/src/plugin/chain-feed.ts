/**
 * A signer that is fed over its `node.sock`, as a follower sees it. The connection is made when it is needed and again after
 * each failure; that the signer cannot be reached is no end for the follower, which tries again.
 */
import { type ChainSink, type SinkAnswer, type SinkTip, SourceError } from '@countersign/chain';
import {
  BLOCK_CHUNK_BYTES_MAX,
  type MessageOf,
  type ReplyTo,
  type Request,
  type RequestName,
} from '@countersign/wire';
import { Link } from './link.ts';

const HEADER_BYTES = 80;
/** Judging a large block takes a fraction of a second; a signer that takes this long does not answer. */
const ANSWER_MS_DEFAULT = 60_000;
/** What the text of a temporary refusal ends with. */
export const TEMPORARY_ENDING = '(temporary: try again later)';

export interface ChainFeedOptions {
  readonly socketPath: string;
  readonly answerMs?: number;
}

export interface ChainFeed extends ChainSink {
  /** Whatever waits for the signer is broken off. */
  close(): void;
}

type ChainRequestName = Extract<
  RequestName,
  `countersign_${'chain_tip' | 'headers' | 'block_chunk' | 'header_hash'}`
>;
type Answered<N extends ChainRequestName> = ReplyTo<N> | MessageOf<'vls_signer_error'>;

export function feedOverNodeSocket(options: ChainFeedOptions): ChainFeed {
  const line = new Line(options);
  return {
    tip: async () => tipOf(expected(await line.ask({ name: 'countersign_chain_tip' }))),
    headerHash: async (heightBlocks) =>
      expected(await line.ask({ name: 'countersign_header_hash', heightBlocks })).hash ?? null,
    beginNeeds: async () => expected(await line.ask({ name: 'countersign_chain_tip' })).begins ?? null,
    begin: (_, headers) => sendHeaders(line, headers),
    acceptHeaders: (headers) => sendHeaders(line, headers),
    acceptBlock: (raw) => sendBlock(line, raw),
    toPublish: async () => [],
    setFeerates: () => {},
    close: () => line.close(),
  };
}

async function sendHeaders(line: Line, run: Uint8Array): Promise<SinkAnswer> {
  const headers = Array.from({ length: run.length / HEADER_BYTES }, (_, i) =>
    run.subarray(i * HEADER_BYTES, (i + 1) * HEADER_BYTES),
  );
  return answerOf(await line.ask({ name: 'countersign_headers', headers }));
}

async function sendBlock(line: Line, raw: Uint8Array): Promise<SinkAnswer> {
  const tip = expected(await line.ask({ name: 'countersign_chain_tip' })).tip;
  const heightBlocks = (tip?.provenHeightBlocks ?? 0) + 1;
  for (let offset = 0; offset < raw.length; offset += BLOCK_CHUNK_BYTES_MAX) {
    const content = raw.subarray(offset, offset + BLOCK_CHUNK_BYTES_MAX);
    const piece = { heightBlocks, offset, totalBytes: raw.length, content };
    const answer = answerOf(await line.ask({ name: 'countersign_block_chunk', ...piece }));
    if (!answer.ok) return answer;
  }
  return { ok: true };
}

/** Questions are answered one after the other, whoever asks them. */
class Line {
  readonly #options: ChainFeedOptions;
  #link: Link | null = null;
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: ChainFeedOptions) {
    this.#options = options;
  }

  /** Rejects with `SourceError` when there is no answer, or one to something else. */
  ask<N extends ChainRequestName>(
    request: { readonly name: N } & MessageOf<N> & Request,
  ): Promise<Answered<N>> {
    const answer = this.#last.then(() => this.#ask<N>(request));
    this.#last = answer.catch(() => {});
    return answer;
  }

  async #ask<N extends ChainRequestName>(request: Request): Promise<Answered<N>> {
    if (this.#link === null || !this.#link.isOpen) this.#link = new Link(this.#options.socketPath);
    const link = this.#link;
    const late = setTimeout(() => link.end(), this.#options.answerMs ?? ANSWER_MS_DEFAULT);
    const answer = await link.ask(request);
    clearTimeout(late);
    const wanted: readonly string[] = [`${request.name}_reply`, 'vls_signer_error'];
    if (answer.ok && wanted.includes(answer.reply.name)) return answer.reply as Answered<N>;
    link.end();
    throw this.#noAnswer(answer.ok ? `its reply is of type ${answer.reply.name}` : answer.problem);
  }

  close(): void {
    this.#link?.end();
  }

  #noAnswer(why: string): SourceError {
    const message = `the signer at ${this.#options.socketPath} cannot be reached: ${why}`;
    return new SourceError('chain-source-unreachable', message);
  }
}

/** A refusal of a question says that this signer takes no chain from here. */
function expected<R extends { readonly name: string }>(
  reply: R | MessageOf<'vls_signer_error'>,
): Exclude<R, MessageOf<'vls_signer_error'>> {
  if (reply.name !== 'vls_signer_error') return reply as Exclude<R, MessageOf<'vls_signer_error'>>;
  const { message } = reply as MessageOf<'vls_signer_error'>;
  throw new SourceError('chain-source-unauthorized', `the signer takes no chain from here: ${message}`);
}

function answerOf(reply: { readonly name: string; readonly message?: string }): SinkAnswer {
  if (reply.name !== 'vls_signer_error') return { ok: true };
  const message = reply.message ?? '';
  return { ok: false, temporary: message.endsWith(TEMPORARY_ENDING), message };
}

function tipOf({ tip }: MessageOf<'countersign_chain_tip_reply'>): SinkTip | null {
  if (tip === undefined) return null;
  const { isLocked, ...places } = tip;
  return { ...places, locked: isLocked };
}
