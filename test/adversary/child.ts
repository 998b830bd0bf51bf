/** A campaign in a process of its own; a mutant was loaded before. The result goes out as one line of JSON. */
import type { ApartOptions } from './apart.ts';
import { campaign } from './campaign.ts';

const options: ApartOptions = JSON.parse(process.env.ADVERSARY_CHILD ?? '');
const result = await campaign(options);
process.stdout.write(`${JSON.stringify({ ...result, readings: [] })}\n`);
