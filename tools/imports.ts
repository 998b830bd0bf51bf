/**
 * The imports of a TypeScript file: static, re-exports, dynamic, `require`, `import()` types. Reads text in which the
 * comments are blanked already (`readSourceText`).
 */

export interface ImportedName {
  /** As the other module exports it; `default`, or `*` for everything. */
  readonly name: string;
  readonly isType: boolean;
}

export interface Import {
  /** Undefined: computed at run time, so nothing can be said about it. */
  readonly specifier: string | undefined;
  readonly names: readonly ImportedName[];
  readonly isReexport: boolean;
  readonly offset: number;
}

const STATIC = /\b(import|export)\s+(type\s+)?([^'"`;()]*?)\s*\bfrom\s*(['"])([^'"\n]+)\4/g;
const SIDE_EFFECT = /\bimport\s*(['"])([^'"\n]+)\1/g;
/** Also `createRequire(import.meta.url)('name')`. A `require` of something else than a literal is some other function. */
const CALL =
  /(?<![.\w$#])(?:import\s*\(\s*(?:(['"])([^'"\n]+)\1)?|(?:require|createRequire\s*\([^()]*\))\s*\(\s*(['"])([^'"\n]+)\3)/g;
const EVERYTHING: readonly ImportedName[] = [{ name: '*', isType: false }];

function namesOf(clause: string, isTypeOnly: boolean): ImportedName[] {
  const braced = /\{([\s\S]*)\}/.exec(clause);
  const outside = clause
    .replace(/\{[\s\S]*\}/, '')
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map((part) => ({ name: part.startsWith('*') ? '*' : 'default', isType: isTypeOnly }));
  const inside = (braced?.[1] ?? '')
    .split(',')
    .map((part) => /^\s*(type\s+)?([\w$]+)/.exec(part))
    .filter((part) => part !== null)
    .map((part) => ({ name: part[2]!, isType: isTypeOnly || part[1] !== undefined }));
  return [...outside, ...inside];
}

export function findImports(withoutComments: string): Import[] {
  const statics = [...withoutComments.matchAll(STATIC)].map((match) => ({
    specifier: match[5],
    names: namesOf(match[3]!, match[2] !== undefined),
    isReexport: match[1] === 'export',
    offset: match.index,
  }));
  const sideEffects = [...withoutComments.matchAll(SIDE_EFFECT)].map((match) => ({
    specifier: match[2],
    names: [],
    isReexport: false,
    offset: match.index,
  }));
  const calls = [...withoutComments.matchAll(CALL)].map((match) => ({
    specifier: match[2] ?? match[4],
    names: EVERYTHING,
    isReexport: false,
    offset: match.index,
  }));
  return [...statics, ...sideEffects, ...calls].sort((a, b) => a.offset - b.offset);
}

/** `@scope/name/sub` → `@scope/name`. */
export function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}
