import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { msat, toHex } from '@countersign/bitcoin';
import { channelRecords, refusalText } from '@countersign/core';
import { StoreError } from '@countersign/store';
import { encodeMessage, type Request } from '@countersign/wire';
import { describe, expect, it } from 'vitest';
import { type Answer, bindStore, type Signer } from '../src/index.ts';
import {
  channelClient,
  countingSecp,
  ecdhRequest,
  failing,
  forgetRequest,
  inDirectory,
  keyOf,
  late,
  master,
  openStore,
  peerId,
  policyOf,
  recordedSession,
  ringOf,
  setupRequest,
  signerOn,
  stateOf,
} from './support.ts';

const signMessage: Request = { name: 'hsmd_sign_message', msg: new TextEncoder().encode('hello') };
const diskFull = () => new StoreError('store-disk-full', 'writing the journal');

const setup = (signer: Signer, dbid: number): Promise<Answer> =>
  signer.answer(channelClient(dbid), setupRequest(dbid));

function refusalOf(answer: Answer) {
  if (answer.kind !== 'refused') throw new Error(`answered ${answer.reply.name}`);
  return answer.refusal;
}

describe('nothing leaves before it is durable', () => {
  it('holds a reply until its commit resolves', () =>
    inDirectory(async (directory) => {
      const journal = late(openStore(directory));
      const answer = setup(signerOn(journal), 1);
      expect(await stateOf(answer)).toBe('pending');
      journal.release();
      expect(await answer).toEqual({ kind: 'reply', reply: { name: 'hsmd_setup_channel_reply' } });
      await journal.close();
    }));

  it('releases in the order of the commits, each with its own', () =>
    inDirectory(async (directory) => {
      const journal = late(openStore(directory));
      const signer = signerOn(journal);
      const answers = [setup(signer, 1), setup(signer, 2), setup(signer, 3)];
      for (let released = 0; released <= 3; released++) {
        for (const answer of answers.slice(0, released)) expect((await answer).kind).toBe('reply');
        for (const answer of answers.slice(released)) expect(await stateOf(answer)).toBe('pending');
        journal.release();
      }
      await journal.close();
    }));

  it('holds a reply that changes nothing but depends on what is not durable yet', () =>
    inDirectory(async (directory) => {
      const journal = late(openStore(directory));
      const signer = signerOn(journal);
      const first = setup(signer, 1);
      const marked = signer.answer(master, forgetRequest(1));
      expect(journal.waiting).toBe(2);
      // Marked already: no change of its own.
      const again = signer.answer(master, forgetRequest(1));
      expect(journal.waiting).toBe(2);
      journal.release();
      expect((await first).kind).toBe('reply');
      expect([await stateOf(marked), await stateOf(again)]).toEqual(['pending', 'pending']);
      journal.release();
      expect([(await marked).kind, (await again).kind]).toEqual(['reply', 'reply']);
      await journal.close();
    }));

  it('holds even the reply that found no record: who looked must wait', () =>
    inDirectory(async (directory) => {
      const journal = late(openStore(directory));
      const signer = signerOn(journal);
      const first = setup(signer, 1);
      const other = signer.answer(master, forgetRequest(2));
      expect(await stateOf(other)).toBe('pending');
      journal.release();
      expect((await first).kind).toBe('reply');
      expect((await other).kind).toBe('reply');
      await journal.close();
    }));

  it('does not hold what depends on no state', () =>
    inDirectory(async (directory) => {
      const journal = late(openStore(directory));
      const signer = signerOn(journal);
      const first = setup(signer, 1);
      const stateless: Request[] = [
        ecdhRequest,
        signMessage,
        { name: 'hsmd_derive_secret', info: new TextEncoder().encode('bolt12-invoice-base') },
        { name: 'hsmd_get_channel_basepoints', peerid: peerId, dbid: 1n },
      ];
      for (const request of stateless) {
        expect((await signer.answer(master, request)).kind).toBe('reply');
      }
      const point: Request = { name: 'hsmd_get_per_commitment_point', n: 0n };
      expect((await signer.answer(channelClient(1), point)).kind).toBe('reply');
      expect(await stateOf(first)).toBe('pending');
      journal.release();
      await first;
      await journal.close();
    }));

  it('decides on what memory holds, ahead of the disk', () =>
    inDirectory(async (directory) => {
      const journal = late(openStore(directory));
      const signer = signerOn(journal);
      const first = setup(signer, 1);
      const stolen = signer.answer(channelClient(2), setupRequest(1));
      expect(refusalOf(await stolen)).toMatchObject({
        code: 'policy',
        facts: { channel: `${toHex(peerId)}/1` },
      });
      journal.release();
      expect((await first).kind).toBe('reply');
      await journal.close();
    }));
});

