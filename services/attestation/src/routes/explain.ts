import type { Context, Hono } from 'hono';
import type {
  Appraisal,
  Check,
  ConditionTrace,
  PolicyClaim,
  PolicyOutcome,
  RuleTrace,
} from '@cloister/attestation';
import { decodeUtf8, MalformedError, parseJsonObject, type JsonObject } from '@cloister/bytes';
import { checkApiVersion } from '../api-version.ts';
import { attest, type AttestDeps, type AttestNotes } from '../attest.ts';
import { parseAttestRequest } from '../attest-request.ts';
import { AzureError, azureErrorResponse, azureJson } from '../azure-error.ts';
import { ATTEST_KINDS, KIND_TRAITS, type AttestKind } from '../kinds.ts';
import type { Authorize } from '../management/authorize.ts';

/** What explaining needs. */
export interface ExplainDeps extends AttestDeps {
  readonly authorize: Authorize;
}

const LIMITS = { maxDepth: 32, maxLength: 1 << 20 };

/**
 * Ours: `POST /explain`, an attest request with `attestationType` beside it. Says what an
 * attestation of it comes to, and why: every check, every rule, every claim; no token. Who asks by
 * the stored policy learns its rules, and needs the role for reading it.
 */
export function explainRoutes(app: Hono, deps: ExplainDeps): void {
  app.post('/explain', async (c) => {
    try {
      checkApiVersion(c.req.query('api-version'));
      const { kind, request } = await readRequest(c);
      if (request.draftPolicy === undefined)
        await deps.authorize(c.req.header('authorization'), 'read');
      return azureJson(await explain(kind, request, deps));
    } catch (error) {
      if (!(error instanceof AzureError)) throw error;
      return azureErrorResponse(error);
    }
  });
}

async function readRequest(
  c: Context,
): Promise<{ kind: AttestKind; request: ReturnType<typeof parseAttestRequest> }> {
  const body = new Uint8Array(await c.req.arrayBuffer());
  let type: unknown;
  try {
    type = parseJsonObject(decodeUtf8(body, 'body'), 'body', LIMITS)['attestationType'];
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    throw new AzureError('InvalidParameter', 'The request body is not a JSON object', 'bad_body');
  }
  const kind = ATTEST_KINDS.find((one) => one.toLowerCase() === String(type).toLowerCase());
  if (kind === undefined)
    throw new AzureError(
      'InvalidParameter',
      `attestationType: one of ${Object.keys(KIND_TRAITS).join(', ')}`,
      'bad_body',
    );
  return { kind, request: parseAttestRequest(body, kind) };
}

async function explain(
  kind: AttestKind,
  request: ReturnType<typeof parseAttestRequest>,
  deps: AttestDeps,
): Promise<JsonObject> {
  const result: JsonObject = { attestationType: kind };
  const notes: AttestNotes = {
    verified: ({ checks }) => void (result['verification'] = checks.map(checkJson)),
    appraised: (appraisal) => void (result['appraisal'] = appraisalJson(appraisal)),
    evaluated: ({ hash }, outcome) => void (result['policy'] = policyJson(hash, outcome)),
  };
  try {
    await attest(kind, request, deps, notes);
    return { outcome: 'issued', ...result };
  } catch (error) {
    if (!(error instanceof AzureError)) throw error;
    const { code, message, reason, checks } = error;
    return {
      outcome: 'refused',
      error: { code, message, reason },
      // Evidence that was not verified left no note: its checks came with the refusal.
      ...(checks.length === 0 ? {} : { verification: checks.map(checkJson) }),
      ...result,
    };
  }
}

function checkJson({ check, outcome, code, detail }: Check): JsonObject {
  return {
    check,
    outcome,
    ...(code === undefined ? {} : { code }),
    ...(detail === undefined ? {} : { detail }),
  };
}

function appraisalJson({ ok, checks, findings }: Appraisal): JsonObject {
  return { ok, checks: checks.map(checkJson), findings: [...findings] };
}

function policyJson(hash: string, outcome: PolicyOutcome): JsonObject {
  const rules = (outcome.trace ?? []).map(ruleJson);
  return outcome.ok
    ? {
        hash,
        permitted: true,
        rules,
        issued: { ...outcome.issued },
        properties: { ...outcome.properties },
      }
    : { hash, permitted: false, message: outcome.message, rules };
}

function ruleJson({ section, line, text, verb, fired, conditions, claims }: RuleTrace): JsonObject {
  return {
    section,
    line,
    text,
    verb,
    fired,
    conditions: conditions.map(conditionJson),
    claims: claims.map(claimJson),
  };
}

function conditionJson({ text, held, matched, nearMisses }: ConditionTrace): JsonObject {
  return {
    text,
    held,
    matched: matched.map(claimJson),
    nearMisses: nearMisses.map(({ claim, failed }) => ({ ...claimJson(claim), failed })),
  };
}

function claimJson({ type, value, issuer }: PolicyClaim): JsonObject {
  return { type, value, issuer };
}
