import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { extname, join, relative } from 'node:path';

/** What a static portal is served with. */
export interface PortalServerOptions {
  /** The built portal. */
  readonly folder: string;
  readonly port: number;
  /** Contents of `/cloister.json`: addresses and the signed manifest. Asked at each request. */
  readonly settings: () => unknown;
  /** Origins that the page may speak to. */
  readonly connect: readonly string[];
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.json': 'application/json; charset=utf-8',
  '.png': 'image/png',
  '.txt': 'text/plain; charset=utf-8',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
};

/** Serves the portal's files from memory, with a strict Content Security Policy and Trusted Types. */
export async function servePortal(options: PortalServerOptions): Promise<Server> {
  const files = loadFiles(options.folder);
  const page = files.get('/index.html');
  const list = Buffer.from(listPortalBuild(options.folder));
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? '/', 'http://portal').pathname;
    setSecurityHeaders(response, options.connect);
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.writeHead(405).end();
      return;
    }
    if (path === '/cloister.json') {
      send(response, '.json', Buffer.from(JSON.stringify(options.settings())), 'no-store');
      return;
    }
    if (path === BUILD_LIST) {
      send(response, '.txt', list, 'no-cache');
      return;
    }
    const file = files.get(path === '/' ? '/index.html' : path);
    if (file !== undefined) {
      const cache = path.startsWith('/assets/')
        ? 'public, max-age=31536000, immutable'
        : 'no-cache';
      send(response, extname(path) || '.html', file, cache);
    } else if (page !== undefined && extname(path) === '')
      send(response, '.html', page, 'no-cache');
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, '127.0.0.1', resolve);
  });
  return server;
}

/** Where a portal says which files it consists of. */
export const BUILD_LIST = '/build.txt';

/** The sorted lines `<sha256>  <path>` of a built portal's files. */
function listPortalBuild(folder: string): string {
  return [...loadFiles(folder)]
    .map(([path, bytes]) => `${createHash('sha256').update(bytes).digest('hex')}  ${path}\n`)
    .toSorted()
    .join('');
}

/**
 * The build's hash: SHA-256 of its file list. It stands in the manifest; the portal shows it, and
 * `cloister portal verify`, run elsewhere, compares.
 */
export function hashPortalBuild(folder: string): string {
  return createHash('sha256').update(listPortalBuild(folder)).digest('hex');
}

function loadFiles(folder: string): Map<string, Buffer> {
  const files = new Map<string, Buffer>();
  if (!existsSync(folder)) return files;
  for (const entry of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const file = join(folder, entry);
    if (statSync(file).isFile()) files.set(`/${relative(folder, file)}`, readFileSync(file));
  }
  return files;
}

function setSecurityHeaders(response: ServerResponse, connect: readonly string[]): void {
  const policy = [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' blob: data:",
    "font-src 'self'",
    `connect-src 'self' ${connect.join(' ')}`.trim(),
    "worker-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; ');
  response.setHeader('content-security-policy', policy);
  response.setHeader('x-content-type-options', 'nosniff');
  response.setHeader('referrer-policy', 'no-referrer');
  response.setHeader('cross-origin-opener-policy', 'same-origin');
  response.setHeader('cross-origin-resource-policy', 'same-origin');
  response.setHeader('permissions-policy', 'camera=(), microphone=(), geolocation=()');
}

function send(response: ServerResponse, extension: string, body: Buffer, cache: string): void {
  response.setHeader('content-type', TYPES[extension] ?? 'application/octet-stream');
  response.setHeader('cache-control', cache);
  response.end(body);
}
