/**
 * The browser example as a visitor meets it: the static build, served as it is, in a real Chromium. It signs what is honest, refuses
 * every attack, and is where it was after a reload. The size of what is downloaded is a limit of the product.
 */
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Page } from 'playwright-core';
import { build } from 'vite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ATTACKS } from '../../examples/shared/attacks.ts';
import { REPOSITORY } from '../../tools/workspace.ts';
import type { BundledFile } from '../browser/bundle.ts';
import { type Browser, makeProfile, startChromium } from '../browser/chromium.ts';
import { type Server, serve } from '../browser/serve.ts';

const BYTES_MAX = 1_500_000;
const EXPECTED: Readonly<Record<string, string>> = {
  'move-balance': 'policy-commitment-balance-conserved',
  'unapproved-payment': 'policy-commitment-htlc-offered-hash-matches',
  'old-state': 'policy-commitment-holder-not-revoked',
  'reveal-secret': 'policy-revoke-new-commitment-valid',
  'steal-close': 'policy-mutual-destination-allowlisted',
};

const profile = makeProfile();
let files: readonly BundledFile[];
let server: Server;
let browser: Browser;
let page: Page;
const faults: string[] = [];

beforeAll(async () => {
  files = await staticBuild();
  server = await serve(files);
  browser = await startChromium(profile.path);
  page = await browser.context.newPage();
  page.on('pageerror', (error) => faults.push(`${error}`));
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') faults.push(message.text());
  });
  await visit();
});

afterAll(async () => {
  await browser.close();
  await server.close();
  profile.remove();
});

async function staticBuild(): Promise<readonly BundledFile[]> {
  const output = await build({
    configFile: join(REPOSITORY, 'examples/browser/vite.config.js'),
    logLevel: 'error',
    build: { write: false },
  });
  if (Array.isArray(output) || !('output' in output)) throw new TypeError('one build has one output');
  return output.output.map((file) => ({
    name: file.fileName,
    content: file.type === 'chunk' ? file.code : file.source,
  }));
}

async function visit(): Promise<void> {
  await page.goto(server.url);
  await page.waitForSelector('html[data-ready="true"]');
}

async function text(selector: string): Promise<string> {
  return (await page.locator(selector).textContent()) ?? '';
}

const click = async (selector: string): Promise<void> => {
  await page.locator(selector).click();
  // While a step runs every button is disabled.
  await page.waitForSelector('#start-over:enabled');
};

describe('the static build', () => {
  it('is at most 1.5 MB, compressed', () => {
    const bytes = files.reduce((sum, { content }) => sum + gzipSync(content).length, 0);
    expect(bytes).toBeLessThanOrEqual(BYTES_MAX);
    // WebAssembly among it: else something is missing.
    expect(bytes).toBeGreaterThan(1_000_000);
  });
});

describe('the page', () => {
  it('makes a key, opens a channel, and signs an honest payment', async () => {
    await click('#make-key');
    expect(await text('#node-id')).toMatch(/^0[23][0-9a-f]{64}$/);
    await click('#open-channel');
    expect(await text('#ours')).toBe('you 700,000 sat');
    await click('#pay');
    expect(await text('#ours')).toBe('you 675,000 sat');
    expect(await text('#bobs')).toBe('Bob 325,000 sat');
    expect(await text('#state')).toContain('State 2');
    const asked = await page.locator('#log li.answered code').allInnerTexts();
    expect(asked).toContain('vls_sign_remote_commitment_tx2');
    expect(asked).toContain('hsmd_revoke_commitment_tx');
    // The wallet asked whether it may pay, and was told to wait for its owner.
    expect(await page.locator('#log li.refused').count()).toBe(1);
    expect(await text('#store')).toMatch(/On disk: \d+ records, \d+ entries/);
  });

  it('knows which attacks there are', () => {
    expect(ATTACKS.map(({ id }) => id).sort()).toEqual(Object.keys(EXPECTED).sort());
  });

  it.each(Object.entries(EXPECTED))('refuses: %s', async (id, tag) => {
    await click(`#attack-${id}`);
    const verdict = await text(`#verdict-${id}`);
    expect(verdict).toMatch(/^refused/i);
    expect(verdict).toContain(tag);
    expect(verdict).not.toMatch(/undefined|\[object/);
  });

  it('is where it was after a reload, and the channel goes on', async () => {
    const nodeId = await text('#node-id');
    await page.reload();
    await page.waitForSelector('html[data-ready="true"]');
    expect(await page.locator('#restored').isVisible()).toBe(true);
    expect(await text('#node-id')).toBe(nodeId);
    expect(await text('#ours')).toBe('you 675,000 sat');
    await click('#attack-old-state');
    expect(await text('#verdict-old-state')).toContain(EXPECTED['old-state']!);
    await click('#pay');
    expect(await text('#ours')).toBe('you 650,000 sat');
    expect(await text('#state')).toContain('after 2 payments');
  });

  it('finishes a payment that a reload cut short, or has not begun it', async () => {
    await page.locator('#pay').click();
    await page.reload();
    await page.waitForSelector('html[data-ready="true"]');
    expect(await page.locator('#problem').isVisible()).toBe(false);
    const before = await text('#ours');
    expect(['you 650,000 sat', 'you 625,000 sat']).toContain(before);
    await click('#pay');
    expect(await text('#ours')).toBe(before === 'you 650,000 sat' ? 'you 625,000 sat' : 'you 600,000 sat');
  });

  it('signs nothing because of the wallet’s notes', async () => {
    const note = (paying: number | null): Promise<void> =>
      page.evaluate((value) => {
        const key = 'countersign-example/notes';
        const notes = JSON.parse(localStorage.getItem(key)!) as object;
        localStorage.setItem(key, JSON.stringify({ ...notes, paying: value }));
      }, paying);
    // The owner did not approve that payment.
    await note(25_000);
    await page.reload();
    await page.waitForSelector('html[data-ready="true"]');
    expect(await text('#problem')).toContain('policy-commitment-htlc-offered-hash-matches');
    await note(null);
    await page.reload();
    await page.waitForSelector('html[data-ready="true"]');
    expect(await page.locator('#problem').isVisible()).toBe(false);
  });

  it('does not take a lost store for a new wallet', async () => {
    // A page of this origin in which the wallet does not run.
    const style = files.find(({ name }) => name.endsWith('.css'))!;
    await page.goto(server.url + style.name);
    await page.evaluate(
      () =>
        new Promise<void>((resolve, reject) => {
          const request = indexedDB.deleteDatabase('countersign-example');
          request.onsuccess = () => resolve();
          request.onerror = () => reject(request.error);
        }),
    );
    await visit();
    expect(await text('#problem')).toContain('no store');
    expect(await page.locator('#make-key').isEnabled()).toBe(true);
  });

  it('starts over', async () => {
    await page.locator('#start-over').click();
    await page.waitForSelector('#restored', { state: 'hidden' });
    await page.waitForSelector('html[data-ready="true"]');
    expect(await page.locator('#key-facts').isVisible()).toBe(false);
    await click('#make-key');
    await click('#open-channel');
    expect(await text('#ours')).toBe('you 700,000 sat');
  });

  it('asked for nothing that is not there, and said nothing on the console', () => {
    expect(server.missing).toEqual([]);
    expect(faults).toEqual([]);
  });
});
