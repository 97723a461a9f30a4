// The tab "Generalization": texts are set as texts, never as HTML, and only this TensorBoard is asked.

const SVG = 'http://www.w3.org/2000/svg';
const SECONDS_BETWEEN_LOOKS = 30;
const STYLE = `
  body { font: 14px/1.45 "DejaVu Sans", Verdana, sans-serif; margin: 0; background: #fff; color: #222; color-scheme: light; }
  main { max-width: 76rem; margin: 0 auto; padding: 1rem; }
  .choose { display: flex; gap: 1rem; flex-wrap: wrap; align-items: center; margin-bottom: .5rem; }
  select { font: inherit; max-width: 100%; }
  .verdict { font-size: 1.2rem; max-width: 60rem; margin: .6rem 0 1rem; }
  .charts { display: flex; flex-wrap: wrap; gap: 1rem; }
  figure { margin: 0; flex: 1 1 30rem; min-width: 0; max-width: 40rem; }
  figcaption { font-weight: 600; margin-bottom: .2rem; }
  svg { width: 100%; height: auto; display: block; }
  svg text { font: 12px "DejaVu Sans", Verdana, sans-serif; fill: #333; }
  .wide { overflow-x: auto; margin-top: 1.2rem; }
  table { border-collapse: collapse; }
  caption { text-align: left; font-weight: 600; }
  th, td { border-bottom: 1px solid #ccc; padding: .25rem .7rem; text-align: left; vertical-align: top; max-width: 16rem;
           font-variant-numeric: tabular-nums; }
`;
const W = 560, H = 300, LEFT = 62, RIGHT = 26, TOP = 20, BOTTOM = 44;

function element(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

function drawn(parent, name, attributes = {}, text = null) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== null) node.textContent = text;
  parent.append(node);
  return node;
}

function short(value) {
  if (value === 0) return '0';
  const size = Math.abs(value);
  return size >= 1e6 || size < 1e-3 ? value.toExponential(1).replace('e+', 'e') : String(+value.toPrecision(3));
}

// Round numbers in an interval: multiples of 1, 2 or 5 times a power of ten.
function roundNumbers(low, high, most = 6) {
  const raw = (high - low) / (most - 1), power = 10 ** Math.floor(Math.log10(raw));
  const width = power * [1, 2, 5, 10].find((factor) => factor * power >= raw * 0.999);
  const found = [];
  for (let i = Math.ceil(low / width - 1e-9); i * width <= high + 1e-9 * width; i++) found.push(i * width);
  return found;
}

function powersOfTen(low, high) {
  const found = [];
  for (let p = Math.ceil(Math.log10(low) - 1e-9); 10 ** p <= high * 1.000001; p++) found.push(10 ** p);
  return found;
}

// The horizontal axis of optimiser steps: linear, or logarithmic with step 0 at its left end.
function stepAxis(steps, logarithmic) {
  const last = steps[steps.length - 1] || 1;
  const first = steps.find((step) => step > 0) || 1;
  if (!logarithmic || first >= last) {
    return { at: (step) => step / last, ticks: roundNumbers(0, last) };
  }
  const start = steps[0] === 0 ? 0.1 : 0;  // room for step 0
  const at = (step) => step < first ? 0
    : start + (1 - start) * Math.log(step / first) / Math.log(last / first);
  const ticks = powersOfTen(first, last);
  return { at, ticks: [...(start ? [0] : []), ...(ticks.length > 1 ? ticks : [first, last])] };
}

function axes(title, ylabel, low, high) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', `0 0 ${W} ${H}`);
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-label', title);
  const y = (value) => H - BOTTOM - (value - low) / (high - low) * (H - BOTTOM - TOP);
  for (const value of roundNumbers(low, high)) {
    drawn(svg, 'line', { x1: LEFT, x2: W - RIGHT, y1: y(value), y2: y(value), stroke: value === 0 ? '#888' : '#e8e8e8' });
    drawn(svg, 'text', { x: LEFT - 6, y: y(value) + 4, 'text-anchor': 'end' }, short(value));
  }
  drawn(svg, 'text', { transform: `translate(14 ${(TOP + H - BOTTOM) / 2}) rotate(-90)`, 'text-anchor': 'middle' }, ylabel);
  return { svg, y, figure: element('figure', {}, element('figcaption', {}, title), svg) };
}

function drawSteps(svg, axis) {
  const x = (step) => LEFT + axis.at(step) * (W - LEFT - RIGHT);
  for (const step of axis.ticks) {
    drawn(svg, 'line', { x1: x(step), x2: x(step), y1: TOP, y2: H - BOTTOM, stroke: '#f0f0f0' });
    drawn(svg, 'text', { x: x(step), y: H - BOTTOM + 17, 'text-anchor': 'middle' }, String(step));
  }
  drawn(svg, 'text', { x: (LEFT + W) / 2, y: H - 8, 'text-anchor': 'middle' }, 'optimiser step');
  return x;
}

