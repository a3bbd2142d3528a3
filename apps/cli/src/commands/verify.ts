import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { parseRuntimeData, type EvidenceEnvelope } from '@cloister/attestation';
import { fetchEvidence, verifyService } from '@cloister/client';
import { createHttpClient } from '@cloister/service';
import { CommandError } from '../command-error.ts';
import { placesIn, ROOT } from '../local/places.ts';
import { random, readTrust } from '../local-trust.ts';
import { describePeerChecks } from '../print-checks.ts';

const HELP = `cloister verify <url> [options]   is that service what it says it is?

  --manifest <file>     the trust manifest (default: the one of \`cloister up\` on this machine)
  --service <name>      which service of the manifest it must be (default: what it says itself)
  --attestation <url>   where its token's issuer publishes keys (default: the issuer of the manifest)
  --json                the whole result as JSON

Exit codes: 0 verified, 2 refused, 1 it could not be asked.
`;

/** `cloister verify <url>`: asks for evidence with a fresh nonce and judges it by the manifest. */
export async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      manifest: { type: 'string' },
      service: { type: 'string' },
      attestation: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const [url] = positionals;
  if (values.help || url === undefined || positionals.length > 1) {
    process.stderr.write(HELP);
    return values.help ? 0 : 64;
  }
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
      onEvidence: (seen) => {
        envelope = seen;
      },
    });
    const summary = {
      ok: result.ok,
      service,
      manifest: manifest.id,
      format: envelope?.format,
      ...(result.ok ? { claims: result.claims.claims } : { code: result.code }),
      checks: result.checks,
    };
    if (values.json) process.stdout.write(`${JSON.stringify(summary)}\n`);
    else {
      process.stdout.write(`${url} as ${service}, by manifest ${manifest.id}\n\n`);
      process.stdout.write(`${describePeerChecks(result.checks)}\n`);
      if (result.ok && result.claims.simulated) {
        process.stdout.write('SIMULATED hardware: this proves nothing against its host.\n');
      }
      process.stdout.write(result.ok ? 'verified\n' : `refused: ${result.code}\n`);
    }
    return result.ok ? 0 : 2;
  } finally {
    transport.close();
  }
}

async function nameOf(
  url: string,
  transport: ReturnType<typeof createHttpClient>,
): Promise<string> {
  const { runtimeData } = await fetchEvidence(url, random(32), transport);
  return parseRuntimeData(runtimeData).service;
}
