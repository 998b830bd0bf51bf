/**
 * Law 5 on transactions that create fundings: openings, dual funding, splices (attacks A51, A52, A63).
 */
import {
  msat,
  PSBT_IN,
  p2pkhScript,
  p2shOfScript,
  p2wpkhOfKey,
  sat,
  setPsbtInputField,
  setPsbtWitnessUtxo,
  type Transaction,
  toHex,
  txid,
  txidToHex,
} from '@countersign/bitcoin';
import { describe, expect, it } from 'vitest';
import { channelRecords } from '../src/records/channel.ts';
import { signedTransactionRecords } from '../src/records/spending.ts';
import { spliceOutId } from '../src/spending/approvals.ts';
import { type Funding, input, type ModelOptions, psbtOf, walletOutPoint } from './channel-model.ts';
import { KINDS, OpenChannel } from './open-channel.ts';
import { allow, approveOutputs, hub, hubChannel, output, own, pendingOf, put } from './spending-model.ts';
import { bytesOf, ringOf, TestSigner } from './test-signer.ts';
import { fundingInput, STRANGER, spentBy, walletUtxo, withdrawal } from './wallet-model.ts';

const countersigned = 'policy-onchain-initial-commitment-countersigned';
const unknown = 'policy-onchain-no-unknown-outputs';
const outbound: ModelOptions = { isOutbound: true, pushMsat: 0n };

function fund(channel: OpenChannel, funding: Funding = channel.model.funding) {
  const { inputs, psbt } = fundingInput(channel.signer.keys, funding);
  return withdrawal(inputs, psbt);
}

/** A funding of this channel created by another transaction, set up as the channel's. */
function fundedBy(channel: OpenChannel, tx: Transaction, vout = 1): Funding {
  const { funding } = channel.model;
  return { ...funding, tx, outpoint: { txid: txid(tx), vout } };
}

function openedOn(channel: OpenChannel, funding: Funding): OpenChannel {
  channel.ask(channel.model.setup(funding));
  channel.ask(channel.model.validate(0, channel.balances, funding));
  channel.ask(channel.model.signRemote(0, channel.balances, funding));
  return channel;
}

describe('policy-onchain-initial-commitment-countersigned', () => {
  it('policy-onchain-initial-commitment-countersigned: trips on the funding before commitment 0 (A52)', () => {
    const channel = new OpenChannel(outbound, hub());
    // Not set up, it is any stranger's P2WSH.
    expect(channel.tagOf(fund(channel))).toBe(unknown);
    channel.ask(channel.model.setup());
    expect(channel.refused(fund(channel))).toMatchObject({ tag: countersigned, temporary: true });
    channel.ask(channel.model.signRemote(0));
    expect(channel.tagOf(fund(channel))).toBe(countersigned);
  });

  it('policy-onchain-initial-commitment-countersigned: passes once it is validated', () => {
    const channel = hubChannel(outbound);
    channel.ask(fund(channel));
    const alone = new OpenChannel(outbound, hub());
    alone.ask(alone.model.setup());
    alone.ask(alone.model.validate(0));
    alone.ask(fund(alone));
  });

  it('policy-onchain-initial-commitment-countersigned: trips on a splice before its commitments (A63)', () => {
    const channel = hubChannel(outbound);
    const splice = channel.model.spliceOf('splice');
    const wallet = fund(channel, splice);
    const tooEarly = { tag: countersigned, temporary: true };
    // CLN asks now already, before setup_channel.
    expect(channel.refused(channel.model.signSpliceAlone(splice))).toMatchObject(tooEarly);
    channel.ask(channel.model.signRemote(1));
    channel.ask(channel.model.setup(splice));
    expect(channel.tagOf(wallet)).toBe(countersigned);
    channel.ask(channel.model.validate(0, channel.balances, splice));
    channel.ask(channel.model.signSplice(splice));
    channel.ask(wallet);
  });

  it('signs the shared input before, where a signature of our wallet must follow that will be judged', () => {
    const channel = hubChannel(outbound);
    const splice = channel.model.spliceOf('splice');
    const wallet = fund(channel, splice);
    const before = channel.signer.state.snapshot();
    const early = channel.ask(channel.model.signSplice(splice));
    expect(channel.signer.state.snapshot()).toBe(before);
    // Not before a commitment of ours on the new funding: until then the early signature is worth nothing.
    channel.ask(channel.model.signRemote(1));
    channel.ask(channel.model.setup(splice));
    expect(channel.tagOf(wallet)).toBe(countersigned);
    channel.ask(channel.model.validate(0, channel.balances, splice));
    expect(channel.ask(channel.model.signSplice(splice))).toEqual(early);
    channel.ask(wallet);
  });

  it('is not fooled about whose the other input is, nor by one that is signed already', () => {
    const channel = hubChannel(outbound);
    const splice = channel.model.spliceOf('splice');
    const honest = channel.model.signSplice(splice);
    const tooEarly = { tag: countersigned, temporary: true };
    // Said to be ours, and no previous transaction proves it.
    const [own] = splice.spent;
    const claimed = setPsbtWitnessUtxo(channel.model.signSpliceAlone(splice).tx.psbt, 0, own!);
    expect(channel.refused({ ...honest, tx: { ...honest.tx, psbt: claimed } })).toMatchObject(tooEarly);
    // Signed under this txid: nothing of ours is missing any more.
    const id = txidToHex(txid(splice.tx));
    put(channel.signer, signedTransactionRecords, id, {
      inputs: [{ index: 0, valueSat: own!.value }],
      spends: [],
    });
    expect(channel.refused(honest)).toMatchObject(tooEarly);
  });
});

