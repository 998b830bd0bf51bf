/**
 * The audit log: what each decision leaves in it, that a flood leaves little, that it holds no secret, and that the
 * number of an entry is the journal's.
 */
import { createHash } from 'node:crypto';
import { msat, toHex } from '@countersign/bitcoin';
import { EMPTY_PAYMENT, encodeRecord, paymentRecords, type Refusal } from '@countersign/core';
import type { Journal } from '@countersign/store';
import type { Request } from '@countersign/wire';
import { describe, expect, it } from 'vitest';
import { AUDIT_LIMITS, decidedEntry, refusedEntry } from '../src/audit/entry.ts';
import { AuditTrail, BURST_ENTRIES } from '../src/audit/trail.ts';
import {
  channelClient,
  ecdhRequest,
  failing,
  forgetRequest,
  inDirectory,
  late,
  master,
  openStore,
  peerId,
  policyOf,
  setupRequest,
  signerOn,
  stateOf,
} from './support.ts';

const NOW = 1_700_000_000;

function entries(journal: Journal): Record<string, unknown>[] {
  return journal.audit(1, 10_000).map(({ body }) => JSON.parse(new TextDecoder().decode(body)));
}

/** Refused: the client lacks the permission. */
const denied = (dbid: number) => ({
  client: { ...channelClient(dbid), permissions: 0n },
  request: ecdhRequest,
});

const refusal: Refusal = {
  code: 'policy',
  tag: 'policy-x',
  law: 3,
  severity: 'error',
  temporary: true,
  message: 'too much',
  facts: { amount_msat: 5n, count: 2, name: 'a', is_ours: false },
  request: 'hsmd_x',
  channel: null,
};

