// SPDX-License-Identifier: Apache-2.0
// The page of the API is whole without this. It adds a search and, from /openapi.json, the schemas.
'use strict';

const routes = [...document.querySelectorAll('details[id]')];

function addSearch() {
  const input = document.createElement('input');
  input.type = 'search';
  input.placeholder = 'find a route';
  input.setAttribute('aria-label', 'find a route');
  input.addEventListener('input', () => {
    const words = input.value.toLowerCase().split(/\s+/);
    for (const route of routes) {
      const text = route.textContent.toLowerCase();
      route.hidden = !words.every((word) => text.includes(word));
    }
  });
  document.querySelector('h2').before(input);
}

function openTarget() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target instanceof HTMLDetailsElement) target.open = true;
}

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

async function addSchemas() {
  const reply = await fetch('/openapi.json');
  if (!reply.ok) return;
  const schemas = (await reply.json()).components.schemas;
  const place = document.getElementById('schemas');
  for (const name of Object.keys(schemas).sort()) {
    const { examples, ...schema } = schemas[name];
    const details = document.createElement('details');
    details.id = `schema-${name}`;
    details.append(element('summary', name));
    if (examples) {
      details.append(element('p', 'Example'));
      details.append(element('pre', JSON.stringify(examples[0], null, 2)));
    }
    const text = JSON.stringify(schema, null, 2).replaceAll('#/components/schemas/', '');
    details.append(element('pre', text));
    place.append(details);
  }
  openTarget();
}

addSearch();
addSchemas();
addEventListener('hashchange', openTarget);
openTarget();
