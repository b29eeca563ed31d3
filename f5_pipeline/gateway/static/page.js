// The player: chapters, speed, keys, and the place where one stopped. Text and waveform have files of their own.
import * as memory from "./memory.js";
import { showText } from "./text.js";
import { clock, lastBefore } from "./times.js";
import { showWaveform } from "./waveform.js";

const MIN_PLACE_SECONDS = 10; // a place this near to the start or the end is not kept
const KEEP_EVERY_SECONDS = 5;

const byId = (id) => document.getElementById(id);
const audio = byId("audio");
const { revision, query, seconds } = document.querySelector("main").dataset;

const playFrom = (time) => {
  audio.currentTime = time;
  audio.play().catch(() => {}); // refused by the browser's settings: the position stands, the button is there
};

const toggle = () => (audio.paused ? audio.play().catch(() => {}) : audio.pause());

const jump = (by) => {
  audio.currentTime = Math.max(0, Math.min(audio.currentTime + by, Number(seconds)));
};

const followers = []; // called with the time, s

const tick = () => {
  for (const follow of followers) follow(audio.currentTime);
};

const watchTime = () => {
  let frame = 0;
  const run = () => {
    tick();
    frame = audio.paused || audio.ended ? 0 : requestAnimationFrame(run);
  };
  audio.addEventListener("play", () => frame || run());
  for (const name of ["loadedmetadata", "seeking", "timeupdate"]) audio.addEventListener(name, tick);
};

const tellProblems = () => {
  const problem = byId("problem");
  const failed = () => {
    problem.hidden = false;
  };
  audio.addEventListener("error", failed);
  [...audio.querySelectorAll("source")].at(-1).addEventListener("error", failed);
  if (audio.networkState === HTMLMediaElement.NETWORK_NO_SOURCE) failed(); // its error came before this script ran
  audio.addEventListener("loadedmetadata", () => {
    problem.hidden = true;
  });
};

const readChapters = () => {
  const links = [...document.querySelectorAll("#chapters a")];
  const chapters = links.map((link) => ({
    start: Number(link.dataset.start),
    title: link.querySelector(".name").textContent,
  }));
  const starts = chapters.map((chapter) => chapter.start);
  links.forEach((link, index) =>
    link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return; // a tab of its own
      event.preventDefault();
      playFrom(starts[index]);
    }),
  );
  let current = -1;
  followers.push((time) => {
    const index = lastBefore(starts, time + 0.01);
    if (index === current) return;
    links[current]?.removeAttribute("aria-current");
    links[index]?.setAttribute("aria-current", "true");
    current = index;
    const list = byId("chapters");
    if (!links[index] || list.matches(":hover") || list.contains(document.activeElement)) return;
    list.scrollTop = links[index].offsetTop - (list.clientHeight - links[index].offsetHeight) / 2;
  });
  return chapters;
};

const keepSpeed = () => {
  const speed = byId("speed");
  audio.addEventListener("ratechange", () => {
    speed.value = audio.playbackRate; // also where the browser's own menu has changed it
    memory.keep("speed", audio.playbackRate);
  });
  speed.addEventListener("change", () => {
    audio.defaultPlaybackRate = audio.playbackRate = Number(speed.value);
  });
  const kept = [...speed.options].find((option) => Number(option.value) === memory.recall("speed"));
  if (kept) audio.defaultPlaybackRate = audio.playbackRate = Number(kept.value);
};

const keepPlace = () => {
  const note = byId("place");
  const say = (text, ...buttons) => {
    const all = buttons.map(([label, action]) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = label;
      button.addEventListener("click", action);
      return button;
    });
    note.replaceChildren(text, ...all.flatMap((button) => [" ", button]));
  };
  const worthKeeping = (time) => time >= MIN_PLACE_SECONDS && time <= Number(seconds) - MIN_PLACE_SECONDS;
  const asked = () => /^#t=(\d+(?:\.\d+)?)$/.exec(location.hash)?.[1];
  addEventListener("hashchange", () => asked() && playFrom(Number(asked())));

  const place = memory.placeIn(revision);
  if (asked()) audio.currentTime = Number(asked());
  else if (worthKeeping(place)) {
    audio.currentTime = place;
    say(
      `Playing goes on at ${clock(place)}, where you stopped.`,
      ["Start from the beginning", () => { say(""); playFrom(0); }],
      ["Forget this place", () => { memory.keepPlace(revision, 0); audio.currentTime = 0; say("Your place is forgotten."); }],
    );
  }

  let last = place;
  let heard = false; // since the page was opened, or all was forgotten
  audio.addEventListener("playing", () => { heard = true; });
  const keep = () => {
    if (!heard) return;
    last = audio.currentTime;
    memory.keepPlace(revision, worthKeeping(last) ? Math.round(last * 10) / 10 : 0);
  };
  audio.addEventListener("timeupdate", () => Math.abs(audio.currentTime - last) >= KEEP_EVERY_SECONDS && keep());
  audio.addEventListener("pause", keep);
  addEventListener("pagehide", keep);
  byId("forget").addEventListener("click", () => {
    heard = false;
    audio.pause();
    memory.forget();
    say("This browser keeps nothing of what you heard here.");
  });
};

const useKeys = () => {
  const choice = byId("keys");
  choice.checked = memory.recall("keys") ?? true;
  choice.addEventListener("change", () => memory.keep("keys", choice.checked));
  const actions = {
    " ": toggle, k: toggle,
    ArrowLeft: () => jump(-5), ArrowRight: () => jump(5),
    j: () => jump(-10), l: () => jump(10),
  };
  addEventListener("keydown", (event) => {
    const { key, target } = event;
    if (!choice.checked || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const letter = key.length === 1 && key !== " ";
    const action = actions[letter ? key.toLowerCase() : key];
    // What has the focus has its own use for some keys. The slider would move by tenths of a second.
    const own = letter ? "select" : key === " " ? "button, a, select, summary, audio, input:not([type=range])" : "select, audio";
    if (!action || target.closest(own)) return;
    event.preventDefault();
    action();
  });
};

// The buttons of a lock screen, a headset or a keyboard.
const useMediaSession = (chapters) => {
  if (!navigator.mediaSession) return;
  const artist = document.querySelector(".author bdi")?.textContent ?? "";
  navigator.mediaSession.metadata = new MediaMetadata({ title: document.title, artist });
  const set = (name, action) => {
    try {
      navigator.mediaSession.setActionHandler(name, action);
    } catch {} // unknown to this browser
  };
  set("seekbackward", () => jump(-10));
  set("seekforward", () => jump(10));
  if (chapters.length) {
    const starts = chapters.map((chapter) => chapter.start);
    const go = (by) => {
      audio.currentTime = starts[lastBefore(starts, audio.currentTime - (by < 0 ? 3 : 0)) + Math.max(by, 0)] ?? 0;
    };
    set("previoustrack", () => go(-1));
    set("nexttrack", () => go(1));
  }
};

if (audio) {
  tellProblems();
  watchTime();
  const chapters = readChapters();
  keepSpeed();
  keepPlace();
  useKeys();
  useMediaSession(chapters);
  for (const button of document.querySelectorAll("[data-jump]")) {
    button.addEventListener("click", () => jump(Number(button.dataset.jump)));
  }
  byId("controls").hidden = false;
  const add = (follow) => {
    followers.push(follow);
    tick();
  };
  const leave = () => {}; // the rest of the page works without it
  showWaveform(audio, chapters, Number(seconds), query).then(add, leave);
  if (byId("reading")) showText(playFrom, query).then(add, leave);
}
