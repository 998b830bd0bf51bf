/** `countersign signer init` and `passphrase`: the seed of a node on the signer's machine. */
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { loadSecp256k1, toHex } from '@countersign/bitcoin';
import { type HsmSecretKind, type NetworkName, networkByName } from '@countersign/core';
import {
  changePassphrase,
  kindOf,
  type NodeConfig,
  needsPassphrase,
  newSeed,
  type SeedPlace,
  type SeedSecret,
  wipeSeed,
  writeSeed,
} from '@countersign/daemon';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { print } from '../admin/options.ts';
import { CommandError } from '../command-error.ts';
import { addNodeOptions, beginNode, type NodeFlags, nodeIn, readFrom } from '../signer/config-file.ts';
import { toldPlainly } from '../signer/failure.ts';
import {
  askNewPassphrase,
  askPassphrase,
  backupTerminal,
  checkBackup,
  type PassphraseFlags,
  sourceOf,
  wordLines,
} from '../signer/prompts.ts';

const NETWORKS: readonly NetworkName[] = ['bitcoin', 'testnet', 'testnet4', 'signet', 'regtest'];
/** Longer than any `hsm_secret`. */
const HSM_SECRET_BYTES_MAX = 4096;

interface InitFlags extends NodeFlags, PassphraseFlags {
  readonly network?: string;
  readonly keyStyle?: string;
  readonly import?: string;
  readonly importPassphraseFile?: string;
  readonly importPassphraseFd?: number;
  readonly skipBackupCheck?: boolean;
}

function descriptor(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 3 && value <= 1023) return value;
  throw new InvalidArgumentError('Give the number of an open descriptor, from 3 up.');
}

export function addInitCommand(signer: Command): void {
  addNodeOptions(
    signer
      .command('init')
      .summary('make the seed of a node, or bring the one it has')
      .description(
        'Make the seed file of a node: a new seed, whose twelve words are shown once and asked back, or the hsm_secret of a Core Lightning node, in any of its forms. The file is encrypted under a passphrase and never overwritten.',
      ),
  )
    .addOption(
      new Option('--network <name>', 'begin the [node.NAME] in the configuration, on this network').choices(
        NETWORKS,
      ),
    )
    .addOption(
      new Option(
        '--key-style <style>',
        'with --network: how keys follow from the seed. cln as in Core Lightning, ldk as in LDK’s KeysManager',
      ).choices(['cln', 'ldk']),
    )
    .option(
      '--import <file>',
      'take this hsm_secret, or the 32 bytes of an LDK node’s seed, instead of a new seed',
    )
    .option('--import-passphrase-file <file>', 'the passphrase of that hsm_secret, if it has one')
    .option('--import-passphrase-fd <n>', 'or an open descriptor to read it from', descriptor)
    .option('--passphrase-file <file>', 'the passphrase of the seed file, instead of asking')
    .option('--passphrase-fd <n>', 'or an open descriptor to read it from', descriptor)
    .option('--skip-backup-check', 'print the words and ask nothing: for scripts that keep them')
    .action((flags: InitFlags) => toldPlainly(() => init(flags)));
}

async function init(flags: InitFlags): Promise<void> {
  beginNode(flags);
  const node = nodeIn(readFrom(flags), flags.node);
  const network = networkByName(node.network);
  if (network === undefined)
    throw new CommandError('usage', `unknown network ${node.network}`, 'See --network.');
  if (existsSync(node.seedFile)) {
    const message = `${node.seedFile} exists: node ${node.name} has a seed already, which is never overwritten`;
    throw new CommandError(
      'operation-refused',
      message,
      'Take another node, or look at what is there first.',
    );
  }
  if (node.keyStyle === 'ldk' && flags.import === undefined)
    throw new CommandError(
      'usage',
      'a new seed has twelve words, as Core Lightning’s; LDK’s KeysManager has none like it',
      'Leave out --key-style (an LDK node works with either), or give the seed of an LDK node with --import.',
    );
  if (flags.import === undefined) requireCarried(node, 'mnemonic');
  const place = seedPlace();
  const secret =
    flags.import === undefined ? await fresh(place, flags) : await imported(flags.import, node, flags);
  try {
    const passphrase = await askNewPassphrase(
      sourceOf(flags, node.passphrase),
      `the seed file of node ${node.name}`,
    );
    const nodeId = await writeSeed(place, {
      path: node.seedFile,
      network,
      keyStyle: node.keyStyle,
      secret,
      passphrase,
    });
    passphrase.fill(0);
    print([`seed file  ${node.seedFile}`, `node id    ${toHex(nodeId)}`, '', `Next: ${nextStep(node)}`]);
  } finally {
    wipeSeed(secret);
  }
}

