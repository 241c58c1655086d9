"""Pages as values: one file that needs nothing, the layout of the graph, drawings over time, and the commands."""

from __future__ import annotations

import base64
import hashlib
import html
import itertools
import re
from dataclasses import replace

import pytest
from cli_kit import Cli
from hypothesis import given
from hypothesis import strategies as st
from page_cases import PAGES, usual
from render_cases import CASES
from run_cases import BEGAN, EVENTS, STEPS, event, failed, progress, step, summary, went_well
from view_kit import OFFER, patient

from rvlstate.plan.operations import DropAlias
from rvlstate.plan.plan import Step
from rvlstate.runtime.run_report import Event, RunReport
from rvlstate.views.html_charts import Sample, ceiling, clock, plot
from rvlstate.views.html_elements import Html, element
from rvlstate.views.html_graph import LANES_DRAWN, lanes_drawn, lay_out
from rvlstate.views.html_plan import render_plan_page
from rvlstate.views.html_run import render_run_page
from rvlstate.views.html_timeline import NOTHING_TO_PLOT, gantt
from rvlstate.views.run_points import points_of

pytest_plugins = ("cli_fixtures",)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_needs_nothing_and_allows_nothing(name: str) -> None:
    """Only its own style, by its digest; no script, no address that a browser would fetch; the same bytes each time."""
    page = PAGES[name]()
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    assert policy in page.replace("&#x27;", "'")
    assert "url(" not in style
    assert "@import" not in style
    assert re.findall(r"<(?:script|img|iframe|object|form|a)\b", page) == []
    assert re.findall(r'\s(?:src|href|action|xlink:href|style)="(?!data:,")', page) == []
    assert page == PAGES[name]()


def test_text_is_escaped_wherever_it_stands() -> None:
    """In an element and in an attribute; only what we made ourselves is markup."""
    made = element(
        "p", "<b>", Html("<i>x</i>"), ["&", None, "'"], class_='a"b', hidden=True, title=None, tabindex=False
    )
    assert made.markup == '<p class="a&quot;b" hidden>&lt;b&gt;<i>x</i>&amp;&#x27;</p>'


@st.composite
def ordered(draw: st.DrawFn) -> tuple[Step, ...]:
    """Steps in an order in which all that a step needs comes before it."""
    number = draw(st.integers(1, 14))
    return tuple(
        Step(
            id=f"s{place}",
            index="a",
            operation=DropAlias(name="a", physical="b"),
            needs=tuple(sorted(draw(st.sets(st.sampled_from([f"s{n}" for n in range(place)]), max_size=4))))
            if place
            else (),
        )
        for place in range(number)
    )


@patient
@given(steps=ordered())
def test_every_need_is_a_lane_from_one_node_to_the_other(steps: tuple[Step, ...]) -> None:
    """A lane that begins at a step passes all rows until the last one that needs it, and touches just those that do."""
    rows = lay_out(steps)
    assert [row.step for row in rows] == [step.id for step in steps]
    for place, row in enumerate(rows):
        waiting = [later for later in range(place + 1, len(steps)) if row.step in steps[later].needs]
        assert (row.begins is not None) == bool(waiting)
        if row.begins is None:
            continue
        for later in range(place + 1, waiting[-1] + 1):
            assert (row.begins in rows[later].ends) == (later in waiting)
            assert (row.begins in rows[later].passing) == (later != waiting[-1])
            assert rows[later].begins != row.begins or later == waiting[-1]
            assert rows[later].node != row.begins or later in waiting
    for above, below in itertools.pairwise(rows):
        leaves = {*above.passing, *([] if above.begins is None else [above.begins])}
        assert leaves == {*below.passing, *below.ends}
    assert 1 <= lanes_drawn(rows) <= LANES_DRAWN


def test_the_page_of_a_plan_tells_all_of_it() -> None:
    """Every step with its undo and its commands, every change, every hazard, the costs and the command to run."""
    plan = usual()
    page = render_plan_page(plan, OFFER)
    text = re.sub(r"<[^>]+>", "", page).replace("&gt;", ">").replace("&#x27;", "'").replace("&quot;", '"')
    for one in plan.steps:
        assert one.operation.summary in text
        assert one.operation.undo in text
        assert all(command in text for command in one.operation.commands)
    assert all(hazard.message in text for hazard in plan.hazards)
    for words in ("ef_construction 200 -> 400", "search downtime: none", "rvlstate apply --allow DELETES_INDEX"):
        assert words in text
    assert page.count('class="node') == len(plan.steps)


