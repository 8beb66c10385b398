"""Files of a refinement: names, labels and order as RELION writes them; bit-exact restart."""

import dataclasses
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurefine.errors import AurefineError, MrcError, OptionError, OutputError, StarError
from aurefine.io import ParticleTable, read_map, read_particles, read_star, write_map
from aurefine.jobs.refine_blocks import estimated_shell, overall_completeness
from aurefine.jobs.refine_files import (
    FileNames,
    quantise,
    quantise_table,
    read_checkpoint,
    write_final,
    write_iteration,
)
from aurefine.jobs.refine_options import RunSettings
from aurefine.refine.options import RefineOptions
from aurefine.refine.state import (
    ControllerState,
    HalfModel,
    Poses,
    RefinementState,
    SamplingState,
)

BOX, N, N_DIRECTIONS, GROUPS = 8, 10, 6, ("mics/a.mrc", "mics/b.mrc")
OPTIONS = RefineOptions(
    symmetry="D2", particle_diameter=61.123456789, random_seed=7, ctf=True, healpix_order=1,
    adaptive_fraction=0.9991234567, auto_ignore_angles=True,
)  # fmt: skip


def make_table(n=N):
    optics = pd.DataFrame(
        {
            "rlnOpticsGroup": [1, 2],
            "rlnOpticsGroupName": ["one", "two"],
            "rlnVoltage": [300.0, 200.0],
            "rlnSphericalAberration": [2.7, 1.4],
            "rlnAmplitudeContrast": [0.1, 0.07],
            "rlnImagePixelSize": [3.540123456, 3.540123456],
            "rlnImageSize": [BOX, BOX],
        }
    )
    particles = pd.DataFrame(
        {
            "rlnImageName": [f"{i + 1:06d}@stack.mrcs" for i in range(n)],
            "rlnMicrographName": [GROUPS[i >= n // 2] for i in range(n)],
            "rlnDefocusU": 12345.123456789 + np.arange(n) / 7,
            "rlnOpticsGroup": [1 + i % 2 for i in range(n)],
        }
    )
    return ParticleTable(optics, particles, "particles.star")


def make_state(seed=0, *, iteration=3, joined=False, unfiltered=False):
    rng = np.random.default_rng(seed)
    half = rng.permutation(np.arange(N) % 2 + 1)
    n_shells = BOX // 2 + 1

    def wide(*shape):
        return rng.normal(size=shape) * 10.0 ** rng.integers(-9, 7, size=shape)

    def model(number):
        counts = [int(np.sum(half[:5] == number)), int(np.sum(half[5:] == number))]
        noise = np.abs(wide(2, n_shells))
        noise[:, -1] = 0
        return HalfModel(
            map=rng.normal(size=(BOX, BOX, BOX)).astype(np.float32), sigma2_noise=noise,
            group_scale=rng.uniform(0.5, 2, 2), group_n_particles=np.array(counts),
            direction_prior=np.abs(wide(N_DIRECTIONS)), norm_average=rng.uniform(),
            sigma_offset=rng.uniform(2, 10), tau2=np.abs(wide(n_shells)),
            sigma2_map=np.abs(wide(n_shells)), data_vs_prior=np.abs(wide(n_shells)),
            fsc=rng.uniform(-1, 1, n_shells), fourier_coverage=rng.uniform(0, 1, n_shells),
            orientability=rng.uniform(0, 1, n_shells), log_likelihood=float(wide(1)[0]),
            average_pmax=rng.uniform(),
        )  # fmt: skip

    poses = Poses(
        rot=rng.uniform(-180, 180, N), tilt=rng.uniform(0, 180, N), psi=rng.uniform(-180, 180, N),
        offset_x=wide(N), offset_y=rng.normal(size=N), class_number=np.ones(N, np.int64), half=half,
        norm_correction=rng.uniform(0.5, 2, N), log_likelihood=wide(N),
        pmax=rng.uniform(0, 1, N), n_significant=rng.integers(1, 99, N),
    )  # fmt: skip
    maps = tuple(rng.normal(size=(BOX, BOX, BOX)).astype(np.float32) for _ in range(2))
    return RefinementState(
        box_size=BOX, pixel_size=3.540123456, random_seed=7,
        options_particle_diameter=OPTIONS.particle_diameter,
        controller=ControllerState(
            iteration=iteration, current_frequency=1 / 18.123456789,
            best_frequency=1 / 17.123456789, changes_angles=1 / 3, changes_offsets=2 / 3,
            changes_classes=0.0, smallest_classes=0, accuracy_angles=1.2345678901,
            accuracy_offsets=0.9876543211, incr_size=13, current_size=8, coarse_size=6,
            is_fine_enough=True, has_converged=joined,
        ),
        sampling=SamplingState(
            order=2, psi_step=15.0, offset_range=10.0 / 3, offset_step=1.0 / 3, oversampling=1,
            perturbation=-0.245251234, perturbation_factor=0.5, is_local=True,
            sigma_angle=7.5, original_order=1, original_psi_step=30.0,
            original_offset_range=5 * 3.540123456, original_offset_step=2 * 3.540123456,
        ),
        direction_rot=rng.uniform(-180, 180, N_DIRECTIONS),
        direction_tilt=rng.uniform(0, 180, N_DIRECTIONS),
        group_names=GROUPS, models=(model(1),) if joined else (model(1), model(2)), poses=poses,
        unfiltered_maps=maps if joined or unfiltered else (),
    )  # fmt: skip


def assert_same(a, b):
    """Compare two records bit by bit."""
    assert type(a) is type(b)
    if dataclasses.is_dataclass(a):
        for field in dataclasses.fields(a):
            if field.name != "times":
                assert_same(getattr(a, field.name), getattr(b, field.name))
    elif isinstance(a, np.ndarray):
        assert a.dtype == b.dtype
        assert a.tobytes() == b.tobytes()
    elif isinstance(a, tuple):
        assert len(a) == len(b)
        for left, right in zip(a, b, strict=True):
            assert_same(left, right)
    else:
        assert a == b


def settings_of(root):
    return RunSettings(output_root=root, particles="particles.star", reference="ref.mrc")


@pytest.fixture
def written(tmp_path):
    root = str(tmp_path / "run")
    write_iteration(make_state(), make_table(), root, OPTIONS, "--o run", settings_of(root))
    return tmp_path


def optimiser_of(folder, iteration=3):
    return str(folder / f"run_it{iteration:03d}_optimiser.star")


def labels_of(path):
    """Blocks and labels in order, without what stands there for RELION 3.1 and ourselves."""
    return [
        (name, list(block.columns if isinstance(block, pd.DataFrame) else block))
        for name, block in read_star(path).blocks.items()
        if not re.fullmatch(r"model_group_\d+|aurefine", name)
    ]


# --- names and columns


def test_an_iteration_has_the_names_of_relion(written):
    expected = [
        "data.star", "half1_class001.mrc", "half1_class001_angdist.bild", "half1_model.star",
        "half2_class001.mrc", "half2_class001_angdist.bild", "half2_model.star", "optimiser.star",
        "sampling.star",
    ]  # fmt: skip
    assert sorted(path.name for path in written.iterdir()) == [f"run_it003_{n}" for n in expected]


def test_a_converged_run_has_the_names_of_relion(tmp_path, shared_data):
    root = str(tmp_path / "run")
    state = make_state(joined=True, iteration=12)
    write_final(state, make_table(), root, OPTIONS, "--o run", settings_of(root))
    golden = (shared_data / "golden/refine/R5/all_files_written.txt").read_text().split()
    final = [name for name in golden if name.startswith("run_") and "_it" not in name]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(final)


def test_solvent_corrected_runs_write_unfiltered_maps(tmp_path):
    root = str(tmp_path / "run")
    state = make_state(unfiltered=True)
    write_iteration(state, make_table(), root, OPTIONS, "", settings_of(root))
    data, pixel_size = read_map(tmp_path / "run_it003_half2_class001_unfil.mrc")
    assert np.array_equal(data, state.unfiltered_maps[1])
    assert pixel_size == pytest.approx(state.pixel_size)
    assert_same(read_checkpoint(optimiser_of(tmp_path))[0], quantise(state))


@pytest.mark.parametrize("iteration", [0, 3])
def test_iterations_have_the_columns_of_relion(tmp_path, shared_data, iteration):
    golden = shared_data / "golden/refine/R5"
    source = read_particles(shared_data / "golden/refine/particles.star")
    table = ParticleTable(source.optics, source.particles.iloc[:N], source.path)
    root = str(tmp_path / "run")
    state = make_state(iteration=iteration)
    single = tuple(
        dataclasses.replace(model, sigma2_noise=model.sigma2_noise[:1]) for model in state.models
    )
    state = dataclasses.replace(state, models=single)
    write_iteration(state, table, root, OPTIONS, "", settings_of(root))
    stem = f"run_it{iteration:03d}_"
    for name in ("half1_model.star", "sampling.star", "data.star", "optimiser.star"):
        assert labels_of(tmp_path / (stem + name)) == labels_of(golden / (stem + name)), name


def test_the_final_files_have_the_columns_of_relion(tmp_path, shared_data):
    golden = shared_data / "golden/refine/R5"
    source = read_particles(shared_data / "golden/refine/particles.star")
    table = ParticleTable(source.optics, source.particles.iloc[:N], source.path)
    state = make_state(joined=True)
    one = dataclasses.replace(state.models[0], sigma2_noise=state.models[0].sigma2_noise[:1])
    root = str(tmp_path / "run")
    write_final(
        dataclasses.replace(state, models=(one,)), table, root, OPTIONS, "", settings_of(root)
    )
    for name in ("run_model.star", "run_sampling.star", "run_data.star", "run_optimiser.star"):
        assert labels_of(tmp_path / name) == labels_of(golden / name), name
    values = read_star(tmp_path / "run_optimiser.star").values("optimiser_general")
    assert values["rlnCurrentIteration"] == -1
    assert values["rlnDoSplitRandomHalves"] == 0


def test_constant_values_are_those_of_relion(tmp_path, shared_data):
    """Labels of methods that aurefine does not have keep RELION's values."""
    root = str(tmp_path / "run")
    write_iteration(make_state(), make_table(), root, OPTIONS, "", settings_of(root))
    ours = read_star(optimiser_of(tmp_path)).values("optimiser_general")
    path = shared_data / "golden/refine/R5/run_it003_optimiser.star"
    golden = read_star(path).values("optimiser_general")
    unused = re.compile("Sgd|Grad|Blush|Helic|External|Tau2Fudge|Fourier|Body|LocalSymm|Tomo|Range")
    for label in golden:
        if unused.search(label):
            assert ours[label] == golden[label], label


def test_the_optimiser_file_begins_as_that_of_relion(written):
    lines = Path(optimiser_of(written)).read_text().split("\n")
    assert lines[0].startswith("# RELION optimiser; version ")
    assert lines[1] == "# --o run"


def test_group_numbers_follow_the_groups(written):
    particles = read_particles(written / "run_it003_data.star").particles
    assert list(particles["rlnGroupNumber"]) == [1] * 5 + [2] * 5


def test_noise_spectra_stand_where_relion_3_looks_for_them(written):
    star = read_star(written / "run_it003_half1_model.star")
    for number in (1, 2):  # particles of both optics groups in each; the first one counts
        assert star.table(f"model_group_{number}").equals(
            star.table(f"model_optics_group_{number}")
        )
    assert "model_group_3" not in star


@pytest.mark.relion
def test_relion_continues_what_is_written(tmp_path, shared_data, monkeypatch):
    # the launcher that RELION is made for, not one of the Python environment
    folders = [f for f in os.get_exec_path() if Path(f) != Path(sys.executable).parent]
    mpirun = shutil.which("mpirun", path=os.pathsep.join(folders))
    if shutil.which("relion_refine_mpi") is None or mpirun is None:
        pytest.skip("needs relion_refine_mpi and mpirun")
    source = shared_data / "golden/refine"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "R5").mkdir()
    (tmp_path / "parts").symlink_to(source / "parts")
    for path in (source / "R5").glob("run_it000_*.star"):
        shutil.copy(path, tmp_path / "R5" / path.name)
    for half in (1, 2):
        shutil.copy(source / "ref.mrc", tmp_path / f"R5/run_it000_half{half}_class001.mrc")
    state, options, run_settings, table, *_ = read_checkpoint("R5/run_it000_optimiser.star")
    controller = dataclasses.replace(
        state.controller, iteration=3, current_frequency=1 / 22.656, current_size=20
    )
    state = dataclasses.replace(state, controller=controller)
    write_iteration(state, table, "R5/run", options, "", run_settings)
    done = subprocess.run(
        [
            mpirun, "--allow-run-as-root", "--oversubscribe", "-n", "3", "relion_refine_mpi",
            "--continue", "R5/run_it003_optimiser.star", "--o", "R5/run", "--pool", "3", "--j", "1",
            "--auto_iter_max", "4",
        ],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert (tmp_path / "R5/run_it004_optimiser.star").is_file(), done.stderr[-2000:]
    found, *_ = read_checkpoint("R5/run_it004_optimiser.star")
    assert found.controller.iteration == 4


def test_the_orientation_scene_is_that_of_relion(tmp_path, shared_data):
    from aurefine.jobs.refine_bild import orientation_scene

    golden = shared_data / "golden/refine/R5"
    directions = read_star(golden / "run_sampling.star").table("sampling_directions")
    prior = read_star(golden / "run_model.star").table("model_pdf_orient_class_1")
    text = orientation_scene(
        directions["rlnAngleRot"].to_numpy(), directions["rlnAngleTilt"].to_numpy(),
        prior["rlnOrientationDistribution"].to_numpy(), box_size=32, pixel_size=3.54, order=3,
    )  # fmt: skip
    expected = (golden / "run_class001_angdist.bild").read_text()

    def numbers(scene):
        return np.array([float(word) for word in scene.split() if word[0] != "."])

    assert text.count("cylinder") == expected.count("cylinder")
    # RELION works on unrounded priors, and shows 6 digits
    np.testing.assert_allclose(numbers(text), numbers(expected), rtol=1e-4, atol=2e-3)


def test_completeness_is_that_of_relion(shared_data):
    for name in ("R5/run_it003_half1", "R5/run", "R313/run_it003_half1", "R313/run"):
        star = read_star(shared_data / f"golden/refine/{name}_model.star")
        spectra, classes = star.table("model_class_1"), star.table("model_classes")
        shell = estimated_shell(spectra["rlnSsnrMap"].to_numpy())
        found = overall_completeness(spectra["rlnFourierCompleteness"].to_numpy(), shell)
        assert 32 * 3.54 / shell == pytest.approx(classes["rlnEstimatedResolution"][0], rel=1e-5)
        # for information only; how RELION weights the shells is known roughly
        assert found == pytest.approx(classes["rlnOverallFourierCompleteness"][0], abs=0.03)


# --- restart


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 3]), st.booleans())
def test_a_checkpoint_gives_back_the_same_bits(seed, iteration, unfiltered):
    state = make_state(seed, iteration=iteration, unfiltered=unfiltered)
    table = make_table()
    expected = quantise(state)
    with tempfile.TemporaryDirectory() as folder:
        root = f"{folder}/run"
        for writing in (state, expected):  # rounding before writing must not matter
            write_iteration(writing, table, root, OPTIONS, "", settings_of(root))
            found, options, run_settings, data, *_ = read_checkpoint(
                optimiser_of(Path(folder), iteration)
            )
            assert_same(found, expected)
            assert options == OPTIONS
            assert run_settings == settings_of(root)
            rounded = quantise_table(table)
            for left, right in (
                (data.optics, rounded.optics),
                (data.particles[list(rounded.particles)], rounded.particles),
            ):
                # text has two equivalent types in pandas
                pd.testing.assert_frame_equal(left, right, check_exact=True, check_dtype=False)


