/** Workspaces to check, made of a few files each. */
import type { Manifest, Workspace } from '../../tools/workspace.ts';

export const VERSION = '0.1.0';

type Dependencies = Readonly<Record<string, string>>;

export interface PackageFiles {
  readonly files?: Readonly<Record<string, string>>;
  readonly dependencies?: Dependencies;
  readonly manifest?: Partial<Manifest>;
}

/** `files` are named from the package's `src`. */
export function workspaceOf(
  packages: Readonly<Record<string, PackageFiles>>,
  root: Partial<Manifest> = {},
): Workspace {
  return {
    root: { name: 'root', version: VERSION, ...root },
    packages: Object.entries(packages).map(([directory, { files = {}, dependencies = {}, manifest }]) => ({
      directory,
      manifest: { name: `@countersign/${directory}`, version: VERSION, dependencies, ...manifest },
      sources: Object.entries(files).map(([name, text]) => ({
        path: `packages/${directory}/src/${name}`,
        text,
      })),
    })),
  };
}
