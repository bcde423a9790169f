/** Starts the page. */
import { startBeliefs, took } from "./beliefs.js";
import { data, height, width } from "./data.js";
import { startLens } from "./lens.js";
import { startMap } from "./map.js";
import { decode, models } from "./models.js";
import { clearPad, startPad } from "./pad.js";
import { $, canvas } from "./page.js";
import { move, moved, startPoint } from "./point.js";
import { startReplay } from "./replay.js";
import { state, tell } from "./state.js";
import { startVerdict } from "./verdict.js";

function startSwitch() {
  models.forEach(({ name }, k) => {
    const label = document.createElement("label");
    const choice = document.createElement("input");
    Object.assign(choice, { type: "radio", name: "model", checked: k === 0 });
    choice.addEventListener("change", () => {
      state.model = k;
      tell("model");
    });
    label.append(choice, name);
    $("models").append(label);
  });
  $("models").hidden = models.length < 2;
}

for (const id of ["digit", "seen", "peak", "mu", "mean", "strip"]) {
  canvas(id).width = id === "strip" ? 9 * width : width;
  canvas(id).height = height;
}
document.documentElement.style.setProperty("--shape", `${width} / ${height}`);
$("note").textContent = data.note.replace(/^[ ·]+/, "");
$("pixels").textContent = `${height}×${width}`;
const tutorial = document.querySelector("meta[name=tutorial]")?.getAttribute("content");
if (tutorial) {
  const link = document.createElement("a");
  link.href = tutorial;
  link.textContent = "The tutorial";
  $("links").append("· ", link);
}

startSwitch();
startMap();
startPoint();
startReplay();
startLens();
startVerdict();
startBeliefs();
startPad(Math.min(2, data.classes.length - 1));

/** For tests. */
Object.assign(window, {
  explorer: {
    decode: (/** @type {number} */ z1, /** @type {number} */ z2) => decode([z1, z2]),
    move,
    point: () => [...state.z],
    state,
    clearPad,
    times: () => ({ look: took.look, move: moved.took }),
  },
});
