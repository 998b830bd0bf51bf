/**
 * Checks the direction of imports between packages, the purity of the deciding ones, and that nothing outside of
 * `core/src/keys` signs or reveals. Prints each violation with file and line; exit status 1 if there is any.
 */
import { checkDependencies } from './dependency-rules.ts';
import { checkKeys } from './key-rules.ts';
import { readWorkspace, report } from './workspace.ts';

const workspace = readWorkspace();
report('dependency violations', [...checkDependencies(workspace), ...checkKeys(workspace)]);
