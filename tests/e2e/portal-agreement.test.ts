import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { parseManifestFile, type Manifest } from '@cloister/attestation';
import { createHttpClient } from '@cloister/service';
import type { Deployment } from '../../apps/cli/src/local/deployment.ts';
import { agreedNow, publish, successorOf } from '../conformance/manifest-scene.ts';
import { shared, sharedMissing } from '../shared.ts';
import { launchBrowser, openPage, SHOTS, startPlatform } from './browser.ts';
import { assertAccessible, enter, fillPatient, id, WAIT } from './portal-steps.ts';

const shootOf = (page: Page, locale: string) => (name: string) =>
  page.screenshot({ path: join(SHOTS, `agreement-${locale}-${name}.png`), fullPage: true });
const typed = (page: Page) => id(page, 'patient-mrn').inputValue();

describe('the portal, while the agreement is confirmed, missing, and renewed', {
  skip: sharedMissing,
}, () => {
  const transport = createHttpClient();
  let browser: Browser;
  let platform: Deployment;
  let manifest: Manifest;
  before(async () => {
    [browser, platform] = await Promise.all([launchBrowser(), startPlatform()]);
    manifest = agreedNow(platform);
  });
  after(async () => {
    await browser.close();
    await platform.stop();
    transport.close();
  });
  const looks = [
    ['en', 'light'],
    ['zh-CN', 'dark'],
  ] as const;
  for (const [locale, colorScheme] of looks)
    it(`sends nothing while the hospital's broker is not heard of, and keeps what was typed, in ${locale}`, async () => {
      const opened = await openPage(browser, platform.portal ?? '', {
        locale,
        colorScheme,
        clock: true,
      });
      const { page } = opened;
      const shoot = shootOf(page, locale);
      await id(page, 'gate-continue').waitFor(WAIT);
      assert.equal(
        await id(page, 'newest-head').getAttribute('data-serial'),
        String(manifest.serial),
      );
      await assertAccessible(page);
      await shoot('gate');
      await enter(page, platform);
      const mrn = await fillPatient(page, locale, 'Kept');
      const broker = `${platform.urls.brokers.hospital}/**`;
      await page.route(broker, (route) => route.abort());
      await page.clock.fastForward('16:00');
      await id(page, 'trust-stopped').waitFor(WAIT);
      assert.equal(await id(page, 'trust-stopped').getAttribute('data-code'), 'head_too_old');
      assert.equal(await typed(page), mrn);
      await id(page, 'patient-save').click();
      await page.locator('[data-failure="not_sent"]').waitFor(WAIT);
      await assertAccessible(page);
      await shoot('stopped');
      assert.equal(await id(page, 'patient-banner').count(), 0);
      await page.unroute(broker);
      await page.clock.setSystemTime(Date.now());
      await id(page, 'trust-stopped').getByRole('button').click();
      await id(page, 'trust-stopped').waitFor({ ...WAIT, state: 'detached' });
      assert.equal(await typed(page), mrn);
      await id(page, 'patient-save').click();
      await id(page, 'patient-banner').waitFor(WAIT);
      await opened.context.close();
    });

  for (const [locale, colorScheme] of looks)
    it(`goes on by a newer manifest, and keeps what was typed, in ${locale}`, async () => {
      const opened = await openPage(browser, platform.portal ?? '', {
        locale,
        colorScheme,
        clock: true,
      });
      const { page, complaints } = opened;
      const shoot = shootOf(page, locale);
      await enter(page, platform);
      const mrn = await fillPatient(page, locale, 'Renewed');
      const next = await successorOf(platform, manifest, (old) => old);
      await publish(platform, next.text, transport);
      manifest = next.manifest;
      await page.clock.fastForward('01:05');
      await id(page, 'trust-renewed').waitFor(WAIT);
      assert.equal(await typed(page), mrn);
      await assertAccessible(page);
      await shoot('renewed');
      await id(page, 'patient-save').click();
      await id(page, 'patient-banner').waitFor(WAIT);
      await id(page, 'upload-input').setInputFiles(shared('vectors/imaging/cxr-01.png'));
      await id(page, 'upload-open').waitFor(WAIT);
      await id(page, 'trust-chip').click();
      await page.waitForTimeout(300);
      assert.equal(
        await id(page, 'newest-head').getAttribute('data-serial'),
        String(manifest.serial),
      );
      await shoot('chip');
      // The file beside the page is an older one: what was kept counts.
      await page.reload();
      await id(page, 'gate-continue').waitFor(WAIT);
      assert.equal(
        await id(page, 'newest-head').getAttribute('data-serial'),
        String(manifest.serial),
      );
      assert.deepEqual(complaints, []);
      await opened.context.close();
    });

  it('stops an upload under way where the agreement is not confirmed, and says what is open', async () => {
    const opened = await openPage(browser, platform.portal ?? '', { clock: true });
    const { page } = opened;
    await enter(page, platform);
    await fillPatient(page, 'en', 'Stopped');
    await id(page, 'patient-save').click();
    await id(page, 'patient-banner').waitFor(WAIT);
    // Nobody answers this one: what it sends stays under way.
    const gateway = '**/.well-known/ohttp-gateway';
    await page.route(gateway, () => undefined);
    await id(page, 'upload-input').setInputFiles(shared('vectors/imaging/cxr-02.png'));
    await id(page, 'upload-bar').waitFor(WAIT);
    await page.route(`${platform.urls.brokers.hospital}/**`, (route) => route.abort());
    await page.clock.fastForward('16:00');
    await id(page, 'trust-stopped').waitFor(WAIT);
    await id(page, 'upload-unsure').waitFor(WAIT);
    await id(page, 'upload-another').click();
    assert.equal(await id(page, 'upload-input').isDisabled(), true);
    await assertAccessible(page);
    await shootOf(page, 'en')('upload-stopped');
    await opened.context.close();
  });

  it('says what is lost where the hospital has no broker of ours', async () => {
    const without = await successorOf(platform, manifest, (old) => {
      const { hospital, ...others } = old.parties;
      const { broker: _, ...rest } = hospital ?? assert.fail();
      const owned = Object.entries(old.secrets ?? {}).filter(
        ([, { owner }]) => owner !== 'hospital',
      );
      const { counters: _counters, ...kept } = old;
      const changed = {
        ...kept,
        parties: { ...others, hospital: rest },
        secrets: Object.fromEntries(owned),
      };
      return withoutWitness(changed);
    });
    parseManifestFile(without.text);
    for (const [locale, colorScheme] of looks) {
      const { page, context } = await openPage(browser, platform.portal ?? '', {
        locale,
        colorScheme,
        settings: (settings) => ({ ...settings, manifest: JSON.parse(without.text) as unknown }),
      });
      // Nothing else agrees with it: the gate blocks, and says what it knows.
      await id(page, 'gate-blocked').waitFor(WAIT);
      await id(page, 'no-broker').waitFor(WAIT);
      await assertAccessible(page);
      await shootOf(page, locale)('no-broker');
      await context.close();
    }
  });
});

/** Nobody witnesses for a broker that is not there. */
function withoutWitness(manifest: Manifest): Manifest {
  const parties = Object.entries(manifest.parties).map(([name, party]) => {
    if (party.broker === undefined) return [name, party] as const;
    const { witness: _, ...broker } = party.broker;
    return [name, { ...party, broker }] as const;
  });
  return { ...manifest, parties: Object.fromEntries(parties) };
}
