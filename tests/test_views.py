"""Views: what people and scripts are shown.

The renders in cases/render are compared as they are. After a change of a view, write them anew with
`RVLSTATE_RENDER=write pytest tests/test_views.py` and read the difference.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from render_cases import CASES, CATEGORIES, PLACE, PRODUCTS, declared, empty, live, make_plan, plus, unmanaged

from rvlstate import events
from rvlstate.errors import HazardsNotAllowedError, RvlstateError, SpecError
from rvlstate.model.field import UNREVEALED, TagField, Value
from rvlstate.plan.drift import Drift, IndexDrift
from rvlstate.plan.plan import Change, Impact, IndexPlan, Plan
from rvlstate.views.drift import drift_data, render_drift, write_drift
from rvlstate.views.errors import error_data, error_name, error_text
from rvlstate.views.events import event_line, event_name
from rvlstate.views.graph import dot_graph, mermaid_graph
from rvlstate.views.impact_words import impact_words
from rvlstate.views.markdown import cell, code, fence, prose, table
from rvlstate.views.narration import Narrator
from rvlstate.views.paper import Cell, Paper, paper_for, plain_text, write_out
from rvlstate.views.plan_json import plan_data
from rvlstate.views.plan_markdown import render_plan
from rvlstate.views.plan_text import Detail, write_plan
from rvlstate.views.plan_words import Offer, next_words
from rvlstate.views.progress import JsonProgress, LineProgress, LiveProgress, SilentProgress
from rvlstate.views.quantities import count, number, size, span, stopwatch
from rvlstate.views.untrusted import lines_of, printable
from rvlstate.views.values import describe_field, show_value

RENDERS = Path(__file__).parent / "cases" / "render"
OFFER = Offer(allowed=("POSSIBLE_RENAME",), server="redis://redis.example:6379")
WIDTH = 100
patient = settings(deadline=None)  # other work on the machine makes single examples slow


def rendered_text(plan: Plan, *, width: int = WIDTH, detail: Detail | None = None, offer: Offer = OFFER) -> str:
    """The text view of a plan without colours."""
    paper = Paper(width=width)
    write_plan(paper, plan, offer, detail or Detail())
    return plain_text(paper)


def rendered_json(plan: Plan) -> str:
    """The JSON view of a plan."""
    return json.dumps(plan_data(plan), indent=2) + "\n"


def compare(file: Path, text: str) -> None:
    """Compare a text with the file that is kept, or write the file."""
    if os.environ.get("RVLSTATE_RENDER") == "write":
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


# --- plans ---


@pytest.mark.parametrize("name", CASES)
def test_a_plan_is_shown_as_it_was_reviewed(name: str) -> None:
    """Text, markdown and JSON of each case equal the files that were read by eye."""
    plan = CASES[name]()
    compare(RENDERS / name / "plan.txt", rendered_text(plan))
    compare(RENDERS / name / "plan.md", render_plan(plan, OFFER))
    if name != "many":  # a megabyte, which nobody reads; the round trip tests cover it
        compare(RENDERS / name / "plan.json", rendered_json(plan))


def test_every_kept_render_belongs_to_a_case() -> None:
    """A case that was renamed leaves no file behind."""
    assert {folder.name for folder in RENDERS.iterdir()} == {*CASES, "views"}


def test_the_plan_as_json_has_every_key_of_the_contract() -> None:
    """Scripts rely on these names; more may be added."""
    data = plan_data(CASES["shadow_physical"]())
    assert data.keys() >= {
        *("format_version", "project", "created_at", "rvlstate_version", "lineage", "serial", "live_fingerprint"),
        *("desired_fingerprint", "server", "indexes", "steps", "unmanaged", "summary"),
    }
    assert data["format_version"] == "1.0"
    assert data["server"].keys() >= {"redis", "search", "cluster", "capabilities"}
    (index,) = data["indexes"]
    assert index.keys() >= {
        *("name", "action", "classification", "physical", "changes", "drift", "unverifiable", "hazards", "impact"),
    }
    assert index["physical"] == {"before": "products", "after": "{products}@1"}
    assert index["changes"][0].keys() == {"address", "before", "after", "classification", "reason"}
    assert index["hazards"][0].keys() == {"code", "message"}
    assert index["impact"].keys() >= {
        *("documents", "documents_written", "bytes_written", "peak_memory_bytes", "estimated_seconds"),
        "search_downtime_seconds",
    }
    assert data["steps"][0].keys() >= {
        *("id", "index", "operation", "summary", "needs", "hazards", "undo", "commands"),
    }
    assert data["summary"].keys() >= {
        *("create", "update", "delete", "in_place", "backfill", "shadow", "recreate", "refused"),
    }


def test_a_field_that_comes_or_goes_is_an_object_on_one_side() -> None:
    """`before` or `after` is null, the other one holds the type and the attributes."""
    changes = {change["address"]: change for change in plan_data(CASES["shadow_alias"]())["indexes"][0]["changes"]}
    added, removed = changes["products.fields.colour"], changes["products.fields.price"]
    assert (added["before"], added["after"]["type"]) == (None, "tag")
    assert (removed["before"]["type"], removed["after"]) == ("numeric", None)


def test_the_summary_counts_what_the_plan_holds() -> None:
    """Unchanged indexes are counted apart, and a held back one in its class as well."""
    summary = plan_data(CASES["refused"]())["summary"]
    assert (summary["update"], summary["refused"], summary["in_place"], summary["held_back"]) == (2, 1, 1, 1)
    assert plan_data(empty())["summary"]["unchanged"] == 2


def test_hundreds_of_indexes_stay_readable() -> None:
    """300 indexes, of which 100 change in two ways, make less than a hundred lines; -v holds nothing back."""
    plan = CASES["many"]()
    short, whole = rendered_text(plan), rendered_text(plan, detail=Detail(everything=True))
    assert len(short.splitlines()) < 100
    assert "40 indexes alike" in short
    assert "tenant_299" not in short
    assert "200 indexes unchanged" in short
    assert "FT.CREATE tenant_299@1" in whole


def test_a_plan_of_thousands_still_fits_into_a_comment() -> None:
    """A comment holds 65,536 characters: totals and hazards stay, details go, and the text says so."""
    names = [f"tenant_{place:04}" for place in range(2_000)]
    definitions = {name: plus(CATEGORIES, TagField(name=f"own_{name}", identifier="x")) for name in names}
    plan = make_plan([declared(name, definitions[name]) for name in names], [live(name, CATEGORIES) for name in names])
    text = render_plan(plan, OFFER)
    assert len(text) < 65_536
    assert "**2,000 to update (2,000 in place).** 2,000 steps" in text
    assert "Left out for length: the changes of" in text
    assert "the steps" in text


def test_the_command_that_is_offered_can_be_pasted() -> None:
    """Hazards that are allowed already are left out, targets, the project and the plan file are kept."""
    plan = CASES["shadow_physical"]()
    offers = {
        Offer(): "rvlstate apply --allow CUTOVER_GAP --allow MEMORY_PEAK --allow NAME_BECOMES_ALIAS",
        Offer(allowed=("CUTOVER_GAP", "MEMORY_PEAK", "NAME_BECOMES_ALIAS")): "rvlstate apply",
        Offer(program=("rvlstate", "--project", "my shop.yaml"), plan_file="a plan.json"): (
            "rvlstate --project 'my shop.yaml' apply 'a plan.json'"
        ),
    }
    for offer, expected in offers.items():
        assert next_words(plan, offer)[-1].command == expected
    targeted = replace(CASES["in_place"](), targets=("products",))
    assert next_words(targeted, Offer())[-1].command == "rvlstate apply --target products"


def test_nothing_is_offered_for_an_empty_plan() -> None:
    """There is nothing to run."""
    assert next_words(empty(), Offer()) == ()
    assert rendered_text(empty()).endswith("No changes. Live matches the declared set.\n2 indexes unchanged.\n")


# --- names and values that nobody vouches for ---

NAMES = st.text(min_size=1, max_size=40) | st.sampled_from(
    [
        "```",
        "`",
        "``x",
        "|",
        "a\\|b",
        "\\\\|",
        "<img src=x>",
        "@team",
        "#12",
        "# a",
        "1. a",
        "- a",
        "---",
        "\x1b[31mred",
        "[bold]x[/]",
        "a\nb",
        "\u202eabc",
    ]
)


def hostile_plan(name: str, field: str) -> Plan:
    """A plan with a name, a field and a foreign index that were not chosen by friends."""
    wanted = plus(CATEGORIES, TagField(name=field, identifier=field, separator=name[:1]))
    return make_plan([declared(name, wanted)], [live(name, CATEGORIES), unmanaged(f"other {field}")])


@patient
@given(name=NAMES, field=NAMES)
def test_no_name_reaches_the_terminal_as_anything_but_text(name: str, field: str) -> None:
    """Each line of the text view is printable: no control character, escape sequence or bidi mark passes."""
    text = rendered_text(hostile_plan(name, field), detail=Detail(everything=True))
    assert all(line.isprintable() for line in text.split("\n"))


@patient
@given(name=NAMES, field=NAMES)
def test_no_name_is_active_in_markdown(name: str, field: str) -> None:
    """Names start no HTML, link, image, mention or heading, and break out of no table and no fence."""
    tokens = list(_flat(MarkdownIt("commonmark").enable("table").parse(render_plan(hostile_plan(name, field), OFFER))))
    html = [token.content for token in tokens if token.type in ("html_block", "html_inline")]
    assert [line for text in html for line in text.strip().splitlines()] == [
        *("<details>", "<summary>1 step</summary>", "</details>"),
    ]
    kinds = [token.type for token in tokens]
    assert not {"link_open", "image", "em_open_x", "code_block", "hr"} & set(kinds)
    assert kinds.count("heading_open") == 1
    assert kinds.count("fence") == 1
    assert kinds.count("table_open") == 2
    assert kinds.count("td_open") == 6 + 5
    prose_text = "".join(token.content for token in tokens if token.type == "text")
    assert not re.search(r"[@#]\w|://", prose_text)


@patient
@given(name=NAMES)
def test_a_name_shows_as_it_is_in_markdown(name: str) -> None:
    """Escaping is undone by the reader: what is shown is the printable form, as prose, in a cell and in a code span."""
    shown = printable(name)
    parser = MarkdownIt("commonmark").enable("table")
    assert _shown(parser.parse(f"x {prose(name)} x")).replace("\u200b", "") == f"x {shown} x".replace("\u200b", "")
    assert _shown(parser.parse(f"x {code(name)}")).strip().endswith(shown.strip())
    rows = parser.parse("\n".join(table(("a", "b"), [(cell(name), "z")])))
    assert _shown(rows).replace("\u200b", "").replace(" ", "") == f"ab{shown}z".replace(" ", "").replace("\u200b", "")
    item = parser.parse(f"- {prose(f'{name} x')}")
    assert [token.type for token in item] == [
        *("bullet_list_open", "list_item_open", "paragraph_open", "inline"),
        *("paragraph_close", "list_item_close", "bullet_list_close"),
    ]
    (block,) = parser.parse("\n".join(fence([name])))
    assert block.content == f"{shown}\n"


@patient
@given(text=st.text())
def test_printable_text_is_left_alone_and_the_rest_is_escaped(text: str) -> None:
    """`printable` is the identity on harmless text, always gives one printable line, and may be applied again."""
    assert printable(text).isprintable()
    assert printable(printable(text)) == printable(text)
    if text.isprintable():
        assert printable(text) == text


def test_credentials_in_messages_are_masked() -> None:
    """A URL that a library put into its message shows no password."""
    assert lines_of("cannot reach redis://me:secret@host:1\nagain") == ["cannot reach redis://***@host:1", "again"]


def test_names_cannot_break_out_of_a_graph() -> None:
    """Quotes and brackets of a name are escaped in mermaid and in dot."""
    plan = hostile_plan('a"];b\\', "f]")
    mermaid, dot = mermaid_graph(plan), dot_graph(plan)
    assert all(line.count('"') in (0, 2) for line in mermaid.splitlines())
    assert '[label="add f] to a\\"];b\\\\@1"];' in dot


def _flat(tokens: list[Token]) -> list[Token]:
    return [found for token in tokens for found in (token, *_flat(token.children or []))]


def _shown(tokens: list[Token]) -> str:
    return "".join(token.content for token in _flat(tokens) if token.type in ("text", "code_inline"))


# --- values, quantities ---


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "none"),
        (True, "true"),
        (False, "false"),
        (1.0, "1.0"),
        (16, "16"),
        ("float16", "float16"),
        ("", '""'),
        ("none", '"none"'),
        ("a b", '"a b"'),
        ('@x == "y"', "'@x == \"y\"'"),
        ('it\'s "so"', '"it\'s \\"so\\""'),
        (("a:", "b c"), '[a:, "b c"]'),
        ((), "[]"),
        (UNREVEALED, UNREVEALED),
    ],
)
def test_values_are_shown_so_that_they_cannot_be_misread(value: str | None, shown: str) -> None:
    """Text that looks like another value is quoted."""
    assert show_value(value) == shown


def test_a_field_is_described_by_what_is_not_as_by_default() -> None:
    """Defaults are not repeated; where the value comes from is told if it is not the name."""
    attributes: dict[str, Value] = {
        "identifier": "$.t",
        "type": "text",
        "weight": 1.0,
        "no_stem": True,
        "phonetic_matcher": UNREVEALED,
    }
    assert describe_field("t", attributes) == "text, no_stem"
    assert describe_field("other", attributes) == "text, from $.t, no_stem"


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (number(999_999), "999,999"),
        (number(1_250_000), "1.2M"),
        (count(1, "document"), "1 document"),
        (count(0, "index", "indexes"), "0 indexes"),
        (size(0), "0 B"),
        (size(1023), "1023 B"),
        (size(1536), "1.5 KiB"),
        (size(12 << 30), "12 GiB"),
        (span(0.2), "under 1 s"),
        (span(99), "99 s"),
        (span(600), "10 min"),
        (span(3 * 3600), "3 h"),
        (span(5 * 86_400), "5 d"),
        (stopwatch(0.042), "0.04 s"),
        (stopwatch(12.34), "12.3 s"),
        (stopwatch(300), "5 min"),
    ],
)
def test_quantities_read_well(shown: str, expected: str) -> None:
    """Rounded to what a person can use."""
    assert shown == expected


def test_the_impact_tells_memory_time_and_downtime() -> None:
    """Memory is compared with the headroom; without maxmemory that is said."""
    index = IndexPlan(
        name="a",
        action="update",
        classification="shadow",
        physical_before="a@1",
        physical_after="a@2",
        impact=Impact(documents=5_000, index_bytes=1 << 20, peak_memory_bytes=1 << 30, estimated_seconds=90, basis="x"),
    )
    assert impact_words(index) == (
        "5,000 documents",
        "index about 1.0 MiB",
        "server at its peak 1.0 GiB (no maxmemory)",
        "about 90 s",
        "search downtime: none",
    )


# --- colours and widths ---


class Terminal(StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Yes."""
        return True


