/**
 * The owner's coins, spent to where they must not go: foreign outputs, approvals used for another transaction, amounts that
 * are not true, signatures that commit to less than all, channel outputs smuggled in beside coins, fees that eat them up.
 */
import { equalBytes, toHex } from '../../bitcoin/bytes.ts';
import { makePsbt, type PsbtInputInfo, partialSignatures, withWalletWitnesses } from '../../bitcoin/psbt.ts';
import { p2wsh } from '../../bitcoin/scripts.ts';
import { SIGHASH } from '../../bitcoin/sighash.ts';
import { type Tx, type TxOutput, txidOf, withWitnesses } from '../../bitcoin/transaction.ts';
import { anchorScript } from '../../bolt3/scripts.ts';
import { NODE } from '../../subject.ts';
import { ATTACKER_SCRIPT } from '../chain-feed.ts';
import type { Channel } from '../channel.ts';
import { SEQUENCE_RBF } from '../claims.ts';
import { type Coin, coinInfo, type Draft, unsigned, wireUtxo } from '../coins.ts';
import { fundingScriptOf } from '../commitments.ts';
import { pick } from '../dice.ts';
import type { Move } from '../moves.ts';
import { wireSat } from '../requests.ts';
import type { World } from '../world.ts';

/** Asks, and publishes what can be published. */
export async function spend(
  world: World,
  tx: Tx,
  coins: readonly Coin[],
  infos: readonly PsbtInputInfo[] = coins.map(coinInfo),
  spent: readonly TxOutput[] = coins.map(({ output }) => output),
): Promise<boolean> {
  const request = {
    name: 'hsmd_sign_withdrawal',
    inputs: coins.map(wireUtxo),
    psbt: makePsbt(tx, infos),
  } as const;
  const reply = await world.ask(NODE, request, 'attack');
  if (reply === null) return false;
  world.chain.broadcast(withWalletWitnesses(tx, reply.psbt, spent));
  return true;
}

const someDraft = (world: World, outputs: readonly TxOutput[], by: number): Draft | undefined =>
  world.coins.draft(outputs, 300 + (by % 2000));

const toAttacker = (value: bigint): TxOutput => ({ value, script: ATTACKER_SCRIPT });

/** A53, A56: to a foreign script, as its only output or beside the change; or to where the owner won't find it. */
export async function spendAbroad(
  world: World,
  _channel: Channel | undefined,
  { a, b }: Move,
): Promise<void> {
  const value = 20_000n + BigInt(b) * 1000n;
  const far = world.wallet.key([100_000, 2 ** 31 - 1, 5000][b % 3]!).scripts.p2wpkh;
  const outputs = [toAttacker(value), { value, script: far }, { value, script: Uint8Array.of(0x51) }];
  const draft = someDraft(world, [pick(outputs, a)!], b);
  if (draft === undefined) return;
  const tx = a % 5 === 0 ? { ...draft.tx, outputs: draft.tx.outputs.slice(0, 1) } : draft.tx;
  await spend(world, tx, draft.coins);
}

/** A54: what the owner approved is one transaction, what is signed another. */
export async function spendOther(world: World, _channel: Channel | undefined, { a, b }: Move): Promise<void> {
  const draft = someDraft(world, [toAttacker(30_000n)], b);
  if (draft === undefined) return;
  const id = toHex(txidOf(draft.tx).toReversed());
  await spend(world, draft.tx, draft.coins);
  if ((await world.owner({ act: 'approve', id, amountMsat: null })) !== null) return;
  const [paid, change] = draft.tx.outputs;
  if (paid === undefined || change === undefined) return;
  const others: readonly (readonly TxOutput[])[] = [
    [
      { ...paid, value: paid.value + 1n },
      { ...change, value: change.value - 1n },
    ],
    [paid, { ...change, value: change.value - 150_000n }],
    [paid, { ...change, value: change.value - 40_000n }, toAttacker(39_000n)],
    [paid, { ...change, script: ATTACKER_SCRIPT }],
    [paid],
  ];
  await spend(world, { ...draft.tx, outputs: pick(others, a)! }, draft.coins);
  // What was approved, twice: the second time it has no more inputs, or goes elsewhere.
  if (a % 2 === 0) await spend(world, draft.tx, draft.coins);
}

/** Fees beyond all bounds, in one transaction or in many. */
export async function burnFees(world: World, _channel: Channel | undefined, { a, b }: Move): Promise<void> {
  const coin = pick(world.coins.all, a);
  if (coin === undefined) return;
  const burnt = [500_000n, 199_000n, 30_000n, coin.output.value - 1000n][b % 4]!;
  const value = coin.output.value - burnt;
  if (value <= 546n) return;
  await spend(world, unsigned([coin], [{ value, script: world.receivingScript() }]), [coin]);
}

