"""Children that log to their parent's run: every row arrives, and only the parent ends the run."""

from __future__ import annotations

import pytest

from tests.fault.processes import run, sync_all, until, values
from weighbridge import Api

INIT = """
import concurrent.futures, multiprocessing, os, signal, sys, threading, time, weighbridge

def work(run, number, rows):
    for index in range(rows):
        run.log({f"child{number}": index}, step=index)

def main():
    run = weighbridge.init(project="p", id="one")
    run.log({"parent": 0}, step=0)
"""
END = """
    run.log({"parent": 1}, step=1)
    run.finish()

if __name__ == "__main__":
    main()
"""


def check(children: int, rows: int, *, state: str = "finished") -> None:
    sync_all()
    assert values("p/one", "parent") == [0, 1]
    for number in range(children):
        assert values("p/one", f"child{number}") == list(range(rows))
    assert Api().run("p/one").state == state


def script(tmp_path: object, body: str) -> str:
    """Spawned children import the script by its path, so it must be a file."""
    path = f"{tmp_path}/script.py"
    with open(path, "w", encoding="utf-8") as file:
        file.write(INIT + body + END)
    return (
        f"import runpy, sys; sys.argv = [{path!r}]; sys.path.insert(0, {str(tmp_path)!r}); "
        f"runpy.run_path({path!r}, run_name='__main__')"
    )


@pytest.mark.parametrize(
    ("leave", "said"),
    [
        ("os._exit(0)", "at once"),
        ("sys.exit(0)", "by the interpreter"),
        ("run.finish(); os._exit(0)", "by finish"),
    ],
)
def test_a_plain_fork_logs_by_itself_however_it_leaves(tmp_path: object, leave: str, said: str) -> None:
    done = run(
        script(
            tmp_path,
            f"""
    pids = []
    for number in range(3):
        pid = os.fork()
        if pid == 0:
            work(run, number, 200)
            {leave}
        pids.append(pid)
    for pid in pids:
        assert os.waitpid(pid, 0)[1] == 0
""",
        )
    )
    assert done.code == 0, (said, done.err)
    check(3, 200)


def test_a_child_that_never_logs_changes_nothing(tmp_path: object) -> None:
    done = run(
        script(
            tmp_path,
            """
    pid = os.fork()
    if pid == 0:
        sys.exit(7)
    assert os.waitpid(pid, 0)[1] == 7 << 8
""",
        )
    )
    assert done.code == 0, done.err
    check(0, 0)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_children_get_the_run_as_an_argument(tmp_path: object, method: str) -> None:
    done = run(
        script(
            tmp_path,
            f"""
    context = multiprocessing.get_context({method!r})
    children = [context.Process(target=work, args=(run, number, 100)) for number in range(2)]
    for child in children: child.start()
    for child in children: child.join()
    assert [child.exitcode for child in children] == [0, 0]
""",
        )
    )
    assert done.code == 0, done.err
    check(2, 100)


def test_a_process_pool_logs_to_the_run(tmp_path: object) -> None:
    done = run(
        script(
            tmp_path,
            """
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        list(pool.map(work, [run] * 4, range(4), [50] * 4))
""",
        )
    )
    assert done.code == 0, done.err
    check(4, 50)


def test_a_daemon_worker_that_is_terminated_loses_no_row(tmp_path: object) -> None:
    """As a data loader's workers end: by SIGTERM, or with the parent."""
    done = run(
        script(
            tmp_path,
            """
    pipe, other = multiprocessing.Pipe()
    def loop():
        work(run, 0, 300)
        other.send("done")
        signal.pause()
    child = multiprocessing.get_context("fork").Process(target=loop, daemon=True)
    child.start()
    pipe.recv()
    child.terminate()
    child.join()
""",
        )
    )
    assert done.code == 0, done.err
    check(1, 300)


def test_a_child_that_outlives_its_parent_goes_on(tmp_path: object) -> None:
    done = run(
        script(
            tmp_path,
            """
    ready, go = os.pipe(), os.pipe()
    if os.fork() == 0:
        os.setsid()
        run.log({"child0": 0}, step=0)
        os.write(ready[1], b"!")
        os.close(go[1])
        for fd in (0, 1, 2): os.close(fd)
        os.read(go[0], 1)          # until the parent is gone
        for index in range(1, 150): run.log({"child0": index}, step=index)
        os._exit(0)
    os.read(ready[0], 1)
""",
        )
    )
    assert done.code == 0, done.err
    assert Api().run("p/one").state == "finished"

    def is_all_there() -> bool:
        return len(values("p/one", "child0")) == 150

    until(is_all_there, "the rows of the child")
    check(1, 150)


def test_forks_among_logging_threads_do_not_block(tmp_path: object) -> None:
    done = run(
        script(
            tmp_path,
            """
    stop = threading.Event()
    counts = [0, 0]
    def busy(which):
        while not stop.is_set():
            run.log({f"thread{which}": counts[which]}, step=counts[which])
            run.summary[f"s{which}"] = counts[which]
            counts[which] += 1
    threads = [threading.Thread(target=busy, args=(which,)) for which in range(2)]
    for thread in threads: thread.start()
    for number in range(20):
        pid = os.fork()
        if pid == 0:
            signal.alarm(20)
            work(run, number, 5)
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0, number
    stop.set()
    for thread in threads: thread.join()
    run.config["counts"] = counts
""",
        )
    )
    assert done.code == 0, done.err
    check(20, 5)
    counts = Api().run("p/one").config["counts"]
    for which in range(2):
        assert values("p/one", f"thread{which}") == list(range(counts[which]))


def test_a_child_logs_artifacts_and_summary_too(tmp_path: object) -> None:
    done = run(
        script(
            tmp_path,
            """
    pid = os.fork()
    if pid == 0:
        artifact = weighbridge.Artifact("made-by-child", "dataset")
        with artifact.new_file("a.txt") as file: file.write("hello")
        run.log_artifact(artifact)
        run.summary["child"] = 7
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
""",
        )
    )
    assert done.code == 0, done.err
    check(0, 0)
    assert Api().run("p/one").summary["child"] == 7
    maker = Api().artifact("p/made-by-child:latest").logged_by()
    assert maker is not None and maker.id == "one"


@pytest.mark.parametrize("shipper", ["thread", "off"])
def test_children_keep_no_lock_of_the_parents_shipping(tmp_path: object, shipper: str) -> None:
    """A child that lives on must not keep the parent's spool from being shipped."""
    done = run(
        script(
            tmp_path,
            """
    from weighbridge.sdk.sender import Lease
    from weighbridge.sdk.shipper import take_lock
    lease = Lease(run._writer.path)
    assert lease.acquire()
    lock = take_lock(run._client.spool_dir)
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(w, b"!")
        os.close(0)
        signal.pause()
    os.read(r, 1)
    lease.release()
    lock.release()
    free = [Lease(run._writer.path).acquire, lambda: take_lock(run._client.spool_dir) is not None]
    is_free = [os.fork() == 0 and os._exit(not look()) or os.wait()[1] for look in free]
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert is_free == [0, 0], is_free
""",
        ),
        env={"WEIGHBRIDGE_SHIPPER": shipper},
    )
    assert done.code == 0, done.err
    check(0, 0)
