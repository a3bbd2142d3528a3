import { bufferOf } from './byte-stream.ts';

// oxlint-disable-next-line typescript/no-explicit-any -- TypeScript takes nothing else of what a mixin extends
type Fetched = new (...args: any[]) => Body;

/** The ways to read a body whole, all by `bytes`: whoever overrides that one overrides them all. */
function readByBytes<Base extends Fetched>(base: Base): Base {
  return class extends base {
    override async arrayBuffer(): Promise<ArrayBuffer> {
      return bufferOf(await this.bytes());
    }

    override async text(): Promise<string> {
      return new TextDecoder().decode(await this.bytes());
    }

    override async json(): Promise<unknown> {
      return JSON.parse(await this.text());
    }
  };
}

/** A request to override `bytes` of. */
export const ReadRequest: typeof Request = readByBytes(Request);

/** A response to override `bytes` of. */
export const ReadResponse: typeof Response = readByBytes(Response);