describe('an entry', () => {
  it('tells of a change of state: when, which request, which channel, which records', () =>
    inDirectory(async (directory) => {
      const journal = openStore(directory);
      const signer = signerOn(journal);
      await signer.answer(channelClient(7), setupRequest(7));
      await signer.answer(master, forgetRequest(7));
      const channel = `${toHex(peerId)}/7`;
      const txid = createHash('sha256').update('funding 7').digest().reverse().toString('hex');
      const [first, second] = entries(journal);
      expect(first).toMatchObject({ time: NOW, request: 'hsmd_setup_channel', channel });
      expect(first!.changed).toContain('channel');
      expect(first!.changed).toContain(`funding/${txid}:0`);
      // A request of lightningd itself about a channel.
      expect(second).toMatchObject({ request: 'hsmd_forget_channel', channel });
      await journal.close();
    }));

  it('tells of a refusal all that there is to know', () =>
    inDirectory(async (directory) => {
      const journal = openStore(directory);
      const signer = signerOn(journal);
      const { client, request } = denied(3);
      const answer = await signer.answer(client, request);
      await journal.settled();
      expect(answer).toMatchObject({ kind: 'refused', id: 1 });
      expect(entries(journal)).toEqual([
        {
          time: NOW,
          request: 'hsmd_ecdh_req',
          channel: `${toHex(peerId)}/3`,
          refusal: {
            code: 'permission',
            tag: 'policy-client-permission',
            law: 'form',
            severity: 'error',
            temporary: false,
            message: expect.any(String),
            facts: { permissions: '0', permission_needed: '1' },
          },
        },
      ]);
      await journal.close();
    }));

  it('is not made where nothing changed and nothing was refused', () =>
    inDirectory(async (directory) => {
      const journal = openStore(directory);
      const signer = signerOn(journal);
      await signer.answer(master, ecdhRequest);
      await signer.answer(master, forgetRequest(9));
      await journal.settled();
      expect(journal.auditHead.seq).toBe(0);
      await journal.close();
    }));

  it('has the same bytes for the same decision, keys in one order', () => {
    const text = new TextDecoder().decode(refusedEntry(5, refusal));
    expect(text).toBe(
      '{"time":5,"request":"hsmd_x","refusal":{"code":"policy","tag":"policy-x","law":3,"severity":"error",' +
        '"temporary":true,"message":"too much","facts":{"amount_msat":"5","count":2,"name":"a","is_ours":false}}}',
    );
  });

  it('is small for a routine change of state', () => {
    const channel = `${toHex(peerId)}/12345`;
    const entry = decidedEntry({
      timeSeconds: NOW,
      request: 'hsmd_sign_remote_commitment_tx',
      channel,
      changes: [{ key: `channel/${channel}`, version: 3, value: new Uint8Array(2000) }],
      warnings: [],
      events: [],
    });
    expect(entry.length).toBeLessThan(200);
    expect(JSON.parse(new TextDecoder().decode(entry)).changed).toEqual(['channel']);
  });

  it('is bounded, whatever stands in it', () => {
    const long = 'x'.repeat(100_000);
    const facts = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`fact_${i}`, long]));
    const refused = refusedEntry(NOW, { ...refusal, message: long, facts });
    expect(refused.length).toBeLessThanOrEqual(AUDIT_LIMITS.bytes);
    expect(JSON.parse(new TextDecoder().decode(refused))).toMatchObject({
      refusal: { tag: 'policy-x' },
      too_large_bytes: expect.any(Number),
    });
    const decided = decidedEntry({
      timeSeconds: NOW,
      request: 'hsmd_x',
      channel: null,
      changes: Array.from({ length: 4000 }, (_, i) => ({ key: `payment/${i}`, version: 1, value: null })),
      warnings: Array.from({ length: 900 }, () => ({ tag: 't', message: 'm', facts: {} })),
      events: Array.from({ length: 900 }, () => ({ event: 'e', facts: {} })),
    });
    expect(decided.length).toBeLessThanOrEqual(AUDIT_LIMITS.bytes);
    const body = JSON.parse(new TextDecoder().decode(decided));
    expect([body.changed.length + body.changed_more, body.events.length + body.events_more]).toEqual([
      4000, 900,
    ]);
  });

  it('holds no preimage that the node side brings', () =>
    inDirectory(async (directory) => {
      const journal = openStore(directory);
      const preimage = createHash('sha256').update('secret').digest();
      const hash = createHash('sha256').update(preimage).digest('hex');
      const value = encodeRecord(paymentRecords, EMPTY_PAYMENT);
      await journal.commit([{ key: `payment/${hash}`, version: 1, value }], []);
      const request: Request = { name: 'countersign_preimages', preimages: [preimage] };
      await signerOn(journal).answer(master, request);
      const [entry] = journal.audit(1, 1);
      const text = new TextDecoder().decode(entry!.body);
      expect(text).toContain(`payment/${hash}`);
      expect(text).not.toContain(preimage.toString('hex'));
      expect(text).not.toContain(preimage.toString('base64'));
      await journal.close();
    }));
});

describe('the number of an entry', () => {
  it('is the journal’s, also after a restart', () =>
    inDirectory(async (directory) => {
      for (const first of [1, 7]) {
        const journal = openStore(directory);
        const signer = signerOn(journal);
        const ids: (number | null)[] = [];
        for (let i = 0; i < 3; i++) {
          await signer.answer(channelClient(first + i), setupRequest(first + i));
          const { client, request } = denied(i);
          const answer = await signer.answer(client, request);
          ids.push(answer.kind === 'refused' ? answer.id : null);
        }
        await journal.settled();
        expect(ids).toEqual([first + 1, first + 3, first + 5]);
        for (const id of ids) {
          const body = JSON.parse(new TextDecoder().decode(journal.audit(id!, 1)[0]!.body));
          expect(body.refusal).toBeDefined();
        }
        expect(await journal.verifyAudit()).toEqual(journal.auditHead);
        await journal.close();
      }
    }));
});

