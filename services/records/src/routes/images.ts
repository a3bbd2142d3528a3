import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { renderPreview, parseDicom } from '@cloister/clinical';
import { type Cache, StoreError } from '@cloister/service';
import { accessAudit } from '../fhir/audit-event.ts';
import { imagingStudy } from '../images/imaging-study.ts';
import { patientMismatch } from '../images/patient-mismatch.ts';
import { type ReadImage, readImage, unusable } from '../images/read-image.ts';
import { IMAGE_TYPE, imageContent, openImage } from '../images/stored-image.ts';
import { newId } from '../new-id.ts';
import { RefusedError } from '../refused-error.ts';
import type { Directory, Known } from '../store/directory.ts';
import type { ImageVault } from '../store/image-vault.ts';
import {
  auditContext,
  auditEntry,
  commitFor,
  type Core,
  type Env,
  type RecordsContext,
} from './context.ts';

/** What the image routes work with. */
export interface ImageDeps extends Core {
  readonly vault: ImageVault;
  /** Where rendered images are found again. */
  readonly cache: Cache;
}

/** The largest upload. */
const MAX_IMAGE = 32 << 20;
/** Under which type the log keeps the heat map of an Observation; the id is the Observation's. */
export const HEAT_MAP_TYPE = 'HeatMap';

/** Upload, rendering and heat maps of images; DICOMweb comes with the viewer. */
export function imageRoutes(deps: ImageDeps): Hono<Env> {
  const app = new Hono<Env>();
  app.post('/images', bodyLimit({ maxSize: MAX_IMAGE, onError }), (c) => upload(deps, c));
  app.get('/images/:study/rendered', async (c) => {
    const study = c.req.param('study');
    const { patient, png } = await preview(deps, study);
    await recordRead(deps, c, `ImagingStudy/${study}`, patient);
    return c.body(png, 200, { 'content-type': 'image/png', 'cache-control': 'no-store' });
  });
  app.get('/images/:study/heatmap', async (c) => {
    const { ledger } = deps;
    const observation = c.req.query('observation') ?? '';
    const known = ledger.directory.find(HEAT_MAP_TYPE, observation);
    const content = known && (await ledger.read(HEAT_MAP_TYPE, observation));
    if (known?.patient === undefined || content?.['study'] !== c.req.param('study'))
      throw new RefusedError('not_found');
    await recordRead(deps, c, `Observation/${observation}`, known.patient);
    const { width, height, values } = content;
    return c.json({ width, height, values }, 200, { 'cache-control': 'no-store' });
  });
  return app;
}

/** Rendered images are found again so long. */
const PREVIEW_MS = 15 * 60_000;
/** Larger ones are rendered anew each time. */
const LARGEST_KEPT = 8 << 20;

/** The image of a study as PNG: from the cache, where it was rendered from this very version. */
async function preview(
  { ledger, vault, cache }: ImageDeps,
  study: string,
): Promise<{ readonly patient: string; readonly png: Uint8Array<ArrayBuffer> }> {
  const known = ledger.directory.find('ImagingStudy', study);
  const key = `rendered/${study}/${known?.positions.at(-1)}`;
  const kept = known?.patient === undefined ? undefined : await cache.get(key);
  if (kept !== undefined && known?.patient !== undefined)
    return { patient: known.patient, png: kept };
  const { patient, bytes } = await openImage(ledger, vault, study);
  try {
    const png = await renderPreview(parseDicom(bytes));
    if (png.length <= LARGEST_KEPT) await cache.set(key, png, { ttlMs: PREVIEW_MS });
    return { patient, png };
  } catch (error) {
    throw unusable(error);
  }
}

function onError(): never {
  throw new RefusedError('too_large', 'at most 32 MiB');
}

async function upload(deps: ImageDeps, c: RecordsContext): Promise<Response> {
  const { ledger } = deps;
  const patient = c.req.query('patient')?.replace(/^Patient\//, '') ?? '';
  const record = await ledger.read('Patient', patient);
  if (record === undefined) throw new RefusedError('not_found', 'no such patient');
  const mediaType = c.req.header('content-type')?.split(';')[0]?.trim().toLowerCase();
  const body = new Uint8Array(await c.req.arrayBuffer());
  const image = await readImage(body, mediaType, { patient, at: deps.now() });
  const { file } = image;
  const mismatch = patientMismatch(file, record);
  const stored = { instance: file.sopInstanceUid, ...(mismatch.length > 0 ? { mismatch } : {}) };
  const before = studyOf(ledger.directory, patient, file.studyInstanceUid);
  if (before !== undefined && (await holdsInstance(deps, before, file.sopInstanceUid))) {
    await recordRead(deps, c, `ImagingStudy/${before.id}`, patient);
    return c.json({ imagingStudy: `ImagingStudy/${before.id}`, ...stored, duplicate: true }, 201);
  }
  const id = await store(deps, c, patient, image, before);
  // Somebody else stored the study in the meantime: now it is found.
  if (id === undefined) return upload(deps, c);
  return c.json({ imagingStudy: `ImagingStudy/${id}`, ...stored }, 201);
}

/** Stores an image as a study; undefined where its study came to be since it was looked for. */
async function store(
  deps: ImageDeps,
  c: RecordsContext,
  patient: string,
  { file, bytes }: ReadImage,
  before: Known | undefined,
): Promise<string | undefined> {
  const { vault, random } = deps;
  const id = newId(random);
  const blob = await vault.put(patient, bytes);
  const study = imagingStudy(file, { id, patient, at: deps.now() });
  const audit = accessAudit(auditContext(deps, c), {
    interaction: 'create',
    resource: `ImagingStudy/${id}/_history/1`,
    patient: `Patient/${patient}`,
  });
  let overtaken = false;
  try {
    await commitFor(
      deps,
      c,
      [
        { type: 'ImagingStudy', id, patient, content: study, follows: 0 },
        { type: IMAGE_TYPE, id, patient, content: imageContent(blob), follows: 0 },
        auditEntry(random, audit, patient),
      ],
      (directory) => {
        overtaken = studyOf(directory, patient, file.studyInstanceUid)?.id !== before?.id;
        if (overtaken) throw new RefusedError('version_conflict');
      },
    );
    return id;
  } catch (error) {
    // Where the database did not answer, the image may be in the log all the same.
    if (!(error instanceof StoreError && error.code === 'unavailable')) await vault.remove(blob.id);
    if (overtaken && error instanceof RefusedError) return undefined;
    throw error;
  }
}

/** The study of that UID in the patient's record. */
function studyOf(directory: Directory, patient: string, uid: string): Known | undefined {
  for (const known of directory.all('ImagingStudy')) {
    if (known.patient !== patient) continue;
    for (const key of known.search.get('identifier') ?? [])
      if (key.kind === 'token' && key.code === `urn:oid:${uid}`) return known;
  }
  return undefined;
}

async function holdsInstance({ ledger }: ImageDeps, { id }: Known, uid: string): Promise<boolean> {
  const study = await ledger.read('ImagingStudy', id);
  return JSON.stringify(study?.['series'] ?? []).includes(JSON.stringify(uid));
}

async function recordRead(
  deps: Core,
  c: RecordsContext,
  resource: string,
  patient: string,
): Promise<void> {
  const event = accessAudit(auditContext(deps, c), {
    interaction: 'read',
    resource,
    patient: `Patient/${patient}`,
  });
  await commitFor(deps, c, [auditEntry(deps.random, event, patient)]);
}
