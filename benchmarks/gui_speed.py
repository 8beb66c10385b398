"""Time what a user waits for in `aurefine gui`.

    python benchmarks/gui_speed.py [--jobs 1000] [--rows 1000000] [--browser]

Makes a project with many jobs and a long STAR file in a temporary folder, starts the server as a
process, and times requests over HTTP.  With ``--browser`` also clicks in Chromium, until the result
stands on the screen.  Each line has the best, the median and the worst of the repeats.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from aurefine.project import Process, init_project

REPEATS = 15
ROW = (
    "{x:.6f} {y:.6f} {n:06d}@Extract/job002/Movies/mic_{m:04d}.mrcs "
    "MotionCorr/job002/Movies/mic_{m:04d}.mrc 1 7.434000 0.150000 10345.263591 10167.969379 "
    "149.263059 0.000000 1.000000 0.000000 12.500000 33.500000 155.200000 -1.240000 2.440000 1 {n}"
)
WATCHED = "Refine3D/job003"
LABELS = (
    "rlnCoordinateX", "rlnCoordinateY", "rlnImageName", "rlnMicrographName", "rlnOpticsGroup",
    "rlnCtfMaxResolution", "rlnCtfFigureOfMerit", "rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle",
    "rlnCtfBfactor", "rlnCtfScalefactor", "rlnPhaseShift", "rlnAngleRot", "rlnAngleTilt",
    "rlnAnglePsi", "rlnOriginXAngst", "rlnOriginYAngst", "rlnRandomSubset", "rlnGroupNumber",
)  # fmt: skip


def make_project(folder: Path, n_jobs: int, n_rows: int) -> None:
    """A project of alternating refinements, masks and post-processings, each using the last."""
    project = init_project(folder)
    kinds = (
        ("Refine3D", "relion.refine3d", "run_class001.mrc"),
        ("MaskCreate", "relion.maskcreate", "mask.mrc"),
        ("PostProcess", "relion.postprocess", "postprocess.mrc"),
    )
    with project.edit("benchmark") as pipeline:
        last = ""
        for number in range(1, n_jobs + 1):
            kind, label, output = kinds[number % 3]
            name = f"{kind}/job{number:03d}/"
            (folder / name).mkdir(parents=True)
            (folder / name / "job.star").write_text(
                "data_job\n\n_rlnJobTypeLabel relion.refine3d\n"
            )
            (folder / name / "RELION_JOB_EXIT_SUCCESS").touch()
            pipeline.processes[name] = Process(name, "", label, "Succeeded")
            if last and number % 10:
                pipeline.add_input(last, "DensityMap.mrc", name)
            pipeline.add_output(name, name + output, "DensityMap.mrc")
            last = name + output
        pipeline.counter = n_jobs + 1
    (folder / WATCHED / "run.out").write_text("begin\n")
    with (folder / "particles.star").open("w") as stream:
        stream.write(
            "\ndata_optics\n\nloop_ \n_rlnOpticsGroup #1 \n_rlnVoltage #2 \n1 300.0 \n \n\n"
        )
        stream.write("data_particles\n\nloop_ \n")
        stream.writelines(f"_{label} #{i} \n" for i, label in enumerate(LABELS, 1))
        for n in range(1, n_rows + 1):
            stream.write(ROW.format(x=n % 4096, y=n * 7 % 4096, n=n, m=n // 300) + "\n")
        stream.write(" \n")


@contextmanager
def server(folder: Path) -> Iterator[tuple[str, float, subprocess.Popen[str]]]:
    """Start the server; give its link, the seconds until a page came, and the process."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "aurefine", "gui", "--project", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        link = ""
        for line in process.stdout:
            found = re.search(r"http://\S+\?token=\S+", line)
            if found:
                link = found[0]
                break
        address = urllib.parse.urlsplit(link)
        with urllib.request.urlopen(f"http://{address.netloc}/static/app.js") as answer:
            answer.read()
        yield link, time.perf_counter() - start, process
    finally:
        process.terminate()
        process.wait()


class Client:
    """A signed-in user without a browser."""

    def __init__(self, link: str) -> None:
        self.base = "http://" + urllib.parse.urlsplit(link).netloc
        jar = urllib.request.HTTPCookieProcessor(CookieJar())
        self.opener = urllib.request.build_opener(jar)
        self.opener.open(link).read()

    def get(self, address: str, /, **values: Any) -> Any:
        query = urllib.parse.urlencode(values)
        with self.opener.open(f"{self.base}{address}?{query}") as answer:
            return json.loads(answer.read())


def timed(name: str, action: Callable[[int], object], repeats: int = REPEATS) -> None:
    times = []
    for repeat in range(repeats):
        start = time.perf_counter()
        action(repeat)
        times.append(1000 * (time.perf_counter() - start))
    show(name, times)


def show(name: str, times: list[float]) -> None:
    """Print one line of the table; times in ms."""
    print(f"| {name} | {min(times):.0f} | {np.median(times):.0f} | {max(times):.0f} |", flush=True)


