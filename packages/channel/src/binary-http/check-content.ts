import { type Bytes, MalformedError } from '@cloister/bytes';
import type { StreamedMessage } from './decode-stream.ts';
import { announcedLength, type RequestHead } from './fetch-message.ts';

/**
 * The content of a request as it comes: as long as it was announced, and without trailers, which requests
 * have none of. `onBroken` is told before it throws.
 */
export async function* checkContent(
  content: StreamedMessage['content'],
  { headers }: Pick<RequestHead, 'headers'>,
  onBroken: () => void,
): AsyncGenerator<Bytes, void, void> {
  const where = 'inner request';
  try {
    const announced = announcedLength(headers);
    let length = 0;
    for (;;) {
      // oxlint-disable-next-line no-await-in-loop -- piece by piece
      const { done, value } = await content.next();
      if (done === true) {
        if (value.length > 0) throw new MalformedError('trailing_bytes', where);
        break;
      }
      length += value.length;
      if (announced !== undefined && length > announced)
        throw new MalformedError('bad_value', where);
      yield value;
    }
    if (announced !== undefined && length < announced) throw new MalformedError('bad_value', where);
  } catch (error) {
    onBroken();
    throw error;
  }
}
