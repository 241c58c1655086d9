"""A GitHub and a GitLab on loopback: the calls of `comment` and `drift --issue`, and all ways of failing."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from loopback import QuietHandler, listening

How: TypeAlias = Literal["answer", "hang", "cut", "partial", "work_then_cut", "garbage"]
LONGEST_BODY = 65_536
PROJECT, PATH, NUMBER = 42, "team/shop", 5
COMMIT = "c0ffee" + "0" * 34
US, OTHER = 7, 8
LOGINS = {US: "github-actions[bot]", OTHER: "mallory"}
PERSON = "Octo-Cat"
FORBIDDEN = {"message": "Resource not accessible by integration", "documentation_url": "https://docs.github.com/rest"}


@dataclass(slots=True, kw_only=True)
class Fault:
    """What goes wrong with the next `times` requests of a method whose path has a part in it.

    `gone` is the number of a comment that somebody deletes at that moment.
    """

    method: str
    part: str
    status: int = 500
    headers: Mapping[str, str] = field(default_factory=dict)
    body: object = field(default_factory=lambda: {"message": "Server Error"})
    how: How = "answer"
    times: int = 1
    gone: int = 0


@dataclass(frozen=True, slots=True)
class Seen:
    """A request that came in."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: Any


@dataclass(slots=True)
class ForgeServer:
    """The state of both forges: one pull request, its comments and the statuses of its head.

    `rights` is what the good token may do; `token` is the good one, which is that of a person if `person` says so, else
    that of an app. Comments are GitHub's; GitLab's are made of them.
    """

    port: int = 0
    token: str = "good-token-0123456789"  # noqa: S105 - a token of nothing
    rights: Literal["write", "read", "none"] = "write"
    page_size: int = 100
    person: bool = False
    comments: list[dict[str, Any]] = field(default_factory=list)
    statuses: list[dict[str, Any]] = field(default_factory=list)
    issues: list[dict[str, Any]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)
    mutex: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def fail(self, method: str, part: str, **settings: Any) -> None:
        """Have the next requests of this kind fail."""
        self.faults.append(Fault(method=method, part=part, **settings))

    def add(self, body: str, author: int = OTHER) -> dict[str, Any]:
        """A comment that is there."""
        comment = {"id": 1000 + len(self.comments), "body": body, "author": author}
        self.comments.append(comment)
        return comment

    def add_issue(self, title: str, body: str, author: int = OTHER, labels: tuple[str, ...] = ()) -> dict[str, Any]:
        """An issue that is there; `said` are the comments on it."""
        issue = {"number": 1 + len(self.issues), "title": title, "body": body, "author": author, "open": True}
        self.issues.append({**issue, "labels": labels, "said": []})
        return self.issues[-1]

    def bodies(self) -> list[str]:
        """The texts of all comments."""
        return [comment["body"] for comment in self.comments]

    def sent(self, *methods: str) -> list[Seen]:
        """The requests of these methods, those that ask who we are aside."""
        return [seen for seen in self.seen if seen.method in methods and not seen.path.endswith(("/graphql", "/user"))]


@contextmanager
def forge_server() -> Iterator[ForgeServer]:
    """A server that runs until the block is left, with whatever hangs in it."""
    state = ForgeServer()
    with listening(state, _Handler):
        yield state


