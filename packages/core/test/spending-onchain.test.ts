/**
 * Law 5 on wallet transactions: every output has a destination, what is left is a fee in range, and nothing is judged
 * in halves (attacks A53 to A56).
 */
import {
  addPsbtBip32Derivation,
  createPsbt,
  fromHex,
  PSBT_OUT,
  p2pkhScript,
  p2wpkhOfKey,
  sat,
  scriptToAddress,
  setPsbtWitnessUtxo,
  sha256,
  toHex,
} from '@countersign/bitcoin';
import type { KeyRing } from '@countersign/core';
import { base58check } from '@scure/base';
import { HDKey } from '@scure/bip32';
import { describe, expect, it } from 'vitest';
import { input } from './channel-model.ts';
import {
  allow,
  approveOutputs,
  coin,
  hub,
  hubChannel,
  output,
  own,
  pendingOf,
  spend,
} from './spending-model.ts';
import { bytesOf, regtest, ringOf, secp, TestSigner } from './test-signer.ts';
import { STRANGER, spentBy, walletScript, walletUtxo, withdrawal } from './wallet-model.ts';

const unknown = 'policy-onchain-no-unknown-outputs';
const tagOf = (signer: TestSigner, request: Parameters<TestSigner['refused']>[0]) =>
  signer.refused(request).tag;

