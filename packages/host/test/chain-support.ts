/** For tests of the chain beside a running signer: a feeder without a network, and a channel over the wire's messages. */
import { keyView, networkByName, PERMISSION, type Policy, policyOf } from '@countersign/core';
import type { Journal } from '@countersign/store';
import type { Request } from '@countersign/wire';
import { expect } from 'vitest';
import { channelId } from '../../core/src/channel/lookup.ts';
import { type Balances, ChannelModel, type ModelOptions } from '../../core/test/channel-model.ts';
import { MinedChain } from '../../core/test/mined-chain.ts';
import type { Signer } from '../src/index.ts';
import { ringOf, signerOn } from './support.ts';

export const NOW = 1_300_000_000;
export const hubPolicy: Policy = policyOf(networkByName('regtest')!, 'hub', {
  approvals: { auto: 'all', autoPaymentVelocity: null, expirySeconds: 86_400 },
});

export const onChain = (journal: Journal): Signer =>
  signerOn(journal, { policy: hubPolicy, nowSeconds: () => NOW });

/** Brings what the chain has and the signer does not. */
export async function feed({ chain }: Signer, mined: MinedChain): Promise<void> {
  if (chain.tip() === null)
    await chain.begin({ birthdayHeightBlocks: 1, sourceHeightBlocks: 0 }, new Uint8Array(0));
  let fork = Math.min(chain.tip()!.tipHeightBlocks, mined.tip.heightBlocks);
  while (fork > 0 && Buffer.compare(chain.headerHash(fork)!, mined.blocks[fork]!.hash) !== 0) fork--;
  if (mined.tip.heightBlocks > fork)
    expect(await chain.acceptHeaders(mined.headers(fork + 1))).toEqual({ ok: true });
  for (let tip = chain.tip()!; tip.provenHeightBlocks < tip.tipHeightBlocks; tip = chain.tip()!) {
    expect(await chain.acceptBlock(mined.blocks[tip.provenHeightBlocks + 1]!.raw)).toEqual({ ok: true });
  }
}

/** A channel of this signer, over the wire's messages. */
export class HostChannel {
  readonly model: ChannelModel;
  balances: Balances;
  number = 0;

  constructor(options: ModelOptions = {}) {
    this.model = new ChannelModel(keyView(ringOf(1)), options);
    this.balances = this.model.initial;
  }

  async ask(signer: Signer, request: Request) {
    return signer.answer({ channel: this.model.ref, permissions: ~PERMISSION.MASTER & 0x7ffn }, request);
  }

  async done(signer: Signer, request: Request): Promise<void> {
    const answer = await this.ask(signer, request);
    if (answer.kind === 'refused')
      expect.fail(`${request.name}: ${answer.refusal.tag} ${answer.refusal.message}`);
  }

  async open(signer: Signer): Promise<this> {
    await this.done(signer, this.model.setup());
    await this.done(signer, this.model.validate(0));
    await this.done(signer, this.model.signRemote(0));
    return this;
  }

  async update(signer: Signer, balances: Balances): Promise<void> {
    await this.done(signer, this.model.signRemote(this.number + 1, balances));
    await this.done(signer, this.model.validateRevocation(this.number));
    await this.done(signer, this.model.validate(this.number + 1, balances));
    await this.done(signer, this.model.revoke(this.number));
    this.number += 1;
    this.balances = balances;
  }
}

/** A channel whose funding is in a block, which the signer has. */
export async function openOnChain(signer: Signer) {
  const mined = new MinedChain();
  await feed(signer, mined);
  const channel = await new HostChannel().open(signer);
  mined.extend([channel.model.funding.tx]);
  await feed(signer, mined);
  return { channel, mined, id: channelId(channel.model.ref) };
}
