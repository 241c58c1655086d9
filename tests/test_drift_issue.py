"""`rvlstate drift --issue` on both forges: one issue for each project, opened, kept up to date, closed, reopened."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from cli_kit import Cli
from drift_cases import every_kind, many
from forge_kit import VARIABLES, Forge
from forge_server import LONGEST_BODY, OTHER, PATH, US
from lock_holder import holder_process
from test_notify import ALTER
from view_kit import OFFER

from rvlstate.errors import ForgeError, UsageError
from rvlstate.forge.body import marker
from rvlstate.forge.drift_issue import IssueKept, keep_issue
from rvlstate.forge.environment import find_target
from rvlstate.forge.patience import Patience
from rvlstate.forge.target import Wishes
from rvlstate.forge.ticket import GONE, LABEL
from rvlstate.plan.drift import Drift

pytest_plugins = ("forge_fixtures", "cli_fixtures")
FOUND, GONE_AGAIN = every_kind(), Drift(project="shop")
MARK = marker("shop", about="drift")


def keep(forge: Forge, drift: Drift = FOUND, environment: str = "", *, attempts: int = 5) -> IssueKept:
    """Keep the issue, with a clock that does not wait."""
    patience = Patience(pause=0.01, attempts=attempts, sleep=forge.slept.append)
    return keep_issue(drift, OFFER, find_target(os.environ, Wishes(issues=True)), environment, patience)


def test_the_first_drift_opens_the_issue(forge: Forge) -> None:
    """With marker and label; its text is the markdown of drift, and its title has no figures."""
    kept = keep(forge)
    (issue,) = forge.server.issues
    assert (kept.action, issue["open"], issue["labels"]) == ("opened", True, (LABEL,))
    assert kept.url.endswith("/issues/1")
    assert issue["body"].startswith(f"{MARK}\n### rvlstate drift: `shop`")
    assert issue["title"] == "rvlstate: drift in shop"


def test_the_same_drift_is_not_written_again_and_other_drift_is(forge: Forge) -> None:
    """A job that looks every five minutes changes nothing, and notifies nobody."""
    keep(forge)
    forge.server.issues[0]["body"] = forge.server.issues[0]["body"].replace("\n", "\r\n").rstrip()
    writes = len(forge.server.sent("POST", "PATCH", "PUT"))
    assert keep(forge).action == "unchanged"
    assert len(forge.server.sent("POST", "PATCH", "PUT")) == writes
    assert keep(forge, replace(FOUND, indexes=FOUND.indexes[:1])).action == "updated"
    (issue,) = forge.server.issues
    assert "hijacked" not in issue["body"]


def test_drift_that_is_gone_closes_the_issue_with_a_comment_and_new_drift_opens_it_again(forge: Forge) -> None:
    """There is still one issue."""
    assert keep(forge, GONE_AGAIN).action == "absent"
    keep(forge)
    assert keep(forge, GONE_AGAIN).action == "closed"
    (issue,) = forge.server.issues
    assert (issue["open"], issue["said"]) == (False, [GONE])
    assert keep(forge, GONE_AGAIN).action == "absent"
    assert issue["said"] == [GONE]
    assert keep(forge).action == "reopened"
    assert (len(forge.server.issues), issue["open"]) == (1, True)


def test_an_apply_at_work_changes_nothing(forge: Forge) -> None:
    """Whether there is drift is not known then."""
    keep(forge)
    assert keep(forge, replace(GONE_AGAIN, in_progress="somebody applies")).action == "absent"
    assert forge.server.issues[0]["open"]


def test_projects_and_environments_have_issues_of_their_own(forge: Forge) -> None:
    """And each closes its own."""
    keep(forge)
    keep(forge, FOUND, "staging")
    keep(forge, replace(FOUND, project="till"))
    assert len(forge.server.issues) == 3
    keep(forge, GONE_AGAIN, "staging")
    assert [issue["open"] for issue in forge.server.issues] == [True, False, True]


def test_an_issue_of_somebody_else_is_left_alone(forge: Forge) -> None:
    """Whoever copies the marker gets no issue of ours closed or written into."""
    forge.server.add_issue("mine", f"{MARK}\nhello", OTHER, (LABEL,))
    forge.server.add_issue("ours without a label", f"{MARK}\nhello", US)
    kept = keep(forge)
    assert kept.action == "opened"
    assert "was left alone" in " ".join(kept.notices)
    keep(forge, GONE_AGAIN)
    assert [issue["open"] for issue in forge.server.issues] == [True, True, False]
    assert forge.server.issues[0]["body"] == f"{MARK}\nhello"


def test_the_issue_is_found_on_a_later_page(forge: Forge) -> None:
    """Among those of other projects."""
    forge.server.page_size = 10
    for number in range(25):
        forge.server.add_issue(f"{number}", marker(f"p{number}", about="drift"), US, (LABEL,))
    keep(forge)
    assert keep(forge).action == "unchanged"
    assert len(forge.server.issues) == 26


def test_hundreds_of_indexes_fit(forge: Forge) -> None:
    """The forge would refuse a longer text."""
    assert keep(forge, many()).action == "opened"
    assert len(forge.server.issues[0]["body"]) <= LONGEST_BODY


def test_a_lost_answer_opens_no_second_issue(forge: Forge) -> None:
    """The next attempt looks first whether the issue was opened all the same."""
    forge.server.fail("POST", "/issues", how="work_then_cut")
    assert keep(forge).action == "opened"
    assert len(forge.server.issues) == 1


def test_what_passes_by_itself_is_tried_again(forge: Forge) -> None:
    """Server errors, and a limit for as long as the forge asks for."""
    forge.server.fail("GET", "/issues", status=502)
    forge.server.fail("POST", "/issues", status=429, headers={"Retry-After": "9"})
    assert keep(forge).action == "opened"
    assert max(forge.slept) >= 9


def test_a_token_that_may_only_read_leaves_the_drift_in_the_job_summary(forge: Forge) -> None:
    """GitHub has one; on GitLab it is on standard output alone. What would help is named."""
    forge.server.rights = "read"
    kept = keep(forge)
    assert forge.server.issues == []
    assert kept.action == ("summary" if forge.name == "github" else "output")
    (notice,) = kept.notices
    assert "did not take the issue" in notice
    assert ("issues: write" if forge.name == "github" else "scope api") in notice
    if forge.name == "github":
        assert "rvlstate drift" in forge.summary.read_text(encoding="utf-8")
    assert keep(forge, GONE_AGAIN) == IssueKept(action="absent")


@pytest.mark.parametrize(
    ("status", "said"), [(500, "fails at the moment"), (422, "refused the issue"), (410, "refused")]
)
def test_other_refusals_are_errors(forge: Forge, status: int, said: str) -> None:
    """With the forge's own words."""
    forge.server.fail("POST", "/issues", status=status, body={"message": "no, sorry"}, times=9)
    with pytest.raises(ForgeError, match=said) as caught:
        keep(forge, attempts=2)
    assert "no, sorry" in caught.value.why
    if status == 410:
        assert "enable issues" in caught.value.next_step


