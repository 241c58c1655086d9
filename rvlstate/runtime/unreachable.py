"""Why a server cannot be used: broken connections, refused users and loading servers, each with what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from redis.exceptions import ConnectionError as ConnectionLostError
from redis.exceptions import InvalidResponse, RedisClusterException, ResponseError
from redis.exceptions import TimeoutError as NoAnswerError

from rvlstate.errors import ServerUnreachableError
from rvlstate.runtime.server_errors import is_authentication, is_loading, is_unavailable


@contextmanager
def reachable(url: str) -> Iterator[None]:
    """Turn broken connections, refused users and a server that is loading into ServerUnreachableError about `url`.

    `url` is shown, so it must be redacted.
    """
    try:
        yield
    except (ConnectionLostError, NoAnswerError, InvalidResponse, RedisClusterException, OSError) as error:
        raise unreachable(url, error) from error
    except ResponseError as error:
        if not is_unavailable(error) and not is_authentication(error):
            raise
        raise unreachable(url, error) from error


def unreachable(url: str, error: Exception) -> ServerUnreachableError:
    """The error that explains why the server behind `url` (redacted) cannot be used."""
    what, next_step = next((what, next_step) for applies, what, next_step in _EXPLANATIONS if applies(error))
    return ServerUnreachableError(what, where=url, why=str(error), next_step=next_step)


def _mentions(*wordings: str) -> Callable[[Exception], bool]:
    return lambda error: any(wording in str(error) for wording in wordings)


# The first that applies is told.
_EXPLANATIONS: tuple[tuple[Callable[[Exception], bool], str, str], ...] = (
    (
        is_authentication,
        "the server refused the user or the password",
        "check both in the URL, where / ? # @ : and % of a password must be percent-encoded.",
    ),
    (
        is_loading,
        "the server is still loading its data",
        "run again when INFO persistence shows loading:0.",
    ),
    (
        is_unavailable,
        "the cluster does not serve all of its slots",
        "run again when CLUSTER INFO shows cluster_state:ok.",
    ),
    (
        _mentions("Cluster mode is not enabled", "cluster support disabled"),
        "this server is no cluster",
        "write redis:// in place of redis+cluster://.",
    ),
    (
        lambda error: isinstance(error, InvalidResponse),
        "what answers there is no Redis server",
        "check host and port in the URL, and whether a proxy stands in between.",
    ),
    (
        _mentions("SSL", "certificate"),
        "no TLS connection to the server",
        "check that the port speaks TLS, and name the authority that signed its certificate: ?ssl_ca_certs=FILE.",
    ),
    (
        _mentions("Name or service not known", "name resolution", "nodename nor servname", "No address associated"),
        "the host name of the server is not known",
        "check the host in the URL, and the DNS of this machine.",
    ),
    (
        lambda error: isinstance(error, NoAnswerError),
        "the server did not answer in time",
        "check that it is not blocked (SLOWLOG GET), and speaks TLS for rediss://; ?socket_timeout=60 waits longer.",
    ),
    (
        lambda _: True,
        "no connection to the server",
        "check that it runs, and host and port in the URL; rediss:// if it speaks TLS.",
    ),
)
