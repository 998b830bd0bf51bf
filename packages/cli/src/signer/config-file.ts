/** `signer.toml` as the commands find it, or begin it: which node is meant, and where its files are. */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { type NodeConfig, readSignerConfig, type SignerConfig } from '@countersign/daemon';
import type { Command } from 'commander';
import { CommandError } from '../command-error.ts';

export const CONFIG_DEFAULT = 'signer.toml';

export interface ConfigFlags {
  readonly config: string;
}

export interface NodeFlags extends ConfigFlags {
  readonly node?: string;
}

export function addConfigOption(command: Command): Command {
  return command.option(
    '--config <file>',
    'the configuration; its relative paths begin where it is',
    CONFIG_DEFAULT,
  );
}

export function addNodeOptions(command: Command): Command {
  return addConfigOption(command).option('--node <name>', 'which [node.NAME] (default: the only one)');
}

/** Throws `ConfigError`. */
export function readFrom({ config }: ConfigFlags): SignerConfig {
  return readSignerConfig(resolve(config));
}

/** The node that is meant. */
export function nodeIn({ nodes }: SignerConfig, name: string | undefined): NodeConfig {
  const [only] = nodes;
  if (name === undefined && nodes.length === 1 && only !== undefined) return only;
  const names = nodes.map((node) => node.name).join(', ');
  if (name === undefined)
    throw new CommandError('usage', `there are several nodes: ${names}`, 'Say which: --node NAME.');
  const found = nodes.find((node) => node.name === name);
  if (found !== undefined) return found;
  throw new CommandError('usage', `there is no [node.${name}]`, `There are: ${names}.`);
}

/** The node that is meant, of those that are paired with theirs. */
export function pairedNodeIn(config: SignerConfig, name: string | undefined): NodeConfig {
  const node = nodeIn(config, name);
  if (node.link.transport === 'link') return node;
  throw new CommandError(
    'usage',
    `node ${node.name} is reached by VLS’s protocol: nothing is paired there`,
    'Its key is the pin in the configuration, see "countersign signer link list" and docs/vls-interop.md.',
  );
}

/** Adds a node to a file that does not have it, and makes the file where there is none. */
export function beginNode({
  config,
  node = 'node',
  network,
  keyStyle,
}: NodeFlags & { readonly network?: string; readonly keyStyle?: string }): void {
  const path = resolve(config);
  if (network === undefined) return;
  const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
  if (text.split('\n').some((line) => line.trim() === `[node.${node}]`)) {
    throw new CommandError(
      'usage',
      `${config} has a [node.${node}] already`,
      'Leave out --network: the network is that of the file. Or take another --node.',
    );
  }
  const style = keyStyle === undefined ? '' : `key_style = "${keyStyle}"\n`;
  appendFileSync(path, `${text === '' ? '' : '\n'}[node.${node}]\nnetwork = "${network}"\n${style}`, {
    mode: 0o600,
  });
}
