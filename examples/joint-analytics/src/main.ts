/** The service's process: `--platform <folder> --manifest <file> [--port <n>]`. */
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import {
  createIdentity,
  createSimulatedAttester,
  measureOwnService,
  openSimulatedPlatform,
} from '@cloister/attester';
import { createChannelKeys, createGateway, encodeKeyConfigs } from '@cloister/channel';
import {
  createServiceApp,
  loadTrust,
  nodeChannelPrimitives,
  runMain,
  serve,
  untilSignal,
} from '@cloister/service';
import { createApp } from './app.ts';

const SERVICE = 'joint-analytics';
/** ISVPRODID: tells this service from others of the same signer. */
const PRODUCT_ID = 200;

await runMain(process, async () => {
  const { values } = parseArgs({
    options: {
      platform: { type: 'string', default: '' },
      manifest: { type: 'string', default: '' },
      port: { type: 'string', default: '0' },
    },
  });
  const trust = await loadTrust({
    manifestFile: values.manifest,
    readFile: (path) => readFile(path, 'utf8'),
  });
  const app = createApp(trust.manifest.parties);

  // The channel: a key that exists only in this process, and a gateway before the application.
  const keys = await createChannelKeys({
    kem: 'x-wing',
    keyId: 1,
    primitives: nodeChannelPrimitives(),
  });
  const gateway = createGateway({ keys: () => [keys], now: () => new Date(), fetch: app.fetch });

  // The evidence: what code this is, by which manifest it runs, and the channel's key.
  const identity = await createIdentity({
    service: SERVICE,
    manifests: [trust.id],
    attester: createSimulatedAttester({
      platform: await openSimulatedPlatform(values.platform),
      mrenclave: await measureOwnService(import.meta.url, SERVICE),
      isvProdId: PRODUCT_ID,
    }),
    ohttp: encodeKeyConfigs(keys),
  });

  const outside = createServiceApp({
    service: SERVICE,
    evidence: identity,
    gateway,
    cors: { origins: [] },
    health: () => ({ ready: true }),
  });
  const serving = await serve({ app: outside, port: Number(values.port) });
  process.stdout.write(`listening on ${serving.url}\n`);
  await untilSignal(process);
  await serving.close();
});
