import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  ByteWriter,
  createPsbt,
  loadSecp256k1,
  type Psbt,
  p2wpkhOfKey,
  sat,
  serializeNoWitness,
  toHex,
  txid as txidOf,
  writeTxOutput,
} from '@countersign/bitcoin';
import { KeyRing, Secret } from '@countersign/core';
import { encodeFrame } from '@countersign/transport';
import { encodeMessage, type MessageOf, type Reply, type Request } from '@countersign/wire';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import {
  ALL_BITS,
  ECDH,
  endAll,
  type HsmdUnderTest,
  isServing,
  Link,
  networkDirectory,
  PEER,
  POINT,
  removeDirectories,
  SECRET,
  serving,
} from './hsmd-under-test.ts';

afterEach(endAll);
afterAll(removeDirectories);

const MALFORMED = 2;
const PERMISSION = 3;

function refusalOf(reply: Reply | 'closed'): MessageOf<'vls_signer_error'> {
  if (reply === 'closed' || reply.name !== 'vls_signer_error')
    throw new Error(`got ${JSON.stringify(reply)}`);
  return reply;
}

async function isAnswered(link: Link): Promise<boolean> {
  const reply = await link.ask(ECDH);
  return reply !== 'closed' && reply.name === 'hsmd_ecdh_resp';
}

/** A withdrawal of inputs that are ours, in a PSBT that a proprietary field swells to nearly the limit. */
function withdrawalOf(inputCount: number, paddingBytes: number): MessageOf<'hsmd_sign_withdrawal'> {
  const ring = new KeyRing({
    secp256k1: loadSecp256k1(),
    seed: Secret.copy(SECRET, 32),
    bip32PublicVersion: 0x043587cf,
  });
  const script = p2wpkhOfKey(ring.walletPublicKey(0));
  const none = new Uint8Array(0);
  const output = { value: sat(1_000), script };
  // The previous transaction proves what the inputs are worth.
  const previous = {
    version: 2,
    inputs: [{ txid: new Uint8Array(32).fill(1), vout: 0, scriptSig: none, sequence: 0, witness: [] }],
    outputs: Array.from({ length: inputCount }, () => output),
    locktime: 0,
  };
  const inputs = previous.outputs.map((_, vout) => ({
    txid: txidOf(previous),
    vout,
    scriptSig: none,
    sequence: 0,
    witness: [],
  }));
  const writer = new ByteWriter(64);
  writeTxOutput(writer, output);
  const spent = writer.finish();
  const empty = createPsbt({ version: 2, inputs, outputs: [{ value: sat(900), script }], locktime: 0 });
  const padding = { type: 0xfc, keyData: Uint8Array.of(1), value: new Uint8Array(paddingBytes) };
  const psbt: Psbt = {
    ...empty,
    inputs: inputs.map((_, i) => [
      { type: 0, keyData: none, value: serializeNoWitness(previous) },
      { type: 1, keyData: none, value: spent },
      ...(i === 0 ? [padding] : []),
    ]),
  };
  const utxos = inputs.map(({ txid, vout }) => ({
    outpoint: { txid, vout },
    amount: sat(1_000),
    keyindex: 0,
    isP2sh: false,
    scriptPubkey: script,
    closeInfo: undefined,
    isInCoinbase: false,
  }));
  return { name: 'hsmd_sign_withdrawal', inputs: utxos, psbt };
}

const REVOKE: Request = { name: 'hsmd_revoke_commitment_tx', commitNum: 5n };

