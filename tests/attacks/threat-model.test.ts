import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';

const DOCUMENT = new URL('../../docs/threat-model.md', import.meta.url);
const TEXT = readFileSync(DOCUMENT, 'utf8');

/** What must be among the attacks, in the words of the field. */
const REQUIRED = [
  'same code started with another configuration',
  'have signed but the hospital: shown to the portal',
  'given to `records`',
  'given to `cache`',
  "given to the hospital's key broker",
  'have signed but the provider: given to `inference`',
  "given to the provider's key broker",
  'quorum that is short',
  'same party twice',
  'manifest replayed',
  'manifests reordered',
  'manifest of another deployment',
  'frozen by the host',
  'genuine one with foreign keys',
  'restored from an old disk',
  'cloned',
  'secret without a sender, or with a foreign one',
  'JWE to a key that is not in the report',
  'broker down at the start',
  'broker down while a service runs',
  'token of another service',
  'token of another manifest',
  'expired token',
  'without possession',
  'two tokens that only together would do',
  'evidence replayed',
  'relayed from another host',
  'debug enclave',
  'simulated evidence',
  'clock of the host set back',
  'race of two replicas for the counter',
  'share of another set',
  'another replica or after a restart',
  'key mix-ups',
  'classical KEM where only X-Wing is admitted',
  'answers in clear',
  'truncated chunks',
  'reordered, repeated, exchanged chunks',
  'RESP split at every byte',
  'pipelined before `AUTH`',
  'inline commands',
  'bulk header of 64 MiB',
  'slow reader',
  'client certificate of another key',
  'Redis swaps sealed values',
  'Redis gives an older value again',
];

interface Row {
  readonly attack: string;
  readonly stops: string;
  readonly tests: string;
}

const rows = TEXT.split('\n').flatMap((line): Row[] => {
  const [before, attack = '', stops = '', tests, after, ...others] = line
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim());
  const isRow = before === '' && after === '' && others.length === 0;
  return isRow && tests !== undefined && !/^-+$|^tests$/.test(tests)
    ? [{ attack, stops, tests }]
    : [];
});

const links = rows.flatMap(({ attack, tests }) =>
  [...tests.matchAll(/\[([^\]]+)\]\(([^)]+)\)/g)].map(([, name = '', place = '']) => ({
    attack,
    name,
    place,
  })),
);

/** A test file, and beside it what it imports from its neighbours: where the cases of templates stand. */
function sourceOf(file: URL): { readonly text: string; readonly cases: string } {
  const text = readFileSync(file, 'utf8');
  const neighbours = [...text.matchAll(/ from '(\.[^']+)'/g)].map(([, place = '']) =>
    readFileSync(new URL(place, file), 'utf8'),
  );
  return { text, cases: [text, ...neighbours].join('\n') };
}

/** Whether a file has a test of this name: written out, or as a template and what is put into it. */
function hasTest({ text, cases }: ReturnType<typeof sourceOf>, name: string): boolean {
  const literals = [`'${name.replaceAll("'", "\\'")}'`, `"${name}"`, `\`${name}\``];
  if (literals.some((literal) => text.includes(literal))) return true;
  const templates = [...text.matchAll(/\b(?:it|describe)\(\s*`([^`]*)`/g)];
  return templates.some(([, template = '']) => {
    const parts = template
      .split(/\$\{[^}]*\}/)
      .map((part) => part.replaceAll(/[.*+?^$(){}|[\]\\]/g, '\\$&'));
    const [, ...put] = new RegExp(`^${parts.join('(.+)')}$`).exec(name) ?? [];
    return put.length > 0 && put.every((part) => cases.includes(part));
  });
}

describe('the threat model', () => {
  it('names every attack of the field', () => {
    const attacks = rows.map(({ attack }) => attack).join('\n');
    assert.deepEqual(
      REQUIRED.filter((phrase) => !attacks.includes(phrase)),
      [],
    );
  });

  it('says of each attack what stops it, and which test shows that', () => {
    const without = rows.filter(({ stops, tests }) => stops === '' || !tests.startsWith('['));
    assert.deepEqual(without, []);
    assert.ok(rows.length > 50);
  });

  it('links to tests that there are, by their names', () => {
    const wrong = links.filter(({ name, place }) => {
      const file = new URL(place, DOCUMENT);
      return !place.endsWith('.test.ts') || !existsSync(file) || !hasTest(sourceOf(file), name);
    });
    assert.deepEqual(wrong, []);
    assert.ok(links.length > 100);
  });

  it('would notice a test that is gone', () => {
    const text = "it('refuses one', f); for (const x of ['two']) it(`refuses ${x} of ${y}`, f);";
    assert.ok(hasTest({ text, cases: text }, 'refuses one'));
    assert.ok(hasTest({ text, cases: `${text} three` }, 'refuses two of three'));
    assert.ok(!hasTest({ text, cases: text }, 'refuses two of three'));
    assert.ok(!hasTest({ text, cases: text }, 'refuses'));
  });
});
