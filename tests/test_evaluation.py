"""Numbers about data and models, checked against slower or hand-made ones."""

import numpy as np
import pytest

from garment_utils import evaluation
from garment_utils.models import build_four_four_ten


def test_mean_and_spread_by_hand():
    assert evaluation.mean_and_spread([0.7, 0.8, 0.9]) == "0.800 ± 0.100 (3 runs)"
    with pytest.raises(ValueError, match="got 1"):
        evaluation.mean_and_spread([0.7])


def test_nearest_neighbors_against_the_definition():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (5, 28, 28), dtype=np.uint8)
    others = rng.integers(0, 256, (9, 28, 28), dtype=np.uint8)
    others[4] = images[2] // 2 + 64
    positions, distances = evaluation.nearest_neighbors(images, others)
    differences = images[:, None].astype(float) - others[None]
    expected = np.sqrt((differences**2).mean(axis=(2, 3)))
    assert np.array_equal(positions, expected.argmin(axis=1))
    np.testing.assert_allclose(distances, expected.min(axis=1))
    assert positions[2] == 4


def test_dead_units_are_counted_in_hidden_layers_only():
    model = build_four_four_ten()
    kernel_1, kernel_2 = np.ones((784, 4)), np.ones((4, 4))
    bias_1, bias_2 = np.array([0, 0, -1000, 0]), np.array([0, -1e6, -1e6, 0])
    model.set_weights([kernel_1, bias_1, kernel_2, bias_2, np.zeros((4, 10)), np.zeros(10)])
    pixels = np.full((200, 28, 28), 0.5, np.float32)  # sums of 392: only large biases silence
    assert evaluation.dead_units(model, pixels) == 3
    pixels[:3] = 3  # 3 of 200 images wake the unit of the first layer: no longer 99 of 100 silent
    assert evaluation.dead_units(model, pixels) == 2


def test_headline_and_answer_carry_their_metadata(monkeypatch):
    shown = []
    monkeypatch.setattr(
        evaluation, "display", lambda data, raw, metadata: shown.append((data, metadata))
    )
    evaluation.headline("pictures", 70_000)
    evaluation.answer("All is well.")
    assert shown == [
        (
            {"text/plain": "pictures: 70,000"},
            {"garment": {"headline": {"label": "pictures", "value": "70,000"}}},
        ),
        ({"text/plain": "All is well."}, {"garment": {"answer": "All is well."}}),
    ]
