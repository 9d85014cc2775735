"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const first = (selector, root = document) => root.querySelector(selector);

  // Each film strip is in the page once; an image gets it when it comes near the window.
  const strips = JSON.parse(first("#strips").textContent);
  const draw = (root) => {
    for (const image of all("img[data-strip]:not([src])", root)) image.src = `data:image/jpeg;base64,${strips[image.dataset.strip]}`;
  };
  // Answers that the page has as numbers become list items when they are needed.
  const waiting = JSON.parse(first("#waiting")?.textContent ?? '{"seen":{},"answers":{}}'), blank = first("#answer");
  const isolated = (text) => {
    const part = document.createElement("bdi");
    part.textContent = text;
    return part;
  };
  const item = (one) => {
    const [camera, place, span, name, person, label, strip, width, height] = waiting.seen[one.row];
    const made = blank.content.firstElementChild.cloneNode(true), part = (selector) => first(selector, made);
    const keep = (selector, wanted) => { if (!wanted) part(selector).remove(); return wanted; };
    made.value = one.rank;
    made.classList.toggle("right", one.correct === true);
    made.classList.toggle("wrong", one.correct === false);
    made.classList.toggle("far", one.far);
    Object.assign(made.dataset, { row: one.row, camera, distance: one.distance.toFixed(4), ...(one.chance && { percent: one.percent }) });
    if (strip === null) {
      part("img").replaceWith(Object.assign(document.createElement("div"), { className: "blank", textContent: "no pictures" }));
    } else {
      Object.assign(part("img"), { width, height, alt: `Answer ${one.rank}` }).dataset.strip = strip;
    }
    part(".rank").textContent = one.rank;
    if (keep(".chance", one.chance)) {
      part(".chance").textContent = one.chance;
      part(".chance").style.setProperty("--share", `${one.percent}%`);
    }
    if (keep(".mark", one.correct !== null)) part(".mark").textContent = one.correct ? "✓ right" : "✗ wrong";
    part(".place").append(isolated(place));
    part(".span").textContent = span;
    if (keep(".tag", label)) {
      part(".tag").append(isolated(label));
      part(".tag").setAttribute("href", `#p${person}`);
    }
    part(".name").append(isolated(name));
    part(".pair").prepend(` · distance ${one.distance.toFixed(3)}${one.far ? ", " : ""}`);
    keep(".pair i", one.far);
    if (keep(".more", one.link)) part(".more a").setAttribute("href", `#q${one.link}`);
    return made;
  };
  const list = (card) => {
    const known = byCard.get(card), ranked = first(".answers", card);
    if (!ranked || ranked.childElementCount) return;
    for (const one of known.answers) {
      one.item = item(one);
      one.item.hidden = one.hidden;
    }
    ranked.append(...known.answers.map((one) => one.item));
  };
  const show = (card) => {
    if (byCard.has(card)) list(card);
    draw(card);
  };
  const near = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((each) => each.isIntersecting)) {
      near.unobserve(entry.target);
      show(entry.target);
    }
  }, { rootMargin: "800px" });
  all(".lazy").forEach((card) => near.observe(card));
  addEventListener("beforeprint", () => { cards.forEach(({ card }) => list(card)); draw(document); });
  all(".tools, #filter").forEach((each) => { each.hidden = false; });

  // The filter.
  const form = first("#filter"), bound = first("#bound"), fields = form.elements;
  const listed = (item) => ({
    item, row: item.dataset.row, rank: item.value, camera: item.dataset.camera, percent: Number(item.dataset.percent),
    distance: Number(item.dataset.distance), far: item.classList.contains("far"), hidden: false,
  });
  const unlisted = ([row, rank, distance, percent, chance, correct, near, link]) => ({
    item: null, row: String(row), rank, camera: String(waiting.seen[row][0]), percent, distance, chance, correct, far: near === false, link, hidden: false,
  });
  const cards = all(".query").map((card) => {
    const numbers = waiting.answers[card.id.slice(1)];
    const answers = numbers ? numbers.map(unlisted) : all(".answer", card).map(listed);
    return { card, text: first(".about", card).textContent.toLowerCase(), none: first(".none", card), best: answers[0]?.distance ?? Infinity, answers };
  });
  const byCard = new Map(cards.map((each) => [each.card, each]));
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
        one.hidden = !shown;
        if (one.item) one.item.hidden = one.hidden;
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
    chosen.replaceChildren(copy(source ?? item(cards.flatMap((each) => each.answers).find((one) => one.row === row))));
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
      const ranks = answers.filter((one) => !one.hidden).map((one) => [one.row, one.rank]);
      if (card.dataset.row) ranks.push([card.dataset.row, "?"]);
      chosen.hidden = true;
      mark(new Map(ranks));
      first(`.bar[data-row="${ranks.at(-1)?.[0]}"]`)?.focus({ preventScroll: true });
      go(timeline);
    });
  }
})();