describe('a bad request of a client', () => {
  it.each<[string, Request | Uint8Array, bigint, number, RegExp]>([
    [
      'of an unknown type',
      Uint8Array.of(0x12, 0x34, 1, 2),
      ALL_BITS,
      MALFORMED,
      /unknown request \[message_type=4660\]/,
    ],
    ['without a type', Uint8Array.of(1), ALL_BITS, MALFORMED, /message without a type/],
    ['that is empty', new Uint8Array(0), ALL_BITS, MALFORMED, /message without a type/],
    ['that is cut', encodeMessage(ECDH).subarray(0, 20), ALL_BITS, MALFORMED, /message_name=hsmd_ecdh_req/],
    ['beyond its permissions', ECDH, 8n, PERMISSION, /does not have capability to run hsmd_ecdh_req/],
    [
      'only lightningd may ask',
      { name: 'hsmd_sign_message', msg: POINT },
      ALL_BITS,
      PERMISSION,
      /hsmd_sign_message/,
    ],
    [
      'for a client of its own',
      { name: 'hsmd_client_hsmfd', id: PEER, dbid: 1n, permissions: 1n },
      ALL_BITS,
      PERMISSION,
      /hsmd_client_hsmfd/,
    ],
  ])(
    '%s is refused, lightningd is told, its socket closes, and nobody else notices',
    async (_, body, bits, code, text) => {
      const hsmd = await serving();
      const bad = await hsmd.openClient(1n, bits);
      const good = await hsmd.openClient(2n);
      const refusal = refusalOf(await bad.ask(body));
      expect(refusal.code).toBe(code);
      expect(refusal.message).toMatch(text);
      expect(refusal.message).toMatch(/^policy-(generic-error|client-permission): /);
      expect(await bad.receive()).toBe('closed');
      const told = await hsmd.waitForStatus((one) => one.name === 'hsmstatus_client_bad_request');
      expect(told).toMatchObject({ id: PEER, description: refusal.message });
      expect(hsmd.statusNamed('hsmstatus_client_bad_request').length).toBe(1);
      expect(await isAnswered(good)).toBe(true);
      expect(await isServing(hsmd)).toBe(true);
      // The channel may have its client again.
      expect(await isAnswered(await hsmd.openClient(1n))).toBe(true);
    },
  );

  it('is told by its type only: the rest can be a secret', async () => {
    const hsmd = await serving();
    const bad = await hsmd.openClient(1n, 1n);
    const secret = new Uint8Array(32).fill(0xd7);
    refusalOf(
      await bad.ask({ name: 'hsmd_validate_revocation', revokeNum: 1n, perCommitmentSecret: secret }),
    );
    const told = await hsmd.waitForStatus((one) => one.name === 'hsmstatus_client_bad_request');
    expect('msg' in told && toHex(told.msg)).toBe('0024');
    expect(toHex(hsmd.written('status'))).not.toContain(toHex(secret));
  });

  it('longer than the limit is refused at its header; lightningd learns why the socket closed', async () => {
    const hsmd = await serving();
    const good = await hsmd.openClient(2n);
    for (const [i, length] of [4 * 1024 * 1024 + 1, 0x7fffffff, 0xffffffff].entries()) {
      const bad = await hsmd.openClient(1n);
      const header = new Uint8Array(4);
      new DataView(header.buffer).setUint32(0, length);
      await bad.sendRaw(header);
      expect(refusalOf(await bad.reply()).message).toMatch(/larger than message_bytes_max/);
      expect(await bad.receive()).toBe('closed');
      await hsmd.waitForStatus(() => hsmd.statusNamed('hsmstatus_client_bad_request').length === i + 1);
      expect(hsmd.statusNamed('hsmstatus_client_bad_request')[i]!.description).toBe(
        `policy-generic-error: the request is larger than message_bytes_max in countersign.toml allows [message_bytes=${length} max_bytes=4194304]`,
      );
    }
    expect(await isAnswered(good)).toBe(true);
    expect(await isServing(hsmd)).toBe(true);
  });

  it('that is only refused by the policy leaves the socket open', async () => {
    const hsmd = await serving();
    const client = await hsmd.openClient(1n);
    expect(refusalOf(await client.ask(REVOKE)).message).toMatch(/^policy-/);
    expect(await isAnswered(client)).toBe(true);
    expect(hsmd.statusNamed('hsmstatus_client_bad_request')).toEqual([]);
    await expect
      .poll(() => hsmd.statusNamed('status_log').at(-1))
      .toMatchObject({
        peer: PEER,
        entry: expect.stringMatching(/^refused hsmd_revoke_commitment_tx: policy-/),
      });
  });
});

