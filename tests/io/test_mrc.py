import os
import struct

import mrcfile
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from aurefine.errors import ImageError, MrcError, OutputError
from aurefine.io.mrc import (
    StackWriter,
    check_finite,
    read_image,
    read_map,
    read_mrc_header,
    to_float16,
    write_map,
)

TYPES = {0: "i1", 1: "i2", 2: "f4", 6: "u2", 12: "f2"}


def write_raw(path, stored, mode, *, order="<", extended=b"", cell=(0.0, 0.0, 0.0), m=None):
    """Write an MRC file without the code under test."""
    nz, ny, nx = stored.shape
    header = bytearray(1024)
    struct.pack_into(f"{order}4i", header, 0, nx, ny, nz, mode)
    struct.pack_into(f"{order}3i3f", header, 28, *(m or (nx, ny, nz)), *cell)
    struct.pack_into(f"{order}i", header, 92, len(extended))
    path.write_bytes(bytes(header) + extended + stored.tobytes())
    return path


@pytest.mark.parametrize("mode", TYPES)
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("extended", [b"", b"x" * 131])
def test_modes_and_byte_orders_are_read(tmp_path, mode, order, extended):
    values = np.arange(2 * 3 * 4).reshape(2, 3, 4) - (0 if mode == 6 else 9)
    path = write_raw(
        tmp_path / "a.mrc",
        values.astype(f"{order}{TYPES[mode]}"),
        mode,
        order=order,
        extended=extended,
        cell=(10.0, 6.0, 4.0),
    )
    data, pixel_size = read_map(path)
    assert data.dtype == np.float32
    assert data.dtype.isnative
    assert (data == values).all()
    assert pixel_size == 2.5


def test_packed_pixels_are_read_low_half_first(tmp_path):
    path = write_raw(tmp_path / "a.mrc", np.array([[[0x21, 0x43]]], np.uint8), 101)
    raw = bytearray(path.read_bytes())
    struct.pack_into("<3i", raw, 0, 2, 2, 1)
    path.write_bytes(raw)
    assert read_map(path)[0].tolist() == [[[1, 2], [3, 4]]]


@pytest.mark.parametrize("cell, mx", [(0.0, 4), (8.0, 0), (np.nan, 4), (-8.0, 4), (np.inf, 4)])
def test_pixel_size_is_unknown_without_cell_or_grid(tmp_path, cell, mx):
    stored = np.zeros((1, 4, 4), np.float32)
    path = write_raw(tmp_path / "a.mrc", stored, 2, cell=(cell, 8, 8), m=(mx, 4, 4))
    assert read_map(path)[1] is None


def test_reference_files_agree_with_mrcfile(shared_data):
    paths = [path for path in shared_data.rglob("*.mrc*") if path.stat().st_size < 2_000_000]
    assert len(paths) > 50
    for path in paths:
        data, pixel_size = read_map(path)
        with mrcfile.open(path, permissive=True) as reference:
            assert (data == reference.data).all()
            assert pixel_size == pytest.approx(float(reference.voxel_size.x), rel=1e-6)


def test_map_comes_back_and_its_header_is_complete(tmp_path):
    volume = np.random.default_rng(1).normal(size=(4, 6, 8)).astype(np.float32)
    write_map(tmp_path / "a.mrc", volume, 1.25)
    data, pixel_size = read_map(tmp_path / "a.mrc")
    assert (data == volume).all()
    assert pixel_size == 1.25
    with mrcfile.open(tmp_path / "a.mrc") as reference:
        header = reference.header
        assert (reference.data == volume).all()
        assert (header.mx, header.my, header.mz) == (8, 6, 4)
        assert header.cella.tolist() == (10.0, 7.5, 5.0)
        assert header.cellb.tolist() == (90.0, 90.0, 90.0)
        assert (header.mapc, header.mapr, header.maps) == (1, 2, 3)
        assert header.dmin == volume.min()
        assert header.dmax == volume.max()
        assert header.dmean == pytest.approx(volume.mean(dtype=float), rel=1e-6)
        assert header.rms == pytest.approx(volume.std(dtype=float), rel=1e-6)
        assert header.ispg == 1
        assert reference.get_labels() == ["aurefine"]
        assert (tmp_path / "a.mrc").stat().st_size == 1024 + volume.nbytes


def test_map_in_half_precision_is_rounded(tmp_path):
    volume = np.random.default_rng(1).normal(size=(2, 4, 4))
    write_map(tmp_path / "a.mrc", volume, 1.0, half_precision=True)
    assert read_mrc_header(tmp_path / "a.mrc").mode == 12
    assert (read_map(tmp_path / "a.mrc")[0] == to_float16(volume)).all()


def test_strided_and_big_endian_data_are_written(tmp_path):
    volume = np.arange(64, dtype=">f8").reshape(4, 4, 4)
    write_map(tmp_path / "a.mrc", volume.transpose(2, 1, 0), 1.0)
    assert (read_map(tmp_path / "a.mrc")[0] == volume.T).all()


