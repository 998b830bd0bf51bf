/** Attacks on law 1, the ratchet: A01 to A19. */
import { attacks } from './attack.ts';
import { LAW_1 } from './catalogue.ts';
import { ours } from './law1/ours.ts';
import { records } from './law1/records.ts';
import { theirs } from './law1/theirs.ts';
import { value } from './law1/value.ts';

attacks('law 1: the ratchet', LAW_1, [...ours, ...theirs, ...records, ...value]);