describe('policy-onchain-output-scriptpubkey, policy-onchain-output-match-commitment', () => {
  /** The funding transaction with another output in the place of the funding. */
  function replaced(change: (tx: Transaction) => Transaction['outputs'][number]) {
    const channel = new OpenChannel(outbound, hub());
    const { tx } = channel.model.funding;
    const funding = fundedBy(channel, { ...tx, outputs: [tx.outputs[0]!, change(tx)] });
    return { channel: openedOn(channel, funding), funding };
  }

  it('policy-onchain-output-scriptpubkey: trips on an attacker’s script (A51)', () => {
    const { channel, funding } = replaced((tx) => output(STRANGER, tx.outputs[1]!.value));
    expect(channel.tagOf(fund(channel, funding))).toBe('policy-onchain-output-scriptpubkey');
  });

  it('policy-onchain-output-match-commitment: trips on a value off by one (A51)', () => {
    for (const by of [1n, -1n]) {
      const { channel, funding } = replaced((tx) => {
        const { script, value } = tx.outputs[1]!;
        return output(script, value + by);
      });
      expect(channel.refused(fund(channel, funding))).toMatchObject({
        tag: 'policy-onchain-output-match-commitment',
        facts: { value_sat: 1_000_000n + by, value_set_up_sat: 1_000_000n },
      });
    }
  });

  it.each(KINDS.filter(([, { isOutbound }]) => isOutbound))(
    "policy-onchain-output-scriptpubkey: passes the channel's 2-of-2, %s",
    (_, options) => {
      const channel = hubChannel({ ...options, pushMsat: 0n });
      channel.ask(fund(channel));
    },
  );

  it('policy-onchain-output-match-commitment: passes the value it was set up with', () => {
    const channel = hubChannel({ ...outbound, valueSat: 777_777n });
    channel.ask(fund(channel));
  });
});

