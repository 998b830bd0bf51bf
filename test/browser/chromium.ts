/**
 * The browser that tests run in: Chromium of the system, found by the variable CHROMIUM or at the usual places. Where there is
 * none, the tests fail and say what to install: what is to run in browsers is not known to until it did.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type BrowserContext, chromium } from 'playwright-core';

const PLACES = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/usr/bin/google-chrome-stable',
  '/snap/bin/chromium',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
];

export const NO_CHROMIUM =
  'no Chromium found: install the Debian package chromium (apt install chromium), or name one in the environment variable CHROMIUM';

export function findChromium(
  environment = process.env,
  exists: (path: string) => boolean = existsSync,
): string {
  const named = environment.CHROMIUM;
  const found = [...(named === undefined ? [] : [named]), ...(named === undefined ? PLACES : [])].find(
    exists,
  );
  if (found === undefined)
    throw new Error(named === undefined ? NO_CHROMIUM : `${NO_CHROMIUM}; there is no ${named}`);
  return found;
}

/** Containers have neither a sandbox for it nor a large /dev/shm. */
const ARGUMENTS = ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'];
const START_MS_MAX = 120_000;

export interface Browser {
  readonly context: BrowserContext;
  /** As the power going: no page is told. */
  kill(): Promise<void>;
  close(): Promise<void>;
}

/** A browser of its own process and profile directory; the profile is the caller's and stays. */
export async function startChromium(profile: string): Promise<Browser> {
  const portFile = join(profile, 'DevToolsActivePort');
  rmSync(portFile, { force: true });
  const flags = ['--headless=new', '--remote-debugging-port=0', `--user-data-dir=${profile}`, 'about:blank'];
  const child = spawn(findChromium(), [...ARGUMENTS, ...flags], { stdio: 'ignore' });
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  // Whatever a failing test leaves open goes with its process.
  const killNow = (): void => {
    child.kill('SIGKILL');
  };
  process.once('exit', killNow);
  const kill = async (): Promise<void> => {
    killNow();
    await ended;
    process.off('exit', killNow);
  };
  try {
    const port = await portOf(portFile, child);
    const browser = await chromium.connectOverCDP(`http://127.0.0.1:${port}`, { timeout: START_MS_MAX });
    const context = browser.contexts()[0]!;
    context.setDefaultTimeout(START_MS_MAX);
    const close = async (): Promise<void> => {
      await browser.close();
      await kill();
    };
    return { context, kill, close };
  } catch (error) {
    await kill();
    throw error;
  }
}

async function portOf(file: string, child: ChildProcess): Promise<string> {
  for (let waitedMs = 0; waitedMs < START_MS_MAX; waitedMs += 50) {
    if (child.exitCode !== null) throw new Error(`Chromium ended with status ${child.exitCode}`);
    const port = existsSync(file) ? readFileSync(file, 'utf8').split('\n')[0] : '';
    if (port) return port;
    await delay(50);
  }
  throw new Error('Chromium does not listen');
}

export function makeProfile(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'countersign-chromium-'));
  return {
    path,
    remove: () => rmSync(path, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }),
  };
}
