/** Attacks by what the signer is told of the chain: A70 to A76, over its node.sock. */
import { concat, type Transaction, txid } from '@countersign/bitcoin';
import { encodeMessage, type MessageOf, type Request } from '@countersign/wire';
import { expect } from 'vitest';
import type { Balances, ModelHtlc } from '../../packages/core/test/channel-model.ts';
import {
  blockBytes,
  headerBytes,
  type MinedBlock,
  mineBlock,
  mineHeader,
  REGTEST_BITS,
} from '../../packages/core/test/mined-chain.ts';
import { adding, removing } from '../../packages/core/test/open-channel.ts';
import { attacks, type Scenario } from './attack.ts';
import { CHAIN } from './catalogue.ts';
import { CHAINED, type Miner, NodeLine, refusedTag, type ShownRemedy, spending, withChain } from './chain.ts';
import { type AttackChannel, htlcOf } from './channel.ts';

const VALIDATED = 'policy-chain-validated';
const PROOF = 'policy-chain-proof';
const ACTIVE = 'policy-commitment-spends-active-utxo';
const BALANCED = 'policy-routing-balanced';
const MALFORMED = 'policy-generic-error';
const HOUR_SECONDS = 3600;
/** BOLT 3: what each anchor holds. */
const ANCHOR_SAT = 330n;

const headers = (...run: readonly Uint8Array[]): Request => ({ name: 'countersign_headers', headers: run });

type Chunk = MessageOf<'countersign_block_chunk'>;

/** A whole small block, or what claims to be one. */
const chunk = (block: Pick<MinedBlock, 'heightBlocks' | 'raw'>, changed: Partial<Chunk> = {}): Request => ({
  name: 'countersign_block_chunk',
  heightBlocks: block.heightBlocks,
  offset: 0,
  totalBytes: block.raw.length,
  content: block.raw,
  ...changed,
});

const next = (channel: AttackChannel, balances: Balances): Request =>
  channel.model.signRemote(channel.theirNumber + 1, balances);

const unchanged = (channel: AttackChannel): Request =>
  next(channel, { ...channel.balances, feeratePerKw: channel.balances.feeratePerKw + 1 });

/** The header of a child of `parent` with something wrong. */
function wrongHeader(
  parent: MinedBlock,
  { bits = REGTEST_BITS, timeSeconds = parent.timeSeconds + 600, version = 0x2000_0000 } = {},
): Uint8Array {
  const fields = { version, previous: parent.hash, merkleRoot: parent.hash, timeSeconds, bits, nonce: 0 };
  return mineHeader(fields).header;
}

/** As `wrongHeader`, whose hash is above its target. */
function withoutWork(parent: MinedBlock): Uint8Array {
  const fields = {
    version: 0x2000_0000,
    previous: parent.hash,
    merkleRoot: parent.hash,
    timeSeconds: parent.timeSeconds + 600,
    bits: REGTEST_BITS,
  };
  const { header } = mineHeader({ ...fields, nonce: 0 });
  const nonce = new DataView(header.buffer).getUint32(76, true);
  for (let other = nonce + 1; ; other++) {
    if (mineHeader({ ...fields, nonce: other }).header[76] !== (other & 0xff))
      return headerBytes({ ...fields, nonce: other });
  }
}

const nowSeconds = (): number => Math.floor(Date.now() / 1000);

const fakeHeaders: readonly (readonly [string, (miner: Miner) => Request])[] = [
  ['no proof of work', ({ mined }) => headers(withoutWork(mined.tip))],
  ['another difficulty', ({ mined }) => headers(wrongHeader(mined.tip, { bits: 0x207ffffe }))],
  ['less than the least difficulty', ({ mined }) => headers(wrongHeader(mined.tip, { bits: 0x2100ffff }))],
  [
    'it connects to nothing',
    ({ mined }) => headers(wrongHeader({ ...mined.tip, hash: new Uint8Array(32).fill(9) })),
  ],
  [
    'the run is broken in the middle',
    ({ mined }) => {
      const good = mineBlock(mined.tip);
      return headers(good.header, mineBlock(mined.tip, [], { salt: 5 }).header, mineBlock(good).header);
    },
  ],
  [
    'a time not above the median of eleven',
    ({ mined }) => headers(wrongHeader(mined.tip, { timeSeconds: mined.blocks.at(-6)!.timeSeconds })),
  ],
  [
    'a time more than two hours ahead',
    ({ mined }) => headers(wrongHeader(mined.tip, { timeSeconds: nowSeconds() + 3 * HOUR_SECONDS })),
  ],
];