describe('group commit', () => {
  it('shares one sync between the channels that ask in one turn', () =>
    inDirectory(async (directory) => {
      const journal = openStore(directory);
      const signer = signerOn(journal);
      const answers = await Promise.all(Array.from({ length: 40 }, (_, i) => setup(signer, i + 1)));
      expect(answers.every(({ kind }) => kind === 'reply')).toBe(true);
      expect(journal.stats.commits).toBe(40);
      expect(journal.stats.batches).toBeLessThan(5);
      await journal.close();
    }));
});

/** Everything a signer may be asked, stateless or not. */
const ALL: readonly (readonly [ReturnType<typeof channelClient>, Request])[] = [
  [master, ecdhRequest],
  [master, signMessage],
  [master, forgetRequest(1)],
  [channelClient(7), setupRequest(7)],
  [channelClient(1), { name: 'hsmd_get_per_commitment_point', n: 0n }],
  [channelClient(1), { name: 'hsmd_revoke_commitment_tx', commitNum: 0n }],
];

async function expectStopped(signer: Signer, signatures: () => number): Promise<void> {
  const before = signatures();
  for (const [client, request] of ALL) {
    expect(refusalOf(await signer.answer(client, request)).code).toBe('store-failed');
  }
  expect(signatures()).toBe(before);
  expect(signer.failure).not.toBeNull();
}

describe('a signer that outlives its node', () => {
  it('goes by what the new one has negotiated', () =>
    inDirectory(async (directory) => {
      const journal = openStore(directory);
      const signer = signerOn(journal, { protocolVersion: 6 });
      const invoice: Request = {
        name: 'hsmd_preapprove_keysend_check',
        destination: peerId,
        paymentHash: new Uint8Array(32),
        amountMsat: msat(1n),
        checkOnly: true,
      };
      const approved = async (): Promise<unknown> => {
        const answer = await signer.answer(master, invoice);
        return answer.kind === 'reply' && 'approved' in answer.reply ? answer.reply.approved : answer;
      };
      expect(await approved()).toBe(true);
      signer.negotiate({ protocolVersion: 5, failPreapprovals: true });
      expect(signer.protocolVersion).toBe(5);
      expect(await approved()).toBe(false);
      await journal.close();
    }));
});

