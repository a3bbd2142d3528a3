import { parseRuntimeData, type EvidenceEnvelope } from '@cloister/attestation';
import { decodeUtf8, parseJsonObject, type JsonValue } from '@cloister/bytes';
import { parseJws } from '@cloister/crypto';
import { attemptSections } from './certificate-fields.ts';
import { showBytes } from './field-reader.ts';
import type { Field, Inspection, Section } from './inspection.ts';

/** An evidence envelope (design 3.7) around evidence that was taken apart already. */
export function inspectEnvelope(
  { format, runtimeData, endorsements, tokens, noncePath }: EvidenceEnvelope,
  evidence: Inspection,
): Inspection {
  const problems = [...evidence.problems];
  const sections: Section[] = [
    {
      title: 'envelope',
      fields: [
        { name: 'format', value: format, ...simulatedMeaning(format) },
        { name: 'evidence', value: `${evidence.size} bytes` },
        { name: 'runtime data', value: `${runtimeData.length} bytes` },
        { name: 'endorsements', value: Object.keys(endorsements ?? {}).join(', ') || 'none' },
        { name: 'tokens', value: String(tokens.length) },
        ...(noncePath === undefined
          ? []
          : [{ name: 'nonce path', value: `leaf ${noncePath.index} of ${noncePath.size}` }]),
      ],
    },
    ...attemptSections(
      () => [{ title: 'runtime data', fields: runtimeFields(runtimeData) }],
      problems,
    ),
    ...tokens.flatMap((token, i) =>
      attemptSections(() => [{ title: `token ${i + 1}`, fields: tokenFields(token) }], problems),
    ),
    ...evidence.sections,
  ];
  return { kind: `evidence envelope: ${evidence.kind}`, size: evidence.size, sections, problems };
}

function simulatedMeaning(format: string): Pick<Field, 'meaning'> {
  return format.startsWith('simulated')
    ? { meaning: 'SIMULATED: it proves nothing against its host' }
    : {};
}

function runtimeFields(bytes: Uint8Array): Field[] {
  const data = parseRuntimeData(bytes);
  return [
    { name: 'service', value: data.service },
    { name: 'manifests', value: data.manifests.join(', ') || 'none' },
    ...data.keys.map((key) => ({ name: `key ${key.use}`, value: key.kty })),
    {
      name: 'channel keys',
      value: data.ohttp === undefined ? 'none' : `${data.ohttp.length} chars`,
    },
    ...(data.nonce === undefined ? [] : [{ name: 'nonce', value: data.nonce }]),
    ...(data.models ?? []).map(({ name, version, digest }) => ({
      name: `model ${name} ${version}`,
      value: digest,
    })),
  ];
}

function tokenFields(token: string): Field[] {
  const { header, payload, signature } = parseJws(token);
  const claims = parseJsonObject(decodeUtf8(payload, 'token'), 'token');
  const dates = ['iat', 'nbf', 'exp'];
  return [
    ...Object.entries(header).map(([name, value]) => ({
      name: `header ${name}`,
      value: show(value),
    })),
    ...Object.entries(claims).map(([name, value]) => ({
      name,
      value: show(value),
      ...(dates.includes(name) && typeof value === 'number'
        ? { meaning: new Date(value * 1000).toISOString() }
        : {}),
    })),
    { name: 'signature', value: showBytes(signature), meaning: 'not looked at here' },
  ];
}

function show(value: JsonValue): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length <= 160 ? text : `${text.slice(0, 160)}…`;
}
