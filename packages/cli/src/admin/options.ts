/**
 * What the commands that talk to a running signer share: where its socket is, how the answer is printed.
 */
import { join } from 'node:path';
import { ADMIN_SOCKET, type Json } from '@countersign/host';
import { type Command, InvalidArgumentError } from 'commander';
import { AdminClient } from './client.ts';

export const STATE_DIRECTORY_VARIABLE = 'COUNTERSIGN_STATE_DIRECTORY';
const STATE_DIRECTORY_DEFAULT = 'countersign';

export interface SignerFlags {
  readonly socket?: string;
  readonly stateDirectory?: string;
  readonly json?: boolean;
}

export function addSignerOptions(command: Command): Command {
  return command
    .option(
      '--state-directory <dir>',
      `the signer's state directory (default: ${STATE_DIRECTORY_VARIABLE}, else ./${STATE_DIRECTORY_DEFAULT})`,
    )
    .option('--socket <path>', `the signer's ${ADMIN_SOCKET} itself`)
    .option('--json', 'print JSON and nothing else');
}

export function socketPath(flags: SignerFlags): string {
  if (flags.socket !== undefined) return flags.socket;
  const variable = process.env[STATE_DIRECTORY_VARIABLE];
  const fallback = variable === undefined || variable === '' ? STATE_DIRECTORY_DEFAULT : variable;
  return join(flags.stateDirectory ?? fallback, ADMIN_SOCKET);
}

/** With a connection to the running signer, which is closed afterwards. */
export async function withSigner<T>(
  flags: SignerFlags,
  use: (client: AdminClient) => Promise<T>,
): Promise<T> {
  const client = await AdminClient.open(socketPath(flags));
  try {
    return await use(client);
  } finally {
    client.close();
  }
}

export function print(lines: readonly string[]): void {
  process.stdout.write(lines.map((line) => `${line}\n`).join(''));
}

export function printJson(value: Json): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

export function positiveNumber(text: string): number {
  const value = Number(text);
  if (!(value > 0 && Number.isFinite(value))) throw new InvalidArgumentError('Give a number above 0.');
  return value;
}

export function positiveInteger(text: string): number {
  const value = Number(text);
  if (!(Number.isSafeInteger(value) && value > 0))
    throw new InvalidArgumentError('Give a whole number above 0.');
  return value;
}
