import shlex

import numpy as np
import pandas as pd
import pytest

from aurefine.cli.image_handler import run
from aurefine.errors import ImageError, MrcError, OptionError, StarError
from aurefine.io.mrc import read_map, read_mrc_header, write_map
from aurefine.io.star import read_star, write_star


def _call(command):
    return run(shlex.split(command))


def _images(n=3, box=8, seed=1):
    return np.random.default_rng(seed).normal(size=(n, box, box)).astype(np.float32)


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    write_map("map.mrc", _images(8), 2.0)
    write_map("a.mrcs", _images(3), 2.0)
    write_map("sub/b.mrcs", _images(2, seed=2), 2.0)
    optics = pd.DataFrame(
        {
            "rlnOpticsGroup": [1],
            "rlnOpticsGroupName": ["g1"],
            "rlnVoltage": [300.0],
            "rlnSphericalAberration": [2.7],
            "rlnImagePixelSize": [2.0],
            "rlnImageSize": [8],
        }
    )
    particles = pd.DataFrame(
        {
            "rlnImageName": ["3@a.mrcs", "1@sub/b.mrcs", "1@a.mrcs"],
            "rlnOpticsGroup": [1, 1, 1],
            "rlnAnglePsi": [10.0, 20.0, 30.0],
        }
    )
    write_star("p.star", {"optics": optics, "particles": particles})
    write_star("old.star", {"": particles.drop(columns="rlnOpticsGroup")}, version=30000)
    return tmp_path


def test_images_of_a_star_file_go_into_one_stack_in_order():
    _call("--i p.star --o out.mrcs --multiply_constant 2")
    stack, pixel_size = read_map("out.mrcs")
    expected = 2 * np.stack([_images()[2], _images(2, seed=2)[0], _images()[0]])
    np.testing.assert_array_equal(stack, expected)
    assert pixel_size == 2.0
    rows = read_star("p_out.mrcs.star").table("particles")
    assert list(rows["rlnImageName"]) == [f"{i:06d}@out.mrcs" for i in (1, 2, 3)]
    assert list(rows["rlnAnglePsi"]) == [10, 20, 30]


def test_the_optics_table_gets_the_new_size_and_pixel_size():
    _call("--i p.star --o out.mrcs --rescale_angpix 1.6 --new_box 12")
    optics = read_star("p_out.mrcs.star").table("optics")
    assert optics["rlnImagePixelSize"][0] == pytest.approx(1.6)
    assert optics["rlnImageSize"][0] == 12


def test_a_new_box_alone_leaves_the_pixel_size():
    _call("--i p.star --o out.mrcs --new_box 6")
    optics = read_star("p_out.mrcs.star").table("optics")
    assert (optics["rlnImagePixelSize"][0], optics["rlnImageSize"][0]) == (2.0, 6)


def test_an_inserted_name_keeps_the_images_in_their_stacks():
    _call("--i p.star --o new --add_constant 1")
    rows = read_star("p_new.star").table("particles")
    names = ["000001@a_new.mrcs", "000001@sub/b_new.mrcs", "000002@a_new.mrcs"]
    assert list(rows["rlnImageName"]) == names
    np.testing.assert_array_equal(read_map("a_new.mrcs")[0], _images()[[2, 0]] + 1)
    np.testing.assert_array_equal(read_map("sub/b_new.mrcs")[0], _images(2, seed=2)[:1] + 1)


def test_a_star_file_without_optics_is_written_back_without():
    _call("--i old.star --o out.mrcs --angpix 2 --rescale_angpix 1")
    star = read_star("old_out.mrcs.star")
    assert list(star.blocks) == [""]
    assert star.version == 30000
    assert read_mrc_header("out.mrcs").pixel_size == pytest.approx(1.0)


def test_a_text_is_inserted_into_the_name_of_a_stack():
    _call("--i a.mrcs --o new --flipX")
    np.testing.assert_array_equal(read_map("a_new.mrcs")[0], _images()[:, :, ::-1])


def test_one_image_of_a_stack_becomes_a_file():
    _call("--i 2@a.mrcs --o image.mrc")
    np.testing.assert_array_equal(read_map("image.mrc")[0][0], _images()[1])


def test_a_stack_may_have_any_name_with_its_type_after_it(project):
    (project / "a.mrcs").rename("frames.mrc")
    _call("--i frames.mrc:mrcs --o out.mrcs --subtract_constant 1")
    np.testing.assert_array_equal(read_map("out.mrcs")[0], _images() - 1)


def test_images_are_averaged_without_anything_else():
    _call("--i a.mrcs --average --o mean.mrc --multiply_constant 3")
    np.testing.assert_allclose(read_map("mean.mrc")[0][0], _images().mean(axis=0), atol=1e-6)


def test_rectangular_images_are_written_as_they_are():
    images = _images(2, 12)[:, :6]
    write_map("wide.mrcs", images, 1.0)
    _call("--i wide.mrcs --o out.mrcs --add_constant 1")
    np.testing.assert_array_equal(read_map("out.mrcs")[0], images + 1)


def test_statistics_in_the_header_are_true():
    _call("--i map.mrc --o out.mrc --multiply_constant 3")
    raw = np.fromfile("out.mrc", dtype="<f4", count=56)
    data, _ = read_map("out.mrc")
    np.testing.assert_allclose(raw[19:22], [data.min(), data.max(), data.mean()], rtol=1e-5)
    assert raw[54] == pytest.approx(data.std(), rel=1e-5)


def test_the_header_pixel_size_can_be_forced():
    _call("--i map.mrc --o out.mrc --rescale_angpix 1 --force_header_angpix 1.25")
    assert read_mrc_header("out.mrc").pixel_size == pytest.approx(1.25)


