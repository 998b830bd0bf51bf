/** A follower whose source fails, or whose signer refuses: it tells of it and tries again. */
import { writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { describe, expect, it } from 'vitest';
import type { ChainSource } from '../src/index.ts';
import { FakeBitcoind } from './fake-bitcoind.ts';
import { afterTest, fileWith, follow, nodeWith, sinkFor, sourceOf, until } from './support.ts';

describe('a source that fails', () => {
  it('is tried again, less and less often, and followed when it is back', async () => {
    const fake = await nodeWith(5);
    const { port } = fake;
    const sink = sinkFor(fake);
    const source = sourceOf(fake);
    const { chain } = fake;
    const { log, waits, failures } = follow(sink, source);
    await until('catching up', () => sink.isAt(chain));
    await fake.stop();
    // Between two questions it pauses too, for less than a second.
    const pauses = (): number[] => waits.filter((ms) => ms >= 1_000).slice(0, 9);
    await until('nine tries', () => pauses().length === 9);
    expect(pauses()).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60].map((seconds) => seconds * 1000));
    expect(log.filter((line) => line.includes('cannot be reached')).length).toBeLessThanOrEqual(2);
    chain.extendBy(2);
    const back = await FakeBitcoind.start(chain, port);
    afterTest(() => back.stop());
    await until('its return', () => sink.isAt(chain));
    await until('the all-clear', () => log.at(-1) === 'info: the chain is followed again');
    expect(failures).toEqual([]);
  });

  it.each([
    ['garbage', 'no JSON', (r: ServerResponse) => void r.end('<html>hello</html>')],
    [
      'half an answer',
      'ended in the middle',
      (r: ServerResponse) => {
        r.writeHead(200, { 'content-length': '1000' });
        r.write('{"result":');
        setTimeout(() => r.destroy(), 10);
      },
    ],
    [
      'an announced flood',
      'too long',
      (r: ServerResponse) => {
        r.writeHead(200, { 'content-length': String(1 << 30) });
        r.write('x');
      },
    ],
    [
      'a flood',
      'too long',
      (r: ServerResponse) => {
        const more = (): void => {
          while (!r.destroyed && r.write('x'.repeat(65_536)));
          if (!r.destroyed) r.once('drain', more);
        };
        more();
      },
    ],
    [
      'another status',
      'HTTP status 302',
      (r: ServerResponse) => void r.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(),
    ],
    [
      'a full queue',
      'is busy: Work queue depth exceeded',
      (r: ServerResponse) => void r.writeHead(503).end('Work queue depth exceeded'),
    ],
    ['a no to the caller', 'rpcallowip', (r: ServerResponse) => void r.writeHead(403).end()],
    ['no answer', 'no answer within 300 ms', () => {}],
    ['an error of no form', 'is not what it should be', (r: ServerResponse) => void r.end('{"error":5}')],
    [
      'another answer',
      'is not what it should be',
      (r: ServerResponse) => void r.end('{"result":{"chain":7}}'),
    ],
  ])('with %s is told of and tried again', async (_, text, fault) => {
    const fake = await nodeWith(5);
    const sink = sinkFor(fake);
    fake.fault = () => fault;
    const { log, failures, follower } = follow(
      sink,
      sourceOf(fake, undefined, text.includes('300 ms') ? 300 : undefined),
    );
    await until('the complaint', () => log.some((line) => line.includes(text)));
    expect(follower.status.problem).toContain(text);
    expect(sink.tip()).toBeNull();
    fake.fault = () => undefined;
    await until('catching up', () => sink.isAt(fake.chain));
    expect(failures).toEqual([]);
  });

  it.each([
    ['getblockhash', '[{"result":"zz","error":null,"id":0}]'],
    ['getblockhash', '[]'],
    ['getblockheader', `[{"result":"00","error":null,"id":0}]`],
    ['getblock', '{"result":"0","error":null,"id":0}'],
    ['getblock', `{"result":"${'00'.repeat(100)}","error":null,"id":0}`],
    ['getblock', '{"result":7,"error":null,"id":0}'],
  ])('with a bad answer to %s gives the signer nothing of it', async (method, answer) => {
    const fake = await nodeWith(5);
    const sink = sinkFor(fake);
    fake.fault = ([first]) => (first === method ? (response) => void response.end(answer) : undefined);
    const { log } = follow(sink, sourceOf(fake));
    await until('the complaint', () => log.some((line) => line.includes('(chain-source-answer)')));
    expect(sink.blocks).toEqual([]);
    fake.fault = () => undefined;
    await until('catching up', () => sink.isAt(fake.chain));
  });

  it('of another network is refused in words', async () => {
    const fake = await nodeWith(5);
    fake.chainName = 'test';
    const sink = sinkFor(fake);
    const { log } = follow(sink, sourceOf(fake));
    await until('the complaint', () => log.length > 0);
    expect(log[0]).toMatch(
      /^error: bitcoind at 127.0.0.1:\d+ follows the chain "test", and the signer works on "regtest": set url in \[chain\] to a node of "regtest" \(chain-source-network\)$/,
    );
    expect(sink.tip()).toBeNull();
  });

  it('that starts is waited for', async () => {
    const fake = await nodeWith(5);
    fake.rpcFault = () => ({ code: -28, message: 'Loading block index…' });
    const sink = sinkFor(fake);
    const { log } = follow(sink, sourceOf(fake));
    await until('the complaint', () => log.length > 0);
    expect(log[0]).toMatch(/^warn: .* is starting: Loading block index/);
    fake.rpcFault = () => undefined;
    await until('catching up', () => sink.isAt(fake.chain));
  });

  it('that is pruned says what to do', async () => {
    const fake = await nodeWith(20);
    fake.pruneHeight = 15;
    const sink = sinkFor(fake);
    const { log } = follow(sink, sourceOf(fake));
    await until('the complaint', () => log.length > 0);
    expect(log[0]).toMatch(
      /^error: .* is pruned and has thrown away a block that the signer still has to read\. Take a source that has it .* \(chain-source-pruned\)$/,
    );
    expect(sink.blocks).toEqual([]);
    const fine = sinkFor(fake);
    follow(fine, sourceOf(fake), { birthdayHeightBlocks: 15 });
    await until('what it still has', () => fine.isAt(fake.chain));
  });

  it('that was restarted has a new cookie', async () => {
    const fake = await nodeWith(5);
    const file = fileWith(fake.cookie);
    const sink = sinkFor(fake);
    const { log } = follow(sink, sourceOf(fake, file));
    await until('catching up', () => sink.isAt(fake.chain));
    writeFileSync(file, '__cookie__:second');
    fake.cookie = '__cookie__:second';
    fake.mine();
    await until('block 6', () => sink.isAt(fake.chain));
    expect(log).toEqual([]);
    writeFileSync(file, '__cookie__:wrong');
    fake.cookie = '__cookie__:third';
    fake.mine();
    await until('the complaint', () => log.length > 0);
    expect(log[0]).toMatch(/^error: .* refuses the user or password \(chain-source-unauthorized\)$/);
    expect(log.join()).not.toContain('__cookie__');
    writeFileSync(file, '__cookie__:third');
    await until('block 7', () => sink.isAt(fake.chain));
  });

  it('that reports news at once and has none is not asked without a pause', async () => {
    const fake = await nodeWith(5);
    const sink = sinkFor(fake);
    const real = sourceOf(fake);
    let asked = 0;
    const hasty: ChainSource = {
      name: real.name,
      headersPerRunMax: 2000,
      askedAgainMsMin: 250,
      bestTip: (signal) => {
        asked += 1;
        return real.bestTip(signal);
      },
      headers: (...args) => real.headers(...args),
      block: (...args) => real.block(...args),
      broadcast: (...args) => real.broadcast(...args),
      feerates: async () => null,
      changed: async () => {},
      close: () => {},
    };
    const { waits } = follow(sink, hasty);
    await until('some rounds', () => asked > 5);
    expect(waits.length).toBeGreaterThanOrEqual(asked - 2);
    expect(waits.at(-1)).toBeGreaterThan(200);
  });
});

