"use strict";
// What the pages share: elements, charts, heat maps. Every chart answers to a pointer and to the arrow keys.
const data = JSON.parse(document.getElementById("data").textContent);
const $ = id => document.getElementById(id);
const colour = i => `var(--s${i % 6})`;

// The name of SVG elements, taken from one that is there: the page is to name no address.
const svgNamespace = document.querySelector("svg").namespaceURI;

function make(parent, tag, attributes = {}, text) {
  const svg = ["svg", "path", "line", "text", "circle", "title"].includes(tag);
  const element = svg ? document.createElementNS(svgNamespace, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  parent.append(element);
  return element;
}

const format = value => Number.isFinite(value) ? value.toPrecision(4) : "infinite";

function addKey(list, fill, name) {
  const item = make(list, "li");
  make(item, "span", { class: "dot", style: `--c: ${fill}` });
  item.append(name);
}

function niceTicks(low, high) {
  const rough = (high - low) / 4, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(x => x * power).find(x => x >= rough * 0.999);
  const ticks = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++) ticks.push(k * step);
  return { ticks, digits: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) };
}

const edges = { height: 210, left: 46, right: 10, top: 10, bottom: 36 };

// Lines over whole numbers from 1, such as steps or frames. Series are { name, colour, values }.
function lineChart(holder, series, xName, onCursor) {
  const finite = series.flatMap(one => one.values).filter(Number.isFinite);
  if (finite.length === 0) {
    make(holder, "p", { class: "note" }, "Equal in every frame.");
    return;
  }
  let low = Math.min(...finite), high = Math.max(...finite);
  const spare = Math.max((high - low) * 0.06, Math.abs(high) * 1e-4, 1e-6);
  low -= spare;
  // A cosine and SSIM end at 1.
  high = high <= 1 ? Math.min(1, high + spare) : high + spare;
  const count = Math.max(...series.map(one => one.values.length));
  const { height, left, right, top, bottom } = edges;
  const read = make(holder, "p", { class: "read", "aria-live": "polite" });
  const box = make(holder, "div", { class: "plot", tabindex: 0, role: "img" });
  box.setAttribute("aria-label", series.map(one => `${one.name}: from ${format(one.values[0])} to ${format(one.values.at(-1))}`).join("; ") + "; arrow keys read the values");
  let cursor, hair, x, at = 0, shown = 0;
  const draw = () => {
    const width = box.clientWidth;
    box.querySelector("svg")?.remove();
    const svg = make(box, "svg", { viewBox: `0 0 ${width} ${height}`, height, "aria-hidden": "true" });
    x = i => left + (count === 1 ? 0.5 : i / (count - 1)) * (width - left - right);
    const y = value => top + (high - value) / (high - low) * (height - top - bottom);
    const { ticks, digits } = niceTicks(low, high);
    for (const tick of ticks) {
      make(svg, "line", { class: "rule", x1: left, x2: width - right, y1: y(tick), y2: y(tick) });
      make(svg, "text", { x: left - 6, y: y(tick) + 4, "text-anchor": "end" }, tick.toFixed(digits));
    }
    make(svg, "text", { x: left, y: height - 16 }, "1");
    make(svg, "text", { x: width - right, y: height - 16, "text-anchor": "end" }, count);
    make(svg, "text", { x: (left + width - right) / 2, y: height - 16, "text-anchor": "middle" }, xName);
    for (const one of series) {
      const points = one.values.map((value, i) => Number.isFinite(value) ? [x(i), y(value)] : null).filter(Boolean);
      if (points.length === 1) make(svg, "circle", { cx: points[0][0], cy: points[0][1], r: 3.5, style: `fill: ${one.colour}` });
      const d = points.map((point, i) => `${i ? "L" : "M"}${point[0].toFixed(1)} ${point[1].toFixed(1)}`).join("");
      make(svg, "path", { d, fill: "none", "stroke-width": 2, "stroke-linejoin": "round", style: `stroke: ${one.colour}` });
    }
    if (onCursor) cursor = make(svg, "line", { class: "cursor", y1: top, y2: height - bottom, x1: x(shown), x2: x(shown) });
    hair = make(svg, "line", { class: "hair", y1: top, y2: height - bottom, x1: left, x2: left });
  };
  const tell = i => {
    at = Math.max(0, Math.min(count - 1, i));
    hair.style.display = "";
    hair.setAttribute("x1", x(at));
    hair.setAttribute("x2", x(at));
    read.textContent = `${xName} ${at + 1}: ` + series.map(one => `${one.name} ${format(one.values[at])}`).join(" \u00b7 ");
  };
  const still = () => { hair.style.display = "none"; read.textContent = "\u00a0"; };
  const point = event => {
    const area = box.getBoundingClientRect();
    tell(Math.round((event.clientX - area.left - left) / (area.width - left - right) * (count - 1)));
  };
  box.addEventListener("pointermove", point);
  box.addEventListener("pointerdown", point);
  box.addEventListener("pointerleave", still);
  box.addEventListener("blur", still);
  box.addEventListener("focus", () => tell(at));
  box.addEventListener("keydown", event => {
    const move = { ArrowLeft: -1, ArrowRight: 1, Home: -count, End: count }[event.key];
    if (move) { event.preventDefault(); tell(at + move); }
  });
  new ResizeObserver(() => { draw(); still(); }).observe(box);
  const keys = make(holder, "ul", { class: "keys" });
  for (const one of series) addKey(keys, one.colour, one.name);
  onCursor?.(i => { shown = i; if (cursor && x) { cursor.setAttribute("x1", x(i)); cursor.setAttribute("x2", x(i)); } });
}

