/**
 * What the daemon may touch, as Node.js's permission model takes it: the files of signer.toml, by exact path, and the program
 * itself to read. No child processes. The launcher asks for these arguments before it starts the daemon under them.
 */
import { dirname, resolve } from 'node:path';
import { type NodeConfig, readNodePolicy, type SignerConfig } from '../config/config.ts';
import { credentialPath } from '../seed/passphrase.ts';

/** The prebuilt secp256k1's loader looks for it to tell Alpine. */
const LOADER_PROBES = ['/etc/alpine-release'];

export interface PermissionPlace {
  /** The directory with `packages` and `node_modules`. */
  readonly program: string;
  readonly credentialsDirectory: string | undefined;
}

/** Arguments of `node`, without spaces of their own in need of quoting. Throws `ConfigError`. */
export function permissionArguments(config: SignerConfig, place: PermissionPlace): readonly string[] {
  const home = dirname(resolve(config.file));
  const at = (path: string): string => resolve(home, path);
  const reads = [
    `${resolve(place.program)}/`,
    ...LOADER_PROBES,
    resolve(config.file),
    ...config.nodes.flatMap((node) => readsOf(node, place, at)),
  ];
  const writes = [
    ...config.nodes.map(({ stateDirectory }) => `${at(stateDirectory)}/`),
    ...(config.health?.kind === 'unix' ? [at(config.health.path)] : []),
  ];
  return [
    '--permission',
    '--allow-addons',
    '--allow-worker',
    ...unique([...reads, ...writes]).map((path) => `--allow-fs-read=${path}`),
    ...unique(writes).map((path) => `--allow-fs-write=${path}`),
  ];
}

function readsOf(node: NodeConfig, place: PermissionPlace, at: (path: string) => string): readonly string[] {
  const { seedFile, policyFile, passphrase, link } = node;
  const settings = readNodePolicy({ ...node, policyFile: policyFile === null ? null : at(policyFile) });
  const { chain } = settings;
  return [
    at(seedFile),
    ...(policyFile === null ? [] : [at(policyFile)]),
    ...(passphrase.kind === 'file' ? [at(passphrase.path)] : []),
    ...(passphrase.kind === 'credential'
      ? [credentialPath(passphrase.name, place.credentialsDirectory)]
      : []),
    ...(chain.source === 'bitcoind'
      ? [at(chain.login.kind === 'cookie' ? chain.login.file : chain.login.passwordFile)]
      : []),
    ...(link.transport === 'link' && link.dial?.kind === 'unix' ? [at(link.dial.path)] : []),
  ];
}

const unique = (paths: readonly string[]): readonly string[] => [...new Set(paths)];
