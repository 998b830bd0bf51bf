/**
 * The same commitments and closes as `ChannelModel` has, asked for in the forms that name their values: as VLS's client for
 * LDK does, and the adapter for LDK.
 */
import { sat } from '@countersign/bitcoin';
import type { MessageOf } from '@countersign/wire';
import type { Balances, Built, ChannelModel, Funding, Party } from './channel-model.ts';

/** What the commitment's main outputs are worth, 0 where there is none. */
function valuesOf({ commitment }: Built, broadcaster: Party) {
  const worth = (kind: string) => commitment.outputs.find((one) => one.kind === kind)?.value ?? sat(0);
  const [broadcasters, others] = [worth('to_local'), worth('to_remote')];
  return broadcaster === 'holder'
    ? { toLocalValue: broadcasters, toRemoteValue: others }
    : { toLocalValue: others, toRemoteValue: broadcasters };
}

export function signRemoteByValues(
  model: ChannelModel,
  number: number,
  balances: Balances = model.initial,
  funding: Funding = model.funding,
): MessageOf<'vls_sign_remote_commitment_tx2'> {
  const { remotePerCommit, commitNum, feerate, htlcs } = model.signRemote(number, balances, funding);
  return {
    name: 'vls_sign_remote_commitment_tx2',
    remotePerCommit,
    commitNum,
    feerate,
    ...valuesOf(model.build('counterparty', number, balances, funding), 'counterparty'),
    htlcs,
  };
}

export function validateByValues(
  model: ChannelModel,
  number: number,
  balances: Balances = model.initial,
  funding: Funding = model.funding,
): MessageOf<'vls_validate_commitment_tx2'> {
  const { commitNum, feerate, htlcs, sig, htlcSigs } = model.validate(number, balances, funding);
  return {
    name: 'vls_validate_commitment_tx2',
    commitNum,
    feerate,
    ...valuesOf(model.build('holder', number, balances, funding), 'holder'),
    htlcs,
    sig,
    htlcSigs,
  };
}

export function closeByValues(
  model: ChannelModel,
  balances: Balances,
  feeSat = 1000n,
): MessageOf<'vls_sign_mutual_close_tx2'> {
  const [ours, theirs] = model.closeTx(balances, feeSat).outputs;
  return {
    name: 'vls_sign_mutual_close_tx2',
    toLocalValue: ours!.value,
    toRemoteValue: theirs!.value,
    localScript: ours!.script,
    remoteScript: theirs!.script,
    localWalletPathHint: [3],
  };
}