def test_colours_are_for_terminals_that_want_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe gets none, nor does NO_COLOR, nor --no-color; the text is the same."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    paper = Paper()
    paper.line(Cell(text="[red]products[/red]", style="bold green"))
    assert write_out(paper, StringIO(), color=True) == "[red]products[/red]\n"
    assert write_out(paper, Terminal(), color=False) == "[red]products[/red]\n"
    colored = write_out(paper, Terminal(), color=True)
    assert "\x1b[" in colored
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == "[red]products[/red]\n"
    monkeypatch.setenv("NO_COLOR", "1")
    assert write_out(paper, Terminal(), color=True) == "[red]products[/red]\n"


def test_the_width_is_that_of_the_terminal_or_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Logs are 120 wide unless COLUMNS says otherwise."""
    monkeypatch.delenv("COLUMNS", raising=False)
    assert paper_for(StringIO()).width == 120
    monkeypatch.setenv("COLUMNS", "70")
    assert paper_for(StringIO()).width == 70
    assert paper_for(Terminal()).width == 70


SENTENCES = st.lists(st.text("abcdefghij", min_size=1, max_size=10), min_size=1, max_size=30).map(" ".join)


@patient
@given(width=st.integers(40, 200), text=SENTENCES, subject=st.text("abc ", max_size=30))
def test_sentences_fit_the_width(width: int, text: str, subject: str) -> None:
    """Whatever can be broken at a space stays within the terminal, in a paragraph and in the last column of a row."""
    paper = Paper(width=width)
    paper.paragraph(text, first="  impact: ", rest="    ")
    paper.rows([(Cell(text=subject), Cell(text=text)), (Cell(text="a"), Cell(text="b"))])
    assert all(len(line) <= width for line in plain_text(paper).splitlines())
    assert plain_text(paper).split().count("impact:") == 1


def test_columns_line_up_and_the_last_one_hangs() -> None:
    """A long last cell is wrapped below itself; where there is no room it goes below its row."""
    paper = Paper(width=60)
    row = (Cell(text="+ field a"), Cell(text="tag"), Cell(text="in place: FT.ALTER can append fields to an index"))
    paper.rows([row, (Cell(text="- f"), Cell(text="numeric"), Cell(text=""))])
    assert plain_text(paper) == (
        "  + field a  tag      in place: FT.ALTER can append fields\n"
        "                      to an index\n"
        "  - f        numeric\n"
    )
    narrow = Paper(width=40)
    narrow.rows([row])
    assert plain_text(narrow).splitlines()[1] == "        in place: FT.ALTER can append"


# --- events ---

EVENTS: tuple[events.Event, ...] = (
    events.LockAwaited(holder="Held by apply of me.\nLock id: 7"),
    events.RunStarted(run="r1", project="shop", plan="sha256:1", steps=2, resumes="r0"),
    events.StepStarted(
        step="a/1", index="a", operation="await_build", summary="wait until a@2 is built", number=1, total=2
    ),
    events.StepProgressed(step="a/1", note="500 documents indexed", done=500, total=1000),
    events.CommandRetried(step="a/1", reason="redis://u:pw@h lost", delay=0.25),
    events.StepFinished(step="a/1", seconds=12.5, note="1,000 documents", figures={"documents": 1000.0}),
    events.StepStarted(step="a/2", index="a", operation="point_alias", summary="alias a -> a@2", number=2, total=2),
    events.StepFailed(step="a/2", error="no", cleanup="a@2 was removed again"),
    events.StepSkipped(step="b/1", because="a/2"),
    events.RunFinished(run="r1", result="failed", seconds=13.0),
)


def test_the_sample_holds_every_kind_of_event() -> None:
    """A new event needs its line in this test."""
    assert {type(event) for event in EVENTS} == set(get_args(events.Event))


def test_event_names_are_stable() -> None:
    """Scripts that read the log rely on these."""
    assert [event_name(kind) for kind in get_args(events.Event)] == [
        *("lock_awaited", "run_started", "step_started", "step_progressed", "step_finished", "step_failed"),
        *("step_skipped", "command_retried", "run_finished"),
    ]


def test_the_json_log_is_one_object_a_line() -> None:
    """Every event is written at once with its name, its time and its own fields."""
    written: list[str] = []
    with JsonProgress(write=written.append, now=lambda: "2026-05-15T10:00:00Z") as progress:
        for event in EVENTS:
            progress(event)
    lines = [json.loads(line) for line in written]
    assert all(line.endswith("\n") and line.count("\n") == 1 for line in written)
    assert [line["event"] for line in lines] == [event_name(type(event)) for event in EVENTS]
    assert lines[5] == {
        "event": "step_finished",
        "time": "2026-05-15T10:00:00Z",
        "step": "a/1",
        "seconds": 12.5,
        "note": "1,000 documents",
        "figures": {"documents": 1000.0},
    }


def test_text_of_others_cannot_break_a_line_of_the_json_log() -> None:
    """Line breaks and controls are escaped by JSON itself."""
    event = events.StepStarted(step="a\n/1", index="a", operation="x", summary="\x1b[31m\u2028", number=1, total=1)
    assert event_line(event, "t").isascii()
    assert event_line(event, "t").count("\n") == 1


def test_a_log_tells_steps_and_throttles_progress() -> None:
    """A step's beginning at once, progress every ten seconds, its end if it took a second; retries only if wordy."""
    now = 0.0
    written: list[str] = []
    progress = LineProgress(write=written.append, clock=lambda: now, narrator=Narrator())
    for event in EVENTS[:3]:
        progress(event)
    for second in range(31):
        now = float(second)
        progress(replace(EVENTS[3], note=f"{second} s"))  # type: ignore[arg-type]
    for event in EVENTS[4:]:
        progress(event)
    assert "".join(written) == (
        "waiting for the lock\n"
        "    Held by apply of me.\n"
        "    Lock id: 7\n"
        "run r1 of project shop: 2 steps, going on from the interrupted run r0\n"
        "1/2  wait until a@2 is built\n"
        "1/2      50%  10 s\n"
        "1/2      50%  20 s\n"
        "1/2      50%  30 s\n"
        "1/2  wait until a@2 is built  12.5 s  1,000 documents\n"
        "2/2  alias a -> a@2\n"
        "2/2  alias a -> a@2  failed\n"
        "    a@2 was removed again\n"
        "b/1  skipped, because this failed: alias a -> a@2\n"
    )


