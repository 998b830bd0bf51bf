/**
 * An open channel: our commitment that the laws allow, what follows it, and that nothing of it is signed before the record
 * says that the channel ends (law 1). `forceClose` is the signer's own `sign_commitment_tx`.
 */
import {
  fundingScript,
  outPointToString,
  p2wpkhOfKey,
  p2wshOfScript,
  sat,
  toHex,
  txid,
} from '@countersign/bitcoin';
import { describe, expect, it } from 'vitest';
import { signRemedy } from '../src/keys/sign-remedy.ts';
import { closingRecords, outputRecords } from '../src/records/chain.ts';
import { channelRecords } from '../src/records/channel.ts';
import { forceClose } from '../src/remedies/force-close.ts';
import { remediesOf } from '../src/remedies/plan.ts';
import { type Balances, htlc, type ModelOptions } from './channel-model.ts';
import { CLOSED_AT } from './closing-model.ts';
import { adding, FORMATS, KINDS, OpenChannel, removing } from './open-channel.ts';
import { FEERATES, RemedyModel } from './remedy-model.ts';
import { scriptFault } from './script-interpreter.ts';
import { ringOf, TestSigner } from './test-signer.ts';

const A = htlc('holder', 50_000, 'a', CLOSED_AT + 10);
const B = htlc('counterparty', 30_000, 'b', CLOSED_AT + 40);
const C = htlc('counterparty', 30_000, 'c', CLOSED_AT + 40);

function living(options: ModelOptions = {}, signer?: TestSigner) {
  const channel = new OpenChannel(options, signer).open();
  channel.update(adding(channel.balances, A, B, C));
  return channel;
}

/** Force-closes and makes it durable. */
function close(remedies: RemedyModel) {
  const { place } = remedies;
  const outcome = forceClose(
    { place, chain: null, heightBlocks: CLOSED_AT, feerates: FEERATES },
    remedies.id,
  );
  if (outcome.ok) remedies.state.apply(outcome.changes);
  return outcome;
}

function refused(remedies: RemedyModel): string {
  const before = remedies.state.snapshot();
  const outcome = close(remedies);
  expect(remedies.state.snapshot()).toBe(before);
  return outcome.ok ? 'closed' : outcome.refusal.tag;
}

describe.each(KINDS)('%s', (_, options) => {
  it('before the close nothing of the plan can be signed; after it all of it is valid', () => {
    const channel = living(options);
    const remedies = new RemedyModel(channel).learn(B);
    const before = remedies.state.snapshot();
    const plan = remedies.plan();
    expect(plan.remedies[0]!.kind).toBe('commitment');
    for (const remedy of plan.remedies)
      expect(() => remedies.sign(remedy)).toThrow(/only when the record says/);
    expect(remedies.state.snapshot()).toBe(before);

    const outcome = close(remedies);
    expect(outcome).toMatchObject({ ok: true, warnings: [] });
    expect(remedies.record.holderSigned).toBe(1);
    const after = remedies.know(channel.model.funding.tx, null).judged();
    expect(outcome.ok && outcome.plan.remedies.map(({ transaction }) => toHex(txid(transaction)))).toEqual(
      after.remedies.map(({ transaction }) => toHex(txid(transaction))),
    );
    const [commitment, ...rest] = after.remedies;
    expect(toHex(txid(commitment!.transaction))).toBe(
      toHex(txid(channel.model.build('holder', 1, channel.balances).tx)),
    );
    const fault = scriptFault(signRemedy(channel.signer.ring, commitment!), 0, channel.model.fundingOutput());
    expect(fault).toBeNull();
    expect(commitment).toMatchObject({
      after: null,
      bump: options.format === 'static_remotekey' ? 'none' : 'anchor',
      isReleased: true,
      isFinal: false,
    });
    expect(rest.every(({ after: parent }) => parent !== null)).toBe(true);
    // From here the channel only ends.
    expect(channel.model.build('holder', 1, channel.balances).htlcTransactions).toHaveLength(3);
    channel.signer.state = remedies.state;
    expect(channel.tagOf(channel.model.revoke(1))).toBe('policy-revoke-not-closed');
    channel.ask(channel.model.signCommitment(1, channel.balances));
  });

  it('carried out to the end, every satoshi is accounted for', () => {
    const channel = living(options);
    const remedies = new RemedyModel(channel).learn(B, C);
    expect(close(remedies).ok).toBe(true);
    const [commitment] = remedies.plan().remedies;
    remedies.close('holder', 1, remedies.sign(commitment!));
    const { savedSat, feesSat, left } = remedies.carryOut();
    const { tx } = channel.model.build('holder', 1, channel.balances);
    const outSat = tx.outputs.reduce((sum, { value }) => sum + value, 0n);
    const theirsSat = remedies
      .outputsOf('holder', 1, tx)
      .filter(({ role }) => role === 'main-counterparty' || role.startsWith('anchor'))
      .reduce((sum, { vout }) => sum + tx.outputs[vout]!.value, 0n);
    expect(savedSat + feesSat + theirsSat + commitment!.feeSat).toBe(1_000_000n);
    expect(outSat + commitment!.feeSat).toBe(1_000_000n);
    expect(left.remedies).toEqual([]);
  });

  it('a force close by the node is followed by the same plan', () => {
    const channel = living(options);
    channel.ask(channel.model.signCommitment(1, channel.balances));
    const plan = new RemedyModel(channel).know(channel.model.funding.tx, null).judged();
    expect(plan.remedies[0]).toMatchObject({ kind: 'commitment', isReleased: true });
  });

  it('after a mutual close was signed our commitment may still go', () => {
    const channel = new OpenChannel(options).open();
    channel.ask(channel.model.mutualClose(channel.model.closeTx(channel.balances)));
    const remedies = new RemedyModel(channel);
    expect(close(remedies).ok).toBe(true);
    expect(remedies.know(channel.model.funding.tx, null).judged().remedies).not.toHaveLength(0);
  });
});

