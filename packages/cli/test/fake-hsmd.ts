/**
 * A process in the place of an hsmd that does what `fake.json` in its working directory says: for each request on
 * descriptor 3 the next action. For what a real hsmd should never do.
 */
import { closeSync, readFileSync, writeSync } from 'node:fs';
import { fromHex } from '@countersign/bitcoin';
import {
  encodeFrame,
  readFrameBlocking,
  sendDescriptor,
  socketPair,
  writeFrameBlocking,
} from '@countersign/transport';

type Action =
  | { readonly reply: string; readonly passes?: boolean }
  | { readonly exit: number }
  | { readonly hang: true };

const plan: { actions: Action[]; ignoresHangUp?: boolean } = JSON.parse(readFileSync('fake.json', 'utf8'));
writeSync(0, encodeFrame(fromHex(`fff6${Buffer.from('fake').toString('hex')}00`)));

for (const action of plan.actions) {
  if (readFrameBlocking(3) === undefined) break;
  if ('exit' in action) process.exit(action.exit);
  if ('hang' in action) await new Promise((resolve) => setTimeout(resolve, 60_000));
  if ('reply' in action) {
    writeFrameBlocking(3, fromHex(action.reply));
    if (action.passes === true) {
      const [ours, theirs] = socketPair();
      await sendDescriptor(3, theirs);
      closeSync(theirs);
      // Kept open and never read: the process forgot this client.
      void ours;
    }
  }
}
while (readFrameBlocking(3) !== undefined);
process.exit(2);