def test_rounding_twice_changes_nothing():
    once = quantise(make_state())
    assert_same(quantise(once), once)


def test_a_restart_from_a_restart_is_the_same(written):
    state, options, run_settings, table, *_ = read_checkpoint(optimiser_of(written))
    write_iteration(state, table, run_settings.output_root, options, "", run_settings)
    again, *_ = read_checkpoint(optimiser_of(written))
    assert_same(again, state)


def test_an_edited_label_wins(written):
    path = Path(optimiser_of(written))
    text = re.sub(r"(_rlnParticleDiameter +)\S+", r"\g<1>80.5", path.read_text())
    text = re.sub(r"(_rlnDoZeroMask +)\S+", r"\g<1>1", text)
    path.write_text(text)
    state, options, *_ = read_checkpoint(str(path))
    assert state.options_particle_diameter == 80.5
    assert options == dataclasses.replace(OPTIONS, particle_diameter=80.5, zero_mask=True)


def test_a_moved_job_is_found_beside_its_optimiser_file(written, tmp_path):
    target = tmp_path / "moved"
    target.mkdir()
    for path in written.glob("run_*"):
        shutil.move(path, target / path.name)
    state, *_ = read_checkpoint(optimiser_of(target))
    assert_same(state, quantise(make_state()))


@pytest.mark.parametrize("version", ["R5", "R313"])
def test_checkpoints_of_relion_are_read(tmp_path, shared_data, version):
    golden = shared_data / "golden/refine" / version
    rng = np.random.default_rng(0)
    for path in golden.glob("run_it000_*.star"):
        shutil.copy(path, tmp_path / path.name)
    maps = [rng.normal(size=(32, 32, 32)).astype(np.float32) for _ in range(2)]
    for half, data in enumerate(maps, 1):
        write_map(tmp_path / f"run_it000_half{half}_class001.mrc", data, 3.54)
    state, options, run_settings, table, *_ = read_checkpoint(optimiser_of(tmp_path, 0))
    assert np.array_equal(state.models[1].map, maps[1])
    assert state.models[0].sigma2_noise.shape == (1, 17)
    assert (state.models[0].sigma2_noise[:, 1:] > 0).all()
    assert state.controller.incr_size == 10
    assert state.controller.best_frequency == pytest.approx(1 / 999, abs=1e-6)
    assert state.random_seed == 1
    assert state.sampling.order == 1
    assert state.direction_rot.shape == (48,)
    assert options.offset_range_px == pytest.approx(3)
    assert options.auto_local_healpix_order == 3
    assert options.symmetry == "C1"
    assert options.padding == 2
    assert options.zero_mask
    assert options.ctf
    assert options.norm
    assert run_settings.output_root == f"{version}/run"
    assert run_settings.solvent_mask == ""
    assert len(table.particles) == 120