describe('a bad request of lightningd', () => {
  it.each<[string, Request | Uint8Array, number]>([
    ['of an unknown type', Uint8Array.of(0x12, 0x34, 1, 2), MALFORMED],
    ['without a type', Uint8Array.of(1), MALFORMED],
    ['that is empty', new Uint8Array(0), MALFORMED],
    ['that is cut', encodeMessage(ECDH).subarray(0, 20), MALFORMED],
    ['beyond its permissions', REVOKE, PERMISSION],
  ])('%s is refused, and the process lives', async (_, body, code) => {
    const hsmd = await serving();
    const client = await hsmd.openClient(1n);
    expect(refusalOf(await hsmd.master.ask(body)).code).toBe(code);
    expect(await isServing(hsmd)).toBe(true);
    expect(await isAnswered(client)).toBe(true);
    expect(hsmd.statusNamed('hsmstatus_client_bad_request')).toEqual([]);
    expect(hsmd.statusNamed('status_fail')).toEqual([]);
    await expect.poll(() => hsmd.logged('broken')).toEqual([expect.stringMatching(/^refused /)]);
  });

  it('longer than the limit is refused, its bytes are dropped, and the process lives', async () => {
    const hsmd = await serving();
    const length = 5 * 1024 * 1024;
    const request = new Uint8Array(4 + length);
    new DataView(request.buffer).setUint32(0, length);
    await hsmd.master.sendRaw(request);
    expect(refusalOf(await hsmd.master.reply()).message).toMatch(
      /larger than message_bytes_max .*message_bytes=5242880 max_bytes=4194304/,
    );
    expect(await isServing(hsmd)).toBe(true);
  });
});

describe('a request', () => {
  it('whose reply outgrows the limit by its own signatures is refused, and the process lives', async () => {
    const hsmd = await serving();
    const body = encodeMessage(withdrawalOf(20, 4 * 1024 * 1024 - 17_900), new Uint8Array(0));
    expect(body.length).toBeLessThanOrEqual(4 * 1024 * 1024);
    const refusal = refusalOf(await hsmd.master.ask(body));
    expect(refusal.message).toMatch(/^policy-generic-error: the reply: /);
    expect(refusal.code).toBe(MALFORMED);
    expect(await isServing(hsmd)).toBe(true);
  });

  it('may be followed by bytes nobody knows', async () => {
    const hsmd = await serving();
    const client = await hsmd.openClient(1n);
    const plain = await client.ask(ECDH);
    expect(await client.ask(Uint8Array.of(...encodeMessage(ECDH), 1, 2, 3))).toEqual(plain);
    expect(await hsmd.master.ask(Uint8Array.of(...encodeMessage(ECDH), 0))).toEqual(plain);
  });

  it('and its reply may be as long as the configuration says', async () => {
    const toml = 'message_bytes_max = 16_777_216\n';
    const directory = networkDirectory({ hsm_secret: SECRET, 'countersign.toml': toml });
    const hsmd = await serving({ directory });
    const reply = await hsmd.master.ask({
      name: 'hsmd_sign_withdrawal',
      inputs: [],
      psbt: psbtOf(6_000_000),
    });
    expect(reply).toMatchObject({ name: 'hsmd_sign_withdrawal_reply' });
    expect(await isServing(hsmd)).toBe(true);
  });
});

