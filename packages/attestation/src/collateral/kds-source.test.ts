import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodePem } from '@cloister/bytes';
import { anchors, AT, forgeAmdCrl, forgeReport, later } from '../snp/forge.test.ts';
import { verifySnpReport } from '../snp/verify-snp-report.ts';
import { snpQueryOf } from './evidence-query.ts';
import { createKdsProtocol } from './kds-protocol.ts';
import { createSnpSource } from './remote-sources.ts';

const { report, options } = await forgeReport();
const { vek, ask, ark } = options;
const chain = [ask, ark].map((der) => encodePem('CERTIFICATE', der ?? vek)).join('');

function scene(crl: Uint8Array<ArrayBuffer> | undefined) {
  const asked: string[] = [];
  const source = createSnpSource(createKdsProtocol(), {
    anchors,
    now: () => AT,
    fetch: ({ url }) => {
      asked.push(url);
      if (url.includes('/cert_chain')) return Promise.resolve(new Response(chain));
      if (!url.endsWith('/crl')) return Promise.resolve(new Response(vek));
      return Promise.resolve(new Response(crl ?? '', { status: crl === undefined ? 503 : 200 }));
    },
  });
  return { source, asked, query: snpQueryOf(report) };
}

describe('createSnpSource', () => {
  it('gives certificates and the CRL, by which the report verifies', async () => {
    const { source, query } = scene(await forgeAmdCrl());
    const answer = await source.snp(query);
    assert.ok(answer.ok, JSON.stringify(answer));
    const result = await verifySnpReport(report, { ...answer.value, at: AT, anchors });
    assert.ok(result.ok);
    assert.ok(result.checks.every(({ outcome }) => outcome === 'passed'));
  });

  it('asks for the CRL every time, and for the rest once', async () => {
    const { source, query, asked } = scene(await forgeAmdCrl());
    for (let i = 0; i < 3; i++) await source.snp(query);
    assert.equal(asked.filter((url) => url.endsWith('/crl')).length, 3);
    assert.equal(asked.length, 5);
  });

  it('has no answer without the CRL: revocation is not dropped in silence', async () => {
    const { source, query } = scene(undefined);
    const answer = await source.snp(query);
    assert.ok(!answer.ok);
    assert.deepEqual(
      answer.failures.map(({ code, document }) => [code, document]),
      [['unavailable', 'AMD CRL']],
    );
  });

  it('takes in no CRL of another signer', async () => {
    const { source, query } = scene(await forgeAmdCrl({ issuer: 'ARK-Genoa' }));
    assert.equal((await source.snp(query)).ok, false);
  });

  it('says that a CRL had ended', async () => {
    const { source, query } = scene(await forgeAmdCrl({ nextUpdate: later(-1) }));
    const answer = await source.snp(query);
    assert.ok(answer.ok);
    assert.equal(answer.origins[2]?.freshness, 'expired');
  });

  it('cannot give VLEKs, nor the VCEK of a masked chip', async () => {
    const { source, query, asked } = scene(undefined);
    for (const other of [
      { ...query, signer: 'vlek' as const },
      { ...query, chipId: '00'.repeat(64) },
    ]) {
      const answer = await source.snp(other);
      assert.equal(answer.failures[0]?.code, 'not_found');
    }
    assert.deepEqual(asked, []);
  });
});
