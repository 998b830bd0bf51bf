/** Law 5 on second-level transactions, field by field (attacks A15, A59). */
import {
  buildScript,
  htlcTransactionOutputScript,
  OP,
  PSBT_OUT,
  p2wshOfScript,
  sat,
  type Transaction,
} from '@countersign/bitcoin';
import type { MessageOf, Request } from '@countersign/wire';
import { describe, expect, it } from 'vitest';
import { retx } from './channel-model.ts';
import { running } from './claims-model.ts';
import { FORMATS } from './open-channel.ts';
import { bytesOf, secp } from './test-signer.ts';
import { STRANGER } from './wallet-model.ts';

type HtlcRequest = MessageOf<'hsmd_sign_any_local_htlc_tx'> | MessageOf<'hsmd_sign_remote_htlc_tx'>;
describe.each(FORMATS)('second-level transactions, %s', (format) => {
  const { channel, model, balances } = running({ format });
  const requests: readonly (HtlcRequest & { side: 'holder' | 'counterparty' })[] = [
    ...model.signLocalHtlcs(1, balances).map((one) => ({ ...one, side: 'holder' as const })),
    ...model.signRemoteHtlcs(1, balances).map((one) => ({ ...one, side: 'counterparty' as const })),
  ];

  function expectTag(tag: string, change: (tx: Transaction) => Partial<Transaction>): void {
    for (const request of requests)
      expect(channel.tagOf(retx<HtlcRequest>(request, change)), request.side).toBe(tag);
  }
  const withOutput = (script: Uint8Array) => (tx: Transaction) => ({
    outputs: tx.outputs.map((one) => ({ ...one, script })),
  });

  it('policy-htlc-version: trips on another version', () => {
    for (const version of [1, 3]) expectTag('policy-htlc-version', () => ({ version }));
  });
  it('policy-htlc-locktime: trips on another locktime', () => {
    for (const by of [1, 100]) expectTag('policy-htlc-locktime', (tx) => ({ locktime: tx.locktime + by }));
  });
  it('policy-htlc-cltv-range: trips on a locktime that is a time', () => {
    expectTag('policy-htlc-cltv-range', () => ({ locktime: 500_000_000 }));
  });
  it('policy-htlc-sequence: trips on the other channel type’s sequence', () => {
    const sequence = format === 'static_remotekey' ? 1 : 0;
    expectTag('policy-htlc-sequence', (tx) => ({ inputs: tx.inputs.map((one) => ({ ...one, sequence })) }));
  });
  it('policy-htlc-fee-range: trips on any other fee', () => {
    for (const by of [1n, -1n, -500n])
      expectTag('policy-htlc-fee-range', (tx) => ({
        outputs: tx.outputs.map((one) => ({ ...one, value: sat(one.value + by) })),
      }));
  });

  it('policy-htlc-to-self-delay: trips on any other delay', () => {
    for (const request of requests) {
      const keys = model.build(request.side, 1, balances).keys;
      for (const delay of [0, 1, 2016]) {
        const script = p2wshOfScript(htlcTransactionOutputScript(keys, delay));
        const changed = retx<HtlcRequest>(request, withOutput(script));
        expect(channel.tagOf(changed)).toBe('policy-htlc-to-self-delay');
      }
    }
  });

  /** The output with other keys, its witness script in the PSBT as CLN has it. */
  function rekeyed(
    request: HtlcRequest & { side: 'holder' | 'counterparty' },
    changed: 'revocation' | 'broadcasterDelayed',
  ) {
    const keys = model.build(request.side, 1, balances).keys;
    const stranger = secp.publicKey(bytesOf('stranger'));
    const witnessScript = htlcTransactionOutputScript(
      { ...keys, [changed]: stranger },
      model.delayBlocks[request.side],
    );
    const moved = retx<HtlcRequest>(request, withOutput(p2wshOfScript(witnessScript)));
    const entry = { type: PSBT_OUT.WITNESS_SCRIPT, keyData: new Uint8Array(0), value: witnessScript };
    const psbt = { ...moved.tx.psbt, outputs: [[entry]] };
    return { bare: moved, told: { ...moved, tx: { ...moved.tx, psbt } } };
  }

  it('policy-htlc-revocation-pubkey: trips on another revocation key, or on a script that nobody explains', () => {
    for (const request of requests) {
      const { bare, told } = rekeyed(request, 'revocation');
      for (const one of [bare, told]) expect(channel.tagOf(one)).toBe('policy-htlc-revocation-pubkey');
      expect(channel.tagOf(retx<HtlcRequest>(request, withOutput(STRANGER)))).toBe(
        'policy-htlc-revocation-pubkey',
      );
    }
  });
  it('policy-htlc-delayed-pubkey: trips on another delayed key', () => {
    for (const request of requests)
      expect(channel.tagOf(rekeyed(request, 'broadcasterDelayed').told)).toBe('policy-htlc-delayed-pubkey');
  });

  const passing = [
    'policy-htlc-version: passes version 2',
    "policy-htlc-locktime: passes the HTLC's own",
    'policy-htlc-cltv-range: passes a height',
    "policy-htlc-sequence: passes the channel type's",
    'policy-htlc-fee-range: passes what BOLT 3 computes',
    'policy-htlc-to-self-delay: passes the delay of its side',
    'policy-htlc-revocation-pubkey: passes the key of the commitment',
    'policy-htlc-delayed-pubkey: passes the key of the commitment',
  ];
  it.each(passing)('%s', () => {
    expect(requests).toHaveLength(6);
    for (const { side: _, ...request } of requests) channel.ask(request as Request);
  });
});

