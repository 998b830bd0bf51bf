/** Corners that no rule has a name for: what a refusal is about, limits of lists, a window of another length. */
import { outPointToString, sat, txid, txidToHex } from '@countersign/bitcoin';
import { describe, expect, it } from 'vitest';
import { markFundingSigned } from '../src/channel/funding-signed.ts';
import type { Context } from '../src/context.ts';
import { channelOf } from '../src/decide.ts';
import { flowMsat, recordFlow } from '../src/policy/velocity.ts';
import { fundingRecords } from '../src/records/channel.ts';
import { FUNDING_INPUTS_MAX, SIGNED_INPUTS_MAX, signedTransactionRecords } from '../src/records/spending.ts';
import { velocityRecords } from '../src/records/velocity.ts';
import { Draft } from '../src/state.ts';
import { input } from './channel-model.ts';
import { MemoryState } from './memory-state.ts';
import { OpenChannel } from './open-channel.ts';
import { bytesOf, MASTER } from './test-signer.ts';

describe('the channel of a request', () => {
  it('is the one that it names, however it calls it', () => {
    const { peerId, dbid } = new OpenChannel().model.ref;
    const id = `${Buffer.from(peerId).toString('hex')}/${dbid}`;
    expect(channelOf(MASTER, { name: 'hsmd_forget_channel', id: peerId, dbid })).toBe(id);
    expect(channelOf(MASTER, { name: 'hsmd_get_channel_basepoints', peerid: peerId, dbid })).toBe(id);
    expect(channelOf(MASTER, { name: 'hsmd_sign_message', msg: peerId })).toBeNull();
  });
});

describe('a velocity', () => {
  const place = () =>
    ({ draft: new Draft(new MemoryState()), nowSeconds: 1_700_000_000 }) as unknown as Context;

  it('of another length begins with all that the old one held', () => {
    const ctx = place();
    recordFlow(ctx, 'fee', { amountSat: 10n, per: 'day' }, 4000n);
    expect(flowMsat(ctx, 'fee', { amountSat: 10n, per: 'hour' })).toBe(4000n);
    recordFlow(ctx, 'fee', { amountSat: 10n, per: 'hour' }, 1000n);
    expect(ctx.draft.get(velocityRecords, 'fee')).toMatchObject({
      bucketSeconds: 150n,
      amountsMsat: [5000n],
    });
  });

  it('never goes below nothing by what flows back', () => {
    const ctx = place();
    const limit = { amountSat: 10n, per: 'day' } as const;
    recordFlow(ctx, 'fee', limit, 3000n);
    recordFlow(ctx, 'fee', limit, -5000n);
    recordFlow(ctx, 'fee', limit, 2000n);
    expect(flowMsat(ctx, 'fee', limit)).toBe(2000n);
  });

  it('takes what flows back off what flowed, so that it is no allowance once that is over', () => {
    const { draft } = place();
    let { nowSeconds } = place();
    const limit = { amountSat: 10n, per: 'day' } as const;
    const after = (hours: number, amountMsat: bigint) => {
      nowSeconds += hours * 3600;
      recordFlow({ draft, nowSeconds }, 'dust-outflow', limit, amountMsat);
      return flowMsat({ draft, nowSeconds }, 'dust-outflow', limit);
    };
    expect(after(0, 2000n)).toBe(2000n);
    expect(after(4, 6000n)).toBe(8000n);
    expect(after(19, -7000n)).toBe(1000n);
    expect(draft.get(velocityRecords, 'dust-outflow')!.amountsMsat.filter((one) => one !== 0n)).toEqual([
      1000n,
    ]);
    // The first hour is over, and with it what was left of the first flow; nothing is saved up.
    expect(after(1, 500n)).toBe(500n);
    expect(after(10, 9500n)).toBe(10_000n);
  });

  it('leaves amounts below nothing, as records from before may have them, until they are over', () => {
    const ctx = place();
    const limit = { amountSat: 10n, per: 'day' } as const;
    const newestBucket = BigInt(ctx.nowSeconds) / 3600n;
    const amountsMsat = [-3000n, 5000n, 1000n];
    ctx.draft.put(velocityRecords, 'fee', { newestBucket, bucketSeconds: 3600n, amountsMsat });
    recordFlow(ctx, 'fee', limit, -2000n);
    expect(ctx.draft.get(velocityRecords, 'fee')!.amountsMsat).toEqual([-3000n, 3000n, 1000n]);
  });
});

describe('a transaction that we sign', () => {
  const { funding } = new OpenChannel().model;
  const contextOf = () => ({ draft: new Draft(new MemoryState()) }) as unknown as Context;
  const malformed = expect.objectContaining({ code: 'malformed' });

  it('creates a funding with as many inputs as are remembered, and no more', () => {
    const spending = (count: number) => {
      const inputs = Array.from({ length: count }, (_, vout) => input({ txid: bytesOf('many'), vout }));
      const ctx = contextOf();
      const tx = { ...funding.tx, inputs };
      ctx.draft.put(fundingRecords, outPointToString({ txid: txid(tx), vout: 1 }), 'peer/1');
      markFundingSigned(ctx, tx);
      return ctx.draft.get(signedTransactionRecords, txidToHex(txid(tx)));
    };
    expect(spending(FUNDING_INPUTS_MAX)?.spends).toHaveLength(FUNDING_INPUTS_MAX);
    expect(() => spending(FUNDING_INPUTS_MAX + 1)).toThrow(malformed);
  });

  it('has as many inputs of ours as are remembered, and no more', () => {
    const ours = Array.from({ length: SIGNED_INPUTS_MAX + 1 }, (_, index) => ({ index, valueSat: sat(1n) }));
    const ctx = contextOf();
    markFundingSigned(ctx, funding.tx, ours.slice(1));
    expect(() => markFundingSigned(ctx, funding.tx, ours.slice(0, 1))).toThrow(malformed);
    // One more amount of an input that is known is no more inputs.
    markFundingSigned(ctx, funding.tx, [{ index: 1, valueSat: sat(2n) }]);
  });
});
