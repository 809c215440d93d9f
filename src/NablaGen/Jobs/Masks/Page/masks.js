const { frames, rows, columns, steps, layers, heads, places, density } = data;
const skipped = -1, dense = -2;
const perFrame = rows.length * columns.length, blocks = frames.length * perFrame, rowBytes = Math.ceil(blocks / 8);
const packed = atob(data.bits);
const bits = new Uint8Array(packed.length);
for (let i = 0; i < bits.length; i++) bits[i] = packed.charCodeAt(i);

const middle = list => Math.floor(list.length / 2);
const at = { step: middle(steps), layer: middle(layers), head: 0, moment: middle(frames) };
let block = at.moment * perFrame + middle(rows) * columns.length + middle(columns);
const mode = () => document.querySelector("input[name=mode]:checked").value;

// Below 0 where the layer was dense or the step was skipped.
const place = () => places[at.step][at.layer];
function keeps(query, key) {
  if (place() < 0) return place() === dense;
  const byte = (place() + at.head) * blocks * rowBytes + query * rowBytes + (key >> 3);
  return (bits[byte] >> (key & 7) & 1) === 1;
}

const all = Array.from({ length: blocks }, (_, i) => i);
const share = query => all.reduce((count, key) => count + keeps(query, key), 0) / blocks;

// To begin with, the head in which the block looks at most.
at.head = heads.reduce((best, _, head) => {
  const [before, now] = [best, head].map(one => { at.head = one; return share(block); });
  return now > before ? head : best;
}, 0);

// What is shown of each block: whether it is bright, or a share.
let shown = [];
function look() {
  const how = mode();
  shown = how === "looks" ? all.map(key => keeps(block, key)) : how === "seen" ? all.map(query => keeps(query, block)) : how === "mask" ? all.map(share) : density;
}

const isHeat = () => mode() === "mask" || mode() === "run";
// Heat maps reach from the least to the most that there is, in steps of 0.05, so that differences are seen.
function range() {
  const least = Math.floor(Math.min(...shown) * 20) / 20;
  return [least, Math.max(least + 0.05, Math.ceil(Math.max(...shown) * 20) / 20)];
}

function paint(canvas, time) {
  const context = canvas.getContext("2d"), { width, height } = canvas;
  const [sx, sy] = [width / data.width, height / data.height];
  context.clearRect(0, 0, width, height);
  if (pictures[time].complete && pictures[time].naturalWidth) context.drawImage(pictures[time], 0, 0, width, height);
  const [least, most] = isHeat() ? range() : [0, 1];
  rows.forEach(([y, high], row) => columns.forEach(([x, wide], column) => {
    const i = time * perFrame + row * columns.length + column;
    // Whole pixels, so that no seams show.
    const [left, upper, right, lower] = [Math.round(x * sx), Math.round(y * sy), Math.round((x + wide) * sx), Math.round((y + high) * sy)];
    if (isHeat()) context.fillStyle = `rgb(${heatColour((shown[i] - least) / (most - least))} / 55%)`.replaceAll(",", " ");
    else if (shown[i]) context.fillStyle = "transparent";
    else context.fillStyle = "rgb(8 10 20 / 78%)";
    context.fillRect(left, upper, right - left, lower - upper);
    // In a dark video brightness alone does not tell.
    const edge = !isHeat() && shown[i] ? Math.max(1, width / 400) : 1;
    context.strokeStyle = !isHeat() && shown[i] ? `rgb(${ramp.at(-1)})` : "rgb(255 255 255 / 22%)";
    context.lineWidth = edge;
    context.strokeRect(left + edge / 2, upper + edge / 2, right - left - edge, lower - upper - edge);
    if (i === block) {
      const line = Math.max(2, width / 160);
      context.lineWidth = line * 2;
      context.strokeStyle = "#000";
      context.strokeRect(left + line, upper + line, right - left - 2 * line, lower - upper - 2 * line);
      context.lineWidth = line;
      context.strokeStyle = "#fff";
      context.strokeRect(left + line, upper + line, right - left - 2 * line, lower - upper - 2 * line);
    }
  }));
}

const framesText = ([first, last]) => first === last ? `frame ${first + 1}` : `frames ${first + 1}\u2013${last + 1}`;
const percent = value => `${(value * 100).toFixed(1)}%`;

function words() {
  const time = Math.floor(block / perFrame), row = Math.floor(block % perFrame / columns.length), column = block % columns.length;
  const [x, wide] = columns[column], [y, high] = rows[row];
  const where = `The block at columns ${x}\u2013${x + wide - 1}, rows ${y}\u2013${y + high - 1} of ${framesText(frames[time])}`;
  if (mode() === "run") return `${where} looks at ${percent(density[block])} of all blocks, in the mean over the run.`;
  const site = `in step ${steps[at.step]}, layer ${layers[at.layer]}, head ${heads[at.head]}`;
  if (place() === skipped) return `The step cache skipped step ${steps[at.step]}: no attention was computed.`;
  if (place() === dense) return `${where} looks at every block: layer ${layers[at.layer]} is dense in step ${steps[at.step]}.`;
  if (mode() === "seen") {
    const count = shown.filter(Boolean).length;
    return `${where} is seen by ${count} of ${blocks} blocks, ${percent(count / blocks)}, ${site}.`;
  }
  const part = share(block);
  return `${where} looks at ${Math.round(part * blocks)} of ${blocks} blocks, ${percent(part)}, ${site}.`;
}