def test_the_page_of_a_run_tells_all_of_it() -> None:
    """Steps, gates, documents that were left, estimates, plots of throughput and latency with what held it back."""
    page = render_run_page(went_well(), EVENTS)
    assert all(html.escape(one.summary) in page for one in STEPS)
    for words in ("embedding overlap@10", "0.997", "product:000412", "2 of 14", "8.1 GiB", "7.8 GiB", "97%"):
        assert words in page
    assert page.count('class="curve"') == 4
    assert "median 4,896" in page
    assert "Held back where the band is: server answers in 38 ms." in page
    assert "staging, then catching up" in page


def test_a_run_without_progress_says_why_there_is_no_plot() -> None:
    """The stream of events is capped, and short runs tell little."""
    page = render_run_page(went_well())
    assert 'class="curve"' not in page
    assert NOTHING_TO_PLOT in page


def test_documents_that_several_steps_came_upon_are_counted_once() -> None:
    """The rewrite leaves them, the settling finds them again; a rehearsal leaves nothing."""
    figures = {"documents_bad": 5.0}
    names = ("rehearse_rewrite", "rewrite_documents", "settle_documents")
    steps = tuple(step(place, name, 0, 1, operation=name, figures=figures) for place, name in enumerate(names))
    assert '<dt>Left as they were</dt><dd class="warn">5</dd>' in render_run_page(RunReport(run=summary(), steps=steps))


def test_a_rate_that_is_not_known_yet_is_not_drawn_as_none() -> None:
    """The first note of a phase has no rate: the curve does not begin at the bottom."""
    first = event(7, "step_progressed", step="products/3", phase="staging", documents_per_second="0")
    told = [event(0, "run_started"), first, *progress("products/3", "staging", 11, 31, 100, whole=1_000)]
    assert re.search(r'points="0.00,(\d+)', render_run_page(went_well(), told)).group(1) != "100"  # type: ignore[union-attr]


def test_points_know_when_the_run_began_even_if_the_stream_lost_it() -> None:
    """The first event of the run tells; else a step that began, whose report knows how long after the run that was."""
    told = progress("products/3", "staging", 7.0, 27.0, 100, whole=1_000)
    begun = event(6.8, "step_running", step="products/3")
    for events in ([event(0, "run_started"), begun, *told], [begun, *told]):
        assert [round(point.at, 2) for point in points_of(events, STEPS)["products/3"]] == [7, 11, 15, 19, 23, 27]
    assert points_of(told, STEPS)["products/3"][0].at == 0


@patient
@given(
    data=st.dictionaries(
        st.sampled_from(["step", "phase", "done", "total", "documents_per_second", "why", "latency_ms"]), st.text()
    ),
    at=st.text(max_size=20),
)
def test_a_damaged_journal_breaks_no_page(data: dict[str, str], at: str) -> None:
    """A journal is a hint, written by anybody who may write to Redis."""
    told = Event(id=at, at=at, run="r", kind="step_progressed", data={**data, "step": "products/1"})
    report = RunReport(run=summary(seconds=0.0), steps=(step(1, "x", 0.0, 0.0),))
    assert render_run_page(report, (told,) * 4).endswith("</html>\n")


@pytest.mark.parametrize(
    ("value", "top"), [(0, 1), (0.7, 0.8), (1, 1), (1.2, 1.5), (11_660, 15_000), (32_844, 40_000), (99_999, 100_000)]
)
def test_an_axis_ends_at_a_round_number(value: float, top: float) -> None:
    """The next one from the highest value on."""
    assert ceiling(value) == pytest.approx(top)


@pytest.mark.parametrize(
    ("seconds", "whole", "shown"),
    [
        (0.041, 0.3, "0.04 s"),
        (1.25, 8, "1.2 s"),
        (61, 100, "61 s"),
        (185, 462, "3:05"),
        (7_800, 9_000, "2:10:00"),
        (5, 9_000, "0:00:05"),
    ],
)
def test_times_on_an_axis_are_as_exact_as_it_is_long(seconds: float, whole: float, shown: str) -> None:
    """Hundredths, tenths, seconds, minutes or hours."""
    assert clock(seconds, whole) == shown


