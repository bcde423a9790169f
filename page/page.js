// The contents stand open at the side of a wide window; above a narrow one they close.
// Beside them in the page `contents` and `wide` are set, before anything is drawn.
wide.addEventListener("change", () => {
  contents.open = wide.matches;
});
contents.addEventListener("click", ({ target }) => {
  if (target.closest("a") && !wide.matches) contents.open = false;
});

// One switch opens and folds all code.
const all = document.getElementById("switch");
all.hidden = false;
all.firstChild.checked = false;
all.addEventListener("change", ({ target }) => {
  for (const fold of document.querySelectorAll("details.code")) fold.open = target.checked;
});

// What is wider than its place scrolls by keyboard, too.
const frames = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
    else target.removeAttribute("tabindex");
  }
});
for (const frame of document.querySelectorAll(".wide, pre")) frames.observe(frame);

// The contents mark the section that is being read.
const links = new Map();
for (const link of contents.querySelectorAll("a[href^='#']")) {
  links.set(document.getElementById(link.hash.slice(1)), link);
}
const mark = () => {
  const above = [...links.keys()].filter((e) => e.getBoundingClientRect().top < 120);
  const current = links.get(above.at(-1));
  if (!current || current.ariaCurrent) return;
  for (const link of links.values()) link.ariaCurrent = null;
  current.ariaCurrent = "true";
  const list = contents.closest("header");
  const middle = current.offsetTop - list.clientHeight / 2;
  if (wide.matches) list.scrollTop = middle;
};
document.addEventListener("scroll", mark, { passive: true });
mark();