describe('which commitment', () => {
  it('the newest that the laws allow: the next, validated and its predecessor not revoked', () => {
    const channel = living();
    const next = { ...channel.balances, feeratePerKw: 1500 };
    channel.validate(next);
    const remedies = new RemedyModel(channel);
    // Not judged yet, so a plan alone stays with the current one.
    expect(remedies.plan().remedies[0]!.transaction).toEqual(
      channel.model.build('holder', 1, channel.balances).tx,
    );
    expect(close(remedies).ok).toBe(true);
    expect(remedies.record.holderSigned).toBe(2);
    expect(remedies.plan().remedies[0]!.transaction).toEqual(channel.model.build('holder', 2, next).tx);
  });

  it('its unrevoked predecessor where the laws refuse it (law 2)', () => {
    const signer = new TestSigner();
    const channel = living({}, signer);
    // An HTLC that nothing covers and nobody approved.
    const next = adding(channel.balances, htlc('holder', 20_000, 'theft', CLOSED_AT + 50));
    signer.preset = 'hub';
    channel.validate(next);
    expect(channel.tagOf(channel.model.signCommitment(2, next))).toBe(
      'policy-commitment-htlc-offered-hash-matches',
    );
    const remedies = new RemedyModel(channel);
    expect(close(remedies).ok).toBe(true);
    expect(remedies.record.holderSigned).toBe(1);
    expect(remedies.plan().remedies[0]!.transaction).toEqual(
      channel.model.build('holder', 1, channel.balances).tx,
    );
  });

  it('none of a frozen or stopped channel', () => {
    for (const change of [{ frozen: true }, { stopped: true }]) {
      const remedies = new RemedyModel(living());
      remedies.put(channelRecords, remedies.id, { ...remedies.record, ...change });
      expect(refused(remedies)).toBe('policy-channel-frozen');
      expect(remedies.plan()).toMatchObject({
        remedies: [],
        unclaimed: [{ role: 'funding', valueSat: 1_000_000n, reason: 'frozen' }],
      });
    }
  });

  it('none where none was validated', () => {
    const channel = new OpenChannel();
    channel.ask(channel.model.setup());
    const remedies = new RemedyModel(channel);
    expect(refused(remedies)).toBe('policy-commitment-holder-not-revoked');
    expect(remedies.plan()).toMatchObject({ remedies: [], unclaimed: [] });
  });

  it('none that the record can’t rebuild', () => {
    const channel = new OpenChannel().open();
    const remedies = new RemedyModel(channel);
    const [candidate] = remedies.record.candidates;
    const [content] = candidate!.validated;
    const odd = { ...content!, toHolderSat: sat(content!.toHolderSat! - 1n) };
    const candidates = [{ ...candidate!, validated: [odd] }];
    remedies.put(channelRecords, remedies.id, { ...remedies.record, candidates });
    expect(refused(remedies)).toBe('policy-commitment-holder-not-revoked');
    expect(remedies.plan().unclaimed).toMatchObject([{ reason: 'no-commitment' }]);
  });

  it('of a channel that does not exist: a refusal, and an empty plan', () => {
    const remedies = new RemedyModel(living());
    const { place } = remedies;
    const outcome = forceClose({ place, chain: null, heightBlocks: 1, feerates: FEERATES }, '02/1');
    expect(outcome).toMatchObject({ ok: false, refusal: { request: 'force-close', channel: '02/1' } });
    const { draft, keys, secp, policy } = place;
    const plan = remediesOf({ draft, keys, secp, policy, heightBlocks: 1, feerates: FEERATES }, '02/1');
    expect(plan).toEqual({ channel: '02/1', remedies: [], unclaimed: [] });
  });

  it('nothing changes for a channel that the chain has closed', () => {
    const channel = living();
    const { tx } = channel.model.build('counterparty', 1, channel.balances);
    const remedies = new RemedyModel(channel).close('counterparty', 1, tx);
    const outcome = close(remedies);
    expect(outcome).toMatchObject({ ok: true, changes: [], events: [] });
    expect(outcome.ok && outcome.plan.remedies.map(({ kind }) => kind)).toContain('to-remote');
    expect(remedies.record.holderSigned).toBeNull();
  });
});

