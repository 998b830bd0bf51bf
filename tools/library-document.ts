/** Renders `docs/library-api.md`: the public API of the packages that others build on, door by door, from their sources. */
import { type ExportKind, exportsOf, type PublicExport } from './library-exports.ts';
import { REPOSITORY } from './workspace.ts';

export interface Door {
  /** What is imported. */
  readonly name: string;
  readonly entry: string;
  readonly about: string;
  readonly runsIn: 'Node.js and browsers' | 'Node.js' | 'browsers';
  /** Every name has a sentence of its author's. */
  readonly isDescribed: boolean;
}

const both = { runsIn: 'Node.js and browsers', isDescribed: true } as const;

export const DOORS: readonly Door[] = [
  {
    name: '@countersign/core',
    entry: 'packages/core/src/index.ts',
    about: 'The signer without a world: decisions, keys, records, rules. Pure.',
    ...both,
  },
  {
    name: '@countersign/host/signer',
    entry: 'packages/host/src/signer-entry.ts',
    about: 'The loop around it: decide, make durable, release.',
    ...both,
  },
  {
    name: '@countersign/store/contract',
    entry: 'packages/store/src/contract.ts',
    about: 'What a journal promises, for those who bring their own.',
    ...both,
  },
  {
    name: '@countersign/store/indexeddb',
    entry: 'packages/store/src/indexeddb/index.ts',
    about: 'The journal of a browser.',
    runsIn: 'browsers',
    isDescribed: true,
  },
  {
    name: '@countersign/bitcoin/wasm',
    entry: 'packages/bitcoin/src/wasm.ts',
    about: 'The curve of a browser: libsecp256k1 as WebAssembly.',
    ...both,
  },
  {
    name: '@countersign/ldk',
    entry: 'packages/ldk/src/index.ts',
    about: 'LDK’s signer interfaces, answered by a signer behind a synchronous door.',
    runsIn: 'Node.js',
    isDescribed: true,
  },
  {
    name: '@countersign/wire',
    entry: 'packages/wire/src/index.ts',
    about: 'Requests and replies, and their bytes. The messages themselves: [messages.md](messages.md).',
    runsIn: 'Node.js and browsers',
    isDescribed: false,
  },
  {
    name: '@countersign/bitcoin',
    entry: 'packages/bitcoin/src/index.ts',
    about: 'Bytes, hashes, transactions, scripts, BOLT 3.',
    runsIn: 'Node.js and browsers',
    isDescribed: false,
  },
];

const KINDS: readonly (readonly [ExportKind, string])[] = [
  ['function', 'Functions'],
  ['class', 'Classes'],
  ['value', 'Values'],
  ['type', 'Types'],
];

const HEAD = `# The public API

What a program may import from the packages that wallets are built on, with the first sentence of each name’s own documentation; the
rest of it is in the types. [library.md](library.md) says how they work together. What is not listed here is not public.

This page is generated (\`npm run docs\`), and a change of it is a change of the API.
`;

export function renderLibraryDocument(repository = REPOSITORY): string {
  return [HEAD, ...DOORS.map((door) => section(door, repository))].join('\n');
}

function section({ name, entry, about, runsIn }: Door, repository: string): string {
  const all = [...exportsOf(repository, entry).values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  const parts = KINDS.flatMap(([kind, title]) => {
    const some = all.filter((one) => one.kind === kind);
    return some.length === 0 ? [] : [table(title, some)];
  });
  return [`## ${name}\n\n${about} Runs in ${runsIn}.\n`, ...parts].join('\n');
}

function table(title: string, some: readonly PublicExport[]): string {
  if (some.every(({ summary }) => summary === ''))
    return `${title}: ${some.map(({ name }) => `\`${name}\``).join(', ')}\n`;
  const rows = some.map(({ name, summary }) => `| \`${name}\` | ${summary} |`);
  return [`| ${title} | |`, '|---|---|', ...rows, ''].join('\n');
}