def test_image_is_a_map_of_one_section(tmp_path):
    image = np.arange(12, dtype=np.float32).reshape(3, 4)
    write_map(tmp_path / "a.mrc", image, 1.0)
    assert read_map(tmp_path / "a.mrc")[0].shape == (1, 3, 4)
    assert (read_image(tmp_path / "a.mrc") == image).all()
    assert (read_image(f"{tmp_path / 'a.mrc'}:mrc") == image).all()


def test_stack_of_relion_is_reproduced(shared_data, tmp_path):
    path = shared_data / "golden/extract/Extract/job011/Movies/mic001.mrcs"
    images, pixel_size = read_map(path)
    with StackWriter(tmp_path / "a.mrcs", len(images), images.shape[1], pixel_size) as writer:
        writer.append(images[0])
        writer.append(images[1:])
    expected, found = path.read_bytes(), (tmp_path / "a.mrcs").read_bytes()
    assert found[1024:] == expected[1024:]
    # not equal: z cell (RELION 5 writes 1), machine stamp, label
    for start, stop in [(0, 48), (52, 76), (88, 212), (220, 224)]:
        assert found[start:stop] == expected[start:stop]
    # minimum, maximum, mean, deviation; ours are sums in single precision along rows
    statistics = [
        struct.unpack_from("<3f", h, 76) + struct.unpack_from("<f", h, 216)
        for h in (found, expected)
    ]
    assert statistics[0] == pytest.approx(statistics[1], rel=1e-6, abs=1e-7)


def test_half_precision_stack_of_relion_is_reproduced(shared_data, tmp_path):
    path = shared_data / "golden/extract_float16/Extract/job011/Movies/mic002.mrcs"
    images, pixel_size = read_map(path)
    with StackWriter(
        tmp_path / "a.mrcs", len(images), images.shape[1], pixel_size, half_precision=True
    ) as writer:
        writer.append(images)
    found = (tmp_path / "a.mrcs").read_bytes()
    assert found[1024:] == path.read_bytes()[1024:]
    assert found[:52] == path.read_bytes()[:52]


def test_stack_stays_invisible_until_it_is_complete(tmp_path):
    with StackWriter(tmp_path / "a.mrcs", 1, 4, 1.0) as writer:
        writer.append(np.zeros((4, 4)))
        assert not (tmp_path / "a.mrcs").exists()
    assert os.listdir(tmp_path) == ["a.mrcs"]


def _write_stack(path, n_announced, n_written, shape=(4, 4), error=None):
    with StackWriter(path, n_announced, 4, 1.0) as writer:
        for _ in range(n_written):
            writer.append(np.zeros(shape))
        if error is not None:
            raise error


@pytest.mark.parametrize(
    "n_announced, n_written, shape, message",
    [
        (2, 1, (4, 4), "1 of 2 images"),
        (1, 2, (4, 4), "more than the 1 images"),
        (1, 1, (4, 6), r"images of 4 px, got shape \(4, 6\)"),
        (0, 0, (4, 4), "at least one image"),
    ],
)
def test_wrong_number_or_shape_of_images_leaves_no_stack(
    tmp_path, n_announced, n_written, shape, message
):
    with pytest.raises(ValueError, match=message):
        _write_stack(tmp_path / "a.mrcs", n_announced, n_written, shape)
    assert os.listdir(tmp_path) == []


def test_failure_while_a_stack_is_written_leaves_no_stack(tmp_path):
    with pytest.raises(ZeroDivisionError):
        _write_stack(tmp_path / "a.mrcs", 1, 1, error=ZeroDivisionError())
    assert os.listdir(tmp_path) == []


def test_stack_in_a_missing_folder_is_an_output_error(tmp_path):
    with pytest.raises(OutputError, match="folder does not exist"):
        _write_stack(tmp_path / "no" / "a.mrcs", 1, 1)


@pytest.mark.parametrize(
    "value, rounded",
    [
        (1.0, 1.0),
        (1 + 2**-11, 1 + 2**-10),  # a tie, away from zero
        (-1 - 2**-11, -1 - 2**-10),
        (1 + 2**-12, 1.0),
        (65504.0, 65504.0),
        (65520.0, 65504.0),
        (-1e30, -65504.0),
        (2.0**-14, 2.0**-14),
        (2.0**-14 * (1 - 2**-12), 2.0**-14),  # rounded up first
        (6.0e-5, 0.0),
        (-1e-6, -0.0),
        (np.inf, np.inf),
        (-np.inf, -np.inf),
    ],
)
def test_half_precision_follows_relion(value, rounded):
    result = to_float16(value)
    assert result.dtype == np.float16
    assert result == np.float16(rounded)
    assert np.signbit(result) == np.signbit(rounded)


def test_half_precision_keeps_nan():
    assert np.isnan(to_float16([np.nan, 1.0])).tolist() == [True, False]


