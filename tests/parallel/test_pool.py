import signal
import sys
import threading
import time

import pytest

from aurefine.parallel.pool import WorkerPool
from aurefine.parallel.shield import SHIELD


@pytest.fixture(params=[1, 2, 5])
def pool(request):
    with WorkerPool(request.param) as pool:
        yield pool


def ignore(seconds):
    pass


def test_results_come_in_the_order_of_the_tasks(pool):
    def slow_first(task):
        time.sleep(0.02 if task == 0 else 0)
        return task**2

    assert pool.map(slow_first, range(20)) == [task**2 for task in range(20)]
    assert pool.aside(slow_first, range(20), ignore).result() == [task**2 for task in range(20)]
    assert pool.map(slow_first, []) == pool.aside(slow_first, [], ignore).result() == []


def test_the_first_failing_task_is_reported(pool):
    def fail(task):
        if task in (3, 4):
            raise ValueError(f"task {task}")
        return task

    with pytest.raises(ValueError, match="task 3"):
        pool.map(fail, range(10))
    group = pool.aside(fail, range(10), ignore)
    with pytest.raises(ValueError, match="task 3"):
        group.result()
    assert pool.map(fail, range(3)) == [0, 1, 2]


def test_no_task_is_begun_after_an_interrupt(pool):
    done = []

    def work(task):
        if task == 0:
            raise KeyboardInterrupt
        time.sleep(0.01)
        done.append(task)

    with pytest.raises(KeyboardInterrupt):
        pool.map(work, range(1000))
    count = len(done)
    assert count < 999
    time.sleep(0.03)
    assert len(done) == count


def test_one_thread_does_nothing_aside():
    with WorkerPool(1) as pool:
        done = []
        group = pool.aside(done.append, range(3), ignore)
        time.sleep(0.02)
        assert not done
        group.result()
        assert done == [0, 1, 2]


def test_idle_threads_work_aside():
    with WorkerPool(3) as pool:
        gate = threading.Barrier(3, timeout=10)
        group = pool.aside(lambda task: gate.wait(), range(2), ignore)
        gate.wait()  # both tasks run at the same time, without this thread
        assert len(group.result()) == 2


def test_other_tasks_come_first():
    """A thread that works aside goes over to the tasks of `map` after its present one."""
    order, begun, go, helped = [], threading.Event(), threading.Event(), threading.Event()
    main = threading.current_thread()

    def aside(task):
        begun.set()
        assert go.wait(10)
        order.append("aside")

    def mapped(task):
        go.set()
        if threading.current_thread() is main:
            assert helped.wait(10)
        else:
            order.append("mapped")
            helped.set()

    with WorkerPool(2) as pool:
        group = pool.aside(aside, range(3), ignore)
        assert begun.wait(10)
        pool.map(mapped, range(2))
        group.result()
    assert order[:2] == ["aside", "mapped"]
    assert order.count("aside") == 3


def test_the_time_of_work_aside_is_told(pool):
    spent = []

    def busy(task):
        start = time.thread_time()
        while time.thread_time() - start < 0.01:
            pass

    pool.aside(busy, range(4), spent.append).result()
    assert len(spent) == 4
    assert all(0.01 <= seconds < 0.1 for seconds in spent)


def test_a_closed_pool_leaves_work_aside_alone():
    done = []

    def work(task):
        time.sleep(0.01)
        done.append(task)

    with WorkerPool(2) as pool:
        pool.aside(work, range(1000), ignore)
    assert len(done) < 1000


class StopError(BaseException):
    """What a signal handler raises."""


@pytest.fixture
def signals():
    """Turn SIGUSR2 into an exception as jobs do with theirs, and end what hangs."""

    def leave():
        raise StopError

    def handle(number, frame):
        if not SHIELD.delays(leave):
            leave()

    def end(number, frame):
        SHIELD.depth = 0
        raise TimeoutError

    before = signal.signal(signal.SIGUSR2, handle), signal.signal(signal.SIGALRM, end)
    yield
    signal.signal(signal.SIGUSR2, before[0])
    signal.signal(signal.SIGALRM, before[1])


def use(pool):
    assert pool.map(lambda task: task + 1, range(6)) == [1, 2, 3, 4, 5, 6]
    group = pool.aside(lambda task: -task, range(4), ignore)
    assert pool.read_ahead(abs, -1)() == 1
    assert group.result() == [0, -1, -2, -3]


def stopped_at(number, pool):
    """Whether this use of the pool has as many places for a signal, which comes at that one."""
    count = 0

    def profile(frame, event, argument):
        nonlocal count
        if event in ("call", "c_return"):  # where Python looks for signals
            count += 1
            if count == number:
                signal.raise_signal(signal.SIGUSR2)

    signal.alarm(20)
    sys.setprofile(profile)
    try:
        use(pool)
    except StopError:
        return True
    finally:
        sys.setprofile(None)
        signal.alarm(0)
    assert count < number, "the signal was lost"
    return False


@pytest.mark.usefixtures("signals")
@pytest.mark.parametrize("n_threads", [1, 2])
def test_a_signal_at_any_place_leaves_the_pool_in_order(n_threads):
    number = 1
    with WorkerPool(n_threads) as pool:
        while stopped_at(number, pool):
            assert SHIELD.depth == 0
            use(pool)
            number += 1
    assert number > 50