describe('a signer that refuses', () => {
  it.each(['begin', 'headers', 'block'] as const)('%s for now is asked again soon', async (what) => {
    const fake = await nodeWith(5);
    const sink = sinkFor(fake);
    let times = 0;
    sink.refuse = (asked) => {
      return asked === what && ++times <= 3 ? { ok: false, temporary: true, message: 'not yet' } : undefined;
    };
    const { log, waits } = follow(sink, sourceOf(fake));
    await until('catching up', () => sink.isAt(fake.chain));
    expect(waits.slice(0, 3)).toEqual([1000, 2000, 4000]);
    expect(log[0]).toMatch(/^warn: .*: not yet$/);
  });

  it('for good is asked again later, and told as an error', async () => {
    const fake = await nodeWith(5);
    const sink = sinkFor(fake);
    sink.refuse = (what) =>
      what === 'block' ? { ok: false, temporary: false, message: 'a lie' } : undefined;
    const { log, waits, failures } = follow(sink, sourceOf(fake));
    await until('some tries', () => waits.length >= 7);
    expect(waits.slice(0, 7)).toEqual([15, 30, 60, 120, 240, 300, 300].map((seconds) => seconds * 1000));
    expect(log).toEqual(['error: block 1 is refused: a lie']);
    sink.refuse = () => undefined;
    await until('catching up', () => sink.isAt(fake.chain));
    expect(failures).toEqual([]);
  });

  it('by a rejection ends it, and whoever started it knows', async () => {
    const fake = await nodeWith(5);
    const sink = sinkFor(fake);
    sink.acceptBlock = () => Promise.reject(new Error('the store failed'));
    const { failures, follower } = follow(sink, sourceOf(fake));
    await until('the failure', () => failures.length > 0);
    expect(failures).toEqual([new Error('the store failed')]);
    await follower.stop();
  });
});