describe('policy-onchain-funding-non-malleable', () => {
  const tag = 'policy-onchain-funding-non-malleable';

  /** Beside our own input, one of another that spends this. */
  function beside(spentScript: Uint8Array, redeemScript?: Uint8Array, isProven = true) {
    const channel = new OpenChannel(outbound, hub());
    const { tx, spent } = channel.model.funding;
    const wallet = walletOutPoint('joint', spent[0]!);
    const theirs = { value: sat(1000n), script: spentScript };
    const other = isProven ? walletOutPoint('other', theirs) : { txid: bytesOf('other'), vout: 0 };
    const joint = { ...tx, inputs: [wallet, other].map((one) => input(one)) };
    const funding = fundedBy(channel, joint);
    openedOn(channel, funding);
    let psbt = psbtOf(joint, [spent[0], theirs]);
    if (redeemScript !== undefined) psbt = setPsbtInputField(psbt, 1, PSBT_IN.REDEEM_SCRIPT, redeemScript);
    const { inputs } = fundingInput(channel.signer.keys, funding);
    return { channel, request: withdrawal(inputs, psbt) };
  }
  const program = p2wpkhOfKey(new TestSigner().keys.walletPublicKey(1)!);

  it('policy-onchain-funding-non-malleable: trips on an input that is not proven to be segwit, theirs too', () => {
    const legacy = p2pkhScript(new Uint8Array(20));
    for (const { channel, request } of [
      beside(legacy),
      beside(p2shOfScript(program)),
      beside(p2shOfScript(program), legacy),
      beside(p2shOfScript(legacy), legacy),
      beside(p2shOfScript(program), STRANGER),
      // Only said to be one: the peer could change the txid of what we sign.
      beside(program, undefined, false),
    ])
      expect(channel.refused(request)).toMatchObject({ tag, facts: { input: 1 } });
    const channel = new OpenChannel(outbound, hub());
    const { tx, spent } = channel.model.funding;
    const wallet = walletOutPoint('joint', spent[0]!);
    const joint = { ...tx, inputs: [wallet, { txid: bytesOf('other'), vout: 0 }].map((one) => input(one)) };
    const funding = fundedBy(channel, joint);
    openedOn(channel, funding);
    const { inputs } = fundingInput(channel.signer.keys, funding);
    expect(channel.tagOf(withdrawal(inputs, psbtOf(joint, [spent[0]])))).toBe(tag);
  });

  it('policy-onchain-funding-non-malleable: passes witness programs, bare and wrapped', () => {
    for (const { channel, request } of [beside(program), beside(p2shOfScript(program), program)])
      channel.ask(request);
  });
});

describe('policy-onchain-no-channel-push', () => {
  const tag = 'policy-onchain-no-channel-push';
  const pushing: ModelOptions = { isOutbound: true, pushMsat: 300_000_000n };

  it('policy-onchain-no-channel-push: trips on what a channel of ours gives away, and asks for it', () => {
    const channel = hubChannel(pushing);
    const request = fund(channel);
    expect(channel.refused(request)).toMatchObject({ tag, facts: { pushed_sat: 300_000n } });
    const { outpoint, tx } = channel.model.funding;
    expect(pendingOf(channel.signer, request)).toMatchObject({
      id: txidToHex(outpoint.txid),
      kind: 'onchain',
      outputs: [{ script: tx.outputs[1]!.script, valueSat: 300_000n }],
    });
  });

  it('policy-onchain-no-channel-push: passes an approval of exactly it, and no push', () => {
    const channel = hubChannel(pushing);
    const { outpoint, tx } = channel.model.funding;
    const { script } = tx.outputs[1]!;
    approveOutputs(channel.signer, txidToHex(outpoint.txid), [{ script, valueSat: 299_999n }]);
    expect(channel.tagOf(fund(channel))).toBe(tag);
    approveOutputs(channel.signer, txidToHex(outpoint.txid), [{ script, valueSat: 300_000n }]);
    channel.ask(fund(channel));
    const none = hubChannel(outbound);
    none.ask(fund(none));
  });

  it('policy-onchain-no-channel-push: passes under auto = "all", and where it only warns or is off', () => {
    const all = hubChannel(pushing, {
      approvals: { auto: 'all', autoPaymentVelocity: null, expirySeconds: 60 },
    });
    all.ask(fund(all));
    const warned = hubChannel(pushing, { severities: new Map([[tag, 'warn']]) });
    const request = fund(warned);
    expect(warned.signer.decide(request, warned.signer.clientFor(request, null))).toMatchObject({
      kind: 'approved',
      warnings: [{ tag }],
    });
  });
});

