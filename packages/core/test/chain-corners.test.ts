/** Rare corners of the chain's side: what is dropped, what only warns, what is no chain's doing, and bugs that are none of it. */
import {
  acceptBlock,
  acceptHeaders,
  chainRecords,
  channelRecords,
  closingRecords,
  fundingRecords,
  HEADERS_KEPT,
  headerRecords,
  heightId,
  outputRecords,
} from '@countersign/core';
import { describe, expect, it } from 'vitest';
import type { Deadline } from '../src/chain/alarm-types.ts';
import { alarmOfDeadline } from '../src/chain/alarms.ts';
import { ChainedSigner, idsIn, openedChannel } from './chained-signer.ts';
import { htlc } from './channel-model.ts';
import { paymentOf, recordOf } from './forwarder.ts';
import { adding } from './open-channel.ts';
import { put } from './spending-model.ts';

describe('headers', () => {
  it('that nothing needs any more are dropped', () => {
    const signer = new ChainedSigner(undefined, 3000);
    signer.mined.extendBy(HEADERS_KEPT + 3);
    for (let from = 1; from <= HEADERS_KEPT + 3; from += 2000) {
      signer.accept(signer.headers(signer.mined.headers(from, Math.min(from + 1999, HEADERS_KEPT + 3))));
    }
    // Contents below the birthday need no reading; from there on the headers stay until they have been read.
    expect(signer.chainRecord.baseHeightBlocks).toBe(0);
    const read = { ...signer.chainRecord, provenHeightBlocks: HEADERS_KEPT + 2 };
    signer.overwrite('chain', read);
    signer.accept(signer.block(signer.mined.tip.raw));
    expect(signer.chainRecord.baseHeightBlocks).toBe(4);
    expect(signer.read(headerRecords, heightId(3))).toBeNull();
    expect(signer.read(headerRecords, heightId(4))).not.toBeNull();
  });

  it('that only break a rule at warn are taken and told', () => {
    const signer = new ChainedSigner();
    signer.mineEmpty(12);
    const late = signer.mined.forkAt(12);
    // Not after the median of the eleven before.
    late.extend([], { timeSeconds: signer.mined.blocks[4]!.timeSeconds });
    expect(signer.headers(late.headers(13))).toMatchObject({
      ok: false,
      refusal: { tag: 'policy-chain-validated' },
    });
    signer.set = { severities: new Map([['policy-chain-validated', 'warn']]) };
    signer.accept(signer.headers(late.headers(13)));
    expect(signer.events.at(-1)).toMatchObject({
      event: 'chain-warning',
      facts: { tag: 'policy-chain-validated' },
    });
  });
});

describe('a block', () => {
  it('without its header, and one too many, are refused', () => {
    const signer = new ChainedSigner();
    signer.mineEmpty(1);
    const refusal = signer.refusedBy(signer.block(signer.mined.tip.raw));
    expect(refusal).toMatchObject({ tag: 'policy-chain-proof', facts: { height: 2, tip_height: 1 } });
  });

  it('that shows a bug of ours ends in the bug, not in a refusal', () => {
    const { signer } = openedChannel();
    const broken = { ...signer.chainInput, watch: { ...signer.watch, fundingsOf: () => fail() } };
    const fail = (): never => {
      throw new TypeError('a bug');
    };
    signer.mined.extend();
    signer.accept(acceptHeaders(signer.chainInput, signer.mined.tip.header));
    expect(() => acceptBlock(broken as never, signer.mined.tip.raw)).toThrow(TypeError);
  });

  it('settles nothing for a channel that is not there any more', () => {
    const { signer, channel, id } = openedChannel();
    signer.mine(channel.model.build('counterparty', 0, channel.balances).tx);
    put(signer, channelRecords, id, null);
    signer.mineEmpty(10);
    expect(signer.read(closingRecords, id)).toMatchObject({ kind: 'counterparty' });
  });

  it('with a funding of which two channels speak follows the first record', () => {
    const { signer, channel, id } = openedChannel();
    const [outpoint] = idsIn(signer.state, fundingRecords.name, '');
    expect(signer.read(outputRecords, outpoint!)).toMatchObject({ channel: id, role: 'funding' });
    // A funding record without its channel: nothing to see.
    put(signer, fundingRecords, outpoint!, null);
    put(signer, outputRecords, outpoint!, null);
    signer.watch = signer.watchAnew();
    signer.mine(channel.model.build('counterparty', 0, channel.balances).tx);
    expect(signer.read(closingRecords, id)).toBeNull();
  });
});

describe('a commitment that the record has lost', () => {
  it('leaves its payments as they were', () => {
    const { signer, channel, id } = openedChannel();
    const ours = htlc('holder', 50_000, 'ours', 900);
    channel.update(adding(channel.balances, ours));
    signer.mine(channel.model.build('holder', 1, channel.balances).tx);
    const record = recordOf(channel);
    const candidates = record.candidates.map((one) => ({
      ...one,
      validated: one.validated.map((content) => ({ ...content, ledger: null })),
    }));
    put(signer, channelRecords, id, { ...record, candidates });
    const before = paymentOf(signer, ours);
    signer.mineEmpty(8);
    expect(paymentOf(signer, ours)).toEqual(before);
  });
});

describe('a deadline', () => {
  it.each([
    ['warn', null],
    ['urgent', null],
    ['critical', 'a deadline is about to pass'],
    ['passed', 'a deadline has passed'],
  ] as const)('at level %s is an alarm: %s', (level, message) => {
    const deadline: Deadline = {
      channel: 'peer/1',
      heightBlocks: 100,
      blocksLeft: 1,
      level,
      what: 'penalty',
      amountMsat: 5n,
    };
    expect(alarmOfDeadline(deadline)?.message ?? null).toBe(message);
  });
});

it('the record of the chain is one', () => {
  const { signer } = openedChannel();
  expect(idsIn(signer.state, chainRecords.name, '')).toEqual(['chain']);
});
