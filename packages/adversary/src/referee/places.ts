/**
 * A channel as a place where the attacker chooses: which of the possible endings reaches the chain, or none, so that the
 * owner closes it. Once one has, what is left is the fate of its outputs. Each funding beside the one that the channel lives on is a
 * place too: rounds of an opening that do not exclude each other.
 */
import { toHex } from '../bitcoin/bytes.ts';
import { txidOf } from '../bitcoin/transaction.ts';
import type { ChannelFile, Ending } from './channel-file.ts';
import { afterSplices, isOwnFunding } from './fundings.ts';
import type { Knowledge } from './knowledge.ts';
import { worstOutcome } from './payment.ts';
import type { HtlcAtStake, Option, Place, Tally, Times } from './problem.ts';

const NOTHING: Omit<Option, 'name'> = {
  txid: null,
  directSat: 0,
  slackSat: 0,
  htlcs: [],
  tallies: new Map(),
};

/** None: nothing of the channel is on the chain or could come there. */
export function placesOf(
  known: Knowledge,
  file: ChannelFile,
  others: readonly Stakes[],
  times: Times,
): Place[] {
  const { closedBy } = file;
  const funding = closedBy === null ? fundingOf(known, file) : spentBy(known, file, closedBy.txid);
  const options =
    closedBy !== null
      ? [closedOption(known, file, closedBy)]
      : funding === undefined
        ? []
        : openOptions(known, file, funding, others, times);
  const besides = besidesOf(known, file, funding, others, times);
  if (options.length === 0) return besides;
  return [{ name: nameOf(file), channel: file.id, funding, options }, ...besides];
}

const nameOf = (file: ChannelFile): string => `${file.dbid} with ${toHex(file.peerId).slice(0, 10)}`;

/** What other channels would bring to payments that they share with this one, each by its newest commitment. */
export interface Stakes {
  readonly file: ChannelFile;
  readonly htlcs: readonly HtlcAtStake[];
  readonly tallies: ReadonlyMap<string, Tally>;
}

export function stakesOf(file: ChannelFile): Stakes {
  const newest = file.counterparty.at(-1);
  return { file, htlcs: newest?.htlcs ?? [], tallies: newest?.tallies ?? new Map() };
}

/** What the channel lives on, or may come to: the first that is on the chain, or that can be published. */
function fundingOf(known: Knowledge, file: ChannelFile): string | undefined {
  for (const first of file.fundings.keys()) {
    if (known.believesFundings) return first;
    const key = livesOn(known, file, first);
    const txid = key.slice(0, TXID_CHARS);
    if (known.book.depthOf(txid) > 0 ? !isSpent(known, key) : known.released.isPublishable(txid)) return key;
  }
  return undefined;
}

const livesOn = (known: Knowledge, file: ChannelFile, key: string): string =>
  afterSplices(known.book, (...asked) => known.spliceOf(...asked), file, key);

const isSpent = (known: Knowledge, key: string): boolean => known.book.spenderOf(key) !== undefined;

const spentBy = (known: Knowledge, { fundings }: ChannelFile, txid: string): string | undefined =>
  [...fundings.keys()].find((key) => spenderOf(known, key) === txid);

function spenderOf(known: Knowledge, key: string): string | undefined {
  const spender = known.book.spenderOf(key);
  return spender === undefined ? undefined : toHex(txidOf(spender.tx));
}

function openOptions(
  known: Knowledge,
  file: ChannelFile,
  key: string,
  others: readonly Stakes[],
  times: Times,
): Option[] {
  if (known.believesFundings) return optionsOn(known, file, key, others, times, 0);
  const txid = key.slice(0, TXID_CHARS);
  const depth = known.book.depthOf(txid);
  if (depth === 0) {
    const options = optionsOn(known, file, key, others, times, known.released.changeOf(txid));
    return [{ name: 'the funding is never published', ...NOTHING }, ...options];
  }
  if (isBuried(known, txid)) file.isFinal = true;
  const options = optionsOn(known, file, key, others, times, 0);
  return file.isFinal ? options : [...options, VANISHED];
}

const VANISHED: Option = { name: 'the funding vanishes', ...NOTHING };

/** As deep as no attacker undoes, or with the owner's own coins in it. */
const isBuried = (known: Knowledge, txid: string): boolean =>
  known.book.depthOf(txid) >= known.terms.finalDepthBlocks || known.coins.selfMade.has(txid);

