"""The plans and runs whose pages are looked at: usual, many, hostile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from hostile_texts import FULL
from render_cases import BIG, CASES, CATEGORIES, PLACE, PRODUCTS, REBUILT, declared, live, make_plan, plus, unmanaged
from run_cases import EVENTS, failed, hostile, hostile_events, went_well
from view_kit import OFFER

from rvlstate.model.field import TagField
from rvlstate.plan.hazards import Hazard
from rvlstate.plan.plan import Plan
from rvlstate.views.html_plan import render_plan_page
from rvlstate.views.html_run import render_run_page


def usual() -> Plan:
    """Some of everything: two indexes wait for another one, one goes, one comes."""
    stores, tags = replace(PRODUCTS, prefixes=("store:",)), replace(CATEGORIES, prefixes=("tag:",))
    return make_plan(
        [
            declared("products", REBUILT, depends_on=("categories",)),
            declared("categories", plus(CATEGORIES, PLACE)),
            declared("stores", stores, depends_on=("categories", "products")),
            declared("tags", tags),
        ],
        [
            live("products", PRODUCTS, BIG),
            live("categories", CATEGORIES),
            live("old", replace(CATEGORIES, prefixes=("old:",))),
        ],
    )


def many_changed(number: int = 300, text: str = "") -> Plan:
    """So many indexes that all change, each in a way of its own; `text` is part of every name."""
    names = [f"tenant_{place:03}{text}" for place in range(number)]
    tenants = {name: replace(CATEGORIES, prefixes=(f"{name}:",)) for name in names}
    fields = [TagField(name=f"{name}_f", identifier=f"{name}_f") for name in names]
    plan = make_plan(
        [declared(name, plus(tenants[name], field)) for name, field in zip(names, fields, strict=True)],
        [live(name, tenants[name]) for name in names],
    )
    hazard = Hazard(code="LOSES_PRECISION", message=f"vectors {text} are rounded.")
    return replace(plan, indexes=tuple(replace(index, hazards=(hazard,)) for index in plan.indexes))


def hostile_plan(name: str, field: str = "") -> Plan:
    """A plan in which others chose every name, and every sentence that may hold one."""
    field = field or name
    wanted = plus(CATEGORIES, TagField(name=field, identifier=field, separator=name[:1]))
    second = declared(f"second {name}", CATEGORIES, depends_on=(name,))
    plan = make_plan([declared(name, wanted), second], [live(name, CATEGORIES), unmanaged(f"other {field}")])
    return replace(
        plan,
        warnings=(*plan.warnings, f"take care of {field}", field),
        indexes=tuple(
            replace(
                index,
                hazards=(Hazard(code="SHARED_DOCUMENTS", message=f"{name} and {field} share"),),
                notes=(f"note on {field}", name),
                refused=(f"{field} cannot be",),
                held=(f"waits for {name}",),
                unverifiable=(f"{index.name}.fields.{field}",),
            )
            for index in plan.indexes
        ),
    )


PAGES: dict[str, Callable[[], str]] = {
    "plan": lambda: render_plan_page(usual(), OFFER),
    "plan_many": lambda: render_plan_page(CASES["many"](), OFFER),
    "plan_hostile": lambda: render_plan_page(hostile_plan(FULL), OFFER),
    "plan_long": lambda: render_plan_page(hostile_plan("x" * 10_240), OFFER),
    "run": lambda: render_run_page(went_well(), EVENTS),
    "run_failed": lambda: render_run_page(failed(), EVENTS),
    "run_hostile": lambda: render_run_page(hostile(FULL, FULL), hostile_events(FULL)),
    "run_bare": lambda: render_run_page(went_well()),
}