@given(arrays(np.float32, (3, 2), elements=st.floats(-6e4, 6e4, width=32)))
def test_half_precision_is_idempotent_and_close(values):
    rounded = to_float16(values)
    assert rounded.shape == values.shape
    assert (to_float16(rounded) == rounded).all()
    np.testing.assert_allclose(rounded.astype(float), values, rtol=2**-11, atol=2**-14)


def test_image_of_a_stack_is_chosen_by_number(tmp_path):
    write_map(tmp_path / "a.mrcs", np.arange(32).reshape(2, 4, 4), 1.0)
    assert read_image(f"2@{tmp_path / 'a.mrcs'}")[0, 0] == 16


def test_tiff_image_begins_with_its_last_row(tmp_path):
    from PIL import Image

    Image.fromarray(np.arange(12, dtype=np.uint16).reshape(3, 4)).save(tmp_path / "a.tif")
    assert read_image(tmp_path / "a.tif")[0].tolist() == [8, 9, 10, 11]


@pytest.mark.parametrize(
    "words, message",
    [
        ((0, 4, 1, 2), "not a valid MRC file: 0 x 4 x 1"),
        ((4, 4, -1, 2), "not a valid MRC file"),
        ((4, 4, 1, 4), r"mode 4 \(complex numbers\) are not supported"),
        ((4, 4, 1, 7), "mode 7 are not supported, or this is not an MRC file"),
        ((3, 3, 1, 101), "not a valid MRC file: 3 x 3 x 1 pixels of mode 101"),
        ((4, 4, 2, 2), r"truncated: 4 x 4 x 2 pixels of mode 2 need 1152 bytes, found 1088"),
    ],
)
def test_header_that_makes_no_sense_is_refused(tmp_path, words, message):
    path = tmp_path / "a.mrc"
    path.write_bytes(struct.pack("<4i", *words) + bytes(1008) + bytes(64))
    with pytest.raises(MrcError, match=message):
        read_map(path)


def test_negative_extended_header_is_refused(tmp_path):
    path = write_raw(tmp_path / "a.mrc", np.zeros((1, 4, 4), np.float32), 2)
    raw = bytearray(path.read_bytes())
    struct.pack_into("<i", raw, 92, -4)
    path.write_bytes(raw)
    with pytest.raises(MrcError, match="extended header of -4 bytes"):
        read_map(path)


def test_short_and_missing_files_are_named(tmp_path):
    (tmp_path / "a.mrc").write_bytes(b"x" * 100)
    with pytest.raises(MrcError, match=r"a\.mrc: not an MRC file: 100 bytes"):
        read_map(tmp_path / "a.mrc")
    with pytest.raises(MrcError, match=r"b\.mrc: the image file does not exist"):
        read_map(tmp_path / "b.mrc")
    with pytest.raises(MrcError, match="can not read the image file: Is a directory"):
        read_map(tmp_path)


def test_numbered_image_is_no_map():
    with pytest.raises(MrcError, match="can not be read as a map"):
        read_map("1@a.mrcs")


def test_numbered_image_outside_of_a_stack_is_refused(tmp_path):
    write_map(tmp_path / "a.mrcs", np.zeros((2, 4, 4)), 1.0)
    write_map(tmp_path / "a.mrc", np.zeros((2, 4, 4)), 1.0)
    with pytest.raises(MrcError, match="no image 3; the stack has 2"):
        read_image(f"3@{tmp_path / 'a.mrcs'}")
    with pytest.raises(MrcError, match=r"extension \.mrcs"):
        read_image(f"1@{tmp_path / 'a.mrc'}")
    with pytest.raises(MrcError, match="expected one image, found 2 sections"):
        read_image(tmp_path / "a.mrc")


def test_broken_and_coloured_tiff_are_refused(tmp_path):
    from PIL import Image

    (tmp_path / "a.tif").write_bytes(b"x")
    with pytest.raises(MrcError, match="can not read the TIFF file"):
        read_image(tmp_path / "a.tif")
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "b.tif")
    with pytest.raises(MrcError, match="expected a grey image"):
        read_image(tmp_path / "b.tif")


@pytest.mark.parametrize("pixel_size", [0.0, -1.0, np.nan, np.inf])
def test_pixel_size_must_be_positive(tmp_path, pixel_size):
    with pytest.raises(MrcError, match="pixel size must be a positive number"):
        write_map(tmp_path / "a.mrc", np.zeros((2, 2, 2)), pixel_size)


def test_array_of_wrong_shape_is_refused(tmp_path):
    with pytest.raises(ValueError, match="expected a 2D or 3D array"):
        write_map(tmp_path / "a.mrc", np.zeros(3), 1.0)


def test_first_pixel_that_is_not_finite_is_named():
    volume = np.zeros((3, 4, 5), np.float32)
    check_finite(volume, "a.mrc")
    volume[2, 1, 3] = np.nan
    with pytest.raises(ImageError, match=r"a\.mrc: .* the first at x 3, y 1, z 2"):
        check_finite(volume, "a.mrc")
