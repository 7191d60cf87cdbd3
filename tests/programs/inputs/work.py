"""Threads, subprocesses, multiprocessing by fork and by spawn, C extensions."""
import ctypes
import gc
import json
import multiprocessing
import os
import queue
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import zlib


def square(number):
    return number * number, [str(i) for i in range(number % 50)][-1:]


def threads():
    results, work = queue.Queue(), queue.Queue()

    def worker():
        while (item := work.get()) is not None:
            results.put(sum(len(part) for part in re.split(r"\W+", f"{item} and {item * 2}, both") * 20))

    crew = [threading.Thread(target=worker) for _ in range(8)]
    for thread in crew:
        thread.start()
    for item in range(800):
        work.put(item)
    for _ in crew:
        work.put(None)
    for thread in crew:
        thread.join()
    return sum(results.get() for _ in range(800))


def subprocesses():
    texts = [subprocess.run([sys.executable, "-c", f"print({n} ** 3)"], capture_output=True, text=True, check=True)
             for n in range(3)]
    failed = subprocess.run(["sh", "-c", "echo oops >&2; exit 9"], capture_output=True, text=True)
    pipe = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    echoed, _ = pipe.communicate(b"x" * 300_000)
    return [text.stdout.strip() for text in texts], failed.returncode, failed.stderr, len(echoed)


def forks():
    codes = []
    for code in range(20):
        child = os.fork()
        if child == 0:
            os._exit(code if len([str(i) for i in range(1000)]) == 1000 else 99)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    child = subprocess.Popen(["sleep", "30"])
    child.send_signal(signal.SIGKILL)
    return codes, child.wait()


def processes(method):
    with multiprocessing.get_context(method).Pool(2) as pool:
        return sum(number for number, _ in pool.map(square, range(500)))


def libraries():
    database = sqlite3.connect(":memory:")
    database.execute("create table t(a, b)")
    database.executemany("insert into t values(?, ?)", ((i, str(i) * 5) for i in range(5000)))
    text = json.dumps(database.execute("select b, sum(a) from t group by a % 100 order by 1").fetchall())
    buffer = ctypes.create_string_buffer(10_000)
    ctypes.memset(buffer, 65, 9_999)
    return len(text), len(zlib.compress(text.encode() * 50)), len(buffer.value), len(zlib.decompress(zlib.compress(buffer.value)))


if __name__ == "__main__":
    print(threads())
    print(subprocesses())
    print(forks())
    for method in ("fork", "spawn"):
        print(method, processes(method))
    print(libraries())
    nest = []
    for _ in range(100_000):
        nest = [nest]
    del nest
    print(gc.collect() >= 0)
    sys.stderr.write("to standard error\n")