class _Handler(QuietHandler):
    """One connection; HTTP/1.1, kept alive as the real ones are."""

    protocol_version = "HTTP/1.1"
    state: ForgeServer

    def handle_request(self) -> None:
        """Answer one request, or fail as was asked for."""
        length = int(self.headers.get("content-length") or 0)
        raw = self.rfile.read(length)
        parts = urlsplit(self.path)
        body = json.loads(raw) if raw else None
        headers = {name.lower(): value for name, value in self.headers.items()}
        seen = Seen(self.command, parts.path, parse_qs(parts.query), headers, body)
        with self.state.mutex:
            self.state.seen.append(seen)
            fault = self._fault(seen)
            answer = _answer(self.state, seen) if fault is None or fault.how == "work_then_cut" else None
        if fault is not None:
            self._fail(fault)
        elif answer is not None:
            self._send(*answer)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = handle_request  # noqa: N815 - the base class asks for them

    def _fault(self, seen: Seen) -> Fault | None:
        for fault in self.state.faults:
            if fault.times and fault.method == seen.method and fault.part in seen.path:
                fault.times -= 1
                self.state.comments[:] = [one for one in self.state.comments if one["id"] != fault.gone]
                return fault
        return None

    def _fail(self, fault: Fault) -> None:
        match fault.how:
            case "answer":
                self._send(fault.status, fault.body, fault.headers)
            case "garbage":
                self._raw(200, b"<html>Sign in to the network</html>", {"content-type": "text/html"})
            case "hang":
                self.state.released.wait(60)
                self.close_connection = True
            case "partial":
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", "10000")
                self.end_headers()
                self.wfile.write(b'[{"id": 1')
                self.close_connection = True
            case "cut" | "work_then_cut":
                self.close_connection = True

    def _send(self, status: int, data: object, headers: Mapping[str, str]) -> None:
        raw = b"" if data is None else json.dumps(data).encode()
        self._raw(status, raw, {"content-type": "application/json; charset=utf-8", **headers})

    def _raw(self, status: int, raw: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(raw)), "etag": '"1"'}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)


Answer: TypeAlias = "tuple[int, object, Mapping[str, str]]"


def _answer(state: ForgeServer, seen: Seen) -> Answer:
    if seen.path.startswith("/api/v4/"):
        return _gitlab(state, seen)
    return _github(state, seen)


def _github(state: ForgeServer, seen: Seen) -> Answer:
    if seen.headers.get("authorization") != f"token {state.token}":
        return 401, {"message": "Bad credentials", "status": "401"}, {}
    if seen.path == "/api/graphql":
        return 200, {"data": {"viewer": {"login": PERSON if state.person else LOGINS[US]}}}, {}
    if seen.path == "/api/v3/user":
        return (200, {"login": PERSON, "id": US}, {}) if state.person else (403, FORBIDDEN, {})
    match = re.fullmatch(rf"/api/v3/repos/{PATH}/(.*)", seen.path)
    if match is None or state.rights == "none":
        return 404, {"message": "Not Found", "status": "404"}, {}
    if seen.method != "GET" and state.rights != "write":
        return 403, FORBIDDEN, {}
    return _github_rest(state, seen, match[1])


def _github_rest(state: ForgeServer, seen: Seen, path: str) -> Answer:
    if seen.method != "GET" and len(str((seen.body or {}).get("body", ""))) > LONGEST_BODY:
        error = {"resource": "IssueComment", "code": "unprocessable", "field": "data"}
        message = f"Body is too long (maximum is {LONGEST_BODY} characters)"
        return 422, {"message": "Validation Failed", "errors": [{**error, "message": message}]}, {}
    if path == f"issues/{NUMBER}/comments" and seen.method == "GET":
        return _page(state, seen, [_github_comment(state, comment) for comment in state.comments])
    if path == f"issues/{NUMBER}/comments":
        return 201, _github_comment(state, state.add(seen.body["body"], US)), {}
    if path == f"pulls/{NUMBER}" and seen.method == "GET":
        return 200, {"number": NUMBER, "head": {"sha": COMMIT, "ref": "topic"}}, {}
    if path.startswith("statuses/") and seen.method == "POST":
        state.statuses.append({"commit": path.removeprefix("statuses/"), **seen.body})
        return 201, {"id": 1, **seen.body}, {}
    if path == "issues" and seen.method == "GET":
        return _page(state, seen, [_github_issue(state, issue) for issue in _asked_for(state, seen)])
    if path == "issues":
        return 201, _github_issue(state, _made(state, seen.body, tuple(seen.body["labels"]))), {}
    found = re.fullmatch(r"issues/([0-9]+)(/comments)?", path)
    if found:
        return _one_issue(state, seen, int(found[1]), said=bool(found[2]))
    return _one_comment(state, seen, path.removeprefix("issues/comments/"), _github_comment)


