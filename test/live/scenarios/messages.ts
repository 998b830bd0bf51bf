/** Scenarios about what a node signs besides transactions: messages, invoices, runes, and what developer mode asks of an hsmd. */
import { equal, match, notEqual, ok } from 'node:assert/strict';
import { connect, fundWallet, openChannel } from '../channels.ts';
import { find, listAt, textAt } from '../json-value.ts';
import { invoice, newLabel, pay } from '../payments.ts';
import type { Scenario } from '../scenario.ts';

const messages: Scenario = {
  name: 'messages',
  about: 'signmessage, checkmessage, signmessagewithkey; a second node verifies',
  run: async (world) => {
    const [l1, l2] = await world.pair();
    for (const message of ['live', '', 'ä'.repeat(1000)]) {
      const signed = await l1.call('signmessage', { message });
      const checked = await l2.call('checkmessage', {
        message,
        zbase: textAt(signed, 'zbase'),
        pubkey: l1.id,
      });
      equal(find(checked, 'verified'), true);
      const other = await l2.call('checkmessage', {
        message: `${message}.`,
        zbase: textAt(signed, 'zbase'),
        pubkey: l1.id,
      });
      equal(find(other, 'verified'), false);
    }
    const address = textAt(await l1.call('newaddr', { addresstype: 'bech32' }), 'bech32');
    await world.bitcoind.fund([address], 100_000);
    await l1.waitForHeight();
    const bip137 = await l1.call('signmessagewithkey', { message: 'live', address });
    equal(textAt(bip137, 'address'), address);
    // BIP 137: one header byte and a compact signature of 64 bytes.
    equal(Buffer.from(textAt(bip137, 'base64'), 'base64').length, 65);
  },
};

const secrets: Scenario = {
  name: 'secrets',
  about: 'makesecret, runes, commando over the wire, static backup; the same after a restart',
  run: async (world) => {
    const [l1, l2] = await world.pair();
    const made = await l1.call('makesecret', { string: 'live' });
    equal(textAt(made, 'secret').length, 64);
    notEqual(textAt(await l1.call('makesecret', { string: 'other' }), 'secret'), textAt(made, 'secret'));
    const rune = await l1.call('createrune', { restrictions: [['method=getinfo']] });
    await connect(l2, l1);
    const answer = await l2.call('commando', {
      peer_id: l1.id,
      method: 'getinfo',
      rune: textAt(rune, 'rune'),
    });
    equal(textAt(answer, 'id'), l1.id);
    await fundWallet(l1, 2_000_000);
    await openChannel(l1, l2);
    equal(listAt(await l1.call('staticbackup'), 'scb').length, 1);
    const id = l1.id;
    await l1.stop();
    await l1.start();
    equal(l1.id, id);
    equal(textAt(await l1.call('makesecret', { string: 'live' }), 'secret'), textAt(made, 'secret'));
    equal(find(await l1.call('checkrune', { rune: textAt(rune, 'rune'), method: 'getinfo' }), 'valid'), true);
  },
};

const invoices: Scenario = {
  name: 'invoices',
  about:
    'invoices of many shapes, signinvoice and createinvoice, read by a second node; offers of a fixed amount',
  run: async (world) => {
    const [l1, l2] = await world.pair();
    const address = textAt(await l1.call('newaddr', { addresstype: 'p2tr' }), 'p2tr');
    for (const params of [
      { amount_msat: 1, description: 'one' },
      { amount_msat: 'any', description: '' },
      { amount_msat: 2_100_000_000_000, description: 'd'.repeat(600) },
      { amount_msat: 5_000, description: 'h'.repeat(900), deschashonly: true },
      { amount_msat: 5_000, description: 'fallback', fallbacks: [address], expiry: 60, cltv: 99 },
    ]) {
      const made = await l1.call('invoice', { label: newLabel(), ...params });
      const bolt11 = textAt(made, 'bolt11');
      equal(textAt(await l2.call('decode', { string: bolt11 }), 'payee'), l1.id);
      const again = await l1.call('signinvoice', { invstring: bolt11 });
      equal(textAt(await l2.call('decode', { string: textAt(again, 'bolt11') }), 'payee'), l1.id);
    }
    const offer = await l1.call('offer', { amount: '10sat', description: 'live' });
    equal(find(await l2.call('decode', { string: textAt(offer, 'bolt12') }), 'valid'), true);
  },
};

const developer: Scenario = {
  name: 'developer',
  about: 'dev-memleak asks the hsmd, after payments and a restart, and finds no leak',
  run: async (world) => {
    const [l1, l2] = await world.pair({ environment: { LIGHTNINGD_DEV_MEMLEAK: '1' } });
    await fundWallet(l1, 2_000_000);
    await openChannel(l1, l2, { push_sat: 300_000 });
    await pay(l1, l2, 1_000_000);
    const leaks = listAt(await l1.call('dev-memleak'), 'leaks');
    equal(leaks.filter((one) => /hsmd/.test(JSON.stringify(one))).length, 0);
    await l1.stop();
    await l1.start();
    await l1.call('dev-memleak');
    ok(l1.ended === undefined);
  },
};

const declined: Scenario = {
  name: 'preapproval-declined',
  about:
    'the hsmd is told to decline every preapproval: pay and keysend fail with that reason, and the node lives',
  run: async (world) => {
    const [l1, l2] = await world.pair({ options: ['--dev-hsmd-fail-preapprove'] }, {});
    await fundWallet(l1, 2_000_000);
    await openChannel(l1, l2, { push_sat: 300_000 });
    const due = await invoice(l2, 1_000_000);
    match((await l1.refused('xpay', { invstring: due.bolt11 })).message, /declined/);
    match((await l1.refused('keysend', { destination: l2.id, amount_msat: 1_000 })).message, /declined/);
    match((await l1.refused('preapproveinvoice', { bolt11: due.bolt11 })).message, /declined/);
    // Receiving needs no approval.
    await pay(l2, l1, 1_000_000);
  },
};

export const MESSAGES: Scenario[] = [messages, secrets, invoices, developer, declined];
