/**
 * The `countersign` command line: its commands, and how a failure is told.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command, CommanderError } from 'commander';
import { CommandError, EXIT } from './command-error.ts';
import { addAllowlistCommand } from './commands/allowlist.ts';
import { addApprovalsCommand } from './commands/approvals.ts';
import { addAuditCommand, addExplainCommand } from './commands/audit.ts';
import { addChainCommand } from './commands/chain.ts';
import { addChannelCommand } from './commands/channel.ts';
import { addHeartbeatCommand } from './commands/heartbeat.ts';
import { addLinkCommand } from './commands/link.ts';
import { addPairCommand } from './commands/pair.ts';
import { addReplayCommand } from './commands/replay.ts';
import { addPolicyCommand, addStatusCommand } from './commands/signer.ts';
import { addSignerCommand } from './commands/signer-daemon.ts';

/** The version of this package: package.json lies one above `src` and `dist` alike. */
export function packageVersion(): string {
  const text = readFileSync(join(import.meta.dirname, '../package.json'), 'utf8');
  const parsed: unknown = JSON.parse(text);
  const version: unknown =
    typeof parsed === 'object' && parsed !== null ? Reflect.get(parsed, 'version') : undefined;
  return typeof version === 'string' ? version : 'unknown';
}

export function buildProgram(): Command {
  const program = new Command();
  program
    .name('countersign')
    .description(
      'A validating remote signer for Lightning nodes: it holds the keys and signs only what cannot lose money.',
    )
    .version(packageVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .showSuggestionAfterError()
    // An option belongs to the command it follows: `heartbeat` and `heartbeat watch` have some of the same names.
    .enablePositionalOptions()
    .showHelpAfterError('(countersign --help lists the commands and options)')
    .exitOverride();
  addStatusCommand(program);
  addHeartbeatCommand(program);
  addApprovalsCommand(program);
  addAllowlistCommand(program);
  addPolicyCommand(program);
  addAuditCommand(program);
  addExplainCommand(program);
  addChannelCommand(program);
  addChainCommand(program);
  addPairCommand(program);
  addLinkCommand(program);
  addSignerCommand(program);
  addReplayCommand(program);
  return program;
}

/** Run as if typed; returns the exit status. */
export async function runProgram(argv: readonly string[]): Promise<number> {
  const program = buildProgram();
  try {
    if (argv.length === 0) {
      program.outputHelp();
      return EXIT.ok;
    }
    await program.parseAsync(argv, { from: 'user' });
    return Number(process.exitCode ?? EXIT.ok);
  } catch (error) {
    return tellFailure(error);
  }
}

function tellFailure(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  if (error instanceof CommandError) {
    process.stderr.write(`countersign: ${error.message}\n${error.advice}\n`);
    return error.exitStatus;
  }
  process.stderr.write(
    `countersign: this is a bug, please report it\n${error instanceof Error ? error.stack : String(error)}\n`,
  );
  return EXIT.bug;
}