describe('a flood of refusals', () => {
  it('fills the log with a burst, then one a second, and the log says what is missing', () =>
    inDirectory(async (directory) => {
      const journal = openStore(directory);
      let now = NOW;
      const signer = signerOn(journal, { nowSeconds: () => now });
      const { client, request } = denied(1);
      const flood = async (count: number): Promise<(number | null)[]> => {
        const answers = await Promise.all(
          Array.from({ length: count }, () => signer.answer(client, request)),
        );
        return answers.map((answer) => (answer.kind === 'refused' ? answer.id : null));
      };
      const ids = await flood(BURST_ENTRIES + 500);
      expect(ids[BURST_ENTRIES - 1]).toBe(BURST_ENTRIES);
      expect(ids.slice(BURST_ENTRIES)).toEqual(Array.from({ length: 500 }, () => null));
      now += 3;
      expect((await flood(5)).filter((id) => id !== null)).toHaveLength(3);
      await journal.settled();
      const all = entries(journal);
      expect(all).toHaveLength(BURST_ENTRIES + 1 + 3);
      expect(all[BURST_ENTRIES]).toEqual({
        time: NOW + 3,
        events: [{ event: 'audit-entries-left-out', facts: { entries: 500 } }],
      });
      signer.end();
      await journal.settled();
      expect(entries(journal).at(-1)).toMatchObject({ events: [{ facts: { entries: 2 } }] });
      await journal.close();
    }));

  it('takes no entry from what changes the state', () =>
    inDirectory(async (directory) => {
      const journal = openStore(directory);
      const signer = signerOn(journal);
      const { client, request } = denied(1);
      for (let i = 0; i < BURST_ENTRIES + 10; i++) await signer.answer(client, request);
      await journal.settled();
      const before = journal.auditHead.seq;
      await signer.answer(channelClient(1), setupRequest(1));
      expect(journal.auditHead.seq).toBe(before + 1);
      await journal.close();
    }));

  it('gains nothing by a clock that is set back', () =>
    inDirectory(async (directory) => {
      const journal = openStore(directory);
      let now = NOW;
      const trail = new AuditTrail(journal, () => now);
      for (let i = 0; i < BURST_ENTRIES; i++) void trail.refused(refusal);
      now -= 100;
      expect(trail.refused(refusal).id).toBeNull();
      now += 1;
      expect(trail.refused(refusal).id).not.toBeNull();
      expect(trail.refused(refusal).id).toBeNull();
      await journal.close();
    }));

  it('counts warnings of requests that change nothing like refusals', () =>
    inDirectory(async (directory) => {
      const journal = openStore(directory);
      const trail = new AuditTrail(journal, () => NOW);
      const parts = {
        request: 'hsmd_x',
        channel: null,
        changes: [],
        events: [],
        warnings: [{ tag: 'policy-x', message: 'm', facts: {} }],
      };
      for (let i = 0; i < BURST_ENTRIES; i++) expect(trail.decided(parts).id).toBe(i + 1);
      expect(trail.decided(parts).id).toBeNull();
      expect(trail.decided({ ...parts, warnings: [] })).toMatchObject({ id: null });
      await journal.close();
    }));
});

