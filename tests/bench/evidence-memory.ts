import { INTEL_ROOT, VerificationCache, verifySgxQuote } from '@cloister/attestation';
import { Writer, type Bytes } from '@cloister/bytes';
import { NODE_EVIDENCE_CRYPTO } from '@cloister/service';
import type { Report } from './figure.ts';
import type { IntelSubject } from './intel-subject.ts';

const COUNT = 100_000;
/** After so many, everything is compiled, the caches are full, and V8's young generation has grown. */
const WARM_UP = 50_000;
/** More chains and documents than a cache holds, so that it must let go all the time. */
const VARIANTS = 600;
/** So often one variant is verified before the next. */
const REPEATS = 25;
const MEBIBYTE = 2 ** 20;

/**
 * What 100 000 verifications of ever other chains and documents leave behind: in the process, and
 * alive in heap and buffers, each after a collection.
 */
export async function reportMemory(report: Report, subject: IntelSubject): Promise<void> {
  const { gc } = globalThis;
  if (gc === undefined) {
    process.stderr.write('evidence: memory is measured with --expose-gc only\n');
    return;
  }
  const cache = new VerificationCache();
  let before = await memoryUse(gc);
  for (let i = 0; i < WARM_UP + COUNT; i++) {
    if (i === WARM_UP) before = await memoryUse(gc);
    const padding = Math.floor(i / REPEATS) % VARIANTS;
    const { ok } = await verifySgxQuote(padChain(subject.quote, padding), {
      collateral: padDocuments(subject, padding),
      at: subject.at,
      anchors: [INTEL_ROOT],
      cache,
      crypto: NODE_EVIDENCE_CRYPTO,
    });
    if (!ok) throw new RangeError('a quote did not verify');
  }
  const after = await memoryUse(gc);
  const after100k = `after ${COUNT} more verifications, ${VARIANTS} chains and documents in turn`;
  for (const [what, key] of [
    ['resident memory', 'resident'],
    ['live memory', 'live'],
  ] as const) {
    report({
      name: `${what} ${after100k}`,
      value: after[key] / MEBIBYTE,
      unit: 'MiB',
      ratio: after[key] / before[key],
      against: `${(before[key] / MEBIBYTE).toFixed(1)} MiB before`,
    });
  }
}

async function memoryUse(
  gc: NonNullable<typeof globalThis.gc>,
): Promise<{ readonly resident: number; readonly live: number }> {
  // The second finds what finalizers of the first let go.
  await gc({ execution: 'async' });
  await gc({ execution: 'async' });
  const { rss, heapUsed, arrayBuffers } = process.memoryUsage();
  return { resident: rss, live: heapUsed + arrayBuffers };
}

/** The same v3 quote, with line feeds behind its PCK chain: another chain to a cache. */
function padChain(quote: Bytes, padding: number): Bytes {
  const view = new DataView(quote.buffer, quote.byteOffset);
  const auth = 436;
  const qeAuthData = auth + 64 + 64 + 384 + 64;
  const size = qeAuthData + 2 + view.getUint16(qeAuthData, true) + 2;
  const chain = size + 4;
  const length = view.getUint32(size, true);
  return new Writer()
    .bytes(quote.subarray(0, 432))
    .u32le(view.getUint32(432, true) + padding)
    .bytes(quote.subarray(auth, size))
    .u32le(length + padding)
    .bytes(quote.subarray(chain, chain + length))
    .bytes(new Uint8Array(padding).fill(0x0a))
    .finish();
}

/** The same documents with spaces behind them, where no signature looks. */
function padDocuments({ collateral }: IntelSubject, padding: number): IntelSubject['collateral'] {
  const spaces = ' '.repeat(padding);
  const { tcbInfo, qeIdentity } = collateral;
  return { ...collateral, tcbInfo: tcbInfo + spaces, qeIdentity: qeIdentity + spaces };
}
