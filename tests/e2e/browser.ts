import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';
import { startDeployment, type Deployment } from '../../apps/cli/src/local/deployment.ts';
import { anyPorts } from '../../apps/cli/src/local/ports.ts';
import type { VariantOptions } from '../../apps/cli/src/local/variant.ts';

/** Where screenshots go: they are looked at by people, and not committed. */
export const SHOTS: string = fileURLToPath(new URL('../../.cloister/shots/', import.meta.url));

/** Debian's Chromium without anything that would look for the world outside. */
export async function launchBrowser(): Promise<Browser> {
  mkdirSync(SHOTS, { recursive: true });
  return chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}

/** A platform in a folder of its own, with its portal; `stop` removes the folder too. */
export async function startPlatform(
  options: { readonly variant?: VariantOptions } = {},
): Promise<Deployment> {
  const folder = mkdtempSync(join(tmpdir(), 'cloister-e2e-'));
  const deployment = await startDeployment({
    folder,
    ports: await anyPorts(),
    portal: true,
    tell: () => {},
    ...options,
  });
  return {
    ...deployment,
    stop: async () => {
      await deployment.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A page, and everything it complained of: policy violations, errors, failed loads. */
export interface WatchedPage {
  readonly page: Page;
  readonly complaints: string[];
  readonly context: BrowserContext;
}

/** How a page is opened. */
export interface PageOptions {
  readonly locale?: string;
  readonly colorScheme?: 'light' | 'dark';
  /** Whether the test moves the page's clock. */
  readonly clock?: boolean;
  /** Something that stands between the page and this address. */
  readonly through?: { readonly from: string; readonly to: string };
  /** Says something else in `cloister.json`. */
  readonly settings?: (settings: Record<string, unknown>) => Record<string, unknown>;
}

/** Opens a page in a fresh context and notes every violation of its policy and every error. */
export async function openPage(
  browser: Browser,
  url: string,
  options: PageOptions = {},
): Promise<WatchedPage> {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 860 },
    locale: options.locale ?? 'en',
    colorScheme: options.colorScheme ?? 'light',
    // Its policy names the address that is stood between; other tests hold the page to its policy.
    bypassCSP: options.through !== undefined,
  });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(`error: ${error.message}`));
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(`console: ${message.text()}`);
  });
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => {
      console.error(`policy violated: ${event.violatedDirective} ${event.blockedURI}`);
    });
  });
  if (options.clock === true) await page.clock.install();
  await changeAddresses(page, options);
  await page.goto(url);
  return { page, complaints, context };
}

/** Gives the page other addresses. */
async function changeAddresses(page: Page, { through, settings }: PageOptions): Promise<void> {
  const replace = (text: string): string =>
    through === undefined ? text : text.replaceAll(through.from, through.to);
  if (through !== undefined || settings !== undefined)
    await page.route('**/cloister.json', async (route) => {
      const response = await route.fetch();
      const read = JSON.parse(replace(await response.text())) as Record<string, unknown>;
      await route.fulfill({ response, json: settings?.(read) ?? read });
    });
}
