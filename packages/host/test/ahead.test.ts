/** What is derived ahead is derived when nobody waits, and what goes wrong with it reaches nobody but us. */

import { StoreError } from '@countersign/store';
import type { Request } from '@countersign/wire';
import { describe, expect, it } from 'vitest';
import { Ahead } from '../src/ahead.ts';
import { HostChannel } from './chain-support.ts';
import { channelClient, inDirectory, openStore, ringOf, secp, signerOn } from './support.ts';

type Place = ConstructorParameters<typeof Ahead>[0];

const request = { name: 'hsmd_validate_commitment_tx', commitNum: 1n } as unknown as Request;

/** A state that is asked for a record, and does this. */
function placeThat(read: () => undefined): Place {
  return { state: { read }, keys: {} as Place['keys'], secp } as unknown as Place;
}

describe('work for later', () => {
  it('is done when there is time, and not before', () => {
    const works: (() => void)[] = [];
    let reads = 0;
    const place = placeThat(() => {
      reads += 1;
      return undefined;
    });
    new Ahead(place, (work) => void works.push(work)).after(channelClient(1), request);
    expect(reads).toBe(0);
    for (const work of works) work();
    expect(reads).toBe(1);
    new Ahead(place, undefined).after(channelClient(1), request);
    expect(reads).toBe(1);
  });

  it('is left once the signer has ended: its keys may be wiped then', () =>
    inDirectory(async (directory) => {
      const journal = openStore(directory);
      const works: (() => void)[] = [];
      const ring = ringOf(1);
      const signer = signerOn(journal, { ring, whenIdle: (work) => void works.push(work) });
      await new HostChannel().open(signer);
      expect(works.length).toBeGreaterThan(0);
      signer.end();
      await journal.close();
      ring.wipe();
      for (const work of works) expect(work).not.toThrow();
    }));

  it('is left where the store cannot be used any more; a bug is a bug', () => {
    const run = (error: Error): void =>
      new Ahead(
        placeThat(() => {
          throw error;
        }),
        (work) => work(),
      ).after(channelClient(1), request);
    expect(() => run(new StoreError('store-closed', 'no more calls after close'))).not.toThrow();
    expect(() => run(new RangeError('of ours'))).toThrow(RangeError);
  });
});