def test_the_command_keeps_the_issue_and_exits_with_2(cli: Cli, forge: Forge) -> None:
    """Opened, unchanged, closed; the lines about it are on standard error, and no token is anywhere."""
    cli.applied()
    assert cli.run("drift", "--issue").code == 0
    assert forge.server.issues == []
    cli.client.execute_command(*ALTER)
    told = cli.run("drift", "--issue")
    assert (told.code, told.err.startswith("Issue opened: https://")) == (2, True)
    assert "Issue is up to date" in cli.run("drift", "--issue").err
    assert forge.server.token not in told.err + told.out
    with holder_process(cli.url, "shop", lease_seconds=60) as holder:
        lock = holder.ask("acquire").split()[1]
        assert cli.run("drift", "--issue").code == 0
        assert cli.run("unlock", lock).code == 0
    assert forge.server.issues[0]["open"]
    cli.run("drift", "--repair", "repair.json")
    assert cli.run("apply", "repair.json", "--yes", "-q").code == 0
    closed = cli.run("drift", "--issue")
    assert (closed.code, "Issue closed" in closed.err) == (0, True)


def test_an_issue_that_cannot_be_kept_is_a_warning_and_drift_stays_drift(cli: Cli, forge: Forge) -> None:
    """Without drift it is an error: the issue stays open though it should not be."""
    cli.applied()
    forge.server.fail("GET", "/issues", status=400, times=9)
    told = cli.run("drift", "--issue")
    assert (told.code, "warning: the issue was not kept" in told.err) == (1, True)
    cli.client.execute_command(*ALTER)
    told = cli.run("drift", "--issue", "-q")
    assert (told.code, "warning: the issue was not kept" in told.err) == (2, True)


def test_where_the_issue_is_to_be_must_be_known_beforehand(
    cli: Cli, forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outside of a CI job the forge and the repository are named; no pull request is needed."""
    for name in [name for name in os.environ if name.startswith(VARIABLES)]:
        monkeypatch.delenv(name)
    told = cli.run("drift", "--issue")
    assert (told.code, "it is not known where to open an issue" in told.err) == (64, True)
    monkeypatch.setenv("GITHUB_TOKEN" if forge.name == "github" else "GITLAB_TOKEN", "x")
    target = find_target(os.environ, Wishes(forge=forge.name, repository=PATH, issues=True))
    assert (target.number, target.place) == (0, PATH)
    with pytest.raises(UsageError, match="no repository"):
        find_target(os.environ, Wishes(forge=forge.name, repository="", issues=True))
