"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const expressions = data.expressions;
const { fps, frames } = data.recipe;
const $ = id => document.getElementById(id);
const colour = i => `var(--s${i % 6})`;

function make(parent, tag, attributes = {}, text) {
  const svg = ["svg", "path", "line", "text", "circle", "title"].includes(tag);
  const element = svg ? document.createElementNS(svgNamespace, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  parent.append(element);
  return element;
}

// The name of SVG elements, taken from one that is there: the page is to name no address.
const svgNamespace = $("play-icon").namespaceURI;

// Players: the first leads, the others follow it; all show one frame.
const videos = [...document.querySelectorAll(".player video")];
const leader = videos[0];
const cursors = [];
let current = 0;
let wanted = null;
let playing = false;
let speed = 1;

function show(frame) {
  current = frame;
  $("frame").value = frame;
  $("frame").setAttribute("aria-valuetext", `Frame ${frame + 1} of ${frames}`);
  $("frame-text").textContent = `${frame + 1} / ${frames}`;
  cursors.forEach(move => move(frame));
}

// A browser that is asked for a new place while it looks for one shows neither: the last wish waits until all have arrived.
function seek(frame) {
  show(frame);
  if (videos.some(video => video.seeking)) {
    wanted = frame;
    return;
  }
  wanted = null;
  for (const video of videos) video.currentTime = (frame + 0.5) / fps;
}

function setPlaying(on) {
  playing = on;
  $("play").setAttribute("aria-label", on ? "Pause" : "Play");
  $("play-icon").setAttribute("d", on ? "M5 4h4v12H5zM11 4h4v12h-4z" : "M6 4l10 6-10 6z");
  if (!on) {
    videos.forEach(video => video.pause());
    seek(current);
    return;
  }
  if (current >= frames - 1) seek(0);
  Promise.all(videos.map(video => video.play())).catch(() => setPlaying(false));
  requestAnimationFrame(follow);
}

function follow() {
  if (!playing) return;
  if (leader.ended) {
    for (const video of videos) { video.currentTime = 0; video.play().catch(() => setPlaying(false)); }
  } else {
    // A follower that is a little off runs faster or slower: jumping would halt it, and on a busy machine it would never catch up.
    for (const video of videos.slice(1)) {
      const late = leader.currentTime - video.currentTime;
      if (!video.seeking && Math.abs(late) > 1) video.currentTime = leader.currentTime;
      video.playbackRate = speed * Math.max(0.5, Math.min(2, 1 + late));
    }
    show(Math.min(frames - 1, Math.floor(leader.currentTime * fps + 0.01)));
  }
  drawStage();
  requestAnimationFrame(follow);
}

for (const video of videos) {
  video.controls = false;
  video.addEventListener("seeked", () => {
    if (wanted !== null) seek(wanted);
    else drawStage();
  });
  video.addEventListener("loadeddata", drawStage);
  video.addEventListener("click", () => setPlaying(!playing));
}
$("transport").hidden = false;
$("frame").max = frames - 1;
$("frame").addEventListener("input", event => {
  if (playing) setPlaying(false);
  seek(Number(event.target.value));
});
$("play").addEventListener("click", () => setPlaying(!playing));
$("speed").addEventListener("change", event => {
  speed = Number(event.target.value);
  for (const video of videos) video.playbackRate = speed;
});
document.addEventListener("keydown", event => {
  if (event.key === " " && event.target === document.body) {
    event.preventDefault();
    setPlaying(!playing);
  }
});

// Two videos on one canvas.
const stage = $("stage");
const paint = stage.getContext("2d");
const amounts = { wipe: 50, blend: 50, difference: 40 };
const mode = () => document.querySelector("input[name=mode]:checked").value;

function drawStage() {
  const a = videos[$("first").selectedIndex], b = videos[$("second").selectedIndex];
  if (a.readyState < 2 || b.readyState < 2) return;
  const { width, height } = stage;
  const how = mode(), amount = amounts[how] / 100;
  paint.globalCompositeOperation = "source-over";
  paint.globalAlpha = 1;
  paint.filter = "none";
  paint.drawImage(a, 0, 0, width, height);
  if (how === "wipe") {
    const x = Math.round(width * amount);
    paint.save();
    paint.beginPath();
    paint.rect(x, 0, width - x, height);
    paint.clip();
    paint.drawImage(b, 0, 0, width, height);
    paint.restore();
    const line = Math.max(2, width / 400);
    paint.fillStyle = "#fff";
    paint.fillRect(x - line / 2, 0, line, height);
    tag($("first").value, 0, x);
    tag($("second").value, x, width);
  } else if (how === "blend") {
    paint.globalAlpha = amount;
    paint.drawImage(b, 0, 0, width, height);
  } else {
    paint.globalCompositeOperation = "difference";
    paint.drawImage(b, 0, 0, width, height);
    // What is there is added to itself: each time twice as bright.
    paint.globalCompositeOperation = "lighter";
    for (let i = 0; i < doublings(); i++) paint.drawImage(stage, 0, 0);
  }
}

// The video's name at the edge of its part, where there is room for it.
function tag(text, left, right) {
  const size = Math.max(10, stage.width / 48), pad = size * 0.6;
  paint.font = `600 ${size}px system-ui, sans-serif`;
  const wide = paint.measureText(text).width + 2 * pad;
  if (right - left < wide + 2 * pad) return;
  const x = left === 0 ? pad : right - wide - pad;
  paint.fillStyle = "rgb(0 0 0 / 55%)";
  paint.fillRect(x, pad, wide, size * 1.8);
  paint.fillStyle = "#fff";
  paint.textBaseline = "middle";
  paint.fillText(text, x + pad, pad + size * 0.95);
}

const doublings = () => Math.round(amounts.difference / 20);

function nameAmount() {
  const how = mode();
  const text = how === "wipe" ? "Wipe" : how === "blend" ? `Overlay ${amounts.blend}%` : `Gain ×${2 ** doublings()}`;
  $("amount-name").textContent = text;
  $("amount").value = amounts[how];
  drawStage();
}

function wipeTo(event) {
  if (mode() !== "wipe" || (event.type === "pointermove" && event.buttons === 0)) return;
  const box = stage.getBoundingClientRect();
  amounts.wipe = Math.max(0, Math.min(100, Math.round((event.clientX - box.left) / box.width * 100)));
  nameAmount();
}

$("two").hidden = false;
[stage.width, stage.height] = [data.recipe.width, data.recipe.height];
if (stage.width < 640) {
  // A tiny video's names would be larger than it.
  const scale = Math.ceil(640 / stage.width);
  stage.width *= scale;
  stage.height *= scale;
}
stage.style.setProperty("--aspect", stage.width / stage.height);
$("second").selectedIndex = 1;
for (const name of ["first", "second"]) $(name).addEventListener("change", drawStage);
for (const radio of document.querySelectorAll("input[name=mode]")) radio.addEventListener("change", nameAmount);
$("amount").addEventListener("input", event => { amounts[mode()] = Number(event.target.value); nameAmount(); });
stage.addEventListener("pointerdown", wipeTo);
stage.addEventListener("pointermove", wipeTo);

// Line charts.
function niceTicks(low, high) {
  const rough = (high - low) / 4, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(x => x * power).find(x => x >= rough * 0.999);
  const ticks = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++) ticks.push(k * step);
  return { ticks, digits: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) };
}