# --- bad checkpoints


@pytest.mark.parametrize("joined", [True, False])
def test_a_converged_run_can_not_be_continued(tmp_path, joined):
    root = str(tmp_path / "run")
    if joined:
        state = make_state(joined=True)
        write_final(state, make_table(), root, OPTIONS, "", settings_of(root))
        path = f"{root}_optimiser.star"
    else:
        state = make_state()
        state = dataclasses.replace(
            state, controller=dataclasses.replace(state.controller, has_converged=True)
        )
        write_iteration(state, make_table(), root, OPTIONS, "", settings_of(root))
        path = optimiser_of(tmp_path)
    with pytest.raises(OptionError, match="has converged"):
        read_checkpoint(path)


def test_the_golden_final_file_can_not_be_continued(shared_data):
    with pytest.raises(OptionError, match="has converged"):
        read_checkpoint(str(shared_data / "golden/refine/R5/run_optimiser.star"))


@pytest.mark.parametrize(
    "name", ["data.star", "sampling.star", "half2_model.star", "half1_class001.mrc"]
)
def test_a_missing_file_is_named(written, name):
    (written / f"run_it003_{name}").unlink()
    with pytest.raises(StarError, match=re.escape(f"run_it003_{name}")):
        read_checkpoint(optimiser_of(written))


