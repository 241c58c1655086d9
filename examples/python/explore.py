"""Look at a project step by step, as in a notebook: each `# %%` begins a cell, for editors that run them one by one."""

# %% Load the project. Nothing is asked of a server yet.
from __future__ import annotations

from pathlib import Path

from rvlstate import Project

project = Project.load(Path(__file__).parent)
print(project.name, [index.name for index in project.desired.indexes])

# %% What would apply do, and what would it cost?
plan = project.plan()
for index in plan.indexes:
    print(f"{index.name:12} {index.action:8} {index.classification or '-':10} documents: {index.impact.documents}")
    for change in index.changes:
        print(f"    {change.address}: {change.before} -> {change.after} ({change.classification}) {change.reason}")

# %% Step by step, with the commands that would be sent.
for step in plan.steps:
    print(step.id, step.operation.summary, list(step.operation.commands))

# %% Carry it out, and keep the events to look at.
events: list[str] = []
report = project.apply(plan, on_event=lambda event: events.append(type(event).__name__))
print(report.result, f"{len(report.steps)} steps", sorted(set(events)))

# %% Has anybody changed an index by hand?
drift = project.drift()
print("drift:", [(item.name, [change.address for change in item.changes]) for item in drift.indexes])
print("unmanaged:", list(drift.unmanaged))

# %% What would undo that? `project.apply(repair.plan, options=ApplyOptions(reviewed=True))` carries it out.
repair = project.propose_repair(drift)
print("repair:", [step.operation.summary for step in repair.plan.steps] if repair.plan else None, list(repair.left))

# %% What was done before?
for run in project.history():
    print(run.operation, run.result, f"{run.steps_done} of {run.steps_total} steps")

# %% Without a server: what would the declared set do to a state that was saved?
saved = Path(__file__).parent / "state.json"
saved.write_text(project.pull_state(), encoding="utf-8")
print("offline:", [index.action for index in project.plan_against(saved).indexes])

# %% Close the sockets.
project.close()
