/** The expiry of an HTLC on the peer's commitment is in no script: the list says it, and what the signer signs for its timeout. */
import { Match, type Option } from '@countersign/adversary';
import { describe, expect, it } from 'vitest';
import { gameOf } from './game.ts';

const SETUP = { seed: 1, channels: 2, isHonest: false, mutant: null, subject: 'memory' } as const;
/** In `player/attack/forms.ts`: the first HTLC of the list expires a block later. */
const A_BLOCK_LATER = 6;

const receivedOf = ({ htlcs }: Option) => htlcs.filter(({ direction }) => direction === 'received');

describe('a list that says another expiry than the timeout has', () => {
  it('gives the owner until the timeout that was signed, no longer, and not nothing', async () => {
    const game = gameOf(SETUP);
    const match = await Match.begin({ ...game, config: { ...game.config, seed: 3 } });
    const channel = 0;
    const rest = { channel, b: 0, c: 1 };
    // It comes into the peer's commitment once the owner's has it and the one before is revoked.
    for (const kind of ['receive', 'advance', 'advance']) await match.play({ kind, ...rest, a: 0 });
    await match.play({ kind: 'lying-list', ...rest, a: A_BLOCK_LATER });
    const lied = peersOptions(match).flatMap(receivedOf);
    expect(lied).toHaveLength(1);
    for (const kind of ['reconnect', 'quiesce']) await match.play({ kind, ...rest, a: 0 });
    const told = peersOptions(match).flatMap(receivedOf);
    expect(told.length).toBeGreaterThan(0);
    for (const one of told) {
      expect(one.isOwnable).toBe(true);
      expect(one.expiryBlocks).toBe(lied[0]!.expiryBlocks - 1);
    }
    expect(match.theft).toBeNull();
    await match.close();
  });
});

const peersOptions = (match: Match): readonly Option[] =>
  match.referee
    .problem()
    .places.flatMap(({ options }) => options)
    .filter(({ name }) => name.startsWith('counterparty'));
