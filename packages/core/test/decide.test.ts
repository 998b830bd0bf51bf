/**
 * `decide` itself: pure, repeatable, nothing left behind by a refusal, and a refusal that tells its facts. (Every
 * request of every test here is decided twice and compared; see test-signer.ts.)
 */
import { FormError, toHex } from '@countersign/bitcoin';
import {
  type DecisionInput,
  decide,
  malformedRefusal,
  REFUSAL_WIRE_CODE,
  type Refusal,
  refusalText,
  releasePerCommitmentSecret,
  type StateReader,
} from '@countersign/core';
import type { Request } from '@countersign/wire';
import { describe, expect, it } from 'vitest';
import { channelId, requireChannel } from '../src/channel/lookup.ts';
import { requireCommitmentForm } from '../src/ratchet/commitment.ts';
import { releaseSecret } from '../src/ratchet/holder.ts';
import { RefusalSignal } from '../src/refusal.ts';
import { Draft } from '../src/state.ts';
import { OpenChannel } from './open-channel.ts';
import { bytesOf, CHANNEL_PERMISSIONS, MASTER, secp, type TestSigner } from './test-signer.ts';

const inputOf = (signer: TestSigner, state: StateReader = signer.state): DecisionInput => ({
  state,
  client: MASTER,
  policy: signer.policy,
  nowSeconds: signer.nowSeconds,
  chain: null,
  keys: signer.keys,
  secp,
  protocolVersion: 6,
  failPreapprovals: false,
});

describe('a decision', () => {
  it('leaves no change when it is a refusal, whatever the handler had done before', () => {
    const channel = new OpenChannel().open();
    const before = channel.signer.state.snapshot();
    const refusals: Request[] = [
      channel.model.revoke(0),
      channel.model.signRemote(2),
      { ...channel.model.setup(), isOutbound: false, fundingTxid: bytesOf('x') },
    ];
    for (const request of refusals) {
      const decision = channel.signer.decide(request, channel.signer.clientFor(request, channel.model.ref));
      expect(decision.kind).toBe('refused');
      expect(decision.changes).toEqual([]);
    }
    expect(channel.signer.state.snapshot()).toBe(before);
  });

  it('says whether it looked at any record: its reply waits for what it saw', () => {
    const channel = new OpenChannel().open();
    const { signer, model } = channel;
    const depends = (request: Request) => {
      const decision = signer.decide(request, signer.clientFor(request, model.ref));
      return decision.kind === 'approved' && decision.dependsOnState;
    };
    expect(depends(model.signRemote(0))).toBe(true);
    expect(depends(model.validate(0))).toBe(true);
    expect(depends({ name: 'hsmd_derive_secret', info: bytesOf('i') })).toBe(false);
    expect(depends(model.getPoint(5))).toBe(false);
    expect(depends({ name: 'hsmd_get_channel_basepoints', peerid: model.ref.peerId, dbid: 1n })).toBe(false);
  });

  it('does not hide a bug: any error that is no refusal and no form goes on', () => {
    const { signer, model } = new OpenChannel();
    const broken: StateReader = {
      read() {
        throw new RangeError('a bug');
      },
    };
    const client = { channel: model.ref, permissions: CHANNEL_PERMISSIONS };
    expect(() => decide({ ...inputOf(signer, broken), client }, model.revoke(0))).toThrow(RangeError);
    const malformed: StateReader = {
      read() {
        throw new FormError('bytes', { at: 1 });
      },
    };
    expect(decide({ ...inputOf(signer, malformed), client }, model.revoke(0))).toMatchObject({
      kind: 'refused',
      refusal: { code: 'malformed', tag: 'policy-generic-error', message: 'bytes', facts: { at: 1 } },
    });
  });
});

