import { createPublicKey, generateKeyPairSync, randomBytes, sign, verify } from 'node:crypto';
import { compilePolicy, serviceClaim } from '@cloister/attestation';
import { startService, type BenchedService } from './attestation-service.ts';
import type { Report } from './figure.ts';

const ROUNDS = 9;
const ROUND_MS = 600;
/** Callers at once: enough to keep the service busy. */
const CALLERS = 16;
const SLICES = 15;
const SLICE_MS = 600;
const LOAD = 0.7;
/** `CLOISTER_SOAK=1000000` for the long one. */
const SOAK = Number(process.env['CLOISTER_SOAK'] ?? 20_000);
const UNIT = 'attestations/s of CPU';

/**
 * Attestations per second of the service's own CPU, through HTTP, each a fresh quote by a fresh
 * attestation key with runtime data and a signed token; against the public-key operations that none
 * can do without, per second of CPU too: so neither callers nor neighbours on the machine count.
 * Then how long one takes at 70 % load, a policy of 100 rules, and memory over many.
 */
export async function run(report: Report): Promise<void> {
  for (const alg of ['RS256', 'ES256'] as const) {
    const service = await startService(alg);
    try {
      await throughput(report, service, alg);
      if (alg === 'RS256') {
        await latency(report, service);
        await soak(report, service);
      }
    } finally {
      await service.stop();
    }
  }
  policy(report);
}

async function throughput(
  report: Report,
  service: BenchedService,
  alg: 'RS256' | 'ES256',
): Promise<void> {
  const floor = createFloor(alg);
  const floors: number[] = [];
  const rates: number[] = [];
  await keepBusy(service, CALLERS, 3 * ROUND_MS);
  for (let round = 0; round < ROUNDS; round++) {
    const before = service.cpuSeconds();
    const { count } = await keepBusy(service, CALLERS, ROUND_MS);
    rates.push(count / (service.cpuSeconds() - before));
    // Each round has its floor: what else the machine does slows both alike.
    floors.push(floorPerCpuSecond(floor));
  }
  const against = `1 ${alg} signature + 2 P-256 verifications + 1 key import`;
  report({ name: `floor for ${alg}, node:crypto`, value: median(floors), unit: UNIT });
  report({
    name: `SGX v3 layout through HTTP, ${alg}, ${CALLERS} at once`,
    value: median(rates),
    unit: UNIT,
    ratio: median(rates.map((rate, i) => rate / (floors[i] ?? Number.NaN))),
    against,
  });
}

/**
 * Requests at fixed times, whatever became of the ones before: 70 % of what it does at most. In many
 * slices, of which the one in the middle counts: in some, the machine is busy with something else.
 */
async function latency(report: Report, service: BenchedService): Promise<void> {
  const p50s: number[] = [];
  const p99s: number[] = [];
  const rates: number[] = [];
  for (let slice = 0; slice < SLICES; slice++) {
    const { count, seconds } = await keepBusy(service, CALLERS, SLICE_MS / 2);
    const perSecond = (LOAD * count) / seconds;
    const times = (await pace(service, perSecond)).toSorted((a, b) => a - b);
    const at = (part: number): number => times[Math.floor(part * (times.length - 1))] ?? Number.NaN;
    rates.push(perSecond);
    p50s.push(at(0.5));
    p99s.push(at(0.99));
  }
  const name = `one at ${median(rates).toFixed(0)}/s (70 % load)`;
  report({ name: `${name}, p50`, value: median(p50s), unit: 'ms' });
  const ratio = median(p99s.map((p99, i) => p99 / (p50s[i] ?? Number.NaN)));
  report({ name: `${name}, p99`, value: median(p99s), unit: 'ms', ratio, against: 'p50' });
}

/** How long each of the requests took, from the time at which it was due. */
async function pace(service: BenchedService, perSecond: number): Promise<number[]> {
  const times: number[] = [];
  const pending: Promise<void>[] = [];
  const start = performance.now();
  for (let i = 0; ; i++) {
    const due = start + (1000 * i) / perSecond;
    if (due - start > SLICE_MS) break;
    const wait = due - performance.now();
    // oxlint-disable-next-line no-await-in-loop -- the pace is the point
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    pending.push(timed(service, due, times));
  }
  await Promise.all(pending);
  return times;
}