const picture = $("picture");
const strip = $("strip");
const pictures = data.stills.map(address => {
  const image = new Image();
  image.onload = () => draw();
  image.src = address;
  return image;
});
const thumbs = frames.map((range, time) => {
  const figure = make(strip, "figure", { class: "card" });
  const canvas = make(figure, "canvas", { role: "img", "aria-label": `Blocks of ${framesText(range)}` });
  make(figure, "figcaption", {}, framesText(range));
  canvas.addEventListener("click", event => choose(blockUnder(event, canvas, time)));
  return { figure, canvas };
});

function blockUnder(event, canvas, time) {
  const box = canvas.getBoundingClientRect();
  const [x, y] = [(event.clientX - box.left) / box.width * data.width, (event.clientY - box.top) / box.height * data.height];
  const row = rows.findLastIndex(([from]) => from <= y), column = columns.findLastIndex(([from]) => from <= x);
  return time * perFrame + Math.max(0, row) * columns.length + Math.max(0, column);
}

let playing = null;
function draw() {
  paint(picture, at.moment);
  thumbs.forEach(({ figure, canvas }, time) => {
    figure.classList.toggle("now", time === at.moment);
    paint(canvas, time);
  });
}

function update() {
  look();
  for (const [name, list] of [["step", steps], ["layer", layers], ["head", heads]]) {
    $(name).value = at[name];
    $(name).setAttribute("aria-valuetext", `${list[at[name]]}`);
    $(`${name}-text`).textContent = list[at[name]];
  }
  $("moment").value = at.moment;
  $("moment").setAttribute("aria-valuetext", framesText(frames[at.moment]));
  $("moment-text").textContent = framesText(frames[at.moment]);
  const text = words();
  if ($("read").textContent !== text) $("read").textContent = text;
  $("legend").hidden = !isHeat();
  if (isHeat()) {
    $("legend").replaceChildren();
    heatLegend($("legend"), ...range(), "density", 2);
  }
  draw();
}

function move(name, list, by) {
  at[name] = Math.max(0, Math.min(list.length - 1, at[name] + by));
  update();
}

function choose(next) {
  block = next;
  at.moment = Math.floor(block / perFrame);
  update();
}

function play(on) {
  clearInterval(playing);
  playing = on ? setInterval(() => { at.moment = (at.moment + 1) % frames.length; update(); }, 1000 * (frames.at(-1)[1] + 1) / data.fps / frames.length) : null;
  $("play").setAttribute("aria-label", on ? "Pause" : "Play");
  $("play-icon").setAttribute("d", on ? "M5 4h4v12H5zM11 4h4v12h-4z" : "M6 4l10 6-10 6z");
}

for (const [name, list] of [["step", steps], ["layer", layers], ["head", heads], ["moment", frames]]) {
  $(name).max = list.length - 1;
  $(name).disabled = list.length === 1;
  $(name).addEventListener("input", event => {
    if (name === "moment") play(false);
    at[name] = Number(event.target.value);
    update();
  });
}
$("play").disabled = frames.length === 1;
$("play").addEventListener("click", () => play(playing === null));
for (const one of document.querySelectorAll("input[name=mode]")) one.addEventListener("change", update);
picture.addEventListener("click", event => { play(false); choose(blockUnder(event, picture, at.moment)); });
picture.addEventListener("keydown", event => {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  const row = Math.floor(block % perFrame / columns.length), column = block % columns.length, back = event.shiftKey ? -1 : 1;
  const go = (down, right, later) => {
    play(false);
    const clamp = (value, count) => Math.max(0, Math.min(count - 1, value));
    choose(clamp(Math.floor(block / perFrame) + later, frames.length) * perFrame + clamp(row + down, rows.length) * columns.length + clamp(column + right, columns.length));
  };
  const acts = {
    ArrowLeft: () => go(0, -1, 0), ArrowRight: () => go(0, 1, 0), ArrowUp: () => go(-1, 0, 0), ArrowDown: () => go(1, 0, 0),
    PageUp: () => go(0, 0, -1), PageDown: () => go(0, 0, 1), " ": () => { if (frames.length > 1) play(playing === null); },
    s: () => move("step", steps, back), l: () => move("layer", layers, back), h: () => move("head", heads, back),
    m: () => {
      const views = [...document.querySelectorAll("input[name=mode]")];
      views[(views.findIndex(one => one.checked) + back + views.length) % views.length].checked = true;
      update();
    },
  };
  const act = acts[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (act) { event.preventDefault(); act(); }
});

// Canvases have the pixels that the screen shows.
picture.style.setProperty("--aspect", data.width / data.height);
picture.style.aspectRatio = `${data.width} / ${data.height}`;
for (const { canvas } of thumbs) canvas.style.aspectRatio = `${data.width} / ${data.height}`;
new ResizeObserver(() => {
  for (const canvas of [picture, ...thumbs.map(one => one.canvas)]) {
    canvas.width = Math.max(1, Math.round(canvas.clientWidth * devicePixelRatio));
    canvas.height = Math.max(1, Math.round(canvas.width * data.height / data.width));
  }
  draw();
}).observe(strip);
update();
