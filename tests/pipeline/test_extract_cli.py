"""`aurefine extract` on a small project: files, markers, restart, and messages for bad input."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import aurefine.cli.extract as cli_extract
from aurefine.cli.main import run_command
from aurefine.io.mrc import read_map, write_map
from aurefine.io.star import read_star, write_star

N_MICROGRAPHS = 3
NAMES = [f"MotionCorr/job002/Movies/mic{number}.mrc" for number in range(1, 4)]
OUTPUT = ("--part_dir", "Extract/job011/", "--part_star", "Extract/job011/particles.star")
RECENTRE = ("--recenter", "--extract", "--extract_size", "16", "--scale", "12")
SOURCE = ("--i", "micrographs.star", "--reextract_data_star", "particles.star")


def _optics(**columns):
    table = pd.DataFrame(
        {
            "rlnOpticsGroupName": ["opticsGroup1"],
            "rlnOpticsGroup": [1],
            "rlnVoltage": [300.0],
            "rlnSphericalAberration": [2.7],
            "rlnAmplitudeContrast": [0.1],
        }
    )
    return table.assign(**columns)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Make a project with three micrographs of four particles and go there."""
    rng = np.random.default_rng(3)
    (tmp_path / "MotionCorr/job002/Movies").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        write_map(name, rng.normal(10, 2, (60, 70)).astype(np.float32), 1.0)
    micrographs = pd.DataFrame(
        {
            "rlnMicrographName": NAMES,
            "rlnOpticsGroup": 1,
            "rlnDefocusU": [10000.0, 11000.0, 12000.0],
            "rlnDefocusV": [9000.0, 9500.0, 9800.0],
            "rlnDefocusAngle": 30.0,
        }
    )
    write_star(
        "micrographs.star",
        {"optics": _optics(rlnMicrographPixelSize=1.0), "micrographs": micrographs},
    )
    particles = pd.DataFrame(
        {
            "rlnMicrographName": np.repeat(NAMES, 4),
            "rlnImageName": [f"{i}@old.mrcs" for i in range(1, 13)],
            "rlnCoordinateX": rng.uniform(5, 60, 12),
            "rlnCoordinateY": rng.uniform(5, 55, 12),
            "rlnOriginXAngst": rng.uniform(-8, 8, 12),
            "rlnOriginYAngst": rng.uniform(-8, 8, 12),
            "rlnOpticsGroup": 1,
            "rlnDefocusU": 10000.0,
            "rlnDefocusV": 9000.0,
            "rlnDefocusAngle": 30.0,
            "rlnAutopickFigureOfMerit": np.linspace(0.1, 1.2, 12),
            "userColumn": [f"text{i}" for i in range(12)],
        }
    )
    _write_particles(particles)
    return tmp_path


def _write_particles(table, **optics):
    columns = {"rlnImagePixelSize": 4.0, "rlnImageSize": 16, "rlnImageDimensionality": 2, **optics}
    write_star("particles.star", {"optics": _optics(**columns), "particles": table})


def _particles():
    return read_star("particles.star").table("particles")


def _extract(*options, source=SOURCE, output=OUTPUT):
    return run_command(["extract", *source, *RECENTRE, *output, *options])


def _extracted():
    return read_star("Extract/job011/particles.star").table("particles")


def _dropped():
    return read_star("Extract/job011/dropped.star")


def _contents():
    return {str(path): path.read_bytes() for path in Path("Extract").rglob("*") if path.is_file()}


# ----------------------------------------------------------------------------- what is written


def test_all_files_are_written(project):
    assert _extract("--pick_star", "Extract/job011/extractpick.star") == 0
    made = {str(path.relative_to("Extract/job011")) for path in Path("Extract").rglob("*.*")}
    stems = [f"Movies/mic{number}" for number in range(1, 4)]
    assert made == {
        "particles.star",
        "extractpick.star",
        *(f"{stem}.mrcs" for stem in stems),
        *(f"{stem}_extract.star" for stem in stems),
    }
    picked = read_star("Extract/job011/extractpick.star").table("coordinate_files")
    assert list(picked["rlnMicrographName"]) == NAMES


