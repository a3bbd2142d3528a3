import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodeHex, encodePem, encodeUtf8, MalformedError } from '@cloister/bytes';
import { parseCertificate } from '@cloister/crypto';
import { AT, certificates, forgeCrl, keys, platform, signDocument } from '../intel/forge.test.ts';
import { createPcsProtocol } from './intel-protocols.ts';
import { readIssuerChain } from './issuer-chain.ts';
import { readCrl } from './read-crl.ts';
import { createIntelSource } from './remote-sources.ts';
import { readRetryAfter } from './retry-after.ts';

describe('readCrl', () => {
  it('reads DER, hex and PEM alike', async () => {
    const der = await forgeCrl();
    const hex = encodeHex(der);
    for (const body of [
      der,
      encodeUtf8(hex),
      encodeUtf8(`${hex.toUpperCase()}\n`),
      encodeUtf8(encodePem('X509 CRL', der)),
    ]) {
      assert.deepEqual(readCrl(body, 'CRL'), der);
    }
  });

  it('refuses all else', async () => {
    const pem = encodePem('X509 CRL', await forgeCrl());
    for (const text of ['<html>', '308', pem + pem, encodePem('CERTIFICATE', certificates.root)]) {
      assert.throws(() => readCrl(encodeUtf8(text), 'CRL'), MalformedError);
    }
    assert.throws(() => readCrl(Uint8Array.of(0xff, 0xfe), 'CRL'), MalformedError);
  });
});

describe('readIssuerChain', () => {
  it('decodes the first header that is there', () => {
    const headers = new Headers({ b: '-----BEGIN%20X-----%0A' });
    assert.equal(readIssuerChain(headers, ['a', 'b']), '-----BEGIN X-----\n');
    assert.equal(readIssuerChain(headers, ['a']), undefined);
  });

  it('refuses what is no percent encoding', () => {
    assert.throws(() => readIssuerChain(new Headers({ a: '%zz' }), ['a']), MalformedError);
  });
});

const read = (value: string): Date | undefined =>
  readRetryAfter(new Headers({ 'retry-after': value }), AT);

describe('readRetryAfter', () => {
  it('reads seconds and dates', () => {
    assert.deepEqual(read('10'), new Date(AT.getTime() + 10_000));
    assert.deepEqual(read('Fri, 31 Dec 2027 23:59:59 GMT'), new Date('2027-12-31T23:59:59Z'));
    for (const value of ['', 'soon', '-1', '99999999999']) assert.equal(read(value), undefined);
    assert.equal(readRetryAfter(new Headers(), AT), undefined);
  });
});

describe('evaluation numbers', () => {
  const document = {
    id: 'SGX',
    version: 1,
    issueDate: '2026-02-20T00:00:00Z',
    nextUpdate: '2026-03-20T00:00:00Z',
    tcbEvalNumbers: [
      {
        tcbEvaluationDataNumber: 19,
        tcbRecoveryEventDate: '2026-01-13T00:00:00Z',
        tcbDate: '2026-01-13T00:00:00Z',
      },
    ],
  };

  async function ask(signer: CryptoKey, tee: 'sgx' | 'tdx' = 'sgx') {
    const body = await signDocument('tcbEvaluationDataNumbers', document, signer);
    const chain = encodeURIComponent(platform.collateral.tcbInfoChain);
    const urls: string[] = [];
    const source = createIntelSource(createPcsProtocol({ baseUrl: 'https://pcs.invalid/' }), {
      anchors: [{ spki: parseCertificate(certificates.root).spki }],
      now: () => AT,
      fetch: ({ url }) => {
        urls.push(url);
        const headers = { 'tcb-evaluation-data-numbers-issuer-chain': chain };
        return Promise.resolve(new Response(body, { headers }));
      },
    });
    return { answer: await source.evaluationNumbers(tee), urls };
  }

  it('are read and verified', async () => {
    const { answer, urls } = await ask(keys.tcbSigning.privateKey);
    assert.ok(answer.ok, JSON.stringify(answer));
    assert.deepEqual(
      answer.value.numbers.map((one) => one.tcbEvaluationDataNumber),
      [19],
    );
    assert.deepEqual(urls, ['https://pcs.invalid/sgx/certification/v4/tcbevaluationdatanumbers']);
  });

  it('are refused of another signer, and for another TEE', async () => {
    assert.equal((await ask(keys.root.privateKey)).answer.ok, false);
    assert.equal((await ask(keys.tcbSigning.privateKey, 'tdx')).answer.ok, false);
  });
});