const doubled = (transactions: readonly Transaction[]): readonly Transaction[] => [
  ...transactions,
  transactions.at(-1)!,
];

/** Contents of the honest next block `good`, which has three transactions, changed. */
const fakeBlocks: readonly (readonly [string, (good: MinedBlock, parent: MinedBlock) => Uint8Array])[] = [
  ['a transaction left out', ({ header, transactions }) => blockBytes(header, transactions.slice(0, -1))],
  [
    'a transaction added',
    ({ header, transactions }) => blockBytes(header, [...transactions, spending(transactions[0]!, 0)]),
  ],
  // CVE-2012-2459: the merkle root stays what it was.
  ['its last transaction doubled', ({ header, transactions }) => blockBytes(header, doubled(transactions))],
  [
    'another witness',
    ({ header, transactions }) => {
      const [coinbase, first, last] = transactions;
      const inputs = last!.inputs.map((input) => ({ ...input, witness: [new Uint8Array(32)] }));
      return blockBytes(header, [coinbase!, first!, { ...last!, inputs }]);
    },
  ],
  ['the content of another block', (_, parent) => mineBlock(parent, [], { salt: 77 }).raw],
  ['a byte left over', ({ raw }) => concat(raw, Uint8Array.of(0))],
  ['a byte missing', ({ raw }) => raw.subarray(0, -1)],
];

const spendingOf = (miner: Miner, label: number): Transaction =>
  spending(miner.mined.blocks[label]!.transactions[0]!, 0, [Uint8Array.of(1)]);

/** Two channels; the HTLC goes through both of them. */
async function forwarding(miner: Miner, format: 'static_remotekey' | 'anchors_zero_fee_htlc') {
  const incoming = await miner.open({ peer: 'upstream', format });
  const outgoing = await miner.open({ peer: 'downstream', format });
  const { world, heightBlocks } = miner;
  const received = htlcOf(world, 'counterparty', 100_200_000n, 'forward', heightBlocks + 200);
  const offered = htlcOf(world, 'holder', 100_000_000n, 'forward', heightBlocks + 160);
  const theirs = outgoing.htlc('counterparty', 50_000, 'theirs', heightBlocks + 180);
  await incoming.peerOffers(received);
  await outgoing.weOffer(offered);
  await outgoing.peerOffers(theirs);
  return { incoming, outgoing, received, offered };
}

const sum = (remedies: readonly ShownRemedy[], of: (one: ShownRemedy) => number | string): bigint =>
  remedies.reduce((total, one) => total + BigInt(of(one)), 0n);

function breachOf(age: number, format: 'static_remotekey' | 'anchors_zero_fee_htlc'): Scenario {
  return {
    id: 'A74',
    variant: `${age} numbers ago, ${format}`,
    alone: CHAINED,
    run: withChain(async (miner) => {
      const { incoming, outgoing, received } = await forwarding(miner, format);
      const cheated = outgoing.balances;
      const built = outgoing.model.build('counterparty', outgoing.theirNumber, cheated);
      for (let i = 0; i < age; i++) await outgoing.goesOn();
      const newestSat = outgoing.balances.holderMsat / 1000n;
      await miner.mine(built.tx);
      expect(await miner.alarms()).toContain('breach');
      expect(await miner.heartbeat()).toContain('breach');
      await outgoing.refused(unchanged(outgoing), ACTIVE);
      // The HTLC that went out is claimable in the old commitment too.
      const failed = removing(incoming.balances, received, 'failed');
      await incoming.refused(next(incoming, failed), BALANCED);
      // W: all that the commitment pays is ours, but for fees and anchors.
      const plan = (await miner.remedies(outgoing)).filter(({ isFallback }) => !isFallback);
      expect(
        plan.every(({ kind, isReleased }) => isReleased && ['justice', 'to-remote'].includes(kind)),
      ).toBe(true);
      const savedSat = sum(plan, ({ valueSat }) => valueSat);
      const paidSat = built.tx.outputs.reduce((total, { value }) => total + value, 0n);
      const anchorsSat = format === 'static_remotekey' ? 0n : 2n * ANCHOR_SAT;
      expect(savedSat + sum(plan, ({ feeSat }) => feeSat)).toBe(paidSat - anchorsSat);
      expect(savedSat).toBeGreaterThan(newestSat + 100_000n);
      await incoming.goesOn();
    }),
  };
}

