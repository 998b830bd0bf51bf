/** What the command line and the environment ask of the live suite. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

export type SignerChoice = 'one' | 'all' | 'none';

export interface LiveOptions {
  readonly only: string[];
  readonly list: boolean;
  readonly keep: boolean;
  readonly signers: SignerChoice;
  readonly jobs: number;
  readonly preset: string;
  /** Nodes signed by Countersign load the plugin that delivers preimages. */
  readonly plugin: boolean;
  /** Nodes signed by Countersign follow the chain by bitcoind. */
  readonly chain: boolean;
  /** Countersign's signers run as processes of their own, and their nodes have none. */
  readonly remote: boolean;
  /** Of everything that happens by chance. */
  readonly seed: number;
}

export interface Programs {
  readonly lightningd: string;
  readonly bitcoind: string;
  readonly hsmd: string;
}

export class OptionError extends Error {
  override readonly name = 'OptionError';
}

export const USAGE = `Usage: npm run test:live -- [options]

  --only NAME        run this scenario (repeatable; a prefix is enough)
  --list             list the scenarios
  --signers WHICH    one (default): one node of each scenario uses countersign-hsmd, its peers the stock hsmd
                     all: every node; none: only the stock hsmd
  --preset NAME      the policy preset of Countersign's nodes (default permissive)
  --no-plugin        leave out the plugin that delivers preimages to Countersign
  --no-chain         Countersign follows no chain
  --remote           Countersign's signers run apart from their nodes, linked by mutual TLS
  --seed N           for what happens by chance, as the cuts of a link (default 1)
  --jobs N           scenarios at a time (default 2)
  --keep             keep the directories of passed scenarios too

Environment
  LIGHTNINGD   path of Core Lightning's lightningd, built or installed with its subdaemons
  BITCOIND     path of Bitcoin Core's bitcoind (no wallet needed)
  LIVE_HSMD    another hsmd than packages/cln/bin/countersign-hsmd
`;

function asSigners(text: string): SignerChoice {
  if (text === 'one' || text === 'all' || text === 'none') return text;
  throw new OptionError(`--signers ${text}: give one, all or none`);
}

function asJobs(text: string): number {
  const jobs = Number(text);
  if (Number.isInteger(jobs) && jobs >= 1 && jobs <= 16) return jobs;
  throw new OptionError(`--jobs ${text}: give a number from 1 to 16`);
}

function asSeed(text: string): number {
  const seed = Number(text);
  if (Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32) return seed;
  throw new OptionError(`--seed ${text}: give a whole number`);
}

export function readOptions(args: string[]): LiveOptions {
  const { values } = parseArgs({
    args,
    options: {
      only: { type: 'string', multiple: true },
      list: { type: 'boolean', default: false },
      keep: { type: 'boolean', default: false },
      signers: { type: 'string', default: 'one' },
      preset: { type: 'string', default: 'permissive' },
      'no-plugin': { type: 'boolean', default: false },
      'no-chain': { type: 'boolean', default: false },
      remote: { type: 'boolean', default: false },
      seed: { type: 'string', default: '1' },
      jobs: { type: 'string', default: '2' },
    },
  });
  return {
    only: values.only ?? [],
    list: values.list,
    keep: values.keep,
    signers: asSigners(values.signers),
    jobs: asJobs(values.jobs),
    preset: values.preset,
    plugin: !values['no-plugin'],
    chain: !values['no-chain'],
    remote: values.remote,
    seed: asSeed(values.seed),
  };
}

/** The programs to run, or what is missing to run at all. */
export function findPrograms(
  environment: NodeJS.ProcessEnv,
  signers: SignerChoice,
): { readonly programs: Programs } | { readonly missing: string[] } {
  const own = join(import.meta.dirname, '../../packages/cln/bin/countersign-hsmd');
  const lightningd = environment.LIGHTNINGD ?? '';
  const bitcoind = environment.BITCOIND ?? '';
  const hsmd = environment.LIVE_HSMD ?? own;
  const missing: string[] = [];
  if (lightningd === '') missing.push('set LIGHTNINGD to the path of lightningd');
  if (bitcoind === '') missing.push('set BITCOIND to the path of bitcoind');
  if (missing.length > 0) return { missing };
  for (const [name, path] of [
    ['LIGHTNINGD', lightningd],
    ['BITCOIND', bitcoind],
    ...(signers === 'none' ? [] : [['LIVE_HSMD', hsmd] as const]),
  ] as const) {
    // A wrong path is a mistake, not a reason to skip.
    if (!existsSync(path)) throw new OptionError(`${name}: there is no ${path}`);
  }
  return { programs: { lightningd, bitcoind, hsmd } };
}
