/** Attacks with approvals that are over. */
import { sha256, toHex } from '@countersign/bitcoin';
import { EMPTY_PAYMENT, type PaymentApproval, paymentRecords } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { htlc } from './channel-model.ts';
import { channelOf, hub } from './hub.ts';
import { adding, removing } from './open-channel.ts';

describe('approvals', () => {
  it('one that has expired allows nothing', () => {
    const signer = hub();
    const channel = channelOf(signer, 'payee');
    const paid = htlc('holder', 100_000, 'expired');
    const approval: PaymentApproval = {
      kind: 'invoice',
      amountMsat: paid.amountMsat as PaymentApproval['feeBudgetMsat'],
      feeBudgetMsat: 1_000n as PaymentApproval['feeBudgetMsat'],
      payee: null,
      source: 'operator',
      approvedAtSeconds: signer.nowSeconds - 10,
      expiresAtSeconds: signer.nowSeconds,
      keepUntilSeconds: signer.nowSeconds,
    };
    signer.state.apply([
      {
        kind: paymentRecords as never,
        id: toHex(sha256(paid.preimage)),
        version: 1,
        value: { ...EMPTY_PAYMENT, approval },
      },
    ]);
    const request = channel.model.signRemote(1, adding(channel.balances, paid));
    expect(channel.tagOf(request)).toBe('policy-commitment-payment-approved');
    for (const amountMsat of [50_000_000n, 400_000_000n]) {
      const other = { ...paid, amountMsat };
      expect(channel.tagOf(channel.model.signRemote(1, adding(channel.balances, other)))).toBe(
        'policy-commitment-payment-approved',
      );
    }
    signer.nowSeconds -= 1;
    channel.update(adding(channel.balances, paid));
    signer.nowSeconds += 10;
    // In use it goes on covering what it covers, and nothing more.
    const more = adding(channel.balances, { ...paid, amountMsat: 1_000_000n });
    expect(channel.tagOf(channel.model.signRemote(2, more))).toBe('policy-commitment-payment-approved');
    channel.update(removing(channel.balances, channel.balances.htlcs[0]!, 'failed'));
  });
});
