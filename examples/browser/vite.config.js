/**
 * The static build of the page: `npm run example:browser` builds and serves it. The condition `source` takes Countersign's packages from
 * their sources, as this repository has them; in a project of your own leave `resolve` out.
 */
import { defineConfig } from 'vite';
import wasm from 'vite-plugin-wasm';

export default defineConfig({
  root: import.meta.dirname,
  base: './',
  // tiny-secp256k1 expects the exports of its WebAssembly as they are.
  plugins: [wasm()],
  resolve: { conditions: ['source', 'browser', 'module', 'import', 'production'] },
  build: {
    // Top-level await, private methods, WebAssembly modules.
    target: 'es2024',
    outDir: 'dist',
    emptyOutDir: true,
    modulePreload: { polyfill: false },
    // The page's Content-Security-Policy allows no data: URLs for code.
    assetsInlineLimit: 0,
  },
});
