/**
 * The wallet beside LDK: whatever kind the seed is of, it receives at keys that the signer spends from; and no coin is spent twice
 * while a transaction waits for its block.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  keyScripts,
  loadSecp256k1,
  outPointToString,
  parseTransaction,
  toHex,
  txid,
} from '@countersign/bitcoin';
import { KeyRing, type KeyStyle, networkByName, Secret } from '@countersign/core';
import { openEmbeddedSigner, parseConfig } from '@countersign/host';
import { LdkSigner } from '@countersign/ldk';
import { EmbeddedChain, loadLdk, WORLD_START_SECONDS } from '@countersign/playground';
import { beforeAll, describe, expect, it } from 'vitest';

beforeAll(() => loadLdk());

const secp = loadSecp256k1();
const regtest = networkByName('regtest')!;
const RATE = 1000;

interface Kind {
  readonly name: string;
  readonly style: KeyStyle;
  readonly seed: Uint8Array;
}
const KINDS: readonly Kind[] = [
  { name: 'a plain seed', style: 'cln', seed: new Uint8Array(32).fill(3) },
  { name: 'a seed from words', style: 'cln', seed: new Uint8Array(64).fill(4) },
  { name: 'a seed of an LDK node', style: 'ldk', seed: new Uint8Array(32).fill(5) },
];

const secretOf = ({ seed }: Kind): Secret => Secret.copy(seed, seed.length as 32 | 64);

function ringOf(kind: Kind): KeyRing {
  const { style } = kind;
  const bip32PublicVersion = regtest.bip32Public;
  return new KeyRing({ secp256k1: secp, seed: secretOf(kind), style, bip32PublicVersion });
}

/** P2WPKH, as LDK has it. */
const scriptAt = (ring: KeyRing, index: number): Uint8Array => {
  const found = keyScripts(secp, ring.walletPublicKey(index)).find(({ length }) => length === 22);
  if (found === undefined) throw new Error('no P2WPKH script');
  return found;
};

interface Place {
  readonly ldk: LdkSigner;
  /** Pays these scripts 100,000 sat each, in one block. */
  readonly fund: (...scripts: readonly Uint8Array[]) => void;
  /** The transactions in one block. */
  readonly mine: (...raws: readonly Uint8Array[]) => void;
}

async function inPlace(kind: Kind, walletIndex: number | undefined, body: (place: Place) => Promise<void>) {
  const directory = mkdtempSync(join(tmpdir(), 'countersign-ldk-wallet-'));
  const chain = new EmbeddedChain(WORLD_START_SECONDS);
  const config = { ...parseConfig('[policy]\npreset = "hub"\n', 'countersign.toml') };
  const { door } = await openEmbeddedSigner({
    secp,
    seed: secretOf(kind),
    keyStyle: kind.style,
    network: regtest,
    config: { ...config, stateDirectory: join(directory, 'state') },
    log: () => {},
    onBug: (error) => {
      throw error;
    },
  });
  const ldk = LdkSigner.open({ door, secp, ...(walletIndex === undefined ? {} : { walletIndex }) });
  const connect = () => {
    for (const { raw, heightBlocks } of chain.blocksAfter(ldk.wallet.heightBlocks))
      ldk.wallet.blockConnected(raw, heightBlocks);
  };
  const mine = (...raws: readonly Uint8Array[]) => {
    for (const raw of raws) expect(chain.submit(raw).accepted).toBe(true);
    chain.mine();
    connect();
  };
  const fund = (...scripts: readonly Uint8Array[]) => {
    for (const script of scripts) chain.pay(script, 100_000n);
    mine();
  };
  try {
    await body({ ldk, fund, mine });
  } finally {
    await ldk.close();
    rmSync(directory, { recursive: true });
  }
}

const spentBy = (raw: Uint8Array | null): readonly string[] =>
  raw === null ? [] : parseTransaction(raw).inputs.map((input) => outPointToString(input));

describe.each(KINDS)('the wallet of $name', (kind) => {
  it('receives at keys of the signer’s wallet, and spends from there', () =>
    inPlace(kind, undefined, async ({ ldk, fund, mine }) => {
      const { wallet } = ldk;
      const ring = ringOf(kind);
      const script = wallet.receiveScript();
      expect(toHex(script)).toBe(toHex(scriptAt(ring, 2)));
      // LDK's own two were in use before the seed moved in.
      fund(script, scriptAt(ring, 0), scriptAt(ring, 1));
      expect(wallet.balanceSat()).toBe(300_000n);
      const raw = wallet.pay({ script: wallet.receiveScript(), valueSat: 290_000n, feeratePerKw: RATE });
      expect(spentBy(raw)).toHaveLength(3);
      mine(raw!);
      expect(wallet.balanceSat()).toBeGreaterThan(298_000n);
    }));
});

describe('the coins of the wallet', () => {
  const [kind] = KINDS as [Kind];

  it('are spent once while no block has come, and again only when the payment is dropped', () =>
    inPlace(kind, undefined, async ({ ldk, fund, mine }) => {
      const { wallet } = ldk;
      fund(wallet.receiveScript(), wallet.receiveScript());
      const order = { script: wallet.receiveScript(), valueSat: 60_000n, feeratePerKw: RATE };
      const [first, second] = [wallet.pay(order), wallet.pay(order)];
      expect(new Set([...spentBy(first), ...spentBy(second)]).size).toBe(2);
      expect(wallet.pay(order)).toBeNull();
      expect(wallet.buildFunding(order)).toBeNull();
      wallet.dropFunding(txid(parseTransaction(second!)));
      expect(spentBy(wallet.pay(order))).toEqual(spentBy(second));
      mine(first!);
      expect(wallet.pay(order)).not.toBeNull();
    }));

  it('are not spent by another payment when a reorganisation takes the block of the first', () =>
    inPlace(kind, undefined, async ({ ldk, fund, mine }) => {
      const { wallet } = ldk;
      fund(wallet.receiveScript(), wallet.receiveScript());
      const order = { script: wallet.receiveScript(), valueSat: 60_000n, feeratePerKw: RATE };
      const first = wallet.pay(order);
      mine(first!);
      wallet.blockDisconnected(wallet.heightBlocks);
      const second = wallet.pay(order);
      expect(second).not.toBeNull();
      expect(spentBy(second)).not.toEqual(spentBy(first));
      expect(wallet.pay(order)).toBeNull();
    }));

  it('are found at all indices of the life before', () =>
    inPlace(kind, 400, async ({ ldk, fund }) => {
      fund(scriptAt(ringOf(kind), 399), scriptAt(ringOf(kind), 420));
      expect(ldk.wallet.balanceSat()).toBe(200_000n);
      expect(ldk.wallet.nextIndex).toBe(400);
    }));
});