async function timed({ attest }: BenchedService, due: number, times: number[]): Promise<void> {
  await attest();
  times.push(performance.now() - due);
}

/** Memory after the first quarter, when caches are full, and at the end. */
async function soak(report: Report, service: BenchedService): Promise<void> {
  const samples: number[] = [];
  const part = Math.ceil(SOAK / 16);
  for (let i = 0; i < 16; i++) {
    // oxlint-disable-next-line no-await-in-loop -- samples are taken between
    await doSome(service, part);
    samples.push(service.residentBytes());
  }
  const [early, late] = [lowestMiB(samples.slice(4, 8)), lowestMiB(samples.slice(12))];
  report({ name: `memory after ${SOAK / 4} attestations`, value: early, unit: 'MiB' });
  const name = `memory after ${SOAK}`;
  report({ name, value: late, unit: 'MiB', ratio: late / early, against: 'after a quarter' });
}

function lowestMiB(bytes: readonly number[]): number {
  return Math.min(...bytes) / (1 << 20);
}

function policy(report: Report): void {
  const claims = Array.from({ length: 20 }, (_, i) =>
    serviceClaim(`x-ms-claim-${i}`, i % 3 === 0 ? i : `value ${i}`),
  );
  const rules = Array.from({ length: 98 }, (_, i) =>
    i % 2 === 0
      ? `[type=="x-ms-claim-${i % 20}", value==${i}] && [type=="x-ms-claim-3", value>=1] => issue(type="flag-${i}", value=true);`
      : `c:[type=="x-ms-claim-${i % 20}"] && ![type=="x-ms-claim-1", value=="q"] => issue(type="copy-${i}", value=c.value);`,
  );
  const compiled = compilePolicy(
    `version=1.2;authorizationrules{[type=="x-ms-claim-3", value==3] => permit();};issuancerules{${rules.join('')}![type=="none"] => issue(type="last", value=1);};`,
  );
  const times: number[] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    const start = performance.now();
    let count = 0;
    while (performance.now() - start < ROUND_MS / 4) {
      if (!compiled.evaluate(claims).ok) throw new RangeError('the policy refused');
      count += 1;
    }
    if (round > 0) times.push((performance.now() - start) / count);
  }
  report({ name: `policy of ${compiled.ruleCount} rules`, value: median(times), unit: 'ms' });
}

/** The operations in their fastest form: signatures as DER, keys as SPKI, all made ready before. */
function createFloor(alg: 'RS256' | 'ES256'): () => void {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const key = ec.publicKey.export({ format: 'der', type: 'spki' });
  const [report, signed, token] = [randomBytes(384), randomBytes(432), randomBytes(3000)];
  const tokenKey = alg === 'RS256' ? rsa.privateKey : ec.privateKey;
  const reportSignature = sign('sha256', report, ec.privateKey);
  const quoteSignature = sign('sha256', signed, ec.privateKey);
  return () => {
    const attestation = createPublicKey({ key, format: 'der', type: 'spki' });
    const good =
      verify('sha256', report, ec.publicKey, reportSignature) &&
      verify('sha256', signed, attestation, quoteSignature) &&
      sign('sha256', token, tokenKey).length > 0;
    if (!good) throw new RangeError('the floor did not verify');
  };
}

function floorPerCpuSecond(floor: () => void): number {
  const before = process.cpuUsage();
  const start = performance.now();
  let count = 0;
  while (performance.now() - start < ROUND_MS / 2) {
    floor();
    count += 1;
  }
  const { user, system } = process.cpuUsage(before);
  return (1e6 * count) / (user + system);
}

/** So many callers for so long, each waiting for its own answer. */
async function keepBusy(
  { attest }: BenchedService,
  callers: number,
  ms: number,
): Promise<{ readonly count: number; readonly seconds: number }> {
  const start = performance.now();
  let count = 0;
  const caller = async (): Promise<void> => {
    while (performance.now() - start < ms) {
      await attest();
      count += 1;
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  return { count, seconds: (performance.now() - start) / 1000 };
}

async function doSome({ attest }: BenchedService, count: number): Promise<void> {
  let left = count;
  const caller = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await attest();
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, caller));
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}