// Named points, joined where told. Points are { name, colour, x, y, hollow }; lines are lists of { x, y }.
function scatter(holder, points, xName, yName, { least = null, most = null, lines = [], digits = 3 } = {}) {
  const all = [...points, ...lines.flatMap(line => line.points)].filter(point => Number.isFinite(point.x) && Number.isFinite(point.y));
  if (all.length === 0) {
    make(holder, "p", { class: "note" }, "There is nothing to show.");
    return;
  }
  const xs = all.map(point => point.x), ys = all.map(point => point.y);
  let low = Math.min(...ys), high = Math.max(...ys);
  const spare = Math.max((high - low) * 0.1, Math.abs(high) * 1e-3, 1e-6);
  [low, high] = [low - spare, high + spare];
  const from = least ?? 0, to = most ?? Math.max(...xs) * 1.08;
  const { left, right, top, bottom } = edges, height = 260;
  const read = make(holder, "p", { class: "read", "aria-live": "polite" }, "\u00a0");
  const box = make(holder, "div", { class: "plot", tabindex: 0, role: "img" });
  const words = point => `${point.name}: ${xName} ${point.x.toFixed(digits)}, ${yName} ${point.y.toFixed(4)}`;
  const named = points.filter(point => Number.isFinite(point.x) && Number.isFinite(point.y));
  box.setAttribute("aria-label", `${yName} against ${xName}. ${named.map(words).join("; ")}. Arrow keys read the points`);
  let marks = [], at = 0;
  const draw = () => {
    const width = box.clientWidth;
    box.querySelector("svg")?.remove();
    const svg = make(box, "svg", { viewBox: `0 0 ${width} ${height}`, height, "aria-hidden": "true" });
    const x = value => left + (value - from) / (to - from) * (width - left - right);
    const y = value => top + (high - value) / (high - low) * (height - top - bottom);
    const vertical = niceTicks(low, high), horizontal = niceTicks(from, to);
    for (const tick of vertical.ticks) {
      make(svg, "line", { class: "rule", x1: left, x2: width - right, y1: y(tick), y2: y(tick) });
      make(svg, "text", { x: left - 6, y: y(tick) + 4, "text-anchor": "end" }, tick.toFixed(vertical.digits));
    }
    for (const tick of horizontal.ticks) make(svg, "text", { x: x(tick), y: height - 20, "text-anchor": "middle" }, tick.toFixed(horizontal.digits));
    make(svg, "text", { x: (left + width - right) / 2, y: height - 4, "text-anchor": "middle" }, xName);
    for (const line of lines) {
      const d = line.points.map((point, i) => `${i ? "L" : "M"}${x(point.x).toFixed(1)} ${y(point.y).toFixed(1)}`).join("");
      make(svg, "path", { d, fill: "none", "stroke-width": 2, "stroke-linejoin": "round", style: `stroke: ${line.colour}` });
    }
    // Names stand where they cover no point and no other name.
    const taken = named.map(point => [x(point.x) - 7, y(point.y) - 7, 14, 14]);
    const meets = (a, b) => a[0] < b[0] + b[2] && b[0] < a[0] + a[2] && a[1] < b[1] + b[3] && b[1] < a[1] + a[3];
    marks = named.map(point => {
      const mark = make(svg, "circle", { cx: x(point.x), cy: y(point.y), r: 6, class: point.hollow ? "hollow" : "", style: `--c: ${point.colour}` });
      // Lines have their names below, and would run through these.
      if (lines.length > 0) return mark;
      const wide = point.name.length * 7.2, [px, py] = [x(point.x), y(point.y)];
      for (const [dx, dy] of [[9, 4], [-9 - wide, 4], [-wide / 2, -11], [-wide / 2, 19], [9, -10], [-9 - wide, -10], [9, 18], [-9 - wide, 18], [9, 32], [-9 - wide, 32], [9, -24], [-9 - wide, -24]]) {
        const place = [px + dx, py + dy - 11, wide, 14];
        if (place[0] < left || place[0] + wide > width || place[1] < 0 || place[1] > height - bottom || taken.some(other => meets(place, other))) continue;
        taken.push(place);
        make(svg, "text", { x: dx < -wide ? px + dx + wide : dx < 0 ? px : px + dx, y: py + dy, class: "name", "text-anchor": dx < -wide ? "end" : dx < 0 ? "middle" : "start" }, point.name);
        break;
      }
      return mark;
    });
  };
  const tell = i => {
    at = (i + named.length) % named.length;
    marks.forEach((mark, k) => mark.setAttribute("r", k === at ? 8 : 6));
    read.textContent = words(named[at]);
  };
  const still = () => { marks.forEach(mark => mark.setAttribute("r", 6)); read.textContent = "\u00a0"; };
  const point = event => {
    const area = box.getBoundingClientRect();
    const away = marks.map(mark => Math.hypot(Number(mark.getAttribute("cx")) - event.clientX + area.left, Number(mark.getAttribute("cy")) - event.clientY + area.top));
    const nearest = away.indexOf(Math.min(...away));
    if (away[nearest] < 60) tell(nearest);
    else still();
  };
  box.addEventListener("pointermove", point);
  box.addEventListener("pointerdown", point);
  box.addEventListener("pointerleave", still);
  box.addEventListener("blur", still);
  box.addEventListener("focus", () => tell(at));
  box.addEventListener("keydown", event => {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (move) { event.preventDefault(); tell(at + move); }
  });
  new ResizeObserver(() => { draw(); still(); }).observe(box);
}

