"""Secrets in connection URLs: how a URL may be shown to anyone."""

from __future__ import annotations

import re

# Greedy up to the last "@", since a password that was not percent-encoded may hold "/", "@" and "#" itself.
_USERINFO = re.compile(r"^(?P<scheme>(?:[^:/?#@]*://)?)(?P<user>[^:@/]*):.*@", re.DOTALL)
# Any other option may be a misspelt password.
HARMLESS = (
    "protocol|db|username|client_name|socket_timeout|socket_connect_timeout|health_check_interval|max_connections|"
    "ssl_cert_reqs|ssl_check_hostname|ssl_ca_certs|ssl_certfile|ssl_keyfile"
)
_QUERY_VALUE = re.compile(rf"(?P<key>[?&](?!(?:{HARMLESS})=)[^=&]*=)[^&#]*")


def redact_url(url: str) -> str:
    """`url` with every password in it masked by `***`, also where it is not well formed or an option is misspelt."""
    masked = _USERINFO.sub(r"\g<scheme>\g<user>:***@", url)
    return _QUERY_VALUE.sub(r"\g<key>***", masked)
