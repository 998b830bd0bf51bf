/**
 * Results as columns: the first to the left, figures to the right.
 */
import { table } from '@countersign/cli';

export function printRows(
  title: string,
  head: readonly string[],
  rows: readonly (readonly string[])[],
): void {
  console.log(`\n${title}`);
  const alignments = head.map((_, column) => (column === 0 ? ('left' as const) : ('right' as const)));
  for (const line of table([head, ...rows], alignments)) console.log(`  ${line}`);
}
