import type { TestEvent } from 'node:test/reporters';

/** What came of one run of tests. */
export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

/** A reporter for `node --test` that prints nothing but the counts of leaf tests, as JSON. */
export default async function* countReporter(
  source: AsyncIterable<TestEvent>,
): AsyncGenerator<string> {
  const counts: Counts = { passed: 0, failed: 0, skipped: 0 };
  for await (const event of source) {
    if (event.type !== 'test:pass' && event.type !== 'test:fail') continue;
    const { data } = event;
    const skipped = data.skip !== undefined || data.todo !== undefined;
    if (event.type === 'test:fail' && data.todo === undefined) counts.failed += 1;
    else if (skipped) counts.skipped += 1;
    else if (data.details.type !== 'suite') counts.passed += 1;
  }
  yield `${JSON.stringify(counts)}\n`;
}