describe('policy-onchain-no-unknown-outputs', () => {
  it('policy-onchain-no-unknown-outputs: trips on a withdrawal to a stranger, and asks the operator (A53)', () => {
    const signer = hub();
    const { request, txid } = spend([coin(signer)], [output(STRANGER, 50_000n), own(signer, 8, 949_000n)]);
    expect(signer.refused(request)).toMatchObject({
      tag: unknown,
      temporary: false,
      facts: { outputs_unknown: 1, value_sat: 50_000n, fee_sat: 1000n },
    });
    expect(pendingOf(signer, request)).toMatchObject({
      id: txid,
      kind: 'onchain',
      outputs: [{ script: STRANGER, valueSat: 50_000n }],
      feeSat: 1000n,
      timesAsked: 1,
    });
  });

  it.each(['p2wpkh', 'p2sh-p2wpkh', 'p2tr'] as const)(
    'policy-onchain-no-unknown-outputs: passes outputs of our own wallet, %s',
    (form) => {
      for (const signer of [
        hub(),
        Object.assign(new TestSigner(ringOf('m', 'mnemonic')), { preset: 'hub' as const }),
      ]) {
        const utxo = walletUtxo(signer.keys, 3, form);
        const { request } = spend([utxo], [output(walletScript(signer.keys, 900, form), 199_000n)]);
        signer.ask(request);
      }
    },
  );

  it('policy-onchain-no-unknown-outputs: passes exactly the outputs of an approval, until it expires (A54)', () => {
    const signer = hub();
    const outputs = [output(STRANGER, 50_000n), own(signer, 8, 949_000n)];
    const { request, txid } = spend([coin(signer)], outputs);
    approveOutputs(signer, txid, [{ script: STRANGER, valueSat: 49_999n }]);
    expect(tagOf(signer, request)).toBe(unknown);
    approveOutputs(signer, txid, [{ script: STRANGER, valueSat: 50_000n }], signer.nowSeconds);
    expect(tagOf(signer, request)).toBe(unknown);
    approveOutputs(signer, txid, [{ script: STRANGER, valueSat: 50_000n }], signer.nowSeconds + 1);
    const reply = signer.ask(request);
    // What was given is given again, whatever became of the approval.
    signer.nowSeconds += 10_000;
    expect(signer.ask(request)).toEqual(reply);
  });

  it('policy-onchain-no-unknown-outputs: trips on another transaction than the approved one (A54)', () => {
    const signer = hub();
    const first = spend([coin(signer)], [output(STRANGER, 50_000n), own(signer, 8, 949_000n)]);
    approveOutputs(signer, first.txid, [{ script: STRANGER, valueSat: 50_000n }]);
    const more = [output(STRANGER, 50_000n), output(STRANGER, 50_000n), own(signer, 8, 899_000n)];
    expect(tagOf(signer, spend([coin(signer)], more).request)).toBe(unknown);
    // One approved output covers one, not two.
    approveOutputs(signer, spend([coin(signer)], more).txid, [{ script: STRANGER, valueSat: 50_000n }]);
    expect(tagOf(signer, spend([coin(signer)], more).request)).toBe(unknown);
    const higherFee = spend([coin(signer)], [output(STRANGER, 50_000n), own(signer, 8, 948_000n)]);
    expect(tagOf(signer, higherFee.request)).toBe(unknown);
    signer.ask(first.request);
  });

  it('policy-onchain-no-unknown-outputs: passes everything under auto = "all", and records it', () => {
    const signer = hub({ approvals: { auto: 'all', autoPaymentVelocity: null, expirySeconds: 60 } });
    const { request } = spend([coin(signer)], [output(STRANGER, 999_000n)]);
    const decision = signer.decide(request, signer.clientFor(request, null));
    expect(decision).toMatchObject({ kind: 'approved', events: [{ event: 'onchain-approved' }] });
    signer.ask(request);
  });

  it('policy-onchain-no-unknown-outputs: passes allowlisted addresses, scripts and extended keys', () => {
    const signer = hub();
    const other = ringOf('another wallet');
    const xpub = extendedKeyOf(other);
    const at = (index: number, branch: number) => childKey(other, branch, index);
    const scripts = [STRANGER, p2wpkhOfKey(at(7, 0)), p2pkhScript(fromHex('11'.repeat(20)))];
    const { request } = spend(
      [coin(signer)],
      scripts.map((script) => output(script, 333_000n)),
    );
    expect(tagOf(signer, request)).toBe(unknown);
    const address = scriptToAddress(STRANGER, 'regtest')!;
    allow(signer, 'address', address.toUpperCase());
    expect(signer.refused(request).facts).toMatchObject({ outputs_unknown: 2 });
    signer.set = {
      allowlist: [
        { kind: 'address', text: address, addedAtSeconds: 0 },
        { kind: 'xpub', text: xpub, addedAtSeconds: 0 },
        { kind: 'payee', text: toHex(scripts[2]!), addedAtSeconds: 0 },
      ],
    };
    allow(signer, 'script');
    expect(signer.refused(request).facts).toMatchObject({ outputs_unknown: 1 });
    allow(signer, 'script', toHex(scripts[2]!));
    signer.ask(request);
    // Beyond the window, on a hardened branch, or of a text that is no key: nobody's.
    const beyond = spend([coin(signer, 1_000_000n, 4)], [output(p2wpkhOfKey(at(1001, 1)), 999_000n)]);
    expect(tagOf(signer, beyond.request)).toBe(unknown);
    signer.ask(spend([coin(signer, 1_000_000n, 4)], [output(p2wpkhOfKey(at(1000, 1)), 999_000n)]).request);
    allow(signer, 'script', 'zz');
    signer.set = { allowlist: [{ kind: 'xpub', text: 'xpub', addedAtSeconds: 0 }] };
    expect(tagOf(signer, beyond.request)).toBe(unknown);
  });

  it('policy-onchain-no-unknown-outputs: passes an output of nothing (OP_RETURN)', () => {
    const signer = hub();
    signer.ask(spend([coin(signer)], [output(fromHex('6a0142'), 0n), own(signer, 8, 999_000n)]).request);
  });
});

