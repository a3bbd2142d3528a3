import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import {
  createIntelSource,
  createKdsProtocol,
  createPccsProtocol,
  createPcsProtocol,
  createSnpSource,
  createThimAmdProtocol,
  createThimProtocol,
  encodeBundle,
  intelEntry,
  intelQueryOf,
  createBundleSource,
  INTEL_ROOT,
  parseBundle,
  snpEntry,
  snpQueryOf,
  verifySgxQuote,
  verifySnpReport,
  verifyTdxQuote,
  type CollateralProtocol,
  type Fetched,
  type IntelCollateral,
  type TcbSelection,
} from '@cloister/attestation';
import { encodeHex, encodePem } from '@cloister/bytes';
import { createHttpClient } from '@cloister/service';
import { sharedMissing } from '../shared.ts';
import {
  intelAnswers,
  intelRoutes,
  serveRoutes,
  SGX_PLATFORM,
  TDX_PLATFORM,
  vector,
  type LocalServer,
  type RecordedPlatform,
  type Routes,
} from './collateral-sources-server.ts';

const client = createHttpClient();
const servers: LocalServer[] = [];
after(async () => {
  client.close();
  await Promise.all(servers.map(({ close }) => close()));
});

async function serve(routes: Routes): Promise<LocalServer> {
  const server = await serveRoutes(routes);
  servers.push(server);
  return server;
}

/** Intel's own service: the root's CRL is at another place. */
function pcs(platform: RecordedPlatform, query = ''): Promise<LocalServer> {
  const rootCrl = { '/IntelSGXRootCA.der': { body: intelAnswers(platform).rootCaCrl } };
  return serve(intelRoutes(platform, { query, rootCrl }));
}

function pcsProtocol({ url }: LocalServer, select?: TcbSelection): CollateralProtocol {
  const rootCrlUrl = `${url}/IntelSGXRootCA.der`;
  return createPcsProtocol({ baseUrl: url, rootCrlUrl, ...(select ? { select } : {}) });
}

function sourceOf(protocol: CollateralProtocol, at: Date) {
  return createIntelSource(protocol, { fetch: client, now: () => at });
}

/** The quote of the platform verifies with what a source gave. */
async function assertVerifies(
  platform: RecordedPlatform,
  answer: Fetched<IntelCollateral>,
): Promise<void> {
  assert.ok(answer.ok, JSON.stringify(answer));
  const verify = platform.tee === 'sgx' ? verifySgxQuote : verifyTdxQuote;
  const result = await verify(vector(platform.quote), {
    collateral: answer.value,
    at: platform.at,
    anchors: [INTEL_ROOT],
  });
  assert.ok(result.ok, JSON.stringify(result));
}

