/** What an honest owner and his node spend on chain, and what the chain does in between. */

import { toHex } from '../../bitcoin/bytes.ts';
import { publicKeyOf } from '../../bitcoin/keys.ts';
import { p2wpkh, scriptOfAddress } from '../../bitcoin/scripts.ts';
import { txidOf } from '../../bitcoin/transaction.ts';
import { NODE } from '../../subject.ts';
import { type Draft, signWithdrawal, withdrawalRequest } from '../coins.ts';
import { bytesFor } from '../dice.ts';
import type { World } from '../world.ts';

/** So much stays in the wallet, for what channels may cost. */
const KEPT_SAT = 5_000_000n;

/** A script of a stranger's, which only the owner's word makes good. */
export const strangerScript = (label: number): Uint8Array =>
  p2wpkh(publicKeyOf(bytesFor(`stranger ${label}`)));

/** To the allowlisted address, to the wallet itself, or to a stranger whom the owner approves. */
export async function withdraw(world: World, by: number): Promise<void> {
  const value = 50_000n + BigInt(world.dice.roll(200_000));
  if (world.coins.totalSat < KEPT_SAT + value) return;
  const isStranger = by % 3 === 2;
  const script = [
    scriptOfAddress(world.config.allowedAddress),
    world.receivingScript(),
    strangerScript(world.nextLabel()),
  ][by % 3]!;
  const draft = world.coins.draft([{ value, script }], 300 + world.dice.roll(2000));
  if (draft === undefined) return;
  const signed = isStranger ? await signApproved(world, draft) : await signWithdrawal(world, draft);
  if (signed !== null) world.chain.broadcast(signed);
}

/** Refused, then approved by the owner for just this transaction, then signed. */
async function signApproved(world: World, draft: Draft) {
  if ((await world.ask(NODE, withdrawalRequest(draft), 'unsure')) !== null)
    return signWithdrawal(world, draft);
  const id = toHex(txidOf(draft.tx).toReversed());
  const failure = await world.owner({ act: 'approve', id, amountMsat: null });
  if (failure !== null) {
    world.problems.push(`the owner cannot approve a spend: ${failure}`);
    return null;
  }
  return signWithdrawal(world, draft);
}

/** A block or two are replaced by others with the same transactions. */
export async function reorganize(world: World, by: number): Promise<void> {
  await world.chain.reorganize(1 + (by % 2));
}

/** The chain runs on to the expiry of some HTLC. */
export async function pass(world: World, by: number): Promise<void> {
  await world.chain.mine(4 + (by % 40));
}
