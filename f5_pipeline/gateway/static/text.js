// The text to read along: the word that is spoken is lit, and a word that is chosen is played. A book has 100,000 words:
// only the parts near what is seen, and the one that is spoken, are in the page. Texts go into it as text nodes only.
import { clock, lastBefore } from "./times.js";

const AHEAD = "800px"; // parts this near to what is seen are loaded
const REM_A_WORD = 0.2; // height of what is not loaded, until some part is
const RETRY_MS = 5000;
const LIT_MS = 300; // a word stays lit so long after its end, so that short gaps do not flicker

// playFrom(seconds) plays. The result is to be called with the time, s.
export const showText = async (playFrom, query) => {
  const answer = await fetch(`text${query}`);
  if (!answer.ok) return () => {};
  const outline = await answer.json();
  if (!outline.length) return () => {};

  const [section, pane, follow] = ["reading", "text", "follow"].map((id) => document.getElementById(id));
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const starts = outline.map(([start]) => start);
  const loaded = new Map(); // by part: {starts, ends, words} when it is there, {} while it is on its way
  const startOf = new WeakMap(); // ms, of words and buttons
  let lit = null;
  let passage = null;
  let following = true;
  let now = 0;
  let current = -1;
  const near = new Set(); // parts that are near to what is seen

  const parts = outline.map(([, , words]) => {
    const part = document.createElement("div");
    part.style.minHeight = `${words * REM_A_WORD}rem`;
    return part;
  });

  const passageOf = ({ voice, heading, words, times }, named, content) => {
    const row = document.createElement("div");
    row.className = "passage";
    row.dir = "auto";
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = clock(times[0] / 1000);
    button.setAttribute("aria-label", `Play from ${button.textContent}`);
    startOf.set(button, times[0]);
    const paragraph = document.createElement(heading ? "h3" : "p");
    if (named) {
      const speaker = document.createElement("span");
      speaker.className = "speaker";
      speaker.dir = "auto";
      speaker.textContent = voice;
      paragraph.append(speaker);
    }
    words.forEach((text, n) => {
      const word = document.createElement("span");
      word.textContent = text.trimEnd();
      startOf.set(word, times[2 * n]);
      content.starts.push(times[2 * n]);
      content.ends.push(times[2 * n + 1]);
      content.words.push(word);
      paragraph.append(word, text.slice(word.textContent.length));
    });
    row.append(button, paragraph);
    return row;
  };

  const load = async (index) => {
    if (loaded.has(index)) return;
    const wanted = {};
    loaded.set(index, wanted);
    try {
      const part = await fetch(`text/${index}${query}`);
      if (!part.ok) throw new Error(part.status);
      const paragraphs = await part.json();
      if (loaded.get(index) !== wanted) return; // left again in the meantime
      const content = { starts: [], ends: [], words: [] };
      let voice = null;
      const rows = paragraphs.map((paragraph) => {
        const named = "voices" in section.dataset && paragraph.voice !== voice;
        voice = paragraph.voice;
        return passageOf(paragraph, named, content);
      });
      parts[index].replaceChildren(...rows);
      parts[index].style.minHeight = "";
      loaded.set(index, content);
      tick(now);
      stay(); // the text above may have moved it
    } catch {
      setTimeout(() => loaded.get(index) === wanted && loaded.delete(index), RETRY_MS);
      parts[index].textContent = "This part of the text cannot be loaded. Load the page again.";
    }
  };

  const unload = (index) => {
    const part = parts[index];
    if (!loaded.has(index) || index === current || near.has(index) || part.contains(document.activeElement)) return;
    loaded.delete(index);
    part.style.minHeight = `${part.offsetHeight}px`;
    part.replaceChildren();
  };

  const keepInView = (element) => {
    const frame = pane.getBoundingClientRect();
    const top = element.getBoundingClientRect().top - frame.top;
    if (top > frame.height * 0.08 && top < frame.height * 0.7) return;
    const way = top - frame.height * 0.25;
    pane.scrollBy({ top: way, behavior: still.matches || Math.abs(way) > frame.height ? "instant" : "smooth" });
  };

  const stay = () => {
    if (following && lit) keepInView(lit);
  };

  const light = (word) => {
    if (word === lit) return;
    lit?.classList.remove("lit");
    lit = word;
    if (!word) return;
    word.classList.add("lit");
    const row = word.closest(".passage");
    if (row !== passage) {
      passage?.removeAttribute("aria-current");
      row.setAttribute("aria-current", "true");
      passage = row;
    }
    stay();
  };

  const tick = (time) => {
    now = time;
    const index = Math.max(0, lastBefore(starts, time * 1000));
    if (index !== current) {
      const before = current;
      current = index;
      unload(before);
    }
    const content = loaded.get(index);
    if (!content?.words) {
      if (!content && following) keepInView(parts[index]);
      load(index);
      return;
    }
    const word = lastBefore(content.starts, time * 1000);
    light(word >= 0 && time * 1000 < content.ends[word] + LIT_MS ? content.words[word] : null);
  };

  const setFollowing = (on) => {
    following = on;
    follow.hidden = on;
    stay();
  };

  pane.addEventListener("click", (event) => {
    const start = startOf.get(event.target);
    if (start === undefined || !getSelection().isCollapsed) return;
    setFollowing(true);
    playFrom(start / 1000);
  });
  // Whoever scrolls is reading elsewhere: the text stays there until it is told to follow.
  for (const name of ["wheel", "touchmove"]) {
    pane.addEventListener(name, () => setFollowing(false), { passive: true });
  }
  pane.addEventListener("keydown", (event) => {
    if (["PageUp", "PageDown", "Home", "End", "ArrowUp", "ArrowDown"].includes(event.key)) setFollowing(false);
  });
  pane.addEventListener("pointerdown", (event) => {
    if (event.target === pane) setFollowing(false); // its scroll bar
  });
  follow.addEventListener("click", () => {
    setFollowing(true);
    pane.focus({ preventScroll: true });
    tick(now);
  });

  pane.append(...parts);
  section.hidden = false;
  const observer = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        const index = parts.indexOf(target);
        near[isIntersecting ? "add" : "delete"](index);
        if (isIntersecting) load(index);
        else unload(index);
      }
    },
    { root: pane, rootMargin: AHEAD },
  );
  for (const part of parts) observer.observe(part);
  new ResizeObserver(stay).observe(pane);
  return tick;
};
