/** Loaded before a signer's process that is played against a simulated chain: its clock is what a file says, in seconds. */
import { readFileSync } from 'node:fs';

const file = process.env.ADVERSARY_CLOCK_FILE ?? '';
Date.now = () => Number(readFileSync(file, 'utf8')) * 1000;
