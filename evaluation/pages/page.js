'use strict';
const MANY_BOXES = 40;
const byId = id => document.getElementById(id);
function make(name, attributes, parent, text = '') {
  const isSvg = ['svg', 'g', 'image', 'rect', 'path', 'text'].includes(name);
  const node = isSvg ? document.createElementNS('http://www.w3.org/2000/svg', name) : document.createElement(name);
  for (const key in attributes) node.setAttribute(key, attributes[key]);
  node.append(text);
  parent.append(node);
  return node;
}

// Tables: a click on a column's name sorts, a second one the other way round.
for (const table of document.querySelectorAll('table.sortable'))
  table.querySelectorAll('thead th').forEach((th, column) => {
    const button = make('button', {type: 'button'}, th);
    button.append(...[...th.childNodes].filter(node => node !== button));
    button.addEventListener('click', () => sort(table, th, column));
  });
function sort(table, th, column) {
  const rows = [...table.tBodies[0].rows];
  const value = row => row.cells[column].dataset.value || row.cells[column].textContent;
  const isNumber = rows.some(row => !isNaN(parseFloat(value(row))));
  const number = row => parseFloat(value(row).replace(/,/g, ''));
  const was = th.getAttribute('aria-sort');
  const isUp = was ? was === 'descending' : !isNumber;
  for (const other of th.parentNode.cells) other.removeAttribute('aria-sort');
  th.setAttribute('aria-sort', isUp ? 'ascending' : 'descending');
  rows.sort((a, b) => {
    if (!isNumber) return (isUp ? 1 : -1) * value(a).localeCompare(value(b));
    // What has no number comes last in both directions.
    const [x, y] = [number(a), number(b)];
    return isNaN(x) - isNaN(y) || (isNaN(x) ? 0 : (isUp ? 1 : -1) * (x - y));
  });
  table.tBodies[0].append(...rows);
}

// Plots: a choice shows one group of lines of those that share a name.
for (const select of document.querySelectorAll('select[data-plot]')) {
  const update = () => {
    for (const option of select.options)
      for (const group of document.querySelectorAll(`[id="${select.dataset.plot}-${option.value}"]`))
        group.style.display = option.selected ? '' : 'none';
  };
  select.addEventListener('change', update);
  update();
}

