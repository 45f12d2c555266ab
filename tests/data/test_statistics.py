"""Target and count statistics against a slow loop, and that no row sees what it must not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from autorec.data import pair_keys, statistics_learning, statistics_pairs
from autorec.data.statistics import FOLDS, SMOOTHING, Accumulator, Problem, Table, before, joint_keys, loss, smoothed
from autorec.data.statistics_learning import learn
from autorec.data.statistics_pairs import choose_pairs

NAN = float("nan")


def problem(
    ids: np.ndarray, labels: np.ndarray, order: np.ndarray | None = None, method: str = "ordered", real: bool = False
) -> Problem:
    labels = labels.reshape(len(ids), -1).astype(np.float32)
    order = np.arange(len(ids)) if order is None else order
    return Problem(lambda rows: ids[rows], labels, [not real] * labels.shape[1], order, method)


def run(given: Problem, wanted: list[tuple[int, ...]], sizes: list[int]) -> tuple[np.ndarray, list[Table]]:
    """Returns the training rows' statistics and the tables."""
    out = np.full((len(given.labels), len(wanted) * (given.labels.shape[1] + 1)), NAN, np.float32)

    def write(rows: np.ndarray, values: np.ndarray) -> None:
        out[rows] = values

    return out, learn(given, [f"c{i}" for i in range(len(sizes))], sizes, wanted, write)


def log(rows: int, seed: int = 0, targets: int = 1, unlabelled: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    ids = rng.integers(2, 9, (rows, 2)).astype(np.int32)
    labels = (rng.random((rows, targets)) < ids[:, :1] / 10).astype(np.float32)
    labels[rng.random((rows, targets)) < unlabelled] = NAN
    return ids, labels


def slow_ordered(given: Problem, ids: np.ndarray, table: Table, columns: tuple[int, ...]) -> np.ndarray:
    """The definition, row by row."""
    out = np.zeros((len(ids), given.labels.shape[1] + 1))
    seen: list[int] = []
    for row in given.order:
        same = [other for other in seen if all(ids[other, c] == ids[row, c] for c in columns)]
        for target, smoothing in enumerate(table.smoothing):
            values = [given.labels[other, target] for other in same if not np.isnan(given.labels[other, target])]
            rate = (sum(values) + smoothing * given.priors[target]) / (len(values) + smoothing)
            out[row, target] = np.log(rate / (1 - rate))
        out[row, -1] = np.log1p(len(same))
        seen.append(row)
    return out


@pytest.mark.parametrize("block", [7, 65_536])
@pytest.mark.parametrize(("targets", "unlabelled"), [(1, 0.0), (1, 0.3), (3, 0.3)])
def test_ordered_statistics_equal_a_slow_loop(
    monkeypatch: pytest.MonkeyPatch, block: int, targets: int, unlabelled: float
) -> None:
    monkeypatch.setattr("autorec.data.statistics.BLOCK", block)
    ids, labels = log(120, targets=targets, unlabelled=unlabelled)
    given = problem(ids, labels, np.random.default_rng(1).permutation(120))
    found, tables = run(given, [(0,), (0, 1)], [9, 9])
    expected = [slow_ordered(given, ids, table, columns) for table, columns in zip(tables, [(0,), (0, 1)])]
    np.testing.assert_allclose(found, np.concatenate(expected, 1), rtol=2e-5, atol=1e-5)


def test_a_rate_worked_out_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics_learning, "SMOOTHING", (2.0,))
    found, tables = run(problem(np.full((4, 1), 2), np.array([1, 0, 1, 1])), [(0,)], [3])
    # prior .75: (0 + 1.5)/2, (1 + 1.5)/3, (1 + 1.5)/4, (2 + 1.5)/5; then all rows: (3 + 1.5)/6
    rates = 1 / (1 + np.exp(-found[:, 0]))
    np.testing.assert_allclose(rates, [0.75, 2.5 / 3, 0.625, 0.7], rtol=1e-6)
    np.testing.assert_allclose(found[:, 1], np.log1p([0, 1, 2, 3]), rtol=1e-6)
    np.testing.assert_allclose(tables[0].values[2], [np.log(0.75 / 0.25), np.log1p(4)], rtol=1e-6)


def test_the_rate_of_a_real_target_is_the_smoothed_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics_learning, "SMOOTHING", (1.0,))
    found, _ = run(problem(np.full((3, 1), 2), np.array([5.0, 2.0, 2.0]), real=True), [(0,)], [3])
    np.testing.assert_allclose(found[:, 0], [3.0, 4.0, 10 / 3], rtol=1e-6)