/** A55: two inputs whose amounts nothing proves; signed twice, each time with the other one's a lie. */
export async function falseAmounts(
  world: World,
  _channel: Channel | undefined,
  { a, b }: Move,
): Promise<void> {
  const [one, other] = [pick(world.coins.all, a), pick(world.coins.all, a + 1)];
  if (one === undefined || other === undefined || one === other) return;
  const coins = [one, other];
  const values = coins.map(({ output }) => output.value);
  const claimedSat = values.toSorted((x, y) => Number(y - x))[0]! + 10_000n;
  const tx = unsigned(coins, [{ value: claimedSat - 2000n, script: world.receivingScript() }]);
  const signatures: (readonly Uint8Array[])[] = [[], []];
  for (const liar of [0, 1]) {
    const infos = coins.map((coin, i): PsbtInputInfo => {
      const value = i === liar ? claimedSat - values[1 - i]! : values[i]!;
      return { utxo: { ...coin.output, value }, previous: b % 4 === 0 ? coin.previous : undefined };
    });
    const inputs = coins.map((coin, i) => ({ ...wireUtxo(coin), amount: wireSat(infos[i]!.utxo!.value) }));
    const psbt = makePsbt(tx, infos);
    const reply = await world.ask(NODE, { name: 'hsmd_sign_withdrawal', inputs, psbt }, 'attack');
    if (reply === null) return;
    const [truthful] = partialSignatures(reply.psbt, 1 - liar);
    if (truthful !== undefined) signatures[1 - liar] = [truthful.signature, truthful.publicKey];
  }
  world.chain.broadcast(withWitnesses(tx, signatures));
}

const SIGHASHES = [
  SIGHASH.NONE,
  SIGHASH.SINGLE,
  SIGHASH.ALL | SIGHASH.ANYONECANPAY,
  SIGHASH.NONE | SIGHASH.ANYONECANPAY,
  SIGHASH.SINGLE_ANYONECANPAY,
];

/** A64: signatures that leave room for other outputs, or inputs; what they fit is published with the thief's. */
export async function looseSighash(
  world: World,
  _channel: Channel | undefined,
  { a, b }: Move,
): Promise<void> {
  const draft = someDraft(world, [{ value: 20_000n, script: world.receivingScript() }], b);
  if (draft === undefined) return;
  const { tx, coins } = draft;
  const infos = coins.map((coin) => ({ ...coinInfo(coin), sighashType: pick(SIGHASHES, a)! }));
  const request = {
    name: 'hsmd_sign_withdrawal',
    inputs: coins.map(wireUtxo),
    psbt: makePsbt(tx, infos),
  } as const;
  const reply = await world.ask(NODE, request, 'attack');
  if (reply === null) return;
  const value = tx.outputs.reduce((sum, one) => sum + one.value, 0n);
  const theft: Tx = { ...tx, outputs: [toAttacker(value)] };
  const spent = coins.map(({ output }) => output);
  world.chain.broadcast(withWalletWitnesses(theft, reply.psbt, spent));
}

/** A65: a channel's funding is one more input of a spend. */
export async function smuggleFunding(world: World, channel: Channel, { a, b }: Move): Promise<void> {
  const coin = pick(world.coins.all, a);
  if (coin === undefined || channel.fundingTx === null) return;
  const funding = channel.fundingOutput();
  const isHidden = b % 2 === 0;
  const sum = coin.output.value + funding.value - 2000n;
  const outputs = [{ value: isHidden ? coin.output.value - 2000n : sum, script: world.receivingScript() }];
  const tx = unsigned([coin, { outpoint: channel.funding }], outputs);
  const infos: PsbtInputInfo[] = [
    coinInfo(coin),
    { utxo: funding, witnessScript: fundingScriptOf(channel), previous: channel.fundingTx },
  ];
  const psbt = makePsbt(tx, infos);
  const asCoin = { ...wireUtxo(coin), outpoint: channel.funding, amount: wireSat(funding.value) };
  const inputs =
    a % 2 === 0 ? [wireUtxo(coin)] : [wireUtxo(coin), { ...asCoin, scriptPubkey: funding.script }];
  const { peerId: peerid, dbid: channelDbid } = channel.terms;
  if (b % 3 === 0) await world.ask(NODE, { name: 'hsmd_sign_withdrawal', inputs, psbt }, 'attack');
  else await world.ask(NODE, { name: 'hsmd_sign_anchorspend', peerid, channelDbid, inputs, psbt }, 'attack');
}