// An interval that holds all values, with some room, and zero where that is asked for.
function range(values, withZero) {
  const all = withZero ? [0, ...values] : values;
  const low = Math.min(...all), high = Math.max(...all), room = 0.04 * (high - low || Math.abs(high) || 1);
  return [withZero && low === 0 ? 0 : low - room, high + room];
}

function path(steps, values, x, y) {
  return 'M' + steps.map((step, i) => `${x(step).toFixed(2)},${y(values[i]).toFixed(2)}`).join('L');
}

// A line through the measurements, with the numbers as tooltips.
function drawLine(svg, steps, values, x, y, color, name, dashed) {
  drawn(svg, 'path', { d: path(steps, values, x, y), fill: 'none', stroke: color, 'stroke-width': 2, class: 'line',
                       'stroke-dasharray': dashed ? '6 3' : 'none' });
  steps.forEach((step, i) => {
    const dot = drawn(svg, 'circle', { cx: x(step), cy: y(values[i]), r: 3, fill: color });
    drawn(dot, 'title', {}, `${name}, step ${step}: ${short(values[i])}`);
  });
}

// The words of a tag: "distance/sliced_w2" is "distance sliced w2".
function words(tag) {
  return tag.replace(/[/_]/g, ' ');
}

function drawSplits(curve, colors, logarithmic) {
  const all = Object.values(curve.splits).flat(), name = words(curve.quantity);
  const { svg, y, figure } = axes(`${name} on every split`, name, ...range(all, false));
  const x = drawSteps(svg, stepAxis(curve.steps, logarithmic));
  let place = LEFT + 10;
  for (const [split, values] of Object.entries(curve.splits)) {
    drawLine(svg, curve.steps, values, x, y, colors[split], split, split === 'val');
    drawn(svg, 'line', { x1: place, x2: place + 18, y1: 9, y2: 9, stroke: colors[split], 'stroke-width': 2 });
    drawn(svg, 'text', { x: place + 23, y: 13 }, split);
    place += 75;
  }
  return figure;
}

function drawGap(curve, colors, logarithmic) {
  const widths = curve.half_widths || curve.gap.map(() => 0);
  const lower = curve.gap.map((gap, i) => gap - widths[i]), upper = curve.gap.map((gap, i) => gap + widths[i]);
  const band = curve.half_widths ? ' with its 95 % interval' : '';
  const title = `generalization gap in ${words(curve.quantity)}${band}`;
  const { svg, y, figure } = axes(title, 'gap', ...range([...lower, ...upper], true));
  const x = drawSteps(svg, stepAxis(curve.steps, logarithmic));
  const back = path([...curve.steps].reverse(), [...lower].reverse(), x, y).replace('M', 'L');
  drawn(svg, 'path', { d: path(curve.steps, upper, x, y) + back + 'Z', fill: '#000', opacity: 0.15, class: 'band' });
  drawLine(svg, curve.steps, curve.gap, x, y, colors.gap, 'gap', false);
  return figure;
}

// Errors, gap and bounds on a logarithmic axis; a value of zero or less stands at the left edge.
function drawMarks(marks, guessing) {
  const values = marks.flatMap((mark) => [mark.value, mark.half_width, mark.value + mark.half_width]);
  const positive = values.filter((value) => value > 0);
  const low = 0.5 * Math.min(...positive), high = 2 * Math.max(...positive);
  const height = 40 * marks.length + 66, left = 230;
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', `0 0 ${1.5 * W} ${height}`);
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-label', 'errors, gap and bounds on a logarithmic axis');
  const x = (value) => left + Math.log(Math.max(value, low) / low) / Math.log(high / low) * (1.5 * W - left - 110);
  for (const value of powersOfTen(low, high)) {
    drawn(svg, 'line', { x1: x(value), x2: x(value), y1: 24, y2: height - 36, stroke: '#e8e8e8' });
    drawn(svg, 'text', { x: x(value), y: height - 20, 'text-anchor': 'middle' }, short(value));
  }
  if (guessing) {
    drawn(svg, 'line', { x1: x(guessing), x2: x(guessing), y1: 24, y2: height - 36, stroke: '#555', 'stroke-dasharray': '5 4' });
    drawn(svg, 'text', { x: x(guessing), y: 16, 'text-anchor': 'middle' }, `guessing ${short(guessing)}`);
  }
  marks.forEach((mark, i) => {
    const y = 44 + 40 * i, lower = x(mark.value - mark.half_width), upper = x(mark.value + mark.half_width);
    drawn(svg, 'text', { x: left - 12, y: y + 4, 'text-anchor': 'end' }, mark.label);
    drawn(svg, 'line', { x1: lower, x2: upper, y1: y, y2: y, stroke: mark.color, 'stroke-width': 3 });
    const hollow = mark.vacuous || mark.value <= 0;
    drawn(svg, 'circle', { cx: x(mark.value), cy: y, r: 6, stroke: mark.color, 'stroke-width': 2, class: 'mark',
                           fill: hollow ? '#fff' : mark.color });
    drawn(svg, 'text', { x: upper + 12, y: y + 4 }, short(mark.value) + (mark.vacuous ? ' (vacuous)' : ''));
  });
  const caption = element('figcaption', {}, 'errors, gap and bounds of the last weights; lines are 95 % intervals');
  const figure = element('figure', { style: 'flex-basis: 100%; max-width: 60rem; margin-top: 1rem' }, caption, svg);
  return figure;
}

