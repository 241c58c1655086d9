"""Both pages in a real browser without a network: nothing is cut off, all is legible, nothing is asked for or run."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import MISSING, Page, Scheme, find_browser, running_browser
from hostile_texts import FULL
from page_cases import PAGES, many_changed
from view_kit import OFFER

from rvlstate.views.html_plan import render_plan_page

PHONE, DESK = (390, 844), (1280, 900)
SIZES = {"phone": PHONE, "desk": DESK}
SCHEMES: tuple[Scheme, ...] = ("light", "dark")

SIDEWAYS = "document.scrollingElement.scrollWidth - document.documentElement.clientWidth"
CUT_OFF = """[...document.querySelectorAll('body *')].filter(e => {
  if (e.closest('.unseen, thead, svg, details:not([open]) > :not(summary)')) return false;
  const box = e.getBoundingClientRect();
  const wide = e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0 && getComputedStyle(e).display !== 'inline';
  return box.width > 0 && (wide || box.right > innerWidth + 0.5 || box.left < -0.5);
}).map(e => e.tagName + '.' + e.className + ': ' + e.textContent.slice(0, 60))"""
"""What sticks out of the window, or holds more than it shows."""

CONTRAST = """(() => {
  const parse = c => (c.match(/[\\d.]+/g) || []).map(Number);
  const over = (top, below) => {
    const a = top.length > 3 ? top[3] : 1;
    return [0, 1, 2].map(i => top[i] * a + below[i] * (1 - a));
  };
  const back = e => {
    if (!e) return [255, 255, 255];
    const own = parse(getComputedStyle(e).backgroundColor);
    return own.length > 3 && own[3] === 0 ? back(e.parentElement) : over(own, own[3] < 1 ? back(e.parentElement) : own);
  };
  const light = rgb => rgb.map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const found = {};
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement;
    if (!walk.currentNode.textContent.trim() || e.closest('.unseen, thead')) continue;
    let color = parse(getComputedStyle(e).color), opacity = 1;
    for (let at = e; at; at = at.parentElement) opacity *= Number(getComputedStyle(at).opacity);
    const ground = back(e);
    color = over([...color.slice(0, 3), (color[3] ?? 1) * opacity], ground);
    const [a, b] = [light(color), light(ground)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const what = e.tagName + '.' + e.className;
    found[what] = Math.min(found[what] ?? 99, ratio);
  }
  return found;
})()"""
"""The least contrast of the text of each kind of element."""

NODES = """[...document.querySelectorAll('.graph .node')].map(e => {
  const box = e.getBoundingClientRect();
  return [box.left, box.top, box.right, box.bottom];
})"""
OVER_TEXT = """[...document.querySelectorAll('.graph li')].filter(row => {
  const text = row.querySelector('.step').getBoundingClientRect();
  return [...row.querySelectorAll('.rail *')].some(e => e.getBoundingClientRect().right > text.left);
}).length"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A page in a browser."""
    path = find_browser()
    if path is None:
        pytest.skip(MISSING)
    with running_browser(path, tmp_path_factory.mktemp("browser") / "profile") as found:
        yield found


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The pages as files."""
    folder = tmp_path_factory.mktemp("pages")
    found = {name: folder / f"{name}.html" for name in PAGES}
    for name, render in PAGES.items():
        found[name].write_text(render(), encoding="utf-8")
    return found


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_cut_off_or_scrolls_sideways(page: Page, files: dict[str, Path], name: str, size: str) -> None:
    """Also with everything unfolded."""
    width, height = SIZES[size]
    page.open(files[name], width=width, height=height)
    assert page.look("document.body.innerText.length") > 200
    for _ in range(2):
        assert page.look(CUT_OFF) == []
        assert page.look(SIDEWAYS) <= 0
        page.look("document.querySelectorAll('details').forEach(e => e.open = true)")


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", PAGES)
def test_text_has_enough_contrast(page: Page, files: dict[str, Path], name: str, scheme: Scheme) -> None:
    """4.5 to 1 is what WCAG asks for text of this size; the page follows the scheme of the system."""
    page.open(files[name], width=PHONE[0], height=PHONE[1], scheme=scheme)
    page.look("document.querySelectorAll('details').forEach(e => e.open = true)")
    found: dict[str, float] = page.look(CONTRAST)
    assert len(found) > 5
    assert {what: round(ratio, 2) for what, ratio in found.items() if ratio < 4.5} == {}
    ground = page.look("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", ground))) < 200) == (scheme == "dark")


@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_asked_for_and_nothing_runs(page: Page, files: dict[str, Path], name: str) -> None:
    """No request but for the file itself, no message, no exception, no dialog, and no element that could make one."""
    page.open(files[name], width=DESK[0], height=DESK[1])
    asked = [url for url in page.requests if not url.startswith("data:")]
    assert asked == [files[name].as_uri()]
    assert page.told == []
    assert page.look("document.querySelectorAll('script, iframe, object, embed, img, form, a, base').length") == 0
    assert page.look("window.hurt === undefined")
    assert page.look(
        "[...document.querySelectorAll('*')].every(e => [...e.attributes].every(a => !/^on|^style$/i.test(a.name)))"
    )


def test_what_is_injected_would_be_seen(page: Page, tmp_path: Path) -> None:
    """The tests above can fail: without escaping something is told, and a page that is too wide scrolls."""
    file = tmp_path / "bad.html"
    file.write_text(f"<body>{FULL}<p style='width:3000px'>wide</p><p style='color:#999;background:#fff'>pale</p>")
    page.open(file, width=PHONE[0], height=PHONE[1])
    assert page.told
    assert page.look(CUT_OFF)
    assert min(page.look(CONTRAST).values()) < 4.5


@pytest.mark.parametrize("size", SIZES)
def test_the_nodes_of_the_graph_do_not_overlap(page: Page, files: dict[str, Path], size: str) -> None:
    """Each is in a row of its own, also where text wraps; nothing is drawn over the text."""
    width, height = SIZES[size]
    for name in ("plan", "plan_many", "plan_hostile"):
        page.open(files[name], width=width, height=height)
        boxes: list[list[float]] = page.look(NODES)
        assert len(boxes) >= (5 if name == "plan" else 1)
        assert all(one[3] <= two[1] for one, two in itertools.pairwise(boxes))
        assert page.look(OVER_TEXT) == 0


def test_every_arrow_of_the_graph_leads_to_a_node(page: Page, files: dict[str, Path]) -> None:
    """At the end of each row as many lanes leave it as enter the next one, at the same places."""
    page.open(files["plan"], width=PHONE[0], height=PHONE[1])
    script = """[...document.querySelectorAll('.graph .rail')].map(rail => {
      const at = rail.getBoundingClientRect().left, lines = [...rail.querySelectorAll('.lanes *')];
      const leaves = lines.filter(e => e.tagName === 'line').map(e => e.x1.baseVal.value);
      const enters = lines.filter(e => e.tagName === 'line' && e.y1.baseVal.value === 0).map(e => e.x1.baseVal.value)
        .concat(lines.filter(e => e.tagName === 'path' && /^M\\d+ 0C/.test(e.getAttribute('d')))
          .map(e => Number(e.getAttribute('d').match(/^M(\\d+)/)[1])));
      return [[...new Set(enters)].sort(), [...new Set(leaves)].sort()];
    })"""
    rows: list[list[list[int]]] = page.look(script)
    assert rows[0][0] == []
    assert rows[-1][1] == []
    for above, below in itertools.pairwise(rows):
        assert above[1] == below[0]


def test_details_open_with_the_keyboard(page: Page, files: dict[str, Path]) -> None:
    """Tab leads to the first step's details, Enter opens them, and the place of the keyboard is visible."""
    page.open(files["plan"], width=PHONE[0], height=PHONE[1])
    page.press("Tab", 9)
    assert page.look("document.activeElement.tagName") == "SUMMARY"
    assert page.look("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.look("document.activeElement.click()")
    assert page.look("document.activeElement.parentElement.open") is True


def test_a_page_makes_sense_without_eyes(page: Page, files: dict[str, Path]) -> None:
    """One first heading, no level left out, every table with a caption and heads, every drawing hidden or named."""
    for name in PAGES:
        page.open(files[name], width=DESK[0], height=DESK[1])
        levels: list[int] = page.look("[...document.querySelectorAll('h1,h2,h3')].map(e => Number(e.tagName[1]))")
        assert levels.count(1) == 1
        assert all(two - one <= 1 for one, two in itertools.pairwise(levels))
        assert page.look(
            "[...document.querySelectorAll('table')].every(t => t.caption && t.querySelector('th[scope]'))"
        )
        assert page.look("[...document.querySelectorAll('svg')].every(e => e.ariaHidden || e.ariaLabel)")
        assert page.look("document.documentElement.lang") == "en"
        twice = page.look(
            "(ids => ids.length - new Set(ids).size)([...document.querySelectorAll('[id]')].map(e => e.id))"
        )
        assert twice == 0


def test_hundreds_of_indexes_open(page: Page, tmp_path: Path) -> None:
    """300 indexes that change at once are all there."""
    file = tmp_path / "many.html"
    file.write_text(render_plan_page(many_changed(), OFFER), encoding="utf-8")
    page.open(file, width=PHONE[0], height=PHONE[1])
    assert page.look("document.querySelectorAll('article').length") == 300
    assert page.look(SIDEWAYS) <= 0


def test_everything_is_printed(page: Page, files: dict[str, Path]) -> None:
    """Paper cannot be clicked: what is folded on a screen is unfolded, dark becomes light."""
    page.open(files["plan"], width=DESK[0], height=DESK[1], scheme="dark")
    page.send(
        "Emulation.setEmulatedMedia", media="print", features=[{"name": "prefers-color-scheme", "value": "light"}]
    )
    hidden = page.look(
        "[...document.querySelectorAll('details > pre')].filter(e => e.getBoundingClientRect().height < 10).length"
    )
    page.send("Emulation.setEmulatedMedia", media="", features=[])
    assert hidden == 0