def test_image_names_point_to_the_particles_in_order(project):
    _extract()
    table = _extracted()
    assert list(table["userColumn"]) == [f"text{i}" for i in range(12)]
    assert table["rlnImageName"].iloc[5] == "00000002@Extract/job011/Movies/mic2.mrcs"
    images, pixel_size = read_map("Extract/job011/Movies/mic2.mrcs")
    assert images.shape == (4, 12, 12)
    assert pixel_size == pytest.approx(16 / 12)


def test_screen_output_ends_as_relions(project, capsys):
    _extract()
    lines = capsys.readouterr().out.splitlines()
    assert lines[-4:] == [
        " Joining metadata of all particles from 3 micrographs in one STAR file...",
        " The pixel size of the extracted particles in optics group 1 is 1.33333 Angstrom/pixel.",
        " Written out STAR file with 12 particles in Extract/job011/particles.star",
        " Done preprocessing!",
    ]


def test_order_is_that_of_the_micrographs(project):
    table = _particles().iloc[::-1]
    _write_particles(table)
    _extract()
    made = _extracted()
    assert list(made["rlnMicrographName"]) == list(np.repeat(NAMES, 4))
    assert list(made["userColumn"][:4]) == ["text3", "text2", "text1", "text0"]


def test_the_job_directory_of_the_particles_does_not_matter(project):
    table = _particles()
    table["rlnMicrographName"] = table["rlnMicrographName"].str.replace(
        "MotionCorr/job002", "Polish/job077"
    )
    _write_particles(table)
    assert _extract() == 0
    assert list(_extracted()["rlnMicrographName"]) == list(np.repeat(NAMES, 4))


def test_number_of_threads_does_not_change_a_byte(project):
    options = ("--norm", "--bg_radius", "4", "--white_dust", "2")
    _extract(*options)
    one = _contents()
    _extract(*options, "--j", "3")
    assert _contents() == one


def test_without_mpi4py_one_process_of_a_launcher_works(project, monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "2")
    monkeypatch.setenv("OMPI_COMM_WORLD_RANK", "1")
    assert cli_extract.run([*SOURCE, *RECENTRE, *OUTPUT]) == 0
    assert not Path("Extract").exists()
    monkeypatch.setenv("OMPI_COMM_WORLD_RANK", "0")
    assert cli_extract.run([*SOURCE, *RECENTRE, *OUTPUT]) == 0
    assert len(_extracted()) == 12
    assert "mpi4py is not installed" in capsys.readouterr().err


@pytest.mark.mpi
@pytest.mark.parametrize("n_processes", [2, 5])
def test_mpi_processes_write_the_same_files(project, mpirun, n_processes):
    options = ("--norm", "--bg_radius", "4", "--white_dust", "2")
    _extract(*options)
    one = _contents()
    shutil.rmtree("Extract")
    done = _run_with_mpi(mpirun, n_processes, *SOURCE, *RECENTRE, *OUTPUT, *options)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Done preprocessing!") == 1
    assert _contents() == one


@pytest.mark.mpi
def test_a_failure_of_one_mpi_process_ends_all(project, mpirun):
    os.truncate(NAMES[2], 5000)
    done = _run_with_mpi(
        mpirun, 3, *SOURCE, *RECENTRE, *OUTPUT, "--pipeline_control", "Extract/job011/"
    )
    assert done.returncode == 1
    assert done.stderr.count("aurefine: error:") == 1
    assert "mic3.mrc: the file is truncated" in done.stderr
    assert Path("Extract/job011/RELION_JOB_EXIT_FAILURE").exists()


@pytest.mark.mpi
def test_a_failure_before_the_work_ends_all_mpi_processes(project, mpirun):
    Path("particles.star").write_text("nothing\n")
    done = _run_with_mpi(mpirun, 2, *SOURCE, *RECENTRE, *OUTPUT)
    assert done.returncode == 1
    assert done.stderr.count("aurefine: error:") == 1


