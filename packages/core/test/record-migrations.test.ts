/**
 * Records written by earlier versions. `vectors/channel-record-v1.txt` was written by version 1: id and bytes of a channel
 * with two HTLCs in both views, the next of each side signed and not revoked. Test keys.
 */
import { readFileSync } from 'node:fs';
import { fromHex, sat } from '@countersign/bitcoin';
import { channelRecords, decodeRecord, encodeRecord } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { signedTransactionRecords } from '../src/records/spending.ts';
import { htlc } from './channel-model.ts';
import { adding, OpenChannel, removing } from './open-channel.ts';

const [id, hex] = readFileSync(new URL('vectors/channel-record-v1.txt', import.meta.url), 'utf8')
  .trim()
  .split('\n') as [string, string];

describe('a channel record of schema version 1', () => {
  const record = decodeRecord(channelRecords, fromHex(hex));
  const given = htlc('holder', 20_000, 'a');
  const taken = htlc('counterparty', 30_000, 'b');

  it('gets ledgers that say what the commitments show, the next of ours none', () => {
    const [candidate] = record.candidates;
    const ledgers = [...candidate!.validated, ...candidate!.issued].map(({ number, ledger }) => [
      number,
      ledger,
    ]);
    const { balances } = new OpenChannel({ format: 'anchors_zero_fee_htlc' });
    const first = { holderMsat: balances.holderMsat - 20_000_000n, driftMsat: 0n, trimmed: [], fates: [] };
    expect(ledgers).toEqual([
      [1, first],
      [2, null],
      [1, first],
      [2, first],
    ]);
    expect(record).toMatchObject({ stopped: false, frozen: false, holderNextRevoke: 1 });
    expect(record.dustLimitsMaxSat).toEqual({ holder: 1000n, counterparty: 1000n });
  });

  it('comes back the same in the new form', () => {
    const bytes = encodeRecord(channelRecords, record);
    expect(bytes[0]).toBe(2);
    expect(decodeRecord(channelRecords, bytes)).toEqual(record);
  });

  it('goes on: what was in flight is settled and failed, and nothing is taken for a new payment', () => {
    const channel = new OpenChannel({ format: 'anchors_zero_fee_htlc' });
    channel.signer.preset = 'hub';
    const value = decodeRecord(channelRecords, encodeRecord(channelRecords, record));
    channel.signer.state.apply([{ kind: channelRecords, id, version: 1, value }]);
    const before = adding(channel.balances, given, taken);
    channel.holderNumber = 1;
    channel.counterpartyNumber = 1;
    channel.ask(channel.model.revoke(1));
    channel.ask(channel.model.validateRevocation(1));
    const after = removing(removing(before, given, 'failed'), taken, 'failed');
    channel.ask(channel.model.validate(3, after));
    channel.ask(channel.model.revoke(2));
    channel.ask(channel.model.signRemote(3, after));
    channel.ask(channel.model.validateRevocation(2));
  });
});

it('a signed transaction of schema version 2 says nothing of what it spends', () => {
  const inputs = [{ index: 3, valueSat: sat(1000n) }];
  const present = encodeRecord(signedTransactionRecords, { inputs, spends: [] });
  // Version 2 ended before the number of outpoints.
  const former = present.slice(0, -4);
  former[0] = 2;
  expect(decodeRecord(signedTransactionRecords, former)).toEqual({ inputs, spends: [] });
});
