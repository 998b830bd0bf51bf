/** What would end a channel leaves only once that it ends is on the disk, whoever asks for it and whoever marked it. */
import { describe, expect, it } from 'vitest';
import { htlc } from '../../core/test/channel-model.ts';
import type { MinedChain } from '../../core/test/mined-chain.ts';
import { adding } from '../../core/test/open-channel.ts';
import { AdminDesk } from '../src/admin/desk.ts';
import { operatorSide } from '../src/admin/operator.ts';
import type { Signer } from '../src/index.ts';
import { sinkOf } from '../src/start/chain.ts';
import { feed, type HostChannel, hubPolicy, onChain, openOnChain } from './chain-support.ts';
import { inDirectory, keyOf, type LateJournal, late, master, openStore } from './support.ts';

const pause = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms));

/** Whatever waits for the disk meanwhile finds it. */
async function withDisk<T>(journal: LateJournal, work: Promise<T>): Promise<T> {
  let isDone = false;
  const done = work.finally(() => {
    isDone = true;
  });
  while (!isDone) {
    journal.release();
    await pause(0);
  }
  return done;
}

interface Place {
  readonly journal: LateJournal;
  readonly signer: Signer;
  readonly channel: HostChannel;
  readonly mined: MinedChain;
  readonly id: string;
  /** Not before the disk has what waits for it; then what it is. */
  readonly expectLate: <T>(work: Promise<T>) => Promise<T>;
}

const withChannel = (body: (place: Place) => Promise<void>): Promise<void> =>
  inDirectory(async (directory) => {
    const journal = late(openStore(directory));
    const signer = onChain(journal);
    const { channel, mined, id } = await withDisk(journal, openOnChain(signer));
    expect(journal.waiting).toBe(0);
    const expectLate = async <T>(work: Promise<T>): Promise<T> => {
      let isDone = false;
      const watched = work.finally(() => {
        isDone = true;
      });
      await expect.poll(() => journal.waiting).toBe(1);
      await pause(20);
      expect(journal.waiting).toBe(1);
      expect(isDone).toBe(false);
      journal.release();
      return watched;
    };
    await body({ journal, signer, channel, mined, id, expectLate });
    await journal.close();
  });

const closing = { remedies: [{ kind: 'commitment', isReleased: true }, { kind: 'delayed' }] };

describe('a commitment of ours', () => {
  it('that two ask for at once is late for both', () =>
    withChannel(async ({ signer, id, expectLate }) => {
      const first = signer.chain.forceClose(id);
      const second = await expectLate(signer.chain.forceClose(id));
      expect(second).toMatchObject({ ok: true, plan: closing });
      expect(await first).toEqual(second);
    }));

  it('is not shown to the operator before', () =>
    withChannel(async ({ journal, signer, channel, id, expectLate }) => {
      const side = { signer, journal, policy: hubPolicy, nodeId: keyOf('node'), startedAtSeconds: 5 };
      const desk = new AdminDesk(operatorSide({ ...side, policyText: () => '', heartbeat: async () => '' }));
      const asked = signer.answer(master, channel.model.signCommitment(0));
      const line = JSON.stringify({ v: 1, id: 1, op: 'remedies', channel: id });
      const shown = JSON.parse(await expectLate(desk.answer(line)));
      expect(shown).toMatchObject({ ok: true, result: closing });
      expect(await asked).toMatchObject({ kind: 'reply' });
    }));

  it('is not published before', () =>
    withChannel(async ({ signer, channel, expectLate }) => {
      const sink = sinkOf(signer.chain, () => signer.settled());
      expect(await sink.toPublish()).toEqual([]);
      const asked = signer.answer(master, channel.model.signCommitment(0));
      expect(await expectLate(sink.toPublish())).toHaveLength(1);
      expect(await asked).toMatchObject({ kind: 'reply' });
    }));
});

it('a claim of an ended channel leaves only once its preimage is on the disk', () =>
  withChannel(async ({ journal, signer, channel, mined, id, expectLate }) => {
    const received = htlc('counterparty', 60_000, 'received', 900);
    await withDisk(journal, channel.update(signer, adding(channel.balances, received)));
    mined.extend([channel.model.build('counterparty', 1, channel.balances).tx]);
    await withDisk(journal, feed(signer, mined));
    const { preimage } = received;
    const told = signer.answer(master, { name: 'countersign_preimages', preimages: [preimage] });
    const closed = await expectLate(signer.chain.forceClose(id));
    const claims = expect.arrayContaining([expect.objectContaining({ kind: 'claim-preimage' })]);
    expect(closed).toMatchObject({ ok: true, plan: { remedies: claims } });
    expect(await told).toMatchObject({ kind: 'reply' });
  }));
