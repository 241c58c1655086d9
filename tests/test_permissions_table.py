"""The table of commands is whole: nothing is sent that is not in it, and nobody is given what nothing sends."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest
from test_unions import planned_operations

from rvlstate.plan.commands import (
    FORMS,
    KEY,
    OPTIONAL,
    READING,
    READING_A_CLUSTER,
    WORKING,
    checking,
    copying,
    looking,
    tidying,
)
from rvlstate.plan.grants import HINTING, commands_of
from rvlstate.plan.rights import PARTS, beside_documents, pattern, tag_of
from rvlstate.runtime.documents.beside import Beside
from rvlstate.runtime.state_keys import StateKeys

BOTH = ("hash", "json")
SCRIPTS = ("rvlstate.runtime.scripts", "rvlstate.runtime.documents.scripts")
CALL = re.compile(r"redis\.p?call\('([A-Za-z.]+)'")


def asked_for() -> set[str]:
    """What all operations of all plan cases ask for."""
    operations = [operation for some in planned_operations().values() for operation in some]
    return {command for operation in operations for command in operation.permissions}


def called() -> set[str]:
    """What the scripts call."""
    texts = [path.read_text() for name in SCRIPTS for path in files(name).iterdir() if path.name.endswith(".lua")]
    return {command for text in texts for command in CALL.findall(text)}


def test_every_command_of_a_script_may_be_run_by_who_applies() -> None:
    """The server looks at the rights of the user within scripts too."""
    assert len(called()) > 30
    assert called() - set(commands_of("apply", BOTH, documents=True)) == set()


def test_every_operation_may_be_carried_out_by_who_applies() -> None:
    """What is asked for before a plan is carried out is what is given."""
    assert asked_for() - set(commands_of("apply", BOTH, documents=True)) == set()


def test_nobody_is_given_what_nothing_asks_for() -> None:
    """Each command of the user for apply is asked for by an operation, needed for state or connection, or optional."""
    looks = {name for before in BOTH for after in BOTH for name in looking(before, after)}
    json = {*copying("json", "json", moves=True), *checking("hash", neighbours=True)}
    used = {*asked_for(), *json, *READING, *WORKING, *READING_A_CLUSTER, *OPTIONAL, *looks, *tidying()}
    assert set(commands_of("apply", BOTH, documents=True)) - used == set()


def test_every_command_has_a_form_to_be_asked_about() -> None:
    """With a key where it works on one."""
    assert set(commands_of("apply", BOTH, documents=True)) | set(HINTING) - {"PSUBSCRIBE"} <= FORMS.keys()
    for name, form in FORMS.items():
        assert (KEY in form.arguments) == (form.on != ("server",)), name


def test_whoever_changes_indexes_alone_writes_no_document() -> None:
    """Neither a script over documents nor a command that writes one is given."""
    narrow = set(commands_of("apply", BOTH, documents=False))
    assert not narrow & {"EVALSHA", "HSET", "HDEL", "JSON.SET", "JSON.DEL", "RENAME", "COPY", "SCAN"}


@pytest.mark.parametrize("role", ["plan", "drift"])
def test_a_reader_has_no_command_that_writes(role: str) -> None:
    """Not even scripts that could, had the user the right to."""
    commands = set(commands_of("plan" if role == "plan" else "drift", BOTH, documents=True))
    assert not commands & {"EVAL", "SET", "DEL", "HSET", "XADD", "FT.CREATE", "FT.DROPINDEX", "FT.ALTER"}


def test_the_patterns_are_of_the_keys_that_there_are() -> None:
    """Those of the state, and those beside documents."""
    keys = StateKeys("shop")
    names = {keys.state, keys.lock, keys.fence, keys.control, keys.events, keys.history, keys.run("0")}
    assert {tag_of("shop") + part for part in PARTS} == names
    beside = Beside(project="shop", rewrite="r", clustered=True)
    assert all(key.decode().startswith(beside_documents("shop")[0]) for key in (beside.marks(7), beside.scratch(7)))


@pytest.mark.parametrize(
    ("text", "rule"),
    [("a*[b]?", r"a\*\[b\]\?"), ("two words", "two?words"), ("é", "??"), ('say "no"', "say??no?"), ("", "")],
)
def test_a_pattern_is_of_one_name(text: str, rule: str) -> None:
    """What no rule can hold stands for any byte."""
    assert pattern(text) == rule
