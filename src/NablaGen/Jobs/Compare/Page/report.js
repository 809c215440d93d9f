const expressions = data.expressions;
const { fps, frames } = data.recipe;

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
  video.controls = video.loop = video.autoplay = false;
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

// The keys that the page names; what has the focus and uses them itself keeps them.
document.addEventListener("keydown", event => {
  if (event.altKey || event.ctrlKey || event.metaKey || event.target.closest("input, select, [tabindex]")) return;
  if (event.key === " " && !event.target.closest("button, summary, a")) {
    event.preventDefault();
    setPlaying(!playing);
  }
  const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (move) {
    event.preventDefault();
    const frame = Math.max(0, Math.min(frames - 1, current + move));
    if (playing) setPlaying(false);
    seek(frame);
  }
});

// As many beside one another as makes them largest with all of them, and the transport, in view.
const stand = document.querySelector(".players");
function fit() {
  const gap = 14, room = stand.parentElement.clientWidth, aspect = data.recipe.width / data.recipe.height;
  const caption = Math.max(...[...stand.querySelectorAll("figcaption")].map(one => one.offsetHeight));
  const top = stand.getBoundingClientRect().top + scrollY;
  // Of a window that stands upright, what is in view at a glance.
  const view = Math.min(innerHeight, Math.max(800, innerWidth * 0.8));
  const high = Math.max(260, view - Math.min(top, view * 0.4) - $("transport").offsetHeight - 2 * gap - 4);
  let best = { wide: 0, columns: 1 };
  for (let columns = 1; columns <= videos.length; columns++) {
    const rows = Math.ceil(videos.length / columns);
    const wide = Math.min((room - gap * (columns - 1)) / columns, ((high - gap * (rows - 1)) / rows - caption) * aspect);
    if (wide > best.wide * 1.01) best = { wide, columns };
  }
  stand.style.gridTemplateColumns = `repeat(${best.columns}, ${Math.floor(best.wide)}px)`;
  stand.style.justifyContent = "center";
}
fit();
addEventListener("resize", fit);

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

const series = key => expressions.map((one, i) => ({ name: one.attention, colour: colour(i), values: one[key]?.map(Number) })).filter(one => one.values);
lineChart($("cosine"), series("latent_cosine_by_step"), "step");
lineChart($("ssim"), series("ssim_by_frame"), "frame", move => cursors.push(move));
lineChart($("psnr"), series("psnr_by_frame"), "frame", move => cursors.push(move));
costs(expressions, expressions[0].attention);

const sparse = expressions.filter(one => one.density < 1);
if (sparse.length === 0) {
  make($("density"), "p", { class: "note" }, "Every expression kept everything.");
} else {
  const most = Math.ceil(Math.max(...sparse.flatMap(one => [...one.density_by_layer_and_head, ...one.density_by_step_and_layer].flat())) * 10 - 1e-9) / 10;
  for (const one of sparse) {
    heatMap($("density"), one.attention, "layer \u00d7 head, over all steps", one.density_by_layer_and_head, "layer", "head", 0, most);
    heatMap($("density"), one.attention, "layer \u00d7 step, over all heads", one.density_by_step_and_layer[0].map((_, layer) => one.density_by_step_and_layer.map(step => step[layer])), "layer", "step", 0, most);
  }
  heatLegend($("density-legend"), 0, most, "density");
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

// They loop, without sound, from the start, unless somebody's system asks for less motion.
if (!matchMedia("(prefers-reduced-motion: reduce)").matches) {
  let waiting = videos.filter(video => video.readyState < 3).length;
  if (waiting === 0) setPlaying(true);
  for (const video of videos) video.addEventListener("canplay", () => { if (--waiting === 0) setPlaying(true); }, { once: true });
}
