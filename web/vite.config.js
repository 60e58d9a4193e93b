// SPDX-License-Identifier: Apache-2.0
// `npm run build` makes dist/, which cmake/embed.cmake puts into the library. `npm run dev` serves the
// sources and asks the API of a server that runs: SKALD_URL, by default http://127.0.0.1:8000.
import {defineConfig} from 'vite';

const server = process.env.SKALD_URL ?? 'http://127.0.0.1:8000';
const proxied = {
  target: server,
  changeOrigin: true,
  // A server without keys refuses pages of another origin, which this one is only while it is made.
  configure: (proxy) => proxy.on('proxyReq', (request) => request.removeHeader('origin')),
};

export default defineConfig({
  esbuild: {jsx: 'automatic', jsxImportSource: 'preact'},
  build: {
    target: 'es2022',
    assetsInlineLimit: 0, // the policy allows no data: addresses
    modulePreload: {polyfill: false},
    reportCompressedSize: false,
  },
  server: {
    proxy: Object.fromEntries(
      ['/api', '/health', '/ready', '/metrics', '/openapi.json'].map((path) => [path, proxied])),
  },
});