function lineChart(id, key, xName, withCursor) {
  const holder = $(id);
  const series = expressions.map((one, i) => ({ name: one.attention, colour: colour(i), values: one[key]?.map(Number) })).filter(one => one.values);
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
  let cursor, x;
  const draw = () => {
    const width = holder.clientWidth, height = 210, left = 44, right = 8, top = 8, bottom = 34;
    holder.querySelector("svg")?.remove();
    const svg = make(holder, "svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img" });
    make(svg, "title", {}, series.map(one => `${one.name}: from ${format(one.values[0])} to ${format(one.values.at(-1))}`).join("; "));
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
    if (withCursor) cursor = make(svg, "line", { class: "cursor", y1: top, y2: height - bottom, x1: x(current), x2: x(current) });
  };
  new ResizeObserver(draw).observe(holder);
  const keys = make(holder.parentElement, "ul", { class: "keys" });
  for (const one of series) addKey(keys, one.colour, one.name);
  if (withCursor) cursors.push(frame => { if (cursor) { cursor.setAttribute("x1", x(frame)); cursor.setAttribute("x2", x(frame)); } });
}

const format = value => Number.isFinite(value) ? value.toPrecision(4) : "infinite";

function addKey(list, fill, name) {
  const item = make(list, "li");
  make(item, "span", { class: "dot", style: `--c: ${fill}` });
  item.append(name);
}

lineChart("cosine", "latent_cosine_by_step", "step", false);
lineChart("ssim", "ssim_by_frame", "frame", true);
lineChart("psnr", "psnr_by_frame", "frame", true);

// Heat maps: dark is little, so that the eye goes to what was kept.
const ramp = [[28, 20, 68], [59, 61, 148], [36, 124, 156], [46, 178, 130], [164, 214, 74], [253, 236, 120]];
function heatColour(share) {
  const at = Math.max(0, Math.min(1, share)) * (ramp.length - 1), i = Math.min(ramp.length - 2, Math.floor(at));
  return ramp[i].map((from, channel) => Math.round(from + (ramp[i + 1][channel] - from) * (at - i)));
}