attacks('what the signer is told of the chain', CHAIN, [
  {
    id: 'A70',
    alone: CHAINED,
    run: withChain(async (miner) => {
      await miner.mineEmpty(12);
      for (const [what, fake] of fakeHeaders) {
        await miner.refused(fake(miner), VALIDATED, `with ${what}`);
        await miner.mineEmpty(1);
      }
      const { heightBlocks } = miner;
      expect(await miner.tip()).toMatchObject({
        tipHeightBlocks: heightBlocks,
        provenHeightBlocks: heightBlocks,
      });
    }),
  },
  {
    id: 'A71',
    alone: CHAINED,
    run: withChain(async (miner) => {
      await miner.mineEmpty(20);
      for (const [what, fake] of fakeBlocks) {
        const parent = miner.mined.tip;
        const good = miner.mined.extend([spendingOf(miner, 1), spendingOf(miner, 2)]);
        await miner.followHeaders();
        const { heightBlocks } = good;
        await miner.refused(chunk({ heightBlocks, raw: fake(good, parent) }), PROOF, `with ${what}`);
        await miner.follow();
        expect(await miner.tip()).toMatchObject({ provenHeightBlocks: heightBlocks });
      }
    }),
  },
  {
    id: 'A72',
    alone: CHAINED,
    run: withChain(async (miner) => {
      const incoming = await miner.open({ peer: 'upstream' });
      const outgoing = await miner.open({ peer: 'downstream' });
      const { world, heightBlocks } = miner;
      const received = htlcOf(world, 'counterparty', 100_200_000n, 'forward', heightBlocks + 100);
      const offered: ModelHtlc = htlcOf(world, 'holder', 100_000_000n, 'forward', heightBlocks + 60);
      await incoming.peerOffers(received);
      // What the contents would show: the incoming channel is gone.
      miner.mined.extend([incoming.model.build('counterparty', 0, incoming.model.initial).tx]);
      miner.mined.extendBy(2);
      await miner.followHeaders();
      expect(await miner.status()).toMatchObject({ isFresh: false, alarms: [{ code: 'chain-lag' }] });
      expect(await miner.heartbeat()).toContain('chain-lag');
      const why = await outgoing.refused(next(outgoing, adding(outgoing.balances, offered)), ACTIVE);
      expect(why).toContain('try again later');
      await outgoing.goesOn();
      await miner.follow();
      expect(await miner.alarms()).toEqual(['breach']);
    }),
  },
  {
    id: 'A73',
    alone: CHAINED,
    run: withChain(async (miner) => {
      await miner.mineEmpty(3);
      const fork = miner.heightBlocks;
      const channel = await miner.open();
      await channel.goesOn();
      await miner.reorganise(fork);
      expect(await channel.refused(unchanged(channel), ACTIVE)).toContain('try again later');
      await miner.mineEmpty(3);
      await channel.refused(unchanged(channel), ACTIVE);
      await miner.mine(channel.funding.tx);
      await channel.goesOn();
    }),
  },
  breachOf(1, 'static_remotekey'),
  breachOf(2, 'anchors_zero_fee_htlc'),
  breachOf(30, 'static_remotekey'),
  breachOf(30, 'anchors_zero_fee_htlc'),
  {
    id: 'A74',
    variant: 'and the node names it as a splice before it confirms',
    alone: CHAINED,
    run: withChain(async (miner) => {
      const { incoming, outgoing, received } = await forwarding(miner, 'anchors_zero_fee_htlc');
      const built = outgoing.model.build('counterparty', outgoing.theirNumber, outgoing.balances);
      await outgoing.goesOn();
      const { funding } = outgoing.model;
      const named = {
        ...funding,
        valueSat: built.tx.outputs[0]!.value,
        outpoint: { txid: txid(built.tx), vout: 0 },
      };
      await outgoing.ask(outgoing.model.setup(named));
      await miner.mine(built.tx);
      expect(await miner.alarms()).toContain('breach');
      expect((await miner.remedies(outgoing)).map(({ kind }) => kind)).toContain('justice');
      const failed = removing(incoming.balances, received, 'failed');
      await incoming.refused(next(incoming, failed), BALANCED);
      await incoming.goesOn();
    }),
  },
  {
    id: 'A74',
    variant: 'after a bait of its own, named as a splice, was spent by what looks like a close',
    alone: CHAINED,
    run: withChain(async (miner) => {
      const { incoming, outgoing, received } = await forwarding(miner, 'static_remotekey');
      const built = outgoing.model.build('counterparty', outgoing.theirNumber, outgoing.balances);
      await outgoing.goesOn();
      const bait = spendingOf(miner, 1);
      const named = { ...outgoing.model.funding, valueSat: 50_000n, outpoint: { txid: txid(bait), vout: 0 } };
      await outgoing.ask(outgoing.model.setup(named));
      await miner.mine(bait);
      await miner.mine(spending(bait, 0));
      await miner.mineEmpty(8);
      const failed = removing(incoming.balances, received, 'failed');
      await incoming.refused(next(incoming, failed), BALANCED);
      await miner.mine(built.tx);
      expect(await miner.alarms()).toContain('breach');
      expect((await miner.remedies(outgoing)).map(({ kind }) => kind)).toContain('justice');
      await incoming.goesOn();
    }),
  },
  {
    id: 'A76',
    variant: 'pieces of a block',
    alone: CHAINED,
    run: withChain(async (miner) => {
      await miner.mineEmpty(4);
      const good = miner.mined.extend([spendingOf(miner, 1)]);
      await miner.followHeaders();
      const { heightBlocks, raw } = good;
      const half = raw.length >> 1;
      const [first, second] = [raw.subarray(0, half), raw.subarray(half)];
      for (const wrong of [
        chunk({ heightBlocks: heightBlocks + 1, raw }),
        chunk({ heightBlocks: heightBlocks - 1, raw }),
        chunk({ heightBlocks: 0, raw }),
        chunk({ heightBlocks: 0xffff_ffff, raw }),
        chunk(good, { totalBytes: 4_000_001 }),
        chunk(good, { totalBytes: 0xffff_ffff }),
        chunk(good, { totalBytes: half }),
        chunk(good, { totalBytes: 0 }),
        chunk(good, { content: new Uint8Array(0) }),
        chunk(good, { offset: half, content: second }),
        chunk(good, { offset: 0xffff_ffff, content: second }),
      ]) {
        await miner.refused(wrong, MALFORMED);
      }
      // After an honest first piece: overlapping, with a gap, of another block, longer than was said.
      for (const wrong of [
        { offset: half - 1, content: second },
        { offset: half + 1, content: second.subarray(1) },
        { offset: half, content: second, totalBytes: raw.length + 1 },
        { offset: half, content: second, heightBlocks: heightBlocks + 1 },
        { offset: half, content: concat(second, second) },
        { offset: half, content: new Uint8Array(0) },
      ]) {
        const line = new NodeLine(miner.world);
        const tip = await miner.tip();
        expect(await line.ask(chunk(good, { content: first }))).toMatchObject({ isComplete: false });
        expect(refusedTag(await line.ask(chunk(good, wrong)))).toBe(MALFORMED);
        // What came before is gone with it.
        expect(refusedTag(await line.ask(chunk(good, { offset: half, content: second })))).toBe(MALFORMED);
        expect(await miner.tip()).toEqual(tip);
        line.close();
      }
      const line = new NodeLine(miner.world);
      await line.ask(chunk(good, { content: first }));
      expect(await line.ask(chunk(good, { offset: half, content: second }))).toMatchObject({
        isComplete: true,
      });
      line.close();
      expect(await miner.tip()).toMatchObject({ provenHeightBlocks: heightBlocks });
    }),
  },
  {
    id: 'A76',
    variant: 'bytes that are no message',
    alone: CHAINED,
    run: withChain(async (miner, world) => {
      await miner.mineEmpty(4);
      const bystander = new NodeLine(world);
      await bystander.ask({ name: 'countersign_chain_tip' });
      const before = await miner.tip();
      const good = mineBlock(miner.mined.tip);
      const whole = encodeMessage(headers(good.header));
      const manyHeaders = Uint8Array.from(whole);
      new DataView(manyHeaders.buffer).setUint16(2, 0xffff);
      const piece = encodeMessage(chunk(good));
      for (const bytes of [
        whole.subarray(0, -1),
        whole.subarray(0, 3),
        manyHeaders,
        piece.subarray(0, -1),
        piece.subarray(0, 9),
        Uint8Array.of(0x0f),
        new Uint8Array(300).fill(0xa5),
      ]) {
        const line = new NodeLine(world);
        line.send(bytes);
        const reply = await line.reply();
        expect(reply === null ? MALFORMED : refusedTag(reply)).toBe(MALFORMED);
        if (reply !== null) world.refusals.push({ request: 'bytes on node.sock', tag: MALFORMED });
        expect(await line.reply(), 'its connection is closed').toBeNull();
        expect(await miner.tip()).toEqual(before);
        expect(await bystander.ask({ name: 'countersign_chain_tip' })).toMatchObject({ tip: before });
      }
      bystander.close();
      miner.mined.blocks.push(good);
      await miner.follow();
      expect(await miner.tip()).toMatchObject({ provenHeightBlocks: good.heightBlocks });
    }),
  },
]);
