import numpy as np
import pytest

from aurefine.errors import StarError
from aurefine.optics.mtf import MtfCurve, mtf_correction, mtf_values, read_mtf

LINE = MtfCurve(np.array([0.0, 0.25, 0.5]), np.array([1.0, 0.6, 0.2]))


@pytest.fixture
def group(optics_group):
    """Function (number, MTF file, detector's pixel size) -> OpticsGroup."""

    def make(number, mtf_file, original_pixel_size=1.0):
        return optics_group(
            number=number,
            pixel_size=2.0,
            mtf_file=mtf_file,
            original_pixel_size=original_pixel_size,
        )

    return make


def write(folder, *rows, labels=("rlnResolutionInversePixel", "rlnMtfValue")):
    path = folder / "mtf.star"
    text = "\ndata_\n\nloop_\n" + "".join(f"_{label}\n" for label in labels)
    path.write_text(text + "".join(" ".join(map(str, row)) + "\n" for row in rows) + "\n")
    return path


def test_the_golden_curve_starts_at_one_and_falls(shared_data):
    curve = read_mtf(shared_data / "golden" / "postprocess" / "mtf.star")
    assert curve.frequency[0] == 0
    assert curve.value[0] == 1
    assert np.all(np.diff(curve.value) < 0)


def test_values_are_interpolated_in_pixels_of_the_detector():
    np.testing.assert_allclose(mtf_values(LINE, [0, 0.25, 0.5, 9], 0.5), [1, 0.8, 0.6, 0.2])
    with pytest.raises(ValueError, match="original_pixel_size"):
        mtf_values(LINE, [0.1], 0)


def test_a_common_mtf_is_left_to_postprocessing(group):
    groups = [group(1, "a"), group(2, "a")]
    assert mtf_correction(groups, {"a": LINE}, 0, [0.1]) is None


def test_different_mtfs_are_brought_to_their_average(group):
    groups = [group(1, "a"), group(2, "")]
    first, second = (mtf_correction(groups, {"a": LINE}, i, [0.0, 0.25]) for i in (0, 1))
    np.testing.assert_allclose(first, [1, 0.8 / 0.6])
    np.testing.assert_allclose(second, [1, 0.8])


def test_an_unknown_detector_pixel_size_is_an_error(group):
    with pytest.raises(StarError, match="rlnMicrographOriginalPixelSize"):
        mtf_correction([group(1, "a", 0.0), group(2, "")], {"a": LINE}, 0, [0.1])


@pytest.mark.parametrize(
    "rows, expected",
    [
        ([(0, 1), (0.5, 0)], "row 2, column rlnMtfValue: found 0"),
        ([(0.5, 1), (0.1, 0.5)], "ascending"),
        ([(0, 1)], "at least two"),
        ([(0, 1), (0.1, "x")], r"row 2.*column rlnMtfValue"),
    ],
)
def test_bad_curves_are_errors(tmp_path, rows, expected):
    with pytest.raises(StarError, match=expected):
        read_mtf(write(tmp_path, *rows))


def test_a_file_without_mtf_columns_is_an_error(tmp_path):
    with pytest.raises(StarError, match=r"mtf\.star: no table with the columns"):
        read_mtf(write(tmp_path, (0, 1), labels=("rlnResolution", "rlnMtfValue")))
