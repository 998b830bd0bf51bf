/** The demo on a terminal: a payment each second, an attack every few, and the keys p, a and q. One thing at a time. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Style } from '@countersign/cli';
import type { Scene } from './scene.ts';
import { drawScreen } from './screen.ts';
import { openTerminal } from './terminal.ts';

const STEP_MS = 1000;
const LOOK_MS = 50;
const STEPS_PER_ATTACK = 6;
const WAITING_MAX = 8;

type Wish = 'pay' | 'attack';

/** Until q. True when nothing was stolen. */
export async function show(
  scene: Scene,
  style: Style,
  input: NodeJS.ReadStream,
  output: NodeJS.WriteStream,
): Promise<boolean> {
  const wishes: Wish[] = [];
  let isOver = false;
  const wish = (one: Wish): void => {
    if (wishes.length < WAITING_MAX) wishes.push(one);
  };
  const terminal = openTerminal(input, output, (key) => {
    if (key === 'q') isOver = true;
    if (key === 'p') wish('pay');
    if (key === 'a') wish('attack');
  });
  const draw = (): void => terminal.draw(drawScreen(scene.facts(), style, terminal.size));
  const act = async (one: Wish): Promise<void> => {
    if (one === 'pay') await scene.pay();
    else await scene.attack();
    draw();
  };
  try {
    draw();
    await scene.openChannel();
    for (let step = 1; !isOver; step++) {
      await act(step % STEPS_PER_ATTACK === 0 ? 'attack' : 'pay');
      for (let waitedMs = 0; waitedMs < STEP_MS && !isOver; waitedMs += LOOK_MS) {
        const next = wishes.shift();
        if (next !== undefined) await act(next);
        await sleep(LOOK_MS);
      }
    }
  } finally {
    terminal.close();
  }
  return scene.facts().stolenSat === 0n;
}
