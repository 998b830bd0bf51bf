/**
 * Splices that an attacker would make of what was approved once, and fundings that do not exclude each other.
 */
import { sat, type Transaction, toHex, txid, txidToHex } from '@countersign/bitcoin';
import { describe, expect, it } from 'vitest';
import { onchainApprovalRecords } from '../src/records/approval.ts';
import { channelRecords } from '../src/records/channel.ts';
import { signedTransactionRecords } from '../src/records/spending.ts';
import { spliceOutId } from '../src/spending/approvals.ts';
import type { Funding } from './channel-model.ts';
import type { OpenChannel } from './open-channel.ts';
import { approveOutputs, hubChannel, output, pendingOf, put } from './spending-model.ts';
import { fundingInput, STRANGER, withdrawal } from './wallet-model.ts';

const unknown = 'policy-onchain-no-unknown-outputs';
const out = { script: STRANGER, valueSat: sat(50_000n) };
const id = spliceOutId(out);

/** A splice from `from` that pays these outputs beside the new funding. */
function splicing(
  channel: OpenChannel,
  label: string,
  addedSat: bigint,
  outputs: Transaction['outputs'],
  from: Funding = channel.model.funding,
): Funding {
  const base = channel.model.spliceOf(label, addedSat, from);
  const tx = { ...base.tx, outputs: [...outputs, base.tx.outputs[1]!] };
  return channel.candidate({ ...base, tx, outpoint: { txid: txid(tx), vout: outputs.length } });
}

function spliceable(): OpenChannel {
  const channel = hubChannel({ isOutbound: true, pushMsat: 0n });
  return channel.update(channel.balances);
}

describe('the approval of a splice-out', () => {
  it('policy-onchain-no-unknown-outputs: passes every round of one splice, trips on the next splice', () => {
    const channel = spliceable();
    const { model, signer } = channel;
    const first = splicing(channel, 'first', -40_000n, [output(STRANGER, 50_000n)]);
    approveOutputs(signer, id, [out]);
    channel.ask(model.signSplice(first));
    channel.ask(model.signSplice(first));
    const rbf = splicing(channel, 'rbf', -41_000n, [output(STRANGER, 50_000n)]);
    channel.ask(model.signSplice(rbf));
    channel.update(channel.balances);
    channel.lock(rbf);
    const second = splicing(channel, 'second', -40_000n, [output(STRANGER, 50_000n)], rbf);
    const request = model.signSplice(second, rbf);
    expect(channel.tagOf(request)).toBe(unknown);
    // The operator is asked again, and may approve it again.
    expect(pendingOf(signer, request, channel)).toMatchObject({ kind: 'splice-out', id });
    approveOutputs(signer, id, [out]);
    channel.ask(request);
  });

  it('policy-onchain-no-unknown-outputs: trips on a second output like the approved one', () => {
    const channel = spliceable();
    const half = { script: STRANGER, valueSat: sat(25_000n) };
    const twice = [output(STRANGER, 25_000n), output(STRANGER, 25_000n)];
    const splice = splicing(channel, 'twice', -40_000n, twice);
    approveOutputs(channel.signer, spliceOutId(half), [half]);
    expect(channel.tagOf(channel.model.signSplice(splice))).toBe(unknown);
    // A refusal takes nothing of it.
    expect(channel.signer.state.read(onchainApprovalRecords, spliceOutId(half))?.value).not.toBeNull();
  });

  it('policy-onchain-no-unknown-outputs: trips on an approval whose id was forged for another output', () => {
    const channel = spliceable();
    const splice = splicing(channel, 'forged', -40_000n, [output(STRANGER, 50_000n)]);
    approveOutputs(channel.signer, id, [{ ...out, valueSat: 1000n }]);
    expect(channel.tagOf(channel.model.signSplice(splice))).toBe(unknown);
  });
});

describe('policy-candidate-exclusive', () => {
  const tag = 'policy-candidate-exclusive';

  function fund(channel: OpenChannel, funding: Funding) {
    const { inputs, psbt } = fundingInput(channel.signer.keys, funding);
    return withdrawal(inputs, psbt);
  }

  /** Another round of the opening, which spends what `like` spends. */
  function round(funding: Funding, locktime: number): Funding {
    const tx = { ...funding.tx, locktime };
    return { ...funding, tx, outpoint: { ...funding.outpoint, txid: txid(tx) } };
  }

  it('policy-candidate-exclusive: trips on two rounds of an opening that could both confirm (A18)', () => {
    const channel = hubChannel({ isOutbound: true, pushMsat: 0n });
    const { funding } = channel.model;
    const second = channel.candidate(channel.model.newFunding('second', 1_000_000n));
    channel.ask(fund(channel, funding));
    expect(channel.tagOf(fund(channel, second))).toBe(tag);
  });

  it('policy-candidate-exclusive: passes rounds with a common input, and rounds signed before that was kept', () => {
    const channel = hubChannel({ isOutbound: true, pushMsat: 0n });
    const { funding } = channel.model;
    const rbf = channel.candidate(round(funding, 111));
    channel.ask(fund(channel, funding));
    channel.ask(fund(channel, rbf));
    const second = channel.candidate(channel.model.newFunding('second', 1_000_000n));
    expect(channel.tagOf(fund(channel, second))).toBe(tag);
    for (const one of [funding, rbf])
      put(channel.signer, signedTransactionRecords, txidToHex(one.outpoint.txid), { inputs: [], spends: [] });
    channel.ask(fund(channel, second));
  });

  it('policy-candidate-exclusive: trips on a round that the channel does not live on', () => {
    const channel = hubChannel({ isOutbound: true, pushMsat: 0n });
    const { funding } = channel.model;
    const rbf = channel.candidate(round(funding, 111));
    channel.ask(fund(channel, rbf));
    channel.ask(channel.model.lock(rbf));
    expect(channel.tagOf(fund(channel, funding))).toBe(tag);
  });

  it('policy-candidate-exclusive: trips on a splice that spends no funding of its channel', () => {
    const channel = spliceable();
    const late = channel.candidate(channel.model.newFunding('late', 1_000_000n));
    expect(channel.tagOf(fund(channel, late))).toBe(tag);
  });

  it('policy-candidate-exclusive: trips on two fundings of a channel in one transaction', () => {
    const channel = hubChannel({ isOutbound: true, pushMsat: 0n });
    const { funding } = channel.model;
    const beside = { ...funding, outpoint: { ...funding.outpoint, vout: 0 } };
    expect(channel.tagOf(channel.model.setup(beside))).toBe(tag);
  });
});

it('policy-channel-frozen: trips on the funding of a channel that is frozen, by either', () => {
  for (const why of ['frozen', 'stopped'] as const) {
    const channel = hubChannel({ isOutbound: true, pushMsat: 0n });
    const { inputs, psbt } = fundingInput(channel.signer.keys, channel.model.funding);
    const id = `${toHex(channel.model.ref.peerId)}/1`;
    const record = channel.signer.state.read(channelRecords, id)!.value!;
    put(channel.signer, channelRecords, id, { ...record, [why]: true });
    expect(channel.tagOf(withdrawal(inputs, psbt))).toBe('policy-channel-frozen');
  }
});