describe('with inputs of others', () => {
  const theirs = (signer: TestSigner, valueSat = 500_000n) => ({
    ...walletUtxo(new TestSigner(ringOf('another node')).keys, 1, 'p2wpkh', valueSat),
    keyindex: 0,
    signer,
  });

  it('policy-onchain-no-unknown-outputs: passes outputs of theirs while no more leaves us than the fee', () => {
    const signer = hub();
    const [mine, other] = [coin(signer), theirs(signer)];
    const { psbt } = spend([mine, other], [own(signer, 8, 999_000n), output(STRANGER, 500_000n)]);
    signer.ask(withdrawal([mine], psbt));
    // Paid for: they may even give us something.
    const gift = spend([mine, other], [own(signer, 9, 1_100_000n), output(STRANGER, 399_000n)]);
    signer.ask(withdrawal([mine], gift.psbt));
  });

  it('policy-onchain-no-unknown-outputs: trips when more leaves us than the fee, whatever the rate allows', () => {
    const signer = hub();
    const [mine, other] = [coin(signer), theirs(signer)];
    const { psbt } = spend([mine, other], [own(signer, 8, 990_000n), output(STRANGER, 509_000n)]);
    expect(signer.refused(withdrawal([mine], psbt))).toMatchObject({
      tag: unknown,
      facts: { fee_sat: 1000n },
    });
    // An input of theirs that nothing proves is worth nothing: the fee could be all of it.
    const claimed = setPsbtWitnessUtxo(
      setPsbtWitnessUtxo(createPsbt(psbt.unsignedTx), 0, spentBy(mine)),
      1,
      output(STRANGER, 5_000_000n),
    );
    expect(tagOf(signer, withdrawal([mine], claimed))).toBe('policy-onchain-input-amounts-proven');
    const taproot = walletUtxo(signer.keys, 3, 'p2tr', 1_000_000n);
    const two = spend([taproot, other], [own(signer, 8, 990_000n), output(STRANGER, 509_000n)]);
    const lied = setPsbtWitnessUtxo(
      setPsbtWitnessUtxo(createPsbt(two.tx), 0, spentBy(taproot)),
      1,
      output(STRANGER, 5_000_000n),
    );
    expect(tagOf(signer, withdrawal([taproot], lied))).toBe(unknown);
  });

  it('judges a transaction as a whole, though each request names one input of ours', () => {
    const signer = hub();
    const [a, b] = [
      walletUtxo(signer.keys, 3, 'p2tr', 600_000n),
      walletUtxo(signer.keys, 4, 'p2tr', 600_000n),
    ];
    const { psbt } = spend([a, b], [own(signer, 8, 599_000n), output(STRANGER, 600_000n)]);
    // Named or not, an input of our wallet is ours.
    expect(tagOf(signer, withdrawal([a], psbt))).toBe(unknown);
    // Declared another's, it counts once it was signed.
    const disguised = setPsbtWitnessUtxo(
      setPsbtWitnessUtxo(createPsbt(psbt.unsignedTx), 0, spentBy(a)),
      1,
      output(STRANGER, 600_000n),
    );
    const permissive = Object.assign(hub(), { preset: 'permissive' as const });
    permissive.set = { approvals: { auto: 'none', autoPaymentVelocity: null, expirySeconds: 1 } };
    expect(tagOf(permissive, withdrawal([a], disguised))).toBe(unknown);
  });
});

describe('policy-onchain-fee-range', () => {
  const tag = 'policy-onchain-fee-range';
  const paying = (signer: TestSigner, feeSat: bigint, valueSat = 1_000_000n) =>
    spend([coin(signer, valueSat)], [own(signer, 8, valueSat - feeSat)]);

  it('policy-onchain-fee-range: trips above the rate, and below it', () => {
    const signer = hub({ limits: { onchainFeerateMaxPerKw: 10_000 } });
    // 1 P2WPKH input, 1 P2TR output: 94 bytes, 376 weight and 110 of witness.
    expect(signer.refused(paying(signer, 4861n).request)).toMatchObject({
      tag,
      facts: { fee_sat: 4861n, weight: 486 },
    });
    expect(signer.refused(paying(signer, 94n).request)).toMatchObject({
      tag,
      facts: { feerate_min_per_kw: 253 },
    });
  });

  it('policy-onchain-fee-range: passes at the limits', () => {
    const signer = hub({ limits: { onchainFeerateMaxPerKw: 10_000 } });
    signer.ask(paying(signer, 4860n).request);
    signer.ask(paying(signer, 95n).request);
  });

  it('policy-onchain-fee-range: trips above the absolute limit, an approved transaction too (A54)', () => {
    const signer = hub({ limits: { onchainFeeMaxSat: 50_000n } });
    expect(signer.refused(paying(signer, 50_001n).request)).toMatchObject({
      tag,
      facts: { fee_max_sat: 50_000n },
    });
    const { request, txid } = spend([coin(signer)], [output(STRANGER, 949_999n)]);
    approveOutputs(signer, txid, [{ script: STRANGER, valueSat: 949_999n }]);
    expect(tagOf(signer, request)).toBe(tag);
    const fair = spend([coin(signer)], [output(STRANGER, 950_000n)]);
    approveOutputs(signer, fair.txid, [{ script: STRANGER, valueSat: 950_000n }]);
    signer.ask(fair.request);
  });
});

