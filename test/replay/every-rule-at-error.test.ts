/**
 * The recorded sessions once more, under preset `hub` with every rule at error: what an operator would approve is
 * approved when the signer asks for it, and the preimages are delivered as the companion plugin would. No refusal but the
 * explained ones, and every reply byte for byte. In this process, since the recordings hold no preimages: to deliver one,
 * the record of its payment is given one that the recording leaves open.
 */
import { join } from 'node:path';
import { loadSecp256k1, toHex } from '@countersign/bitcoin';
import {
  BUNDLED_RECORDINGS,
  loadScenario,
  NOT_SIGNED_YET,
  type RecordedMessage,
  type Recording,
  SIGNED_WHOLE,
  scenarioName,
  scenariosAt,
} from '@countersign/cli';
import {
  administer,
  allRules,
  type Change,
  type ClientIdentity,
  decide,
  KeyRing,
  keyView,
  MASTER_PERMISSIONS,
  networkByName,
  openHsmSecretSync,
  type PaymentRecord,
  paymentRecords,
  perform,
  policyOf,
  type RecordKind,
  type Refusal,
  recordKey,
  type StateReader,
  type Versioned,
} from '@countersign/core';
import { decodeMessage, encodeMessage, type MessageOf, type Request } from '@countersign/wire';
import { describe, expect, it } from 'vitest';
import { readBolt11 } from '../../packages/core/src/payments/bolt11.ts';
import { readBolt12 } from '../../packages/core/src/payments/bolt12.ts';
import { EXPLAINED } from './explained.ts';

const secp = loadSecp256k1();
const regtest = networkByName('regtest')!;
/** Every soft rule, the optional ones of other presets aside. */
const AT_ERROR = new Map(
  allRules()
    .filter((one) => one.severity === 'soft' && one.presets === undefined)
    .map((one) => [one.tag, 'error'] as const),
);

class State implements StateReader {
  readonly #records = new Map<string, Versioned<unknown>>();

  read<T>(kind: RecordKind<T>, id: string): Versioned<T> | undefined {
    return this.#records.get(recordKey(kind, id)) as Versioned<T> | undefined;
  }

  apply(changes: readonly Change[]): void {
    for (const { kind, id, version, value } of changes) {
      this.#records.set(recordKey(kind, id), {
        version,
        value: kind.name === paymentRecords.name ? delivered(value) : value,
      });
    }
  }
}

/** The preimage of a payment that is in flight from us: somebody downstream knows it. */
function delivered(value: unknown): unknown {
  const record = value as PaymentRecord | null;
  if (record === null || record.preimage !== null || !record.parts.some((part) => part.outMsat > 0n))
    return record;
  return { ...record, preimage: new Uint8Array(32) };
}

/** Destinations that the operator of a recorded node chose (`close` to an address of somebody else). */
const ALLOWLISTED: Readonly<Record<string, readonly string[]>> = {
  'onchain/l1': ['51200e6ed08c107156d4e23da37898a4c787e26888fafb3f7dc7b51e1c0175f20973'],
};

/** What the replay of a process calls a refusal in a gentle form. */
const GENTLE: Readonly<Record<string, string>> = {
  [NOT_SIGNED_YET]: 'policy-onchain-initial-commitment-countersigned',
};

/** Requests of the session itself, which no signer decides. */
const SESSION = new Set(['hsmd_init', 'hsmd_dev_preinit', 'hsmd_client_hsmfd', 'hsmd_dev_memleak']);