/** A PSBT that spends nothing of ours, with an unknown field of that length. */
function psbtOf(bytes: number): Psbt {
  const outpoint = { txid: new Uint8Array(32).fill(1), vout: 0 };
  const unsignedTx = {
    version: 2,
    inputs: [{ ...outpoint, scriptSig: new Uint8Array(0), sequence: 0xffffffff, witness: [] }],
    outputs: [{ value: sat(1_000n), script: Uint8Array.of(0x51) }],
    locktime: 0,
  };
  const none = new Uint8Array(0);
  return {
    unsignedTx,
    global: [
      { type: 0, keyData: none, value: serializeNoWitness(unsignedTx) },
      { type: 0xfc, keyData: Uint8Array.of(1, 120, 0), value: new Uint8Array(bytes) },
    ],
    inputs: [[]],
    outputs: [[]],
  };
}

/** A place is free once the process has seen the end of who had it. */
async function openOnceFree(hsmd: HsmdUnderTest, dbid: bigint): Promise<Link> {
  const request = { name: 'hsmd_client_hsmfd', id: PEER, dbid, permissions: ALL_BITS } as const;
  for (const endMs = performance.now() + 30_000; ; await sleep(5)) {
    const reply = await hsmd.master.ask(request);
    if (reply !== 'closed' && reply.name === 'hsmd_client_hsmfd_reply')
      return new Link(await hsmd.master.receiveDescriptor());
    if (performance.now() > endMs) throw new Error(`no place: ${JSON.stringify(reply)}`);
  }
}

describe('a new client', () => {
  it('of a channel that has one closes the old one', async () => {
    const hsmd = await serving();
    const old = await hsmd.openClient(7n);
    const other = await hsmd.openClient(8n);
    const renewed = await hsmd.openClient(7n);
    expect(await old.receive()).toBe('closed');
    expect(await isAnswered(renewed)).toBe(true);
    expect(await isAnswered(other)).toBe(true);
    // The old one's end must not take the new one along.
    await sleep(20);
    expect(await isAnswered(renewed)).toBe(true);
    expect(hsmd.statusNamed('hsmstatus_client_bad_request')).toEqual([]);
  });

  it('without a channel is one of two, and gets no descriptor beyond', async () => {
    const hsmd = await serving();
    const first = await hsmd.openClient(0n);
    const second = await hsmd.openClient(0n);
    const more = { name: 'hsmd_client_hsmfd', id: PEER, dbid: 0n, permissions: 1n } as const;
    for (let i = 0; i < 3; i++) {
      expect(refusalOf(await hsmd.master.ask(more)).message).toContain('too many clients');
    }
    expect(await isAnswered(first)).toBe(true);
    expect(await isAnswered(second)).toBe(true);
    expect(await isServing(hsmd)).toBe(true);
    // Channels have their own limit.
    expect(await isAnswered(await hsmd.openClient(1n))).toBe(true);
  });

  it('without a channel replaces none of those that are open', async () => {
    const hsmd = await serving();
    let kept = await hsmd.openClient(0n);
    for (let round = 0; round < 5; round++) {
      const next = await openOnceFree(hsmd, 0n);
      kept.close();
      const third = await openOnceFree(hsmd, 0n);
      expect(await isAnswered(next)).toBe(true);
      expect(await isAnswered(third)).toBe(true);
      next.close();
      kept = third;
    }
  });

  it('may ask what its permissions name, whatever its number', async () => {
    const hsmd = await serving();
    for (const dbid of [1n, 0xffff_ffff_ffff_ffffn]) {
      const client = await hsmd.openClient(dbid, 8n);
      expect(await client.ask({ name: 'hsmd_get_per_commitment_point', n: 0n })).toMatchObject({
        name: 'hsmd_get_per_commitment_point_reply',
      });
    }
  });
});

function openFds(hsmd: HsmdUnderTest): number {
  return readdirSync(`/proc/${hsmd.pid}/fd`).length;
}