def test_a_wordy_log_has_commands_and_retries() -> None:
    """-v adds the Redis commands of each step, and what was tried again, without credentials."""
    written: list[str] = []
    narrator = Narrator(wordy=True, commands={"a/2": ("FT.ALIASUPDATE a a@2",)})
    progress = LineProgress(write=written.append, clock=lambda: 0.0, narrator=narrator)
    for event in EVENTS:
        progress(event)
    text = "".join(written)
    assert "     > FT.ALIASUPDATE a a@2\n" in text
    assert "      again in 0.25 s: redis://***@h lost\n" in text


def test_a_terminal_gets_a_bar_and_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps that ended stay as lines; the cursor is shown again even if the run breaks off."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    terminal = Terminal()

    def run() -> None:
        with LiveProgress(stream=terminal, narrator=Narrator()) as progress:
            for event in EVENTS:
                progress(event)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()
    text = terminal.getvalue()
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    assert "wait until a@2 is built  12.5 s  1,000 documents" in plain
    assert "b/1  skipped" in plain


def test_silence_is_silent() -> None:
    """-q: every event is taken and nothing is written."""
    with SilentProgress() as progress:
        for event in EVENTS:
            progress(event)


# --- errors ---


def test_an_error_tells_what_where_why_and_what_next() -> None:
    """As text in lines that a terminal shows, without credentials."""
    error = SpecError("bad \x1b[31mkey", file="a.yaml", line=3, why="See redis://u:p@h.", next_step="mend it.")
    assert error_text(error) == "Error: a.yaml:3: bad \\x1b[31mkey\n  See redis://***@h.\n  Next: mend it.\n"