def _asked_for(state: ForgeServer, seen: Seen) -> list[dict[str, Any]]:
    """The issues with the labels that a request names."""
    labels = set(seen.query.get("labels", seen.query.get("labels[]", [""]))[0].split(","))
    return [issue for issue in state.issues if labels <= set(issue["labels"])]


def _made(state: ForgeServer, body: dict[str, Any], labels: tuple[str, ...]) -> dict[str, Any]:
    text = body.get("body") or body.get("description") or ""
    return state.add_issue(body["title"], text, US, labels)


def _one_issue(state: ForgeServer, seen: Seen, number: int, *, said: bool) -> Answer:
    """Change an issue, or write a comment on it, in the words of either forge."""
    issue = next((one for one in state.issues if one["number"] == number), None)
    if issue is None:
        return 404, {"message": "Not Found"}, {}
    shown = _gitlab_issue if seen.path.startswith("/api/v4/") else _github_issue
    if said:
        issue["said"].append(seen.body["body"])
        return 201, {"id": 1, "body": seen.body["body"], "user": {"login": "x", "id": US, "type": "Bot"}}, {}
    body = seen.body or {}
    issue["title"] = body.get("title", issue["title"])
    issue["body"] = body.get("body", body.get("description", issue["body"]))
    wanted = body.get("state") or {"close": "closed", "reopen": "open"}.get(body.get("state_event", ""), "")
    issue["open"] = wanted == "open" if wanted else issue["open"]
    return 200, shown(state, issue), {}


def _github_issue(state: ForgeServer, issue: dict[str, Any]) -> dict[str, Any]:
    login = PERSON if state.person and issue["author"] == US else LOGINS[issue["author"]]
    return {
        "number": issue["number"],
        "title": issue["title"],
        "body": issue["body"],
        "state": "open" if issue["open"] else "closed",
        "url": f"{state.url}/api/v3/repos/{PATH}/issues/{issue['number']}",
        "html_url": f"https://github.example/{PATH}/issues/{issue['number']}",
        "user": {"login": login, "id": issue["author"], "type": "Bot" if login.endswith("[bot]") else "User"},
    }


def _gitlab_issue(state: ForgeServer, issue: dict[str, Any]) -> dict[str, Any]:
    del state
    return {
        "iid": issue["number"],
        "title": issue["title"],
        "description": issue["body"],
        "state": "opened" if issue["open"] else "closed",
        "web_url": f"https://gitlab.example/{PATH}/-/issues/{issue['number']}",
        "author": {"id": issue["author"], "username": LOGINS[issue["author"]]},
    }


def _github_comment(state: ForgeServer, comment: dict[str, Any]) -> dict[str, Any]:
    login = PERSON if state.person and comment["author"] == US else LOGINS[comment["author"]]
    return {
        "id": comment["id"],
        "body": comment["body"],
        "url": f"{state.url}/api/v3/repos/{PATH}/issues/comments/{comment['id']}",
        "html_url": f"https://github.example/{PATH}/pull/{NUMBER}#issuecomment-{comment['id']}",
        "user": {"login": login, "id": comment["author"], "type": "Bot" if login.endswith("[bot]") else "User"},
    }


