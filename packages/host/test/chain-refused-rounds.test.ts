/**
 * What the signer would publish is worked out again and again, and a channel that must not be closed by us is refused each time. The
 * audit log has it once for each reason, however many rounds there are; what the operator asks for it has every time.
 */
import { expect, it } from 'vitest';
import { channelId } from '../../core/src/channel/lookup.ts';
import { htlc } from '../../core/test/channel-model.ts';
import type { MinedChain } from '../../core/test/mined-chain.ts';
import { adding } from '../../core/test/open-channel.ts';
import { feed, HostChannel, onChain, openOnChain } from './chain-support.ts';
import { inDirectory, openStore } from './support.ts';

const decoder = new TextDecoder();

type Body = { readonly request?: string; readonly refusal?: { readonly tag: string } };

/** A channel with a deadline that has passed. */
const withOverdue = (
  body: (all: {
    readonly signer: ReturnType<typeof onChain>;
    readonly id: string;
    readonly mined: MinedChain;
    readonly refusals: () => Promise<readonly string[]>;
    readonly written: () => Promise<number>;
  }) => Promise<void>,
): Promise<void> =>
  inDirectory(async (directory) => {
    const journal = openStore(directory);
    const signer = onChain(journal);
    const { channel, mined, id } = await openOnChain(signer);
    await channel.update(signer, adding(channel.balances, htlc('holder', 50_000, 'ours', 60)));
    mined.extendBy(65 - mined.tip.heightBlocks);
    await feed(signer, mined);
    const refusals = async () => {
      await journal.settled();
      const bodies: Body[] = journal.audit(1, 10_000).map((entry) => JSON.parse(decoder.decode(entry.body)));
      return bodies.flatMap(({ request, refusal }) =>
        request === 'force-close' ? (refusal?.tag ?? []) : [],
      );
    };
    const written = async () => {
      await journal.settled();
      return journal.auditHead.seq;
    };
    await body({ signer, id, mined, refusals, written });
    await journal.close();
  });

const rounds = async ({ chain }: ReturnType<typeof onChain>, count: number) => {
  for (let i = 0; i < count; i++) await chain.toPublish();
};

it('a frozen channel past its deadline is told of once', () =>
  withOverdue(async ({ signer, id, mined, refusals, written }) => {
    await signer.administer({ op: 'channel-freeze', channel: id });
    await rounds(signer, 3);
    expect(await refusals()).toEqual(['policy-channel-frozen']);
    const before = await written();
    for (let i = 0; i < 5; i++) {
      mined.extendBy(1);
      await feed(signer, mined);
      await rounds(signer, 3);
    }
    expect(await written()).toBe(before);
    expect(signer.chain.alarms().map(({ code }) => code)).toContain('deadline');
  }));

it('an unfrozen one is closed, and frozen again told of again', () =>
  withOverdue(async ({ signer, id, refusals, written }) => {
    await signer.administer({ op: 'channel-freeze', channel: id });
    await rounds(signer, 2);
    await signer.administer({ op: 'channel-unfreeze', channel: id });
    expect((await signer.chain.toPublish()).length).toBeGreaterThan(0);
    const before = await written();
    await rounds(signer, 3);
    expect(await written()).toBe(before);
    await signer.administer({ op: 'channel-freeze', channel: id });
    await rounds(signer, 2);
    expect(await refusals()).toEqual(['policy-channel-frozen', 'policy-channel-frozen']);
  }));

it('the operator’s own attempts are all there, and no round after them says it again', () =>
  withOverdue(async ({ signer, id, refusals }) => {
    await signer.administer({ op: 'channel-freeze', channel: id });
    for (let i = 0; i < 3; i++) expect(await signer.chain.forceClose(id)).toMatchObject({ ok: false });
    expect(await refusals()).toHaveLength(3);
    await rounds(signer, 3);
    expect(await refusals()).toHaveLength(3);
  }));

it('of several channels each is told of', () =>
  withOverdue(async ({ signer, id, mined, refusals }) => {
    const other = new HostChannel({ peer: 'another peer' });
    await other.open(signer);
    mined.extend([other.model.funding.tx]);
    mined.extendBy(1);
    await feed(signer, mined);
    await other.update(signer, adding(other.balances, htlc('holder', 40_000, 'more', 110)));
    mined.extendBy(50);
    await feed(signer, mined);
    for (const channel of [id, channelId(other.model.ref)])
      await signer.administer({ op: 'channel-freeze', channel });
    await rounds(signer, 4);
    expect(await refusals()).toEqual(['policy-channel-frozen', 'policy-channel-frozen']);
  }));
