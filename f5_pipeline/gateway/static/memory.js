// What the browser keeps for a listener: the place in each revision, the speed, and whether keys are used. Storage may
// be switched off or full: then nothing is kept.
const KEY = "f5-pipeline";
const MAX_PLACES = 50;

const read = () => {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? {};
  } catch {
    return {};
  }
};

export const recall = (name) => read()[name];

export const keep = (name, value) => {
  try {
    localStorage.setItem(KEY, JSON.stringify({ ...read(), [name]: value }));
  } catch {}
};

export const forget = () => {
  try {
    localStorage.removeItem(KEY);
  } catch {}
};

export const placeIn = (revision) => recall("places")?.[revision]?.[0] ?? 0;

// Seconds; 0 forgets. The places of the revisions that were heard last are kept.
export const keepPlace = (revision, seconds) => {
  const places = new Map(Object.entries(recall("places") ?? {}));
  places.delete(revision);
  if (seconds) places.set(revision, [seconds, Date.now()]);
  const newest = [...places].sort((a, b) => b[1][1] - a[1][1]).slice(0, MAX_PLACES);
  keep("places", Object.fromEntries(newest));
};