def test_the_ends_of_a_short_curve_in_a_long_run_differ() -> None:
    """Two ticks within the same second would have the same name."""
    samples = [Sample(at=3_725.0 + at, value=1.0) for at in range(4)]
    drawn = plot(samples, whole=7_200.0, label="x", unit=str).markup
    assert re.findall(r"<span>(1:[^<]+)</span>", drawn) == [
        "1:02:05.0",
        "1:02:05.8",
        "1:02:06.5",
        "1:02:07.2",
        "1:02:08.0",
    ]


def test_a_point_without_a_phase_is_of_the_phase_before_it() -> None:
    """A note between two others of the same phase makes no new phase of it, nor a new bar."""
    steps = (step(1, "stage", 0.0, 6.0),)
    phases = enumerate(("a", "", "a", "b", ""), start=1)
    told = [event(at, "step_progressed", step=steps[0].id, phase=phase) for at, phase in phases]
    drawn = gantt(steps, points_of([event(0, "run_started"), *told], steps), 6.0).markup
    assert "(a, then b)" in drawn
    assert drawn.count('class="bar"') + drawn.count('class="bar other"') == 2 + 1  # and one in the legend


def test_the_gate_of_every_new_index_is_told() -> None:
    """Also of one without declared checks: the documents of the old index and of the new one."""
    figures = {"documents": 19_999.0, "documents_before": 20_000.0, "indexing_failures": 0.0}
    report = replace(went_well(), steps=(step(1, "verify a@2", 0.0, 1.0, figures=figures),))
    gates = render_run_page(report).partition(">Gates<")[2].partition("</section>")[0]
    assert "20,000, then 19,999" in gates


def test_a_run_that_was_stopped_went_not_wrong() -> None:
    """Who stops a run on request reads why it stopped."""
    stopped = replace(failed(), run=replace(failed().run, result="interrupted"))
    assert "What went wrong" in render_run_page(failed())
    assert "What went wrong" not in render_run_page(stopped)
    assert "Why it stopped" in render_run_page(stopped)


def test_a_refused_index_is_among_the_first_figures() -> None:
    """What nobody may miss is at the top, also of a plan that holds nothing else."""
    head = render_plan_page(CASES["refused"](), OFFER).partition("</header>")[0]
    assert re.search(r"<dt>Held back</dt><dd class=.bad.>\d index", head)


def test_a_curve_stays_within_its_frame() -> None:
    """Times become shares from 0 to 100, values from the bottom to the top; bands lie where the run was held back."""
    samples = [Sample(at=10, value=0), Sample(at=15, value=50, held=True), Sample(at=20, value=100)]
    drawn = plot(samples, whole=100, label="x", unit=str).markup
    assert 'points="0.00,100.00 50.00,50.00 100.00,0.00"' in drawn
    assert 'x="50" y="0" width="50"' in drawn


def test_events_begin_with_their_milliseconds() -> None:
    """What the cases are made of is what Redis gives."""
    assert EVENTS[0].id == f"{BEGAN}-0"


def test_plan_and_history_write_pages(cli: Cli) -> None:
    """To standard output, whole; the list of runs has no page, which is an error of usage."""
    planned = cli.run("plan", "--format", "html")
    assert planned.code == 0
    assert planned.out.startswith("<!doctype html>\n")
    assert "create products@1" in planned.out
    cli.applied()
    (told,) = cli.run("history", "--format", "json").data["runs"]
    page = cli.run("history", told["id"], "--format", "html")
    assert page.code == 0
    assert page.out.endswith("</html>\n")
    assert "wait until products@1 is built" in page.out
    assert "rvlstate run of shop" in page.out
    refused = cli.run("history", "--format", "html")
    assert (refused.code, refused.out) == (64, "")
    assert "the id of a run" in refused.err


def test_what_a_run_told_is_kept_with_its_order_and_its_times(cli: Cli) -> None:
    """The events of one run, none of another, from its beginning to its end; its steps know when they began."""
    from rvlstate import Project  # the fixture moves into the project's folder first

    cli.applied()
    cli.declare("categories", "label:tag", "place:geo")
    cli.applied()
    with Project.load(cli.folder / "rvlstate.yaml") as project:
        latest, first = (run.id for run in project.history())
        told, report = project.run_events(latest), project.run(latest)
        assert {event.run for event in told} == {latest}
        assert {event.run for event in project.run_events(first)} == {first}
        assert project.run_events("nope") == ()
    assert [told[0].kind, told[-1].kind] == ["run_started", "run_done"]
    assert report is not None
    assert all(0 <= one.after <= report.run.seconds for one in report.steps)
    assert [one.after for one in report.steps] == sorted(one.after for one in report.steps)
