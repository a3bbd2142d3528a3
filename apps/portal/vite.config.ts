import { readFileSync } from 'node:fs';
import react from '@vitejs/plugin-react';
import { defaultClientConditions, defineConfig } from 'vite';

/**
 * The keys of the parties whose manifests this build trusts (design 2.1, rule 2), from the JSON
 * file that CLOISTER_PORTAL_PINS names. A build without them blocks at its trust gate.
 */
const pinsFile = process.env['CLOISTER_PORTAL_PINS'];
const pins: unknown = pinsFile === undefined ? null : JSON.parse(readFileSync(pinsFile, 'utf8'));

export default defineConfig({
  plugins: [react()],
  define: { CLOISTER_PORTAL_PINS: JSON.stringify(JSON.stringify(pins)) },
  resolve: { conditions: ['@cloister/source', ...defaultClientConditions] },
  build: {
    target: 'es2024',
    // Inlined data and preload helpers would be one more thing that the policy has to allow.
    assetsInlineLimit: 0,
    modulePreload: false,
    chunkSizeWarningLimit: 1500,
  },
});