describe('a store that fails', () => {
  it('stops the signer for good, and it says why', () =>
    inDirectory(async (directory) => {
      const { secp, signatures } = countingSecp();
      const journal = failing(openStore(directory), 1);
      const signer = signerOn(journal, { ring: ringOf(1, secp) });
      expect((await setup(signer, 1)).kind).toBe('reply');
      expect(signer.failure).toBeNull();
      const refusal = refusalOf(await setup(signer, 2));
      expect(refusal).toEqual({
        code: 'store-failed',
        tag: 'store-disk-full',
        law: 'setup',
        severity: 'error',
        temporary: false,
        message:
          'the signer stopped signing because its store failed: no space left for the store: writing the journal',
        facts: { bytes_free: 0 },
        request: 'hsmd_setup_channel',
        channel: `${toHex(peerId)}/2`,
      });
      expect(refusalText(refusal)).toMatch(/^store-disk-full: the signer stopped signing/);
      await expectStopped(signer, signatures);
      await journal.close();
    }));

  it('takes everything with it that waited, also who only read', () =>
    inDirectory(async (directory) => {
      const { secp, signatures } = countingSecp();
      const journal = late(openStore(directory));
      const signer = signerOn(journal, { ring: ringOf(1, secp) });
      const answers = [setup(signer, 1), setup(signer, 2), signer.answer(master, forgetRequest(9))];
      expect(await stateOf(answers[2]!)).toBe('pending');
      journal.fail(diskFull());
      for (const answer of answers) expect(refusalOf(await answer).code).toBe('store-failed');
      await expectStopped(signer, signatures);
      await journal.close();
    }));

  it('with an error of any kind, stops the signer', () =>
    inDirectory(async (directory) => {
      const { secp, signatures } = countingSecp();
      const journal = late(openStore(directory));
      const signer = signerOn(journal, { ring: ringOf(1, secp) });
      const answer = setup(signer, 1);
      journal.fail(new RangeError('of the store itself'));
      expect(refusalOf(await answer)).toMatchObject({ code: 'store-failed', tag: 'store-io' });
      await expectStopped(signer, signatures);
      await journal.close();
    }));

  it('because another hand changed a record, refuses the change that builds on the old one', () =>
    inDirectory(async (directory) => {
      const { secp, signatures } = countingSecp();
      const journal = openStore(directory);
      const signer = signerOn(journal, { ring: ringOf(1, secp) });
      await setup(signer, 1);
      const key = `channel/${toHex(peerId)}/1`;
      await journal.commit([{ key, version: 2, value: journal.read(key)!.value }], []);
      expect(refusalOf(await signer.answer(master, forgetRequest(1)))).toMatchObject({
        code: 'store-failed',
        tag: 'store-version-conflict',
      });
      await expectStopped(signer, signatures);
      await journal.close();
    }));

  it('because a stored record was damaged, stops too', () =>
    inDirectory(async (directory) => {
      const first = openStore(directory);
      await setup(signerOn(first), 1);
      await first.close();
      const database = new DatabaseSync(join(directory, 'journal.sqlite'));
      database.exec("UPDATE record SET value = X'00' WHERE key LIKE 'channel/%'");
      database.close();
      const { secp, signatures } = countingSecp();
      const journal = openStore(directory);
      const signer = signerOn(journal, { ring: ringOf(1, secp) });
      expect(refusalOf(await signer.answer(master, forgetRequest(1)))).toMatchObject({
        code: 'store-failed',
        tag: 'store-corrupt',
      });
      await expectStopped(signer, signatures);
      await journal.close();
    }));

  it('because a newer release wrote a record, stops too', () =>
    inDirectory(async (directory) => {
      const journal = openStore(directory);
      const value = Uint8Array.of(channelRecords.schemaVersion + 1, 1, 2, 3);
      await journal.commit([{ key: `channel/${toHex(peerId)}/1`, version: 1, value }], []);
      const { secp, signatures } = countingSecp();
      const signer = signerOn(journal, { ring: ringOf(1, secp) });
      expect(refusalOf(await setup(signer, 1))).toMatchObject({
        code: 'store-failed',
        tag: 'record-newer-schema',
      });
      await expectStopped(signer, signatures);
      await journal.close();
    }));

  it('and is closed meanwhile, leaves no request unanswered', () =>
    inDirectory(async (directory) => {
      const journal = openStore(directory);
      const signer = signerOn(journal);
      const answers = [setup(signer, 1), setup(signer, 2)];
      const closed = journal.close();
      const tooLate = setup(signer, 3);
      expect((await Promise.all(answers)).map(({ kind }) => kind)).toEqual(['reply', 'reply']);
      expect(refusalOf(await tooLate).code).toBe('store-failed');
      await closed;
      expect(refusalOf(await signer.answer(master, forgetRequest(1))).code).toBe('store-failed');
    }));
});

