/** Requests of the run so far, asked again: as they were, or with one thing in them changed. */
import type { Request } from '@countersign/wire';
import { ATTACKER_SCRIPT } from '../chain-feed.ts';
import type { Channel } from '../channel.ts';
import { pick } from '../dice.ts';
import type { Move } from '../moves.ts';
import { revoke } from '../protocol.ts';
import type { World } from '../world.ts';

type Path = readonly (string | number)[];

const DEPTH_MAX = 6;

/** The ways to everything in a request that can be changed. */
function pathsOf(value: unknown, path: Path = []): Path[] {
  if (value === null || typeof value !== 'object') return path.length === 0 ? [] : [path];
  if (value instanceof Uint8Array || path.length >= DEPTH_MAX) return [path];
  const below = Object.entries(value).flatMap(([key, one]) =>
    key === 'name' ? [] : pathsOf(one, [...path, Array.isArray(value) ? Number(key) : key]),
  );
  return Array.isArray(value) && value.length > 0 ? [...below, path] : below;
}

function changedAt(value: unknown, path: Path, change: (leaf: unknown) => unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return change(value);
  if (Array.isArray(value)) return value.map((one, i) => (i === key ? changedAt(one, rest, change) : one));
  const object = value as Readonly<Record<string, unknown>>;
  return { ...object, [key]: changedAt(object[key], rest, change) };
}

function mutant(leaf: unknown, by: number): unknown {
  if (typeof leaf === 'bigint') return [leaf + 1n, leaf - 1n, 0n, leaf * 2n, 2n ** 40n, 1n][by % 6];
  // Of 32 bits: nothing else has a place on the wire.
  if (typeof leaf === 'number') return [leaf + 1, Math.max(0, leaf - 1), 0, 1, leaf ^ 0xff][by % 5]! >>> 0;
  if (typeof leaf === 'boolean') return !leaf;
  if (leaf instanceof Uint8Array) return mutantBytes(leaf, by);
  if (Array.isArray(leaf))
    return [leaf.slice(1), leaf.slice(0, -1), [...leaf, ...leaf.slice(-1)], leaf.toReversed()][by % 4];
  if (typeof leaf === 'string') return by % 2 === 0 ? leaf.slice(0, -1) : leaf.toUpperCase();
  return leaf;
}

function mutantBytes(leaf: Uint8Array, by: number): Uint8Array {
  if (leaf.length === 22 && by % 2 === 0) return ATTACKER_SCRIPT;
  if (leaf.length === 0) return leaf;
  const at = by % leaf.length;
  return leaf.with(at, leaf[at]! ^ (1 << (by % 8)));
}

/** What changes in the transaction changes in its PSBT too, or nobody would look further. */
function alsoInPsbt(request: unknown, path: Path, change: (leaf: unknown) => unknown): unknown {
  const changed = changedAt(request, path, change);
  if (path[0] !== 'tx' || path[1] !== 'tx') return changed;
  return changedAt(changed, ['tx', 'psbt', 'unsignedTx', ...path.slice(2)], change);
}

/** One that was granted or refused before; every third unchanged. */
export async function replay(world: World, channel: Channel | undefined, { a, b, c }: Move): Promise<void> {
  const step = pick(world.log.kept, a);
  if (step === undefined) return;
  const paths = pathsOf(step.request);
  const path = pick(paths, b * 7 + c);
  const isSame = c % 3 === 0 || path === undefined;
  const request = isSame
    ? step.request
    : (alsoInPsbt(step.request, path, (leaf) => mutant(leaf, c)) as Request);
  const client = a % 11 === 0 && channel !== undefined ? channel.client : step.client;
  const reply = await world.ask(client, request, 'attack');
  // A commitment that was let through is made the newest by its revocation.
  if (reply !== null && !isSame && channel !== undefined && request.name === 'hsmd_validate_commitment_tx')
    await revoke(world, channel);
}
