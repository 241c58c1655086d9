"""Gates: what a check found before and after, turned into figures and a verdict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from statistics import fmean, median

from rvlstate.model.check import Check, KnnCheck, QueryCheck
from rvlstate.model.fingerprint import fingerprint
from rvlstate.plan.effects import Findings, Sampled

ROUNDING, LEAST_ROUNDING = 1e-5, 1e-6
"""By how much two distances may differ and still be the same: of the farthest one, and where they are at most 2."""

COARSE = {"float16": 2**-11, "bfloat16": 2**-8}
"""The same for an index of such vectors, which rounds them once more when it makes them of length 1."""

USUAL, ALLOWANCE = 3.0, 0.05
"""A vector whose sketch changed by so many times the median, and this share of its bits more, was changed by others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How one check ended: what was required and found, in words, and the figures for the report."""

    check: str
    required: str
    found: str
    passed: bool
    remark: str = ""
    figures: dict[str, float] = field(default_factory=dict)

    @property
    def line(self) -> str:
        """The check and what was found."""
        return f"{self.check}: {self.found}" + (f" ({self.remark})" if self.remark else "")


def remembered_name(baseline: str, check: Check) -> str:
    """Where the findings of a check are kept; one that asks for something else since finds nothing there."""
    asked = {name: value for name, value in asdict(check).items() if name != "min_overlap"}
    return f"{baseline}/{fingerprint(asked).removeprefix('sha256:')[:12]}"


def check_words(check: Check) -> str:
    """The check as a person names it."""
    match check:
        case KnnCheck():
            return f"knn {check.knn}, k {check.k}"
        case QueryCheck():
            return f"query {check.query}"


def judge(check: Check, before: Findings | None, after: Findings, again: Findings | None = None) -> Verdict:
    """The verdict on a check; `before` is None where nothing is known of an index before.

    `again` is the old index measured once more after the new one: writers may be at work.
    """
    match check:
        case KnnCheck():
            return _judge_knn(check, before, after)
        case QueryCheck():
            return _judge_query(check, before, after, again)


def table(verdicts: Iterable[Verdict]) -> str:
    """One line for each check: how it ended, what was required, what was found."""
    rows = [_cells(verdict) for verdict in verdicts]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _cells(verdict: Verdict) -> tuple[str, ...]:
    found = f"found: {verdict.found}" + (f" ({verdict.remark})" if verdict.remark else "")
    return ("passed" if verdict.passed else "FAILED", verdict.check, f"required: {verdict.required}", found)


def relocated(findings: Findings, moves: tuple[tuple[str, str], ...]) -> Findings:
    """Findings as if the documents had had the keys that they got since: `moves` are prefixes, old and new."""
    if not moves:
        return findings

    def moved(key: str) -> str:
        return next((after + key.removeprefix(before) for before, after in moves if key.startswith(before)), key)

    def all_moved(pairs: tuple[tuple[str, float], ...]) -> tuple[tuple[str, float], ...]:
        return tuple((moved(key), distance) for key, distance in pairs)

    return replace(
        findings,
        samples=tuple(
            replace(item, key=moved(item.key), answers=all_moved(item.answers), reference=all_moved(item.reference))
            for item in findings.samples
        ),
    )


def recall(findings: Findings, k: int) -> float | None:
    """The share of the true k nearest neighbours that an index gives, over all samples; None if they are not known.

    An answer that is as near as the k-th counts, whichever of several equal ones it is.
    """
    if not findings.exact or not findings.samples:
        return None
    return fmean(_recalled(sample, k, findings.space) for sample in findings.samples if sample.reference)


def _recalled(sample: Sampled, k: int, space: str) -> float:
    known, wanted = dict(sample.reference), sample.reference[:k]
    limit = wanted[-1][1] + _rounding(sample, space)
    right = sum(known.get(key, distance) <= limit for key, distance in dict(sample.answers).items())
    return min(1.0, right / len(wanted))


def _judge_query(check: QueryCheck, before: Findings | None, after: Findings, again: Findings | None) -> Verdict:
    name, found = check_words(check), f"{after.count:,}"
    figures = {f"found by {check.query}": float(after.count)}
    if before is None:
        return Verdict(check=name, required="nothing", found=found, passed=True, remark=UNKNOWN, figures=figures)
    counts = (before.count, (again or before).count)
    # Of what was remembered only the number of documents tells how much was written meanwhile.
    slack = 0 if again is not None else abs(after.documents - before.documents)
    passed = min(counts) - slack <= after.count <= max(counts) + slack
    return Verdict(
        check=name,
        required=f"{before.count:,}" + (f" ± {slack:,}" if slack else ""),
        found=found,
        passed=passed,
        remark=_query_remark(before, after, again),
        figures={**figures, f"found before by {check.query}": float(before.count)},
    )


def _query_remark(before: Findings, after: Findings, again: Findings | None) -> str:
    if before.count == after.count == 0:
        return "it finds nothing in either index, so it shows little"
    if again is not None or before.count == after.count:
        return ""
    return (
        f"the index held {before.documents:,} documents then and holds {after.documents:,} now; "
        "documents that were only changed meanwhile cannot be told"
    )


UNKNOWN = "nothing is known of an index before, so there is nothing to compare with"


def _judge_knn(check: KnnCheck, before: Findings | None, after: Findings) -> Verdict:
    name, required = check_words(check), f"overlap {check.min_overlap:g}"
    recalls = _recall_figures(check, before, after)
    reason = _incomparable(check, before, after)
    if before is None or reason:
        recalled = _recall_words(check, before, after) or "nothing"
        return Verdict(check=name, required="nothing", found=recalled, passed=True, remark=reason, figures=recalls)
    kept = comparable(before, after)
    left_out = len(before.samples) - len(kept)
    if 2 * len(kept) < len(before.samples):
        return Verdict(
            check=name,
            required=required,
            found=f"only {len(kept)} of {len(before.samples)} sampled documents as they were",
            passed=False,
            remark="the others were changed or removed meanwhile, so nothing can be said",
            figures=recalls,
        )
    shares = [_overlap(old, new, before, after) for old, new in kept]
    told = [share for share in shares if share is not None]
    overlap = fmean(told) if told else 1.0
    words = [f"overlap {_shown(overlap)} over {len(told)} documents", _recall_words(check, before, after)]
    return Verdict(
        check=name,
        required=required,
        found="; ".join(word for word in words if word),
        passed=overlap >= check.min_overlap,
        remark="; ".join(_remarks(left_out, after)),
        figures={f"{check.knn} overlap@{check.k}": round(overlap, 4), **recalls},
    )


def _remarks(left_out: int, after: Findings) -> list[str]:
    doubled = sum(len(dict(sample.answers)) < len(sample.answers) for sample in after.samples)
    told = [f"{left_out} sampled documents were changed or removed meanwhile and are left out"] if left_out else []
    if doubled:
        told.append(f"{doubled} of {len(after.samples)} answers name a document twice: its staged copy and itself")
    return told


def _incomparable(check: KnnCheck, before: Findings | None, after: Findings) -> str:
    """Why there is nothing to compare; "" if there is."""
    if before is None:
        return after.note or UNKNOWN
    if before.note or after.note:
        return before.note or after.note
    return "" if before.samples else f"no document of the index before has a vector in {check.knn}"


def _recall_figures(check: KnnCheck, before: Findings | None, after: Findings) -> dict[str, float]:
    found = {"before": recall(before, check.k) if before else None, "after": recall(after, check.k)}
    return {
        f"{check.knn} recall@{check.k} {when}": round(value, 4) for when, value in found.items() if value is not None
    }


def _recall_words(check: KnnCheck, before: Findings | None, after: Findings) -> str:
    values = {"before": recall(before, check.k) if before else None, "now": recall(after, check.k)}
    told = [f"{_shown(value)} {when}" for when, value in values.items() if value is not None]
    return f"recall {', '.join(told)}" if told else ""


def _shown(share: float) -> str:
    """A share that is not 1 is never shown as 1."""
    return f"{share:.3f}" if share < 0.9995 or share == 1 else f"{share:.6f}"  # noqa: PLR2004 - where .3f gives 1.000


def comparable(before: Findings, after: Findings) -> list[tuple[Sampled, Sampled]]:
    """The sampled documents that nobody else changed meanwhile, as they were and as they are.

    Where most vectors have other bytes than before, they were rewritten: then a vector that changed far more than the
    others do was changed by somebody else.
    """
    now = {sample.key: sample for sample in after.samples}
    pairs = [(sample, now[sample.key]) for sample in before.samples if sample.key in now]
    if 2 * sum(old.digest == new.digest for old, new in pairs) >= len(pairs):
        return [(old, new) for old, new in pairs if old.digest == new.digest]
    changes = [_change(old.sketch, new.sketch) for old, new in pairs]
    most = USUAL * median(changes) + ALLOWANCE
    return [pair for pair, change in zip(pairs, changes, strict=True) if change <= most]


def _change(before: str, after: str) -> float:
    """The share of bits that differ; 0 where the number of dimensions changed, since nothing can be said then."""
    if len(before) != len(after) or not before:
        return 0.0
    return (int(before, 16) ^ int(after, 16)).bit_count() / (4 * len(before))


def _overlap(old: Sampled, new: Sampled, before: Findings, after: Findings) -> float | None:
    """The share of the old answers that the new index gives too, or something as near in their place.

    Answers that exist no more are left out; None if none is left.
    """
    given, lost = dict(new.answers), frozenset(after.gone)
    known = dict(old.reference)
    left = [pair for pair in old.answers if pair[0] in given or pair[0] not in lost]
    if not left:
        return None
    missing = [known.get(key, distance) for key, distance in left if key not in given]
    alike = old.digest == new.digest and before.space == after.space
    had = frozenset(key for key, _ in old.answers)
    instead = [_as_seen_before(pair, known, old, alike=alike) for pair in given.items() if pair[0] not in had]
    made_up = _made_up(missing, instead, _rounding(old, before.space))
    return (len(left) - len(missing) + made_up) / len(left)


def _as_seen_before(answer: tuple[str, float], known: Mapping[str, float], old: Sampled, *, alike: bool) -> float:
    """The distance of an answer in terms of the old index; what is not on its list is no nearer than the list's end."""
    key, distance = answer
    if alike:  # the very distance counts: a document on the list may have moved nearer since
        return distance
    return known.get(key, old.reference[-1][1] if old.reference else float("inf"))


def _made_up(missing: list[float], instead: list[float], rounding: float) -> int:
    """How many missing answers have one in their place that is as near."""
    left, made_up = sorted(instead), 0
    for distance in sorted(missing):
        if made_up < len(left) and left[made_up] <= distance + rounding:
            made_up += 1
    return made_up


def _rounding(sample: Sampled, space: str) -> float:
    farthest = max((abs(distance) for _, distance in (*sample.answers, *sample.reference)), default=0.0)
    share = COARSE.get(space.partition(" ")[0], ROUNDING)
    return share * farthest + (0.0 if space.endswith("l2") else LEAST_ROUNDING)