class Played {
  readonly state = new State();
  readonly refusals: { readonly seq: number; readonly refusal: Refusal }[] = [];
  readonly approved = new Set<string>();
  readonly differing: number[] = [];
  readonly #clients = new Map<number, ClientIdentity>([
    [0, { channel: null, permissions: MASTER_PERMISSIONS }],
  ]);
  readonly #ring: KeyRing;
  readonly #policy = policyOf(regtest, 'hub', {
    severities: AT_ERROR,
    approvals: { auto: 'none', autoPaymentVelocity: null, expirySeconds: 86_400 },
  });
  readonly #nowSeconds: number;

  constructor(secret: Uint8Array, passphrase: string | undefined, nowSeconds: number) {
    const { seed } = openHsmSecretSync(secret, passphrase);
    this.#ring = new KeyRing({ secp256k1: secp, seed, bip32PublicVersion: regtest.bip32Public });
    this.#nowSeconds = nowSeconds;
  }

  play(message: RecordedMessage): void {
    const decoded = decodeMessage(message.request, 'request');
    if (!decoded.ok || decoded.message.name === 'unknown') return;
    if (decoded.message.name === 'hsmd_client_hsmfd') this.#open(message, decoded.message);
    if (SESSION.has(decoded.message.name)) return;
    const request = decoded.message as Request;
    const client = this.#clients.get(message.client.id);
    if (client === undefined) throw new Error(`message ${message.seq} of an unknown client`);
    let decision = this.#decide(request, client);
    // As an operator: what waits is approved, and the node asks again.
    while (decision.kind === 'refused' && decision.changes.length > 0 && this.#approve(decision.changes)) {
      decision = this.#decide(request, client);
    }
    if (decision.kind === 'refused') {
      this.refusals.push({ seq: message.seq, refusal: decision.refusal });
      return;
    }
    this.state.apply(decision.changes);
    const reply = encodeMessage(perform(this.#ring, decision.release));
    const { expected } = message;
    if (expected.kind === 'reply' && toHex(reply) !== toHex(expected.body)) this.differing.push(message.seq);
  }

  #open(message: RecordedMessage, { id, dbid, permissions }: MessageOf<'hsmd_client_hsmfd'>): void {
    if (message.opensClient === null) return;
    this.#clients.set(message.opensClient, {
      channel: dbid === 0n ? null : { peerId: id, dbid },
      permissions,
    });
  }

  #decide(request: Request, client: ClientIdentity) {
    return decide(
      {
        state: this.state,
        client,
        policy: this.#policy,
        keys: keyView(this.#ring),
        secp,
        protocolVersion: 6,
        failPreapprovals: false,
        nowSeconds: this.#nowSeconds,
        chain: null,
      },
      request,
    );
  }

  allow(script: string): void {
    const place = { state: this.state, policy: this.#policy, secp, nowSeconds: this.#nowSeconds };
    const done = administer(place, { op: 'allowlist-add', kind: 'script', text: script });
    if (!done.ok) throw new Error(done.error.message);
    this.state.apply(done.changes);
  }

  #approve(changes: readonly Change[]): boolean {
    this.state.apply(changes);
    const place = { state: this.state, policy: this.#policy, secp, nowSeconds: this.#nowSeconds };
    const list = administer(place, { op: 'pending-list' });
    if (!list.ok || list.result.op !== 'pending-list') return false;
    const waiting = list.result.pending.at(-1);
    if (waiting === undefined) return false;
    this.approved.add(waiting.id);
    const done = administer(place, { op: 'approve', id: waiting.id, amountMsat: null, expirySeconds: null });
    if (done.ok) this.state.apply(done.changes);
    return done.ok;
  }
}

/** A clock at which no invoice of the recording has expired: just after the last one was made. */
function clockOf(recording: Recording): number {
  let latest = 1_700_000_000;
  for (const message of recording.runs.flat()) {
    const decoded = decodeMessage(message.request, 'request');
    if (!decoded.ok || decoded.message.name !== 'hsmd_preapprove_invoice_check') continue;
    const text = decoded.message.invstring;
    const { createdAtSeconds } = text.toLowerCase().startsWith('lni') ? readBolt12(text) : readBolt11(text);
    latest = Math.max(latest, createdAtSeconds);
  }
  return latest + 1;
}

const names = scenariosAt(undefined)
  .map(scenarioName)
  .filter((name) => name !== 'synthetic');

describe.each(names)('%s with every rule at error', (name) => {
  it.each(loadScenario(join(BUNDLED_RECORDINGS, name)).map((one) => [one.node, one] as const))(
    '%s',
    { timeout: 300_000 },
    (_, recording) => {
      const played = new Played(recording.hsmSecret, undefined, clockOf(recording));
      for (const script of ALLOWLISTED[`${recording.scenario}/${recording.node}`] ?? []) played.allow(script);
      for (const message of recording.runs.flat()) played.play(message);
      const all = EXPLAINED[`${recording.scenario}/${recording.node}`] ?? [];
      const explained = all.filter(({ tag }) => tag !== SIGNED_WHOLE);
      const expected = explained
        .flatMap(({ tag, messages }) => messages.map((seq) => `${seq} ${GENTLE[tag] ?? tag}`))
        .sort();
      const refused = played.refusals.map(({ seq, refusal }) => `${seq} ${refusal.tag}`).sort();
      expect(refused).toEqual(expected);
      expect(played.differing).toEqual(
        all.filter((one) => !explained.includes(one)).flatMap((one) => one.messages),
      );
    },
  );
});
