/**
 * The daemon's log: one JSON object a line, by pino, on standard output. What goes in is text and names that the signer made for
 * its operator; bytes and objects of requests never do. Should one slip in all the same, fields named like secrets are struck out.
 */
import { type BaseLogger, type ChildLoggerOptions, pino } from 'pino';
import type { LogLevel } from '../config/config.ts';

export type Level = 'debug' | 'info' | 'warn' | 'error';

export interface Log {
  (level: Level, text: string, facts?: Readonly<Record<string, string | number | boolean>>): void;
  /** With the node's name in every line. */
  readonly of: (node: string) => Log;
}

/** Names under which a secret could come, at the top of a line or one level below. */
const STRUCK_OUT = [
  'passphrase',
  'secret',
  'seed',
  'mnemonic',
  'words',
  'privkey',
  'privateKey',
  'key',
  'body',
];
const TEXT_CHARS_MAX = 8192;

export interface LogDestination {
  write(line: string): void;
}

export function openLog(level: LogLevel, destination: LogDestination): Log {
  const logger = pino(
    {
      level,
      base: null,
      redact: { paths: STRUCK_OUT.flatMap((name) => [name, `*.${name}`]), censor: '[secret]' },
      formatters: { level: (label) => ({ level: label }) },
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
    },
    destination,
  );
  return logOn(logger);
}

interface Logger extends BaseLogger {
  child(bindings: { readonly node: string }, options?: ChildLoggerOptions): Logger;
}

function logOn(logger: Logger): Log {
  const log = (level: Level, text: string, facts: object = {}): void => {
    logger[level](facts, text.slice(0, TEXT_CHARS_MAX));
  };
  return Object.assign(log, { of: (node: string) => logOn(logger.child({ node })) });
}
