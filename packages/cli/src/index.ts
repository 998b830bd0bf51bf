/** The command line, and the replay player for tests and benchmarks. */
export { SignerAnswer } from './admin/answer.ts';
export { AdminClient, type Ask } from './admin/client.ts';
export { CommandError, type CommandErrorCode, EXIT } from './command-error.ts';
export { buildProgram, packageVersion, runProgram } from './program.ts';
export * from './replay/bundled.ts';
export * from './replay/compare.ts';
export { EXIT_WAIT_MS, type HsmdExit, type HsmdOptions, HsmdProcess } from './replay/hsmd-process.ts';
export { BlockingLink, ClientLink, type Link } from './replay/links.ts';
export * from './replay/player.ts';
export * from './replay/recording.ts';
export * from './replay/report.ts';
export * from './replay/state-directory.ts';
export * from './replay/status.ts';
export { loadSynthetic } from './replay/synthetic.ts';
export * from './terminal.ts';