/** A61: a spend of an anchor, or of an HTLC, brings coins and takes them elsewhere. */
export async function drainByAnchor(world: World, channel: Channel, { a, b }: Move): Promise<void> {
  const coin = pick(world.coins.all, a);
  const commitment = channel.ending?.tx ?? channel.ownerCommitments.at(-1)?.built.tx;
  if (coin === undefined || commitment === undefined || channel.ownerKeys === null) return;
  const script = anchorScript(channel.ownerKeys.funding);
  const anchorAt = commitment.outputs.findIndex((one) => equalBytes(one.script, p2wsh(script)));
  const vout = b % 4 !== 0 && anchorAt >= 0 ? anchorAt : b % Math.max(commitment.outputs.length, 1);
  const spent = commitment.outputs[vout];
  if (spent === undefined) return;
  const input = { outpoint: { txid: txidOf(commitment), vout } };
  const value = coin.output.value - (b % 2 === 0 ? 2000n : 190_000n);
  const output = { value, script: a % 3 !== 0 ? ATTACKER_SCRIPT : world.receivingScript() };
  const tx = unsigned([input, coin], [output]);
  const witnessScript = vout === anchorAt ? script : undefined;
  const psbt = makePsbt(tx, [{ utxo: spent, witnessScript }, coinInfo(coin)]);
  const inputs = [wireUtxo(coin)];
  const { peerId: peerid, dbid: channelDbid } = channel.terms;
  const reply =
    b % 3 === 0
      ? await world.ask(
          NODE,
          { name: 'hsmd_sign_htlc_tx_mingle', peerid, channelDbid, inputs, psbt },
          'attack',
        )
      : await world.ask(NODE, { name: 'hsmd_sign_anchorspend', peerid, channelDbid, inputs, psbt }, 'attack');
  if (reply === null) return;
  const witnesses = [0, 1].map((index) => {
    const [found] = partialSignatures(reply.psbt, index);
    if (found === undefined) return [];
    return index === 0 ? [found.signature, script] : [found.signature, found.publicKey];
  });
  world.chain.broadcast(withWitnesses(tx, witnesses));
}

/** A69: wallet money goes out beside a P2WSH output that the attacker owns, as if that were an HTLC. */
export async function pairWithOwn(world: World, channel: Channel, { a, b }: Move): Promise<void> {
  const coin = pick(world.coins.all, a);
  if (coin === undefined) return;
  const script = Uint8Array.of(0x51);
  const funding = world.chain.attackerPays([{ value: 20_000n, script: p2wsh(script) }]);
  if (funding === undefined) return;
  world.chain.broadcast(funding);
  const spent = funding.outputs[0]!;
  const input = { outpoint: { txid: txidOf(funding), vout: 0 } };
  const value = b % 2 === 0 ? coin.output.value + 18_000n : 20_000n;
  const rest = b % 2 === 0 ? [] : [{ value: coin.output.value - 2000n, script: p2wsh(script) }];
  const tx = unsigned([input, coin], [{ value, script: p2wsh(script) }, ...rest]);
  const { peerId: peerid, dbid: channelDbid } = channel.terms;
  const psbt = makePsbt(tx, [{ utxo: spent, witnessScript: script }, coinInfo(coin)]);
  const inputs = [wireUtxo(coin)];
  const request = { name: 'hsmd_sign_htlc_tx_mingle', peerid, channelDbid, inputs, psbt } as const;
  const reply = await world.ask(NODE, request, 'attack');
  const [found] = reply === null ? [] : partialSignatures(reply.psbt, 1);
  if (found !== undefined)
    world.chain.broadcast(withWitnesses(tx, [[script], [found.signature, found.publicKey]]));
}

/** A69: wallet money goes to the delayed script of an own HTLC transaction, whose commitment may be revoked. */
export async function drainByMingle(world: World, channel: Channel, { a, b }: Move): Promise<void> {
  const commitment = pick(
    channel.ownerCommitments.filter(({ built }) => built.htlcs.length > 0),
    a,
  );
  const one = pick(commitment?.built.htlcs ?? [], b);
  const coin = pick(world.coins.all, b);
  if (one === undefined || coin === undefined) return;
  const [delayed] = one.tx.outputs;
  const change = { value: 10_000n, script: world.receivingScript() };
  const outputs = [{ ...delayed!, value: delayed!.value + coin.output.value - 12_000n }, change];
  const input = { ...coin.outpoint, scriptSig: new Uint8Array(0), sequence: SEQUENCE_RBF, witness: [] };
  const tx: Tx = { ...one.tx, inputs: [...one.tx.inputs, input], outputs };
  await world.ask(
    NODE,
    {
      name: 'hsmd_sign_htlc_tx_mingle',
      peerid: channel.terms.peerId,
      channelDbid: channel.terms.dbid,
      inputs: [wireUtxo(coin)],
      psbt: makePsbt(tx, [{ utxo: one.output, witnessScript: one.witnessScript }, coinInfo(coin)]),
    },
    'attack',
  );
}