@pytest.mark.parametrize(
    "name",
    ["data.star", "sampling.star", "half2_model.star", "half1_class001.mrc", "optimiser.star"],
)
@pytest.mark.parametrize("fraction", [0.0, 0.3, 0.6, 0.95])
def test_a_truncated_file_is_an_error_that_names_it(written, name, fraction):
    path = written / f"run_it003_{name}"
    raw = path.read_bytes()
    path.write_bytes(raw[: int(fraction * len(raw))])
    with pytest.raises((StarError, MrcError), match=re.escape(f"run_it003_{name}")):
        read_checkpoint(optimiser_of(written))


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(AurefineError, match="run_it009_optimiser"):
        read_checkpoint(optimiser_of(tmp_path, 9))


def test_a_map_of_another_size_is_an_error(written):
    path = written / "run_it003_half1_class001.mrc"
    write_map(path, np.zeros((4, 4, 4), np.float32), 3.54)
    with pytest.raises(StarError, match="4 x 4 x 4"):
        read_checkpoint(optimiser_of(written))


def test_a_map_that_is_not_finite_is_an_error(written):
    path = written / "run_it003_half1_class001.mrc"
    data, _ = read_map(path)
    data = np.array(data)
    data[0, 0, 0] = np.nan
    write_map(path, data, 3.54)
    with pytest.raises(StarError, match="not finite"):
        read_checkpoint(optimiser_of(written))


def test_an_old_optimiser_file_does_not_survive_a_failure(written, monkeypatch):
    """Files of two attempts at one iteration must not look like a complete one."""

    def fail(*args, **keywords):
        raise OutputError("disk full")

    monkeypatch.setattr("aurefine.jobs.refine_files.write_map", fail)
    root = str(written / "run")
    with pytest.raises(OutputError, match="disk full"):
        write_iteration(make_state(1), make_table(), root, OPTIONS, "", settings_of(root))
    assert not Path(optimiser_of(written)).exists()


def test_an_output_directory_that_does_not_exist_is_named(tmp_path):
    root = str(tmp_path / "nowhere" / "run")
    with pytest.raises(OutputError, match="nowhere"):
        write_iteration(make_state(), make_table(), root, OPTIONS, "", settings_of(root))


def test_names_have_three_digits():
    assert FileNames("a/run", 7).model(1) == "a/run_it007_half1_model.star"
    assert FileNames("a/run", 7).optimiser == "a/run_it007_optimiser.star"
    assert FileNames("a/run").map(None) == "a/run_class001.mrc"
    assert FileNames("a/run").unfiltered_map(2) == "a/run_half2_class001_unfil.mrc"
