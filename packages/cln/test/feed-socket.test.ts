/** `node.sock` of a node side: whatever a broken signer answers, it reaches the feeder as a refusal or not at all. */
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeFrame, FrameSocket } from '@countersign/transport';
import { decodeMessage } from '@countersign/wire';
import { expect, it } from 'vitest';
import { openFeedSocket } from '../src/remote/feed-socket.ts';
import { type Answering, FakeLink, refusedBy } from './fake-link.ts';

/** What a feeder reads for one frame; what went wrong beside. */
async function fed(answering: Answering) {
  const directory = mkdtempSync(join(tmpdir(), 'countersign-feed-'));
  const bugs: unknown[] = [];
  const path = join(directory, 'node.sock');
  const onBug = (error: unknown) => bugs.push(error);
  const listener = await openFeedSocket({ path, link: new FakeLink(answering), preimages: null, onBug });
  const socket = connect(path);
  const answer = new Promise<Uint8Array | null>((resolve) => {
    new FrameSocket(socket).start({ frame: resolve, closed: () => resolve(null) });
  });
  socket.write(encodeFrame(Uint8Array.of(15, 161)));
  const body = await answer;
  socket.destroy();
  await listener.close();
  rmSync(directory, { recursive: true });
  return { body, bugs };
}

it('a refusal longer than a message is cut, and is no bug', async () => {
  const facts = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`f${i}`, 'y'.repeat(3000)]));
  const { body, bugs } = await fed(() => refusedBy({ text: 'x'.repeat(4000), facts }));
  expect(bugs).toEqual([]);
  const decoded = decodeMessage(body ?? new Uint8Array(0), 'reply');
  expect(decoded.ok && decoded.message.name).toBe('vls_signer_error');
});

it('a refusal with control characters reaches the feeder as text', async () => {
  const { body, bugs } = await fed(() => refusedBy({ text: 'a\u0000b\nc' }));
  expect(bugs).toEqual([]);
  expect(decodeMessage(body ?? new Uint8Array(0), 'reply').ok).toBe(true);
});
