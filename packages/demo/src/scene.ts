/**
 * The scene: a chain, Bob with his keys in his own memory, and Alice, whose keys are in a Countersign signer. What happens in
 * it is decided outside: a payment, an attack, a block. Everything here is play money of a chain in memory.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadSecp256k1 } from '@countersign/bitcoin';
import { SYSTEM_MACHINE } from '@countersign/host';
import {
  type ConnectedBlock,
  createInvoice,
  LightningNode,
  loadLdk,
  type NodeKeys,
  openCountersignKeys,
  ownKeys,
  payInvoice,
  WORLD_START_SECONDS,
  World,
} from '@countersign/playground';
import { decodeMessage, encodeMessage } from '@countersign/wire';
import type { AttackPlace, Loot } from './attacks/attack.ts';
import { ATTACKS } from './attacks/index.ts';
import { WalletFromOutside } from './attacks/withdrawal.ts';
import type { AttackFacts, ChannelFacts, DemoFacts } from './facts.ts';
import { ownerTerms, ownerToml } from './owner.ts';
import { WatchedDoor } from './watch.ts';

const FUNDING_SAT = 2_000_000n;
const COINS = 3;
const CHANNEL_SAT = 1_000_000n;
/** Bob keeps a reserve of 1 % in the channel and pays from what is above it. */
const BOB_PAYS_FROM_SAT = 40_000n;
/** Every so many payments a block comes, and one goes the other way. */
const PAYMENTS_PER_BLOCK = 8;
const PAYMENTS_PER_RETURN = 4;
const PAYMENT_SAT_MIN = 5000;
const PAYMENT_SAT_SPREAD = 15_000;
const LINES_KEPT = 20;
const ATTACKS_KEPT = 20;

interface Parts {
  readonly world: World;
  readonly alice: LightningNode;
  readonly bob: LightningNode;
  readonly door: WatchedDoor;
  readonly coins: WalletFromOutside;
  readonly directory: string;
}

export class Scene {
  readonly #parts: Parts;
  readonly #lines: string[] = [];
  readonly #attacks: AttackFacts[] = [];
  #isOpen = false;
  #attacksTried = 0;
  #paymentsSent = 0;
  #paymentsReceived = 0;
  #spentSat = 0n;
  #earnedSat = 0n;
  #triedSat = 0n;
  #stolenSat = 0n;

  private constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Two nodes that know each other; no channel yet. */
  static async open(): Promise<Scene> {
    await loadLdk();
    const world = new World();
    const bobKeys = ownKeys(seed(), WORLD_START_SECONDS);
    const bob = world.add(
      new LightningNode({ name: 'Bob', keys: bobKeys, chain: world.chain, ephemeral: seed() }),
    );
    const directory = mkdtempSync(join(tmpdir(), 'countersign-demo-'));
    let watched: WatchedDoor | undefined;
    const keys = await openCountersignKeys({
      seed: seed(),
      stateDirectory: join(directory, 'state'),
      chain: world.chain,
      configuration: ownerToml(bob.nodeId),
      wrapDoor: (door) => {
        watched = new WatchedDoor(door, ownerTerms(bob.nodeId), () => performance.now());
        return watched;
      },
    });
    const door = watched!;
    const coins = new WalletFromOutside(secp, extendedKeyBehind(door));
    for (const block of world.chain.blocksAfter(0)) {
      door.blockConnected(block.txs, block.timeSeconds);
      coins.blockConnected(block.raw, block.heightBlocks);
    }
    const alice = new LightningNode({
      name: 'Alice',
      keys: listening(keys, door, coins),
      chain: world.chain,
      ephemeral: seed(),
    });
    world.add(alice);
    const scene = new Scene({ world, alice, bob, door, coins, directory });
    world.connect(alice, bob);
    await world.settle();
    return scene;
  }

  /** Coins for Alice, then her channel to Bob. */
  async openChannel(): Promise<void> {
    const { world, alice, bob } = this.#parts;
    await world.fund(alice, FUNDING_SAT, COINS);
    this.#tell('Alice has coins on the chain and opens a channel to Bob');
    await world.open(alice, bob, CHANNEL_SAT);
    this.#isOpen = true;
    this.#tell('the funding is buried; the channel is open');
  }

  /** One payment, mostly to Bob. */
  async pay(): Promise<void> {
    const { world, alice, bob } = this.#parts;
    const count = this.#paymentsSent + this.#paymentsReceived + 1;
    const bobHasSat = this.#balances()?.theirsSat ?? 0n;
    const isReturn = count % PAYMENTS_PER_RETURN === 0 && bobHasSat > BOB_PAYS_FROM_SAT;
    const [payer, payee] = isReturn ? [bob, alice] : [alice, bob];
    const amountSat = BigInt(PAYMENT_SAT_MIN + Math.floor(Math.random() * PAYMENT_SAT_SPREAD));
    const invoice = createInvoice(payee, { amountMsat: amountSat * 1000n });
    const result = payInvoice(payer, invoice.text, { attempts: 1 });
    await world.settle();
    world.chain.advance(1);
    if (result.sent && payer.desk.sent.has(invoice.paymentHash)) this.#paid(isReturn, amountSat);
    else this.#tell(`a payment of ${amountSat} sat failed`);
    if (count % PAYMENTS_PER_BLOCK === 0) await world.mine();
  }

