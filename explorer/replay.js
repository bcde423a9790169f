/** Replay: the codes of some test digits at moments of training. */
import { data } from "./data.js";
import { unpack } from "./numbers.js";
import { $, input } from "./page.js";
import { on, state, tell } from "./state.js";

const { steps } = data.replay;
const last = steps.length - 1;
const codes = await unpack(data.replay.codes);

/** The codes of the moment on show; null at the end, where all codes are known. */
export function momentCodes() {
  if (state.moment === null) return null;
  const n = codes.length / steps.length;
  return codes.subarray(state.moment * n, (state.moment + 1) * n);
}

/** @param {number} k */
function show(k) {
  state.moment = k < last ? k : null;
  input("moment").value = String(k);
  const text = k < last ? `step ${steps[k]} of ${steps[last]}` : "trained";
  $("step").textContent = text;
  $("moment").setAttribute("aria-valuetext", text);
  tell("moment");
}

/** @type {ReturnType<typeof setInterval> | undefined} */
let playing;

function stop() {
  clearInterval(playing);
  playing = undefined;
  $("play").textContent = "Play";
}

function play() {
  if (playing) return stop();
  $("play").textContent = "Stop";
  let k = state.moment ?? 0;
  show(k);
  playing = setInterval(() => {
    k++;
    show(k);
    if (k >= last) stop();
  }, 140);
}

export function startReplay() {
  input("moment").max = String(last);
  input("moment").value = String(last);
  $("moment").addEventListener("input", () => {
    stop();
    show(+input("moment").value);
  });
  $("play").addEventListener("click", play);
  const offer = () => {
    const there = last > 0 && state.model === 0; // the first model's training
    if (!there && state.moment !== null) {
      stop();
      show(last);
    }
    $("replay").hidden = !there;
  };
  on("model", offer);
  offer();
}
