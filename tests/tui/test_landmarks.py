import numpy as np

from nnwatch.frame import FieldSpec, Schema, Segment
from nnwatch.history import History
from nnwatch.tui.landmarks import Landmarks

from .recording import START, block


def grown(*parts):
    """Landmarks of a track after each part: (epoch, lr) a step."""
    history, landmarks, done = History(), Landmarks(), 0
    history.apply(Segment(0, 0, 1, START))
    history.apply(Schema(1, "step", [FieldSpec("epoch"), FieldSpec("lr")]))
    for part in parts:
        steps = np.arange(done + 1, done + 1 + len(part))
        done += len(part)
        history.apply(block(1, steps, START + steps, np.array(part)))
        landmarks.update(history.tracks[0, 0], None)
    return landmarks


def test_epochs_begin_where_their_number_grows():
    assert grown([(1, 0.1), (1, 0.1)], [(2, 0.1), (2, 0.1), (3, 0.1)]).epochs == [3, 5]


def test_a_jump_of_the_rate_is_a_landmark_and_a_glide_is_not():
    glide = [(1, 0.1 * 0.99**i) for i in range(50)]
    assert grown(glide).rates == []
    assert grown([(1, 0.1)], [(1, 0.1)], [(1, 0.01), (1, 0.02)]).rates == [(3, False), (4, True)]


def test_it_does_not_matter_how_the_records_come():
    records = [(1 + i // 7, 0.1 / (1 + i // 11)) for i in range(60)]
    whole, pieces = grown(records), grown(*([one] for one in records))
    assert (whole.epochs, whole.rates) == (pieces.epochs, pieces.rates)


def test_the_loader_tells_the_epochs_where_they_were_not_counted():
    history = History()
    history.apply(Segment(0, 0, 1, START))
    history.apply(Schema(1, "step", [FieldSpec("loss.train")]))
    history.apply(block(1, np.arange(1, 251), START + np.arange(1, 251), np.ones(250)))
    assert Landmarks().update(history.tracks[0, 0], 100).epochs == [101, 201]
    assert Landmarks().update(history.tracks[0, 0], None).epochs == []
