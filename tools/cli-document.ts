/**
 * Renders `docs/cli.md` from the commands themselves: what `--help` prints, at a fixed width and without colours.
 */
import type { buildProgram } from '@countersign/cli';

type Command = ReturnType<typeof buildProgram>;

const COLUMNS = 100;

/** The help with the texts added around it, as a terminal of `COLUMNS` shows it. */
function helpOf(command: Command): string {
  let text = '';
  command.configureOutput({
    writeOut: (part) => {
      text += part;
    },
    getOutHelpWidth: () => COLUMNS,
    getOutHasColors: () => false,
  });
  command.outputHelp();
  return text.trimEnd();
}

function section(command: Command, parents: readonly string[]): string[] {
  const names = [...parents, command.name()];
  return [
    `## ${names.join(' ')}`,
    '',
    '```text',
    helpOf(command),
    '```',
    '',
    ...command.commands.flatMap((child) => section(child, names)),
  ];
}

export function renderCliDocument(program: Command): string {
  const lines = [
    '# The command line',
    '',
    '<!-- Generated from the commands of packages/cli. Edit the command, not this page. -->',
    '',
    'In a checkout, after `npm ci && npm run build`: `packages/cli/bin/countersign …`, or that directory on the `PATH`.',
    '',
    ...section(program, []),
  ];
  return lines.join('\n');
}
