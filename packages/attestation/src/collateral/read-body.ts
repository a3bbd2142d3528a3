import { concatBytes, type Bytes } from '@cloister/bytes';
import { FetchProblem } from './collateral-failure.ts';

/** The body of an answer; a server that sends more than `limit` bytes is cut off. */
export async function readBody(response: Response, limit: number): Promise<Bytes> {
  if (response.body === null) return new Uint8Array();
  const reader = response.body.getReader();
  const parts: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return concatBytes(...parts);
    size += value.length;
    if (size > limit) {
      await reader.cancel();
      throw new FetchProblem({ code: 'bad_answer', detail: 'too large' });
    }
    parts.push(value);
  }
}
