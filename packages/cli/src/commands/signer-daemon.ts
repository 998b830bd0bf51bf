/** `countersign signer`: the signer on a machine of its own. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  linkFiles,
  NODE_PIN_NAME,
  permissionArguments,
  prepareDirectories,
  runSigner,
  writeAddress,
} from '@countersign/daemon';
import { LinkError, PinStore, pair } from '@countersign/transport';
import type { Command } from 'commander';
import { print } from '../admin/options.ts';
import { CommandError } from '../command-error.ts';
import {
  addConfigOption,
  addNodeOptions,
  type ConfigFlags,
  type NodeFlags,
  pairedNodeIn,
  readFrom,
} from '../signer/config-file.ts';
import { toldPlainly } from '../signer/failure.ts';
import { addSignerLinkCommand } from './signer-link.ts';
import { addInitCommand, addPassphraseCommand } from './signer-seed.ts';

interface PairFlags extends NodeFlags {
  readonly tokenFile?: string;
}

/** Far more than a token has: a wrong file is told as one. */
const TOKEN_CHARACTERS_MAX = 4096;
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
      .argument('[token]', 'the whole line; other users of this machine can read it while the command runs')
      .option('--token-file <file>', 'read the token from a file, or from standard input with -'),
  ).action((token: string | undefined, flags: PairFlags) => toldPlainly(() => pairSigner(token, flags)));
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

async function pairSigner(given: string | undefined, flags: PairFlags): Promise<void> {
  const token = given === undefined ? readToken(flags) : given;
  if (given !== undefined && flags.tokenFile !== undefined)
    throw new CommandError(
      'usage',
      'a token comes from one place',
      'Leave out the argument or --token-file.',
    );
  const { name, directory } = pairedNodeIn(readFrom(flags), flags.node);
  const files = linkFiles(directory);
  const pins = PinStore.open(files.pins);
  const options = { token, identityPath: files.identity, pins, name: NODE_PIN_NAME };
  const { address, pin } = await pair(options).catch((error: unknown) => {
    throw isOfAnotherKey(error) ? pairedElsewhere(name) : error;
  });
  writeAddress(files, address);
  print([`Paired: node ${name} at ${address.host}:${address.port}`, `its key ${pin}`]);
}

const isOfAnotherKey = (error: unknown): boolean => error instanceof LinkError && error.code === 'pin-taken';

function pairedElsewhere(node: string): CommandError {
  return new CommandError(
    'operation-refused',
    `node ${node} is paired with a node side of another key`,
    'If that one is no more, forget it first: countersign signer link revoke.',
  );
}

/** Arguments are there for every user of the machine to see; a file or a pipe is not. */
function readToken({ tokenFile }: PairFlags): string {
  if (tokenFile === undefined)
    throw new CommandError(
      'usage',
      'no token was given',
      'Give the line, or --token-file FILE, or --token-file -.',
    );
  try {
    const text = readFileSync(tokenFile === '-' ? 0 : tokenFile, 'utf8');
    return text.slice(0, TOKEN_CHARACTERS_MAX).trim();
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error)) throw error;
    throw new CommandError('usage', `cannot read the token: ${error.message}`, 'Give another file.');
  }
}

function permissions(flags: ConfigFlags): void {
  const config = readFrom(flags);
  for (const node of config.nodes) prepareDirectories(node);
  const credentialsDirectory = process.env.CREDENTIALS_DIRECTORY;
  print(permissionArguments(config, { program: PROGRAM, credentialsDirectory }));
}
