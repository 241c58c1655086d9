"""Notifications of drift: what is sent where, once for each thing; failures are told, and no address ever is."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from cli_kit import Cli
from drift_cases import every_kind
from hook_server import HookServer, hook_server
from lock_holder import holder_process
from test_json_schema import faults
from view_kit import OFFER

from rvlstate.errors import RvlstateError, UsageError
from rvlstate.forge.failure import ForgeFailure
from rvlstate.forge.patience import Patience
from rvlstate.notify import send
from rvlstate.notify.address import Address, addresses_of
from rvlstate.notify.memory import Memory
from rvlstate.notify.message import about_drift
from rvlstate.notify.web import post

pytest_plugins = ("cli_fixtures",)
SECRET = "B0T0KEN0secret"  # noqa: S105 - a token of nothing
ALTER = ("FT.ALTER", "products@1", "SCHEMA", "ADD", "by_hand", "TAG")


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[HookServer]:
    """A webhook, and patience that does not wait."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("RVLSTATE_NOTIFY", raising=False)
    monkeypatch.setattr(send, "PATIENCE", replace(send.PATIENCE, sleep=lambda _: None))
    with hook_server() as running:
        yield running


def plain(hook: HookServer) -> str:
    """An address of the webhook."""
    return f"{hook.url}/hooks/{SECRET}"


def drifted(cli: Cli) -> Cli:
    """A project in which somebody added a field by hand."""
    cli.applied()
    cli.client.execute_command(*ALTER)
    return cli


def test_a_webhook_gets_the_json_of_the_command(cli: Cli, hook: HookServer) -> None:
    """With the event and one line of text; it fits the schema of drift, and the exit code is that of drift."""
    told = drifted(cli).run("drift", "--notify", plain(hook), "--format", "json")
    assert told.code == 2, told.err
    (body,) = hook.bodies()
    assert {key: value for key, value in body.items() if key not in ("event", "text")} == told.data
    assert (body["event"], body["text"]) == ("drift", "rvlstate drift: shop: 1 index drifted.")
    assert faults("drift", body) == []


def test_slack_gets_blocks(cli: Cli, hook: HookServer) -> None:
    """Also what is compatible with Slack, by slack+ in front of the address; hooks.slack.com is known."""
    assert drifted(cli).run("drift", "--notify", f"slack+{plain(hook)}").code == 2
    (body,) = hook.bodies()
    assert body.keys() == {"text", "blocks"}
    assert body["text"] == "rvlstate drift: shop: 1 index drifted."
    assert "by_hand" in json.dumps(body["blocks"])
    (address,) = addresses_of(["https://hooks.slack.com/services/T0/B0/x"])
    assert address.service == "slack"


def test_other_services_go_through_apprise(cli: Cli, hook: HookServer) -> None:
    """`json://` is one of them; it gets title and text."""
    assert drifted(cli).run("drift", "--notify", f"json://127.0.0.1:{hook.port}/{SECRET}").code == 2
    (body,) = hook.bodies()
    assert body["title"] == "rvlstate drift: shop"
    assert "field by_hand" in body["message"]


def test_what_apprise_cannot_deliver_is_told_without_its_address(cli: Cli, hook: HookServer) -> None:
    """It gives no reason, and its own log stays silent."""
    hook.answer(500, times=20)
    told = drifted(cli).run("drift", "--notify", f"json://127.0.0.1:{hook.port}/{SECRET}")
    assert told.code == 2
    assert "warning: the notification (apprise) was not sent. Apprise could not deliver it" in told.err
    assert SECRET not in told.out + told.err
    assert len(hook.posted) == 4


def test_without_drift_nothing_is_sent(cli: Cli, hook: HookServer) -> None:
    """Nor while an apply is at work."""
    cli.applied()
    assert cli.run("drift", "--notify", plain(hook)).code == 0
    cli.client.execute_command(*ALTER)
    with holder_process(cli.url, "shop", lease_seconds=60) as holder:
        holder.ask("acquire")
        assert cli.run("drift", "--notify", plain(hook)).code == 0
    assert hook.bodies() == []


def test_the_same_drift_is_told_once_and_that_it_is_gone_too(cli: Cli, hook: HookServer) -> None:
    """With a file for what was told last; other drift is told again."""
    words = ("drift", "--notify", plain(hook), "--notify-state", "told.json")
    drifted(cli)
    codes = [cli.run(*words).code for _ in range(3)]
    assert codes == [2, 2, 2]
    assert [body["event"] for body in hook.bodies()] == ["drift"]
    cli.client.execute_command("FT.ALTER", "products@1", "SCHEMA", "ADD", "more", "TAG")
    assert cli.run(*words).code == 2
    assert [body["event"] for body in hook.bodies()] == ["drift"]
    cli.run("drift", "--repair", "repair.json")
    assert cli.run("apply", "repair.json", "--yes", "-q").code == 0
    assert [cli.run(*words).code for _ in range(2)] == [0, 0]
    assert [body["event"] for body in hook.bodies()] == ["resolved"]
    kept = (cli.folder / "told.json").read_text(encoding="utf-8")
    assert SECRET not in kept
    assert stat.S_IMODE((cli.folder / "told.json").stat().st_mode) == 0o600


