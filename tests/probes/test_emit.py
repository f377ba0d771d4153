"""Records of a kind keep one schema, whatever each of them has."""

from __future__ import annotations

import numpy as np

from nnwatch.probes.emit import Emitter

from .harness import Recorded, read


def test_what_a_record_lacks_is_nan_in_the_schema_of_its_kind(tmp_path):
    emit = Emitter([str(tmp_path)], 1 << 20)
    emit.open_segment("start", 0)
    emit.columns("sample", 1, 0.0, [("accuracy.train", 0, 0.5), ("target.each", 0, [1, 2, 3])])
    emit.columns("sample", 2, 0.0, [("target.each", 0, [4])])
    emit.columns("sample", 3, 0.0, [("r2.train", 0, 0.25), ("accuracy.train", 0, 1.0)])
    emit.columns("sample", 4, 0.0, [("accuracy.train", 0, 0.0)])
    emit.open_segment("start", 0)
    emit.columns("sample", 1, 0.0, [("accuracy.train", 0, 0.75)])
    emit.close()
    recorded = Recorded(0, "", "", tmp_path)
    (path,) = tmp_path.iterdir()
    read(recorded, path)
    nan = np.nan
    np.testing.assert_array_equal(recorded.scalars("accuracy.train"), [0.5, nan, 1, 0])
    np.testing.assert_array_equal(recorded.values("target.each"), [[1, 2, 3], [4, nan, nan], [nan] * 3, [nan] * 3])
    np.testing.assert_array_equal(recorded.scalars("r2.train"), [0.25, nan])
    assert recorded.scalars("accuracy.train", 1).tolist() == [0.75]
    assert recorded.steps("target.each", 0) == [1, 2, 3, 4]
