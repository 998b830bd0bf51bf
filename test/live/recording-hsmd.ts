/** countersign-hsmd in remote mode, which also writes down what it was asked and what it answered: a line for each answer in
 *  `RECORD_FILE`. Promises to change nothing else. */
import { createHash } from 'node:crypto';
import { appendFileSync } from 'node:fs';
import type { ClientIdentity } from '@countersign/core';
import { encodeMessage } from '@countersign/wire';
import type { DoorAnswer } from '../../packages/cln/src/door.ts';
import { RemoteDoor } from '../../packages/cln/src/remote/door.ts';
import { RECORD_FILE, REFUSED, type RecordedAnswer } from './recording.ts';

const hash = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

function nameOf({ channel, permissions }: ClientIdentity): string {
  const who = channel === null ? 'node' : `${Buffer.from(channel.peerId).toString('hex')}/${channel.dbid}`;
  return `${who} ${permissions}`;
}

function answerText(answer: DoorAnswer): string {
  if (answer.kind === 'refused') return REFUSED + answer.refusal.tag;
  return hash(answer.kind === 'body' ? answer.body : encodeMessage(answer.reply));
}

const ask = RemoteDoor.prototype.ask;
RemoteDoor.prototype.ask = async function recorded(this: RemoteDoor, client, body) {
  const began = performance.now();
  const answer = await ask.call(this, client, body);
  const line: RecordedAnswer = {
    client: nameOf(client),
    type: ((body[0] ?? 0) << 8) | (body[1] ?? 0),
    request: hash(body),
    answer: answerText(answer),
    took_ms: Math.round(performance.now() - began),
  };
  appendFileSync(RECORD_FILE, `${JSON.stringify(line)}\n`);
  return answer;
};

await import('../../packages/cln/src/main.ts');