/** Rounds of the opening beside the funding that the channel lives on, or lived on: on the chain, closed, or to be published. */
function besidesOf(
  known: Knowledge,
  file: ChannelFile,
  main: string | undefined,
  others: readonly Stakes[],
  times: Times,
): Place[] {
  if (known.believesFundings || main === undefined || file.fundings.size < 2) return [];
  const rounds = [...file.fundings].filter(([, { isRound }]) => isRound);
  const keys = new Set(rounds.map(([key]) => livesOn(known, file, key)));
  for (const key of [main, livesOn(known, file, main)]) keys.delete(key);
  const isMined = known.book.depthOf(main.slice(0, TXID_CHARS)) > 0;
  return [...keys].flatMap((key): Place[] => {
    if (!isOwnFunding((one) => known.released.outputAt(one), file, key)) return [];
    const options = besideOptions(known, file, key, isMined, others, times);
    if (options.length === 0) return [];
    return [{ name: `${nameOf(file)}, another funding`, channel: file.id, funding: key, options }];
  });
}

/** `isMined`: what the channel lives on; while it is not, the others are alternatives to it. */
function besideOptions(
  known: Knowledge,
  file: ChannelFile,
  key: string,
  isMined: boolean,
  others: readonly Stakes[],
  times: Times,
): Option[] {
  const txid = key.slice(0, TXID_CHARS);
  if (known.book.depthOf(txid) > 0) {
    const spender = spenderOf(known, key);
    if (spender !== undefined) {
      const ending = known.endingOf(spender)?.ending;
      return ending === undefined ? [] : [closedOption(known, file, { txid: spender, ending })];
    }
    const options = optionsOn(known, file, key, others, times, 0);
    return isBuried(known, txid) ? options : [...options, VANISHED];
  }
  if (!isMined || !known.released.isPublishable(txid)) return [];
  const options = optionsOn(known, file, key, others, times, known.released.changeOf(txid));
  return [{ name: 'the funding is never published', ...NOTHING }, ...options];
}

const TXID_CHARS = 64;

/** `addedSat`: what it changes beside that the funding comes to be. */
function optionsOn(
  known: Knowledge,
  file: ChannelFile,
  funding: string,
  others: readonly Stakes[],
  times: Times,
  addedSat: number,
): Option[] {
  if (!isOwnFunding((one) => known.released.outputAt(one), file, funding))
    return [{ name: 'a funding that is not the channel’s', ...NOTHING, directSat: addedSat }];
  const on = (list: readonly Ending[]) => list.filter((one) => one.funding === funding);
  const options = on(file.counterparty).map((one) => optionOf(known, one));
  for (const close of on(file.closes)) {
    const next = known.spliceOf(file, close.tx, close.txid);
    if (next === undefined || next === funding) options.push(optionOf(known, close));
    else options.push(...spliced(close, optionsOn(known, file, next, others, times, close.directSat)));
  }
  for (const own of on(file.holder)) {
    if (!own.isReleased) continue;
    options.push(own.number <= file.secretsReleasedMax ? betrayed(own) : optionOf(known, own));
  }
  for (const one of on(file.unpunished)) options.push(unpunished(known, one));
  options.push(silence(known, file, on(file.holder), others, times));
  return addedSat === 0 ? options : options.map((one) => ({ ...one, directSat: one.directSat + addedSat }));
}

/** Published, it is no end: what is on the funding that it makes is what the attacker has a choice of. */
const spliced = ({ name }: Ending, options: readonly Option[]): Option[] =>
  options.map((one) => ({ ...one, txid: null, name: `${name}, then ${one.name}` }));

function optionOf(known: Knowledge, ending: Ending): Option {
  const { name, slackSat, meanings, txid, tallies } = ending;
  let directSat = ending.directSat;
  const htlcs: HtlcAtStake[] = [];
  meanings.forEach((meaning, vout) => {
    const lossSat = known.released.lossOf(`${txid}:${vout}`);
    if (meaning.is === 'htlc') {
      const { valueSat } = meaning.htlc;
      htlcs.push({ ...atTheEarliest(ending, vout, meaning.htlc), valueSat: Math.max(0, valueSat - lossSat) });
    } else if (meaning.is === 'owner' || meaning.is === 'owner-delayed') {
      directSat -= lossSat;
    }
  });
  return { name, txid, directSat, slackSat, htlcs, tallies };
}

/** Where the peer may time it out before its expiry, the owner has until then. */
function atTheEarliest({ early }: Ending, vout: number, htlc: HtlcAtStake): HtlcAtStake {
  const expiryBlocks = Math.min(htlc.expiryBlocks, early.get(vout) ?? htlc.expiryBlocks);
  return { ...htlc, expiryBlocks };
}

