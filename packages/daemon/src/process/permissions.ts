/**
 * What the daemon may touch, as Node.js's permission model takes it: the files of signer.toml, by exact path, and the program
 * itself to read. No child processes. The launcher asks for these arguments before it starts the daemon under them. The
 * directory of a node may be touched below, and not itself: so what lies in it has to be there already.
 */
import { resolve } from 'node:path';
import { prepareStore } from '@countersign/store';
import { type NodeConfig, readNodePolicy, type SignerConfig } from '../config/config.ts';
import { linkFiles } from '../link/files.ts';
import { credentialPath } from '../seed/passphrase.ts';

/** The prebuilt secp256k1's loader looks for it to tell Alpine. */
const LOADER_PROBES = ['/etc/alpine-release'];

export interface PermissionPlace {
  /** The directory with `packages` and `node_modules`. */
  readonly program: string;
  readonly credentialsDirectory: string | undefined;
}

/** What the confined process cannot make itself, for this user only. */
export function prepareDirectories({ directory, stateDirectory }: NodeConfig): void {
  prepareStore(stateDirectory);
  linkFiles(directory);
}

/** Arguments of `node`, without spaces of their own in need of quoting. Throws `ConfigError`. */
export function permissionArguments(config: SignerConfig, place: PermissionPlace): readonly string[] {
  const reads = [
    resolve(place.program),
    ...LOADER_PROBES,
    resolve(config.file),
    ...config.nodes.flatMap((node) => readsOf(node, place)),
  ];
  const writes = [
    ...config.nodes.flatMap(writesOf),
    ...(config.health?.kind === 'unix' ? [config.health.path] : []),
  ];
  return [
    '--permission',
    '--allow-addons',
    '--allow-worker',
    ...unique([...reads, ...writes]).map((path) => `--allow-fs-read=${path}`),
    ...unique(writes).map((path) => `--allow-fs-write=${path}`),
  ];
}

function writesOf(node: NodeConfig): readonly string[] {
  const { witnessFile } = readNodePolicy(node);
  return witnessFile === undefined ? [node.directory] : [node.directory, witnessFile];
}

function readsOf(node: NodeConfig, place: PermissionPlace): readonly string[] {
  const { directory, seedFile, policyFile, passphrase, link } = node;
  const { chain } = readNodePolicy(node);
  return [
    ...(isBelow(directory, seedFile) ? [] : [seedFile]),
    ...(policyFile === null ? [] : [policyFile]),
    ...(passphrase.kind === 'file' ? [passphrase.path] : []),
    ...(passphrase.kind === 'credential'
      ? [credentialPath(passphrase.name, place.credentialsDirectory)]
      : []),
    ...(chain.source === 'bitcoind'
      ? [chain.login.kind === 'cookie' ? chain.login.file : chain.login.passwordFile]
      : []),
    ...(link.transport === 'link' && link.dial?.kind === 'unix' ? [link.dial.path] : []),
  ];
}

/** A directory is granted with all below it. (To name such a path again would take the directory itself away: Node.js 24.) */
const isBelow = (directory: string, path: string): boolean => path.startsWith(`${directory}/`);

const unique = (paths: readonly string[]): readonly string[] => [...new Set(paths)];
