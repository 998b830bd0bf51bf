/** The process in which one broken signer is attacked: its mutant was loaded before; the result goes out as one line of JSON. */
import { campaign } from '../campaign.ts';
import type { ChildOptions } from './rob.ts';

const mutant = process.env.ADVERSARY_MUTANT ?? '';
const options: ChildOptions = JSON.parse(process.env.ADVERSARY_CHILD ?? '{}');
const { seed, channels, ...rest } = options;
const result = await campaign({
  setup: { seed, channels, isHonest: false, mutant, subject: 'memory' },
  ...rest,
});
process.stdout.write(`${JSON.stringify({ ...result, readings: [], coverage: [] })}\n`);
