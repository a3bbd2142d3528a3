import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  encodePem,
  encodeUtf8,
  parseJsonObject,
  sliceJsonMember,
  type JsonObject,
} from '@cloister/bytes';
import { parseCertificate } from '@cloister/crypto';
import {
  AT,
  certificates,
  forgeCrl,
  platform,
  rootDigest,
  signDocument,
  keys,
} from '../intel/forge.test.ts';
import { createPcsProtocol } from './intel-protocols.ts';
import { createIntelSource, type RemoteSourceOptions } from './remote-sources.ts';

const DAY = 86_400_000;
const QUERY = { tee: 'sgx', fmspc: readFmspc(), ca: 'platform' } as const;
const rootAndCa = pem(certificates.platformCa, certificates.root);

function readFmspc(): string {
  const { fmspc } = tcbInfo();
  return typeof fmspc === 'string' ? fmspc.toLowerCase() : assert.fail('no FMSPC');
}

function pem(...chain: readonly Uint8Array[]): string {
  return chain.map((der) => encodePem('CERTIFICATE', der)).join('');
}

function tcbInfo(): JsonObject {
  return parseJsonObject(sliceJsonMember(platform.collateral.tcbInfo, 'tcbInfo'));
}

/** TCB info of this issue: number and days after the clock's start. */
async function issue(number: number, from: number, to: number): Promise<string> {
  const document = tcbInfo();
  document['tcbEvaluationDataNumber'] = number;
  document['issueDate'] = instant(from);
  document['nextUpdate'] = instant(to);
  return signDocument('tcbInfo', document, keys.tcbSigning.privateKey);
}

function instant(days: number): string {
  return `${new Date(AT.getTime() + days * DAY).toISOString().slice(0, 19)}Z`;
}

/** A server in memory: what it serves can change, and it counts. */
async function scene(options: Partial<RemoteSourceOptions> = {}) {
  const served = {
    tcbInfo: await issue(17, -1, 30),
    pckCrl: await forgeCrl(),
    status: 200,
    headers: {} as Record<string, string>,
  };
  const asked: string[] = [];
  let days = 0;
  const gates: (() => void)[] = [];
  let gated = false;
  const source = createIntelSource(createPcsProtocol(), {
    anchors: [{ spkiSha256: rootDigest }, { spki: parseCertificate(certificates.root).spki }],
    now: () => new Date(AT.getTime() + days * DAY),
    fetch: async ({ url }) => {
      asked.push(url);
      if (gated) await new Promise<void>((resolve) => gates.push(resolve));
      if (served.status !== 200) {
        return new Response('', { status: served.status, headers: served.headers });
      }
      const chain = encodeURIComponent(platform.collateral.tcbInfoChain);
      if (url.includes('/tcb?')) {
        return new Response(encodeUtf8(served.tcbInfo), {
          headers: { 'tcb-info-issuer-chain': chain },
        });
      }
      if (url.includes('/qe/')) {
        return new Response(encodeUtf8(platform.collateral.qeIdentity), {
          headers: { 'sgx-enclave-identity-issuer-chain': chain },
        });
      }
      if (url.includes('/pckcrl')) {
        return new Response(served.pckCrl, {
          headers: { 'sgx-pck-crl-issuer-chain': encodeURIComponent(rootAndCa) },
        });
      }
      return new Response(platform.collateral.rootCaCrl);
    },
    ...options,
  });
  const tcbAnswer = async () => {
    const answer = await source.intel(QUERY);
    const origin = answer.ok ? answer.origins[0] : undefined;
    const number = answer.ok
      ? parseJsonObject(sliceJsonMember(answer.value.tcbInfo, 'tcbInfo'))['tcbEvaluationDataNumber']
      : undefined;
    return { answer, origin, number };
  };
  return {
    served,
    source,
    tcbAnswer,
    askedForTcb: () => asked.filter((url) => url.includes('/tcb?')).length,
    at: (later: number) => {
      days = later;
    },
    hold: () => {
      gated = true;
    },
    release: () => {
      gated = false;
      for (const open of gates.splice(0)) open();
    },
  };
}

