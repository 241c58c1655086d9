"""Plan files: read back as the very same plan, or refused with the reason; written whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from render_cases import CASES, in_place, shadow_alias

from rvlstate.errors import PlanFileError, SpecError
from rvlstate.files.plan_file import dump_plan, load_plan, save_plan
from rvlstate.model.fingerprint import fingerprint
from rvlstate.plan.plan import Plan


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_plan_that_is_saved_and_loaded_is_equal_to_itself(case: Callable[[], Plan], tmp_path: Path) -> None:
    """Law 4: the round trip is equality, for the value and for the bytes."""
    file, plan = tmp_path / "plan.json", case()
    save_plan(file, plan)
    assert load_plan(file) == plan
    assert dump_plan(load_plan(file)) == file.read_text()


def test_the_same_plan_made_twice_gives_the_same_bytes() -> None:
    """Nothing in a plan file depends on when or where it was written, but for created_at, which is given here."""
    assert dump_plan(shadow_alias()) == dump_plan(shadow_alias())


def test_only_the_owner_can_read_a_plan_file(tmp_path: Path) -> None:
    """A plan tells the names of all indexes, so it is kept private, whatever the umask."""
    file = tmp_path / "plan.json"
    before = os.umask(0)
    try:
        save_plan(file, in_place())
    finally:
        os.umask(before)
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_plan_file_that_is_there_is_replaced_and_nothing_else_is_left_behind(tmp_path: Path) -> None:
    """Saving again ends with the one file."""
    file = tmp_path / "plan.json"
    save_plan(file, in_place())
    save_plan(file, shadow_alias())
    assert load_plan(file) == shadow_alias()
    assert [path.name for path in tmp_path.iterdir()] == ["plan.json"]


def test_a_plan_is_not_written_over_a_folder_or_a_pipe(tmp_path: Path) -> None:
    """Only a file is ever replaced."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for target in (tmp_path, pipe):
        with pytest.raises(PlanFileError, match="not a file"):
            save_plan(target, in_place())
    assert pipe.is_fifo()


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    """The error names the file."""
    with pytest.raises(SpecError, match="cannot be written"):
        save_plan(tmp_path / "missing" / "plan.json", in_place())


def _edited(data: dict[str, object]) -> str:
    data["steps"] = []
    return json.dumps(data)


def _without_checksum(data: dict[str, object]) -> str:
    del data["checksum"]
    return json.dumps(data)


def _of_a_later_format(data: dict[str, object]) -> str:
    data["format_version"] = "2.0"
    data["rvlstate_version"] = "9.1.0"
    return json.dumps(data)


DAMAGES: dict[str, tuple[Callable[[dict[str, object]], str], str]] = {
    "edited": (_edited, "changed after it was made"),
    "without its checksum": (_without_checksum, "changed after it was made"),
    "of a later format": (_of_a_later_format, "'2.0', written by rvlstate 9.1.0"),
    "of no format": (lambda data: json.dumps({**data, "format_version": None}), "format_version None"),
    "cut off": (lambda data: json.dumps(data)[:500], "not a plan file"),
    "empty": (lambda _: "", "not a plan file"),
    "another JSON": (lambda _: '{"a": 1}', "not a plan file"),
    "a list": (lambda _: "[1, 2]", "not a plan file"),
    "nested without end": (lambda _: "[" * 200_000, "not a plan file"),
    "a number": (lambda _: "1" * 5_000, "not a plan file"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_file_that_is_not_a_whole_plan_is_refused_with_the_reason(damage: str, tmp_path: Path) -> None:
    """Each kind of damage has its message, which names the file and what to do."""
    spoil, message = DAMAGES[damage]
    file = tmp_path / "plan.json"
    file.write_text(spoil(json.loads(dump_plan(in_place()))))
    with pytest.raises(PlanFileError, match=message) as caught:
        load_plan(file)
    assert str(file) in str(caught.value)
    assert caught.value.next_step
    assert caught.value.exit_code == 1


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    """Bytes that are no UTF-8 are not a plan."""
    file = tmp_path / "plan.json"
    file.write_bytes(b"\xff\xfe\x00{")
    with pytest.raises(PlanFileError, match="not a plan file"):
        load_plan(file)


def test_a_missing_file_and_a_folder_are_told_apart_from_a_bad_plan(tmp_path: Path) -> None:
    """What is not there is not called damaged."""
    with pytest.raises(PlanFileError, match="no such plan file"):
        load_plan(tmp_path / "nothing.json")
    with pytest.raises(PlanFileError, match="cannot be read"):
        load_plan(tmp_path)


def test_a_plan_with_a_good_checksum_that_this_version_does_not_know_is_refused(tmp_path: Path) -> None:
    """A step that a later version added is not skipped."""
    data = json.loads(dump_plan(in_place()))
    del data["checksum"]
    data["steps"][0]["operation"] = "teleport_index"
    file = tmp_path / "plan.json"
    file.write_text(json.dumps({**data, "checksum": fingerprint(data)}))
    with pytest.raises(PlanFileError, match="cannot be read"):
        load_plan(file)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda steps: steps.pop(0), "needs .*, which does not come before it"),
        (lambda steps: steps.reverse(), "which does not come before it"),
        (lambda steps: steps.append(steps[0]), "there are two steps"),
    ],
)
def test_steps_that_are_no_sequence_are_refused(
    spoil: Callable[[list[object]], object], message: str, tmp_path: Path
) -> None:
    """A step without one that it needs could not even be shown; its checksum may hold all the same."""
    data = json.loads(dump_plan(shadow_alias()))
    del data["checksum"]
    spoil(data["steps"])
    file = tmp_path / "plan.json"
    file.write_text(json.dumps({**data, "checksum": fingerprint(data)}))
    with pytest.raises(PlanFileError, match=message):
        load_plan(file)
