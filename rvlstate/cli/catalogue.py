"""The commands: their modules and what they do in one sentence, known without importing any of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """A command: the module of this package that holds it as `command`, and its short help."""

    module: str
    help: str


COMMANDS: dict[str, Entry] = {
    "init": Entry("init", "Write a project file, a sample schema and CI templates."),
    "validate": Entry("validate", "Check the project file and all schema files, offline."),
    "schema": Entry("schema", "Print the JSON Schema of a file or of an output."),
    "plan": Entry("plan", "Compare declared, applied and live, and show what would be done."),
    "apply": Entry("apply", "Carry out a plan, after asking."),
    "cutover": Entry("cutover", "Lead a name to the new index that is ready for it."),
    "complete": Entry("complete", "Give up the old index of a change, and bring it to its end."),
    "rollback": Entry("rollback", "Take a change back, after asking."),
    "watch": Entry("watch", "Go on converting what is written in the old layout."),
    "drift": Entry("drift", "Show what others changed on the server since the last apply."),
    "status": Entry("status", "Show where every index stands and what to do next."),
    "pause": Entry("pause", "Have the run in progress wait at its next safe place."),
    "resume": Entry("resume", "Have a paused run go on."),
    "throttle": Entry("throttle", "Limit the documents a second of the run in progress."),
    "abort": Entry("abort", "Stop the run in progress, and say how to go on."),
    "import": Entry("importing", "Take live indexes into management and write their schemas."),
    "history": Entry("history", "Show past runs, or the report of one."),
    "graph": Entry("graph", "Draw the steps of the plan."),
    "comment": Entry("comment", "Post a plan as the comment of a pull request."),
    "state": Entry("state", "Show, save or rebuild the recorded state."),
    "unlock": Entry("unlock", "Take the lock away from a run that is known to be dead."),
    "acl": Entry("acl", "Print users with just the rights that rvlstate needs."),
    "server": Entry("server", "Start, stop or look at the embedded server."),
    "demo": Entry("demo", "Play the whole story on an embedded server with real data."),
}
"""In the order in which the help shows them."""
