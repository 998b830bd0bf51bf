/** `countersign signer`: the signer on a machine of its own. */
import { join } from 'node:path';
import {
  linkFiles,
  NODE_PIN_NAME,
  permissionArguments,
  prepareDirectories,
  runSigner,
  writeAddress,
} from '@countersign/daemon';
import { PinStore, pair } from '@countersign/transport';
import type { Command } from 'commander';
import { print } from '../admin/options.ts';
import {
  addConfigOption,
  addNodeOptions,
  type ConfigFlags,
  type NodeFlags,
  nodeIn,
  readFrom,
} from '../signer/config-file.ts';
import { toldPlainly } from '../signer/failure.ts';
import { addSignerLinkCommand } from './signer-link.ts';
import { addInitCommand, addPassphraseCommand } from './signer-seed.ts';

/** The directory with `packages` and `node_modules`. */
const PROGRAM = join(import.meta.dirname, '../../../..');

export function addSignerCommand(program: Command): void {
  const signer = program
    .command('signer')
    .summary('the signer on a machine of its own')
    .description(
      'The signer on a machine of its own: it holds the keys of one or more nodes, dials out to them, and opens no port.',
    );
  addConfigOption(
    signer
      .command('run')
      .summary('run it until SIGTERM or SIGINT')
      .description(
        'Run the signer for every node of the configuration, until SIGTERM or SIGINT. The log goes to standard output, one JSON object a line.',
      ),
  ).action((flags: ConfigFlags) => toldPlainly(() => run(flags)));
  addInitCommand(signer);
  addPassphraseCommand(signer);
  addNodeOptions(
    signer
      .command('pair')
      .summary('meet the node, with the token it printed')
      .description(
        'Bring the token that "countersign pair" printed on the node\'s machine. Afterwards each side knows the other by its key, and the token is worth nothing. A running signer dials the node within a second.',
      )
      .argument('<token>', 'the whole line'),
  ).action((token: string, flags: NodeFlags) => toldPlainly(() => pairSigner(token, flags)));
  addSignerLinkCommand(signer);
  addConfigOption(
    signer
      .command('permissions', { hidden: true })
      .description('The arguments that Node.js gets for run, one a line: for the launcher.'),
  ).action((flags: ConfigFlags) => toldPlainly(async () => permissions(flags)));
}

async function run({ config }: ConfigFlags): Promise<void> {
  process.exitCode = await runSigner(config);
}

async function pairSigner(token: string, flags: NodeFlags): Promise<void> {
  const { name, directory } = nodeIn(readFrom(flags), flags.node);
  const files = linkFiles(directory);
  const pins = PinStore.open(files.pins);
  const { address, pin } = await pair({ token, identityPath: files.identity, pins, name: NODE_PIN_NAME });
  writeAddress(files, address);
  print([`Paired: node ${name} at ${address.host}:${address.port}`, `its key ${pin}`]);
}

function permissions(flags: ConfigFlags): void {
  const config = readFrom(flags);
  for (const node of config.nodes) prepareDirectories(node);
  const credentialsDirectory = process.env.CREDENTIALS_DIRECTORY;
  print(permissionArguments(config, { program: PROGRAM, credentialsDirectory }));
}
