"""What a column's name says about its kind; consulted where the values alone can mislead."""

from __future__ import annotations

import re


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_CODES = _set(
    "id ids uid uuid guid key code codes hash index user users item items member customer session device cookie ip zip "
    "zipcode postcode postal category categories cat class type kind genre brand sku asin ean isbn campaign creative "
    "ad ads advertiser publisher site app page domain url query product movie song artist author seller shop store "
    "city region state country county language gender sex flag weekday dow segment cluster label"
)
_COUNTS = _set("num number count counts cnt n no total sum avg mean median max min std ratio")
_LAST = _set("no number")  # behind the name of a thing they say which one it is: `customer_no`
_NUMBERED = _set("flight train account invoice ticket phone serial")
_MANY = _set("ids codes users items categories ads session page")  # of these they may count
_AMOUNTS = _set(
    "age price prices amount cost fee fare hours minutes seconds days weeks months years duration length len size "
    "width height depth area gain loss income salary revenue budget score rate percent pct quantity qty distance "
    "weight temp temperature humidity balance views clicks likes visits impressions orders votes latitude longitude "
    "lat lon lng speed value values popularity frequency freq recency elapsed"
)
_TIMES = _set("time times timestamp ts date datetime day created updated unix epoch at")
_SEQUENCES = _set(
    "history histories hist seq seqs sequence sequences clicked viewed watched bought recent session sessions last "
    "previous prev past behavior behaviour journey path trail events"
)


def words(name: str) -> list[str]:
    """Returns the words of a name in lower case: `numClicks_7d` gives `num`, `clicks`, `7d`."""
    parted = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name)
    return [word.lower() for word in re.split(r"[^A-Za-z0-9]+", parted) if word]


def whole_numbers_kind(name: str) -> str | None:
    """Returns `numeric` or `categorical` if the name of a column of whole numbers says which, else None."""
    found = words(name)
    if _is_numbered(found):
        return "categorical"
    if any(word in _COUNTS for word in found):
        return "numeric"
    for word in reversed(found):  # the head of an English compound stands last: `item_price`, `price_id`
        if _is_code(word):
            return "categorical"
        if word in _AMOUNTS:
            return "numeric"
    return None


def _is_code(word: str) -> bool:
    return word in _CODES or re.fullmatch(r"(user|item|movie|product|ad|site|app)ids?", word) is not None


def _is_numbered(found: list[str]) -> bool:
    """Returns whether a name says the number of a thing, not how many there are: `item_number`, but not `num_items`."""
    if len(found) < 2 or found[-1] not in _LAST or any(word in _COUNTS for word in found[:-1]):
        return False
    thing = found[-2]
    return thing in _NUMBERED or (_is_code(thing) and thing not in _MANY)


def head_kind(name: str) -> str | None:
    """Returns what the last word of a name says, see `whole_numbers_kind`: `session_start` is no session."""
    return whole_numbers_kind("".join(words(name)[-1:]))


def says_time(name: str) -> bool:
    """Returns whether a name speaks of a point in time."""
    return any(word in _TIMES for word in words(name))


def says_sequence(name: str) -> bool:
    """Returns whether a name speaks of things in the order in which they happened."""
    return any(word in _SEQUENCES for word in words(name))