describe('policy-onchain-fee-velocity', () => {
  const tag = 'policy-onchain-fee-velocity';
  const set = { limits: { feeVelocity: { amountSat: 10_000n, per: 'day' } as const } };
  const paying = (signer: TestSigner, index: number, feeSat: bigint) =>
    spend([coin(signer, 1_000_000n, index)], [own(signer, 8, 1_000_000n - feeSat)]).request;

  it('policy-onchain-fee-velocity: trips on the fee that exceeds the window, temporarily, and survives a restart', () => {
    const signer = hub(set);
    signer.ask(paying(signer, 1, 6000n));
    expect(signer.refused(paying(signer, 2, 4001n))).toMatchObject({ tag, temporary: true });
    signer.ask(paying(signer, 2, 4000n));
    expect(tagOf(signer, paying(signer, 3, 200n))).toBe(tag);
    signer.nowSeconds += 25 * 3600;
    signer.ask(paying(signer, 3, 10_000n));
  });

  it('policy-onchain-fee-velocity: passes repetitions and counts an output once, at its highest', () => {
    const signer = hub(set);
    for (const fee of [6000n, 6000n, 3000n, 7000n]) signer.ask(paying(signer, 1, fee));
    signer.ask(paying(signer, 2, 3000n));
    expect(tagOf(signer, paying(signer, 3, 200n))).toBe(tag);
  });

  it('policy-onchain-fee-velocity: trips when outputs spent together are spent again apart', () => {
    const signer = hub(set);
    const coins = [1, 2].map((index) => coin(signer, 100_000n, index));
    signer.ask(spend(coins, [own(signer, 8, 194_000n)]).request);
    signer.ask(spend([coins[0]!], [own(signer, 8, 94_000n)]).request);
    expect(tagOf(signer, spend([coins[1]!], [own(signer, 8, 94_000n)]).request)).toBe(tag);
    signer.ask(spend([coins[1]!], [own(signer, 8, 96_000n)]).request);
  });
});

describe('policy-onchain-input-amounts-proven', () => {
  const tag = 'policy-onchain-input-amounts-proven';

  it('policy-onchain-input-amounts-proven: trips on a segwit v0 input that nothing proves, beside another (A55)', () => {
    const signer = hub();
    const [a, b] = [coin(signer, 1_000_000n, 3), coin(signer, 1_000_000n, 4)];
    const { tx, request } = spend([a, b], [own(signer, 8, 1_999_000n)]);
    const bare = setPsbtWitnessUtxo(setPsbtWitnessUtxo(createPsbt(tx), 0, spentBy(a)), 1, spentBy(b));
    expect(signer.refused(withdrawal([a, b], bare))).toMatchObject({ tag, facts: { input: 0 } });
    // The burn: each request tells the truth of one input alone.
    const lie = output(b.scriptPubkey, 1000n);
    const burning = spend([a, b], [own(signer, 8, 1_000_000n)]);
    const half = setPsbtWitnessUtxo(setPsbtWitnessUtxo(createPsbt(burning.tx), 0, spentBy(a)), 1, lie);
    expect(tagOf(signer, withdrawal([a, { ...b, amount: sat(1000n) }], half))).toBe(tag);
    signer.ask(request);
  });

  it('policy-onchain-input-amounts-proven: passes a single input, and taproot inputs alone', () => {
    const signer = hub();
    const a = coin(signer);
    const single = spend([a], [own(signer, 8, 999_000n)]);
    signer.ask(withdrawal([a], setPsbtWitnessUtxo(createPsbt(single.tx), 0, spentBy(a))));
    const taproots = [5, 6].map((index) => walletUtxo(signer.keys, index, 'p2tr'));
    const { tx } = spend(taproots, [own(signer, 8, 399_000n)]);
    const bare = taproots.reduce((psbt, one, i) => setPsbtWitnessUtxo(psbt, i, spentBy(one)), createPsbt(tx));
    signer.ask(withdrawal(taproots, bare));
  });
});

