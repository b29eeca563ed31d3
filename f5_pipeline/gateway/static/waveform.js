// The loudness of the chapter that plays, or of the whole where there are no chapters; a slider over it seeks.
import { clock, lastBefore } from "./times.js";

const BARS = 200;

// Root mean square of the levels of each bar, 0 to 1 for the loudest of them.
const barsOf = (levels, first, last) => {
  const count = Math.min(BARS, last - first);
  const bars = Array.from({ length: count }, (_, bar) => {
    const from = first + Math.floor((bar * (last - first)) / count);
    const to = first + Math.floor(((bar + 1) * (last - first)) / count);
    let power = 0;
    for (let n = from; n < to; n++) power += levels[n] ** 2;
    return Math.sqrt(power / (to - from));
  });
  const loudest = Math.max(...bars, 1);
  return bars.map((bar) => bar / loudest);
};

// Chapters are {start, title}, s; seconds is the length of the whole. The result is to be called with the time, s.
export const showWaveform = async (audio, chapters, seconds, query) => {
  const answer = await fetch(`waveform${query}`);
  if (answer.status !== 200) return () => {};
  const levels = new Uint8Array(await answer.arrayBuffer());
  const [box, title, from, to, slider] = ["waveform", "section", "from", "to", "position"].map((id) =>
    document.getElementById(id),
  );
  const pictures = box.querySelectorAll("svg");
  const starts = chapters.map((chapter) => chapter.start);
  let shown;
  let begin = 0;
  let end = seconds;

  const draw = (chapter) => {
    shown = chapter;
    begin = chapter > 0 ? starts[chapter] : 0;
    end = starts[chapter + 1] ?? seconds;
    const first = Math.min(Math.floor((begin / seconds) * levels.length), levels.length - 1);
    const bars = barsOf(levels, first, Math.max(first + 1, Math.ceil((end / seconds) * levels.length)));
    for (const picture of pictures) {
      picture.setAttribute("viewBox", `0 0 ${bars.length} 100`);
      picture.firstElementChild.setAttribute(
        "d",
        bars.map((bar, n) => `M${n + 0.5} ${50 - Math.max(1, bar * 48)}v${Math.max(2, bar * 96)}`).join(""),
      );
    }
    [slider.min, slider.max] = [begin, end];
    title.textContent = chapters[chapter]?.title ?? "";
    from.textContent = clock(begin);
    to.textContent = clock(end);
  };

  slider.addEventListener("input", () => {
    // Not the end itself, which belongs to the next chapter.
    audio.currentTime = Math.min(Number(slider.value), end - 0.1);
  });
  box.hidden = false;
  return (time) => {
    const chapter = Math.max(0, lastBefore(starts, time));
    if (chapter !== shown) draw(chapter);
    slider.value = time;
    slider.setAttribute("aria-valuetext", `${clock(time)} of ${clock(seconds)}`);
    pictures[1].style.clipPath = `inset(0 ${(100 * (1 - (time - begin) / (end - begin))).toFixed(2)}% 0 0)`;
  };
};
