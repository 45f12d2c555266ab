"""The known process behind the built-in click log: who sees what, and how likely a click is."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

SEGMENTS = ("student", "family", "single", "retired", "expat", "gamer", "traveller", "investor")
COUNTRIES = ("US", "IN", "BR", "DE", "FR", "GB", "JP", "MX", "PL", "SE")
DEVICES = ("phone", "desktop", "tablet", "tv")
CATEGORIES = (
    *("books", "fashion", "finance", "food", "games", "garden"),
    *("health", "music", "news", "sport", "tools", "travel"),
)
POSITIONS = 8
DAYPARTS = 4
START = 1_704_067_200_000_000  # Monday 2024-01-01 00:00 UTC in microseconds
DAY = 86_400_000_000
_COUNTRY_SHARES = np.array([0.24, 0.18, 0.12, 0.1, 0.08, 0.08, 0.07, 0.05, 0.05, 0.03])
_DEVICE_SHARES = np.array([0.4, 0.3, 0.2, 0.1])
_RECENCY = 0.8  # each older item of a history counts so much of the next newer one

Rows = dict[str, np.ndarray]


@dataclass
class Process:
    """Parameters drawn from the seed alone, and the arithmetic from a row to its probabilities.

    The logit of a click is the sum of main effects and of these interactions, each with mean 0 over its cells, so
    that no sum of one-column effects can stand for it: `segment x category`, `device x position`,
    `user x item` (two latent factors), `age x price`, `segment x category x daypart`, and `history x category` where
    there is a history. A like and a long dwell are possible only for a click: ``P(like) = P(click) P(like | click)``.

    Args:
        seed: Seed of every parameter.
        users: Number of users, 1 or more.
        items: Number of items, 1 or more.
        drift: 0 for a process that stands still; at 1 the moving effects of the last day are all others than those
            of the first.
        history: Largest length of a history; 0 for none.

    Example:
        >>> process = Process(seed=0, users=10, items=5)
        >>> rows = process.draw(np.random.default_rng(0), np.zeros(3))
        >>> process.probability("click", rows).shape
        (3,)
    """

    seed: int
    users: int
    items: int
    drift: float = 0.0
    history: int = 0
    tables: dict[str, np.ndarray] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng([self.seed, 0])
        self.tables = {**self._users(rng), **self._items(rng), **_effects(rng)}
        order = np.argsort(self.tables["item_category"], kind="stable")
        starts = np.searchsorted(self.tables["item_category"][order], np.arange(len(CATEGORIES) + 1))
        self.tables |= {"by_category": order, "category_start": starts}

    def _users(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        segment = rng.integers(len(SEGMENTS), size=self.users)
        age = np.clip(rng.normal(38, 12, self.users), 16, 90).round()
        return {
            "user_segment": segment,
            "user_country": rng.choice(len(COUNTRIES), size=self.users, p=_COUNTRY_SHARES),
            "user_age": age,
            "user": rng.normal(0, 0.1, self.users),
            "user_factors": rng.normal(0, 0.35, (self.users, 2)),
            "user_order": rng.permutation(self.users),
            "user_cdf": _popularity(self.users, 0.3),
        }

    def _items(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        return {
            "item_category": rng.integers(len(CATEGORIES), size=self.items),
            "item_price": np.exp(rng.normal(3, 0.6, self.items)),
            "item": rng.normal(0, 0.2, self.items),
            "item_factors": rng.normal(0, 0.35, (self.items, 2)),
            "item_order": rng.permutation(self.items),
            "item_cdf": _popularity(self.items, 0.5),
        }

    def draw(self, rng: np.random.Generator, progress: np.ndarray, days: float = 14) -> Rows:
        """Draws rows.

        Args:
            rng: Source of chance.
            progress: Place of each row in the log's time, from 0 to 1, shape `(rows,)`.
            days: Length of the log in days.

        Returns:
            Codes and numbers by column, shape `(rows,)` each; a history as `history_length` `(rows,)` and
            `history_items` `(sum of lengths,)`.
        """
        n, tables = len(progress), self.tables
        user = tables["user_order"][np.searchsorted(tables["user_cdf"], rng.random(n))]
        item = tables["item_order"][np.searchsorted(tables["item_cdf"], rng.random(n))]
        age = np.where(rng.random(n) < 0.08, np.nan, tables["user_age"][user])
        price = np.round(tables["item_price"][item] * np.exp(rng.normal(0, 0.2, n)), 2)
        rows = {
            "time": START + (progress * days * DAY).astype(np.int64),
            "progress": progress,
            "user": user,
            "item": item,
            "segment": tables["user_segment"][user],
            "country": tables["user_country"][user],
            "device": rng.choice(len(DEVICES), size=n, p=_DEVICE_SHARES),
            "category": tables["item_category"][item],
            "position": rng.integers(POSITIONS, size=n),
            "age": age,
            "price": np.where(rng.random(n) < 0.05, np.nan, price),
        }
        return {**rows, **self._draw_history(rng, rows["category"])} if self.history else rows

    def _draw_history(self, rng: np.random.Generator, category: np.ndarray) -> Rows:
        """Draws items clicked before: most are of one category, for a third of the rows that of the item shown."""
        n, tables = len(category), self.tables
        lengths = rng.integers(self.history + 1, size=n)
        other = rng.integers(len(CATEGORIES), size=n)
        interest = np.repeat(np.where(rng.random(n) < 0.3, category, other), lengths)
        starts, ends = tables["category_start"][interest], tables["category_start"][interest + 1]
        of_interest = tables["by_category"][
            np.minimum(starts + (rng.random(len(interest)) * (ends - starts)).astype(np.int64), self.items - 1)
        ]
        popular = tables["item_order"][np.searchsorted(tables["item_cdf"], rng.random(len(interest)))]
        keep = (rng.random(len(interest)) < 0.7) & (ends > starts)
        return {"history_length": lengths, "history_items": np.where(keep, of_interest, popular)}

    def probability(self, target: str, rows: Rows) -> np.ndarray:
        """Returns the true probability of `click`, `like` or `dwell`, float64 of shape `(rows,)`."""
        click = _sigmoid(self._click_logit(rows))
        if target == "click":
            return click
        tables, segment, device, category = self.tables, rows["segment"], rows["device"], rows["category"]
        if target == "like":
            return click * _sigmoid(-0.8 + tables["like_category"][category] + tables["like_pair"][segment, device])
        age = 0.3 * _standard(rows["age"], 38, 12)
        return click * _sigmoid(age + tables["dwell_device"][device] + tables["dwell_pair"][category, device])

    def _click_logit(self, rows: Rows) -> np.ndarray:
        tables, segment, device, category = self.tables, rows["segment"], rows["device"], rows["category"]
        daypart = (rows["time"] - START) % DAY * DAYPARTS // DAY
        logit = -1.0 + tables["user"][rows["user"]] + tables["item"][rows["item"]] + tables["category"][category]
        logit += tables["country"][rows["country"]] + tables["device"][device] + tables["daypart"][daypart]
        logit += tables["position"][rows["position"]] + tables["device_position"][device, rows["position"]]
        logit += (tables["user_factors"][rows["user"]] * tables["item_factors"][rows["item"]]).sum(axis=1)
        logit += 0.25 * _standard(rows["age"], 38, 12) * _standard(np.log(rows["price"]), 3, 0.63)
        logit += tables["triple"][segment, category, daypart]
        angle = self.drift * rows["progress"] * np.pi / 2
        logit += np.cos(angle) * tables["pair"][segment, category]
        logit += np.sin(angle) * tables["pair_later"][segment, category]
        return logit + 2.0 * self._affinity(rows) if self.history else logit

    def _affinity(self, rows: Rows) -> np.ndarray:
        """Share of the history in the shown item's category, newer items weighing more, less its usual value."""
        lengths, items = rows["history_length"], rows["history_items"]
        row = np.repeat(np.arange(len(lengths)), lengths)
        weight = _RECENCY ** (np.cumsum(lengths)[row] - 1 - np.arange(len(items)))
        same = self.tables["item_category"][items] == rows["category"][row]
        total = np.bincount(row, weight, minlength=len(lengths))
        share = np.bincount(row, weight * same, minlength=len(lengths)) / np.where(total > 0, total, 1)
        return np.where(lengths > 0, share - 0.3, 0.0)


