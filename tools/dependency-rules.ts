/**
 * Which package may import which, and what a pure one may touch: pure functions from a workspace to violations. The
 * arrows only point down, so that the deciding code can be read without what is around it.
 */
import { isBuiltin } from 'node:module';
import { posix } from 'node:path';
import { findImports, type Import, packageOf } from './imports.ts';
import { lineAt, readSourceText } from './source-text.ts';
import {
  type Manifest,
  SCOPE,
  type SourceFile,
  type Violation,
  type Workspace,
  type WorkspacePackage,
} from './workspace.ts';

/** Every package and what it may import of the others. */
export const ARROWS: Readonly<Record<string, readonly string[]>> = {
  bitcoin: [],
  wire: ['bitcoin'],
  core: ['wire', 'bitcoin'],
  transport: ['wire', 'bitcoin'],
  ldk: ['transport', 'wire', 'bitcoin'],
  store: ['core', 'bitcoin'],
  chain: ['bitcoin'],
  host: ['chain', 'store', 'transport', 'core', 'wire', 'bitcoin'],
  cln: ['host', 'chain', 'store', 'transport', 'core', 'wire', 'bitcoin'],
  // The referee shares nothing with what it judges: only the wire's codecs.
  adversary: ['wire'],
  // A small Lightning world for the demo and the real-client suite.
  playground: ['adversary', 'ldk', 'host', 'chain', 'store', 'transport', 'core', 'wire', 'bitcoin'],
  daemon: ['host', 'chain', 'store', 'transport', 'core', 'wire', 'bitcoin'],
  cli: ['daemon', 'cln', 'host', 'chain', 'store', 'transport', 'core', 'wire', 'bitcoin'],
  demo: ['playground', 'cli', 'adversary', 'ldk', 'host', 'transport', 'core', 'wire', 'bitcoin'],
};

/** Packages without I/O, clock or chance: what they need of that comes in as a parameter. They import nothing of Node. */
const PURE: ReadonlySet<string> = new Set(['wire', 'core']);

/** Rooms of `bitcoin` that are not in a browser's build: whatever else is, runs without Node. */
const NODE_FILES: readonly RegExp[] = [/^packages\/bitcoin\/src\/platform\/(?:native|hashing-openssl)\.ts$/];
const BROWSER_PACKAGES: ReadonlySet<string> = new Set(['bitcoin', 'wire', 'core']);

