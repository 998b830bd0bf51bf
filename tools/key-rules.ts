/**
 * There is one place that touches private keys: `packages/core/src/keys`. These rules keep every function that signs,
 * derives a private key or hands out a secret inside it, and the one that carries out decisions in one caller's hands.
 */
import { posix } from 'node:path';
import { findImports } from './imports.ts';
import { lineAt, readSourceText } from './source-text.ts';
import type { SourceFile, Violation, Workspace } from './workspace.ts';

const KEYS = 'packages/core/src/keys/';
/** Defines the operations on the curve, on bytes that its caller holds. */
const CURVE = 'packages/bitcoin/src/';
/** Plays peers and their keys; it cannot import what holds the signer's (`dependency-rules.ts`). */
const PLAYERS = 'packages/adversary/src/';
const CORE_INDEX = 'packages/core/src/index.ts';
/** Who may call what: with an approved decision, a heartbeat of its own state, a plan whose changes are durable. */
const CALLERS: ReadonlyMap<string, string> = new Map([
  ['perform', 'packages/host/src/release/releaser.ts'],
  ['signHeartbeat', 'packages/host/src/signer.ts'],
  ['signRemedy', 'packages/host/src/chain/side.ts'],
  ['signJob', 'packages/host/src/release/worker.ts'],
]);

/** Methods of the curve backend that take a private key. */
const CURVE_METHODS =
  /(?<![\w$])(?:signEcdsaRecoverable|signEcdsa|signSchnorr|privateKeyTweakAdd|privateKeyTweakMul|privateKeyNegate)\b|(?<=\.\s*)ecdh\b/g;

/** Functions of @countersign/bitcoin that return private bytes. */
const PRIVATE_DERIVATIONS = new Set([
  'derivePrivateKey',
  'deriveRevocationPrivateKey',
  'generateFromSeed',
  'perCommitmentSecret',
  'taprootPrivateKey',
]);

/** Files of `keys` whose functions sign or give secrets away. */
const GIVING_FILES = ['sign.ts', 'sign-job.ts', 'sign-node.ts', 'sign-remedy.ts', 'release.ts', 'perform.ts'];
/** Functions that show private bytes: not even the folder's own index exports them. */
const SHOWING = new Set(['reveal', 'withTemporary', 'ringSecrets', 'channelKeys', 'withWalletKey']);
/** The one file of `keys` that works on public values only. */
const PUBLIC_FILE = `${KEYS}digests.ts`;

const EXPORTED_FUNCTION = /^export (?:async )?function (\w+)/gm;

function givingFunctions(workspace: Workspace): Set<string> {
  const texts = allSources(workspace)
    .filter(({ path }) => GIVING_FILES.some((name) => path === KEYS + name))
    .map(({ text }) => text);
  return new Set(texts.flatMap((text) => [...text.matchAll(EXPORTED_FUNCTION)].map((match) => match[1]!)));
}

function allSources(workspace: Workspace): SourceFile[] {
  return workspace.packages.flatMap((one) => one.sources);
}

export function checkKeys(workspace: Workspace): Violation[] {
  const giving = givingFunctions(workspace);
  if (giving.size === 0)
    return [{ path: KEYS, line: 0, message: 'no signing functions found: these rules guard nothing' }];
  return allSources(workspace).flatMap((file) =>
    file.path.startsWith(KEYS) ? checkKeysIndex(file) : checkOutside(file, giving),
  );
}

function checkKeysIndex(file: SourceFile): Violation[] {
  if (file.path !== `${KEYS}index.ts`) return [];
  const { withoutComments } = readSourceText(file.text);
  return findImports(withoutComments).flatMap(({ names, offset }) =>
    names
      .filter(({ name, isType }) => !isType && (name === '*' || SHOWING.has(name)))
      .map(({ name }) => violation(file, offset, `${name} would show private bytes outside of keys`)),
  );
}

function violation(file: SourceFile, offset: number, message: string): Violation {
  return { path: file.path, line: lineAt(file.text, offset), message };
}

function checkOutside(file: SourceFile, giving: ReadonlySet<string>): Violation[] {
  const { withoutComments, code } = readSourceText(file.text);
  const hasKeys = [CURVE, PLAYERS].some((room) => file.path.startsWith(room));
  const methods = hasKeys
    ? []
    : [...code.matchAll(CURVE_METHODS)].map(({ 0: name, index }) =>
        violation(file, index, `${name} takes a private key: only ${KEYS} may call it`),
      );
  const imports = findImports(withoutComments).flatMap(({ specifier, names, offset }) =>
    names
      .filter(({ isType }) => !isType)
      .map(({ name }) => judgeName(file, specifier ?? '', name, giving))
      .filter((message) => message !== undefined)
      .map((message) => violation(file, offset, message)),
  );
  return [...methods, ...imports];
}

function judgeName(
  file: SourceFile,
  specifier: string,
  name: string,
  giving: ReadonlySet<string>,
): string | undefined {
  if (specifier.startsWith('.')) return judgeInsideCore(file, specifier, name);
  if (specifier === '@countersign/bitcoin') {
    if (name === '*') return `everything of ${specifier} includes private keys: import names`;
    return PRIVATE_DERIVATIONS.has(name)
      ? `${name} gives a private key: only ${KEYS} may import it`
      : undefined;
  }
  if (specifier !== '@countersign/core') return undefined;
  if (name === '*') return `everything of ${specifier} includes signing: import names`;
  if (CALLERS.get(name) === file.path) return undefined;
  return giving.has(name) ? `${name} signs or reveals: nothing but the signer may` : undefined;
}

function judgeInsideCore(file: SourceFile, specifier: string, name: string): string | undefined {
  const target = posix.join(posix.dirname(file.path), specifier);
  if (!target.startsWith(KEYS) || target === PUBLIC_FILE || file.path === CORE_INDEX) return undefined;
  return `${name} of ${target.slice(KEYS.length)}: only the types and digests of keys may be imported`;
}
