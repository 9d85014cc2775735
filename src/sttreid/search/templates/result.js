"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const first = (selector, root = document) => root.querySelector(selector);

  // Each film strip is in the page once; an image gets it when it comes near the window.
  const strips = JSON.parse(first("#strips").textContent);
  const draw = (root) => {
    for (const image of all("img[data-strip]:not([src])", root)) image.src = `data:image/jpeg;base64,${strips[image.dataset.strip]}`;
  };
  const near = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((each) => each.isIntersecting)) {
      near.unobserve(entry.target);
      draw(entry.target);
    }
  }, { rootMargin: "800px" });
  all(".lazy").forEach((card) => near.observe(card));
  addEventListener("beforeprint", () => draw(document));
  all(".tools, #filter").forEach((each) => { each.hidden = false; });

  // The filter.
  const form = first("#filter"), bound = first("#bound"), fields = form.elements;
  const cards = all(".query").map((card) => ({
    card,
    text: first(".about", card).textContent.toLowerCase(),
    none: first(".none", card),
    best: Number(first(".answer", card)?.dataset.distance ?? Infinity),
    answers: all(".answer", card).map((item) => ({
      item, camera: item.dataset.camera, percent: Number(item.dataset.percent), distance: Number(item.dataset.distance),
      far: item.classList.contains("far"),
    })),
  }));
  const total = cards.reduce((sum, each) => sum + each.answers.length, 0);
  const places = all("[data-camera]").filter((each) => !each.classList.contains("answer"));
  const people = all(".person").map((card) => [card, all("li", card)]);
  const apply = () => {
    const cameras = new Set(all("[name=camera]:checked", form).map((box) => box.value));
    const value = Number(bound?.value), kind = bound?.dataset.kind, within = fields.near?.checked;
    const [key, wanted] = (fields.which?.value || "").split("-"), words = (fields.find?.value || "").toLowerCase().trim();
    let answers = 0, queries = 0;
    for (const each of cards) {
      each.card.hidden = !(each.text.includes(words) && (!key || each.card.dataset[key] === wanted));
      let kept = 0;
      for (const one of each.answers) {
        const passes = kind === "percent" ? one.percent >= value : one.distance <= value;
        const shown = cameras.has(one.camera) && passes && !(within && one.far);
        one.item.hidden = !shown;
        kept += shown;
      }
      if (each.none) each.none.hidden = kept > 0;
      if (!each.card.hidden) { queries += 1; answers += kept; }
    }
    for (const place of places) place.hidden = !cameras.has(place.dataset.camera);
    for (const [card, items] of people) card.hidden = items.every((item) => item.hidden);
    if (bound) first("output", form).textContent = kind === "percent" ? `${value} %` : value.toFixed(3);
    first("#count").textContent = cards.length ? `${answers} of ${total} answers` : "";
    if (cards.length > 1) first("#count").textContent += `, ${queries} of ${cards.length} queries`;
  };
  const order = () => {
    const sign = { near: 1, far: -1 }[fields.order?.value] ?? 0;
    const sorted = sign ? [...cards].sort((a, b) => sign * (a.best - b.best)) : cards;
    first("#cards")?.append(...sorted.map((each) => each.card));
  };
  form.addEventListener("input", apply);
  form.addEventListener("change", (event) => { if (event.target.name === "order") order(); });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(() => { order(); apply(); }));
  apply();

  // What comes into view is laid out only then, and moves what is below it: look a second time.
  const go = (target) => {
    target.scrollIntoView();
    requestAnimationFrame(() => requestAnimationFrame(() => target.scrollIntoView()));
  };

  // A link to a card that the filter or a closed group hides shows it.
  const reveal = () => {
    const card = /^#[pq]\d+$/.test(location.hash) && first(location.hash);
    if (!card) return;
    card.hidden = false;
    card.closest("details")?.setAttribute("open", "");
    go(card);
    card.focus({ preventScroll: true });
  };
  addEventListener("hashchange", reveal);
  reveal();

  // The timeline.
  const timeline = first("#timeline");
  if (!timeline) return;
  const bars = all(".bar", timeline), lanes = all(".lane", timeline), chosen = first("#chosen");
  first("#zoom").addEventListener("input", (event) => first(".axis").style.setProperty("--zoom", event.target.value));
  for (const lane of lanes) first(".bar", lane).tabIndex = 0;
  const mark = (ranks) => {
    timeline.classList.toggle("choosing", ranks.size > 0);
    for (const bar of bars) {
      bar.setAttribute("aria-pressed", ranks.has(bar.dataset.row));
      const rank = ranks.get(bar.dataset.row);
      if (rank) bar.dataset.rank = rank; else delete bar.dataset.rank;
    }
  };
  const copy = (source) => {
    const card = document.createElement("div");
    card.className = "card person";
    card.style.setProperty("--hue", source.style.getPropertyValue("--hue"));
    card.append(...[...source.cloneNode(true).childNodes]);
    return card;
  };
  const choose = (bar) => {
    const row = bar.dataset.row, person = bar.dataset.person;
    const again = bar.getAttribute("aria-pressed") === "true" && !chosen.hidden;
    const same = bars.filter((each) => person === undefined ? each === bar : each.dataset.person === person);
    mark(new Map(again ? [] : same.map((each) => [each.dataset.row, ""])));
    chosen.hidden = again;
    if (again) return;
    const source = first(person === undefined ? `.answer[data-row="${row}"], .query[data-row="${row}"] .asked` : `#p${person}`);
    chosen.replaceChildren(copy(source));
    all("[id]", chosen).forEach((each) => each.removeAttribute("id"));
    all(".tools, .rank, .chance, .mark, .pair", chosen).forEach((each) => each.remove());  // they are of another query
    draw(chosen);
  };
  const clear = () => { mark(new Map()); chosen.hidden = true; };
  const step = (bar, key) => {
    const lane = bar.closest(".lane"), visible = lanes.filter((each) => !each.hidden);
    const own = all(".bar", lane), place = own.indexOf(bar), up = { ArrowUp: -1, ArrowDown: 1 }[key];
    if (!up) return own[{ ArrowLeft: place - 1, ArrowRight: place + 1, Home: 0, End: own.length - 1 }[key]];
    const other = visible[visible.indexOf(lane) + up], left = bar.offsetLeft;
    return other && all(".bar", other).reduce((a, b) => Math.abs(b.offsetLeft - left) < Math.abs(a.offsetLeft - left) ? b : a);
  };
  timeline.addEventListener("click", (event) => {
    const bar = event.target.closest(".bar");
    if (bar) choose(bar);
  });
  timeline.addEventListener("keydown", (event) => {
    if (event.key === "Escape") clear();
    const bar = event.target.closest(".bar");
    if (!bar || !/^(Arrow|Home|End)/.test(event.key)) return;
    event.preventDefault();
    const next = step(bar, event.key);
    if (!next) return;
    for (const each of all(".bar", next.closest(".lane"))) each.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });
  for (const { card, answers } of cards) {
    first(".locate", card).addEventListener("click", () => {
      const ranks = answers.filter((one) => !one.item.hidden).map((one) => [one.item.dataset.row, first(".rank", one.item).textContent]);
      if (card.dataset.row) ranks.push([card.dataset.row, "?"]);
      chosen.hidden = true;
      mark(new Map(ranks));
      first(`.bar[data-row="${ranks.at(-1)?.[0]}"]`)?.focus({ preventScroll: true });
      go(timeline);
    });
  }
})();