def _run_with_mpi(launcher, n_processes, *options):
    return subprocess.run(
        [*launcher(n_processes), sys.executable, "-m", "aurefine", "extract", *options],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def test_without_part_star_nothing_is_joined(project):
    assert _extract(output=("--part_dir", "Extract/job011")) == 0
    assert not Path("Extract/job011/particles.star").exists()
    assert Path("Extract/job011/Movies/mic3_extract.star").exists()


def test_manual_pixel_size_replaces_that_of_the_micrographs(project):
    _extract("--angpix", "1.5")
    optics = read_star("Extract/job011/particles.star").table("optics")
    assert optics["rlnImagePixelSize"][0] == pytest.approx(1.5 * 16 / 12)


def test_bias_is_added_to_the_coordinates(project):
    _extract()
    before = _extracted()
    _extract("--extract_bias_x", "3", "--extract_bias_y", "-2")
    moved = _extracted()
    np.testing.assert_allclose(moved["rlnCoordinateX"] - before["rlnCoordinateX"], 3)
    np.testing.assert_allclose(moved["rlnCoordinateY"] - before["rlnCoordinateY"], -2)


def test_ctf_comes_from_the_micrographs_if_asked_for(project):
    _extract("--keep_ctfs_micrographs")
    table = _extracted()
    assert list(table["rlnDefocusU"][::4]) == [10000.0, 11000.0, 12000.0]
    assert list(table["rlnCtfScalefactor"]) == [1.0] * 12
    optics = read_star("Extract/job011/particles.star").table("optics")
    assert optics["rlnMicrographPixelSize"][0] == 1.0


def test_groups_are_mapped_by_name_when_the_ctf_comes_from_the_micrographs(project):
    star = read_star("micrographs.star")
    optics = pd.concat([_optics(rlnMicrographPixelSize=1.0)] * 2, ignore_index=True)
    optics["rlnOpticsGroup"] = [1, 2]
    optics["rlnOpticsGroupName"] = ["other", "opticsGroup1"]
    micrographs = star.table("micrographs").assign(rlnOpticsGroup=2)
    write_star("micrographs.star", {"optics": optics, "micrographs": micrographs})
    assert _extract("--keep_ctfs_micrographs") == 0
    assert set(_extracted()["rlnOpticsGroup"]) == {2}


# ------------------------------------------------------------------------------ fresh coordinates


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        (".star", "data_\n\nloop_\n_rlnCoordinateX #1\n_rlnCoordinateY #2\n30.0 20.0\n40.0 25.0\n"),
        (".box", "20 10 20 20\n30 15 20 20\n"),
        (".txt", "x y\n30 20\n40 25\n"),
    ],
)
def test_fresh_coordinates_can_come_from_files_beside_the_micrographs(project, suffix, text):
    for name in NAMES[:2]:
        Path(name.replace(".mrc", f"_pick{suffix}")).write_text(text)
    source = ("--i", "micrographs.star", "--coord_suffix", f"_pick{suffix}")
    assert _extract(source=source) == 0
    table = _extracted()
    assert list(table["rlnCoordinateX"]) == [30.0, 40.0] * 2
    assert list(table["rlnCoordinateY"]) == [20.0, 25.0] * 2
    assert list(table["rlnDefocusU"]) == [10000.0, 10000.0, 11000.0, 11000.0]
    assert list(table.columns[2:5]) == ["rlnImageName", "rlnMicrographName", "rlnOpticsGroup"]
    optics = read_star("Extract/job011/particles.star").table("optics")
    assert "rlnMicrographPixelSize" not in optics


def test_fresh_coordinates_can_come_from_a_list(project):
    Path("picks").mkdir()
    Path("picks/a.star").write_text(
        "data_\n\nloop_\n_rlnCoordinateX #1\n_rlnCoordinateY #2\n30 20\n"
    )
    Path("list.star").write_text(
        "data_coordinate_files\n\nloop_\n_rlnMicrographName #1\n_rlnMicrographCoordinates #2\n"
        f"{NAMES[1]} picks/a.star\n"
    )
    assert _extract(source=("--i", "micrographs.star", "--coord_list", "list.star")) == 0
    assert list(_extracted()["rlnMicrographName"]) == [NAMES[1]]


