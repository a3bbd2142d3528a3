import { useQueryClient } from '@tanstack/react-query';
import { useRef, useState } from 'react';
import type { ImageType, PatientView, StoredImage, StudyView } from '@cloister/client';
import { isSignedOut } from '../session/failure.ts';
import { useSession } from '../session/session.ts';
import { uploadTransport, type SentBytes } from '../session/upload-transport.ts';
import { afterCancel, type CancelOutcome } from './after-cancel.ts';
import type { Mismatch } from './mismatch.ts';
import { prepareUpload, type UploadRefusal } from './prepare-upload.ts';

/** The phases of an upload, in order. */
export const UPLOAD_PHASES = ['parsing', 'encrypting', 'sending', 'stored'] as const;
/** One of them. */
export type UploadPhase = (typeof UPLOAD_PHASES)[number];

/** Where an upload stands. */
export type UploadState =
  | { readonly at: 'idle' }
  | { readonly at: 'parsing' | 'encrypting' }
  | { readonly at: 'sending'; readonly progress: SentBytes }
  | { readonly at: 'stored'; readonly stored: StoredImage }
  | { readonly at: 'cancelled'; readonly outcome: CancelOutcome | 'looking' }
  | { readonly at: 'mismatch'; readonly mismatches: readonly Mismatch[] }
  | { readonly at: 'refused'; readonly refusal: UploadRefusal }
  | { readonly at: 'failed'; readonly error: unknown };

/** How long a complete message may take to be stored, before it is looked whether it was. */
const SETTLE_MS = 2000;

/** Uploads images to a patient's record: looks at them first, then sends them through the channel. */
export function useUpload(patient: PatientView): {
  readonly state: UploadState;
  readonly choose: (file: File) => void;
  readonly confirm: () => void;
  /** Stops an upload that is not complete yet. */
  readonly cancel: () => void;
  readonly reset: () => void;
} {
  const queries = useQueryClient();
  const { connection, end } = useSession();
  const [state, setState] = useState<UploadState>({ at: 'idle' });
  const [held, setHeld] = useState<{ bytes: Uint8Array; type: ImageType }>();
  const running = useRef<AbortController>(undefined);
  const key = ['patient', patient.id, 'studies'];

  const send = async (bytes: Uint8Array, type: ImageType): Promise<void> => {
    const stop = new AbortController();
    running.current = stop;
    const before = queries.getQueryData<readonly StudyView[]>(key)?.map(({ id }) => id);
    setHeld(undefined);
    setState({ at: 'encrypting' });
    const onProgress = (progress: SentBytes): void => {
      if (!stop.signal.aborted) setState({ at: 'sending', progress });
    };
    try {
      const client = connection.over(uploadTransport(onProgress));
      const { signal } = stop;
      const stored = await client.uploadImage(patient.id, bytes, type, { signal });
      setState({ at: 'stored', stored });
    } catch (error) {
      if (isSignedOut(error)) end();
      else if (stop.signal.aborted) await look(before);
      else setState({ at: 'failed', error });
    } finally {
      running.current = undefined;
    }
    await queries.invalidateQueries({ queryKey: ['patient', patient.id] });
  };
  const look = async (before: readonly string[] | undefined): Promise<void> => {
    setState({ at: 'cancelled', outcome: 'looking' });
    const outcome = await afterCancel({
      studies: () => connection.records.studiesOf(patient.id),
      before,
      wait: () => new Promise((resolve) => setTimeout(resolve, SETTLE_MS)),
    });
    setState({ at: 'cancelled', outcome });
  };
  const choose = async (file: File): Promise<void> => {
    setState({ at: 'parsing' });
    const bytes = new Uint8Array(await file.arrayBuffer());
    const prepared = prepareUpload(bytes, patient);
    if (!prepared.ok) setState({ at: 'refused', refusal: prepared.refusal });
    else if (prepared.mismatches.length > 0) {
      setHeld({ bytes, type: prepared.type });
      setState({ at: 'mismatch', mismatches: prepared.mismatches });
    } else await send(bytes, prepared.type);
  };
  return {
    state,
    choose: (file) => {
      choose(file).catch((error: unknown) => setState({ at: 'failed', error }));
    },
    confirm: () => {
      if (held !== undefined) void send(held.bytes, held.type);
    },
    cancel: () => running.current?.abort(),
    reset: () => {
      setHeld(undefined);
      setState({ at: 'idle' });
    },
  };
}
