import { parseArgs } from 'node:util';
import { runVerifyEnvelope } from '../inspect/run-verify-envelope.ts';
import { runVerifyFile } from '../inspect/run-verify-file.ts';
import { runVerifyUrl } from '../verify/run-verify-url.ts';

const HELP = `cloister verify <url> [options]   is that service what it says it is?

  --manifest <file>     the trust manifest (default: the one of \`cloister up\` on this machine)
  --service <name>      which service of the manifest it must be (default: what it says itself)
  --attestation <url>   where its token's issuer publishes keys (default: the issuer of the manifest)
  --broker <party>=<url>   where the key broker of a party answers; may be repeated. Its heads give the
                        time: without them a service may run by an agreement that has ended since
                        (default: the hospital's, for \`cloister up\` on this machine)
  --party <name>        the party for whom you verify: the heads of its broker count, and no newer
                        manifest without its signature (default: hospital)
  --watch               keeps verifying, and prints a line when something is different; Ctrl-C ends it
  --every <seconds>     how often (default: 15)

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

Exit codes: 0 verified, 2 refused, 1 it could not be asked or read; with --watch, as it was last.
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
      broker: { type: 'string', multiple: true },
      party: { type: 'string' },
      watch: { type: 'boolean', default: false },
      every: { type: 'string', default: '15' },
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
  return runVerifyUrl(url, values);
}
