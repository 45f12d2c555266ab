"""What members of an ensemble answer: losses, hard predictions, parts of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from autorec.errors import ConfigError
from autorec.searchers.panel import Panel, Votes, quantile_bins
from autorec.training import metrics
from tests.searchers.panels import clicked, rated

EQUAL = np.array([0.5, 0.5])


def test_the_loss_of_clicks_is_the_log_loss_of_the_mean_logit() -> None:
    votes = clicked(2).votes[0]
    chance = 1 / (1 + np.exp(-votes.scores.mean(0)))
    assert votes.loss(EQUAL) == pytest.approx(metrics.log_loss(votes.labels, chance), rel=1e-6)


def test_the_loss_of_ratings_is_of_answers_within_their_bounds_in_units_of_the_scale() -> None:
    votes = Votes(np.array([[0.0, 9.0], [0.0, 7.0]]), np.array([2.0, 5.0]), "real", scale=2.0, low=1.0, high=5.0)
    assert votes.loss(EQUAL) == pytest.approx(((2.0 - 1.0) ** 2 / 4 + 0.0) / 2)


def test_the_loss_of_classes_is_the_cross_entropy_of_the_mean_logits() -> None:
    votes = Votes(np.array([[[1.0, 0.0, 0.0]], [[0.0, 0.0, 1.0]]]), np.array([2]), "classes")
    assert votes.loss(EQUAL) == pytest.approx(np.log(2 * np.exp(0.5) + 1) - 0.5)


def test_rows_count_by_their_weights() -> None:
    outputs, labels = np.array([[0.0, 3.0]]), np.array([1.0, 1.0])
    assert Votes(outputs, labels, "binary", np.array([1.0, 0.0])).loss(np.ones(1)) == pytest.approx(np.log(2))


def test_scores_are_binned_by_the_quantiles_of_all_members_together() -> None:
    low, high = np.linspace(0, 1, 50), np.linspace(9, 10, 50)
    bins = Votes(np.stack([low, high]), np.zeros(50), "binary").bins
    assert set(bins[0]) == {0, 1, 2, 3, 4}
    assert set(bins[1]) == {5, 6, 7, 8, 9}


def test_equal_values_share_a_bin() -> None:
    one, same, other = quantile_bins(np.array([1.0, 1.0, 5.0]), np.array([1.0, 1.0, 1.0, 5.0]))
    assert one == same < other


def test_clicks_are_decided_for_as_often_as_there_are_some() -> None:
    votes = Votes(np.array([[-5.0, -4.0, -3.0, -2.0]]), np.array([0.0, 0.0, 0.0, 1.0]), "binary")
    np.testing.assert_array_equal(votes.decisions, [[0, 0, 0, 1]])
    assert votes.right.all()


def test_a_rating_is_right_in_the_bin_of_its_label() -> None:
    votes = rated(2).votes[0]
    np.testing.assert_array_equal(votes.right, votes.bins == quantile_bins(votes.labels, votes.scores))


def test_some_rows_keep_the_bins_of_all() -> None:
    votes = clicked(3).votes[0]
    chosen = np.arange(400) % 4 == 0
    np.testing.assert_array_equal(votes.take(chosen).bins, votes.bins[:, chosen])


def test_targets_without_some_labels_give_the_rows_that_they_have() -> None:
    one = Votes(np.zeros((2, 3)), np.zeros(3), "binary", numbers=np.array([0, 2, 4]))
    panel = Panel([one, Votes(np.zeros((2, 5)), np.ones(5), "binary")])
    part = panel.take(np.array([True, True, True, False, False]))
    assert panel.rows == 5
    assert [list(each.numbers) for each in part.votes] == [[0, 2], [0, 1, 2]]  # type: ignore[arg-type]


def test_the_losses_of_targets_add_up() -> None:
    one, other = clicked(2, seed=1).votes[0], rated(2).votes[0]
    assert Panel([one, other]).loss(EQUAL) == pytest.approx(one.loss(EQUAL) + other.loss(EQUAL))


def test_the_standard_error_is_that_of_a_mean_of_paired_differences() -> None:
    votes = clicked(2, rows=300).votes[0]
    differences = votes.losses(votes.scores[0]) - votes.losses(votes.scores[1])
    found = Panel([votes]).standard_error(np.array([1.0, 0.0]), np.array([0.0, 1.0]))
    assert found == pytest.approx(differences.std() / np.sqrt(300))


def test_rows_are_labelled_by_chance_once_for_all_targets() -> None:
    votes = clicked(2, rows=300).votes[0]
    both = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    found = Panel([votes]).standard_error(*both)
    assert Panel([votes, votes]).standard_error(*both) == pytest.approx(2 * found)
    first, second = replace(votes, numbers=np.arange(300)), replace(votes, numbers=np.arange(300, 600))
    assert Panel([first, second]).standard_error(*both) == pytest.approx(np.sqrt(2) * found)


def test_the_standard_error_counts_rows_by_their_weights() -> None:
    outputs, labels = np.array([[0.5, -1.0, 2.0], [0.0, 0.3, 1.0]]), np.array([1, 0, 1])
    twice = np.array([0, 0, 1, 2])
    weighted = Panel([Votes(outputs, labels, "binary", weights=np.array([2.0, 1.0, 1.0]))])
    repeated = Panel([Votes(outputs[:, twice], labels[twice], "binary")])
    both = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    difference = repeated.votes[0].losses(outputs[0][twice]) - repeated.votes[0].losses(outputs[1][twice])
    centred = difference - difference.mean()
    expected = np.sqrt((2 * centred[0]) ** 2 + centred[2] ** 2 + centred[3] ** 2) / 4
    assert weighted.standard_error(*both) == pytest.approx(expected)


def test_some_members_are_a_panel_of_their_own() -> None:
    panel = clicked(4)
    assert panel.of([3, 1]).single_losses == pytest.approx(panel.single_losses[[3, 1]])


@pytest.mark.parametrize(
    ("outputs", "kind"), [(np.zeros((2, 4)), "binary"), (np.zeros((2, 3)), "classes"), (np.zeros((0, 3)), "real")]
)
def test_outputs_of_another_shape_are_refused(outputs: np.ndarray, kind: str) -> None:
    with pytest.raises(ConfigError, match="`outputs` must be"):
        Votes(outputs, np.zeros(3), kind)


def test_targets_of_different_members_are_refused() -> None:
    with pytest.raises(ConfigError, match="those of the same members"):
        Panel([clicked(2).votes[0], clicked(3).votes[0]])
