/**
 * The chain simulator against a real Bitcoin node: every block is submitted to it, and every way to spend what a channel
 * leaves, valid and changed, at every height, must be taken or refused by both. Not part of the tests, which need no node:
 *
 *   BITCOIND=<bitcoind> node --conditions=source packages/adversary/test/against-node.ts
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  assemble,
  type BlockNode,
  ChainSimulator,
  EMPTY,
  fromHex,
  GENESIS,
  hash160,
  p2pkhScript,
  p2sh,
  p2trOfKey,
  p2wpkh,
  publicKeyOf,
  pushScript,
  reversed,
  SIGHASH,
  serializeTx,
  sighashLegacy,
  sighashTaproot,
  sighashV0,
  sign,
  signSchnorr,
  type Tx,
  type TxOutput,
  taggedHash,
  toHex,
  toScriptSignature,
  tweakKey,
  txidOf,
  withWitnesses,
  xOnly,
} from '../src/index.ts';
import { commitmentOf, filled, fundingOutput, htlcCases, signedCommitment, spendCases } from './channel.ts';

const PORT = 19_443;
const CHANNELS = 24;
const HEIGHTS = 42;
/** At these blocks after the commitments, changed spends are tried as well. */
const CHANGED_AT: readonly number[] = [0, 1, 5, 15, 38, 40];
const WALLET_VALUE = 100_000n;

const key = filled(7);
const point = publicKeyOf(key);
const keyHash = p2pkhScript(hash160(point));
const walletScripts = [p2wpkh(point), p2sh(p2wpkh(point)), p2trOfKey(point), keyHash];

interface Named {
  readonly name: string;
  readonly tx: Tx;
}