// Quality against what it costs: the expressions of one prompt, or their means.
function costs(expressions, first) {
  for (const [id, of, name, settings] of [
    ["by-density", one => one.density, "density", { most: 1.08 }],
    ["by-seconds", one => one.sampling_seconds, "seconds of sampling", { digits: 2 }],
  ]) {
    scatter($(id), expressions.map((one, i) => ({
      name: one.attention, colour: colour(i), x: of(one), y: i === 0 ? 1 : one.ssim, hollow: i === 0,
    })), name, "SSIM", settings);
  }
  for (const one of document.querySelectorAll(".to-first")) one.textContent = first;
}

// Heat maps: dark is little, so that the eye goes to what was kept.
const ramp = [[28, 20, 68], [59, 61, 148], [36, 124, 156], [46, 178, 130], [164, 214, 74], [253, 236, 120]];
function heatColour(share) {
  const at = Math.max(0, Math.min(1, share)) * (ramp.length - 1), i = Math.min(ramp.length - 2, Math.floor(at));
  return ramp[i].map((from, channel) => Math.round(from + (ramp[i + 1][channel] - from) * (at - i)));
}

function heatMap(parent, title, small, rows, rowName, columnName, least, most) {
  const figure = make(parent, "figure", { class: "card" });
  const caption = make(figure, "figcaption", {}, title);
  make(caption, "br");
  make(caption, "small", {}, small);
  const holder = make(figure, "div", { class: "heat" });
  const columns = rows[0].length, values = rows.flat();
  const label = `${title}, ${small}: from ${Math.min(...values).toFixed(3)} to ${Math.max(...values).toFixed(3)}; arrow keys read the cells`;
  const map = make(holder, "div", { class: "map", tabindex: 0, role: "img", "aria-label": label });
  const canvas = make(map, "canvas", { width: columns, height: rows.length, "aria-hidden": "true" });
  canvas.style.height = `${Math.max(90, Math.min(300, rows.length * 14))}px`;
  const picture = new ImageData(columns, rows.length);
  values.forEach((value, i) => picture.data.set([...heatColour((value - least) / (most - least || 1)), 255], i * 4));
  canvas.getContext("2d").putImageData(picture, 0, 0);
  const frame = make(map, "i", { class: "cell", "aria-hidden": "true", hidden: "" });
  const y = make(holder, "div", { class: "y", "aria-hidden": "true" });
  make(y, "span", {}, "1");
  make(y, "i", {}, rowName);
  make(y, "span", {}, rows.length);
  const end = make(holder, "div", { class: "end", "aria-hidden": "true" });
  make(end, "span", {}, "1");
  make(end, "span", {}, columnName);
  make(end, "span", {}, columns);
  const mean = `mean ${(values.reduce((sum, value) => sum + value, 0) / values.length).toFixed(3)}`;
  const read = make(figure, "p", { class: "read", "aria-live": "polite" }, mean);
  let at = [0, 0];
  const tell = (row, column) => {
    at = [Math.min(rows.length - 1, Math.max(0, row)), Math.min(columns - 1, Math.max(0, column))];
    frame.hidden = false;
    frame.style.cssText = `left: ${at[1] / columns * 100}%; top: ${at[0] / rows.length * 100}%; width: ${100 / columns}%; height: ${100 / rows.length}%`;
    read.textContent = `${rowName} ${at[0] + 1}, ${columnName} ${at[1] + 1}: ${rows[at[0]][at[1]].toFixed(3)}`;
  };
  const still = () => { frame.hidden = true; read.textContent = mean; };
  const point = event => {
    const box = map.getBoundingClientRect();
    tell(Math.floor((event.clientY - box.top) / box.height * rows.length), Math.floor((event.clientX - box.left) / box.width * columns));
  };
  map.addEventListener("pointermove", point);
  map.addEventListener("pointerdown", point);
  map.addEventListener("pointerleave", still);
  map.addEventListener("blur", still);
  map.addEventListener("focus", () => tell(...at));
  map.addEventListener("keydown", event => {
    const move = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0], Home: [0, -columns], End: [0, columns] }[event.key];
    if (move) { event.preventDefault(); tell(at[0] + move[0], at[1] + move[1]); }
  });
  // The same numbers for whoever reads better than sees; made when it is asked for.
  const details = make(figure, "details");
  make(details, "summary", {}, "As a table");
  details.addEventListener("toggle", () => {
    if (details.querySelector("table")) return;
    const table = make(make(details, "div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `${title}, ${small}, as a table` }), "table", { class: "cells" });
    const head = make(make(table, "thead"), "tr");
    make(head, "th", { scope: "col" }, `${rowName} \\ ${columnName}`);
    for (let column = 1; column <= columns; column++) make(head, "th", { scope: "col" }, column);
    const body = make(table, "tbody");
    rows.forEach((row, i) => {
      const line = make(body, "tr");
      make(line, "th", { scope: "row" }, i + 1);
      for (const value of row) make(line, "td", {}, value.toFixed(3));
    });
  });
}

function heatLegend(legend, least, most, name, digits = 1) {
  make(legend, "span", {}, least.toFixed(digits));
  make(legend, "div", { style: `background: linear-gradient(90deg, ${ramp.map(stop => `rgb(${stop})`).join(", ")})`, role: "img", "aria-label": `Colours from ${name} ${least.toFixed(digits)}, dark, to ${most.toFixed(digits)}, light` });
  make(legend, "span", {}, `${most.toFixed(digits)} ${name}`);
}