describe('collateral from Intel PCS v4', { skip: sharedMissing }, () => {
  for (const platform of [SGX_PLATFORM, TDX_PLATFORM]) {
    it(`gives what verifies the ${platform.tee} quote that asked for it`, async () => {
      const server = await pcs(platform);
      const source = sourceOf(pcsProtocol(server), platform.at);
      const answer = await source.intel(intelQueryOf(vector(platform.quote)));
      await assertVerifies(platform, answer);
      assert.ok(answer.ok);
      assert.deepEqual(
        answer.origins.map((one) => [one.document, one.source, one.freshness, one.ageSeconds]),
        ['TCB info', 'QE identity', 'PCK CRL', 'root CA CRL'].map((document) => [
          document,
          'intel-pcs',
          'fresh',
          0,
        ]),
      );
      assert.equal(server.asked.length, 4);
    });
  }

  for (const [query, select] of [
    ['&update=early', { update: 'early' }],
    ['&update=standard', { update: 'standard' }],
    ['&tcbEvaluationDataNumber=17', { tcbEvaluationDataNumber: 17 }],
  ] as const) {
    it(`asks for another set with ${query.slice(1)}`, async () => {
      const server = await pcs(SGX_PLATFORM, query);
      const source = sourceOf(pcsProtocol(server, select), SGX_PLATFORM.at);
      await assertVerifies(SGX_PLATFORM, await source.intel(SGX_PLATFORM));
    });
  }

  for (const [status, code] of [
    [400, 'refused'],
    [404, 'not_found'],
    [410, 'gone'],
    [429, 'rate_limited'],
    [503, 'unavailable'],
    [302, 'bad_answer'],
  ] as const) {
    it(`says ${code} for ${status}, and names source and document`, async () => {
      const server = await pcs(SGX_PLATFORM);
      const source = sourceOf(pcsProtocol(server), SGX_PLATFORM.at);
      server.interrupt({ status }, { status }, { status }, { status });
      const answer = await source.intel(SGX_PLATFORM);
      assert.ok(!answer.ok);
      assert.deepEqual(
        answer.failures.map((failure) => [failure.code, failure.source, failure.status]),
        Array.from({ length: 4 }, () => [code, 'intel-pcs', status]),
      );
      assert.equal(answer.failures[0]?.document, 'TCB info');
    });
  }

  it('says unreachable where nobody answers', async () => {
    const server = await pcs(SGX_PLATFORM);
    await server.close();
    const answer = await sourceOf(pcsProtocol(server), SGX_PLATFORM.at).intel(SGX_PLATFORM);
    assert.ok(!answer.ok);
    assert.ok(answer.failures.every(({ code }) => code === 'unreachable'));
  });

  it('waits as long as Retry-After says, and goes on', async () => {
    const server = await pcs(SGX_PLATFORM);
    const waits: number[] = [];
    let now = SGX_PLATFORM.at.getTime();
    const source = createIntelSource(pcsProtocol(server), {
      fetch: client,
      now: () => new Date(now),
      wait: (ms) => {
        waits.push(ms);
        now += ms;
        return Promise.resolve();
      },
    });
    server.interrupt({ status: 429, headers: { 'retry-after': '7' } });
    await assertVerifies(SGX_PLATFORM, await source.intel(SGX_PLATFORM));
    assert.equal(waits[0], 7000);
  });

  it('refuses documents of another platform, of another TEE, and tampered ones', async () => {
    const good = intelAnswers(SGX_PLATFORM);
    const path = `/sgx/certification/v4/tcb?fmspc=${SGX_PLATFORM.fmspc}`;
    const wrong = {
      'another FMSPC': vector('sgx/collateral/tcbinfo-00606a000000-v3-ev17-2025-08-15.json'),
      'another TEE': vector(TDX_PLATFORM.tcbInfo),
      tampered: Buffer.from(vector(SGX_PLATFORM.tcbInfo))
        .toString()
        .replace('"OutOfDate"', '"UpToDate"'),
      'no JSON': 'upstream error',
    };
    for (const [name, body] of Object.entries(wrong)) {
      const rootCrl = { '/IntelSGXRootCA.der': { body: good.rootCaCrl } };
      const routes = {
        ...intelRoutes(SGX_PLATFORM, { rootCrl }),
        [path]: { ...good.tcbInfo, body },
      };
      const source = sourceOf(pcsProtocol(await serve(routes)), SGX_PLATFORM.at);
      const answer = await source.intel(SGX_PLATFORM);
      assert.ok(!answer.ok, name);
      assert.deepEqual([answer.failures.length, answer.failures[0]?.code], [1, 'bad_answer'], name);
    }
  });
});

describe('collateral from a PCCS', { skip: sharedMissing }, () => {
  it('gives what verifies, its root CA CRL in hex', async () => {
    const hex = encodeHex(intelAnswers(TDX_PLATFORM).rootCaCrl);
    const rootCrl = { '/sgx/certification/v4/rootcacrl': { body: hex } };
    const server = await serve(intelRoutes(TDX_PLATFORM, { rootCrl }));
    const source = sourceOf(createPccsProtocol({ baseUrl: `${server.url}/` }), TDX_PLATFORM.at);
    const answer = await source.intel(TDX_PLATFORM);
    await assertVerifies(TDX_PLATFORM, answer);
    assert.ok(answer.ok && answer.origins.every(({ source: name }) => name === 'pccs'));
  });

  it('says not_found for its own statuses', async () => {
    const server = await serve({});
    const source = sourceOf(createPccsProtocol({ baseUrl: server.url }), TDX_PLATFORM.at);
    server.interrupt({ status: 461 }, { status: 462 }, { status: 404 }, { status: 502 });
    const answer = await source.intel(TDX_PLATFORM);
    const codes = answer.failures.map(({ code }) => code).toSorted();
    assert.deepEqual(codes, ['not_found', 'not_found', 'not_found', 'unavailable']);
  });
});

/** A CRL by its address at Intel's, encoded twice. */
const crlPath = (file: string) => {
  const uri = encodeURIComponent(`https://certificates.trustedservices.intel.com/${file}`);
  const caller = 'clientid=production_client&api-version=2020-02-12-preview';
  return `/sgx/certification/v4/pckcrl?uri=${encodeURIComponent(uri)}&${caller}`;
};

const thimRoutes = (platform: RecordedPlatform): Routes => {
  const { pckCrl, rootCaCrl } = intelAnswers(platform);
  return intelRoutes(platform, {
    rootCrl: {
      [crlPath('IntelSGXPCKProcessor.crl')]: { body: pckCrl.body ?? '' },
      [crlPath('IntelSGXRootCA.der')]: {
        body: encodePem('X509 CRL', rootCaCrl),
      },
    },
  });
};