def test_a_row_sees_neither_its_own_target_nor_later_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics_learning, "SMOOTHING", (3.0,))
    ids, labels = log(300)
    order = np.random.default_rng(2).permutation(300)
    first, _ = run(problem(ids, labels, order), [(0,), (0, 1)], [9, 9])
    changed = labels.copy()
    late = order[200:]
    changed[late] = labels[late][::-1]  # the prior, the mean of all, stays
    second, _ = run(problem(ids, changed, order), [(0,), (0, 1)], [9, 9])
    np.testing.assert_array_equal(first[order[:201]], second[order[:201]])
    assert not np.array_equal(first[late], second[late])


def test_another_order_gives_other_statistics_and_the_same_tables() -> None:
    ids, labels = log(300)
    first, tables = run(problem(ids, labels), [(0,)], [9])
    second, others = run(problem(ids, labels, np.arange(300)[::-1]), [(0,)], [9])
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(tables[0].values[:, 1], others[0].values[:, 1])


def test_random_labels_on_unique_ids_do_not_leak() -> None:
    rows = 4000
    labels = np.random.default_rng(3).integers(0, 2, rows)
    found, _ = run(problem(np.arange(2, rows + 2)[:, None], labels), [(0,)], [rows + 2])
    assert len(np.unique(found[:, 0])) == 1  # the prior


@pytest.mark.parametrize("seed", range(3))
def test_random_labels_on_rare_ids_do_not_leak(seed: int) -> None:
    rows = 20_000
    rng = np.random.default_rng(seed)
    ids, labels = rng.integers(2, 5002, (rows, 1)), rng.integers(0, 2, rows)
    found, _ = run(problem(ids, labels), [(0,)], [5002])
    error = np.sqrt(1 / (3 * rows))  # of the AUC of an uninformed score, half of the rows positive
    assert abs(roc_auc_score(labels, found[:, 0]) - 0.5) < 2 * error


def test_kfold_statistics_are_of_the_other_folds() -> None:
    ids, labels = log(95)
    given = problem(ids, labels, np.random.default_rng(4).permutation(95), "kfold")
    found, tables = run(given, [(0,)], [9])
    fold = np.empty(95, int)
    fold[given.order] = np.arange(95) % FOLDS
    smoothing = tables[0].smoothing[0]
    for row in range(95):
        same = (fold != fold[row]) & (ids[:, 0] == ids[row, 0])
        rate = (labels[same].sum() + smoothing * labels.mean()) / (same.sum() + smoothing)
        np.testing.assert_allclose(found[row], [np.log(rate / (1 - rate)), np.log1p(same.sum())], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", ["ordered", "kfold"])
def test_rows_without_a_label_count_but_do_not_move_the_rate(method: str) -> None:
    ids, labels = log(400, unlabelled=0.5)
    known = ~np.isnan(labels[:, 0])
    _, (table,) = run(problem(ids, labels, method=method), [(0,)], [9])
    for key in range(2, 9):
        rows = known & (ids[:, 0] == key)
        rate = smoothed(
            labels[rows].sum(), rows.sum(), float(np.nanmean(labels, dtype=np.float64)), table.smoothing[0], True
        )
        assert table.values[key, 0] == pytest.approx(rate, rel=1e-4, abs=1e-5)
        assert table.values[key, 1] == pytest.approx(np.log1p((ids[:, 0] == key).sum()))


def test_smoothing_is_weak_for_keys_that_tell_much_and_strong_for_noise() -> None:
    rng = np.random.default_rng(5)
    ids = rng.integers(2, 402, (6000, 1))
    pure, noise = (ids[:, 0] % 2).astype(np.float32), rng.integers(0, 2, 6000)
    assert run(problem(ids, pure), [(0,)], [402])[1][0].smoothing == (SMOOTHING[0],)
    assert run(problem(ids, noise), [(0,)], [402])[1][0].smoothing == (SMOOTHING[-1],)


def test_the_table_of_pairs_gives_unseen_pairs_the_prior() -> None:
    ids, labels = np.array([[2, 3], [2, 3], [4, 2]]), np.array([1, 1, 0])
    _, (table,) = run(problem(ids, labels), [(0, 1)], [5, 4])
    assert table.keys is not None
    assert table.keys.tolist() == joint_keys([np.array([2, 4]), np.array([3, 2])], 4).tolist()
    found = table.lookup([np.array([4, 4, 2]), np.array([2, 3, 3])])
    np.testing.assert_allclose(found[1], [np.log(2), 0.0], rtol=1e-6)
    np.testing.assert_allclose(found[:, 1], np.log1p([1, 0, 2]), rtol=1e-6)


def test_no_pair_kept_is_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pair_keys, "MOST_PAIR_KEYS", 10)
    ids = np.stack([np.arange(2, 102), np.arange(2, 102)], 1)
    found, (table,) = run(problem(ids, np.arange(100) % 2), [(0, 1)], [102, 102])
    np.testing.assert_array_equal(found, np.zeros((100, 2)))  # the logit of .5, no row
    assert table.lookup([np.array([2]), np.array([2])]).tolist() == [[0.0, 0.0]]
    assert table.values.shape == (0, 2)  # a row without a key, the exported graph would look for