function residentMiB(hsmd: HsmdUnderTest): number {
  const line = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${hsmd.pid}/status`, 'utf8'));
  return Number(line![1]) / 1024;
}

describe('clients come and go', () => {
  it('and leave no descriptor behind', async () => {
    const directory = networkDirectory();
    const hsmd = await serving({ directory });
    expect(await isAnswered(await hsmd.openClient(1n))).toBe(true);
    // The next one is half a minute away.
    const heartbeat = join(directory, 'countersign/heartbeat.json');
    await expect.poll(() => existsSync(heartbeat)).toBe(true);
    const before = openFds(hsmd);
    for (let i = 0; i < 40; i++) {
      const client = await hsmd.openClient(BigInt(100 + i));
      if (i % 4 === 0) expect(await isAnswered(client)).toBe(true);
      if (i % 4 === 1) await client.send(ECDH);
      if (i % 4 === 2) await client.sendRaw(encodeFrame(encodeMessage(ECDH)).subarray(0, 10));
      client.close();
    }
    expect(await isServing(hsmd)).toBe(true);
    await expect.poll(() => openFds(hsmd)).toBeLessThanOrEqual(before);
    expect(hsmd.statusNamed('hsmstatus_client_bad_request')).toEqual([]);
    expect(hsmd.logged('broken')).toEqual([]);
  });

  it('in the middle of a frame, while others are served', async () => {
    const hsmd = await serving();
    const good = await hsmd.openClient(1n);
    const halves: Link[] = [];
    for (let i = 0; i < 10; i++) {
      const half = await hsmd.openClient(BigInt(10 + i));
      await half.sendRaw(encodeFrame(encodeMessage(ECDH)).subarray(0, 1 + 4 * i));
      halves.push(half);
    }
    expect(await isAnswered(good)).toBe(true);
    expect(await isServing(hsmd)).toBe(true);
    for (const half of halves) half.close();
    expect(await isAnswered(good)).toBe(true);
    expect(hsmd.logged('broken')).toEqual([]);
  });
});

describe('when descriptors run out', () => {
  it('a new client is refused, and the others go on', async () => {
    const hsmd = await serving({ prefix: ['sh', '-c', 'ulimit -n 64; exec "$@"', 'sh'] });
    const clients: Link[] = [];
    let refused: Reply | 'closed' | undefined;
    while (refused === undefined && clients.length < 100) {
      const dbid = BigInt(clients.length + 1);
      const request = { name: 'hsmd_client_hsmfd', id: PEER, dbid, permissions: ALL_BITS } as const;
      const reply = await hsmd.master.ask(request);
      if (reply !== 'closed' && reply.name === 'hsmd_client_hsmfd_reply') {
        clients.push(new Link(await hsmd.master.receiveDescriptor()));
      } else {
        refused = reply;
      }
    }
    expect(clients.length).toBeGreaterThan(5);
    expect(refusalOf(refused!).message).toMatch(/EMFILE/);
    expect(await isServing(hsmd)).toBe(true);
    for (const client of clients) expect(await isAnswered(client)).toBe(true);
    for (const client of clients.slice(0, 4)) client.close();
    expect(await isAnswered(await openOnceFree(hsmd, 1_000n))).toBe(true);
  });
});

describe('a client that never reads', () => {
  it('is read no further, costs little memory, and holds up nobody', async () => {
    const hsmd = await serving();
    const deaf = await hsmd.openClient(1n);
    const good = await hsmd.openClient(2n);
    const before = residentMiB(hsmd);
    // Every one is refused with a text that is longer than the request.
    const frame = encodeFrame(encodeMessage(REVOKE));
    const many = Buffer.concat(Array.from({ length: 1_000 }, () => frame));
    let sent = 0;
    const flood = (async () => {
      for (; sent < 40; sent++) await deaf.sendRaw(many);
    })().catch(() => {});
    for (let i = 0; i < 50; i++) {
      expect(await isAnswered(good)).toBe(true);
      expect(await isServing(hsmd)).toBe(true);
    }
    expect(sent).toBeLessThan(40);
    expect(residentMiB(hsmd) - before).toBeLessThan(100);
    deaf.close();
    await flood;
    expect(await isAnswered(good)).toBe(true);
  });
});