describe('collateral from Azure THIM', { skip: sharedMissing }, () => {
  it('gives what verifies, CRLs by their addresses and without their chains', async () => {
    const server = await serve(thimRoutes(SGX_PLATFORM));
    const source = sourceOf(createThimProtocol({ baseUrl: server.url }), SGX_PLATFORM.at);
    await assertVerifies(SGX_PLATFORM, await source.intel(SGX_PLATFORM));
  });

  it('says that what it served had expired', async () => {
    const server = await serve(thimRoutes(SGX_PLATFORM));
    const later = new Date(SGX_PLATFORM.at.getTime() + 300 * 86_400_000);
    const source = sourceOf(createThimProtocol({ baseUrl: server.url }), later);
    const answer = await source.intel(SGX_PLATFORM);
    assert.ok(answer.ok);
    assert.equal(answer.origins[0]?.freshness, 'expired');
    const result = await verifySgxQuote(vector(SGX_PLATFORM.quote), {
      collateral: answer.value,
      at: later,
      anchors: [INTEL_ROOT],
    });
    assert.equal(!result.ok && result.code, 'crl.expired');
  });
});

/** ASK and ARK, as the KDS serves them. */
const chainOf = (product: string): string =>
  ['SEV', 'ARK']
    .map((name) => encodePem('CERTIFICATE', vector(`roots/amd-${name}-${product}.der`)))
    .join('');

describe('certificates from AMD KDS', { skip: sharedMissing }, () => {
  const CHIPS = [
    {
      report: 'snp/reports/microsoft-milan-attestation-report-e75e8d.bin',
      vcek: 'snp/certs/microsoft-milan-attestation-report-e75e8d.vcek.der',
      product: 'Milan',
      levels: 'blSPL=04&teeSPL=00&snpSPL=24&ucodeSPL=219',
    },
    {
      report: 'snp/reports/microsoft-genoa-attestation-report-4ae0e7.bin',
      vcek: 'snp/certs/microsoft-genoa-attestation-report-4ae0e7.vcek.der',
      product: 'Genoa',
      levels: 'blSPL=10&teeSPL=00&snpSPL=23&ucodeSPL=84',
    },
    {
      report: 'snp/reports/microsoft-turin-attestation-report-85da70.bin',
      vcek: 'snp/certs/microsoft-turin-attestation-report-85da70.vcek.der',
      product: 'Turin',
      levels: 'fmcSPL=01&blSPL=01&teeSPL=01&snpSPL=04&ucodeSPL=81',
    },
  ] as const;
  const AT = new Date('2026-03-01T00:00:00Z');

  const routesOf = ({ report, vcek, product, levels }: (typeof CHIPS)[number]): Routes => {
    const { chipId } = snpQueryOf(vector(report));
    const chip = product === 'Turin' ? chipId.slice(0, 16) : chipId;
    return {
      [`/vcek/v1/${product}/${chip}?${levels}`]: { body: vector(vcek) },
      [`/vcek/v1/${product}/cert_chain`]: { body: chainOf(product) },
    };
  };

  for (const chip of CHIPS) {
    it(`gives what verifies a report of ${chip.product}`, async () => {
      const server = await serve(routesOf(chip));
      const options = { crl: false, fetch: client, now: () => AT };
      const report = vector(chip.report);
      const answer = await createSnpSource(createKdsProtocol({ baseUrl: server.url }), options).snp(
        snpQueryOf(report),
      );
      assert.ok(answer.ok, JSON.stringify(answer));
      const result = await verifySnpReport(report, { ...answer.value, at: AT });
      assert.ok(result.ok, JSON.stringify(result));
    });
  }

  it('asks for a VCEK once, for ever, and says when it was', async () => {
    const [chip] = CHIPS;
    const server = await serve(routesOf(chip));
    let now = AT;
    const options = { crl: false, fetch: client, now: () => now };
    const source = createSnpSource(createKdsProtocol({ baseUrl: server.url }), options);
    const query = snpQueryOf(vector(chip.report));
    await source.snp(query);
    now = new Date(AT.getTime() + 3600_000);
    const again = await source.snp(query);
    assert.ok(again.ok);
    assert.equal(again.origins[0]?.ageSeconds, 3600);
    assert.equal(server.asked.filter((path) => path.includes('blSPL')).length, 1);
  });

  it('does not come again before Retry-After', async () => {
    const [chip] = CHIPS;
    const server = await serve(routesOf(chip));
    const options = { crl: false, fetch: client, now: () => AT };
    const source = createSnpSource(createKdsProtocol({ baseUrl: server.url }), options);
    const slow = { status: 429, headers: { 'retry-after': '10' } };
    server.interrupt(slow, slow);
    const query = snpQueryOf(vector(chip.report));
    const answer = await source.snp(query);
    assert.ok(!answer.ok);
    assert.equal(answer.failures[0]?.retryAt?.getTime(), AT.getTime() + 10_000);
    const before = server.asked.length;
    const second = await source.snp(query);
    assert.ok(!second.ok && second.failures[0]?.code === 'rate_limited');
    assert.equal(server.asked.length, before);
  });

  it('refuses the VCEK of another chip, and one that no root stands above', async () => {
    const [milan, genoa] = CHIPS;
    const query = snpQueryOf(vector(milan.report));
    for (const [body, chain] of [
      [vector('snp/certs/coco-evidence-v0-05b743.vcek.der'), chainOf('Milan')],
      [vector(milan.vcek), chainOf(genoa.product)],
    ] as const) {
      const paths = Object.keys(routesOf(milan));
      const server = await serve({ [paths[0] ?? '']: { body }, [paths[1] ?? '']: { body: chain } });
      const options = { crl: false, fetch: client, now: () => AT };
      const answer = await createSnpSource(createKdsProtocol({ baseUrl: server.url }), options).snp(
        query,
      );
      assert.ok(!answer.ok, JSON.stringify(answer));
    }
  });
});

