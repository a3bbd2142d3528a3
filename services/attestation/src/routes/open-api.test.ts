import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createApp } from '../app.ts';
import { makeDeps } from '../fixture.test.ts';
import { canonicalPath, OPERATIONS } from '../paths.ts';
import { openApiDocument } from './open-api.ts';

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, { summary: string }>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, unknown>> };
}

const document = openApiDocument() as unknown as Document;
const described = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
);

describe('the OpenAPI document', async () => {
  const { deps } = await makeDeps();
  const app = createApp(deps);

  it('describes every route, and no other', () => {
    const shared = /^\/(?:health|attestation\/evidence|\.well-known\/ohttp-gateway)/;
    const routes = app.routes
      .filter(({ path, method }) => !path.endsWith('*') && method !== 'ALL' && !shared.test(path))
      .map(({ path, method }) => `${method} ${path}`);
    assert.deepEqual(described.toSorted(), [...new Set(routes)].toSorted());
  });

  it('leads to routes that are there, in any case', async () => {
    for (const [path, methods] of OPERATIONS)
      for (const method of methods)
        for (const spelt of [path, path.toUpperCase(), path.replace(':', '%3A')]) {
          assert.equal(canonicalPath(spelt), path);
          const answer = await app.request(spelt, { method });
          // 404 would be no route; missing collateral says 400 first.
          assert.notEqual(answer.status, 404, `${method} ${spelt}`);
          assert.notEqual(answer.status, 405, `${method} ${spelt}`);
        }
  });

  it('is served, and refers to nothing that is not in it', async () => {
    const answer = await app.request('/openapi.json');
    const text = await answer.text();
    assert.deepEqual(JSON.parse(text), document);
    for (const [, name = ''] of text.matchAll(/#\/components\/schemas\/(\w+)/g))
      assert.ok(Object.hasOwn(document.components.schemas, name), name);
    for (const methods of Object.values(document.paths))
      for (const { summary } of Object.values(methods))
        assert.ok(!summary.startsWith('/'), summary);
  });
});
