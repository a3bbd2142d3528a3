import type { Jwk } from '@cloister/crypto';
import type { Shape } from '../shape.ts';

/** The public keys of a manifest: P-256, and each stands for one party or broker only. */
export class KeyRing {
  readonly #seen = new Set<string>();

  /** A public P-256 key that no other part of the document names. */
  read(shape: Shape): Jwk {
    const members = shape.members(['kty', 'crv', 'x', 'y'], ['use', 'alg', 'kid']);
    const coordinate = /^[\w-]{43}$/u;
    const use = members.maybe('use')?.oneOf(['sig']);
    const alg = members.maybe('alg')?.oneOf(['ES256']);
    const kid = members.maybe('kid')?.string(/^[\w.+/=:-]{1,128}$/u);
    const key: Jwk = {
      kty: members.get('kty').oneOf(['EC']),
      crv: members.get('crv').oneOf(['P-256']),
      x: members.get('x').string(coordinate),
      y: members.get('y').string(coordinate),
      ...(use === undefined ? {} : { use }),
      ...(alg === undefined ? {} : { alg }),
      ...(kid === undefined ? {} : { kid }),
    };
    // Points with one x are a key and its negative: whoever has one has the other.
    const point = String(key.x);
    if (this.#seen.has(point)) shape.fail();
    this.#seen.add(point);
    return key;
  }
}
