/**
 * The node side of a remote signer as its operator's commands find it: lightningd's network directory with what countersign.toml
 * there says of the link, or the directory of an application with LDK, which has written there where it listens.
 */
import { existsSync, readFileSync } from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';
import { CountersignError } from '@countersign/bitcoin';
import { CONFIG_VARIABLE, LINK_SOCKET, type LinkFiles, linkFiles, readConfig } from '@countersign/cln';
import type { ListenAddress } from '@countersign/host';
import type { Command } from 'commander';
import { CommandError } from '../command-error.ts';

export interface NodeSideFlags {
  readonly nodeDirectory?: string;
  readonly json?: boolean;
}

export interface NodeSide {
  readonly who: NodeSideWords;
  readonly listen: Extract<ListenAddress, { kind: 'tcp' }>;
  readonly files: LinkFiles;
  /** Where a running hsmd says how the link stands. */
  readonly socket: string;
}

/** What its operator calls what. */
export interface NodeSideWords {
  /** The node. */
  readonly node: string;
  /** Of it, the process that listens. */
  readonly process: string;
  /** What says where it listens. */
  readonly listener: string;
  /** Why nobody can say who is connected. */
  readonly unknown: string;
}

const LIGHTNINGD: NodeSideWords = {
  node: 'lightningd',
  process: 'lightningd’s hsmd',
  listener: '[remote]',
  unknown: 'lightningd’s hsmd does not run here',
};
const APPLICATION: NodeSideWords = {
  node: 'the application',
  process: 'the application',
  listener: 'the application',
  unknown: 'the application’s own log says it',
};

export function addNodeSideOptions(command: Command): Command {
  return command.option(
    '--node-directory <dir>',
    `lightningd's network directory, where countersign.toml lies, or that of an application with LDK (default: this one; ${CONFIG_VARIABLE} names another file)`,
  );
}

/** Throws `CommandError`. */
export function nodeSideOf({ nodeDirectory = '.' }: NodeSideFlags): NodeSide {
  const application = applicationIn(nodeDirectory);
  if (application !== null) return application;
  const config = readConfig(nodeDirectory);
  if (config instanceof CountersignError) {
    throw new CommandError(
      'usage',
      config.message,
      'Run this in lightningd’s network directory or in that of an application with LDK, or name it with --node-directory.',
    );
  }
  if (config.remote === null) {
    throw new CommandError(
      'usage',
      `the node in ${resolve(nodeDirectory)} has its signer in place: ${config.file} does not say mode = "remote"`,
      'See "On two machines" in docs/cln.md. An application with LDK says where it listens when it starts: start it first.',
    );
  }
  const { transport, listen } = config.remote;
  if (transport === 'vls-grpc') {
    throw new CommandError(
      'usage',
      'a signer of VLS is not paired: its protocol knows no keys, or [remote] lists them',
      'Keys stand in pins of [remote], see "countersign link list" and docs/vls-interop.md.',
    );
  }
  if (listen.kind === 'unix') {
    throw new CommandError(
      'usage',
      'a signer on a Unix socket needs no keys: who may open the socket is the signer',
      'Nothing is to be paired. For a signer on another machine, let [remote] listen at an address and a port.',
    );
  }
  const stateDirectory = stateDirectoryOf(config, nodeDirectory);
  const socket = join(stateDirectory, LINK_SOCKET);
  return { who: LIGHTNINGD, listen, files: linkFiles(stateDirectory), socket };
}

/** One that waits for a signer of VLS's kind: its own key, and the keys that are let in; none of them means that there is no TLS. */
export interface VlsSide {
  readonly identityPath: string;
  readonly pins: readonly string[];
}

/** Null for any other node side, and where `nodeSideOf` has something to say. */
export function vlsSideOf({ nodeDirectory = '.' }: NodeSideFlags): VlsSide | null {
  if (applicationIn(nodeDirectory) !== null) return null;
  const config = readConfig(nodeDirectory);
  if (config instanceof CountersignError || config.remote?.transport !== 'vls-grpc') return null;
  const { identity } = linkFiles(stateDirectoryOf(config, nodeDirectory));
  return { identityPath: identity, pins: config.remote.pins };
}

function stateDirectoryOf({ stateDirectory }: { readonly stateDirectory: string }, home: string): string {
  return isAbsolute(stateDirectory) ? stateDirectory : join(home, stateDirectory);
}

/** An application has no countersign.toml: it says where it listens when it starts. Null where there is none. */
function applicationIn(directory: string): NodeSide | null {
  const said = join(directory, 'link', 'listen.json');
  if (existsSync(join(directory, 'countersign.toml')) || !existsSync(said)) return null;
  const { host, port } = addressIn(said);
  const socket = join(directory, LINK_SOCKET);
  return { who: APPLICATION, listen: { kind: 'tcp', host, port }, files: linkFiles(directory), socket };
}

function addressIn(path: string): { readonly host: string; readonly port: number } {
  try {
    const content: unknown = JSON.parse(readFileSync(path, 'utf8'));
    const { host, port } = Object(content) as Readonly<Record<string, unknown>>;
    if (typeof host === 'string' && typeof port === 'number') return { host, port };
  } catch (error) {
    if (!(error instanceof SyntaxError) && !(error instanceof Error && 'code' in error)) throw error;
  }
  throw new CommandError(
    'usage',
    `${path} cannot be read`,
    'Start the application again: it writes the file.',
  );
}