describe('fundings', () => {
  const created = (channel: OpenChannel, funding = channel.model.funding) => {
    const { value, script } = channel.model.fundingOutput(funding);
    return {
      channel: '',
      role: 'funding' as const,
      htlc: null,
      spent: null,
      created: { heightBlocks: 1, valueSat: value, script },
    };
  };

  it('of several the one that the chain has', () => {
    const channel = new OpenChannel().open();
    const splice = channel.candidate(channel.model.spliceOf('splice'));
    const remedies = new RemedyModel(channel);
    const fundingOf = () => toHex(remedies.plan().remedies[0]!.transaction.inputs[0]!.txid);
    expect(fundingOf()).toBe(toHex(channel.model.funding.outpoint.txid));
    remedies.put(outputRecords, outPointToString(splice.outpoint), created(channel, splice));
    expect(fundingOf()).toBe(toHex(splice.outpoint.txid));
    const spent = { heightBlocks: 2, txid: new Uint8Array(32), inputIndex: 0, preimage: null };
    const original = created(channel);
    remedies.put(outputRecords, outPointToString(channel.model.funding.outpoint), original);
    remedies.put(outputRecords, outPointToString(splice.outpoint), { ...created(channel, splice), spent });
    expect(fundingOf()).toBe(toHex(channel.model.funding.outpoint.txid));
  });

  it('the locked one before another', () => {
    const channel = new OpenChannel().open();
    const splice = channel.candidate(channel.model.spliceOf('splice'));
    channel.lock(splice);
    const plan = new RemedyModel(channel).plan();
    expect(toHex(plan.remedies[0]!.transaction.inputs[0]!.txid)).toBe(toHex(splice.outpoint.txid));
  });

  it('one that the chain shows with another script or value is not the channel’s', () => {
    const channel = new OpenChannel().open();
    const id = outPointToString(channel.model.funding.outpoint);
    const good = created(channel);
    const other = p2wshOfScript(fundingScript(channel.model.funding.peerKey, channel.model.funding.peerKey));
    for (const change of [{ valueSat: sat(1000) }, { script: other }]) {
      const remedies = new RemedyModel(channel);
      remedies.put(outputRecords, id, { ...good, created: { ...good.created, ...change } });
      expect(remedies.plan()).toMatchObject({ remedies: [], unclaimed: [{ reason: 'script-differs' }] });
    }
  });
});