def test_an_error_as_json_has_its_kind_its_parts_and_its_exit_code() -> None:
    """Data of the kind is added under its own names."""
    data = error_data(HazardsNotAllowedError(("DELETES_INDEX",), ("! gone",)), "now")
    assert (data["event"], data["error"], data["exit_code"]) == ("error", "hazards_not_allowed", 3)
    assert data["codes"] == ("DELETES_INDEX",)
    assert data["next"].startswith("rvlstate apply --allow DELETES_INDEX")


def test_every_error_has_its_own_name_in_json() -> None:
    """Scripts tell errors apart by it."""

    def below(kind: type[RvlstateError]) -> list[type[RvlstateError]]:
        return [kind, *(deeper for child in kind.__subclasses__() for deeper in below(child))]

    kinds = {kind for kind in below(RvlstateError) if kind.__module__ == "rvlstate.errors"}
    assert len({error_name(kind) for kind in kinds}) == len(kinds)
    assert error_name(SpecError) == "spec"


# --- the other views ---


def drifted() -> Drift:
    """One index that was changed by hand, with a note, and one of somebody else."""
    changes = (
        Change(
            address="a.fields.b.c.sortable",
            before=False,
            after=True,
            classification=None,
            reason="changed outside rvlstate",
        ),
        Change(address="a.index.prefixes", before=("a:",), after=("a:", "b:"), classification=None, reason="changed"),
        Change(address="a.physical", before="a@1", after=None, classification=None, reason="the index was dropped"),
    )
    return Drift(
        project="shop",
        indexes=(IndexDrift(name="a", physical="a@1", changes=changes, notes=("cause: @someone did it",)),),
        unmanaged=("legacy idx",),
    )