describe('policy-htlc-fee-range, without anchors', () => {
  it('policy-htlc-fee-range: trips above the usual rate, whoever set it', () => {
    const { channel, model, balances } = running({ format: 'static_remotekey', isOutbound: false });
    channel.signer.set = { limits: { feerateMaxPerKw: 999 } };
    for (const request of model.signLocalHtlcs(1, balances))
      expect(channel.refused(request)).toMatchObject({
        tag: 'policy-htlc-fee-range',
        facts: { feerate_per_kw: 1000, feerate_max_per_kw: 999 },
      });
    channel.signer.set = { limits: { feerateMaxPerKw: 1000 } };
    for (const request of model.signLocalHtlcs(1, balances)) channel.ask(request);
  });
});

it('policy-commitment-holder-not-revoked: trips on the second level of a revoked commitment of ours (A15)', () => {
  const { channel, model, balances } = running();
  channel.update({ ...balances, feeratePerKw: 1100 });
  for (const request of model.signLocalHtlcs(1, balances))
    expect(channel.tagOf(request)).toBe('policy-commitment-holder-not-revoked');
});

it('policy-htlc-revocation-pubkey: trips on an output script that is no script of an HTLC transaction at all', () => {
  const { channel, model, balances } = running();
  for (const request of model.signLocalHtlcs(1, balances)) {
    const { keys } = model.build('holder', 1, balances);
    const expected = htlcTransactionOutputScript(keys, model.delayBlocks.holder);
    for (const witnessScript of [
      // Longer, with another opcode in a place of its own, or only with another ending.
      buildScript(OP.OP_1, OP.OP_1, OP.OP_DROP, OP.OP_DROP, OP.OP_1),
      Uint8Array.from([...expected, OP.OP_1]),
      Uint8Array.from([...expected.subarray(0, -1), OP.OP_CHECKMULTISIG]),
    ]) {
      const script = p2wshOfScript(witnessScript);
      const moved = retx(request, (tx) => ({ outputs: tx.outputs.map((one) => ({ ...one, script })) }));
      const entry = { type: PSBT_OUT.WITNESS_SCRIPT, keyData: new Uint8Array(0), value: witnessScript };
      const told = { ...moved, tx: { ...moved.tx, psbt: { ...moved.tx.psbt, outputs: [[entry]] } } };
      expect(channel.tagOf(told)).toBe('policy-htlc-revocation-pubkey');
    }
  }
});