describe('a refusal', () => {
  const channel = new OpenChannel().open();
  const { model, signer } = channel;
  const id = channelId(model.ref);

  it("names the client's channel, or the one the master's request is about", () => {
    expect(channel.refused(model.revoke(0)).channel).toBe(id);
    expect(channel.refused({ ...model.signCommitment(0), commitNum: 5n }).channel).toBe(id);
    const any = { ...model.signCommitment(0), peerId: secp.publicKey(bytesOf('other')), channelDbid: 77n };
    expect(channel.refused(any).channel).toMatch(/\/77$/);
    const announcement: Request = {
      name: 'hsmd_sign_any_cannouncement_req',
      ca: new Uint8Array(0),
      peerid: model.ref.peerId,
      channelDbid: 1n,
    };
    expect(channel.refused(announcement).channel).toBe(id);
    expect(
      signer.refused({ name: 'hsmd_check_pubkey', index: 0, pubkey: model.ref.peerId }).channel,
    ).toBeNull();
  });

  it('is one text for the operator: tag, sentence, facts with units', () => {
    const refusal: Refusal = {
      code: 'policy',
      tag: 'policy-x',
      law: 1,
      severity: 'error',
      temporary: true,
      message: 'not now',
      facts: { number: 2, amount_sat: 5n },
      request: 'hsmd_x',
      channel: null,
    };
    expect(refusalText(refusal)).toBe(
      'policy-x: not now [number=2 amount_sat=5] (temporary: try again later)',
    );
    expect(refusalText({ ...refusal, temporary: false, facts: {} })).toBe('policy-x: not now');
  });

  it('has a wire code for each kind of no, and one for bytes that do not decode', () => {
    expect(new Set(Object.values(REFUSAL_WIRE_CODE)).size).toBe(6);
    expect(malformedRefusal('unknown', null, 'no type', { bytes: 1 })).toEqual({
      code: 'malformed',
      tag: 'policy-generic-error',
      law: 'form',
      severity: 'error',
      temporary: false,
      message: 'no type',
      facts: { bytes: 1 },
      request: 'unknown',
      channel: null,
    });
  });

  it('never holds a secret, neither ours nor one the request carried', () => {
    const flows: Request[] = [
      model.validateRevocation(0),
      { ...model.penalty(0, model.initial), revocationSecret: new Uint8Array(32).fill(0xff) },
      { name: 'hsmd_check_future_secret', n: 2n ** 48n, commitmentSecret: bytesOf('told') },
      { ...model.validateRevocation(0), revokeNum: 2n ** 48n },
    ];
    const secrets = [
      model.peerPerCommitmentSecret(0),
      new Uint8Array(32).fill(0xff),
      bytesOf('told'),
      releasePerCommitmentSecret(signer.ring, model.ref, 0),
    ].map((secret) => toHex(secret));
    for (const request of flows) {
      const text = refusalText(channel.refused(request));
      for (const secret of secrets) expect(text).not.toContain(secret);
    }
  });
});

describe('policy-generic-error', () => {
  it('policy-generic-error: trips on what contradicts itself or the state', () => {
    const channel = new OpenChannel().open();
    for (const request of [
      { ...channel.model.revoke(0), commitNum: 2n ** 48n },
      { ...channel.model.getPoint(0), n: 2n ** 63n },
    ])
      expect(channel.refused(request)).toMatchObject({
        tag: 'policy-generic-error',
        law: 'form',
        code: 'malformed',
      });
  });
  it('policy-generic-error: passes the highest number there is', () => {
    const channel = new OpenChannel().open();
    channel.ask(channel.model.getPoint(2 ** 48 - 1));
  });
});

describe('requireCommitmentForm', () => {
  it('holds by itself, whatever its caller has checked', () => {
    const channel = new OpenChannel().open();
    const { model, signer } = channel;
    const client = { channel: model.ref, permissions: CHANNEL_PERMISSIONS };
    const ctx = { ...inputOf(signer), client, draft: new Draft(signer.state), warnings: [], events: [] };
    const open = requireChannel(ctx, model.ref);
    const { tx } = model.build('holder', 0, model.initial);
    requireCommitmentForm(ctx, open, tx, 0);
    for (const inputs of [[], [...tx.inputs, ...tx.inputs]])
      expect(() => requireCommitmentForm(ctx, open, { ...tx, inputs }, 0)).toThrow(RefusalSignal);
  });
});

describe('releaseSecret', () => {
  it('holds by itself, whatever its caller has checked', () => {
    const channel = new OpenChannel().open();
    const { model, signer } = channel;
    channel.update(channel.balances);
    channel.validate();
    channel.ask({
      name: 'hsmd_check_future_secret',
      n: 9n,
      commitmentSecret: releasePerCommitmentSecret(signer.ring, model.ref, 9),
    });
    const draft = new Draft(signer.state);
    const client = { channel: model.ref, permissions: CHANNEL_PERMISSIONS };
    const ctx = { ...inputOf(signer), client, draft, warnings: [], events: [] };
    const open = requireChannel(ctx, model.ref);
    const frozen = expect.objectContaining({
      rule: expect.objectContaining({ tag: 'policy-channel-frozen' }),
    });
    expect(() => releaseSecret(ctx, open, 1)).toThrow(frozen);
    const stopped = { ...open, record: { ...open.record, frozen: false, stopped: true } };
    expect(() => releaseSecret(ctx, stopped, 1)).toThrow(frozen);
    expect(draft.changes()).toEqual([]);
    releaseSecret(ctx, open, 0);
    releaseSecret(ctx, { ...open, record: { ...open.record, frozen: false } }, 1);
    expect(draft.changes()).not.toEqual([]);
  });
});
