/**
 * Which output a channel lives on. It may have been set up with several, all of them on the chain, and anybody can name an output that
 * is none of its own.
 */
import { equalBytes, toHex } from '../bitcoin/bytes.ts';
import { p2wsh } from '../bitcoin/scripts.ts';
import { type OutPoint, type Tx, type TxOutput, txidOf } from '../bitcoin/transaction.ts';
import { fundingScript } from '../bolt3/index.ts';
import type { Book } from './book.ts';
import type { ChannelFile, Ending, Funding } from './channel-file.ts';

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

type SpliceOf = (file: ChannelFile, tx: Tx, txid: string) => string | undefined;

/**
 * The funding that the channel lives on, where splices on the chain have spent this one: not another round of its opening, which may
 * be on the chain too.
 */
export function afterSplices(book: Book, spliceOf: SpliceOf, file: ChannelFile, funding: string): string {
  let key = funding;
  for (;;) {
    const spender = book.spenderOf(key);
    const next = spender === undefined ? undefined : spliceOf(file, spender.tx, toHex(txidOf(spender.tx)));
    if (next === undefined || next === key) return key;
    key = next;
  }
}

/** Of those on the chain the first that nothing has spent, but for this transaction; undefined when there is none. */
export function livedOn(
  book: Book,
  spliceOf: SpliceOf,
  file: ChannelFile,
  spender: string,
): string | undefined {
  const ends = [...file.fundings.keys()].map((key) => afterSplices(book, spliceOf, file, key));
  return ends.find((key) => {
    const spent = book.spenderOf(key);
    return (
      book.depthOf(key.slice(0, TXID_CHARS)) > 0 &&
      (spent === undefined || toHex(txidOf(spent.tx)) === spender)
    );
  });
}

/** What ended the fundings of a channel on the chain: the end of the channel first, then those of other rounds of its opening. */
export function endingsOf(
  { book, endingOf }: { readonly book: Book; readonly endingOf: (txid: string) => Ending | undefined },
  { closedBy, fundings }: ChannelFile,
): readonly Ending[] {
  const rounds = [...fundings].filter(([, { isRound }]) => isRound);
  const others = rounds.flatMap(([key]): readonly Ending[] => {
    const spender = book.spenderOf(key);
    const ending = spender === undefined ? undefined : endingOf(toHex(txidOf(spender.tx)));
    return ending === undefined || ending.name === 'splice' ? [] : [ending];
  });
  return [...new Set([...(closedBy?.ending == null ? [] : [closedBy.ending]), ...others])];
}

const TXID_CHARS = 64;
