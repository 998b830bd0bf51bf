/** What an honest node and its peers do, by name. */
import type { Channel } from '../channel.ts';
import { hasStandingPart, nextWith } from '../choose.ts';
import { askInPassing } from '../identity.ts';
import type { Move, Play } from '../moves.ts';
import { advance, possibleSteps, quiesce } from '../protocol.ts';
import type { World } from '../world.ts';
import { bump, close, forceClose, peerCheats, peerCloses } from './closing.ts';
import { forgetUnsent, repeat } from './links.ts';
import { open } from './opening.ts';
import { changeFee, pay, receive, resolveIncoming, resolveOutgoing, retryLost } from './payments.ts';
import { pass, reorganize, withdraw } from './spending.ts';
import { spliceOut } from './splicing.ts';

type Act = (world: World, channel: Channel, move: Move) => Promise<unknown>;

/** On an existing channel. */
const on = (weight: number, act: Act): Play => ({
  weight,
  attacks: [],
  async play(world, channel, move) {
    if (channel !== undefined) await act(world, channel, move);
  },
});

const at = (weight: number, act: (world: World, move: Move) => Promise<unknown>): Play => ({
  weight,
  attacks: [],
  async play(world, _channel, move) {
    await act(world, move);
  },
});

/** What ends a channel, which takes long to build up. */
const rarely = (weight: number, act: Act): Play =>
  on(weight, async (world, channel, move) => {
    if (move.a % 12 === 0) await act(world, channel, move);
  });

/** The channel itself, or the next one after it that has something to do; if none has, something comes in. */
async function advanceSome(world: World, channel: Channel, { a }: Move): Promise<void> {
  const busy = nextWith(world, channel, (one) => possibleSteps(one).length > 0);
  if (busy === undefined) await receive(world, channel, a);
  else await advance(world, busy, a);
}

export const HONEST: Readonly<Record<string, Play>> = {
  open: at(6, (world, { a }) => open(world, a)),
  advance: on(60, advanceSome),
  quiesce: on(6, quiesce),
  receive: on(14, (world, channel, { a }) => receive(world, channel, a)),
  pay: at(7, (world, { a }) => pay(world, a)),
  keysend: at(1, (world, { a }) => pay(world, a, true)),
  'resolve-outgoing': on(14, async (world, channel, { a }) => {
    const busy = nextWith(world, channel, (one) => hasStandingPart(world, one, 'owner'));
    if (busy !== undefined) await resolveOutgoing(world, busy, a);
  }),
  'resolve-incoming': on(26, async (world, channel, { a }) => {
    const busy = nextWith(world, channel, (one) => hasStandingPart(world, one, 'peer'));
    if (busy !== undefined) await resolveIncoming(world, busy, a);
  }),
  'retry-lost': at(6, (world, { a }) => retryLost(world, a)),
  'change-fee': on(2, changeFee),
  reconnect: on(2, forgetUnsent),
  repeat: on(3, repeat),
  restart: at(1, (world) => world.restart()),
  mine: at(8, (world, { a }) => world.chain.mine(1 + (a % 3))),
  close: rarely(1, close),
  'close-late': on(2, async (world, channel) => {
    if (channel.isShuttingDown) await close(world, channel);
  }),
  'force-close': rarely(1, forceClose),
  'peer-closes': rarely(1, (world, channel, { b }) => peerCloses(world, channel, b)),
  'peer-cheats': rarely(1, (world, channel, { b }) => peerCheats(world, channel, b)),
  'splice-out': on(1, spliceOut),
  bump: on(1, bump),
  withdraw: at(1, (world, { a }) => withdraw(world, a)),
  reorganize: at(1, (world, { a }) => reorganize(world, a)),
  pass: at(1, async (world, { a, c }) => {
    if (c % 4 === 0) await pass(world, a);
  }),
  ask: at(2, (world, { a }) => askInPassing(world, a)),
};