describe('the log and the disk', () => {
  it('does not hold a refusal up', () =>
    inDirectory(async (directory) => {
      const journal = late(openStore(directory));
      const signer = signerOn(journal);
      const { client, request } = denied(1);
      expect((await signer.answer(client, request)).kind).toBe('refused');
      expect(journal.waiting).toBe(1);
      journal.release();
      await journal.close();
    }));

  it('holds a refusal up that leaves a question for the operator: it must survive a crash', () =>
    inDirectory(async (directory) => {
      const journal = late(openStore(directory));
      const signer = signerOn(journal, { policy: policyOf('regtest', 'hub') });
      const answer = signer.answer(master, {
        name: 'hsmd_preapprove_keysend_check',
        destination: peerId,
        paymentHash: new Uint8Array(32).fill(1),
        amountMsat: msat(1000n),
        checkOnly: false,
      });
      expect(await stateOf(answer)).toBe('pending');
      journal.release();
      expect(await answer).toMatchObject({ kind: 'refused', id: 1 });
      expect(entries(journal)).toMatchObject([{ refusal: { code: 'policy' } }]);
      await journal.close();
    }));

  it('stops the signer when an entry cannot be written', () =>
    inDirectory(async (directory) => {
      const journal = failing(openStore(directory));
      const signer = signerOn(journal);
      const { client, request } = denied(1);
      expect(await signer.answer(client, request)).toMatchObject({
        kind: 'refused',
        refusal: { code: 'permission' },
      });
      await new Promise((resolve) => setImmediate(resolve));
      expect(signer.failure?.code).toBe('store-disk-full');
      const after = await signer.answer(master, ecdhRequest);
      expect(after).toMatchObject({ kind: 'refused', id: null, refusal: { code: 'store-failed' } });
      expect(signer.recordRefusal(refusal)).toBeNull();
      signer.recordEvent({ event: 'x', facts: {} });
      signer.end();
      const administered = await signer.administer({ op: 'pending-list' });
      expect(administered).toMatchObject({ ok: false, error: { code: 'store-failed' } });
      await journal.close();
    }));

  it('has what nobody asked for', () =>
    inDirectory(async (directory) => {
      const journal = openStore(directory);
      signerOn(journal).recordEvent({ event: 'signer-started', facts: { preset: 'hub' } });
      await journal.settled();
      expect(entries(journal)).toEqual([
        { time: NOW, events: [{ event: 'signer-started', facts: { preset: 'hub' } }] },
      ]);
      await journal.close();
    }));

  it('has what the session refused', () =>
    inDirectory(async (directory) => {
      const journal = openStore(directory);
      const signer = signerOn(journal);
      expect(signer.recordRefusal(refusal)).toBe(1);
      await journal.settled();
      expect(entries(journal)[0]).toMatchObject({ request: 'hsmd_x', refusal: { tag: 'policy-x', law: 3 } });
      await journal.close();
    }));
});

describe('what the operator does', () => {
  it('is durable and on the log before it is answered', () =>
    inDirectory(async (directory) => {
      const journal = late(openStore(directory));
      const signer = signerOn(journal, { policy: policyOf('regtest', 'hub') });
      const text = `0014${'22'.repeat(20)}`;
      const adding = signer.administer({ op: 'allowlist-add', kind: null, text });
      let settled = false;
      void adding.then(() => {
        settled = true;
      });
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(settled).toBe(false);
      journal.release();
      expect(await adding).toMatchObject({ ok: true, result: { op: 'allowlist-add', entry: { text } } });
      expect(entries(journal)).toMatchObject([{ operation: 'allowlist-add', changed: ['allowlist/list'] }]);
      expect(await signer.administer({ op: 'allowlist-list' })).toMatchObject({
        result: { entries: [{ text }] },
      });
      expect(journal.waiting).toBe(0);
      await journal.close();
    }));

  it('leaves no trace when it fails', () =>
    inDirectory(async (directory) => {
      const journal = openStore(directory);
      const signer = signerOn(journal);
      expect(await signer.administer({ op: 'reject', id: 'f'.repeat(64) })).toMatchObject({
        ok: false,
        error: { code: 'not-found' },
      });
      await journal.settled();
      expect(journal.auditHead.seq).toBe(0);
      await journal.close();
    }));

  it('stops with the store', () =>
    inDirectory(async (directory) => {
      const journal = failing(openStore(directory));
      const signer = signerOn(journal);
      const answer = await signer.administer({
        op: 'allowlist-add',
        kind: null,
        text: `0014${'22'.repeat(20)}`,
      });
      expect(answer).toMatchObject({ ok: false, error: { code: 'store-failed' } });
      expect(signer.failure?.code).toBe('store-disk-full');
      await journal.close();
    }));
});
