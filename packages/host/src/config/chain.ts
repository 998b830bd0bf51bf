/**
 * [chain]: where the signer's blocks come from. Each source has its keys; a key that the chosen one does not use is an error, as
 * whoever wrote it expects something of it. Passwords stand in files of their own.
 */
import type { InferOutput } from 'valibot';
import { faultAt, type Source } from './reader.ts';
import { CHAIN_SOURCES, type document, quoted } from './schema.ts';

export type NodeLogin =
  /** bitcoind writes it at each start. */
  | { readonly kind: 'cookie'; readonly file: string }
  | { readonly kind: 'password'; readonly user: string; readonly passwordFile: string };

interface Followed {
  /** The first block whose content counts; null: the signer's choice. */
  readonly birthdayHeightBlocks: number | null;
  readonly pollSeconds: number;
  /** Whether the signer's transactions are handed to the source. */
  readonly publishes: boolean;
}

export interface BitcoindChain extends Followed {
  readonly source: 'bitcoind';
  /** Null: on this machine, at the usual port of the network. */
  readonly url: string | null;
  readonly login: NodeLogin;
}

export interface EsploraChain extends Followed {
  readonly source: 'esplora';
  readonly url: string;
}

export type ChainConfig =
  /** No chain view. */
  | { readonly source: 'none' }
  /** Fed over node.sock. */
  | { readonly source: 'node'; readonly birthdayHeightBlocks: number }
  | BitcoindChain
  | EsploraChain;

type Form = NonNullable<InferOutput<typeof document>['chain']>;
type Table = Form & { readonly source: NonNullable<Form['source']> };
type Key = Exclude<keyof Table, 'source'>;

const FOLLOWED_KEYS = ['url', 'birthday_height', 'poll_seconds', 'publish'] as const;
const KEYS: { readonly [Name in Table['source']]: readonly Key[] } = {
  none: [],
  node: ['birthday_height'],
  bitcoind: [...FOLLOWED_KEYS, 'cookie_file', 'user', 'password_file'],
  esplora: FOLLOWED_KEYS,
};

/** A bitcoind is asked to wait for a block; a server of somebody else is asked now and then. */
const POLL_SECONDS_DEFAULT = { bitcoind: 10, esplora: 30 } as const;

/** Throws `ConfigError`. */
export function readChain(source: Source, form: Form): ChainConfig {
  if (form.source === undefined) {
    throw faultAt(source, ['chain'], `"chain.source" is missing, expected one of ${quoted(CHAIN_SOURCES)}`);
  }
  const table: Table = { ...form, source: form.source };
  refuseUnused(source, table);
  switch (table.source) {
    case 'none':
      return { source: 'none' };
    case 'node':
      return { source: 'node', birthdayHeightBlocks: needed(source, table, 'birthday_height', 'a height') };
    case 'bitcoind': {
      const url = table.url === undefined ? null : checkedUrl(source, table.url);
      return { source: 'bitcoind', url, login: loginOf(source, table), ...followed(table, 'bitcoind') };
    }
    case 'esplora': {
      const url = needed(source, table, 'url', `the address of the server's API: "https://…/api"`);
      return { source: 'esplora', url: checkedUrl(source, url), ...followed(table, 'esplora') };
    }
  }
}

function refuseUnused(source: Source, table: Table): void {
  const known: readonly string[] = KEYS[table.source];
  for (const key of Object.keys(table)) {
    if (key === 'source' || known.includes(key)) continue;
    const users = Object.entries(KEYS).filter(([, keys]) => keys.some((one) => one === key));
    const list = users.map(([name]) => `"${name}"`).join(' or ');
    throw faultAt(source, ['chain', key], `"chain.${key}" is for source = ${list}, not "${table.source}"`);
  }
}

function needed<K extends Key>(source: Source, table: Table, key: K, what: string): NonNullable<Table[K]> {
  const value = table[key];
  if (value !== undefined && value !== null) return value;
  const message = `"chain.${key}" is missing, expected ${what} with source = "${table.source}"`;
  throw faultAt(source, ['chain', 'source'], message);
}

function followed(table: Table, kind: keyof typeof POLL_SECONDS_DEFAULT): Followed {
  return {
    birthdayHeightBlocks: table.birthday_height ?? null,
    pollSeconds: table.poll_seconds ?? POLL_SECONDS_DEFAULT[kind],
    publishes: table.publish ?? true,
  };
}

function loginOf(source: Source, table: Table): NodeLogin {
  const { cookie_file: file, user } = table;
  if (file !== undefined) {
    const other = (['user', 'password_file'] as const).find((key) => table[key] !== undefined);
    if (other === undefined) return { kind: 'cookie', file };
    const message = `"chain.${other}" beside "chain.cookie_file": the cookie holds user and password; keep one of them`;
    throw faultAt(source, ['chain', other], message);
  }
  if (user === undefined && table.password_file === undefined) {
    const message =
      'source = "bitcoind" needs cookie_file (the path of its .cookie), or user and password_file';
    throw faultAt(source, ['chain', 'source'], message);
  }
  return {
    kind: 'password',
    user: needed(source, table, 'user', "rpcuser or the name in rpcauth of the Bitcoin node's configuration"),
    passwordFile: needed(source, table, 'password_file', 'a file with the password in its first line'),
  };
}

function checkedUrl(source: Source, text: string): string {
  const fault = urlFault(text);
  if (fault !== null) throw faultAt(source, ['chain', 'url'], `"chain.url" ${fault}`);
  return text;
}

/** Null for a URL that a follower can use. */
function urlFault(text: string): string | null {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:'))
    return 'is no address, expected "http://…" or "https://…"';
  if (url.username !== '' || url.password !== '')
    return 'has a user or password in it: put the user into user, the password into a file and its path into password_file';
  return url.search === '' && url.hash === '' ? null : 'ends in a query or fragment, which has no use here';
}