def test_coordinate_files_with_different_columns_are_refused(project, capsys):
    head = "data_\n\nloop_\n_rlnCoordinateX #1\n_rlnCoordinateY #2\n"
    Path(NAMES[0].replace(".mrc", "_pick.star")).write_text(f"{head}30 20\n")
    Path(NAMES[1].replace(".mrc", "_pick.star")).write_text(f"{head}_rlnAnglePsi #3\n30 20 5\n")
    assert _extract(source=("--i", "micrographs.star", "--coord_suffix", "_pick.star")) == 1
    error = _error(capsys)
    assert "mic2_pick.star" in error
    assert "rlnAnglePsi" in error


def test_coordinates_that_are_not_numbers_are_named(project, capsys):
    Path(NAMES[0].replace(".mrc", "_pick.txt")).write_text("30 20\n40 here\n")
    assert _extract(source=("--i", "micrographs.star", "--coord_suffix", "_pick.txt")) == 1
    assert "mic1_pick.txt: line 2: found '40 here', expected 2 numbers" in _error(capsys)


def test_missing_coordinate_files_are_named(project, capsys):
    source = ("--i", "micrographs.star", "--coord_suffix", "_none.star", "--coord_dir", "picks/")
    assert _extract(source=source) == 1
    assert "picks/Movies/mic1_none.star" in capsys.readouterr().err


# ------------------------------------------------------------------------- dropped and skipped


def test_particles_of_other_micrographs_are_listed(project):
    table = _particles()
    table.loc[2, "rlnMicrographName"] = "MotionCorr/job002/Movies/mic11.mrc"
    _write_particles(table)
    assert _extract() == 0
    assert len(_extracted()) == 11
    dropped = _dropped().table("dropped_particles")
    assert list(dropped["rlnImageName"]) == ["3@old.mrcs"]
    assert list(dropped["aurefineDropReason"]) == ["micrograph is not listed"]


def test_particles_with_a_low_figure_of_merit_are_listed(project):
    assert _extract("--minimum_pick_fom", "0.45") == 0
    assert len(_extracted()) == 8
    reasons = _dropped().table("dropped_particles")["aurefineDropReason"]
    assert list(reasons) == ["rlnAutopickFigureOfMerit is too low"] * 4


def test_selection_type_selects_and_is_removed(project):
    _write_particles(_particles().assign(rlnParticleSelectionType=[1, 2] * 6))
    assert _extract("--selection_type", "2") == 0
    assert list(_extracted()["userColumn"]) == [f"text{i}" for i in range(1, 12, 2)]
    assert "rlnParticleSelectionType" not in _extracted()


def test_nothing_dropped_leaves_no_list(project):
    _extract("--minimum_pick_fom", "0.45")
    _extract()
    assert not Path("Extract/job011/dropped.star").exists()


@pytest.fixture
def one_outside(project):
    """Put the sixth particle, on the second micrograph, far outside."""
    table = _particles()
    table.loc[5, "rlnCoordinateX"] = -100.0
    _write_particles(table)


def test_a_particle_outside_is_left_out_with_a_warning_and_listed(one_outside, capsys):
    assert _extract() == 0
    made = _extracted()
    assert "text5" not in set(made["userColumn"])
    assert made["rlnImageName"].iloc[-5].startswith("00000003@")
    assert read_map("Extract/job011/Movies/mic2.mrcs")[0].shape == (3, 12, 12)
    dropped = _dropped().table("dropped_particles")
    assert list(dropped["aurefineDropReason"]) == ["window is outside the micrograph"]
    warning = capsys.readouterr().err
    assert f"1 particles on 1 micrographs, the first {NAMES[1]}" in warning


def test_a_particle_outside_can_stop_the_job(one_outside, capsys):
    assert _extract("--stop_at_bad_particles", "--pipeline_control", "Extract/job011/") == 1
    message = capsys.readouterr().err
    assert "mic2.mrc" in message
    assert "1 of 4 particles lie completely outside the micrograph of 70 x 60 px" in message
    assert Path("Extract/job011/RELION_JOB_EXIT_FAILURE").exists()
    assert not Path("Extract/job011/Movies/mic2.mrcs").exists()


def test_all_particles_outside_is_an_error_and_they_are_listed(project, capsys):
    _write_particles(_particles().assign(rlnCoordinateX=-100.0))
    assert _extract() == 1
    assert "no particle was extracted from any micrograph" in _error(capsys)
    assert len(_dropped().table("dropped_particles")) == 12


