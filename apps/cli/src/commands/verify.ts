import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { parseRuntimeData, type EvidenceEnvelope } from '@cloister/attestation';
import { fetchEvidence, verifyService } from '@cloister/client';
import { createHttpClient, NODE_EVIDENCE_CRYPTO } from '@cloister/service';
import { CommandError } from '../command-error.ts';
import { runVerifyEnvelope } from '../inspect/run-verify-envelope.ts';
import { runVerifyFile } from '../inspect/run-verify-file.ts';
import { placesIn, ROOT } from '../local/places.ts';
import { random, readTrust } from '../local-trust.ts';
import { describeChecks, describePeerChecks } from '../print-checks.ts';
import { verifySigningKeys, type SigningKeyResult } from '../signing-keys.ts';

const HELP = `cloister verify <url> [options]   is that service what it says it is?

  --manifest <file>     the trust manifest (default: the one of \`cloister up\` on this machine)
  --service <name>      which service of the manifest it must be (default: what it says itself)
  --attestation <url>   where its token's issuer publishes keys (default: the issuer of the manifest)

cloister verify <file> [options]   is the evidence in this file genuine, and acceptable?

  <file>                quote, SEV-SNP report, Azure HCL report, Open Enclave report or evidence
                        envelope; raw, as hex or base64, or in JSON
  --collateral <path>   bundle (cloister collateral fetch), or a folder of bundles and certificates;
                        may be repeated. An envelope brings its own
  --source <name>       asked where that has nothing: pcs, pccs=<url>, thim, kds; may be repeated
  --at <date>           the time to judge by (default: now)
  --runtime-data <file> what the evidence must be bound to: its SHA-256 is in the report data
  --nonce <base64url>   what the quote of a vTPM must carry
  --accept-tcb <status> a TCB status that will do besides the usual; may be repeated
  --min-evaluation-number <n>    the lowest set of TCB documents
  --simulated-root <sha256>      a simulated root in the place of Intel's
  --manifest <file>     judges an envelope by a trust manifest, as a peer would (with --service, --at)
  --danger-allow-debug           accepts what its operator can read
  --danger-allow-expired <seconds>   accepts collateral that ended so long ago

  --json                the whole result as JSON

Exit codes: 0 verified, 2 refused, 1 it could not be asked or read.
`;

/** `cloister verify <url|file>`: judges a running service by the manifest, or evidence by itself. */
export async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      manifest: { type: 'string' },
      service: { type: 'string' },
      attestation: { type: 'string' },
      collateral: { type: 'string', multiple: true },
      source: { type: 'string', multiple: true },
      at: { type: 'string' },
      'runtime-data': { type: 'string' },
      nonce: { type: 'string' },
      'accept-tcb': { type: 'string', multiple: true },
      'min-evaluation-number': { type: 'string' },
      'simulated-root': { type: 'string', multiple: true },
      'danger-allow-debug': { type: 'boolean', default: false },
      'danger-allow-expired': { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const [url] = positionals;
  if (values.help || url === undefined || positionals.length > 1) {
    process.stderr.write(HELP);
    return values.help ? 0 : 64;
  }
  if (!/^https?:\/\//.test(url)) {
    const { manifest, service, at, json } = values;
    if (manifest !== undefined) return runVerifyEnvelope(url, { manifest, service, at, json });
    return runVerifyFile(url, {
      collateral: values.collateral,
      source: values.source,
      at: values.at,
      runtimeData: values['runtime-data'],
      nonce: values.nonce,
      simulatedRoot: values['simulated-root'],
      acceptTcb: values['accept-tcb'],
      minEvaluationNumber: values['min-evaluation-number'],
      dangerAllowDebug: values['danger-allow-debug'],
      dangerExpiredCollateralSeconds: values['danger-allow-expired'],
      json: values.json,
    });
  }
  return verifyUrl(url, values);
}

async function verifyUrl(
  url: string,
  values: {
    readonly manifest?: string | undefined;
    readonly service?: string | undefined;
    readonly attestation?: string | undefined;
    readonly json: boolean;
  },
): Promise<number> {
  const file = values.manifest ?? placesIn(join(ROOT, '.cloister')).manifest;
  if (!existsSync(file)) {
    throw new CommandError('no trust manifest: name one with --manifest, or start `cloister up`');
  }
  const manifest = await readTrust(file);
  const transport = createHttpClient();
  try {
    let envelope: EvidenceEnvelope | undefined;
    const service = values.service ?? (await nameOf(url, transport));
    const attestationUrl = values.attestation ?? manifest.manifest.issuers[0]?.iss;
    const result = await verifyService({
      baseUrl: url,
      service,
      manifest,
      // The attestation service itself has no token of its own making: its evidence stands alone.
      ...(attestationUrl === undefined || service === 'attestation' ? {} : { attestationUrl }),
      transport,
      now: () => new Date(),
      random,
      crypto: NODE_EVIDENCE_CRYPTO,
      onEvidence: (seen) => {
        envelope = seen;
      },
    });
    const signingKeys =
      service === 'attestation' && result.ok
        ? await verifySigningKeys(url, { manifest, envelope, transport, at: new Date() })
        : [];
    const badKey = signingKeys.find(({ ok }) => !ok);
    const ok = result.ok && badKey === undefined;
    const summary = {
      ok,
      service,
      manifest: manifest.id,
      format: envelope?.format,
      ...(result.ok ? { claims: result.claims.claims } : { code: result.code }),
      ...(badKey?.code === undefined ? {} : { code: badKey.code }),
      checks: result.checks,
      ...(signingKeys.length === 0 ? {} : { signingKeys }),
    };
    if (values.json) process.stdout.write(`${JSON.stringify(summary)}\n`);
    else {
      process.stdout.write(`${url} as ${service}, by manifest ${manifest.id}\n\n`);
      process.stdout.write(`${describePeerChecks(result.checks)}\n`);
      process.stdout.write(signingKeys.map(describeKey).join(''));
      if (result.ok && result.claims.simulated) {
        process.stdout.write('SIMULATED hardware: this proves nothing against its host.\n');
      }
      process.stdout.write(ok ? 'verified\n' : `refused: ${summary.code}\n`);
    }
    return ok ? 0 : 2;
  } finally {
    transport.close();
  }
}

/** A key that signs tokens, under the question whether that enclave holds it. */
function describeKey({ ok, kid, checks }: SigningKeyResult): string {
  const answer = ok ? 'yes' : 'NO ';
  return `${answer}  Does that enclave hold the key that signs tokens? (${kid})\n${describeChecks(checks)}\n`;
}

async function nameOf(
  url: string,
  transport: ReturnType<typeof createHttpClient>,
): Promise<string> {
  const { runtimeData } = await fetchEvidence(url, random(32), transport);
  return parseRuntimeData(runtimeData).service;
}