/** Globals that reach a clock, a source of chance, the process or the world. */
const IMPURE_GLOBALS =
  /(?<![.\w$#])(?:process|Date|performance|setTimeout|setInterval|setImmediate|fetch|console|globalThis|global|crypto|WebSocket|eval|Function)\b(?!\s*\??:)|(?<![\w$])Math\s*\.\s*random\b/g;

/** Doors of a package beside its front: what only some of its users should load. */
const SIDE_DOORS: readonly string[] = [
  `${SCOPE}transport/bridge`,
  `${SCOPE}transport/grpc`,
  `${SCOPE}bitcoin/wasm`,
  `${SCOPE}store/contract`,
];

const EXACT_VERSION = /^\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?$/;

export function checkDependencies(workspace: Workspace): Violation[] {
  return [
    ...checkVersions('package.json', workspace.root),
    ...workspace.packages.flatMap((one) => [
      ...checkManifest(one, workspace),
      ...one.sources.flatMap((file) => checkSource(one, file)),
    ]),
  ];
}

function checkVersions(path: string, manifest: Manifest): Violation[] {
  const { dependencies, devDependencies, optionalDependencies, peerDependencies } = manifest;
  return [dependencies, devDependencies, optionalDependencies, peerDependencies]
    .flatMap((table) => Object.entries(table ?? {}))
    .filter(([, version]) => !EXACT_VERSION.test(version))
    .map(([name, version]) => ({ path, line: 0, message: `${name} is not pinned exactly: "${version}"` }));
}

function checkManifest({ directory, manifest }: WorkspacePackage, workspace: Workspace): Violation[] {
  const path = `packages/${directory}/package.json`;
  const violation = (message: string): Violation => ({ path, line: 0, message });
  const allowed = ARROWS[directory];
  if (allowed === undefined) return [violation(`${directory} has no place in the table of packages`)];
  const found = checkVersions(path, manifest);
  if (manifest.name !== SCOPE + directory) found.push(violation(`the name must be ${SCOPE}${directory}`));
  for (const [name, version] of Object.entries(manifest.dependencies ?? {})) {
    if (!name.startsWith(SCOPE)) continue;
    const target = name.slice(SCOPE.length);
    const actual = workspace.packages.find((one) => one.directory === target)?.manifest.version;
    if (!allowed.includes(target)) found.push(violation(`${directory} may not depend on ${target}`));
    if (actual !== version) found.push(violation(`${name} is ${actual ?? 'missing'}, not ${version}`));
  }
  return found;
}

function checkSource(one: WorkspacePackage, file: SourceFile): Violation[] {
  const { withoutComments, code } = readSourceText(file.text);
  const at = (offset: number, message: string): Violation => ({
    path: file.path,
    line: lineAt(file.text, offset),
    message,
  });
  const imports = findImports(withoutComments).flatMap((imported) => {
    const message = judgeImport(one, file, imported);
    return message === undefined ? [] : [at(imported.offset, message)];
  });
  if (!PURE.has(one.directory)) return imports;
  const globals = [...code.matchAll(IMPURE_GLOBALS)].map((match) =>
    at(match.index, `${one.directory} is pure: no ${match[0]}`),
  );
  return [...imports, ...globals];
}

/** Undefined: nothing to say. */
function judgeImport(one: WorkspacePackage, file: SourceFile, imported: Import): string | undefined {
  const { specifier } = imported;
  if (specifier === undefined) return 'an import computed at run time cannot be checked';
  if (specifier.startsWith('.')) return judgeRelative(one, file, specifier);
  if (specifier.startsWith('#')) return judgeTwin(one, specifier);
  if (isBuiltin(specifier)) return judgeBuiltin(one, file, imported);
  const name = packageOf(specifier);
  // A peer is there too: whoever uses the package brings it.
  if ((one.manifest.dependencies?.[name] ?? one.manifest.peerDependencies?.[name]) === undefined)
    return `${name} is not among the dependencies of ${one.manifest.name}`;
  return name.startsWith(SCOPE) ? judgeSibling(one, name, specifier) : undefined;
}

function judgeRelative(
  { directory }: WorkspacePackage,
  file: SourceFile,
  specifier: string,
): string | undefined {
  const target = posix.join(posix.dirname(file.path), specifier);
  if (!target.startsWith(`packages/${directory}/src/`)) return `${specifier} lies outside of the package`;
  return specifier.endsWith('.ts') ? undefined : `${specifier} must end in .ts`;
}

/** A name of the package's own, which stands for one file or another by the build's conditions. */
function judgeTwin({ manifest }: WorkspacePackage, specifier: string): string | undefined {
  if (manifest.imports?.[specifier] !== undefined) return undefined;
  return `${specifier} is not among the imports of ${manifest.name}`;
}

function judgeBuiltin(
  { directory }: WorkspacePackage,
  file: SourceFile,
  { specifier = '', names }: Import,
): string | undefined {
  if (!specifier.startsWith('node:')) return `write node:${specifier}`;
  if (!BROWSER_PACKAGES.has(directory) || NODE_FILES.some((pattern) => pattern.test(file.path)))
    return undefined;
  const value = names.find(({ isType }) => !isType);
  if (value === undefined && names.length > 0) return undefined;
  const why = PURE.has(directory) ? 'is pure' : 'runs in browsers';
  return `${directory} ${why}: no ${value?.name ?? 'side effect'} of ${specifier}`;
}

function judgeSibling({ directory }: WorkspacePackage, name: string, specifier: string): string | undefined {
  const target = name.slice(SCOPE.length);
  if (specifier !== name && !SIDE_DOORS.includes(specifier))
    return `${specifier} reaches into ${target}: import ${name}`;
  return ARROWS[directory]?.includes(target) === true ? undefined : `${directory} may not import ${target}`;
}
