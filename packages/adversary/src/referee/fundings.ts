/** Whether an output is the funding that a channel says: anybody can name an output, and whoever can spend another one alone does. */
import { equalBytes } from '../bitcoin/bytes.ts';
import { p2wsh } from '../bitcoin/scripts.ts';
import type { OutPoint, TxOutput } from '../bitcoin/transaction.ts';
import { fundingScript } from '../bolt3/index.ts';
import type { ChannelFile, Funding } from './channel-file.ts';

const scripts = new WeakMap<Funding, Uint8Array>();

/** As far as it is known at all, its output has the script of both sides' keys; of another nothing can be spent. */
export function isOwnFunding(
  outputAt: (outpoint: OutPoint) => TxOutput | undefined,
  { owner, fundings }: ChannelFile,
  key: string,
): boolean {
  const funding = fundings.get(key);
  const output = funding === undefined ? undefined : outputAt(funding.outpoint);
  if (funding === undefined || output === undefined || owner === null) return true;
  const script = scripts.get(funding) ?? p2wsh(fundingScript(owner.funding, funding.peerKey));
  scripts.set(funding, script);
  return equalBytes(output.script, script);
}