/** Our own commitment, published after its secret left: the peer takes all of it. */
const betrayed = ({ name, txid, htlcs, tallies }: Ending): Option => ({
  name: `revoked ${name}`,
  txid,
  directSat: 0,
  slackSat: 0,
  htlcs: htlcs.map((htlc) => ({ ...htlc, isOwnable: false })),
  tallies,
});

/** A revoked commitment of the peer: all of it is the owner's, but what there is a way around. */
function unpunished(
  known: Knowledge,
  { name, tx, meanings, bypassed, txid, tallies, feeSat }: Ending,
): Option {
  const directSat = tx.outputs.reduce((sum, { value }, vout) => {
    if (meanings[vout]!.is === 'other' || bypassed.has(vout)) return sum;
    return sum + Number(value) - known.released.lossOf(`${txid}:${vout}`);
  }, feeSat);
  return { name: `revoked ${name}`, txid, directSat, slackSat: 0, htlcs: [], tallies };
}

/** Nobody publishes, so the owner does: of the commitments it still may, the one that keeps most. */
function silence(
  known: Knowledge,
  file: ChannelFile,
  holder: readonly Ending[],
  others: readonly Stakes[],
  times: Times,
): Option {
  const usable = holder.filter(({ isComplete, number }) => isComplete && number > file.secretsReleasedMax);
  // One whose predecessor is not revoked can still be replaced by the attacker, with another content for its number.
  const certain = Math.min(...usable.map(({ number }) => number));
  const options = usable.filter(({ number }) => number === certain).map((one) => optionOf(known, one));
  const [first, ...rest] = options;
  if (first === undefined) return { name: 'silence, and nothing to close with', ...NOTHING };
  const best = rest.reduce(
    (kept, one) =>
      aloneSat(known, one, file, others, times) >= aloneSat(known, kept, file, others, times) ? one : kept,
    first,
  );
  return { ...best, txid: null, name: `silence, so the owner publishes ${best.name}` };
}

/** What an option is worth while the other channels end with their newest commitments. */
function aloneSat(
  known: Knowledge,
  option: Option,
  file: ChannelFile,
  others: readonly Stakes[],
  times: Times,
): number {
  const hashes = new Set([...option.htlcs.map(({ hash }) => hash), ...option.tallies.keys()]);
  for (const hash of file.counterparty.at(-1)?.tallies.keys() ?? []) hashes.add(hash);
  let sum = option.directSat;
  for (const hash of hashes) {
    const htlcs = option.htlcs.filter((one) => one.hash === hash);
    let { paidSat, creditedSat } = option.tallies.get(hash) ?? { paidSat: 0, creditedSat: 0 };
    for (const other of others) {
      if (other.file === file) continue;
      htlcs.push(...other.htlcs.filter((one) => one.hash === hash));
      paidSat += other.tallies.get(hash)?.paidSat ?? 0;
      creditedSat += other.tallies.get(hash)?.creditedSat ?? 0;
    }
    sum += worstOutcome(htlcs, { paidSat, creditedSat }, known.payments.of(hash), times).valueSat;
  }
  return sum;
}

/** What is on the chain: coins count by themselves, HTLC outputs that nobody spent yet are still open. */
function closedOption(
  known: Knowledge,
  file: ChannelFile,
  { txid, ending }: NonNullable<ChannelFile['closedBy']>,
): Option {
  if (ending === null) return { name: 'an unknown close', ...NOTHING };
  const isRevoked = ending.side === 'counterparty' && !file.counterparty.includes(ending);
  const isUnspent = (vout: number) => known.book.spenderOf(`${txid}:${vout}`) === undefined;
  const isBetrayed = ending.side === 'holder' && ending.number <= file.secretsReleasedMax;
  const htlcs: HtlcAtStake[] = [];
  let slackSat = ending.slackSat;
  ending.meanings.forEach((meaning, vout) => {
    if (!isUnspent(vout)) return;
    const isPunishable = isRevoked && !ending.bypassed.has(vout);
    if (isPunishable && (meaning.is === 'peer-delayed' || meaning.is === 'htlc')) {
      slackSat += Number(ending.tx.outputs[vout]!.value);
    } else if (meaning.is === 'htlc') {
      const htlc = atTheEarliest(ending, vout, meaning.htlc);
      const isOwnable = htlc.isOwnable && !isBetrayed;
      const lossSat = known.released.lossOf(`${txid}:${vout}`);
      htlcs.push({ ...htlc, isOwnable, valueSat: Math.max(0, htlc.valueSat - lossSat) });
    }
  });
  return {
    name: `${ending.name} on the chain`,
    txid: null,
    directSat: 0,
    slackSat,
    htlcs,
    tallies: ending.tallies,
  };
}