def _gitlab(state: ForgeServer, seen: Seen) -> Answer:
    job = seen.headers.get("job-token") == state.token
    if seen.headers.get("private-token") != state.token and not job:
        return 401, {"message": "401 Unauthorized"}, {}
    if job and state.rights != "write":
        return 401, {"message": "401 Unauthorized"}, {}
    if seen.path == "/api/v4/user":
        return 200, {"id": US, "username": "project_42_bot", "web_url": f"{state.url}/project_42_bot"}, {}
    match = re.fullmatch(r"/api/v4/projects/([^/]+)/(.*)", seen.path)
    if match is None or unquote(match[1]) not in (str(PROJECT), PATH) or state.rights == "none":
        return 404, {"message": "404 Project Not Found"}, {}
    if seen.method != "GET" and state.rights != "write":
        return 403, {"error": "insufficient_scope", "error_description": "The request requires higher privileges"}, {}
    return _gitlab_rest(state, seen, match[2])


def _gitlab_rest(state: ForgeServer, seen: Seen, path: str) -> Answer:
    notes = f"merge_requests/{NUMBER}/notes"
    if path == notes and seen.method == "GET":
        return _page(state, seen, [_gitlab_note(state, comment) for comment in state.comments])
    if path == notes:
        return 201, _gitlab_note(state, state.add(seen.body["body"], US)), {}
    if path == f"merge_requests/{NUMBER}" and seen.method == "GET":
        return 200, {"iid": NUMBER, "sha": COMMIT}, {}
    if path.startswith("statuses/"):
        return _gitlab_status(state, path.removeprefix("statuses/"), seen.body)
    if path.endswith("/statuses"):
        commit = path.split("/")[-2]
        asked = (commit, seen.query.get("name", [""])[0])
        return 200, [status for status in state.statuses if (status["commit"], status["name"]) == asked], {}
    if path == "issues" and seen.method == "GET":
        return _page(state, seen, [_gitlab_issue(state, issue) for issue in _asked_for(state, seen)])
    if path == "issues":
        return 201, _gitlab_issue(state, _made(state, seen.body, (seen.body["labels"],))), {}
    found = re.fullmatch(r"issues/([0-9]+)(/notes)?", path)
    if found:
        return _one_issue(state, seen, int(found[1]), said=bool(found[2]))
    return _one_comment(state, seen, path.removeprefix(f"{notes}/"), _gitlab_note)


def _gitlab_status(state: ForgeServer, commit: str, body: dict[str, Any]) -> Answer:
    last: dict[str, Any] = next((status for status in reversed(state.statuses) if status["name"] == body["name"]), {})
    if last.get("status") == body["state"]:
        return 400, {"message": f"Cannot transition status via :{body['state']} from :{last['status']}"}, {}
    state.statuses.append({"commit": commit, **body, "status": body["state"]})
    return 201, {"id": 1, **body, "status": body["state"]}, {}


def _gitlab_note(state: ForgeServer, comment: dict[str, Any]) -> dict[str, Any]:
    del state
    author = {"id": comment["author"], "username": LOGINS[comment["author"]]}
    return {"id": comment["id"], "body": comment["body"], "author": author, "system": comment.get("system", False)}


def _one_comment(state: ForgeServer, seen: Seen, name: str, shown: Any) -> Answer:
    comment = next((item for item in state.comments if str(item["id"]) == name), None)
    if comment is None:
        return 404, {"message": "Not Found"}, {}
    if seen.method == "DELETE":
        state.comments.remove(comment)
        return 204, None, {}
    if seen.method in ("PATCH", "PUT"):
        comment["body"] = seen.body["body"]
    return 200, shown(state, comment), {}


def _page(state: ForgeServer, seen: Seen, items: list[dict[str, Any]]) -> Answer:
    """One page, with the address of the next in the Link header, as both forges give it."""
    page = int(seen.query.get("page", ["1"])[0])
    size = min(int(seen.query.get("per_page", ["30"])[0]), state.page_size)
    more = len(items) > page * size
    asked = {**{key: values[0] for key, values in seen.query.items()}, "per_page": str(size), "page": str(page + 1)}
    link = f'<{state.url}{seen.path}?{urlencode(asked)}>; rel="next"' if more else ""
    return 200, items[(page - 1) * size : page * size], {"link": link} if link else {}
