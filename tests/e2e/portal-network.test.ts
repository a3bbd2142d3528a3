import assert from 'node:assert/strict';
import { join } from 'node:path';
import { crc32, deflateSync } from 'node:zlib';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import type { Deployment } from '../../apps/cli/src/local/deployment.ts';
import { shared, sharedMissing } from '../shared.ts';
import { launchBrowser, openPage, SHOTS, startPlatform, type WatchedPage } from './browser.ts';
import { startFlakyNetwork, type FlakyNetwork } from './flaky-network.ts';
import { assertAccessible, createPatient, enter, fillPatient, id, WAIT } from './portal-steps.ts';

describe('the portal, over a network that fails', { skip: sharedMissing }, () => {
  let browser: Browser;
  let platform: Deployment;
  let network: FlakyNetwork;
  let opened: WatchedPage;
  let page: Page;
  before(async () => {
    [browser, platform] = await Promise.all([launchBrowser(), startPlatform()]);
  });
  after(async () => {
    await browser.close();
    await platform.stop();
  });
  beforeEach(async () => {
    network = await startFlakyNetwork(platform.urls.records);
  });
  afterEach(async () => {
    await opened.context.close();
    network.stop();
  });

  /** Opens the portal so that everything between it and `records` goes over the network. */
  async function open(locale = 'en', colorScheme: 'light' | 'dark' = 'light'): Promise<void> {
    const through = { from: platform.urls.records, to: network.url };
    opened = await openPage(browser, platform.portal ?? '', { locale, colorScheme, through });
    ({ page } = opened);
    await enter(page, platform);
  }
  const shoot = (name: string) =>
    page.screenshot({ path: join(SHOTS, `network-${name}.png`), fullPage: true });
  /** Waits until there is one more event stream than so many. */
  async function nextStream(than: number): Promise<void> {
    for (let i = 0; network.streams() <= than; i++) {
      assert.ok(i < 150, 'no event stream');
      await page.waitForTimeout(100);
    }
  }

  it('listens to one stream, and goes on with it by its cursor where it is cut off', async () => {
    await open();
    await createPatient(page, 'en');
    await nextStream(0);
    network.cutStreams();
    await nextStream(1);
    await page.waitForTimeout(12_000);
    assert.equal(network.streams(), 2, 'ticks keep it alive');
    await id(page, 'upload-input').setInputFiles(shared('vectors/imaging/cxr-01.png'));
    await id(page, 'upload-open').click(WAIT);
    await id(page, 'analyse').click(WAIT);
    await id(page, 'bell-count').waitFor(WAIT);
    await id(page, 'result').waitFor(WAIT);
    assert.equal(await page.locator('.stale-bar').count(), 0);
  });

  it('asks instead where something on the way holds streams back', async () => {
    network.holdStreams = true;
    await open();
    await createPatient(page, 'en');
    await nextStream(1);
    await page.waitForTimeout(16_000);
    await id(page, 'upload-input').setInputFiles(shared('vectors/imaging/cxr-05.png'));
    await id(page, 'upload-open').click(WAIT);
    await id(page, 'analyse').click(WAIT);
    await id(page, 'bell-count').waitFor(WAIT);
    assert.equal(network.streams(), 2, 'it is asked');
  });

  for (const [locale, scheme] of [
    ['en', 'light'],
    ['zh-CN', 'dark'],
  ] as const)
    it(`shows the bytes of an upload and stops it, nothing half done, in ${locale}`, async () => {
      await open(locale, scheme);
      await createPatient(page, locale);
      const image = { name: 'large.png', mimeType: 'image/png', buffer: noise(3600) };
      network.rate = 600_000;
      await id(page, 'upload-input').setInputFiles(image);
      const bar = id(page, 'upload-bar');
      await bar.waitFor(WAIT);
      const values: number[] = [];
      for (let i = 0; i < 20; i++) {
        values.push(Number(await bar.getAttribute('value')));
        await page.waitForTimeout(100);
      }
      // However long the next steps take here, it is not through before.
      network.rate = 10_000;
      const total = Number(await bar.getAttribute('max'));
      assert.ok(total > image.buffer.length, 'what is counted is encrypted');
      assert.ok(
        values.every((value, i) => i === 0 || value >= (values[i - 1] ?? 0)),
        values.join(' '),
      );
      assert.ok(
        (values.at(-1) ?? 0) > 0 && (values.at(-1) ?? 0) < total,
        `${values.join(' ')} of ${total}`,
      );
      await assertAccessible(page);
      await shoot(`upload-${locale}`);
      await id(page, 'upload-cancel').click();
      await page
        .locator('[data-testid="upload-cancelled"][data-outcome="not-stored"]')
        .waitFor(WAIT);
      await shoot(`cancelled-${locale}`);
      network.rate = undefined;
      assert.equal(await id(page, 'study-list').count(), 0);
      await id(page, 'upload-another').click();
      await id(page, 'upload-input').setInputFiles(shared('vectors/imaging/cxr-04.png'));
      await id(page, 'upload-open').waitFor(WAIT);
      await id(page, 'study-open').waitFor(WAIT);
      assert.equal(await id(page, 'study-open').count(), 1);
    });

  it('finds out that a patient was saved whose answer was lost', async () => {
    await open();
    const mrn = await fillPatient(page, 'en', 'Lost');
    // The search for somebody of the same name, and then the patient.
    network.lose.push(false, true);
    await id(page, 'patient-save').click();
    await id(page, 'patient-banner').waitFor(WAIT);
    assert.match((await id(page, 'patient-banner').textContent()) ?? '', new RegExp(mrn));
    assert.deepEqual(network.lose, []);
  });

  for (const [locale, scheme] of [
    ['en', 'light'],
    ['zh-CN', 'dark'],
  ] as const)
    it(`says that a patient may have been saved, keeps the form, and looks, in ${locale}`, async () => {
      await open(locale, scheme);
      await fillPatient(page, locale, 'Unsure');
      network.lose.push(false, ...Array.from({ length: 12 }, () => true));
      await id(page, 'patient-save').click();
      await page.locator('[data-failure="unsure"]').waitFor(WAIT);
      assert.notEqual(await id(page, 'patient-mrn').inputValue(), '');
      await assertAccessible(page);
      await shoot(`unsure-${locale}`);
      network.lose.length = 0;
      await id(page, 'look').click();
      await id(page, 'patient-banner').waitFor(WAIT);
      await page.locator('a[href="/patients"]').first().click();
      await id(page, 'patient-list').waitFor(WAIT);
    });

  it('does not order an analysis twice', async () => {
    await open();
    await createPatient(page, 'en', 'Twice');
    await id(page, 'upload-input').setInputFiles(shared('vectors/imaging/cxr-02.png'));
    await id(page, 'upload-open').click(WAIT);
    await id(page, 'analyse').waitFor(WAIT);
    await page.waitForTimeout(500);
    network.lose.push(true);
    await id(page, 'analyse').click();
    await id(page, 'result').waitFor(WAIT);
    await page.goBack();
    await id(page, 'tab-reports').click(WAIT);
    await page.waitForTimeout(1500);
    assert.equal(await page.locator('[data-testid="report-list"] > li').count(), 1);
  });
});

/** A PNG that does not compress: gray noise of so many pixels a side. */
function noise(side: number): Buffer {
  const rows = Buffer.alloc(side * (side + 1));
  let seed = 1;
  for (let i = 0; i < rows.length; i++) {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    rows[i] = i % (side + 1) === 0 ? 0 : seed >>> 24;
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(side, 0);
  header.writeUInt32BE(side, 4);
  header[8] = 8;
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    pngChunk('IHDR', header),
    pngChunk('IDAT', deflateSync(rows, { level: 1 })),
    pngChunk('IEND', Buffer.alloc(0)),
  ]);
}

function pngChunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type), data]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  const check = Buffer.alloc(4);
  check.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, check]);
}
