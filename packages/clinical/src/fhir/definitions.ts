import definitions from './definitions.json' with { type: 'json' };

/** One type an element may have, with the resource types a Reference may point at. */
export interface ElementType {
  readonly code: string;
  /** Empty: any. */
  readonly targets: readonly string[];
}

/** One element of a FHIR type (FHIR R4, ElementDefinition), cut to what a validator reads. */
export interface ElementDefinition {
  /** Path below the type: `contact.name`, `value[x]`. */
  readonly path: string;
  readonly min: number;
  readonly max: string;
  readonly types: readonly ElementType[];
  /** Full path of the element whose content this one shares. */
  readonly contentReference?: string;
  /** Codes of a required binding, where they are a finite list. */
  readonly codes?: ReadonlySet<string>;
  readonly constraints: readonly string[];
}

/** One FHIR type. */
export interface TypeDefinition {
  readonly name: string;
  readonly kind: string;
  readonly base?: string;
  readonly constraints: readonly string[];
  readonly elements: readonly ElementDefinition[];
}

/** The FHIRPath expression of a constraint key. */
export function constraintExpression(key: string): string | undefined {
  const { constraints }: { constraints: Record<string, string> } = definitions;
  return constraints[key];
}

let parsed: ReadonlyMap<string, TypeDefinition> | undefined;

/** Every FHIR type that Cloister knows, by name; read from the compact table once. */
export function fhirTypes(): ReadonlyMap<string, TypeDefinition> {
  parsed ??= parseTypes();
  return parsed;
}

/** Whether this is a type of resource that Cloister stores or sends. */
export function isFhirResourceType(name: string): boolean {
  const type = fhirTypes().get(name);
  return type?.kind === 'resource' && type.base !== undefined && name !== 'DomainResource';
}

interface CompactType {
  readonly kind: string;
  readonly base?: string;
  readonly constraints?: string;
  readonly elements: readonly string[];
}

function parseTypes(): ReadonlyMap<string, TypeDefinition> {
  const { types }: { types: Record<string, CompactType> } = definitions;
  const { valueSets }: { valueSets: Record<string, string> } = definitions;
  const sets = new Map(Object.entries(valueSets).map(([k, v]) => [k, new Set(v.split(' '))]));
  return new Map(
    Object.entries(types).map(([name, { kind, base, constraints, elements }]) => [
      name,
      {
        name,
        kind,
        ...(base === undefined ? {} : { base }),
        constraints: constraints?.split(',') ?? [],
        elements: elements.map((line) => parseElement(line, sets)),
      },
    ]),
  );
}

/** Reads one line of the table; its grammar stands in tools/make-fhir-definitions.ts. */
function parseElement(
  line: string,
  sets: ReadonlyMap<string, ReadonlySet<string>>,
): ElementDefinition {
  const [path = '', range = '', type = '', ...rest] = line.split(' ');
  const [min = '', max = ''] = range.split('..');
  const codes = sets.get(rest.find((word) => word.startsWith('#'))?.slice(1) ?? '');
  return {
    path,
    min: Number(min),
    max,
    types: type.startsWith('@') || type === '' ? [] : type.split(',').map(parseType),
    ...(type.startsWith('@') ? { contentReference: type.slice(1) } : {}),
    ...(codes === undefined ? {} : { codes }),
    constraints:
      rest
        .find((word) => word.startsWith('!'))
        ?.slice(1)
        .split(',') ?? [],
  };
}

function parseType(text: string): ElementType {
  const open = text.indexOf('(');
  if (open < 0) return { code: text.replace('=', ''), targets: [] };
  const targets = text.slice(open + 1, -1).split('|');
  const any = targets.includes('Resource') || targets.includes('Any');
  return { code: text.slice(0, open), targets: any ? [] : targets };
}