function nextStep({ name, link }: NodeConfig): string {
  if (link.transport === 'link')
    return `countersign signer pair TOKEN --node ${name}, with the token that "countersign pair" prints on the node's machine.`;
  if (link.pin === null) return 'countersign signer run';
  return `countersign signer link list --node ${name}, whose key goes into pins on the node's machine; then countersign signer run`;
}

async function fresh(place: SeedPlace, { skipBackupCheck }: InitFlags): Promise<SeedSecret> {
  const { secret, words } = newSeed(place);
  if (skipBackupCheck === true) print([...wordLines(words), '']);
  else await checkBackup(words, place.randomBytes, backupTerminal());
  return secret;
}

/** What would be refused at INIT only, when the words are on paper and the node waits for its signer. */
function requireCarried({ link, name }: NodeConfig, kind: HsmSecretKind): void {
  const hasWords = kind === 'mnemonic' || kind === 'mnemonic-with-passphrase';
  if (link.transport === 'link' || !hasWords) return;
  throw new CommandError(
    'usage',
    `this seed of node ${name} has twelve words, and VLS’s protocol cannot tell the node of the wallet that comes with them`,
    'Bring an hsm_secret of 32 bytes with --import, or take transport = "link".',
  );
}

async function imported(path: string, node: NodeConfig, flags: InitFlags): Promise<SeedSecret> {
  const hsmSecret = readHsmSecret(path);
  requireCarried(node, kindOf(hsmSecret));
  if (!needsPassphrase(kindOf(hsmSecret))) return { hsmSecret, passphrase: null };
  const { importPassphraseFile, importPassphraseFd } = flags;
  const source = sourceOf(
    {
      ...(importPassphraseFile !== undefined && { passphraseFile: importPassphraseFile }),
      ...(importPassphraseFd !== undefined && { passphraseFd: importPassphraseFd }),
    },
    { kind: 'terminal' },
  );
  return {
    hsmSecret,
    passphrase: await askPassphrase(source, `Passphrase of ${path}, as lightningd asks for it: `),
  };
}

function readHsmSecret(path: string): Uint8Array {
  try {
    const bytes = Uint8Array.from(readFileSync(path));
    if (bytes.length <= HSM_SECRET_BYTES_MAX) return bytes;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CommandError(
      'usage',
      `cannot read ${path}: ${reason}`,
      'Give the hsm_secret of the node.',
      {},
      { cause },
    );
  }
  throw new CommandError(
    'usage',
    `${path} is longer than any hsm_secret`,
    'Give the hsm_secret of the node.',
  );
}

interface ChangeFlags extends NodeFlags, PassphraseFlags {
  readonly newPassphraseFile?: string;
  readonly newPassphraseFd?: number;
}

export function addPassphraseCommand(signer: Command): void {
  addNodeOptions(
    signer
      .command('passphrase')
      .summary('change the passphrase of a seed file')
      .description(
        'Encrypt the seed of a node under another passphrase. The old file stays until the new one was seen to open.',
      ),
  )
    .option('--passphrase-file <file>', 'the passphrase it has, instead of where the configuration says')
    .option('--passphrase-fd <n>', 'or an open descriptor to read it from', descriptor)
    .option('--new-passphrase-file <file>', 'the new one, instead of asking')
    .option('--new-passphrase-fd <n>', 'or an open descriptor to read it from', descriptor)
    .action((flags: ChangeFlags) => toldPlainly(() => change(flags)));
}

async function change(flags: ChangeFlags): Promise<void> {
  const { newPassphraseFile, newPassphraseFd } = flags;
  const wanted = sourceOf(
    {
      ...(newPassphraseFile !== undefined && { passphraseFile: newPassphraseFile }),
      ...(newPassphraseFd !== undefined && { passphraseFd: newPassphraseFd }),
    },
    { kind: 'terminal' },
  );
  const node: NodeConfig = nodeIn(readFrom(flags), flags.node);
  const old = await askPassphrase(sourceOf(flags, node.passphrase), `Passphrase of node ${node.name} now: `);
  const next = await askNewPassphrase(wanted, `the seed file of node ${node.name}`);
  try {
    await changePassphrase(seedPlace(), node.seedFile, { old, next });
  } finally {
    old.fill(0);
    next.fill(0);
  }
  print([`Changed: ${node.seedFile}. Copies of the old file still open with the old passphrase.`]);
}

function seedPlace(): SeedPlace {
  return { secp: loadSecp256k1(), randomBytes: (count) => Uint8Array.from(randomBytes(count)) };
}