def _effects(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draws the tables of effects of columns with few values."""
    segments, categories, devices = len(SEGMENTS), len(CATEGORIES), len(DEVICES)
    position = -0.45 * np.log(np.arange(1, POSITIONS + 1))
    return {
        "category": _table(rng, 0.2, categories),
        "country": _table(rng, 0.15, len(COUNTRIES)),
        "device": _table(rng, 0.15, devices),
        "daypart": _table(rng, 0.15, DAYPARTS),
        "position": position - position.mean(),
        "device_position": _product(rng, 0.6, 1, devices, POSITIONS),
        "pair": _product(rng, 1.3, 2, segments, categories),
        "pair_later": _product(rng, 1.3, 2, segments, categories),
        "triple": _product(rng, 0.55, 1, segments, categories, DAYPARTS),
        "like_category": _table(rng, 0.4, categories),
        "like_pair": _table(rng, 0.7, segments, devices),
        "dwell_device": _table(rng, 0.3, devices),
        "dwell_pair": _table(rng, 0.7, categories, devices),
    }


def _table(rng: np.random.Generator, deviation: float, *shape: int) -> np.ndarray:
    """Draws a table whose mean along every axis is 0, with the given standard deviation."""
    values = rng.normal(size=shape)
    for axis in range(len(shape)):
        values -= values.mean(axis=axis, keepdims=True)
    return values * (deviation / values.std())


def _product(rng: np.random.Generator, deviation: float, rank: int, *shape: int) -> np.ndarray:
    """Draws a table like `_table` that is a sum of `rank` outer products, as latent factors make them."""
    values = np.zeros(shape)
    for _ in range(rank):
        term = np.ones(())
        for size in shape:
            term = np.multiply.outer(term, _table(rng, 1.0, size))
        values += term
    return values * (deviation / values.std())


def _popularity(count: int, power: float) -> np.ndarray:
    """Returns the distribution function over ranks whose shares fall as a power of the rank."""
    shares = np.arange(1, count + 1, dtype=np.float64) ** -power
    cdf = np.cumsum(shares) / shares.sum()
    cdf[-1] = 1.0
    return cdf


def _standard(values: np.ndarray, mean: float, deviation: float) -> np.ndarray:
    """Standardises with given figures; a missing value gets 0, so that it has no effect."""
    return np.nan_to_num((values - mean) / deviation)


def _sigmoid(logit: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logit))