def test_rare_pairs_are_dropped_where_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pair_keys, "MOST_PAIR_KEYS", 10)
    ids = np.stack([np.r_[np.arange(2, 22), [5] * 30], np.full(50, 2)], 1)
    _, (table,) = run(problem(ids, np.arange(50) % 2), [(0, 1)], [22, 3])
    assert table.keys is not None
    assert table.keys.tolist() == [5 * 3 + 2]


@pytest.mark.parametrize("wanted", [(0,), (0, 1)])
def test_a_saved_table_loads_with_the_same_values(tmp_path: Path, wanted: tuple[int, ...]) -> None:
    ids, labels = log(60, targets=2)
    _, (table,) = run(problem(ids, labels), [wanted], [9, 9])
    table.save(tmp_path / "table.npz")
    loaded = Table.load(tmp_path / "table.npz")
    columns = [ids[:, c] for c in wanted]
    np.testing.assert_array_equal(loaded.lookup(columns), table.lookup(columns))
    assert (loaded.sources, loaded.smoothing) == (table.sources, table.smoothing)


def test_before_counts_and_sums_earlier_rows_of_the_same_place() -> None:
    number, total = before(np.array([3, 1, 3, 3]), np.array([1.0, 10.0, 100.0, 1000.0]))
    assert number.tolist() == [0, 0, 1, 2]
    assert total.tolist() == [0, 0, 1, 101]


def test_loss_is_log_loss_for_logits_and_squared_error_for_values() -> None:
    assert loss(np.array([0.0]), np.array([1.0]), True)[0] == pytest.approx(np.log(2))
    assert loss(np.array([3.0]), np.array([1.0]), False)[0] == 4.0


def test_a_planted_pair_is_chosen_and_one_of_noise_is_not() -> None:
    rng = np.random.default_rng(6)
    ids = rng.integers(2, 12, (8000, 3))
    labels = ((ids[:, 0] + ids[:, 1]) % 2).astype(np.float32)
    assert choose_pairs(problem(ids, labels), [12, 12, 12], [0, 1, 2])[0] == (0, 1)
    assert (1, 2) not in choose_pairs(problem(ids, labels), [12, 12, 12], [1, 2])


