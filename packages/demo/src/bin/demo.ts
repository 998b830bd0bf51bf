#!/usr/bin/env node
/** `npm start`: the demo, on a terminal or without one. */
import { setTimeout as sleep } from 'node:timers/promises';
import { chooseStyle } from '@countersign/cli';
import { Scene } from '../scene.ts';
import { playScript } from '../script.ts';
import { show } from '../show.ts';

/** Of the script: with some twenty steps, half a minute. */
const PAUSE_MS = 1000;

const { stdin, stdout, env } = process;
const isTerminal = stdin.isTTY === true && stdout.isTTY === true;
stdout.write(isTerminal ? 'Loading two Lightning nodes and a signer…\n' : '');
const scene = await Scene.open();
let isSound: boolean;
try {
  const style = chooseStyle({ isTerminal, noColorVariable: env.NO_COLOR, colorOption: true });
  isSound = isTerminal
    ? await show(scene, style, stdin, stdout)
    : await playScript(scene, { pause: () => sleep(PAUSE_MS) }, (line) => stdout.write(`${line}\n`));
} finally {
  await scene.close();
}
if (isTerminal) {
  const { paymentsSent, paymentsReceived, refused } = scene.facts();
  stdout.write(
    `${paymentsSent + paymentsReceived} payments, ${refused} requests refused, nothing left behind.\n`,
  );
}
process.exit(isSound ? 0 : 1);