function heatMap(title, small, rows, rowName, columnName, most) {
  const figure = make($("density"), "figure", { class: "card" });
  const caption = make(figure, "figcaption", {}, title);
  make(caption, "br");
  make(caption, "small", {}, small);
  const holder = make(figure, "div", { class: "heat" });
  const columns = rows[0].length, values = rows.flat();
  const label = `${title}, ${small}: from ${Math.min(...values).toFixed(3)} to ${Math.max(...values).toFixed(3)}`;
  const canvas = make(holder, "canvas", { width: columns, height: rows.length, role: "img", "aria-label": label });
  canvas.style.height = `${Math.max(90, Math.min(300, rows.length * 14))}px`;
  const picture = new ImageData(columns, rows.length);
  values.forEach((value, i) => picture.data.set([...heatColour(value / most), 255], i * 4));
  canvas.getContext("2d").putImageData(picture, 0, 0);
  const y = make(holder, "div", { class: "y", "aria-hidden": "true" });
  make(y, "span", {}, "1");
  make(y, "i", {}, rowName);
  make(y, "span", {}, rows.length);
  const end = make(holder, "div", { class: "end", "aria-hidden": "true" });
  make(end, "span", {}, "1");
  make(end, "span", {}, columnName);
  make(end, "span", {}, columns);
  const mean = `mean ${(values.reduce((sum, value) => sum + value, 0) / values.length).toFixed(3)}`;
  const read = make(figure, "p", { class: "read" }, mean);
  const point = event => {
    const box = canvas.getBoundingClientRect();
    const column = Math.min(columns - 1, Math.max(0, Math.floor((event.clientX - box.left) / box.width * columns)));
    const row = Math.min(rows.length - 1, Math.max(0, Math.floor((event.clientY - box.top) / box.height * rows.length)));
    read.textContent = `${rowName} ${row + 1}, ${columnName} ${column + 1}: ${rows[row][column].toFixed(3)}`;
  };
  canvas.addEventListener("pointermove", point);
  canvas.addEventListener("pointerdown", point);
  canvas.addEventListener("pointerleave", () => { read.textContent = mean; });
}

const sparse = expressions.filter(one => one.density < 1);
if (sparse.length === 0) {
  make($("density"), "p", { class: "note" }, "Every expression kept everything.");
} else {
  const most = Math.ceil(Math.max(...sparse.flatMap(one => [...one.density_by_layer_and_head, ...one.density_by_step_and_layer].flat())) * 10 - 1e-9) / 10;
  for (const one of sparse) {
    heatMap(one.attention, "layer × head, over all steps", one.density_by_layer_and_head, "layer", "head", most);
    heatMap(one.attention, "layer × step, over all heads", one.density_by_step_and_layer[0].map((_, layer) => one.density_by_step_and_layer.map(step => step[layer])), "layer", "step", most);
  }
  const legend = $("density-legend");
  make(legend, "span", {}, "0");
  make(legend, "div", { style: `background: linear-gradient(90deg, ${ramp.map(stop => `rgb(${stop})`).join(", ")})`, role: "img", "aria-label": `Colours from density 0, dark, to ${most}, light` });
  make(legend, "span", {}, `${most.toFixed(1)} density`);
}

// Time by stage.
const stages = { load_transformer: "read the transformer", sample: "sample", decode: "decode and encode" };
const seconds = value => value < 60 ? `${value.toFixed(1)} s` : `${Math.floor(value / 60)}:${String(Math.round(value % 60)).padStart(2, "0")} min`;
const known = Object.keys(stages).filter(stage => expressions.some(one => stage in one.seconds));
const total = one => known.reduce((sum, stage) => sum + (one.seconds[stage] ?? 0), 0);
const longest = Math.max(...expressions.map(total));
const stack = make($("time"), "div", { class: "stack" });
for (const one of expressions) {
  make(stack, "div", { class: "name" }, one.attention);
  const label = known.filter(stage => stage in one.seconds).map(stage => `${stages[stage]} ${seconds(one.seconds[stage])}`).join(", ");
  const bars = make(stack, "div", { class: "bars", role: "img", "aria-label": `${one.attention}: ${label}`, title: label });
  known.forEach((stage, i) => {
    if (stage in one.seconds) make(bars, "div", { style: `--c: ${colour(i)}; width: ${one.seconds[stage] / longest * 100}%` });
  });
  make(stack, "div", { class: "total" }, seconds(total(one)));
}
known.forEach((stage, i) => addKey($("time-keys"), colour(i), stages[stage]));

show(0);
nameAmount();