describe('policy-onchain-format-standard', () => {
  const tag = 'policy-onchain-format-standard';
  const changed = (signer: TestSigner, change: Parameters<typeof spend>[2]) =>
    spend([coin(signer)], [own(signer, 8, 999_000n)], change).request;
  const sequence = (signer: TestSigner, value: number) =>
    changed(signer, { inputs: [input(coin(signer).outpoint, value)] });

  it('policy-onchain-format-standard: trips on other versions, times for heights, and locks of no known use', () => {
    const signer = hub();
    for (const version of [0, 1, 3, 4]) expect(tagOf(signer, changed(signer, { version }))).toBe(tag);
    for (const locktime of [500_000_000, 0xffff_ffff])
      expect(tagOf(signer, changed(signer, { locktime }))).toBe(tag);
    for (const value of [4033, 0x8000_0001, 0x0040_0001, 0xffff_fffc])
      expect(tagOf(signer, sequence(signer, value))).toBe(tag);
    const chain = {
      heightBlocks: 800_000,
      medianTimeSeconds: 0,
      isFresh: true,
      outpoint: () => ({ kind: 'unknown' }) as const,
    };
    signer.chain = chain;
    expect(tagOf(signer, changed(signer, { locktime: 800_145 }))).toBe(tag);
    signer.ask(changed(signer, { locktime: 800_144 }));
    // A view that is behind knows no present height.
    chain.isFresh = false;
    signer.ask(changed(signer, { locktime: 800_145 }));
  });

  it('policy-onchain-format-standard: passes what wallets make', () => {
    const signer = hub();
    for (const locktime of [0, 110, 499_999_999]) signer.ask(changed(signer, { locktime }));
    for (const value of [0, 1, 4032, 0xffff_fffd, 0xffff_fffe, 0xffff_ffff])
      signer.ask(sequence(signer, value));
  });
});

describe('policy-onchain-max-size', () => {
  const many = (signer: TestSigner, count: number) =>
    spend(
      [coin(signer)],
      Array.from({ length: count }, (_, i) => own(signer, i, 9000n)),
    ).request;

  it('policy-onchain-max-size: trips on a transaction above the weight', () => {
    const signer = hub({ limits: { onchainWeightMax: 2000 } });
    expect(signer.refused(many(signer, 20))).toMatchObject({
      tag: 'policy-onchain-max-size',
      facts: { weight_max: 2000 },
    });
  });

  it('policy-onchain-max-size: passes one at the weight', () => {
    const signer = hub({ limits: { onchainWeightMax: 2000, onchainFeerateMaxPerKw: 1_000_000 } });
    const full = Array.from({ length: 9 }, (_, i) => own(signer, i, 111_000n));
    expect(
      signer.refused(spend([coin(signer)], [...full, own(signer, 9, 100n)]).request).facts,
    ).toMatchObject({
      weight: 2034,
    });
    signer.ask(spend([coin(signer)], full).request);
  });
});

describe('policy-onchain-wallet-path-predictable', () => {
  const tag = 'policy-onchain-wallet-path-predictable';

  function toIndex(signer: TestSigner, index: number, path: readonly number[] | null) {
    const utxo = coin(signer);
    const { tx, psbt } = spend([utxo], [output(walletScript(signer.keys, index, 'p2wpkh'), 999_000n)]);
    if (path === null) return withdrawal([utxo], psbt);
    // An input's derivation, in the place of an output's: the same bytes.
    const publicKey = signer.keys.walletPublicKey(index)!;
    const described = addPsbtBip32Derivation(createPsbt(tx), 0, {
      publicKey,
      fingerprint: new Uint8Array(4),
      path,
    });
    const entry = {
      ...described.inputs[0]!.find((one) => one.keyData.length === 33)!,
      type: PSBT_OUT.BIP32_DERIVATION,
    };
    return withdrawal([utxo], { ...psbt, outputs: [[entry]] });
  }

  it('policy-onchain-wallet-path-predictable: trips on change at an index far above all in use (A56)', () => {
    const signer = hub();
    for (const index of [1001, 2 ** 31 - 1]) {
      expect(signer.refused(toIndex(signer, index, [0, 0, index]))).toMatchObject({
        tag,
        facts: { index, index_max: 1000 },
      });
      // Nobody says that it is ours: it is a stranger's.
      expect(tagOf(signer, toIndex(signer, index, null))).toBe(unknown);
      expect(tagOf(signer, toIndex(signer, index, [0, 0, 5]))).toBe(unknown);
    }
  });

  it('policy-onchain-wallet-path-predictable: passes within the window, which moves with the addresses in use', () => {
    const signer = hub();
    signer.ask(toIndex(signer, 1000, null));
    const check = (index: number) =>
      signer.ask({ name: 'hsmd_check_pubkey', index, pubkey: signer.keys.bip32PublicKey(index)! });
    // A step beyond the window moves nothing.
    check(1001);
    check(2 ** 31 - 1);
    expect(tagOf(signer, toIndex(signer, 1001, [1001]))).toBe(tag);
    check(1000);
    signer.ask(toIndex(signer, 2000, null));
    expect(tagOf(signer, toIndex(signer, 2001, [2001]))).toBe(tag);
    const mnemonic = new TestSigner(ringOf('m', 'mnemonic'));
    mnemonic.preset = 'hub';
    mnemonic.ask({ name: 'hsmd_check_bip86_pubkey', index: 900, pubkey: mnemonic.keys.bip86PublicKey(900)! });
    mnemonic.ask(toIndex(mnemonic, 1900, null));
  });

  it('policy-onchain-wallet-path-predictable: passes where it only warns', () => {
    const signer = hub({ severities: new Map([[tag, 'warn']]) });
    const request = toIndex(signer, 5000, [5000]);
    expect(signer.decide(request, signer.clientFor(request, null))).toMatchObject({
      kind: 'approved',
      warnings: [{ tag }],
    });
  });
});

