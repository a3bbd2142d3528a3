import { startPassingHost, type PassedAnswer, type PassingHost } from './passing-host.ts';

/**
 * A host between a service and a key broker that passes everything on, and answers what asks for heads
 * with the first answer that there was: the service hears of nothing that happened since.
 */
export function startFreezingHost(target: string): Promise<PassingHost> {
  const frozen = new Map<string, PassedAnswer>();
  return startPassingHost(target, async (url, pass) => {
    const [path = ''] = url.split('?');
    if (!path.startsWith('/v1/head')) return pass();
    const answer = frozen.get(path) ?? (await pass());
    if (answer.status === 200) frozen.set(path, answer);
    return answer;
  });
}
