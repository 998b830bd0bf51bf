/** Attacks on laws 4 and 5 and on the use of keys: delays, destinations, fees, foreign signatures. A50 to A69. */
import { attacks } from './attack.ts';
import { LAW_5 } from './catalogue.ts';
import { closes } from './law5/closes.ts';
import { keys } from './law5/keys.ts';
import { openings } from './law5/openings.ts';
import { spends } from './law5/spends.ts';
import { splices } from './law5/splices.ts';
import { sweeps } from './law5/sweeps.ts';

attacks('laws 4 and 5, and the use of keys', LAW_5, [
  ...openings,
  ...spends,
  ...closes,
  ...sweeps,
  ...splices,
  ...keys,
]);