describe('policy-onchain-no-fund-inbound', () => {
  const tag = 'policy-onchain-no-fund-inbound';
  /** The peer opens; our wallet pays all the same. */
  const inbound = (pushMsat: bigint) => hubChannel({ isOutbound: false, pushMsat });

  it('policy-onchain-no-fund-inbound: trips when the first commitment gives us nothing', () => {
    const channel = inbound(0n);
    expect(channel.tagOf(fund(channel))).toBe(tag);
  });

  it('policy-onchain-no-fund-inbound: passes when it credits us, and what is left to the peer is approved', () => {
    const channel = inbound(1_000_000_000n - 20_000_000n);
    const request = fund(channel);
    expect(channel.tagOf(request)).toBe('policy-onchain-no-channel-push');
    const { id, outputs } = pendingOf(channel.signer, request);
    expect(outputs).toMatchObject([{ valueSat: 20_000n }]);
    approveOutputs(channel.signer, id, outputs);
    channel.ask(request);
  });
});

describe('dual funding', () => {
  /** Both pay 500,000 sat; our change is short by `shortSat` beyond our fee. */
  function dual(shortSat: bigint, isOutbound: boolean) {
    const signer = hub();
    const channel = new OpenChannel({ isOutbound, pushMsat: 500_000_000n }, signer);
    const theirs = walletUtxo(new TestSigner(ringOf('another node')).keys, 1, 'p2wpkh', 600_000n);
    const mine = walletUtxo(signer.keys, 3, 'p2wpkh', 600_000n);
    const tx: Transaction = {
      version: 2,
      inputs: [theirs, mine].map(({ outpoint }) => input(outpoint)),
      outputs: [
        own(signer, 9, 99_000n - shortSat),
        channel.model.fundingOutput(),
        output(STRANGER, 99_000n + shortSat),
      ],
      locktime: 110,
    };
    const funding = fundedBy(channel, tx);
    openedOn(channel, funding);
    return { channel, request: withdrawal([mine], psbtOf(tx, [theirs, mine].map(spentBy))) };
  }

  it.each([true, false])(
    'policy-onchain-fee-range: passes what each side puts in, outbound %s',
    (isOutbound) => {
      const { channel, request } = dual(0n, isOutbound);
      const before = channel.ask(request);
      expect(channel.ask(request)).toEqual(before);
    },
  );

  it('policy-onchain-no-unknown-outputs: trips when our change is short by more than the fee, until that is approved', () => {
    // The whole fee is 2,000 sat, and a satoshi of rounding.
    const { channel: paysAll, request: all } = dual(1001n, true);
    paysAll.ask(all);
    const { channel, request } = dual(1002n, true);
    expect(channel.tagOf(request)).toBe(unknown);
    const pending = pendingOf(channel.signer, request);
    const shared = request.psbt.unsignedTx.outputs[1]!.script;
    expect(pending).toMatchObject({ kind: 'onchain', outputs: [{}, { script: shared, valueSat: 1n }] });
    approveOutputs(channel.signer, pending.id, pending.outputs);
    channel.ask(request);
  });

  it('policy-onchain-no-channel-push: trips on a push to a peer that puts in less, a foreign input or not', () => {
    const signer = hub();
    const channel = new OpenChannel({ isOutbound: true, pushMsat: 200_000_000n }, signer);
    const theirs = walletUtxo(new TestSigner(ringOf('another node')).keys, 1, 'p2wpkh', 600n);
    const mine = walletUtxo(signer.keys, 3, 'p2wpkh', 1_001_000n);
    const inputs = [theirs, mine].map(({ outpoint }) => input(outpoint));
    const tx = { version: 2, inputs, outputs: [channel.model.fundingOutput()], locktime: 110 };
    const funding = fundedBy(channel, tx, 0);
    openedOn(channel, funding);
    const request = withdrawal([mine], psbtOf(tx, [theirs, mine].map(spentBy)));
    expect(channel.tagOf(request)).toBe('policy-onchain-no-channel-push');
    const { id, outputs } = pendingOf(signer, request);
    approveOutputs(signer, id, outputs);
    channel.ask(request);
  });
});