describe('leases', () => {
  it.each([
    ['ours', false],
    ['the peer’s', true],
  ] as const)('%s: our commitment is rebuilt and swept when the lease ends', (_, isOutbound) => {
    const channel = new OpenChannel({ isOutbound });
    channel.ask(channel.model.setup());
    if (!isOutbound) {
      const remedies = new RemedyModel(channel);
      remedies.put(channelRecords, remedies.id, { ...remedies.record, leaseSigned: true });
      channel.signer.state = remedies.state;
    }
    channel.ask(channel.model.validate(0, channel.balances, channel.model.funding, { leaseCsvBlocks: 3000 }));
    channel.ask(
      channel.model.signRemote(0, channel.balances, channel.model.funding, { leaseCsvBlocks: 3000 }),
    );
    const remedies = new RemedyModel(channel);
    expect(close(remedies).ok).toBe(true);
    const plan = remedies.know(channel.model.funding.tx, null).judged();
    const sweep = plan.remedies.find(({ kind }) => kind === 'delayed')!;
    expect(sweep.transaction.inputs[0]!.sequence).toBe(isOutbound ? 144 : 3000);
    // Our main output of the peer's commitment is locked alike.
    const { tx } = channel.model.build('counterparty', 0, channel.balances, channel.model.funding, {
      leaseCsvBlocks: 3000,
    });
    const theirs = new RemedyModel(channel).close('counterparty', 0, tx).judged(CLOSED_AT);
    const [main] = theirs.remedies;
    expect(main!.earliestHeightBlocks).toBe(isOutbound ? CLOSED_AT : CLOSED_AT + 2999);
  });

  it('of a revoked commitment our own leased output waits, the rest is taken at once', () => {
    const channel = new OpenChannel({ isOutbound: false }).open();
    channel.update({ ...channel.balances, feeratePerKw: 1100 });
    const { tx } = channel.model.build('counterparty', 0, channel.model.initial, channel.model.funding, {
      leaseCsvBlocks: 3000,
    });
    const remedies = new RemedyModel(channel);
    remedies.put(channelRecords, remedies.id, { ...remedies.record, leaseSigned: true });
    const plan = remedies.close('counterparty-revoked', 0, tx).judged();
    expect(plan.remedies.map(({ kind, isFallback }) => [kind, isFallback])).toEqual([
      ['justice', false],
      ['to-remote', false],
    ]);
    expect(plan.remedies[1]!.earliestHeightBlocks).toBe(CLOSED_AT + 2999);
  });
});

describe('destinations', () => {
  const destinationOf = (channel: OpenChannel) => {
    const { tx } = channel.model.build('counterparty', 0, channel.balances);
    return toHex(
      new RemedyModel(channel).close('counterparty', 0, tx).judged().remedies[0]!.transaction.outputs[0]!
        .script,
    );
  };
  const shutdownTo = (channel: OpenChannel, script: Uint8Array, index: number | null) => {
    const remedies = new RemedyModel(channel);
    const setup = {
      ...remedies.record.setup,
      holderShutdownScript: script,
      holderShutdownWalletIndex: index,
    };
    remedies.put(channelRecords, remedies.id, { ...remedies.record, setup });
    channel.signer.state = remedies.state;
  };

  it('the wallet’s first, as the wallet’s kind is', () => {
    const plain = new OpenChannel().open();
    expect(destinationOf(plain)).toBe(toHex(p2wpkhOfKey(plain.signer.keys.bip32PublicKey(1)!)));
    const mnemonic = new TestSigner(ringOf('words', 'mnemonic'));
    const taproot = new OpenChannel({}, mnemonic).open();
    expect(destinationOf(taproot)).toMatch(/^5120/);
    expect(mnemonic.keys.walletIndexOf(Buffer.from(destinationOf(taproot), 'hex'), 5)).toBe(1);
  });

  it('the channel’s own shutdown script where it is the wallet’s at the index on record, and no other', () => {
    const channel = new OpenChannel().open();
    const own = p2wpkhOfKey(channel.signer.keys.walletPublicKey(7)!);
    const first = toHex(p2wpkhOfKey(channel.signer.keys.walletPublicKey(1)!));
    shutdownTo(channel, own, 7);
    expect(destinationOf(channel)).toBe(toHex(own));
    shutdownTo(channel, own, 8);
    expect(destinationOf(channel)).toBe(first);
    shutdownTo(channel, own, null);
    expect(destinationOf(channel)).toBe(first);
  });
});

