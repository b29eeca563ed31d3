// The retake desk: forms are calls of the API, and what they change is read anew from the page itself.
const { token, api } = document.body.dataset;
const byId = (id) => document.getElementById(id);
const player = new Audio();
const comparison = byId("comparison");

const tell = (text) => {
  byId("problem").textContent = text;
};

const call = async (path, fields) => {
  const answer = await fetch(api + path, {
    method: "POST",
    headers: { "X-Desk-Token": token, ...(fields && { "Content-Type": "application/json" }) },
    body: fields && JSON.stringify(fields),
  });
  if (answer.ok) return answer.arrayBuffer();
  if (answer.status === 401) location.reload(); // the session has ended: the page is the log-in now
  const { error } = await answer.json();
  throw new Error([error.message, error.hint].filter(Boolean).join(". "));
};

// Runs what a person asked for, and says what goes wrong.
const attempt = async (work) => {
  tell("");
  try {
    await work();
  } catch (error) {
    tell(error.message);
  }
};

let events;
const follow = () => {
  const { state, events: path } = byId("state")?.dataset ?? {};
  events?.close();
  if (!["queued", "running"].includes(state)) return;
  events = new EventSource(api + path);
  events.addEventListener("narration", (event) => {
    const now = JSON.parse(event.data);
    const { made, takes } = now.progress;
    if (["queued", "running"].includes(now.state)) {
      const text = now.state === "running" ? `It is made: ${made} of ${takes} takes are there.` : null;
      if (text) byId("progress").textContent = text;
    } else {
      events.close();
      attempt(() => refresh(["state", "text", "attempts", "doubts"])); // what is being typed stays
    }
  });
};

// Takes parts of the page anew, or all of it; what has the focus keeps it.
const refresh = async (ids, address = location.href) => {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error("This page cannot be read just now. Load it again.");
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const focus = document.activeElement?.id;
  const parts = ids ? ids.map(byId).filter(Boolean) : [document.querySelector("main")];
  for (const part of parts) {
    const fresh = ids ? page.getElementById(part.id) : page.querySelector("main");
    if (fresh) part.replaceWith(fresh);
    else part.remove();
  }
  if (!byId("state") && !byId("pairs")) return location.reload();
  byId(focus || "next")?.focus({ preventScroll: true });
  follow();
};

const open = async (address) => {
  history.pushState(null, "", address);
  await refresh(null);
  const title = byId("sentence-title");
  title.focus({ preventScroll: true });
  if (title.getBoundingClientRect().top > innerHeight || title.getBoundingClientRect().bottom < 0)
    title.scrollIntoView();
};

let pressed;
const release = () => {
  pressed?.setAttribute("aria-pressed", "false");
  pressed = undefined;
};
const hear = (button, path) => {
  const again = pressed === button;
  player.pause();
  release();
  if (again) return;
  pressed = button;
  button.setAttribute("aria-pressed", "true");
  player.src = api + path;
  player.play().catch((error) => {
    if (error.name !== "AbortError") tell("It cannot be played. Load the page again.");
  });
};
player.addEventListener("ended", release);

// Between two texts of which one is markup for the reader of scripts.
const literal = (text) => text.replace(/[\\[\]<>&*_`#$^~]/g, "\\$&");
const sayDraft = async (form) => {
  const { written, said } = byId("respell").elements;
  const word = written.value.trim();
  const as = said.value.trim();
  const isSound = as.length > 2 && as.startsWith("/") && as.endsWith("/");
  const phoneme = () => {
    const element = document.createElement("phoneme");
    element.setAttribute("alphabet", "ipa");
    element.setAttribute("ph", as.slice(1, -1));
    element.textContent = word;
    return element.outerHTML;
  };
  const parts = word && as ? form.elements.text.value.split(word) : [form.elements.text.value];
  const input = parts.map(literal).join(isSound ? phoneme() : literal(as));
  const { voice, language } = form.dataset;
  const context = new AudioContext(); // while the click counts as a gesture
  const audio = await call("audio/speech", { model: "draft", response_format: "flac", voice, language, input });
  const source = context.createBufferSource();
  source.buffer = await context.decodeAudioData(audio);
  source.connect(context.destination);
  source.addEventListener("ended", () => context.close());
  source.start();
};

let sides = [];
const compare = () => {
  const boxes = [...document.querySelectorAll("[name=compare]:checked")];
  if (boxes.length !== 2) throw new Error("Mark two attempts to compare them.");
  sides = boxes.map(({ value, dataset }) => ({ take: value, letter: dataset.letter }));
  if (crypto.getRandomValues(new Uint8Array(1))[0] % 2) sides.reverse();
  const path = document.querySelector("[data-play]").dataset.play.replace(/[^/]*$/, "");
  for (const side of sides) side.path = path + side.take;
  byId("answer").textContent = "";
  for (const button of comparison.querySelectorAll("[data-choice]")) button.disabled = false;
  comparison.showModal();
};

const choose = async (number) => {
  const { take, letter, path } = sides[number];
  await call(path.replace(/attempts\/[^/]*$/, "pick"), { take });
  for (const button of comparison.querySelectorAll("[data-choice]")) button.disabled = true;
  byId("answer").textContent = `It is ${letter}; the other one is ${sides[1 - number].letter}. ${letter} is picked.`;
  await refresh(["state", "text", "attempts"]);
};

document.addEventListener("click", (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  const target = event.target.closest("a[data-chunk], button");
  if (!target) return;
  if (target.matches("a")) {
    event.preventDefault();
    attempt(() => open(target.href));
  } else if (target.dataset.play) hear(target, target.dataset.play);
  else if (target.dataset.side) hear(target, sides[Number(target.dataset.side)].path);
  else if (target.dataset.choice) attempt(() => choose(Number(target.dataset.choice)));
  else if (target.id === "blind") attempt(compare);
});

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.id !== "draft" && !form.dataset.call) return;
  event.preventDefault();
  attempt(async () => {
    if (form.id === "draft") return sayDraft(form);
    await call(form.dataset.call, Object.fromEntries(new FormData(form, event.submitter)));
    await refresh(null);
  });
});

comparison?.addEventListener("close", () => {
  player.pause();
  release();
});
addEventListener("popstate", () => attempt(() => refresh(null)));
follow();