describe('policy-onchain-anchor-reserve', () => {
  const tag = 'policy-onchain-anchor-reserve';

  /** A signer whose wallet holds one output of 100,000 sat that it knows of, and nothing else that it knows. */
  function reserved(format: 'anchors_zero_fee_htlc' | 'static_remotekey' = 'anchors_zero_fee_htlc') {
    const channel = hubChannel({ format });
    const { signer } = channel;
    const change = spend(
      [coin(signer)],
      [output(walletScript(signer.keys, 8, 'p2wpkh'), 100_000n), output(STRANGER, 899_000n)],
    );
    allow(signer, 'script', toHex(STRANGER));
    signer.ask(change.request);
    const kept = {
      ...walletUtxo(signer.keys, 8, 'p2wpkh', 100_000n),
      outpoint: { txid: fromHex(change.txid).reverse(), vout: 0 },
    };
    return { channel, signer, kept };
  }

  it('policy-onchain-anchor-reserve: trips when the last known reserve goes to others, without change', () => {
    const { signer, kept } = reserved();
    expect(signer.refused(spend([kept], [output(STRANGER, 99_000n)]).request)).toMatchObject({
      tag,
      facts: { known_before_sat: 100_000n, known_after_sat: 0n, reserve_sat: 25_000n },
    });
  });

  it('policy-onchain-anchor-reserve: passes change, an approval, other coins, and channels without anchors', () => {
    const { signer, kept } = reserved();
    const { request, txid } = spend([kept], [output(p2wpkhOfKey(secp.publicKey(bytesOf('x'))), 99_000n)]);
    approveOutputs(signer, txid, [{ script: p2wpkhOfKey(secp.publicKey(bytesOf('x'))), valueSat: 99_000n }]);
    signer.ask(request);
    const again = reserved();
    again.signer.ask(spend([again.kept], [output(STRANGER, 74_000n), own(again.signer, 8, 25_000n)]).request);
    const other = reserved();
    other.signer.ask(spend([coin(other.signer, 500_000n, 9)], [output(STRANGER, 499_000n)]).request);
    const plain = reserved('static_remotekey');
    plain.signer.ask(spend([plain.kept], [output(STRANGER, 99_000n)]).request);
    const closed = reserved();
    const { peerId: id, dbid } = closed.channel.model.ref;
    closed.signer.ask({ name: 'hsmd_forget_channel', id, dbid });
    closed.signer.ask(spend([closed.kept], [output(STRANGER, 99_000n)]).request);
  });
});

const TPUB = { public: regtest.bip32Public, private: regtest.bip32Private };

/** m/0/0 of a ring as text, and keys below its branches. */
function extendedKeyOf(ring: KeyRing): string {
  return base58check(sha256).encode(ring.identity.bip32);
}

function childKey(ring: KeyRing, branch: number, index: number): Uint8Array {
  const account = HDKey.fromExtendedKey(extendedKeyOf(ring), TPUB);
  return account.deriveChild(branch).deriveChild(index).publicKey!;
}