describe('policy-velocity-funding', () => {
  const tag = 'policy-velocity-funding';
  const set = { limits: { fundingVelocity: { amountSat: 1_500_000n, per: 'week' } as const } };

  it('policy-velocity-funding: trips on the channel that exceeds the window', () => {
    const signer = hub(set);
    const [first, second] = [1n, 2n].map((dbid) =>
      new OpenChannel({ ...outbound, dbid, peer: `peer ${dbid}` }, signer).open(),
    ) as [OpenChannel, OpenChannel];
    first.ask(fund(first));
    expect(second.refused(fund(second))).toMatchObject({ tag, temporary: true });
  });

  it('policy-velocity-funding: passes at the limit, once for all signatures, and none without a limit', () => {
    const signer = hub(set);
    const channel = new OpenChannel({ ...outbound, valueSat: 1_500_000n }, signer).open();
    const request = fund(channel);
    channel.ask(request);
    channel.ask(request);
    // A splice that adds nothing more than was counted for nothing.
    const warned = hub({ ...set, severities: new Map([[tag, 'warn']]) });
    const big = new OpenChannel({ ...outbound, valueSat: 2_000_000n }, warned).open();
    big.ask(fund(big));
  });
});

/** Past its opening: another funding is a splice. */
function spliceable(options: ModelOptions): OpenChannel {
  const channel = hubChannel(options);
  return channel.update(channel.balances);
}

describe('a splice', () => {
  /** A splice whose transaction has these outputs beside the funding. */
  function splicing(addedSat: bigint, outputs: (signer: TestSigner) => Transaction['outputs'], opts = {}) {
    const channel = spliceable({ ...outbound, ...opts });
    const base = channel.model.spliceOf('splice', addedSat);
    const tx = { ...base.tx, outputs: [...outputs(channel.signer), base.tx.outputs[1]!] };
    const funding = { ...base, tx, outpoint: { txid: txid(tx), vout: tx.outputs.length - 1 } };
    channel.candidate(funding);
    return { channel, funding, tx };
  }

  it.each([true, false])('in and out passes, whichever signature comes first: %s', (isOutbound) => {
    for (const addedSat of [100_000n, -40_000n]) {
      const opts = { isOutbound, pushMsat: 300_000_000n };
      const { channel, funding } = splicing(addedSat, (signer) => [own(signer, 7, 50_000n)], opts);
      const wallet = fund(channel, funding);
      const requests =
        addedSat > 0n
          ? [channel.model.signSplice(funding), wallet]
          : [wallet, channel.model.signSplice(funding)];
      for (const request of [...requests, ...requests]) channel.ask(request);
    }
  });

  it('policy-onchain-no-unknown-outputs: trips on a splice-out to a stranger, whose approval binds script and amount', () => {
    const out = { script: STRANGER, valueSat: 50_000n };
    const { channel, funding } = splicing(-40_000n, () => [output(STRANGER, 50_000n)]);
    const request = channel.model.signSplice(funding);
    expect(channel.tagOf(request)).toBe(unknown);
    const pending = pendingOf(channel.signer, request, channel);
    expect(pending).toMatchObject({
      kind: 'splice-out',
      id: spliceOutId({ script: STRANGER, valueSat: sat(50_000n) }),
      outputs: [out],
    });
    expect(pending.id).toMatch(/^out:[0-9a-f]{16}$/);
    approveOutputs(channel.signer, pending.id, [out]);
    channel.ask(request);
    channel.ask(fund(channel, funding));
  });

  it('policy-onchain-no-unknown-outputs: trips on the second use of an approved splice-out', () => {
    const out = { script: STRANGER, valueSat: sat(25_000n) };
    const channel = spliceable(outbound);
    const { signer, model } = channel;
    const splicingOut = (label: string, count: number, from?: Funding) => {
      const base = model.spliceOf(label, -40_000n, from);
      const paid = output(STRANGER, 25_000n);
      const outs = [paid, count === 2 ? paid : own(signer, 7, 25_000n)];
      const tx = { ...base.tx, outputs: [...outs, base.tx.outputs[1]!] };
      return channel.candidate({ ...base, tx, outpoint: { txid: txid(tx), vout: 2 } });
    };
    approveOutputs(signer, spliceOutId(out), [out]);
    // Twice in one transaction.
    expect(channel.tagOf(model.signSplice(splicingOut('two', 2)))).toBe(unknown);
    const first = splicingOut('first', 1);
    channel.ask(model.signSplice(first));
    // Negotiated anew, it spends the same funding: one of the two can confirm.
    channel.ask(model.signSplice(splicingOut('again', 1)));
    const onTop = splicingOut('on top', 1, first);
    expect(channel.tagOf(model.signSplice(onTop, first))).toBe(unknown);
    signer.nowSeconds += 1;
    approveOutputs(signer, spliceOutId(out), [out]);
    channel.ask(model.signSplice(onTop, first));
  });

  it('policy-onchain-no-unknown-outputs: asks for the output of ours, not for those of the peer', () => {
    const { channel, funding } = splicing(-40_000n, () => [
      output(STRANGER, 10_000n),
      output(p2wpkhOfKey(new TestSigner().keys.bip32PublicKey(5000)!), 60_000n),
    ]);
    const { outputs } = pendingOf(channel.signer, channel.model.signSplice(funding), channel);
    expect(outputs).toMatchObject([{ valueSat: 60_000n }]);
  });

  it('policy-onchain-no-unknown-outputs: passes a splice-out to ourselves or to the allowlist', () => {
    const { channel, funding } = splicing(-40_000n, () => [output(STRANGER, 50_000n)]);
    allow(channel.signer, 'address', 'nonsense');
    expect(channel.tagOf(channel.model.signSplice(funding))).toBe(unknown);
    allow(channel.signer, 'script', toHex(STRANGER));
    channel.ask(channel.model.signSplice(funding));
  });

  it('policy-commitment-initial-funding-value: trips when our balance shrinks with the splice beyond the fee (A63)', () => {
    const channel = spliceable(outbound);
    const splice = channel.candidate(channel.model.spliceOf('splice', 100_000n));
    // Law 2 can't know the terms of a splice: its first commitments are measured by the transaction.
    const id = `${toHex(channel.model.ref.peerId)}/1`;
    const record = channel.signer.state.read(channelRecords, id)!.value!;
    const shrunk = (shortSat: bigint) => ({
      ...record,
      candidates: record.candidates.map((one) => ({
        ...one,
        validated: one.validated.map((c) => ({
          ...c,
          ledger: c.ledger && {
            ...c.ledger,
            holderMsat: msat(c.ledger.holderMsat - (one.isSplice ? shortSat * 1000n : 0n)),
          },
        })),
      })),
    });
    put(channel.signer, channelRecords, id, shrunk(3n));
    expect(channel.refused(fund(channel, splice))).toMatchObject({
      tag: 'policy-commitment-initial-funding-value',
      facts: { fee_sat: 1000n, excess_sat: 1n },
    });
    put(channel.signer, channelRecords, id, shrunk(2n));
    channel.ask(fund(channel, splice));
  });
});

