import { readFile } from 'node:fs/promises';
import { parseRuntimeData, verifyPeer } from '@cloister/attestation';
import { CommandError } from '../command-error.ts';
import { readTrust } from '../local-trust.ts';
import { describePeerChecks } from '../print-checks.ts';
import { readEvidence } from './evidence-file.ts';

/**
 * Judges an evidence envelope in a file by a trust manifest, as a peer would: but without a nonce of
 * one's own, so it may be old, and without the keys of a token's issuer. 0 good, 2 refused.
 */
export async function runVerifyEnvelope(
  path: string,
  options: {
    readonly manifest: string;
    readonly service?: string | undefined;
    readonly at?: string | undefined;
    readonly json: boolean;
  },
): Promise<number> {
  const file = readEvidence(await readFile(path));
  if (file.kind !== 'envelope') {
    throw new CommandError('a manifest judges evidence envelopes: this is bare evidence');
  }
  const manifest = await readTrust(options.manifest);
  const at = options.at === undefined ? new Date() : new Date(options.at);
  if (Number.isNaN(at.getTime())) throw new CommandError('--at: no date');
  const { envelope } = file;
  const service = options.service ?? parseRuntimeData(envelope.runtimeData).service;
  const result = await verifyPeer(envelope, { manifest, service, at, requireToken: false });
  const summary = {
    ok: result.ok,
    service,
    manifest: manifest.id,
    format: envelope.format,
    ...(result.ok ? { claims: result.claims.claims } : { code: result.code }),
    checks: result.checks,
  };
  if (options.json) process.stdout.write(`${JSON.stringify(summary)}\n`);
  else {
    process.stdout.write(`${path} as ${service}, by manifest ${manifest.id}\n\n`);
    process.stdout.write(`${describePeerChecks(result.checks)}\n`);
    if (result.ok && result.claims.simulated) {
      process.stdout.write('SIMULATED hardware: this proves nothing against its host.\n');
    }
    process.stdout.write(result.ok ? 'verified\n' : `refused: ${result.code}\n`);
  }
  return result.ok ? 0 : 2;
}