def _remove(path):
    path.unlink()


def _truncate(path):
    os.truncate(path, 5000)


def _spoil(path):
    data, _ = read_map(path)
    data[0, 20:40, 20:40] = np.nan
    write_map(path, data[0], 1.0)


def _shrink(path):
    write_map(path, np.ones((10, 10), dtype=np.float32), 1.0)


_DAMAGE = [
    (_remove, "does not exist"),
    (_truncate, "truncated"),
    (_spoil, "not finite"),
    (_shrink, "larger than the micrograph of 10 x 10 px"),
]


@pytest.mark.parametrize(("damage", "message"), _DAMAGE)
def test_a_bad_micrograph_stops_the_job_with_its_name(project, capsys, damage, message):
    damage(Path(NAMES[1]))
    assert _extract("--pipeline_control", "Extract/job011/") == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert "mic2.mrc" in error
    assert message in error
    assert Path("Extract/job011/RELION_JOB_EXIT_FAILURE").exists()


@pytest.mark.parametrize(("damage", "message"), _DAMAGE)
def test_a_bad_micrograph_can_be_skipped(project, capsys, damage, message):
    damage(Path(NAMES[1]))
    assert _extract("--skip-bad-micrographs") == 0
    assert set(_extracted()["rlnMicrographName"]) == {NAMES[0], NAMES[2]}
    assert not Path("Extract/job011/Movies/mic2.mrcs").exists()
    assert f"skipping {NAMES[1]}, which has 4 particles" in capsys.readouterr().err
    assert len(_dropped().table("dropped_particles")) == 4
    skipped = _dropped().table("skipped_micrographs")
    assert list(skipped["rlnMicrographName"]) == [NAMES[1]]
    assert message in skipped["aurefineDropReason"][0]


# ------------------------------------------------------------------------------ restart and abort


def test_finished_micrographs_are_left_alone_and_joined(project):
    _extract()
    complete = _contents()
    Path("Extract/job011/Movies/mic2_extract.star").unlink()
    Path("Extract/job011/Movies/mic2.mrcs").write_bytes(b"cut off")
    before = os.stat("Extract/job011/Movies/mic1.mrcs").st_mtime_ns
    Path(NAMES[0]).unlink()  # not needed any more
    assert _extract("--only_do_unfinished") == 0
    assert os.stat("Extract/job011/Movies/mic1.mrcs").st_mtime_ns == before
    assert _contents() == complete


def test_a_micrograph_whose_stack_is_cut_off_is_not_finished(project):
    _extract()
    complete = _contents()
    os.truncate("Extract/job011/Movies/mic2.mrcs", 2000)
    assert _extract("--only_do_unfinished") == 0
    assert _contents() == complete


def test_a_second_run_without_the_flag_starts_again(project):
    _extract()
    Path(NAMES[0]).unlink()
    assert _extract() == 1


def test_dropped_particles_of_finished_micrographs_stay_listed(one_outside):
    _extract()
    before = Path("Extract/job011/dropped.star").read_text()
    assert _extract("--only_do_unfinished") == 0
    assert Path("Extract/job011/dropped.star").read_text() == before
    assert len(_extracted()) == 11


def test_success_is_marked(project):
    Path("Extract/job011").mkdir(parents=True)
    Path("Extract/job011/RELION_JOB_EXIT_FAILURE").touch()
    assert _extract("--pipeline_control", "Extract/job011/") == 0
    markers = [path.name for path in Path("Extract/job011").glob("RELION_JOB*")]
    assert markers == ["RELION_JOB_EXIT_SUCCESS"]


def test_a_wish_to_abort_stops_the_job(project):
    Path("Extract/job011").mkdir(parents=True)
    Path("Extract/job011/RELION_JOB_ABORT_NOW").touch()
    assert _extract("--pipeline_control", "Extract/job011/") == 2
    assert Path("Extract/job011/RELION_JOB_EXIT_ABORTED").exists()
    assert not Path("Extract/job011/particles.star").exists()


# ------------------------------------------------------------------------------------- bad input


