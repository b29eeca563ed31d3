// Browsers show no captions for <audio>: this shows the current cue under the player and all of them as a list to
// choose from. Texts go into the page as text nodes only.
(() => {
  "use strict";
  const audio = document.getElementById("audio");
  if (!audio) return;

  const clock = (seconds) => {
    const whole = Math.floor(seconds);
    const two = (n) => String(n).padStart(2, "0");
    const minutes = Math.floor(whole / 60) % 60;
    const hours = Math.floor(whole / 3600);
    return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
  };

  const playFrom = (seconds) => {
    audio.currentTime = seconds;
    audio.play().catch(() => {}); // refused by the browser's settings: the position stands, the button is there
  };

  const row = (seconds, ...content) => {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.start = seconds;
    const time = document.createElement("time");
    time.textContent = clock(seconds);
    button.append(time, ...content);
    return button;
  };

  const onChoice = (list) =>
    list.addEventListener("click", (event) => {
      const button = event.target.closest("button[data-start]");
      if (button) playFrom(Number(button.dataset.start));
    });

  const chapters = document.getElementById("chapters");
  if (chapters) {
    for (const item of chapters.children) {
      item.replaceChildren(row(Number(item.dataset.start), item.querySelector("span")));
    }
    onChoice(chapters);
  }

  const problem = document.getElementById("problem");
  const sources = audio.querySelectorAll("source");
  const failed = () => { problem.hidden = false; };
  audio.addEventListener("error", failed);
  if (sources.length) sources[sources.length - 1].addEventListener("error", failed);
  if (audio.networkState === HTMLMediaElement.NETWORK_NO_SOURCE) failed(); // its error came before this script ran
  audio.addEventListener("loadedmetadata", () => { problem.hidden = true; });

  const element = audio.querySelector("track");
  const box = document.getElementById("caption");
  if (!element || !box) return;
  const line = document.getElementById("line");
  const list = document.getElementById("cues");
  const track = element.track;
  const buttons = new Map();
  let current = null;

  const speakerOf = (cue) => (/^<v(?:\.[^\s>]*)?\s+([^>]+)>/.exec(cue.text) || [])[1];

  const keepInView = (button) => {
    if (list.matches(":hover") || list.contains(document.activeElement)) return; // somebody is reading or choosing there
    const item = button.parentElement;
    const top = item.offsetTop - (list.clientHeight - item.offsetHeight) / 2;
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    list.scrollTo({ top, behavior: still ? "auto" : "smooth" });
  };

  const show = () => {
    const active = track.activeCues;
    if (!active || active.length === 0) {
      line.classList.add("past"); // a pause: the last words stay, dimmed
      return;
    }
    const cue = active[active.length - 1];
    line.textContent = Array.from(active, (c) => c.getCueAsHTML().textContent).join("\n");
    line.classList.remove("past", "waiting");
    const button = buttons.get(cue);
    if (current) current.removeAttribute("aria-current");
    if (button) {
      button.setAttribute("aria-current", "true");
      keepInView(button);
    }
    current = button || null;
  };

  const build = () => {
    if (!track.cues || track.cues.length === 0 || buttons.size) return;
    const all = document.createDocumentFragment();
    let before;
    for (const cue of track.cues) {
      const text = document.createElement("span");
      text.dir = "auto";
      const speaker = speakerOf(cue);
      if (speaker && speaker !== before) {
        const label = document.createElement("span");
        label.className = "speaker";
        label.textContent = speaker;
        text.append(label);
      }
      before = speaker;
      text.append(cue.getCueAsHTML().textContent.replace(/\s+/g, " "));
      const button = row(cue.startTime, text);
      buttons.set(cue, button);
      const item = document.createElement("li");
      item.append(button);
      all.append(item);
    }
    list.append(all);
    onChoice(list);
    document.getElementById("transcript").hidden = false;
    box.hidden = false;
    show();
  };

  track.addEventListener("cuechange", show);
  element.addEventListener("load", build);
  element.addEventListener("error", () => { box.hidden = true; });
  track.mode = "hidden"; // loads and fires events, and leaves the showing to us
  if (element.readyState === 2) build();
})();
