"""Numbers in JSON texts, spelled so that the server's quick way of reading decimals gives exactly these numbers.

RedisJSON takes all digits as one integer and divides it by a power of ten: two roundings, by which one number in
ten of 16 or 17 digits becomes its neighbour. What was written would then not be what is held, and would pass for the
write of somebody else. The same number with one digit more or less mostly survives.
"""

from __future__ import annotations

import math
import re

_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*"|-?\d[\d.]{15,}(?:[eE][+-]?\d+)?|-?\d[\d.]*[eE][+-]?\d+')
"""Texts, which are skipped, and numbers with an exponent or, maybe, more than 15 digits: others are read exactly."""

_NUMBER = re.compile(r"(-?)(\d+)\.?(\d*)(?:e([+-]?\d+))?", re.IGNORECASE)
_SPELLINGS = (17, 18, 19, 16)
_LARGEST, _LARGEST_EXPONENT = 1 << 64, 308
_POWERS = tuple(float(10**exponent) for exponent in range(64))


def lasting(text: bytes) -> bytes:
    """A JSON text whose numbers the server holds as they are; where none of their spellings lasts, their neighbours."""
    return _TOKENS.sub(_lasting_token, text)


def as_held(number: str) -> float | None:
    """What the server makes of a decimal number; None for one with more digits than it reads at once."""
    match = _NUMBER.fullmatch(number)
    if match is None:
        return None
    sign, whole, fraction, exponent = match.groups()
    digits, shift = int(whole + fraction), int(exponent or 0) - len(fraction)
    if digits >= _LARGEST or abs(shift) > _LARGEST_EXPONENT:  # beyond its table it goes other ways
        return None
    value = digits * float(f"1e{shift}") if shift >= 0 else digits / float(f"1e{-shift}")
    return -value if sign else value


def _lasting_token(match: re.Match[bytes]) -> bytes:
    token = match[0]
    if token[:1] == b'"':
        return token
    whole, _, fraction = token.partition(b".")
    if fraction.isdigit() and len(token) < len(_POWERS):  # what nearly all are, without the detours of the others
        digits = int(whole + fraction)
        if abs(digits) < _LARGEST and digits / _POWERS[len(fraction)] == float(token):
            return token
    return _lasting_number(token.decode()).encode() if {*b".eE"} & {*token} else token


def _lasting_number(token: str) -> str:
    wanted = float(token)
    if as_held(token) in (wanted, None):
        return token
    for number in (wanted, math.nextafter(wanted, 0.0), math.nextafter(wanted, math.copysign(math.inf, wanted))):
        for digits in _SPELLINGS:
            spelled = f"{number:.{digits}g}"
            spelled += "" if {*".e"} & {*spelled} else "e0"  # a whole number stays one with a fraction
            if as_held(spelled) == number == float(spelled):
                return spelled
    return token
