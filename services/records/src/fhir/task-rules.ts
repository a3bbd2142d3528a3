import { isJsonObject, type JsonObject } from '@cloister/bytes';
import { RefusedError } from '../refused-error.ts';
import type { Directory } from '../store/directory.ts';
import type { NewEntry } from '../store/sealed-group.ts';

/** The code system of our tasks; its only code is `ai-inference`. */
const TASK_SYSTEM = 'urn:cloister:task';

/**
 * A task that somebody orders: an AI opinion on a study that is here, of the patient whose study it
 * is. Status, times and requester are the server's to say.
 */
export function orderedTask(
  directory: Directory,
  given: JsonObject,
  order: { readonly id: string; readonly at: Date; readonly requester: string },
): NewEntry {
  const code = given['code'];
  const codings = isJsonObject(code) && Array.isArray(code['coding']) ? code['coding'] : [];
  const wanted = codings.some(
    (coding) => isJsonObject(coding) && coding['code'] === 'ai-inference',
  );
  if (!wanted) refuse('Task.code', 'only ai-inference can be ordered');
  if (given['status'] !== 'requested') refuse('Task.status', 'a new task is requested');
  const study = idIn(given['focus'], 'ImagingStudy');
  const known = study === undefined ? undefined : directory.find('ImagingStudy', study);
  if (study === undefined || known?.patient === undefined)
    return refuse('Task.focus', 'no such imaging study');
  if (idIn(given['for'], 'Patient') !== known.patient)
    refuse('Task.for', 'not the patient of the imaging study');
  const at = order.at.toISOString();
  const { intent, priority = 'routine', note } = given;
  const content: JsonObject = {
    resourceType: 'Task',
    id: order.id,
    status: 'requested',
    intent: intent ?? 'order',
    priority,
    code: { coding: [{ system: TASK_SYSTEM, code: 'ai-inference' }], text: 'AI inference' },
    focus: { reference: `ImagingStudy/${study}` },
    for: { reference: `Patient/${known.patient}` },
    authoredOn: at,
    lastModified: at,
    requester: { reference: order.requester },
    ...(note === undefined ? {} : { note }),
  };
  return { type: 'Task', id: order.id, patient: known.patient, content, follows: 0 };
}

function refuse(expression: string, text: string): never {
  const complaints = [{ code: 'business-rule', expression, text }];
  throw new RefusedError('invalid_resource', undefined, { complaints });
}

/** The id in a reference to a type. */
export function idIn(value: unknown, type: string): string | undefined {
  const reference = isJsonObject(value) ? value['reference'] : undefined;
  const [name, id, ...rest] = typeof reference === 'string' ? reference.split('/') : [];
  return name === type && rest.length === 0 ? id : undefined;
}