describe('a store that is opened again', () => {
  it('holds what was acknowledged, and the signer goes on from there', () =>
    inDirectory(async (directory) => {
      const journal = failing(openStore(directory), 3);
      const signer = signerOn(journal);
      const kinds: string[] = [];
      for (const dbid of [1, 2, 3, 4]) kinds.push((await setup(signer, dbid)).kind);
      expect(kinds).toEqual(['reply', 'reply', 'reply', 'refused']);
      await journal.close();

      const reopened = openStore(directory);
      const ids = reopened.keys('channel/').map((key) => key.split('/').at(-1));
      expect(ids).toEqual(['1', '2', '3']);
      const next = signerOn(reopened);
      // The outpoint of channel 1 is still channel 1's.
      expect(refusalOf(await next.answer(channelClient(9), setupRequest(1))).code).toBe('policy');
      expect((await next.answer(master, forgetRequest(3))).kind).toBe('reply');
      expect((await setup(next, 4)).kind).toBe('reply');
      expect(reopened.read(`channel/${toHex(peerId)}/3`)?.version).toBe(2);
      expect(reopened.read(`channel/${toHex(peerId)}/4`)?.version).toBe(1);
      await reopened.close();
    }));

  it('answers a recorded session byte for byte, opened again after every few messages', () =>
    inDirectory(async (directory) => {
      const { ring, exchanges } = recordedSession('open-pay-close', 'l1');
      let journal = openStore(directory);
      let signer = signerOn(journal, { ring });
      let changed = 0;
      for (const [i, { seq, client, request, reply }] of exchanges.entries()) {
        if (i % 7 === 0) {
          changed += journal.stats.commits;
          await journal.close();
          journal = openStore(directory);
          signer = signerOn(journal, { ring });
        }
        const answer = await signer.answer(client, request);
        const got =
          answer.kind === 'reply' ? toHex(encodeMessage(answer.reply)) : refusalText(answer.refusal);
        expect({ seq, name: request.name, got }).toEqual({ seq, name: request.name, got: toHex(reply) });
      }
      expect(exchanges.length).toBeGreaterThan(100);
      expect(changed).toBeGreaterThan(20);
      await journal.close();
    }));
});

describe('a store belongs to one network and one node', () => {
  it('and is opened again by them', () =>
    inDirectory(async (directory) => {
      for (let start = 0; start < 3; start++) {
        const journal = openStore(directory);
        await bindStore(journal, ringOf(1), policyOf());
        expect((await setup(signerOn(journal), start + 1)).kind).toBe('reply');
        await journal.close();
      }
    }));

  it('whatever the preset', () =>
    inDirectory(async (directory) => {
      const journal = openStore(directory);
      await bindStore(journal, ringOf(1), policyOf('signet', 'permissive'));
      await bindStore(journal, ringOf(1), policyOf('signet', 'hub'));
      await journal.close();
    }));

  it('not to the same node on another network', () =>
    inDirectory(async (directory) => {
      const journal = openStore(directory);
      await bindStore(journal, ringOf(1), policyOf('testnet'));
      await expect(bindStore(journal, ringOf(1), policyOf('bitcoin'))).rejects.toMatchObject({
        code: 'store-bound-elsewhere',
        message: 'the store belongs to network testnet, not to network bitcoin',
        facts: { name: 'network' },
      });
      expect(journal.state).toBe('open');
      await journal.close();
    }));

  it('not to another node on the same network', () =>
    inDirectory(async (directory) => {
      const journal = openStore(directory);
      await bindStore(journal, ringOf(1), policyOf());
      const [bound, given] = [1, 2].map((seed) => toHex(ringOf(seed).identity.nodeId));
      await expect(bindStore(journal, ringOf(2), policyOf())).rejects.toMatchObject({
        code: 'store-bound-elsewhere',
        message: `the store belongs to node ${bound}, not to node ${given}`,
        facts: { name: 'node-id' },
      });
      await journal.close();
    }));
});

describe('a refusal', () => {
  it('changes nothing, in memory or on disk', () =>
    inDirectory(async (directory) => {
      const journal = openStore(directory);
      const signer = signerOn(journal);
      await setup(signer, 1);
      const before = journal.read(`channel/${toHex(peerId)}/1`);
      const { commits } = journal.stats;
      const changes: Request[] = [
        setupRequest(1, { channelType: Uint8Array.of(0) }),
        setupRequest(1, { remoteFundingPubkey: keyOf('another') }),
        { name: 'hsmd_revoke_commitment_tx', commitNum: 0n },
        { name: 'hsmd_lock_outpoint', fundingTxid: new Uint8Array(32), fundingTxout: 0 },
      ];
      for (const request of changes) {
        expect((await signer.answer(channelClient(1), request)).kind).toBe('refused');
      }
      expect(journal.stats.commits).toBe(commits);
      expect(journal.read(`channel/${toHex(peerId)}/1`)).toEqual(before);
      await journal.close();
    }));
});