/** Asks until the answer is the one: what runs in the background takes as long as it takes. */
async function until<T>(ask: () => T | Promise<T>, isRight: (answer: T) => boolean): Promise<T> {
  for (;;) {
    const answer = await ask();
    if (isRight(answer)) return answer;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

describe('DocumentCache', () => {
  it('asks once for what is fresh', async () => {
    const { tcbAnswer, askedForTcb, at } = await scene();
    assert.equal((await tcbAnswer()).origin?.freshness, 'fresh');
    at(0.5);
    const { origin } = await tcbAnswer();
    assert.deepEqual([origin?.freshness, origin?.ageSeconds], ['fresh', 43_200]);
    assert.equal(askedForTcb(), 1);
  });

  it('asks once for all who want a document at the same time', async () => {
    const { source, askedForTcb, hold, release } = await scene();
    hold();
    const answers = Array.from({ length: 20 }, () => source.intel(QUERY));
    await until(askedForTcb, (asked) => asked > 0);
    release();
    assert.ok((await Promise.all(answers)).every(({ ok }) => ok));
    assert.equal(askedForTcb(), 1);
  });

  it('hands out what is older than its time at once, and replaces it meanwhile', async () => {
    const { tcbAnswer, askedForTcb, at, served } = await scene();
    await tcbAnswer();
    served.tcbInfo = await issue(18, 1, 40);
    at(2);
    const stale = await tcbAnswer();
    assert.deepEqual([stale.origin?.freshness, stale.number], ['stale', 17]);
    const fresh = await until(tcbAnswer, ({ origin }) => origin?.freshness !== 'stale');
    assert.deepEqual([fresh.origin?.freshness, fresh.number], ['fresh', 18]);
    assert.equal(askedForTcb(), 2);
  });

  it('says why what it hands out is no fresher', async () => {
    const { tcbAnswer, at, served } = await scene();
    await tcbAnswer();
    served.status = 503;
    at(2);
    const { origin } = await until(tcbAnswer, (one) => one.origin?.lastFailure !== undefined);
    assert.equal(origin?.freshness, 'stale');
    assert.equal(origin.lastFailure?.code, 'unavailable');
    assert.equal(origin.lastFailure.source, 'intel-pcs');
  });

  it('never hands out what has ended when nothing newer can be had', async () => {
    const { tcbAnswer, at, served } = await scene();
    await tcbAnswer();
    served.status = 503;
    at(31);
    const { answer } = await tcbAnswer();
    assert.ok(!answer.ok);
    assert.ok(answer.failures.every(({ code }) => code === 'unavailable'));
  });

  it('says that what a server gave had ended, and does not ask again at once', async () => {
    const { tcbAnswer, at, askedForTcb } = await scene();
    at(31);
    assert.equal((await tcbAnswer()).origin?.freshness, 'expired');
    await tcbAnswer();
    assert.equal(askedForTcb(), 1);
    at(31.1);
    await tcbAnswer();
    assert.equal(askedForTcb(), 2);
  });

  for (const [name, older] of [
    ['a lower number', { number: 16, from: 1 }],
    ['an earlier issue', { number: 17, from: -3 }],
  ] as const) {
    it(`does not take ${name} for what it has`, async () => {
      const { tcbAnswer, at, served } = await scene();
      await tcbAnswer();
      served.tcbInfo = await issue(older.number, older.from, 40);
      at(2);
      const { origin, number } = await until(
        tcbAnswer,
        (one) => one.origin?.lastFailure !== undefined,
      );
      assert.equal(number, 17);
      assert.equal(origin?.lastFailure?.code, 'older_than_known');
    });
  }

  it('takes in no number that nobody signed: it could keep the true ones out for ever', async () => {
    const { tcbAnswer, served } = await scene();
    const good = served.tcbInfo;
    served.tcbInfo = good.replace('"tcbEvaluationDataNumber":17', '"tcbEvaluationDataNumber":999');
    assert.equal((await tcbAnswer()).answer.failures[0]?.code, 'bad_answer');
    served.tcbInfo = good;
    assert.equal((await tcbAnswer()).number, 17);
  });

  it('takes in no CRL that another CA signed', async () => {
    const { tcbAnswer, served } = await scene();
    served.pckCrl = await forgeCrl({ signer: keys.root.privateKey });
    const { answer } = await tcbAnswer();
    assert.deepEqual([answer.ok, answer.failures[0]?.document], [false, 'PCK CRL']);
  });

  it('keeps what it has across processes, and verifies what it finds there', async () => {
    const kept = new Map<string, string>();
    const store = {
      read: (key: string) => Promise.resolve(kept.get(key)),
      write: (key: string, text: string) => Promise.resolve(void kept.set(key, text)),
    };
    const first = await scene({ store });
    await first.tcbAnswer();
    const second = await scene({ store });
    assert.equal((await second.tcbAnswer()).number, 17);
    assert.equal(second.askedForTcb(), 0);
    for (const [key, text] of kept) kept.set(key, text.replace('"body":"e', '"body":"f'));
    const third = await scene({ store });
    assert.equal((await third.tcbAnswer()).number, 17);
    assert.equal(third.askedForTcb(), 1);
    for (const key of kept.keys()) kept.set(key, '{');
    const fourth = await scene({ store });
    await fourth.tcbAnswer();
    assert.equal(fourth.askedForTcb(), 1);
  });

  it('keeps silent as long as the server asked for', async () => {
    const { tcbAnswer, at, served, askedForTcb } = await scene();
    served.status = 429;
    served.headers = { 'retry-after': '3600' };
    assert.equal((await tcbAnswer()).answer.failures[0]?.code, 'rate_limited');
    served.status = 200;
    const { answer } = await tcbAnswer();
    assert.equal(answer.failures[0]?.retryAt?.getTime(), AT.getTime() + 3_600_000);
    assert.equal(askedForTcb(), 1);
    at(0.1);
    assert.equal((await tcbAnswer()).number, 17);
  });

  it('tries again what may pass, and nothing else', async () => {
    for (const [status, tries] of [
      [503, 3],
      [404, 1],
      [410, 1],
      [400, 1],
    ] as const) {
      const { tcbAnswer, served, askedForTcb } = await scene({ wait: () => Promise.resolve() });
      served.status = status;
      assert.equal((await tcbAnswer()).answer.ok, false);
      assert.equal(askedForTcb(), tries, String(status));
    }
  });

  it('cuts off a server that sends without end', async () => {
    const { tcbAnswer } = await scene({ maxBytes: 100 });
    const { answer } = await tcbAnswer();
    assert.ok(!answer.ok);
    assert.equal(answer.failures[0]?.detail, 'too large');
  });
});