// Galleries.
function draw(parent, item, boxes, threshold, isLarge) {
  const source = byId('picture-' + item.picture);
  const {width, height} = source.dataset;
  const svg = make('svg', {class: 'picture', viewBox: isLarge ? `0 0 ${width} ${height}` : view(item, width, height)}, parent);
  make('image', {width, height, href: 'data:image/jpeg;base64,' + source.textContent}, svg);
  // The highest scores come last, so that they end up on top.
  // What a thumbnail is about is there whatever its score.
  const shown = boxes.filter(box =>
    box.score === null || box.score >= threshold || String(box.bbox) === String(item.focus));
  for (const box of shown.sort((a, b) => a.score - b.score)) {
    const [x, y, w, h] = box.bbox;
    const group = make('g', {class: box.kind}, svg);
    if (box.outline) make('path', {d: box.outline}, group);
    make('rect', {x, y, width: Math.max(w, 0), height: Math.max(h, 0)}, group);
    const size = Math.max(width, height) / 38;
    // A label starts where its box does, or ends there, so that it is not cut off.
    const at = x > 0.7 * width ? {x: Math.min(x + w, width), 'text-anchor': 'end'} : {x: Math.max(x, 0)};
    if (isLarge && byId('large-labels').checked)
      make('text', {...at, y: y > size ? y - size / 4 : y + size, 'font-size': size}, group, box.label);
  }
}
// The surroundings of what a thumbnail is about.
function view(item, width, height) {
  if (!item.focus) return `0 0 ${width} ${height}`;
  const [x, y, w, h] = item.focus;
  const side = Math.min(Math.max(2.5 * w, 2.5 * h, Math.min(width, height) / 6), height, width * 3 / 4);
  const within = (start, length, most) => Math.max(0, Math.min(start, most - length));
  return [within(x + w / 2 - side * 2 / 3, side * 4 / 3, width), within(y + h / 2 - side / 2, side, height), side * 4 / 3, side].join(' ');
}
let visible = [], current = 0, threshold = 0;
for (const gallery of document.querySelectorAll('.gallery')) {
  const items = JSON.parse(gallery.firstElementChild.textContent);
  for (const item of items)
    item.sides = item.sides.map(([title, boxes]) => [title, boxes.map(
      ([bbox, label, kind, score, outline]) => ({bbox, label, kind, score, outline}))]);
  const controls = make('div', {class: 'controls'}, gallery), thumbs = make('div', {class: 'thumbs'}, gallery);
  const filters = [...new Set(items.flatMap(item => Object.keys(item.tags)))].map(name => {
    const label = make('label', {}, controls, name);
    const select = make('select', {}, label);
    make('option', {value: ''}, select, 'all');
    for (const value of [...new Set(items.map(item => item.tags[name]))].filter(Boolean).sort())
      make('option', {value}, select, value);
    select.addEventListener('change', update);
    return [name, select];
  });
  let slider = {value: 0};
  if (items.some(item => item.sides.some(([, boxes]) => boxes.some(box => box.score !== null)))) {
    const label = make('label', {}, controls, 'score at least');
    slider = make('input', {type: 'range', min: 0, max: 1, step: 0.01, value: gallery.dataset.minScore}, label);
    const output = make('output', {}, label, slider.value);
    slider.addEventListener('input', () => { output.textContent = slider.value; update(); });
  }
  const count = make('span', {class: 'soft count', role: 'status'}, controls);
  const cards = items.map(item => {
    const figure = make('figure', {}, thumbs);
    const button = make('button', {type: 'button', 'aria-label': 'Open ' + item.caption}, figure);
    make('figcaption', {}, figure, item.caption);
    const card = {item, figure, button, isNear: false};
    button.addEventListener('click', () => {
      visible = cards.filter(card => !card.figure.hidden);
      threshold = Number(slider.value);
      show(visible.indexOf(card));
    });
    return card;
  });
  // Only what is near the window holds a picture.
  const near = new IntersectionObserver(entries => {
    for (const entry of entries) {
      const card = cards.find(card => card.figure === entry.target);
      card.isNear = entry.isIntersecting;
      fill(card);
    }
  }, {rootMargin: '500px'});
  for (const card of cards) near.observe(card.figure);
  function fill({item, button, isNear}) {
    button.replaceChildren();
    if (isNear) draw(button, item, item.sides[item.sides.length - 1][1], Number(slider.value), false);
  }
  function update() {
    for (const card of cards) {
      card.figure.hidden = filters.some(([name, select]) => select.value && card.item.tags[name] !== select.value);
      fill(card);
    }
    count.textContent = cards.filter(card => !card.figure.hidden).length + ' of ' + cards.length;
  }
  update();
}
const dialog = byId('large');
function show(index) {
  current = (index + visible.length) % visible.length;
  const {item} = visible[current];
  // Labels of very many boxes would hide the picture.
  if (!dialog.open) byId('large-labels').checked = item.sides.every(([, boxes]) => boxes.length <= MANY_BOXES);
  byId('large-labels').parentNode.hidden = item.sides.every(([, boxes]) => !boxes.length);
  byId('large-caption').textContent = item.caption;
  byId('large-position').textContent = `${current + 1} of ${visible.length}`;
  byId('large-sides').replaceChildren();
  for (const [title, boxes] of item.sides) {
    const figure = make('figure', {}, byId('large-sides'));
    if (title) make('figcaption', {}, figure, title);
    draw(figure, item, boxes, threshold, true);
  }
  if (!dialog.open) dialog.showModal();
}
byId('previous').addEventListener('click', () => show(current - 1));
byId('next').addEventListener('click', () => show(current + 1));
byId('close').addEventListener('click', () => dialog.close());
byId('large-labels').addEventListener('change', () => show(current));
dialog.addEventListener('close', () => visible[current].button.focus());
dialog.addEventListener('click', event => { if (event.target === dialog) dialog.close(); });
dialog.addEventListener('keydown', event => {
  if (event.key === 'ArrowLeft') show(current - 1);
  if (event.key === 'ArrowRight') show(current + 1);
});
