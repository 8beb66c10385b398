"""The page in a real browser: forms, Browse, running a job, two browsers, a killed server."""

import numpy as np
import pytest

from aurefine.io import write_map
from aurefine.project import init_project, open_project

expect = pytest.importorskip("playwright.sync_api", reason="needs playwright").expect

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser") / "project"
    init_project(folder)
    z, y, x = np.mgrid[-16:16, -16:16, -16:16]
    ball = np.exp(-(((x / 9) ** 2 + (y / 6) ** 2 + (z / 6) ** 2) ** 2)).astype(np.float32)
    (folder / "maps").mkdir()
    write_map(folder / "maps" / "ball.mrc", ball, 4.0)
    (folder / "maps" / "<img src=x onerror=alert(1)>.star").write_text(
        'data_particles\n\nloop_\n_rlnMicrographName #1\n"<script>alert(2)</script>"\n'
    )
    return folder


@pytest.fixture(scope="module")
def server(folder, serve):
    return serve(folder)


@pytest.fixture(scope="module")
def page(open_page, server):
    return open_page(server)


def test_form_has_the_tabs_labels_and_defaults_of_relion(page):
    page.new_job("3D auto-refine")
    tabs = page.tab.locator(".form-page .tabs button").all_inner_texts()
    wanted = ["I/O", "Reference", "CTF", "Optimisation", "Auto-sampling", "Compute", "Running"]
    assert [tab for tab in tabs if tab != "Expert"] == wanted
    page.tab.get_by_role("tab", name="Reference", exact=True).click()
    assert page.tab.get_by_label("Symmetry:", exact=True).input_value() == "C1"
    assert page.tab.get_by_label("Initial low-pass filter (A):", exact=True).input_value() == "60"


def test_every_field_has_help(page):
    page.new_job("Mask creation")
    for tab in page.tab.locator(".form-page .tabs button").all():
        tab.click()
        fields = page.tab.locator(".field")
        helps = page.tab.locator(".field .help p:first-child").all_text_contents()
        assert len(helps) == fields.count()
        assert all(len(text) > 10 for text in helps)


def test_value_is_checked_as_it_is_typed(page):
    page.new_job("3D auto-refine")
    page.fill({"Reference": {"Symmetry:": "D2x"}})
    problem = page.tab.locator("#field-sym_name-problem")
    expect(problem).to_contain_text("D2x")
    page.fill({"Reference": {"Symmetry:": "D2"}})
    expect(problem).to_be_empty()


def test_field_that_has_no_effect_is_grey(page):
    page.new_job("Particle extraction")
    refined = page.tab.get_by_label("Refined particles STAR file:", exact=True)
    assert refined.is_disabled()
    page.fill({"I/O": {"OR re-extract refined particles?": "Yes"}})
    assert refined.is_enabled()


def test_job_is_set_up_run_and_shown_by_clicks(page, folder):
    page.new_job("Mask creation")
    page.tab.get_by_role("button", name="Browse: Input 3D map:").click()
    dialog = page.tab.get_by_role("dialog")
    dialog.locator(".browse-row", has_text="maps").click()
    dialog.locator(".browse-row", has_text="ball.mrc").click()
    page.picture("browse")
    dialog.get_by_role("button", name="Choose").click()
    page.fill({"Mask": {"Lowpass filter map (A)": "20", "Initial binarisation threshold:": "0.3"}})
    command = page.tab.locator(".command")
    expect(command).to_contain_text("--lowpass 20 --ini_threshold 0.3")
    assert "--i maps/ball.mrc" in command.inner_text()
    assert page.start(alias="ball mask") == "MaskCreate/job001/"
    page.wait_for_state("finished", 60)
    page.wait_for_surface("MaskCreate/job001/mask.mrc")
    page.picture("mask")
    assert (folder / "MaskCreate" / "ball_mask" / "mask.mrc").is_file()
    assert open_project(folder).job("1").status == "Succeeded"


def test_output_of_a_job_comes_first_in_browse(page):
    page.new_job("Map rescale")
    page.tab.get_by_role("button", name="Browse: Input 3D map:").click()
    dialog = page.tab.get_by_role("dialog")
    first = dialog.locator(".browse-row").first  # of a folder until the outputs are there, too
    expect(first).to_contain_text("MaskCreate/ball_mask/mask.mrc")
    page.tab.keyboard.press("Escape")


def test_cloned_form_has_the_settings_of_the_job(page):
    page.go("#/job/MaskCreate/job001")
    page.tab.get_by_role("button", name="Clone").click()
    page.wait_for_form("Mask creation")
    assert page.tab.get_by_label("Input 3D map:", exact=True).input_value() == "maps/ball.mrc"