def over_http(client: Client, n_rows: int) -> None:
    star = {"path": "particles.star"}
    client.get("/api/files/blocks", **star)  # starts the count

    def page(start: int) -> None:
        rows = client.get("/api/files/rows", block=1, start=start, count=200, **star)
        assert len(rows["rows"]) == 200

    start = time.perf_counter()
    page(0)
    first = time.perf_counter() - start
    while not client.get("/api/files/blocks", **star)["blocks"][1]["complete"]:
        time.sleep(0.01)
    counted = time.perf_counter() - start
    show("first page of a STAR file, while it is counted", [1000 * first])
    show(f"all {n_rows} rows counted in the background", [1000 * counted])
    rng = np.random.default_rng(1)
    starts = rng.integers(0, n_rows - 200, REPEATS)
    timed("page of 200 rows anywhere", lambda repeat: page(int(starts[repeat])))
    timed("job list with flow chart", lambda _: client.get("/api/jobs"))
    timed("files for Browse", lambda _: client.get("/api/nodes", kinds="map"))
    timed("settings of all job types", lambda _: client.get("/api/types"))


# measured inside the page: from the action to the frame that is painted after its result is there
MEASURE = """async () => {
    const frame = () => new Promise((done) => requestAnimationFrame(done));
    await frame();
    await frame();
    const start = performance.now();
    ACT;
    while (!(CHECK)) await new Promise((done) => setTimeout(done, 2));
    await frame();
    return performance.now() - start;
}"""
SEARCH = "document.querySelector('#side input[type=search]')"
SHOWN = "document.querySelectorAll('#side .job').length"
STAR = "document.querySelector('.star')"
FILTER = (
    f"{SEARCH}.value = {SEARCH}.value ? '' : 'job50'; {SEARCH}.dispatchEvent(new Event('input'))"
)
FORM = "document.querySelector('.form-page')?.remove(); location.hash = '#/new/' + "
FORM += "(location.hash.endsWith('refine3d') ? 'maskcreate' : 'refine3d')"
SCROLL = f"window.before = {STAR}.dataset.ready; const e = document.querySelector('.star-scroll'); "
SCROLL += "e.scrollTop = Math.random() * e.scrollHeight"


def in_browser(link: str, project: Path, n_jobs: int, n_rows: int) -> None:
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=flags)
        tab = chromium.new_context(viewport={"width": 1280, "height": 720}).new_page()
        start = time.perf_counter()
        tab.goto(link)
        tab.wait_for_selector("html[data-ready=yes]")
        show(f"page with {n_jobs} jobs, first time", [1000 * (time.perf_counter() - start)])

        def action(name: str, act: str, check: str, before: str = "") -> None:
            code = MEASURE.replace("ACT", act).replace("CHECK", check)
            times = []
            for _ in range(REPEATS):
                if before:
                    tab.evaluate(before)
                    tab.wait_for_timeout(300)
                times.append(tab.evaluate(code))
            show(name, times)

        is_filtered = f"{SEARCH}.value ? {SHOWN} < {n_jobs} : {SHOWN} === {n_jobs}"
        action("filter the job list", FILTER, is_filtered)
        action("open a form", FORM, "document.querySelector('.form-page .field')")
        chart = "document.querySelectorAll('.flow-job').length > 5"  # those in the window
        action("open the flow chart", "location.hash = '#/'", chart, "location.hash = '#/files'")
        tab.evaluate("location.hash = '#/file/particles.star'")
        tab.locator(".star-status", has_text="rows").wait_for()
        tab.wait_for_timeout(2000)
        moved = f"{STAR}.dataset.ready !== window.before"
        action(f"scroll to anywhere in {n_rows} rows", SCROLL, moved)
        tab.evaluate(f"location.hash = '#/job/{WATCHED}'")
        tab.locator("pre.log", has_text="begin").wait_for()
        delays = []
        for repeat in range(REPEATS):
            tab.wait_for_timeout(137 * repeat)  # anywhere between two looks of the server
            with (project / WATCHED / "run.out").open("a") as log:
                log.write(f"line {repeat}.\n")
            start = time.perf_counter()
            tab.wait_for_function(
                "text => document.querySelector('pre.log').textContent.includes(text)",
                arg=f"line {repeat}.",
            )
            delays.append(1000 * (time.perf_counter() - start))
        show("from a line in the log of a job to the page", delays)
        chromium.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--browser", action="store_true")
    given = parser.parse_args()
    print(f"cores {os.cpu_count()}, load {os.getloadavg()[0]:.1f}", file=sys.stderr)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "project"
        make_project(folder, given.jobs, given.rows)
        print("| action [ms] | best | median | worst |\n| --- | --- | --- | --- |")
        starts, cpu = [], []
        for _ in range(7):
            with server(folder) as (_, seconds, process):
                starts.append(1000 * seconds)
                times = psutil.Process(process.pid).cpu_times()
                cpu.append(1000 * (times.user + times.system))
        for what, values in (("", starts), (", processor time", cpu)):
            show(f"start, until the page can be loaded{what}", values)
        with server(folder) as (link, _, process):
            assert process.stdout is not None
            over_http(Client(link), given.rows)
        if given.browser:
            with server(folder) as (link, _, _process):
                in_browser(link, folder, given.jobs, given.rows)


if __name__ == "__main__":
    main()
