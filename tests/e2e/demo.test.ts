import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { TAMPERS, type Tamper } from '../../apps/cli/src/local/tamper.ts';
import { STEPS, type Step } from '../../apps/cli/src/demo/steps.ts';
import { redisMissing, startRedis } from '../../services/cache/src/redis-server.test.ts';
import { shared, sharedMissing } from '../shared.ts';

interface Outcome {
  readonly steps: readonly Step[];
  readonly probabilities: Readonly<Record<string, number>> | null;
  readonly finding: string | null;
  readonly reportId: string | null;
  readonly taskStatus: string | null;
  readonly tokenClaims: Readonly<Record<string, unknown>> | null;
  readonly receiptVerified: boolean;
  readonly simulated: boolean;
  readonly stopped?: { readonly step: string; readonly code: string; readonly reason: string };
}

const CLI = fileURLToPath(new URL('../../apps/cli/src/main.ts', import.meta.url));

/** Runs the demo as a person would, and gives its exit code and the one JSON object it prints. */
async function demo(...args: readonly string[]): Promise<{ code: number; outcome: Outcome }> {
  const command = [
    ...process.execArgv.filter((a) => a.startsWith('--conditions')),
    CLI,
    'demo',
    '--json',
  ];
  const run = promisify(execFile);
  const { code, stdout } = await run(process.execPath, [...command, ...args]).then(
    ({ stdout: out }) => ({ code: 0, stdout: out }),
    (error: { code: number; stdout: string }) => error,
  );
  assert.equal(stdout.trim().split('\n').length, 1, 'one JSON object on stdout');
  return { code, outcome: JSON.parse(stdout) as Outcome };
}

/** Columns p_normal, p_bacterial, p_viral of an image. */
function expectedOf(file: string): Record<string, number> {
  const [head = '', ...rows] = readFileSync(shared('vectors/imaging/labels.csv'), 'utf8').split(
    '\n',
  );
  const names = head.split(',');
  const row = rows.find((line) => line.startsWith(`${file},`))?.split(',') ?? [];
  const column = (name: string) => Number(row[names.indexOf(name)]);
  return { normal: column('p_normal'), bacterial: column('p_bacterial'), viral: column('p_viral') };
}

/** That all went well, with these steps: `cache` only where there is a Redis. */
function assertDone(
  { code, outcome }: { code: number; outcome: Outcome },
  steps: readonly string[] = STEPS.filter((name) => name !== 'cache'),
): void {
  assert.equal(code, 0);
  assert.deepEqual(
    outcome.steps.map(({ name }) => name),
    [...steps],
  );
  assert.ok(outcome.steps.every(({ ok, ms }) => ok && ms >= 0));
  assert.equal(outcome.taskStatus, 'completed');
  assert.equal(outcome.receiptVerified, true);
  assert.equal(outcome.simulated, true);
  assert.equal(outcome.tokenClaims?.['x-ms-attestation-type'], 'simulated');
  assert.match(outcome.reportId ?? '', /^[\w-]+$/);
}

/** Runs something with a Redis of its own, of which it gets the arguments. */
async function withRedis<T>(run: (place: readonly string[]) => Promise<T>): Promise<T> {
  const redis = await startRedis();
  try {
    return await run(['--redis', `unix:${redis.path}`]);
  } finally {
    await redis.stop();
  }
}

type Stop = readonly [step: string, code: string, taskStatus: string | null, reason: RegExp];
const UNTRUSTED: Stop = ['verify-provider', 'peer-not-trusted', 'rejected', /Nothing was sent/];

/** Where each way of cheating is stopped, and what is said. */
const STOPS: Readonly<Record<Tamper, Stop>> = {
  quote: UNTRUSTED,
  token: UNTRUSTED,
  measurement: UNTRUSTED,
  model: UNTRUSTED,
  receipt: ['infer', 'receipt-invalid', 'failed', /./],
  config: [
    'gate',
    'manifest_mismatch',
    null,
    /another agreement .* than the one .* hospital signed/,
  ],
  broker: ['gate', 'broker_not_trusted', null, /genuine key broker and not the hospital's/],
  manifest: ['gate', 'own_party_missing', null, /the hospital has not signed it/],
  rollback: ['upload', 'log_truncated', null, /put back to an older state/],
  replay: ['channel', 'replayed', null, /it was refused, and the order exists once/],
  'cache-token': ['cache', 'WRONGPASS', null, /a token alone opens nothing/],
  'stale-head': ['gate', 'head_too_old', null, /keeps it from what the hospital's key broker said/],
};

describe('cloister demo', () => {
  it('runs the whole line on its phantom', async () => assertDone(await demo()));

  const images = [
    ['vectors/imaging/cxr-01.png', 'cxr-01.png'],
    ['vectors/imaging/cxr-05.png', 'cxr-05.png'],
    ['vectors/dicom/cxr/cxr_jpeg_ls_lossless.dcm', undefined],
  ] as const;
  for (const [path, row] of images) {
    it(`agrees with the labels on ${path}`, { skip: sharedMissing }, async () => {
      const result = await demo('--image', shared(path));
      assertDone(result);
      const expected = expectedOf(row ?? sourceOf(path));
      for (const [name, value] of Object.entries(expected)) {
        const got = result.outcome.probabilities?.[name] ?? Number.NaN;
        assert.ok(Math.abs(got - value) <= 1e-3, `${name}: ${got} is not ${value}`);
      }
      const finding = 1 - (expected['normal'] ?? 0) >= 0.5 ? 'pneumonia' : 'none';
      assert.equal(result.outcome.finding, finding);
    });
  }

  it('has a cache where there is a Redis', { skip: redisMissing }, async () => {
    assertDone(await withRedis((place) => demo(...place)), STEPS);
  });

  for (const tamper of TAMPERS) {
    const skip = tamper === 'cache-token' ? redisMissing : false;
    it(`stops where one party cheats: ${tamper}`, { skip }, async () => {
      const { code, outcome } = await (tamper === 'cache-token'
        ? withRedis((place) => demo('--tamper', tamper, ...place))
        : demo('--tamper', tamper));
      assert.equal(code, 2);
      assert.equal(outcome.reportId, null);
      const { step, code: why, reason = '' } = outcome.stopped ?? {};
      const where = STOPS[tamper];
      assert.deepEqual([step, why, outcome.taskStatus], where.slice(0, 3));
      assert.match(reason, where[3]);
      const failed = outcome.steps.filter(({ ok }) => !ok).map(({ name }) => name);
      assert.deepEqual(failed, [step]);
    });
  }
});

/** The PNG that a DICOM file was made from. */
function sourceOf(path: string): string {
  const entries = JSON.parse(readFileSync(shared('vectors/dicom/manifest.json'), 'utf8')) as {
    readonly file: string;
    readonly png?: string;
  }[];
  const entry = entries.find(({ file }) => path.endsWith(file));
  return entry?.png?.split('/').at(-1) ?? assert.fail(`no source of ${path}`);
}
