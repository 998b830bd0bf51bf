/** What an attacker does, by name, with the attacks of the catalogue that each is about. */
import type { Play } from '../moves.ts';

export const ATTACKS: Readonly<Record<string, Play>> = {};