async function call<T>(method: string, ...params: readonly unknown[]): Promise<T> {
  const response = await fetch(`http://127.0.0.1:${PORT}`, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from('u:p').toString('base64')}` },
    body: JSON.stringify({ id: 0, method, params }),
  });
  const { result, error } = (await response.json()) as { result: T; error: unknown };
  if (error !== null) throw new Error(`${method}: ${JSON.stringify(error)}`);
  return result;
}

function startNode(directory: string) {
  const flags = ['-regtest', `-datadir=${directory}`, '-listen=0', '-connect=0', '-disablewallet', '-server'];
  const rpc = [`-rpcport=${PORT}`, '-rpcuser=u', '-rpcpassword=p', '-printtoconsole=0'];
  const policy = ['-acceptnonstdtxn=1', '-minrelaytxfee=0', '-dustrelayfee=0', '-incrementalrelayfee=0'];
  return spawn(process.env.BITCOIND ?? 'bitcoind', [...flags, ...rpc, ...policy], { stdio: 'ignore' });
}

async function untilUp(): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    if (
      await call<number>('getblockcount').then(
        () => true,
        () => false,
      )
    )
      return;
    await sleep(100);
  }
  throw new Error('the node does not answer');
}

/** Brings the node what is new since `known`; its tip must be the simulator's then. */
async function follow(chain: ChainSimulator, known: BlockNode): Promise<BlockNode> {
  for (const block of chain.branchFrom(known).blocks) {
    const fault = await call<string | null>('submitblock', toHex(block));
    if (fault !== null && fault !== 'inconclusive') throw new Error(`block refused: ${fault}`);
  }
  const best = await call<string>('getbestblockhash');
  if (best !== toHex(reversed(chain.tip.hash))) throw new Error('the node has another tip');
  return chain.tip;
}

const ecdsa = (digest: Uint8Array): Uint8Array => toScriptSignature(sign(digest, key), SIGHASH.ALL);

function fundAll(coinbase: Tx): Tx {
  const wallet = walletScripts.map((script) => ({ value: WALLET_VALUE, script }));
  const tx: Tx = {
    version: 2,
    inputs: [{ txid: txidOf(coinbase), vout: 0, scriptSig: EMPTY, sequence: 0xfffffffd, witness: [] }],
    outputs: [...Array.from({ length: CHANNELS }, () => fundingOutput), ...wallet],
    locktime: 0,
  };
  const { value } = coinbase.outputs[0] as TxOutput;
  return withWitnesses(tx, [[ecdsa(sighashV0(tx, 0, keyHash, value, SIGHASH.ALL)), point]]);
}

function walletSpend(funding: Tx, script: Uint8Array, at: number): Tx {
  const input = { txid: txidOf(funding), vout: CHANNELS + at, scriptSig: EMPTY, sequence: 3, witness: [] };
  const spent = { value: WALLET_VALUE, script };
  const bare = (scriptSig: Uint8Array): Tx => ({
    version: 2,
    inputs: [{ ...input, scriptSig }],
    outputs: [{ value: WALLET_VALUE - 10_000n, script }],
    locktime: 0,
  });
  if (at === 2) {
    const outputKey = tweakKey(key, taggedHash('TapTweak', xOnly(point)));
    const tx = bare(EMPTY);
    return withWitnesses(tx, [[signSchnorr(sighashTaproot(tx, 0, [spent], SIGHASH.DEFAULT), outputKey)]]);
  }
  if (at === 3) return bare(assemble([ecdsa(sighashLegacy(bare(EMPTY), 0, script, SIGHASH.ALL)), point]));
  const tx = bare(at === 1 ? pushScript(p2wpkh(point)) : EMPTY);
  return withWitnesses(tx, [[ecdsa(sighashV0(tx, 0, keyHash, WALLET_VALUE, SIGHASH.ALL)), point]]);
}

/** A channel for each way to spend, both kinds in turn. */
function scenario(funding: Tx): { commitments: Tx[]; spends: Named[] } {
  const channels = Array.from({ length: CHANNELS }, (_, vout) => {
    const kind = vout % 2 === 0 ? 'static_remotekey' : 'anchors_zero_fee_htlc';
    const commitment = commitmentOf(kind, { txid: txidOf(funding), vout });
    const ways = [...spendCases(commitment), ...htlcCases(commitment)];
    const way = ways[Math.floor(vout / 2) % ways.length] as Named;
    return { commitment: signedCommitment(commitment), spend: { name: `${kind} ${way.name}`, tx: way.tx } };
  });
  const wallet = walletScripts.map((script, at) => ({
    name: `wallet ${at}`,
    tx: walletSpend(funding, script, at),
  }));
  return {
    commitments: channels.map(({ commitment }) => commitment),
    spends: [...channels.map(({ spend }) => spend), ...wallet],
  };
}

function changed({ name, tx }: Named): Named[] {
  const [input] = tx.inputs as readonly [Tx['inputs'][number]];
  const [output] = tx.outputs as readonly [TxOutput];
  const { witness } = input;
  const put = (at: number, item: Uint8Array): Tx => ({
    ...tx,
    inputs: [{ ...input, witness: witness.map((old, i) => (i === at ? item : old)) }],
  });
  const sequences = [0, 1, 5, 6, 16, 0x400001, 0x80000000, 0xffffffff];
  const txs: Tx[] = [
    ...sequences.map((sequence) => ({ ...tx, inputs: [{ ...input, sequence }] })),
    ...[0, 112, 149, 150, 151].map((locktime) => ({ ...tx, locktime })),
    { ...tx, version: 1 },
    { ...tx, outputs: [{ ...output, value: output.value + 1n }] },
    ...witness.map((_, at) => ({
      ...tx,
      inputs: [{ ...input, witness: witness.filter((__, i) => i !== at) }],
    })),
    ...witness.flatMap((item, at) => [
      ...['', '00', '01', '02'].map((hex) => put(at, fromHex(hex))),
      put(
        at,
        item.map((byte, i) => (i === item.length >> 1 ? byte ^ 1 : byte)),
      ),
    ]),
  ];
  return txs.map((one, i) => ({ name: `${name}, changed ${i}`, tx: one }));
}

const count = { compared: 0, accepted: 0, different: 0 };

async function compare(chain: ChainSimulator, { name, tx }: Named): Promise<void> {
  type Answer = { allowed: boolean; 'reject-reason'?: string };
  const [answer] = await call<[Answer]>('testmempoolaccept', [toHex(serializeTx(tx))], 0);
  const judgement = chain.judge(tx);
  const isValid = !('reason' in judgement);
  count.compared++;
  if (isValid) count.accepted++;
  if (answer.allowed === isValid) return;
  count.different++;
  const ours = 'reason' in judgement ? `${judgement.reason}: ${judgement.detail}` : 'valid';
  console.error(`${name} at ${chain.height}: node ${answer['reject-reason'] ?? 'accepts'}, here ${ours}`);
}

async function compareAll(): Promise<void> {
  const chain = ChainSimulator.create({ payout: p2wpkh(point) });
  const [coinbase] = chain.mine().txs as readonly [Tx];
  chain.mineMany(109);
  const funding = fundAll(coinbase);
  chain.mine({ txs: [funding] });
  let known = await follow(chain, GENESIS);
  const { commitments, spends } = scenario(funding);
  for (const tx of commitments) await compare(chain, { name: 'commitment', tx });
  chain.mine({ txs: commitments });
  for (let block = 0; block < HEIGHTS; block++) {
    known = await follow(chain, known);
    for (const spend of spends) {
      await compare(chain, spend);
      if (CHANGED_AT.includes(block)) for (const one of changed(spend)) await compare(chain, one);
    }
    chain.mine({ txs: [] });
  }
  known = await follow(chain, known);
  chain.reorganize(3, [{ txs: [] }, { txs: spends.map(({ tx }) => tx) }, {}, {}]);
  await follow(chain, known);
}

const directory = mkdtempSync(join(tmpdir(), 'countersign-node-'));
const node = startNode(directory);
const ended = new Promise((resolve) => node.once('exit', resolve));
try {
  await untilUp();
  await compareAll();
  console.log(
    `${count.compared} compared, ${count.accepted} of them valid, ${count.different} judged differently`,
  );
  process.exitCode = count.different === 0 ? 0 : 1;
} finally {
  node.kill();
  await ended;
  rmSync(directory, { recursive: true });
}