DRIFTS: dict[str, Callable[[], Drift]] = {
    "drift": drifted,
    "no_drift": lambda: Drift(project="shop"),
    "drift_in_progress": lambda: Drift(project="shop", in_progress="Held by apply of me on host.\nLock id: 7"),
}


@pytest.mark.parametrize("name", DRIFTS)
def test_drift_is_shown_as_it_was_reviewed(name: str) -> None:
    """Text, markdown and JSON."""
    drift, paper = DRIFTS[name](), Paper(width=WIDTH)
    write_drift(paper, drift, OFFER)
    compare(RENDERS / "views" / f"{name}.txt", plain_text(paper))
    compare(RENDERS / "views" / f"{name}.md", render_drift(drift))
    compare(RENDERS / "views" / f"{name}.json", json.dumps(drift_data(drift), indent=2) + "\n")


def test_the_graph_of_a_plan_is_shown_as_it_was_reviewed() -> None:
    """Mermaid and dot have a box for each index, an arrow for each need, and dash what cannot be undone."""
    plan = make_plan(
        [declared("products", plus(PRODUCTS, PLACE), depends_on=("topics",)), declared("topics", CATEGORIES)],
        [live("products", PRODUCTS), live("old", CATEGORIES)],
    )
    mermaid, dot = mermaid_graph(plan), dot_graph(plan)
    compare(RENDERS / "views" / "graph.mmd", mermaid)
    compare(RENDERS / "views" / "graph.dot", dot)
    needs = sum(len(step.needs) for step in plan.steps)
    arrow = re.compile(r"^  s\d+ --?> s\d+;?$", re.MULTILINE)
    assert len(arrow.findall(mermaid)) == len(arrow.findall(dot)) == needs