def test_without_the_file_it_is_told_each_time(cli: Cli, hook: HookServer) -> None:
    """Nothing is kept anywhere else, in Redis least of all."""
    drifted(cli)
    assert [cli.run("drift", "--notify", plain(hook)).code for _ in range(2)] == [2, 2]
    assert len(hook.bodies()) == 2


def test_that_nobody_can_look_is_news(cli: Cli, hook: HookServer) -> None:
    """The exit code is that of the error; once it is well again, that is told."""
    cli.applied()
    words = ("drift", "--notify", plain(hook), "--notify", f"slack+{plain(hook)}", "--notify-state", "told.json")
    for _ in range(2):
        failed = cli.run(*words, "--redis-url", "redis://:pa55word@127.0.0.1:1")
        assert failed.code == 1
        assert "no connection to the server" in failed.err
    webhook, slack = hook.bodies()
    assert (webhook["event"], webhook["error"]) == ("failed", "ServerUnreachableError")
    assert "could not look" in slack["blocks"][1]["text"]["text"]
    assert "pa55word" not in json.dumps([webhook, slack])
    assert cli.run(*words).code == 0
    assert hook.bodies()[0]["event"] == "resolved"


def test_the_environment_names_addresses(cli: Cli, hook: HookServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several, apart by white space; the options win."""
    monkeypatch.setenv("RVLSTATE_NOTIFY", f"{plain(hook)}/1 {plain(hook)}/2")
    assert drifted(cli).run("drift").code == 2
    assert [one.path[-1] for one in hook.posted] == ["1", "2"]
    hook.bodies()
    assert cli.run("drift", "--notify", f"{plain(hook)}/3").code == 2
    assert [one.path[-1] for one in hook.posted] == ["3"]


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"status": 403, "body": f"invalid_token /hooks/{SECRET}"}, "It answered 403: invalid_token"),
        ({"status": 404, "body": "no_service"}, "It answered 404: no_service"),
        ({"status": 500, "times": 4}, "It answered 500."),
        ({"how": "cut", "times": 4}, "The connection failed"),
        ({"status": 302, "headers": {"location": "/elsewhere"}}, "a redirection, which is not followed"),
        ({"status": 307, "headers": {"location": "ftp://127.0.0.1/x"}}, "another scheme"),
        ({"status": 308, "headers": {"location": "file:///etc/passwd"}}, "another scheme"),
        ({"status": 307, "headers": {"location": "http://[::1"}}, "it redirects to what is no address"),
        ({"status": 307, "headers": {"location": "/again"}, "times": 9}, "redirects too often"),
        ({"status": 429, "headers": {"retry-after": "3600"}}, "It answered 429"),
    ],
)
def test_a_failed_notification_is_told_and_drift_stays_drift(
    cli: Cli, hook: HookServer, how: dict[str, Any], said: str
) -> None:
    """On standard error, with --quiet as well, without any part of the address; the exit code is 2."""
    hook.answer(**how)
    told = drifted(cli).run("drift", "-q", "--notify", plain(hook))
    assert told.code == 2
    assert said in told.err
    assert told.err.startswith("warning: the notification (a webhook) was not sent. ")
    assert SECRET not in told.out + told.err
    assert "hooks/" not in told.out + told.err


def test_a_failed_notification_that_all_is_well_is_an_error(cli: Cli, hook: HookServer) -> None:
    """Exit code 0 would say that all was told, and there is no drift to exit with 2 for; the next run tells it."""
    words = ("drift", "--notify", plain(hook), "--notify-state", "told.json")
    drifted(cli)
    cli.run(*words)
    cli.run("drift", "--repair", "repair.json")
    cli.run("apply", "repair.json", "--yes", "-q")
    hook.answer(403)
    assert cli.run(*words).code == 1
    hook.bodies()
    assert cli.run(*words).code == 0
    assert [body["event"] for body in hook.bodies()] == ["resolved"]


def test_credentials_that_a_server_says_back_are_masked(hook: HookServer) -> None:
    """Also as the header has them, which is not how the address does."""
    address = one(f"http://ann:{SECRET}@127.0.0.1:{hook.port}/x")
    hook.answer(401, body=f"no such user: Basic {address.credentials}")
    with pytest.raises(ForgeFailure) as caught:
        post(address, {}, 5)
    (seen,) = hook.posted
    assert seen.headers["authorization"] == f"Basic {address.credentials}"
    assert caught.value.message == "no such user: Basic ***"


def test_what_else_fails_keeps_nobody_from_being_told(cli: Cli, hook: HookServer) -> None:
    """A repair that cannot be written is an error; the drift was found all the same."""
    told = drifted(cli).run("drift", "--notify", plain(hook), "--repair", "nowhere/repair.json")
    assert told.code == 1
    assert "nowhere/repair.json: this file cannot be written" in told.err
    assert [body["event"] for body in hook.bodies()] == ["drift"]


def test_a_server_that_speaks_no_redis_is_an_error_that_is_told(cli: Cli, hook: HookServer) -> None:
    """Such as a web server, or a proxy on the way; it is no crash, and whoever is to hear of drift hears of it."""
    told = cli.run("drift", "--redis-url", f"redis://127.0.0.1:{hook.port}", "--notify", plain(hook))
    assert told.code == 1
    assert "what answers there is no Redis server" in told.err
    assert [body["event"] for body in hook.bodies()] == ["failed"]


def test_one_address_that_fails_keeps_no_other_from_it(cli: Cli, hook: HookServer) -> None:
    """And only that one is tried again by the next run."""
    words = ("--notify", f"{plain(hook)}/1", "--notify", f"{plain(hook)}/2", "--notify-state", "told.json")
    hook.answer(403)
    told = drifted(cli).run("drift", *words)
    assert "warning: notification 1 of 2 (a webhook) was not sent." in told.err
    assert [one.path[-1] for one in hook.posted] == ["1", "2"]
    hook.bodies()
    assert cli.run("drift", *words).code == 2
    assert [one.path[-1] for one in hook.posted] == ["1"]


def test_what_passes_by_itself_is_tried_again(hook: HookServer) -> None:
    """Server errors, cut connections, and 429 after as long as the server asks for."""
    slept: list[float] = []
    hook.answer(503)
    hook.answer(how="cut")
    hook.answer(429, headers={"retry-after": "7"})
    patience = Patience(pause=0.01, sleep=slept.append)
    message = about_drift(every_kind(), OFFER)
    told = send.tell(message, addresses_of([plain(hook)]), Memory(None, "shop"), patience=patience)
    assert (told.sent, told.failures) == (1, ())
    assert len(hook.posted) == 4
    assert slept[2] >= 7


@pytest.mark.parametrize("how", ["hang", "trickle"])
def test_a_server_that_is_silent_is_given_up(hook: HookServer, how: str) -> None:
    """After the time that is allowed for a whole answer, also if it sends a character now and then."""
    hook.answer(how=how)
    with pytest.raises(ForgeFailure) as caught:
        post(one(plain(hook)), {}, 0.2)
    assert caught.value.trouble == "timeout"


def test_a_redirection_that_keeps_the_message_is_followed_without_the_password(hook: HookServer) -> None:
    """To another host the credentials of the address are not sent along."""
    with hook_server() as other:
        address = one(f"http://user:{SECRET}@127.0.0.1:{hook.port}/a")
        hook.answer(307, headers={"location": "/b"})
        hook.answer(308, headers={"location": f"{other.url}/c"})
        post(address, {"x": 1}, 5)
        assert [seen.path for seen in hook.posted] == ["/a", "/b"]
        assert all(seen.headers["authorization"].startswith("Basic ") for seen in hook.posted)
        (last,) = other.posted
        assert (last.path, last.body) == ("/c", {"x": 1})
        assert "authorization" not in last.headers


def one(url: str) -> Address:
    """One address."""
    (address,) = addresses_of([url])
    return address


@pytest.mark.parametrize(
    "url",
    [
        SECRET,
        f"//{SECRET}",
        f"https:///{SECRET}",
        f"http://127.0.0.1:99999/{SECRET}",
        f"http://[::1/{SECRET}",
        f"slack+mailto://{SECRET}",
        f"nothing-known://{SECRET}",
        f"https://a b/{SECRET}",
        f"https://a/\n{SECRET}",
        "",
    ],
)
def test_an_address_that_is_none_is_a_usage_error_that_does_not_show_it(cli: Cli, url: str) -> None:
    """Found before anything is looked at."""
    told = cli.run("drift", "--notify", url, "--log-format", "json")
    assert told.code == 64
    assert SECRET not in told.err
    assert told.out == ""


def test_an_address_is_in_no_representation(hook: HookServer) -> None:
    """Nor is any part of it that may be secret."""
    address = one(f"https://user:{SECRET}@host.example/hooks/{SECRET}?token={SECRET}")
    assert SECRET not in repr(address)
    assert SECRET not in address.mask(f"no {address.url}, no {SECRET}, user:{SECRET}")
    assert len({one(f"https://a/{place}").key for place in range(3)}) == 3


def test_apprise_is_asked_for_by_name_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra to install is named."""
    monkeypatch.setitem(__import__("sys").modules, "apprise", None)
    with pytest.raises(UsageError, match="needs apprise") as caught:
        send.prepare(addresses_of(["mailto://a:b@c.example"]))
    assert caught.value.next_step == "pip install 'rvlstate[notify]'"
    assert isinstance(caught.value, RvlstateError)