describe('policy-onchain-shared-allowlist', () => {
  const tag = 'policy-onchain-shared-allowlist';

  /** A splice-out to an allowlisted destination, with a peer that may be of our team. */
  function splicedOut(isTeam: boolean) {
    const channel = spliceable(outbound);
    const override = { limits: {}, severities: new Map(), zeroConf: false, sharedAllowlist: isTeam };
    channel.signer.set = { peers: new Map([[toHex(channel.model.ref.peerId), override]]) };
    const base = channel.model.spliceOf('splice', -40_000n);
    const tx = { ...base.tx, outputs: [output(STRANGER, 50_000n), base.tx.outputs[1]!] };
    const funding = channel.candidate({ ...base, tx, outpoint: { txid: txid(tx), vout: 1 } });
    allow(channel.signer, 'script', toHex(STRANGER));
    return { channel, request: channel.model.signSplice(funding) };
  }

  it('policy-onchain-shared-allowlist: trips on an allowlisted output in a transaction with a team peer', () => {
    const { channel, request } = splicedOut(true);
    expect(channel.refused(request)).toMatchObject({ tag, facts: { output: 0 } });
  });

  it('policy-onchain-shared-allowlist: passes it with any other peer', () => {
    const { channel, request } = splicedOut(false);
    channel.ask(request);
  });
});