def test_of_very_many_columns_those_that_tell_most_are_paired(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(6)
    ids = rng.integers(2, 12, (8000, 4))
    odds = 2.0 * ((ids[:, 0] + ids[:, 1]) % 2) + 0.3 * (ids[:, 2] + ids[:, 3]) - 5.0 + 3.0 * (ids[:, 2] == ids[:, 3])
    labels = (rng.random(8000) < 1 / (1 + np.exp(-odds))).astype(np.float32)
    given, sizes = problem(ids, labels), [12] * 4
    assert set(choose_pairs(given, sizes, range(4))) == {(0, 1), (2, 3)}
    monkeypatch.setattr(statistics_pairs, "MOST_COLUMNS", 2)  # the first two tell nothing by themselves
    assert choose_pairs(given, sizes, range(4)) == [(2, 3)]


def test_each_target_takes_its_own_pairs() -> None:
    rng = np.random.default_rng(6)
    ids = rng.integers(2, 12, (8000, 4))
    labels = np.stack([(ids[:, 0] + ids[:, 1]) % 2, (ids[:, 2] + ids[:, 3]) % 2], 1).astype(np.float32)
    both = choose_pairs(problem(ids, labels), [12] * 4, [0, 1, 2, 3])
    assert set(both[:2]) == {(0, 1), (2, 3)}
    constant = np.stack([labels[:, 0], np.zeros(8000)], 1)
    alone = choose_pairs(problem(ids, labels[:, 0]), [12] * 4, [0, 1, 2, 3])
    assert choose_pairs(problem(ids, constant), [12] * 4, [0, 1, 2, 3]) == alone


def test_a_pair_that_only_adds_up_is_not_chosen() -> None:
    rng = np.random.default_rng(7)
    ids = rng.integers(2, 22, (8000, 2))
    logit = (ids[:, 0] - 11) / 5 + (ids[:, 1] - 11) / 5
    labels = rng.random(8000) < 1 / (1 + np.exp(-logit))
    assert choose_pairs(problem(ids, labels), [22, 22], [0, 1]) == []


@pytest.mark.parametrize("block", [9, 4_096])
@pytest.mark.parametrize("most", [40, 100_000])
def test_pair_keys_and_their_counts_do_not_depend_on_when_blocks_are_merged(
    monkeypatch: pytest.MonkeyPatch, block: int, most: int
) -> None:
    monkeypatch.setattr(pair_keys, "BLOCK", block)
    monkeypatch.setattr(pair_keys, "MOST_PAIR_KEYS", most)
    ids = np.random.default_rng(8).zipf(1.6, (600, 2)).clip(2, 80)
    expected = counts_block_by_block(ids, block, most)
    _, (table,) = run(problem(ids, np.arange(600) % 2), [(0, 1)], [81, 81])
    assert table.keys is not None
    assert table.keys.tolist() == expected


def counts_block_by_block(ids: np.ndarray, block: int, most: int) -> list[int]:
    """Counts with a dict, forgetting the rarest keys behind each block that leaves too many, and at the end."""
    counts: dict[int, int] = {}
    for start in range(0, len(ids), block):
        for a, b in ids[start : start + block].tolist():
            counts[a * 81 + b] = counts.get(a * 81 + b, 0) + 1
        counts = frequent(counts, 4 * most)
    return sorted(frequent(counts, most))


def frequent(counts: dict[int, int], most: int) -> dict[int, int]:
    least = 1
    while len(counts) > most:
        least += 1
        counts = {key: count for key, count in counts.items() if count >= least}
    return counts


@pytest.mark.parametrize("method", ["ordered", "kfold"])
def test_the_number_of_threads_changes_no_bit(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    monkeypatch.setattr("autorec.data.statistics.BLOCK", 64)
    ids, labels = log(500, targets=2, unlabelled=0.2)
    labels *= np.random.default_rng(10).random(labels.shape).astype(np.float32)  # sums that depend on their order
    given = problem(ids, labels, np.random.default_rng(1).permutation(500), method, real=True)
    found = []
    for threads in (1, 8):
        monkeypatch.setattr("autorec.data.statistics_learning.os.cpu_count", lambda threads=threads: threads)
        found.append(run(given, [(0,), (1,), (0, 1)], [9, 9]))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    for one, other in zip(found[0][1], found[1][1]):
        np.testing.assert_array_equal(one.values, other.values)


@pytest.mark.parametrize("unlabelled", [0.0, 0.2])
@pytest.mark.parametrize("together", [0, 1, 4])
def test_how_many_folds_fit_into_memory_changes_no_bit(
    monkeypatch: pytest.MonkeyPatch, together: int, unlabelled: float
) -> None:
    monkeypatch.setattr("autorec.data.statistics.BLOCK", 64)
    ids, labels = log(500, targets=2, unlabelled=unlabelled)
    labels *= np.random.default_rng(10).random(labels.shape).astype(np.float32)  # sums that depend on their order
    given = problem(ids, labels, np.random.default_rng(1).permutation(500), "kfold", real=True)
    keys: list[tuple[int, ...]] = [(0,), (1,), (0, 1)]
    found, tables = run(given, keys, [9, 9])
    sums = [Accumulator(len(table.values), 2, given.complete) for table in tables]
    size = sum(each.count.nbytes + each.sums.nbytes for each in sums)
    size += sum(each.labelled.nbytes for each in sums if each.labelled is not None)
    made: list[int] = []

    def counted(size: int, *rest: Any) -> Accumulator:
        made.append(size)
        return Accumulator(size, *rest)

    monkeypatch.setattr(statistics_learning, "Accumulator", counted)
    monkeypatch.setattr(statistics_learning, "MEMORY", together * size)
    again, tables_again = run(given, keys, [9, 9])
    assert max(made) == max(len(table.values) for table in tables) * max(together, 1)
    np.testing.assert_array_equal(found, again)
    for one, other in zip(tables, tables_again):
        np.testing.assert_array_equal(one.values, other.values)