def _error(capsys):
    lines = capsys.readouterr().err.splitlines()
    assert "Traceback" not in "\n".join(lines)
    return lines[-1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--extract_size", "15"), "even number; use 16"),
        (("--norm",), "--norm needs --bg_radius"),
        (("--norm", "--bg_radius", "7"), "at most half of the new box of 12 px"),
        (("--coord_suffix", ".box"), "exactly one of"),
        (("--helix",), "use RELION for filaments"),
        (("--premultiply_ctf",), "multiplied by their CTF"),
        (("--minimum_pick_fom", "2"), "none of the 12 particles can be extracted"),
        (("--selection_type", "2"), "column rlnParticleSelectionType is missing"),
    ],
)
def test_options_that_make_no_sense_are_explained(project, capsys, options, message):
    assert _extract(*options) == 1
    assert message in _error(capsys)


def test_odd_new_sizes_are_raised_by_one(project, capsys):
    assert _extract("--scale", "11") == 0
    assert "12 px is used in place of 11" in capsys.readouterr().err
    assert read_map("Extract/job011/Movies/mic1.mrcs")[0].shape == (4, 12, 12)


def test_an_unknown_optics_group_name_stops_before_any_stack(project, capsys):
    _write_particles(_particles(), rlnOpticsGroupName="elsewhere")
    assert _extract() == 1
    assert "'elsewhere'" in _error(capsys)
    assert not Path("Extract").exists()


@pytest.mark.parametrize("column", ["rlnCoordinateX", "rlnMicrographName", "rlnOriginXAngst"])
def test_a_missing_column_is_named(project, capsys, column):
    _write_particles(_particles().drop(columns=column))
    assert _extract() == 1
    assert f"column {column}" in _error(capsys)


def test_a_point_needs_angles(project, capsys):
    assert _extract("--recenter_x", "3") == 1
    assert "re-centring on a point needs" in _error(capsys)


def test_recentring_needs_one_pixel_size(project, capsys):
    optics = pd.concat([_optics(rlnImagePixelSize=4.0)] * 2, ignore_index=True)
    optics["rlnOpticsGroup"] = [1, 2]
    optics["rlnOpticsGroupName"] = ["opticsGroup1", "opticsGroup2"]
    optics["rlnImagePixelSize"] = [4.0, 4.2]
    write_star("particles.star", {"optics": optics, "particles": _particles()})
    assert _extract() == 1
    assert "4, 4.2 Å" in _error(capsys)
    assert _extract("--ref_angpix", "4") == 0


def test_micrographs_with_equal_outputs_are_refused(project, capsys):
    star = read_star("micrographs.star")
    table = star.table("micrographs")
    table.loc[2, "rlnMicrographName"] = NAMES[0].replace("job002", "job005")
    write_star("micrographs.star", {"optics": star.table("optics"), "micrographs": table})
    assert _extract() == 1
    assert "would write the same particle stack" in _error(capsys)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("_rlnCoordinateY", "_rlnCoordinateX", "stands twice"),
        (" text3 ", " ", "values"),
        ("data_particles", "data_other", "data_particles"),
        (" 1@old.mrcs", " nonsense text", "values"),
    ],
)
def test_malformed_particle_files_are_explained(project, capsys, old, new, message):
    text = Path("particles.star").read_text()
    assert old in text
    Path("particles.star").write_text(text.replace(old, new, 1))
    assert _extract() == 1
    error = _error(capsys)
    assert "particles.star" in error
    assert message in error


def test_windows_line_ends_and_a_missing_last_one_do_not_matter(project):
    _extract()
    expected = _contents()
    text = Path("particles.star").read_bytes().rstrip().replace(b"\n", b"\r\n")
    Path("particles.star").write_bytes(text)
    assert _extract() == 0
    assert _contents() == expected


def test_no_particles_is_an_error(project, capsys):
    write_star("particles.star", {"optics": _optics(rlnImagePixelSize=4.0)})
    with open("particles.star", "a") as stream:
        stream.write("\ndata_particles\n\nloop_\n_rlnImageName #1\n_rlnMicrographName #2\n\n")
    assert _extract() == 1
    assert "no rows" in _error(capsys)
