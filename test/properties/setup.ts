/** Runs before each file of tests: its properties begin with the seed of this run. */
import fc from 'fast-check';
import { SEED_VARIABLE, seedFrom } from './seed.ts';

fc.configureGlobal({ seed: seedFrom(process.env[SEED_VARIABLE]) });