  #paid(isReturn: boolean, amountSat: bigint): void {
    if (isReturn) {
      this.#paymentsReceived += 1;
      this.#earnedSat += amountSat;
      this.#tell(`Bob paid Alice ${amountSat} sat`);
    } else {
      this.#paymentsSent += 1;
      this.#spentSat += amountSat;
      this.#tell(`Alice paid Bob ${amountSat} sat: an invoice she approves of`);
    }
  }

  /** The next attack on the list; null when the channel is not far enough for any. */
  async attack(): Promise<AttackFacts | null> {
    for (let i = 0; i < ATTACKS.length; i++) {
      const attack = ATTACKS[this.#attacksTried++ % ATTACKS.length]!;
      const loot = this.#loot();
      const wealthBeforeSat = this.#certainSat();
      const outcome = await attack.attempt(this.#place(loot));
      if (outcome === null) continue;
      const facts: AttackFacts = {
        title: attack.title,
        story: attack.story,
        stakeSat: attack.stakeSat(loot),
        refusedBy: outcome.kind === 'refused' ? { tag: outcome.tag, text: outcome.message } : null,
        wealthBeforeSat,
        wealthAfterSat: this.#certainSat(),
      };
      this.#attacked(facts);
      return facts;
    }
    return null;
  }

  #attacked(facts: AttackFacts): void {
    this.#attacks.unshift(facts);
    this.#attacks.splice(ATTACKS_KEPT);
    this.#triedSat += facts.stakeSat;
    this.#stolenSat += BigInt(Math.max(0, facts.wealthBeforeSat - facts.wealthAfterSat));
    this.#tell(`attack: ${facts.title.toLowerCase()}: ${facts.refusedBy === null ? 'SIGNED' : 'refused'}`);
  }

  #place(loot: Loot): AttackPlace {
    const { door, coins, world } = this.#parts;
    return {
      door,
      loot,
      withdrawal: () => coins.withdrawalToThief(),
      randomBytes: SYSTEM_MACHINE.randomBytes,
      tip: () => ({ header: world.chain.tip.header, heightBlocks: world.chain.heightBlocks }),
    };
  }

  #loot(): Loot {
    return { channelSat: this.#balances()?.oursSat ?? 0n, walletSat: this.#parts.coins.balanceSat() };
  }

  /** As the newest commitment that was signed says. */
  #balances(): ChannelFacts | null {
    const { setup, remote } = this.#parts.door.overheard;
    if (!this.#isOpen || setup === null || remote === null) return null;
    return { capacitySat: setup.channelValue, oursSat: remote.toLocalValue, theirsSat: remote.toRemoteValue };
  }

  #certainSat(): number {
    const { wealthSat, agreedSat } = this.#parts.door.verdict();
    return wealthSat - agreedSat;
  }

  #tell(line: string): void {
    this.#lines.unshift(line);
    this.#lines.splice(LINES_KEPT);
  }

  facts(): DemoFacts {
    const { world, door, coins } = this.#parts;
    const { signed, refused } = door;
    return {
      heightBlocks: world.chain.heightBlocks,
      channel: this.#balances(),
      walletSat: coins.balanceSat(),
      paymentsSent: this.#paymentsSent,
      paymentsReceived: this.#paymentsReceived,
      spentSat: this.#spentSat,
      earnedSat: this.#earnedSat,
      signed,
      refused,
      answerMs: door.askedMs / Math.max(1, signed + refused),
      certainSat: this.#certainSat(),
      attacks: this.#attacks,
      triedSat: this.#triedSat,
      stolenSat: this.#stolenSat,
      lines: this.#lines,
    };
  }

  async close(): Promise<void> {
    const { alice, bob, directory } = this.#parts;
    await alice.keys.close();
    await bob.keys.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

const secp = loadSecp256k1();

/** New for each start: nothing of this is worth keeping. */
const seed = (): Uint8Array => new Uint8Array(randomBytes(32));

/** What the signer tells every node: the public half of its wallet. */
function extendedKeyBehind(door: WatchedDoor): Uint8Array {
  const init = {
    name: 'vls_hsmd_init2',
    derivationStyle: 1,
    networkName: 'regtest',
    devSeed: undefined,
    devAllowlist: [],
  } as const;
  const node = { peerId: null, dbid: 0n, permissions: 0x7ffn };
  const decoded = decodeMessage(door.ask(node, encodeMessage(init)), 'reply');
  if (!decoded.ok || decoded.message.name !== 'vls_hsmd_init2_reply')
    throw new TypeError('the signer did not introduce itself');
  return decoded.message.bip32;
}

/** The referee and the thief see each block, too. */
function listening(keys: NodeKeys, door: WatchedDoor, coins: WalletFromOutside): NodeKeys {
  return {
    ...keys,
    blockConnected: async (block: ConnectedBlock) => {
      door.blockConnected(block.txs, block.timeSeconds);
      coins.blockConnected(block.raw, block.heightBlocks);
      await keys.blockConnected(block);
    },
  };
}
