/**
 * The node side of a remote signer as its operator's commands find it: lightningd's network directory, what countersign.toml
 * there says of the link, and the link's files.
 */
import { join, resolve } from 'node:path';
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
  readonly listen: Extract<ListenAddress, { kind: 'tcp' }>;
  readonly files: LinkFiles;
  /** Where a running hsmd says how the link stands. */
  readonly socket: string;
}

export function addNodeSideOptions(command: Command): Command {
  return command.option(
    '--node-directory <dir>',
    `lightningd's network directory, where countersign.toml lies (default: this one; ${CONFIG_VARIABLE} names another file)`,
  );
}

/** Throws `CommandError`. */
export function nodeSideOf({ nodeDirectory = '.' }: NodeSideFlags): NodeSide {
  const config = readConfig(nodeDirectory);
  if (config instanceof CountersignError) {
    throw new CommandError(
      'usage',
      config.message,
      'Run this in lightningd’s network directory, or name it with --node-directory.',
    );
  }
  if (config.remote === null) {
    throw new CommandError(
      'usage',
      `the node in ${resolve(nodeDirectory)} has its signer in place: ${config.file} does not say mode = "remote"`,
      'See "On two machines" in docs/cln.md.',
    );
  }
  const { transport, listen } = config.remote;
  if (transport === 'vls-grpc') {
    throw new CommandError(
      'usage',
      'a signer of VLS is not paired: its protocol knows no keys, or [remote] lists them',
      'See docs/vls-interop.md.',
    );
  }
  if (listen.kind === 'unix') {
    throw new CommandError(
      'usage',
      'a signer on a Unix socket needs no keys: who may open the socket is the signer',
      'Nothing is to be paired. For a signer on another machine, let [remote] listen at an address and a port.',
    );
  }
  const stateDirectory = join(nodeDirectory, config.stateDirectory);
  return { listen, files: linkFiles(stateDirectory), socket: join(stateDirectory, LINK_SOCKET) };
}
