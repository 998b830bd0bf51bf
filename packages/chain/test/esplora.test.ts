/** An Esplora server on the loopback interface, good and bad. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { hash256 } from '@countersign/bitcoin';
import { describe, expect, it } from 'vitest';
import { MinedChain } from '../../core/test/mined-chain.ts';
import { EsploraSource } from '../src/index.ts';
import { displayed } from './fake-bitcoind.ts';
import { FakeSink } from './fake-sink.ts';
import { afterTest, follow, never, until } from './support.ts';

type Fault = (request: IncomingMessage, response: ServerResponse) => boolean;

class FakeEsplora {
  chain: MinedChain;
  asked: string[] = [];
  pageSize = 10;
  /** True: it has answered. */
  fault: Fault = () => false;
  sent: string[] = [];
  estimates = '{"1":90,"2":40.001,"12":10}';
  refusal: string | null = null;
  readonly url: URL;

  private constructor(chain: MinedChain, url: URL) {
    this.chain = chain;
    this.url = url;
  }

  static async start(blocks: number): Promise<FakeEsplora> {
    const chain = new MinedChain();
    chain.extendBy(blocks);
    const server = createServer((request, response) => void fake.#serve(request, response));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const fake = new FakeEsplora(
      chain,
      new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/api`),
    );
    afterTest(() => {
      server.closeAllConnections();
      server.close();
    });
    return fake;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? '').replace(/^\/api\//, '');
    this.asked.push(path);
    if (this.fault(request, response)) return;
    if (request.method === 'POST') return this.#take(request, response);
    const answer = this.#answer(path);
    if (answer === null) response.writeHead(404).end('Block not found');
    else response.end(answer);
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = '';
    for await (const part of request) text += String(part);
    if (this.refusal !== null) return void response.writeHead(400).end(this.refusal);
    this.sent.push(text);
    response.end('txid');
  }

  #answer(path: string): string | Uint8Array | null {
    const [, first = '', last = ''] = /^([^/]+)\/?(.*)$/.exec(path) ?? [];
    if (path === 'fee-estimates') return this.estimates;
    if (path === 'blocks/tip/hash') return displayed(this.chain.tip.hash);
    if (first === 'block-height') return displayed(this.chain.blocks[Number(last)]!.hash);
    if (first === 'blocks') return JSON.stringify(this.#page(Number(last)));
    const block = this.chain.blocks.find(({ hash }) => last.startsWith(displayed(hash)));
    if (block === undefined) return null;
    return last.endsWith('/raw') ? block.raw : JSON.stringify(this.#item(block.heightBlocks));
  }

  #page(top: number): object[] {
    const count = Math.min(this.pageSize, top + 1);
    return Array.from({ length: count }, (_, i) => this.#item(top - i));
  }

  #item(height: number): object {
    const { header, hash } = this.chain.blocks[height]!;
    const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
    return {
      id: displayed(hash),
      height,
      version: view.getInt32(0, true),
      timestamp: view.getUint32(68, true),
      merkle_root: displayed(header.subarray(36, 68)),
      previousblockhash: height === 0 ? null : displayed(header.subarray(4, 36)),
      bits: view.getUint32(72, true),
      nonce: view.getUint32(76, true),
    };
  }
}

function sourceOf(fake: FakeEsplora): EsploraSource {
  const source = new EsploraSource({
    url: fake.url,
    genesisHash: new MinedChain().tip.hash,
    networkName: 'regtest',
    pollMs: 20,
    timeoutMs: 30_000,
  });
  afterTest(() => source.close());
  return source;
}

const sinkFor = (fake: FakeEsplora): FakeSink => new FakeSink(fake.chain.blocks[0]!);

describe('an Esplora server', () => {
  it('is followed, through reorgs too', async () => {
    const fake = await FakeEsplora.start(47);
    const sink = sinkFor(fake);
    const { log } = follow(sink, sourceOf(fake), { birthdayHeightBlocks: 40 });
    await until('catching up', () => sink.isAt(fake.chain));
    const branch = fake.chain.forkAt(44);
    branch.extendBy(7);
    fake.chain = branch;
    await until('the branch', () => sink.isAt(branch));
    expect(log).toEqual(['warn: reorg: 3 blocks above height 44 were replaced']);
    expect(new Set(fake.asked.filter((path) => path.startsWith('block-height')))).toEqual(
      new Set(['block-height/0']),
    );
  });

  it('gives the first header, and runs of any length', async () => {
    const fake = await FakeEsplora.start(60);
    const source = sourceOf(fake);
    fake.pageSize = 15;
    for (const [from, count] of [
      [0, 1],
      [0, 61],
      [3, 15],
      [20, 41],
      [60, 1],
    ] as const) {
      const headers = await source.headers(from, count, never());
      expect(headers).toEqual(fake.chain.headers(from, from + count - 1));
    }
  });

  it('of another network is refused in words', async () => {
    const fake = await FakeEsplora.start(3);
    fake.chain.blocks[0] = fake.chain.blocks[1]!;
    await expect(sourceOf(fake).bestTip(never())).rejects.toMatchObject({
      code: 'chain-source-network',
      message: expect.stringContaining('a server of "regtest"'),
    });
  });

  it('that wants fewer requests is left alone for the time it names', async () => {
    const fake = await FakeEsplora.start(3);
    const sink = sinkFor(fake);
    let times = 0;
    fake.fault = (_, response) => {
      if (++times > 2) return false;
      response.writeHead(429, times === 1 ? { 'retry-after': '90' } : {}).end('slow down');
      return true;
    };
    const { log, waits } = follow(sink, sourceOf(fake));
    await until('catching up', () => sink.isAt(fake.chain));
    expect(waits.slice(0, 2)).toEqual([90_000, 2_000]);
    expect(log[0]).toMatch(/^warn: Esplora at .* wants fewer requests \[status=429\] \(chain-source-busy\)$/);
  });

  it.each([
    ['no hash', 'blocks/tip/hash', 'hello'],
    ['a hash that is too long', 'blocks/tip/hash', '00'.repeat(33)],
    ['a tip without a height', 'block/', '{}'],
    ['no list', 'blocks/3', '{"height":3}'],
    ['an empty list', 'blocks/3', '[]'],
    ['another block', 'blocks/3', '[{"height":2}]'],
    ['an odd version', 'blocks/3', '[{"height":3,"version":1.5}]'],
  ])('that answers with %s is told of', async (_, path, answer) => {
    const fake = await FakeEsplora.start(3);
    const sink = sinkFor(fake);
    fake.fault = (request, response) => {
      if (request.url?.startsWith(`/api/${path}`) !== true) return false;
      response.end(answer);
      return true;
    };
    const { log } = follow(sink, sourceOf(fake));
    await until('the complaint', () => log.length > 0);
    expect(log[0]).toContain('(chain-source-answer)');
    expect(sink.runs).toEqual([]);
  });

  it('that changes a field of a header is noticed', async () => {
    const fake = await FakeEsplora.start(3);
    const source = sourceOf(fake);
    const { header } = fake.chain.blocks[2]!;
    fake.chain.blocks[2] = { ...fake.chain.blocks[2]!, hash: hash256(header, header) };
    await expect(source.headers(1, 3, never())).rejects.toMatchObject({ code: 'chain-source-answer' });
  });

  it('that fails says so with its status', async () => {
    const fake = await FakeEsplora.start(3);
    const source = sourceOf(fake);
    await expect(source.block(new Uint8Array(32), never())).rejects.toMatchObject({
      code: 'chain-source-missing',
      message: expect.stringContaining('Block not found'),
    });
    fake.fault = (_, response) => {
      response.writeHead(502).end('<html>\u0000bad gateway');
      return true;
    };
    await expect(source.bestTip(never())).rejects.toThrow('HTTP status 502: <html> bad gateway');
    await expect(source.broadcast(Uint8Array.of(1), never())).rejects.toThrow('HTTP status 502');
  });

  it('tells what transactions pay, if it knows', async () => {
    const fake = await FakeEsplora.start(3);
    const source = sourceOf(fake);
    expect(await source.feerates(never())).toEqual({ normalPerKw: 2_500, urgentPerKw: 10_001 });
    fake.estimates = '{"2":-1,"12":"x"}';
    expect(await source.feerates(never())).toBeNull();
    fake.fault = (_, response) => {
      response.writeHead(404).end('no such thing');
      return true;
    };
    expect(await source.feerates(never())).toBeNull();
    fake.fault = (_, response) => {
      response.writeHead(500).end();
      return true;
    };
    await expect(source.feerates(never())).rejects.toMatchObject({ code: 'chain-source-answer' });
  });

  it('takes transactions, and says why not', async () => {
    const fake = await FakeEsplora.start(3);
    const source = sourceOf(fake);
    expect(await source.broadcast(Uint8Array.of(1, 0xab), never())).toEqual({ accepted: true, reason: null });
    expect(fake.sent).toEqual(['01ab']);
    fake.refusal = 'sendrawtransaction RPC error: {"code":-26,"message":"dust"}';
    expect(await source.broadcast(Uint8Array.of(1), never())).toEqual({
      accepted: false,
      reason: fake.refusal,
    });
    fake.refusal =
      'sendrawtransaction RPC error: {"code":-27,"message":"Transaction already in block chain"}';
    expect(await source.broadcast(Uint8Array.of(1), never())).toMatchObject({ accepted: true });
  });
});
