/** What the tests of the configuration share: rules of every kind, and the error that a text gets. */
import { type Network, networkByName, type Rule } from '@countersign/core';
import { type Config, ConfigError, parseConfig, policyFor } from '../src/index.ts';

export const FILE = 'countersign.toml';
/** The generator of the curve. */
export const PEER = '0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798';
export const FUNDING = `${'0f'.repeat(32)}:1`;

const of = (tag: string, severity: Rule['severity'], more: Partial<Rule> = {}): Rule => ({
  tag,
  law: 5,
  severity,
  operations: ['onchain'],
  documentation: 'A rule of the tests, registered nowhere.',
  ...more,
});

/** One of each kind, and prefixes that hit several. */
export const RULES: readonly Rule[] = [
  of('policy-onchain-max-size', 'soft'),
  of('policy-onchain-fee-range', 'soft', { carriesPromise: true }),
  of('policy-onchain-fee-velocity', 'soft', { carriesPromise: true }),
  of('policy-onchain-no-unknown-outputs', 'approver'),
  of('policy-sighash', 'hard'),
  of('policy-sighash-more', 'hard'),
  of('policy-no-routing', 'soft', { presets: ['wallet', 'merchant'] }),
  of('policy-merchant-no-sends', 'soft', { presets: ['merchant'] }),
  of('policy-velocity-transferred', 'soft', { presets: [], carriesPromise: true }),
  of('policy-commitment-payment-settled-preimage', 'soft', { carriesPromise: true }),
  of('policy-commitment-spends-active-utxo', 'soft', { carriesPromise: true }),
];

export const network = (name: string): Network => networkByName(name)!;
export const parse = (text: string): Config => parseConfig(text, FILE, RULES);
export const policy = (text: string, name = 'bitcoin') => policyFor(parse(text), network(name));

export function errorOf(call: () => unknown): ConfigError {
  try {
    call();
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw new Error('not a ConfigError', { cause: error });
  }
  throw new Error('nothing was refused');
}

/** The message without the name of the file. */
export const faultOf = (text: string, name = 'bitcoin'): string =>
  errorOf(() => policy(text, name)).message.replace(`${FILE}:`, '');