describe('certificates from Azure THIM', { skip: sharedMissing }, () => {
  const AT = new Date('2026-03-01T00:00:00Z');
  const report = vector('snp/reports/confidentialai-live-evidence-ec43da.bin');

  async function ask(vcek: string) {
    const body = JSON.stringify({
      vcekCert: encodePem('CERTIFICATE', vector(vcek)),
      tcbm: 'DB18000000000004',
      certificateChain: chainOf('Milan'),
      cacheControl: '86400',
    });
    const server = await serve({
      '/metadata/THIM/amd/certification': ({ headers }) =>
        headers['metadata'] === 'true' ? { body } : { status: 400 },
    });
    const protocol = createThimAmdProtocol({ baseUrl: server.url });
    const source = createSnpSource(protocol, { crl: false, fetch: client, now: () => AT });
    return source.snp(snpQueryOf(report));
  }

  it('gives what verifies the report of the same machine', async () => {
    const answer = await ask('snp/certs/confidentialai-live-evidence-ec43da.vcek.der');
    assert.ok(answer.ok, JSON.stringify(answer));
    assert.ok((await verifySnpReport(report, { ...answer.value, at: AT })).ok);
  });

  it("does not hand out its own machine's for another's", async () => {
    const answer = await ask('snp/certs/coco-evidence-v0-05b743.vcek.der');
    assert.equal(answer.failures[0]?.code, 'bad_answer');
  });
});

describe('an offline bundle', { skip: sharedMissing }, () => {
  it('made of what the servers gave verifies the same evidence, without any server', async () => {
    const entries = await Promise.all(
      [SGX_PLATFORM, TDX_PLATFORM].map(async (platform) => {
        const server = await pcs(platform);
        const source = sourceOf(pcsProtocol(server), platform.at);
        const answer = await source.intel(intelQueryOf(vector(platform.quote)));
        assert.ok(answer.ok);
        return intelEntry(answer.value, { origins: answer.origins });
      }),
    );
    const report = vector('snp/reports/microsoft-turin-attestation-report-85da70.bin');
    const certificates = snpEntry({
      vek: vector('snp/certs/microsoft-turin-attestation-report-85da70.vcek.der'),
      ask: vector('roots/amd-SEV-Turin.der'),
      ark: vector('roots/amd-ARK-Turin.der'),
    });
    const text = encodeBundle([...entries, certificates]);
    assert.equal(encodeBundle(parseBundle(text)), text);

    for (const platform of [SGX_PLATFORM, TDX_PLATFORM]) {
      const bundle = createBundleSource(parseBundle(text), { now: () => platform.at });
      const answer = await bundle.intel(intelQueryOf(vector(platform.quote)));
      await assertVerifies(platform, answer);
      assert.ok(answer.ok && answer.origins[0]?.source === 'bundle: intel-pcs');
    }
    const at = new Date('2026-03-01T00:00:00Z');
    const bundle = createBundleSource(parseBundle(text), { now: () => at });
    const answer = await bundle.snp(snpQueryOf(report));
    assert.ok(answer.ok);
    assert.ok((await verifySnpReport(report, { ...answer.value, at })).ok);
    const other = await bundle.intel({ tee: 'sgx', fmspc: '000000000000', ca: 'platform' });
    assert.deepEqual(other, {
      ok: false,
      failures: [{ code: 'not_found', source: 'bundle', document: 'TCB info' }],
    });
  });
});
