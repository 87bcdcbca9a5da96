// A page or section whose title begins with what was asked for comes before those that only mention it.
var Scorer = {
  score: ([, title, , , score]) => {
    const asked = (new URLSearchParams(location.search).get("q") ?? "").toLowerCase().trim();
    const plain = title.toLowerCase().replace(/<[^>]*>/g, "").trim().replace(/^[\d.]+\s+/, "");
    return asked && plain.startsWith(asked) ? score + 100 : score;
  },
  objNameMatch: 11, objPartialMatch: 6, objPrio: { 0: 15, 1: 5, 2: -5 }, objPrioDefault: 0,
  title: 15, partialTitle: 7, term: 5, partialTerm: 2,
};
