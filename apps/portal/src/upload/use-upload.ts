import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import type { ImageType, PatientView, StoredImage } from '@cloister/client';
import { isSignedOut } from '../session/failure.ts';
import { useSession } from '../session/session.ts';
import type { Mismatch } from './mismatch.ts';
import { prepareUpload, type UploadRefusal } from './prepare-upload.ts';

/** The phases of an upload, in order. */
export const UPLOAD_PHASES = ['parsing', 'encrypting', 'sending', 'stored'] as const;
/** One of them. */
export type UploadPhase = (typeof UPLOAD_PHASES)[number];

/** Where an upload stands. */
export type UploadState =
  | { readonly at: 'idle' }
  | { readonly at: UploadPhase; readonly stored?: StoredImage }
  | { readonly at: 'mismatch'; readonly mismatches: readonly Mismatch[] }
  | { readonly at: 'refused'; readonly refusal: UploadRefusal }
  | { readonly at: 'failed'; readonly error: unknown };

/** Uploads images to a patient's record: looks at them first, then sends them through the channel. */
export function useUpload(patient: PatientView): {
  readonly state: UploadState;
  readonly choose: (file: File) => void;
  readonly confirm: () => void;
  readonly reset: () => void;
} {
  const queries = useQueryClient();
  const { connection, end } = useSession();
  const [state, setState] = useState<UploadState>({ at: 'idle' });
  const [held, setHeld] = useState<{ bytes: Uint8Array; type: ImageType }>();

  const send = async (bytes: Uint8Array, type: ImageType): Promise<void> => {
    setHeld(undefined);
    setState({ at: 'encrypting' });
    try {
      const client = connection.watched(() => setState({ at: 'sending' }));
      const stored = await client.uploadImage(patient.id, bytes, type);
      setState({ at: 'stored', stored });
      await queries.invalidateQueries({ queryKey: ['patient', patient.id] });
    } catch (error) {
      if (isSignedOut(error)) end();
      else setState({ at: 'failed', error });
    }
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
    reset: () => {
      setHeld(undefined);
      setState({ at: 'idle' });
    },
  };
}
