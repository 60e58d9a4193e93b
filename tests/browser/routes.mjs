// SPDX-License-Identifier: Apache-2.0
// Whether the page can do all that the API can: every route that the server promises and keeps must have been
// asked by the page while it was used.
import {api} from './server.mjs';

// What the page does by another route, or what is not done by a page.
const elsewhere = {
  'POST /api/streams/{stream}': 'POST /api/events with a stream',
  'GET /api/dead-letters/{id}': 'GET /api/dead-letters gives the same of each',
  'GET /docs': 'a page of its own, which this one leads to',
  'GET /docs/{name}': 'part of that',
};

const pattern_of = (path) => new RegExp(`^${path.replace(/[.*+?^$()|[\]\\]/g, '\\$&').replace(/\{[^}]+\}/g, '[^/]+')}$`);

// kept: the server does not answer 501. Asked with a body that it must refuse.
async function kept(url, method, path) {
  const {status} = await api(url, method, path.replaceAll(/\{[^}]+\}/g, 'none'), ['GET', 'DELETE'].includes(method) ? undefined : {nothing: 'of this name'});
  return status !== 501;
}

// routes_unused gives the routes that no request of asked (texts as "GET /api/events") was for.
export async function routes_unused(url, asked) {
  const {body} = await api(url, 'GET', '/openapi.json');
  const routes = Object.entries(body.paths).flatMap(([path, methods]) =>
    Object.keys(methods).filter((name) => /^(get|put|post|patch|delete)$/.test(name)).map((name) => ({method: name.toUpperCase(), path})));
  // "/api/events/stats" is not "/api/events/{id}": names before parameters.
  routes.sort((a, b) => (a.path.match(/\{/g) ?? []).length - (b.path.match(/\{/g) ?? []).length);
  const used = new Set();
  for (const one of asked) {
    const [method, path] = one.split(' ');
    const route = routes.find((of) => of.method === method && pattern_of(of.path).test(path));
    if (route) used.add(route);
  }
  const unused = [];
  for (const route of routes) {
    const name = `${route.method} ${route.path}`;
    if (!used.has(route) && !elsewhere[name] && await kept(url, route.method, route.path)) unused.push(name);
  }
  return {unused, used: used.size};
}
