/** The demo's parts, for its tests. */
export type { Attack, AttackPlace, Loot } from './attacks/attack.ts';
export { ATTACKS } from './attacks/index.ts';
export type * from './facts.ts';
export { Scene } from './scene.ts';
export { drawScreen, type ScreenSize } from './screen.ts';
export { type Pace, playScript } from './script.ts';
export { openTerminal, type Terminal } from './terminal.ts';
export { type Overheard, type Refused, WatchedDoor } from './watch.ts';