describe('what is left', () => {
  it.each(FORMATS)('%s: HTLCs whose fee is more than they bring', (format) => {
    const small = htlc('holder', 4_000, 'small', CLOSED_AT + 3);
    const channel = new OpenChannel({ format }).open();
    const balances: Balances = { ...adding(channel.balances, small), feeratePerKw: 253 };
    channel.update(balances);
    const { tx } = channel.model.build('counterparty', 1, balances);
    const remedies = new RemedyModel(channel).close('counterparty', 1, tx);
    channel.signer.set = { limits: { onchainFeerateMinPerKw: 9_000 } };
    const plan = remedies.judged();
    expect(plan.remedies.map(({ kind }) => kind)).toEqual(['to-remote']);
    expect(plan.unclaimed).toContainEqual(expect.objectContaining({ role: 'htlc', reason: 'below-fee' }));
  });

  it('of a breach, what costs more than it brings goes alone, or stays', () => {
    const channel = new OpenChannel({ format: 'static_remotekey' }).open();
    const small = htlc('counterparty', 4_000, 'small', CLOSED_AT + 3);
    const balances = adding(channel.balances, small);
    channel.update(balances).update(removing(balances, small, 'failed'));
    const { tx } = channel.model.build('counterparty', 1, balances);
    const remedies = new RemedyModel(channel);
    remedies.close('counterparty-revoked', 1, tx);
    remedies.feerates = { normalPerKw: 20_000, urgentPerKw: 20_000 };
    const alone = remedies
      .judged()
      .remedies.filter(({ inputs }) => inputs.length === 1 && inputs[0]!.spent.value === 4_000n);
    expect(alone).toMatchObject([{ isFallback: false, valueSat: 294n }]);
    channel.signer.set = { limits: { onchainFeerateMinPerKw: 20_000 } };
    expect(remedies.judged().unclaimed).toMatchObject([{ valueSat: 4_000n, reason: 'below-fee' }]);
    channel.signer.set = { limits: { onchainFeeMaxSat: 1n } };
    expect(remedies.judged()).toMatchObject({ remedies: [] });
  });

  it('HTLCs of our commitment without the peer’s signature on record, or of another commitment', () => {
    const channel = living();
    const { tx } = channel.model.build('holder', 1, channel.balances);
    const remedies = new RemedyModel(channel).close('holder', 1, tx);
    const { record } = remedies;
    const withContent = (change: object) => {
      const candidates = record.candidates.map((one) => ({
        ...one,
        validated: one.validated.map((content) => ({ ...content, ...change })),
      }));
      remedies.put(channelRecords, remedies.id, { ...record, candidates });
      return remedies.plan().unclaimed.filter(({ reason }) => reason === 'no-key-material').length;
    };
    expect(withContent({ htlcSignatures: [] })).toBe(3);
    expect(withContent({ txid: new Uint8Array(32) })).toBe(3);
    expect(withContent({})).toBe(0);
  });

  it('outputs whose record has another script than their role, on either side’s commitment', () => {
    const channel = living();
    for (const side of ['holder', 'counterparty'] as const) {
      const { tx } = channel.model.build(side, 1, channel.balances);
      const remedies = new RemedyModel(channel).learn(B, C).close(side, 1, tx);
      const { outputs, txid: id } = remedies.get(closingRecords, remedies.id)!;
      for (const vout of outputs) {
        const key = outPointToString({ txid: id, vout });
        const output = remedies.get(outputRecords, key)!;
        remedies.put(outputRecords, key, {
          ...output,
          created: { ...output.created!, script: p2wpkhOfKey(channel.model.counterparty.htlc) },
        });
      }
      const plan = remedies.plan();
      expect(plan.remedies).toEqual([]);
      expect(plan.unclaimed.filter(({ reason }) => reason === 'script-differs')).toHaveLength(4);
    }
  });

  it('outputs that the record has lost are not planned for', () => {
    const channel = living();
    const { tx } = channel.model.build('counterparty', 1, channel.balances);
    const remedies = new RemedyModel(channel).close('counterparty', 1, tx);
    for (const vout of remedies.get(closingRecords, remedies.id)!.outputs)
      remedies.put(outputRecords, outPointToString({ txid: txid(tx), vout }), null);
    expect(remedies.plan()).toMatchObject({ remedies: [], unclaimed: [] });
  });
});
