/** The belief in words and numbers: classes, evidence, bound, completion. */
import { belief, beliefs, progress, side } from "./beliefs.js";
import { data, height, width } from "./data.js";
import { classColour } from "./map.js";
import { decode, models } from "./models.js";
import { fixed, pair, percent, percentages } from "./numbers.js";
import { $, canvas, paint, say, set } from "./page.js";
import { on, state } from "./state.js";
import { classProbabilities, classShares } from "./votes.js";

/** @type {Map<number, Float32Array[]>} */
const shares = new Map();

/** @param {import("./beliefs.js").Belief} found */
function probabilities({ masses, logPx }) {
  const k = state.model;
  const votes =
    shares.get(k) ??
    classShares(models[k].codes, data.index, data.classes.length, side);
  shares.set(k, votes);
  return masses && classProbabilities(votes, masses, logPx);
}

/** @param {number[] | null} found */
function showClasses(found) {
  [...$("bars").children].forEach((bar, k) => {
    const share = found?.[k] ?? 0;
    const fill = /** @type {HTMLElement} */ (bar.firstElementChild?.firstElementChild);
    fill.style.height = `${100 * share}%`;
    fill.style.background = classColour(k);
    bar.classList.toggle("most", share > 0 && share === Math.max(...(found ?? [])));
  });
  const text = found ? percentages(found, data.classes) : "";
  set("bars", { "aria-label": found ? `Classes: ${text}` : "Classes: nothing yet" });
  $("verdict").textContent = found
    ? `Class ${text}`
    : state.image
      ? "The posterior is on its way."
      : "Draw, or take a test digit.";
  $("glance").textContent = found && $("verdict").textContent;
}

/** @param {number} value in nats */
const nats = (value, places = 1) => fixed(value, places);

/** The numbers of model k about the image on show. */
function column(/** @type {number} */ k) {
  const found = beliefs[k];
  if (!state.image || found?.image !== state.image) return ["", "", "", ""];
  const { refined, bound, image, logPx, masses } = found;
  const notebook =
    k === 0 && image.whole && image.digit !== null
      ? nats(data.digits.logPx[image.digit], 2)
      : "–";
  const rough = masses ? `about ${nats(logPx, 0)}` : "";
  if (!refined) return [rough, "", "", notebook];
  const error = Math.max(0.01, Math.ceil(100 * refined.error) / 100);
  const evidence = `${nats(refined.logPx, 2)} ± ${fixed(error)}`;
  if (bound === null) return [evidence, "–", "–", notebook];
  return [evidence, nats(bound), nats(refined.logPx - bound), notebook];
}

function showNumbers() {
  models.forEach((_, k) => {
    column(k).forEach((text, row) => {
      $(`n${row}-${k}`).textContent = text;
      $(`n${row}-${k}`).classList.toggle("current", k === state.model);
    });
  });
  const found = belief();
  const { borrowed } = models[state.model];
  const notes = [];
  if (found && !found.image.whole)
    notes.push("The encoder needs every pixel, so there is no bound.");
  else if (found && borrowed)
    notes.push("The encoder was trained with the other decoder, not with this one.");
  if (found?.refined && found.refined.edge > 0.001)
    notes.push(
      "The posterior reaches the edge of the map, so log p(x) is too low here.",
    );
  $("remark").textContent = notes.join(" ");
}

function showImages() {
  const found = belief();
  $("completion").hidden = !found || found.image.whole;
  if (!found) {
    for (const id of ["peak", "mu"])
      paint(canvas(id), new Float32Array(height * width));
    return;
  }
  const { refined, image, q } = found;
  $("mu").parentElement?.toggleAttribute("hidden", !q);
  if (q) paint(canvas("mu"), decode(q.mu));
  if (!refined) return;
  paint(canvas("peak"), decode(refined.peak));
  set("peak", {
    "aria-label": `Decoded at the posterior's peak ${pair(refined.peak)}`,
  });
  if (image.whole) return;
  const fill = (/** @type {Float32Array} */ y) =>
    y.map((v, i) => (image.known[i] ? image.x[i] : v));
  paint(canvas("mean"), fill(refined.mean));
  refined.draws.forEach((y, k) => {
    paint(canvas("draws"), fill(y), k);
  });
}

function showBelief() {
  const found = belief();
  const classes = found && probabilities(found);
  showClasses(classes);
  showNumbers();
  showImages();
  if (!found?.refined || !classes) return;
  const evidence = `log p(x) ${fixed(found.logPx, 1)} nats`;
  const bound = found.bound === null ? "" : `, bound ${fixed(found.bound, 1)}`;
  say(`Class ${percentages(classes, data.classes)}. ${evidence}${bound}.`);
}

function showProgress() {
  const share = progress[state.model];
  const busy = share < 1;
  $("loading").hidden = !busy && !Number.isNaN(share);
  if (busy) {
    set("bar", { value: share });
    const codes = (side * side).toLocaleString("en");
    const text = `Decoding ${codes} codes for the posterior: ${percent(share)}`;
    $("share").textContent = text;
  } else if (Number.isNaN(share))
    $("share").textContent = "This browser does not let the page compute in a worker.";
}

function startNumbers() {
  const head = $("heads");
  models.forEach(({ name }, k) => {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.textContent = name;
    head.append(cell);
    for (let row = 0; row < 4; row++) {
      const value = document.createElement("td");
      value.id = `n${row}-${k}`;
      $(`row${row}`).append(value);
    }
  });
  head.hidden = models.length < 2;
}

export function startVerdict() {
  for (const name of data.classes) {
    const bar = document.createElement("div");
    const track = document.createElement("span");
    track.append(document.createElement("i"));
    bar.append(track, name);
    $("bars").append(bar);
  }
  startNumbers();
  canvas("draws").width = 4 * width;
  canvas("draws").height = height;
  on("belief", showBelief);
  on("model", showBelief);
  on("progress", showProgress);
  on("model", showProgress);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", () => requestAnimationFrame(showBelief));
  showProgress();
  showBelief();
}