// One line a setting: its mean with the interval over runs, and the single runs as dots.
function drawForest(forest) {
  const ends = forest.lines.flatMap((line) => [...(line.ends || []), ...line.values]);
  const [low, high] = range(ends, true), left = 230, height = 26 * forest.lines.length + 60;
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', `0 0 ${1.5 * W} ${height}`);
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-label', `${words(forest.quantity)} by setting`);
  const x = (value) => left + (value - low) / (high - low) * (1.5 * W - left - 20);
  for (const value of roundNumbers(low, high)) {
    drawn(svg, 'line', { x1: x(value), x2: x(value), y1: 8, y2: height - 34, stroke: value === 0 ? '#888' : '#e8e8e8' });
    drawn(svg, 'text', { x: x(value), y: height - 18, 'text-anchor': 'middle' }, short(value));
  }
  forest.lines.forEach((line, i) => {
    const y = 22 + 26 * i;
    drawn(svg, 'text', { x: left - 12, y: y + 4, 'text-anchor': 'end' }, line.label);
    for (const value of line.values) {
      drawn(svg, 'circle', { cx: x(value), cy: y, r: 3.5, fill: '#888', opacity: 0.5, class: 'seed' });
    }
    if (line.ends) {
      drawn(svg, 'line', { x1: x(line.ends[0]), x2: x(line.ends[1]), y1: y, y2: y, stroke: '#000', 'stroke-width': 2 });
    }
    drawn(svg, 'rect', { x: x(line.mean) - 3.5, y: y - 3.5, width: 7, height: 7, fill: '#000', class: 'mark' });
  });
  const caption = element('figcaption', {}, `${words(forest.quantity)} by setting: mean, its 95 % interval (of five runs or more), and every run`);
  return element('figure', { style: 'flex-basis: 100%; max-width: 60rem; margin-top: 1rem' }, caption, svg);
}

function table(content) {
  const head = element('tr', {}, ...content.columns.map((name) => element('th', { scope: 'col' }, name)));
  const rows = content.rows.map(([first, ...others]) => element('tr', {}, element('th', { scope: 'row' }, first),
    ...others.map((cell) => element('td', {}, cell))));
  return element('div', { class: 'wide' }, element('table', {}, element('caption', {}, content.title), head, ...rows));
}

async function ask(route, name = '') {
  const answer = await fetch(`./${route}?name=${encodeURIComponent(name)}`);
  const content = await answer.json();
  if (content.error) throw new Error(content.error);
  return content;
}

function show(place, found, logarithmic) {
  const charts = element('div', { class: 'charts' });
  for (const curve of found.curves || []) {
    charts.append(drawGap(curve, found.colors, logarithmic), drawSplits(curve, found.colors, logarithmic));
  }
  if (found.marks && found.marks.length) charts.append(drawMarks(found.marks, found.guessing));
  for (const forest of found.forests || []) if (forest.lines.length) charts.append(drawForest(forest));
  place.replaceChildren(element('p', { class: 'verdict' }, found.verdict), charts, ...found.tables.map(table));
}

export async function render() {
  document.head.append(element('style', {}, STYLE));
  const select = element('select', { 'aria-label': 'run or sweep' });
  const scale = element('input', { type: 'checkbox', checked: '' });
  const place = element('div', {}, 'Reading the runs …');
  const choose = element('div', { class: 'choose' }, select, element('label', {}, scale, ' logarithmic steps'));
  document.body.append(element('main', {}, choose, place));
  let shownNames = '', shownFindings = '';

  async function look() {
    try {
      const names = await ask('names');
      if (JSON.stringify(names) !== shownNames) {
        shownNames = JSON.stringify(names);
        const before = select.value;
        const group = (label, kind, list) => element('optgroup', { label },
          ...list.map((name) => element('option', { value: `${kind} ${name}` }, name === '.' ? `this ${kind}` : name)));
        select.replaceChildren(group('sweeps', 'sweep', names.sweeps), group('runs', 'run', names.runs));
        if ([...select.options].some((option) => option.value === before)) select.value = before;
      }
      if (!select.value) throw new Error('There is no run of gaplab in this folder.');
      const chosen = select.value, kind = chosen.split(' ', 1)[0];
      const found = await ask(kind, chosen.slice(kind.length + 1));
      if (chosen !== select.value) return;  // another one was chosen while this one was read
      const state = JSON.stringify([select.value, scale.checked, found]);
      if (state !== shownFindings) show(place, found, scale.checked);
      shownFindings = state;
    } catch (error) {
      shownFindings = '';
      place.replaceChildren(element('p', { class: 'verdict' }, error.message));
    }
  }

  select.addEventListener('change', () => { place.replaceChildren('Reading …'); shownFindings = ''; look(); });
  scale.addEventListener('change', look);
  await look();
  setInterval(() => { if (!document.hidden) look(); }, 1000 * SECONDS_BETWEEN_LOOKS);
}
