import { readFile } from 'node:fs/promises';
import {
  incomingClaims,
  policyHash,
  scalarClaimsOf,
  serviceClaim,
  type CompiledPolicy,
  type PolicyClaim,
  type PolicyOutcome,
} from '@cloister/attestation';
import { asBytes, isJsonObject, parseJson, type JsonObject } from '@cloister/bytes';
import { CommandError } from '../command-error.ts';
import { readEvidence } from '../inspect/evidence-file.ts';
import { readCollateral } from '../inspect/read-collateral.ts';
import { verifyFile, type FileVerdict } from '../inspect/verify-file.ts';

/** What a policy is evaluated with. */
export interface ExplainOptions {
  readonly evidence?: string | undefined;
  readonly collateral: readonly string[];
  readonly simulatedRoots: readonly string[];
  readonly at: Date;
  /** JSON data that the evidence is bound to: policies see it as `x-ms-runtime`. */
  readonly runtimeData?: string | undefined;
  /** A JSON object of claims by type, in the place of evidence or besides it. */
  readonly claims?: string | undefined;
}

/** What came of it: the evidence first, then the policy if there was something to show it. */
export interface Explanation {
  readonly verdict?: FileVerdict;
  readonly outcome?: PolicyOutcome;
}

/** Evaluates a policy with the claims of evidence that verifies, or with claims that are given. */
export async function explainPolicy(
  policy: CompiledPolicy,
  options: ExplainOptions,
): Promise<Explanation> {
  const claims = options.claims === undefined ? [] : await readClaims(options.claims);
  if (options.evidence === undefined)
    return { outcome: policy.evaluate(claims, { explain: true }) };
  const runtime =
    options.runtimeData === undefined ? undefined : await readFile(options.runtimeData);
  const verdict = await verifyFile(readEvidence(await readFile(options.evidence)), {
    at: options.at,
    collateral: await readCollateral(options.collateral),
    simulatedRoots: options.simulatedRoots,
    // What the policy itself says is asked here: the appraisal before it is only shown.
    policy: { roots: options.simulatedRoots.length > 0 ? 'simulated' : 'hardware' },
    ...(runtime === undefined ? {} : { runtimeData: asBytes(runtime) }),
  });
  const { verification } = verdict;
  if (!verification.ok) return { verdict };
  const { claims: found } = verification;
  if (found.tee === 'azure-cvm')
    throw new CommandError('policies for vTPMs are not evaluated: name the SNP report');
  const scalars = scalarClaimsOf(found);
  const said: JsonObject =
    runtime === undefined ? {} : { 'x-ms-runtime': readJson(runtime.toString(), 'runtime data') };
  const hash = await policyHash(policy.text);
  const incoming = incomingClaims({ tee: found.tee, scalars, said, policyHash: hash });
  return { verdict, outcome: policy.evaluate([...incoming, ...claims], { explain: true }) };
}

async function readClaims(path: string): Promise<PolicyClaim[]> {
  const json = readJson(await readFile(path, 'utf8'), 'claims');
  return Object.entries(json).flatMap(([type, value]) =>
    (Array.isArray(value) ? value : [value]).map((one) => {
      if (typeof one === 'string' || typeof one === 'boolean' || Number.isSafeInteger(one))
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a safe integer is a number
        return serviceClaim(type, one as string | boolean | number);
      // As the service shows objects: their JSON, to look at.
      return serviceClaim(type, JSON.stringify(one), true);
    }),
  );
}

function readJson(text: string, name: string): JsonObject {
  const json = parseJson(text.replace(/\0+$/, ''), name);
  if (!isJsonObject(json)) throw new CommandError(`${name}: not a JSON object`);
  return json;
}
