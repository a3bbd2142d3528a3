import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { DER, encodeDer } from '@cloister/bytes';
import { AT, certify, type Party, type Terms } from '../../tests/make-pki.ts';
import type { Certificate } from './certificate.ts';
import { createCrl } from './create-crl.ts';
import { parseCrl } from './crl.ts';
import { keyIdentifier } from './encode-extensions.ts';
import { encodeName } from './name.ts';
import { checkCrl, checkPath, checkValidity, isRevoked, verifyPath } from './path.ts';
import { createKeyCache } from './verify-key.ts';

let root: Party;
let middle: Party;
let leaf: Party;

before(async () => {
  root = await certify('Root', undefined, { ca: true });
  middle = await certify('Middle', root, { ca: true, pathLength: 0 });
  leaf = await certify('Leaf', middle);
});

const problemsOf = async (path: readonly Certificate[], more: object = {}) => {
  const options = { at: AT, anchorName: root.name, anchorSpki: root.spki, ...more };
  return (await verifyPath(path, options)).map(({ code, index }) => `${code} ${index}`);
};

describe('verifyPath', () => {
  it('finds nothing wrong with a good path, with and without a key cache', async () => {
    const path = [leaf.certificate, middle.certificate];
    assert.deepEqual(await problemsOf(path), []);
    const cache = createKeyCache();
    assert.deepEqual(await problemsOf(path, { cache }), []);
    assert.deepEqual(await problemsOf(path, { cache }), []);
  });

  it('refuses an empty path', async () => {
    assert.deepEqual(await problemsOf([]), ['empty_path 0']);
  });

  it('refuses a leaf signed by another key', async () => {
    const impostor = await certify('Middle', undefined, { ca: true });
    const forged = await certify('Leaf', { ...middle, keys: impostor.keys });
    assert.deepEqual(await problemsOf([forged.certificate, middle.certificate]), [
      'bad_signature 0',
    ]);
  });

  it('refuses an intermediate that the anchor did not sign', async () => {
    const impostor = await certify('Root', undefined, { ca: true });
    const path = [leaf.certificate, middle.certificate];
    assert.deepEqual(await problemsOf(path, { anchorSpki: impostor.spki }), ['bad_signature 1']);
  });

  it('refuses an issuer name that differs, of the leaf or against the anchor', async () => {
    const other = encodeName({ commonName: 'Middle', organizationName: 'Others' });
    const stray = await certify('Leaf', middle, { issuerName: other });
    assert.deepEqual(await problemsOf([stray.certificate, middle.certificate]), [
      'name_mismatch 0',
    ]);
    const path = [leaf.certificate, middle.certificate];
    assert.deepEqual(await problemsOf(path, { anchorName: other }), ['name_mismatch 1']);
  });

  it('compares names byte for byte, not as text', async () => {
    const printable = encodeDer(
      DER.SEQUENCE,
      encodeDer(
        DER.SET,
        encodeDer(
          DER.SEQUENCE,
          Uint8Array.of(6, 3, 0x55, 4, 3),
          encodeDer(DER.PRINTABLE_STRING, new TextEncoder().encode('Root')),
        ),
      ),
    );
    const utf8 = encodeName({ commonName: 'Root' });
    const ca = await certify('Root', undefined, { ca: true, subjectName: utf8 });
    const direct = await certify('Leaf', ca, { issuerName: printable });
    assert.equal(direct.certificate.issuerCommonName, 'Root');
    const options = { at: AT, anchorName: utf8, anchorSpki: ca.spki };
    const problems = await verifyPath([direct.certificate], options);
    assert.deepEqual(problems, [{ code: 'name_mismatch', index: 0 }]);
  });

  const intermediates: [string, Terms, string[]][] = [
    ['is no CA', { ca: false, keyUsage: ['keyCertSign'] }, ['not_a_ca 1']],
    ['may not sign certificates', { ca: true, keyUsage: ['cRLSign'] }, ['no_key_cert_sign 1']],
    ['says neither', { bare: true }, ['not_a_ca 1', 'no_key_cert_sign 1']],
    ['expired', { ca: true, notAfter: new Date('2026-05-31T23:59:59Z') }, ['expired 1']],
    [
      'is not yet valid',
      { ca: true, notBefore: new Date('2026-06-01T00:00:01Z') },
      ['not_yet_valid 1'],
    ],
    [
      'has an unknown critical extension',
      { ca: true, more: [{ oid: '1.2.3.4', critical: true, value: Uint8Array.of(5, 0) }] },
      ['unknown_critical_extension 1'],
    ],
  ];
  for (const [what, terms, expected] of intermediates) {
    it(`refuses an intermediate that ${what}`, async () => {
      const bad = await certify('Middle', root, terms);
      const end = await certify('Leaf', bad);
      assert.deepEqual(await problemsOf([end.certificate, bad.certificate]), expected);
    });
  }

  const leaves: [string, Terms, string[]][] = [
    ['is a CA', { ca: true }, ['ca_as_leaf 0']],
    ['expired', { notAfter: new Date('2026-05-31T23:59:59Z') }, ['expired 0']],
    ['is not yet valid', { notBefore: new Date('2026-06-01T00:00:01Z') }, ['not_yet_valid 0']],
    [
      'has an unknown critical extension',
      { more: [{ oid: '1.2.3.4', critical: true, value: Uint8Array.of(5, 0) }] },
      ['unknown_critical_extension 0'],
    ],
  ];
  for (const [what, terms, expected] of leaves) {
    it(`refuses a leaf that ${what}`, async () => {
      const bad = await certify('Leaf', middle, terms);
      assert.deepEqual(await problemsOf([bad.certificate, middle.certificate]), expected);
    });
  }

  it('accepts a leaf without any of the usual extensions, as AMD makes them', async () => {
    const bare = await certify('Leaf', middle, { bare: true });
    assert.deepEqual(await problemsOf([bare.certificate, middle.certificate]), []);
  });

  it('accepts a critical extension that the caller understands, and unknown ones that are not', async () => {
    const more = [{ oid: '1.2.3.4', critical: true, value: Uint8Array.of(5, 0) }];
    const known = await certify('Leaf', middle, { more });
    const path = [known.certificate, middle.certificate];
    assert.deepEqual(await problemsOf(path, { understood: ['1.2.3.4'] }), []);
    const harmless = await certify('Leaf', middle, {
      more: [{ oid: '1.2.3.4', value: Uint8Array.of(5, 0) }],
    });
    assert.deepEqual(await problemsOf([harmless.certificate, middle.certificate]), []);
  });

  it('counts intermediates against the path length', async () => {
    const lower = await certify('Lower', middle, { ca: true });
    const end = await certify('Leaf', lower);
    const path = [end.certificate, lower.certificate, middle.certificate];
    assert.deepEqual(await problemsOf(path), ['path_too_long 1']);
    const wide = await certify('Wide', root, { ca: true, pathLength: 1 });
    const under = await certify('Under', wide, { ca: true });
    const good = await certify('Leaf', under);
    assert.deepEqual(await problemsOf([good.certificate, under.certificate, wide.certificate]), []);
  });

  it('a path length below cannot widen one above', async () => {
    const lower = await certify('Lower', middle, { ca: true, pathLength: 5 });
    const lowest = await certify('Lowest', lower, { ca: true });
    const end = await certify('Leaf', lowest);
    const path = [end.certificate, lowest.certificate, lower.certificate, middle.certificate];
    assert.deepEqual(await problemsOf(path), ['path_too_long 2', 'path_too_long 1']);
  });

  it('does not count self-issued certificates', async () => {
    const renewed = await certify('Middle', middle, { ca: true });
    const end = await certify('Leaf', renewed);
    const path = [end.certificate, renewed.certificate, middle.certificate];
    assert.deepEqual(await problemsOf(path), []);
  });

  it('judges a path that ends with a CA when told so', async () => {
    assert.deepEqual(await problemsOf([middle.certificate], { leafIsCa: true }), []);
    assert.deepEqual(await problemsOf([middle.certificate]), ['ca_as_leaf 0']);
    assert.deepEqual(await problemsOf([leaf.certificate, middle.certificate], { leafIsCa: true }), [
      'not_a_ca 0',
      'no_key_cert_sign 0',
      'path_too_long 0',
    ]);
  });

  it('refuses an invalid date', async () => {
    const options = { at: new Date(Number.NaN) };
    assert.deepEqual(checkPath([leaf.certificate], options), [{ code: 'not_yet_valid', index: 0 }]);
  });

  it('verifies RSA and P-384 issuers too', async () => {
    const modulus = { modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1) };
    for (const algorithm of [
      { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', ...modulus },
      { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-384', ...modulus },
      { name: 'RSA-PSS', hash: 'SHA-256', ...modulus },
      { name: 'RSA-PSS', hash: 'SHA-384', ...modulus },
      { name: 'ECDSA', namedCurve: 'P-384' },
    ]) {
      const ca = await certify('CA', undefined, { ca: true, algorithm });
      const end = await certify('Leaf', ca);
      const options = { at: AT, anchorName: ca.name, anchorSpki: ca.spki };
      assert.deepEqual(await verifyPath([end.certificate], options), []);
      const foreign = { ...options, anchorSpki: root.spki };
      assert.deepEqual(await verifyPath([end.certificate], foreign), [
        { code: 'bad_signature', index: 0 },
      ]);
    }
  });

  it('refuses RSA keys below 2048 bits', async () => {
    const algorithm = {
      name: 'RSASSA-PKCS1-v1_5',
      hash: 'SHA-256',
      modulusLength: 1024,
      publicExponent: Uint8Array.of(1, 0, 1),
    };
    const ca = await certify('CA', undefined, { ca: true, algorithm });
    const end = await certify('Leaf', ca);
    const options = { at: AT, anchorName: ca.name, anchorSpki: ca.spki };
    assert.deepEqual(await verifyPath([end.certificate], options), [
      { code: 'bad_signature', index: 0 },
    ]);
  });
});

describe('checkValidity', () => {
  it('includes both ends', () => {
    const { notBefore, notAfter } = leaf.certificate;
    assert.equal(checkValidity(leaf.certificate, notBefore), undefined);
    assert.equal(checkValidity(leaf.certificate, notAfter), undefined);
    assert.equal(checkValidity(leaf.certificate, new Date(+notBefore - 1)), 'not_yet_valid');
    assert.equal(checkValidity(leaf.certificate, new Date(+notAfter + 1)), 'expired');
  });
});

const makeCrl = async (issuer: Party, revoked: readonly string[] = []) =>
  parseCrl(
    await createCrl({
      issuer: issuer.name,
      thisUpdate: new Date('2026-05-01T00:00:00Z'),
      nextUpdate: new Date('2026-07-01T00:00:00Z'),
      revoked: revoked.map((serial) => ({ serial, revokedAt: AT, reason: 1 })),
      crlNumber: '02',
      authorityKeyIdentifier: await keyIdentifier(issuer.spki),
      signer: issuer.keys.privateKey,
    }),
  );

describe('checkCrl', () => {
  it('finds nothing wrong with a good list, from its first to its last second', async () => {
    const crl = await makeCrl(middle);
    for (const at of [crl.thisUpdate, AT, crl.nextUpdate ?? AT]) {
      assert.deepEqual(checkCrl(crl, middle.certificate, at), []);
    }
  });

  it('refuses a list of another issuer', async () => {
    assert.deepEqual(checkCrl(await makeCrl(root), middle.certificate, AT), ['name_mismatch']);
  });

  it('refuses a list before its time, after it, and at an invalid date', async () => {
    const crl = await makeCrl(middle);
    const at = (text: string) => checkCrl(crl, middle.certificate, new Date(text));
    assert.deepEqual(at('2026-04-30T23:59:59Z'), ['not_yet_valid']);
    assert.deepEqual(at('2026-07-01T00:00:01Z'), ['expired']);
    assert.deepEqual(at('no date'), ['not_yet_valid', 'expired']);
  });

  it('refuses a list without nextUpdate', async () => {
    const crl = { ...(await makeCrl(middle)), nextUpdate: undefined };
    assert.deepEqual(checkCrl(crl, middle.certificate, AT), ['no_next_update']);
  });

  it('refuses an issuer whose key may not sign lists', async () => {
    const ca = await certify('CA', root, { ca: true, keyUsage: ['keyCertSign'] });
    assert.deepEqual(checkCrl(await makeCrl(ca), ca.certificate, AT), ['no_crl_sign']);
  });

  it('revokes by issuer and serial, not by serial alone', async () => {
    const serial = leaf.certificate.serial;
    assert.equal(isRevoked(await makeCrl(middle, [serial]), leaf.certificate), true);
    assert.equal(isRevoked(await makeCrl(root, [serial]), leaf.certificate), false);
    assert.equal(isRevoked(await makeCrl(middle, ['02']), leaf.certificate), false);
  });
});