def test_alias_and_trash(page, folder):
    page.new_job("Mask creation")
    page.fill({"I/O": {"Input 3D map:": "maps/ball.mrc"}})
    name = page.start("Schedule")
    page.tab.get_by_role("button", name="Alias").click()
    page.tab.get_by_label("Name of the job").fill("spare")
    page.tab.get_by_role("button", name="Set alias").click()
    page.tab.locator("h1", has_text="spare").wait_for()
    assert (folder / "MaskCreate" / "spare").is_symlink()
    page.tab.get_by_role("button", name="Delete").click()
    page.tab.get_by_role("dialog").get_by_role("button", name="Delete").click()
    page.tab.locator(f"#side .job[data-job='{name}']").wait_for(state="detached")
    assert (folder / "Trash" / name).is_dir()


def test_long_table_is_scrolled_to_its_end(page, folder):
    rows = "".join(f"mic{row}.mrc {row}\n" for row in range(1, 300_001))
    labels = "_rlnMicrographName #1\n_rlnGroupNumber #2\n"
    (folder / "long.star").write_text(f"data_micrographs\n\nloop_\n{labels}{rows}")
    page.go("#/file/long.star")
    page.tab.locator(".star-status", has_text="300\u202f000 rows").wait_for()
    page.tab.locator(".star-row", has_text="mic1.mrc").wait_for()
    page.tab.locator(".star-scroll").focus()
    page.tab.keyboard.press("End")
    page.tab.locator(".star-row", has_text="mic300000.mrc").wait_for()
    page.tab.get_by_label("Go to row").fill("123456")
    page.tab.keyboard.press("Enter")
    expect(page.tab.locator(".star-row").first).to_contain_text("mic123456.mrc")


def test_arrow_keys_go_through_tabs(page):
    page.new_job("Mask creation")
    page.tab.get_by_role("tab", name="I/O", exact=True).focus()
    page.tab.keyboard.press("ArrowRight")
    expect(page.tab.get_by_role("tab", name="Mask", exact=True)).to_be_focused()
    page.tab.get_by_label("Extend binary map this many pixels:", exact=True).wait_for()


def test_hostile_names_and_contents_are_text(page):
    page.go("#/files")
    page.tab.locator(".file-row", has_text="maps").click()
    page.tab.locator(".file-row", has_text="<img src=x onerror=alert(1)>.star").click()
    page.tab.locator(".star-row", has_text="<script>alert(2)</script>").wait_for()
    assert page.tab.locator("main script, main img[src=x]").count() == 0


def test_second_browser_hears_of_a_job(page, open_page, server):
    other = open_page(server, dark=True)
    page.new_job("Mask creation")
    page.fill({"I/O": {"Input 3D map:": "maps/ball.mrc"}})
    name = page.start("Schedule", alias="from_afar")
    other.tab.locator(f"#side .job[data-job='{name}']", has_text="from_afar").wait_for(timeout=5000)
    other.picture("dark")


def test_page_works_with_keys_alone(page):
    page.go("#/")
    page.tab.locator(".flow").wait_for()
    page.tab.keyboard.press("/")
    page.tab.keyboard.type("ball")
    page.tab.keyboard.press("Tab")
    page.tab.keyboard.press("Enter")
    page.tab.locator("h1", has_text="ball_mask").wait_for()
    page.tab.locator(".tab-panel").wait_for()


def test_phone_has_no_sideways_scrolling(open_page, server):
    phone = open_page(server, width=390, height=780)
    for hash_ in ("#/", "#/new/refine3d", "#/job/MaskCreate/job001", "#/files"):
        phone.go(hash_)
        phone.tab.wait_for_timeout(300)
        assert phone.tab.evaluate("document.documentElement.scrollWidth") <= 390
        assert phone.tab.evaluate("document.querySelector('main').scrollWidth") <= 390
    phone.new_job("3D auto-refine")
    phone.picture("phone_form")


def test_job_survives_the_end_of_the_server(page, server, folder, shared_data):
    data = folder / "d2-small"
    data.symlink_to(shared_data / "d2-small")
    page.new_job("3D auto-refine")
    page.fill(
        {
            "I/O": {
                "Input images STAR file:": "d2-small/particles.star",
                "Reference map:": "d2-small/reference.mrc",
            },
            "Reference": {"Symmetry:": "D2", "Initial low-pass filter (A):": "50"},
            "Optimisation": {"Mask diameter (A):": "190"},
        }
    )
    name = page.start(alias="survivor")
    page.wait_for_state("running", 30)
    server.kill()
    page.tab.locator("#connection").wait_for(timeout=15000)
    server.restart()
    page.sign_in()
    page.go(f"#/job/{name.rstrip('/')}")
    page.wait_for_state("running", 10)
    page.tab.get_by_role("button", name="Abort").click()
    page.tab.get_by_role("dialog").get_by_role("button", name="Abort").click()
    page.wait_for_state("aborted", 60)
