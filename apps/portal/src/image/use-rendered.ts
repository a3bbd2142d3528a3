import { useQuery } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { useSession } from '../session/session.ts';

/** A study's rendered image, decoded; it lives in memory only. */
export function useRendered(study: string): {
  readonly image: ImageBitmap | undefined;
  readonly error: unknown;
} {
  const { records } = useSession().connection;
  const [image, setImage] = useState<ImageBitmap>();
  const [broken, setBroken] = useState<unknown>();
  const { data, error } = useQuery({
    queryKey: ['rendered', study],
    queryFn: () => records.rendered(study),
    staleTime: Number.POSITIVE_INFINITY,
  });
  useEffect(() => {
    if (data === undefined) return undefined;
    let current = true;
    let made: ImageBitmap | undefined;
    const decode = async (): Promise<void> => {
      try {
        const blob = new Blob([data], { type: 'image/png' });
        const bitmap = await createImageBitmap(blob, { colorSpaceConversion: 'none' });
        if (!current) return bitmap.close();
        made = bitmap;
        setImage(bitmap);
      } catch (failed) {
        if (current) setBroken(failed);
      }
    };
    void decode();
    return () => {
      current = false;
      setImage(undefined);
      made?.close();
    };
  }, [data]);
  return { image, error: error ?? broken };
}
