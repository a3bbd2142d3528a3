/** What a clerk does in the portal, step by step: for the tests in a browser. */
import assert from 'node:assert/strict';
import { AxeBuilder } from '@axe-core/playwright';
import type { Page } from 'playwright-core';
import type { Deployment } from '../../apps/cli/src/local/deployment.ts';

/** How long a step may take. */
export const WAIT = { timeout: 30_000 };
/** What has this test id. */
export const id = (page: Page, name: string) => page.getByTestId(name);

/** Goes through the gate and signs in. */
export async function enter(page: Page, platform: Deployment): Promise<void> {
  await id(page, 'gate-continue').click(WAIT);
  await signIn(page, platform);
}

/** Signs in as the first account. */
export async function signIn(page: Page, platform: Deployment): Promise<void> {
  const [account] = platform.accounts;
  await id(page, 'sign-in-user').fill(account?.user ?? '', WAIT);
  await id(page, 'sign-in-password').fill(account?.password ?? '');
  await id(page, 'sign-in-submit').click();
  await id(page, 'patient-new').waitFor(WAIT);
}

/** Given names: nobody registered in a test has a twin. */
const GIVEN = [
  ['Ana', '伟'],
  ['Bela', '芳'],
  ['Carla', '娜'],
  ['Dora', '敏'],
  ['Elena', '静'],
  ['Flora', '丽'],
  ['Gina', '强'],
  ['Hana', '磊'],
  ['Irma', '洋'],
  ['Jana', '艳'],
] as const;
let registered = 0;

/** Fills the form of a new patient; gives the record number. */
export async function fillPatient(page: Page, locale: string, family = 'Rivera'): Promise<string> {
  const mrn = `MRN-${Math.trunc(performance.now() * 1000)}`;
  await id(page, 'patient-new').click();
  await id(page, 'patient-family').fill(locale === 'en' ? family : '张', WAIT);
  const [given, givenChinese] = GIVEN[registered++ % GIVEN.length] ?? GIVEN[0];
  await id(page, 'patient-given').fill(locale === 'en' ? given : givenChinese);
  await id(page, 'patient-birthdate').fill('2021-05-04');
  await id(page, 'patient-mrn').fill(mrn);
  await id(page, 'patient-gender').selectOption('female');
  return mrn;
}

/** Registers a patient, and is at the record then. */
export async function createPatient(page: Page, locale: string, family?: string): Promise<void> {
  await fillPatient(page, locale, family);
  await id(page, 'patient-save').click();
  await id(page, 'patient-banner').waitFor(WAIT);
}

/** WCAG 2.2 AA, as far as a machine can tell. */
export async function assertAccessible(page: Page): Promise<void> {
  const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];
  const { violations } = await new AxeBuilder({ page }).withTags(tags).analyze();
  const found = violations.map(({ id: rule, nodes }) => `${rule}: ${nodes[0]?.html}`);
  assert.deepEqual(found, []);
}
