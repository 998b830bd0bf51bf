/** [allowlist]: every entry checked for the network it is used on, and none twice. */
import { loadSecp256k1 } from '@countersign/bitcoin';
import { type AllowlistEntry, type Network, readDestination, readPayee } from '@countersign/core';
import type { Config } from './config.ts';
import { ConfigError } from './error.ts';
import { shorten } from './nearest.ts';

export function readEntries(config: Config, network: Network): readonly AllowlistEntry[] {
  if (config.allowlist.length === 0) return [];
  const secp = loadSecp256k1();
  const lines = new Map<string, number>();
  return config.allowlist.map(({ list, text, line }) => {
    const entry = list === 'payees' ? readPayee(text, secp) : readDestination(text, network, secp);
    if (!entry.ok) throw faultAt(config, line, `"${shorten(text)}" in ${list}: ${entry.reason}`);
    const before = lines.get(entry.text);
    if (before !== undefined) {
      throw faultAt(config, line, `"${shorten(text)}" stands on the allowlist already, in line ${before}`);
    }
    lines.set(entry.text, line);
    return { kind: entry.kind, text: entry.text, addedAtSeconds: 0 };
  });
}

const faultAt = ({ file }: Config, line: number, message: string): ConfigError =>
  new ConfigError(`${file}:${line}: ${message}`, { file, line });
