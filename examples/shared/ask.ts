/** How an example asks its signer: a request goes in, a reply or a refusal comes back. Whatever the signer is reached by. */
import type { Reply, ReplyName, Request } from '@countersign/wire';

export type Outcome =
  | { readonly ok: true; readonly reply: Reply }
  | { readonly ok: false; readonly tag: string; readonly message: string };

/** `channel`: for the channel with Bob; `node`: for the node as a whole. */
export type Speaker = 'channel' | 'node';

export type Ask = (speaker: Speaker, request: Request) => Promise<Outcome>;

/** What an honest wallet asks for is never refused. */
export class Unexpected extends Error {
  constructor(request: Request, { tag, message }: { readonly tag: string; readonly message: string }) {
    super(`${request.name} was refused by ${tag}: ${message}`);
    this.name = 'Unexpected';
  }
}

/** The reply of that name; anything else is a fault. */
export async function expectReply<N extends ReplyName>(
  ask: Ask,
  speaker: Speaker,
  request: Request,
  name: N,
): Promise<Extract<Reply, { name: N }>> {
  const outcome = await ask(speaker, request);
  if (!outcome.ok) throw new Unexpected(request, outcome);
  const { reply } = outcome;
  if (reply.name !== name) throw new TypeError(`${request.name} was answered by ${reply.name}`);
  return reply as Extract<Reply, { name: N }>;
}
