/** The command line of `npm run adversary`. */
import { availableParallelism } from 'node:os';
import { Command, InvalidArgumentError, Option } from 'commander';

export interface AdversaryOptions {
  readonly steps: number;
  readonly seed: number;
  readonly minutes?: number;
  readonly channels: number;
  readonly moves: number;
  readonly replay?: string;
  /** True: all; else the ids of some. */
  readonly mutants?: true | readonly string[];
  readonly honest: boolean;
  readonly greedy: boolean;
  readonly endgames: number;
  readonly report?: string;
  readonly process: boolean;
  readonly shrink: number;
  readonly timeout: number;
  readonly jobs: number;
}

function whole(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text.replaceAll('_', ''));
    if (Number.isInteger(value) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`Give a whole number from ${min} to ${max}.`);
  };
}

const SEED_MAX = 0x7fff_ffff;

/** Exits with 2 for a wrong line, and with 0 for `--help`. */
export function readOptions(args: readonly string[]): AdversaryOptions {
  const program = new Command('npm run adversary --')
    .description(
      'A compromised node with colluding peers plays against the signer; a referee says after every request what the owner is certain to keep.',
    )
    .option('--steps <n>', 'requests to ask, of each mutant with --mutants', whole(1, 100_000_000), 20_000)
    .option('--minutes <n>', 'end after so long, whatever is still to ask', whole(1, 10_000))
    .option('--seed <n>', 'the same seed plays the same campaign', whole(0, SEED_MAX), 1)
    .option('--channels <n>', 'channels at a time', whole(1, 32), 5)
    .option('--moves <n>', 'moves of a match', whole(1, 10_000), 200)
    .option('--replay <file>', 'play the moves of a replay file, nothing else')
    .option('--mutants [ids]', 'rob broken signers: all, or those named, with commas between')
    .option('--honest', 'every move is an honest node’s: no refusal may come', false)
    .option('--greedy', 'every match is a changed one of those that brought W down furthest', false)
    .option(
      '--endgames <n>',
      'play the strategy of every so manieth match to its end; 0: never',
      whole(0, 1_000_000),
      8,
    )
    .option(
      '--report <dir>',
      'write page.html, story.txt, result.json and, if something was found, replay.json',
    )
    .option('--process', 'against a real countersign-hsmd: slow', false)
    .option('--shrink <seconds>', 'time for making what was found short', whole(0, 3600), 20)
    .addOption(
      new Option('--timeout <seconds>', 'longest time for one mutant')
        .argParser(whole(1, 86_400))
        .default(300),
    )
    .addOption(
      new Option('--jobs <n>', 'mutants at a time').argParser(whole(1, 64)).default(availableParallelism()),
    )
    .addHelpText(
      'after',
      '\nExit status: 0 nothing was found, 1 a theft, a refusal, a crash or a surviving mutant, 2 a wrong line.',
    )
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));
  const { mutants, ...options } = program
    .parse(args, { from: 'user' })
    .opts<Omit<AdversaryOptions, 'mutants'> & { readonly mutants?: true | string }>();
  if (mutants === undefined) return options;
  return { ...options, mutants: mutants === true ? true : mutants.split(',') };
}
