import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import type { Deployment } from '../../apps/cli/src/local/deployment.ts';
import { shared, sharedMissing } from '../shared.ts';
import { launchBrowser, openPage, SHOTS, startPlatform, type WatchedPage } from './browser.ts';
import { assertAccessible, createPatient, id, signIn, WAIT } from './portal-steps.ts';

describe('the portal, on the main job', { skip: sharedMissing }, () => {
  let browser: Browser;
  let platform: Deployment;
  before(async () => {
    [browser, platform] = await Promise.all([launchBrowser(), startPlatform()]);
  });
  after(async () => {
    await browser.close();
    await platform.stop();
  });

  for (const locale of ['en', 'zh-CN'] as const) {
    it(`walks the seven steps in ${locale}`, async () => {
      const opened = await openPage(browser, platform.portal ?? '', { locale });
      const { page, complaints, context } = opened;
      const shoot = (name: string) =>
        page.screenshot({ path: join(SHOTS, `${locale}-${name}.png`), fullPage: true });
      // 1 to 3: verified in the browser, before there is anything to type into.
      await id(page, 'gate-continue').waitFor(WAIT);
      assert.equal(await page.locator('input').count(), 0, 'no form before the gate has passed');
      assert.equal(await id(page, 'gate').getAttribute('data-state'), 'passed');
      assert.equal(await page.locator('html').getAttribute('lang'), locale);
      await id(page, 'gate-simulated').waitFor(WAIT);
      assert.equal(
        await id(page, 'hash-agreed').first().textContent(),
        await id(page, 'hash-measured').first().textContent(),
      );
      await assertAccessible(page);
      await shoot('1-gate');
      await id(page, 'gate-continue').click();
      await signIn(page, platform);
      await shoot('2-patients-empty');
      await createPatient(page, locale);
      await shoot('3-patient');
      // 4 to 7: upload, analysis, result, notification.
      await id(page, 'upload-input').setInputFiles(shared('vectors/imaging/cxr-01.png'));
      await id(page, 'upload-open').or(id(page, 'study-open')).first().waitFor(WAIT);
      await shoot('4-uploaded');
      await id(page, 'upload-open').or(id(page, 'study-open')).first().click();
      await id(page, 'analyse').click(WAIT);
      await id(page, 'result').waitFor(WAIT);
      await id(page, 'heatmap').waitFor(WAIT);
      assert.match((await id(page, 'result-score').textContent()) ?? '', /98/);
      const text = (await page.locator('body').textContent()) ?? '';
      assert.doesNotMatch(text, /bacterial|viral|细菌|病毒/i, 'never shown as diagnosis');
      assert.match(text, locale === 'en' ? /AI suggestion/ : /AI/);
      await page.waitForTimeout(500);
      await assertAccessible(page);
      await shoot('5-result');
      assert.equal((await id(page, 'bell-count').textContent()) !== '0', true);
      await id(page, 'notifications').click();
      await page.waitForTimeout(300);
      await page.screenshot({ path: join(SHOTS, `${locale}-6-bell.png`) });
      await page.keyboard.press('Escape');
      await page.locator('a[href="/notifications"]').click();
      await id(page, 'notification-list').waitFor(WAIT);
      await shoot('7-notifications');
      await id(page, 'trust-chip').click();
      await page.waitForTimeout(300);
      await page.screenshot({ path: join(SHOTS, `${locale}-8-trust.png`) });
      assert.deepEqual(complaints, []);
      await context.close();
    });
  }

  it('says that nothing above threshold is not the same as normal', async () => {
    const { page, complaints } = await analyse('vectors/imaging/cxr-05.png', 'Okafor');
    assert.match((await id(page, 'result-finding').textContent()) ?? '', /No finding above/);
    assert.match((await id(page, 'result').textContent()) ?? '', /not.{0,20}normal/i);
    assert.equal(await id(page, 'heatmap').count(), 0, 'no heat map below the threshold');
    await page.screenshot({ path: join(SHOTS, 'dark-no-finding.png'), fullPage: true });
    assert.deepEqual(complaints, []);
    await page.context().close();
  });

  it('reads a compressed DICOM file', async () => {
    const { page } = await analyse('vectors/dicom/cxr/cxr_rle.dcm', 'Silva');
    await id(page, 'heatmap').waitFor(WAIT);
    await page.screenshot({ path: join(SHOTS, 'dark-result-dicom.png'), fullPage: true });
    await page.context().close();
  });

  /** Uploads an image for a new patient and waits for its result, in the dark theme. */
  async function analyse(image: string, family: string): Promise<WatchedPage> {
    const opened = await openPage(browser, platform.portal ?? '', { colorScheme: 'dark' });
    const { page } = opened;
    await id(page, 'gate-continue').click(WAIT);
    await signIn(page, platform);
    await createPatient(page, 'en', family);
    await id(page, 'upload-input').setInputFiles(shared(image));
    await confirmUpload(page);
    await id(page, 'analyse').click(WAIT);
    await id(page, 'result').waitFor(WAIT);
    await page.waitForTimeout(500);
    return opened;
  }
});

describe('the portal, when the platform runs other code than agreed', () => {
  let browser: Browser;
  let platform: Deployment;
  before(async () => {
    const variant = { service: 'records', change: 'own-keys', agreed: false } as const;
    [browser, platform] = await Promise.all([launchBrowser(), startPlatform({ variant })]);
  });
  after(async () => {
    await browser.close();
    await platform.stop();
  });

  for (const locale of ['en', 'zh-CN'] as const) {
    it(`blocks before any patient data can be typed, in ${locale}`, async () => {
      const { page, context } = await openPage(browser, platform.portal ?? '', { locale });
      await id(page, 'gate-blocked').waitFor(WAIT);
      assert.equal(await page.locator('input, textarea, form').count(), 0);
      assert.equal(await id(page, 'gate-continue').count(), 0);
      await page.goto(`${platform.portal}/patients/new`);
      await id(page, 'gate-blocked').waitFor(WAIT);
      assert.equal(await page.locator('input, textarea, form').count(), 0);
      await page.screenshot({ path: join(SHOTS, `${locale}-blocked.png`), fullPage: true });
      await context.close();
    });
  }
});

async function confirmUpload(page: Page): Promise<void> {
  const next = id(page, 'upload-anyway').or(id(page, 'upload-open')).or(id(page, 'study-open'));
  await next.first().waitFor(WAIT);
  if ((await id(page, 'upload-anyway').count()) > 0) await id(page, 'upload-anyway').click();
  await id(page, 'upload-open').or(id(page, 'study-open')).first().click(WAIT);
}