def test_a_rounded_pixel_size_is_announced(capsys):
    _call("--i map.mrc --o out.mrc --angpix 2 --rescale_angpix 1.5")
    assert "1.6 Å instead of the requested 1.5 Å" in capsys.readouterr().err


def test_taking_the_pixel_size_from_the_header_is_announced(capsys):
    _call("--i map.mrc --o out.mrc --lowpass 10")
    assert "--angpix is not given" in capsys.readouterr().err


def test_operations_that_are_not_done_are_announced(capsys):
    _call("--i map.mrc --o out.mrc --add_constant 1 --multiply_constant 2 --flipY --flipZ")
    message = capsys.readouterr().err
    assert "ignored: --add_constant (done: --multiply_constant)" in message
    assert "ignored: --flipZ" in message


def test_an_output_file_can_be_the_input_file():
    _call("--i map.mrc --o map.mrc --add_constant 1")
    np.testing.assert_array_equal(read_map("map.mrc")[0], _images(8) + 1)


def test_success_leaves_a_marker(project):
    _call("--i map.mrc --o out.mrc --pipeline_control sub/")
    assert (project / "sub/RELION_JOB_EXIT_SUCCESS").exists()


def test_statistics_of_every_image_are_printed(capsys):
    _call("--i a.mrcs --stats")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [f"{i:06d}@a.mrcs" for i in (1, 2, 3)]
    assert "8 x 8 x 1 x 1" in lines[0]


def test_no_arguments_show_the_help_page(capsys):
    assert run([]) == 0
    assert "--rescale_angpix" in capsys.readouterr().out


def test_version_is_shown(capsys):
    assert run(["--version"]) == 0
    assert "image-handler" in capsys.readouterr().out


@pytest.mark.parametrize(
    "command, kind, message",
    [
        ("--i map.mrc", OptionError, "--o is missing"),
        ("--i map.mrc --o out.png", OptionError, r"found 'out\.png'"),
        ("--i a.mrcs --o sub/new", OptionError, "without folder"),
        ("--i a.mrcs --o new.mrc", OptionError, r"name of a stack"),
        ("--i none.mrc --o out.mrc", MrcError, r"none\.mrc: the image file does not exist"),
        ("--i 9@a.mrcs --o out.mrc", ImageError, "9@a.mrcs: there is no such image"),
        ("--i 1@map.mrc --o out.mrc", ImageError, r"must have the extension \.mrcs"),
        ("--i map.mrc --add a.mrcs --o out.mrc", ImageError, "name one of them as N@a.mrcs"),
        ("--i a.mrcs --add map.mrc --o out.mrcs", ImageError, "Both must have the same size"),
        ("--i map.mrc --angpix 2 --rescale_angpix 90 --o o.mrc", ImageError, "no pixels left"),
        ("--i map.mrc --average --o out.mrc", ImageError, "--average is for images"),
        ("--i a.mrcs --sym C2 --o out.mrcs", ImageError, "--sym is for maps"),
        ("--i a.mrcs --fsc 1@a.mrcs --angpix 2", ImageError, "name|cubic|same size"),
        ("--i map.mrc --guinier --o out.mrc", OptionError, "use the post-processing"),
        ("--i map.mrc --lowpass -3 --o out.mrc", OptionError, "--lowpass"),
    ],
)
def test_mistakes_are_named(command, kind, message):
    with pytest.raises(kind, match=message):
        _call(command)


def test_undefined_pixels_stop_filters_but_can_be_replaced():
    data = _images(8)
    data[1, 2, 3] = np.nan
    write_map("bad.mrc", data, 2.0)
    with pytest.raises(ImageError, match="--remove_nan"):
        _call("--i bad.mrc --o out.mrc --angpix 2 --lowpass 8")
    _call("--i bad.mrc --o out.mrc --angpix 2 --lowpass 8 --remove_nan")
    assert np.isfinite(read_map("out.mrc")[0]).all()


def test_a_header_without_pixel_size_asks_for_one(project):
    raw = bytearray((project / "map.mrc").read_bytes())
    raw[40:52] = bytes(12)  # cell
    (project / "blank.mrc").write_bytes(raw)
    with pytest.raises(OptionError, match="--angpix"):
        _call("--i blank.mrc --o out.mrc --lowpass 8")


def test_a_header_without_pixel_size_is_written_as_one(project, capsys):
    raw = bytearray((project / "map.mrc").read_bytes())
    raw[40:52] = bytes(12)
    (project / "blank.mrc").write_bytes(raw)
    _call("--i blank.mrc --o out.mrc --flipX")
    assert read_mrc_header("out.mrc").pixel_size == 1.0
    assert "1 Å is written" in capsys.readouterr().err


def test_optics_groups_of_different_pixel_sizes_are_not_mixed():
    star = read_star("p.star")
    optics = pd.concat([star.table("optics")] * 2, ignore_index=True)
    optics = optics.assign(rlnOpticsGroup=[1, 2], rlnImagePixelSize=[2.0, 2.5])
    write_star("two.star", {"optics": optics, "particles": star.table("particles")})
    with pytest.raises(ImageError, match="different pixel sizes"):
        _call("--i two.star --o out.mrcs --rescale_angpix 3")


def test_a_star_file_without_images_is_refused():
    write_star("none.star", {"micrographs": pd.DataFrame({"rlnMicrographName": ["m.mrc"]})})
    with pytest.raises(StarError, match="rlnImageName is missing"):
        _call("--i none.star --o out.mrcs")


def test_images_of_different_sizes_are_named():
    write_map("sub/b.mrcs", _images(2, box=10), 2.0)
    with pytest.raises(ImageError, match="Split the STAR file by image size"):
        _call("--i p.star --o out.mrcs")
