#!/usr/bin/env python3
"""Puts deliberate faults into a copy of the library, one at a time, and runs
the tests that must find them (scripts/mutations.txt).

    scripts/mutate.py [--only NAME,NAME] [--markdown FILE] [--check]

--check only looks whether every rule still applies to the sources. Ends with 1
if a fault survives, 2 if a rule does not apply or the copy does not build.
"""
import json, os, re, shutil, subprocess, sys, time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TARGET = os.path.abspath(os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target")))
HOME = os.path.join(TARGET, "mutate")
TREE = os.path.join(HOME, "tree")
BUILD = os.environ.get("MUTATE_BUILD", os.path.join(HOME, "build"))  # cargo's target folder
LONGEST = 400  # seconds that one test may take: a fault may make it hang

ENV = dict(os.environ, CARGO_TARGET_DIR=BUILD, HEAPWARDEN_LIB_DIR=os.path.join(BUILD, "release"),
           CARGO_INCREMENTAL="1", CARGO_PROFILE_RELEASE_LTO="off", RUST_BACKTRACE="0",
           CARGO_PROFILE_RELEASE_CODEGEN_UNITS="16", CARGO_PROFILE_RELEASE_OPT_LEVEL="1",
           CARGO_TERM_COLOR="never")


class Fault:
    def __init__(self, name, meaning):
        self.name, self.meaning, self.tests = name, meaning, []
        self.file = self.old = self.new = None
        self.nth, self.of = 1, 1

    def apply(self, root):
        """The file with the fault; None if the text is not there as it should be."""
        with open(os.path.join(root, self.file)) as file:
            text = file.read()
        parts = text.split(self.old)
        if len(parts) - 1 != self.of:
            return None
        return self.old.join(parts[:self.nth]) + self.new + self.old.join(parts[self.nth:])


def read_faults():
    faults = []
    with open(os.path.join(ROOT, "scripts", "mutations.txt")) as file:
        for line in file:
            line = line.rstrip("\n")
            if match := re.match(r"\[(\w+)\] (.+)", line):
                faults.append(Fault(*match.groups()))
            elif match := re.match(r"in (\S+)(?: (\d+) of (\d+))?$", line):
                faults[-1].file = match[1]
                faults[-1].nth, faults[-1].of = int(match[2] or 1), int(match[3] or 1)
            elif line.startswith("- "):
                faults[-1].old = line[2:]
            elif line.startswith("+ "):
                faults[-1].new = line[2:]
            elif line.startswith("? "):
                faults[-1].tests.append(line[2:].split())
    return faults


def run(command, limit=LONGEST, **more):
    """Exit code (None: it did not end in time) and output."""
    process = subprocess.Popen(command, cwd=TREE, env=dict(ENV, **more), text=True,
                               errors="replace", stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, start_new_session=True)
    try:
        output, _ = process.communicate(timeout=limit)
        return process.returncode, output
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        return None, process.communicate()[0]


def must_build(command):
    code, output = run(command, 1800)
    if code != 0:
        print(output[-4000:])
        sys.exit(f"mutate: does not build: {' '.join(command)}")
    return output


def built(*what):
    """Builds a test binary; its path."""
    output = must_build(["cargo", "test", "--no-run", "--message-format=json", *what])
    paths = [json.loads(line).get("executable") for line in output.splitlines()
             if line.startswith("{") and json.loads(line).get("profile", {}).get("test")]
    return [path for path in paths if path][-1]


def library():
    arguments = [f"-Clink-arg=-Wl,{option}" for option in
                 ("-soname,libheapwarden.so.1", "-z,initfirst", "-z,nodlopen", "-z,now")]
    # Without link-time optimisation std's landing pads stay: _Unwind_Resume.
    arguments.append("-Clink-arg=-lgcc_s")
    must_build(["cargo", "rustc", "--quiet", "--release", "--lib", "--features", "abi",
                "--crate-type", "cdylib", "--", *arguments])
    # The C suite asks for it, and links nothing with it here.
    with open(os.path.join(BUILD, "release", "libheapwarden.a"), "wb") as archive:
        archive.write(b"!<arch>\n")


OUTSIDE = {}  # test programs that look at the library from outside: built once


def outside(name):
    if name not in OUTSIDE:
        OUTSIDE[name] = built("--test", name)
    return OUTSIDE[name]


def fails(test):
    """What failed: a test's name, 'no end', or None."""
    kind, wanted, more = test[0], test[1:], {}
    if kind == "unit":
        command = [built("--lib"), *wanted]
    elif kind == "orders":
        command = [built("--lib", "--features", "interleave"), "orders::", "--test-threads=1", "--nocapture"]
        if wanted:
            command[1] = {"heap": "heap::orders", "lock": "sync::orders"}.get(wanted[0], wanted[0])
    elif kind == "leak":
        command = [built("--test", "leak"), *wanted]
    elif kind == "model":
        library()
        command = [outside("model"), "the_preloaded_library"]
    elif kind == "reports":
        library()
        command = [outside("reports"), *wanted]
    elif kind == "c":
        library()
        command = [outside("c_suite"), wanted[0]]
        more = {"HEAPWARDEN_C_TEST": wanted[1], "HEAPWARDEN_C_LINK": "preload"}
    elif kind == "arena":
        command = [built("--features", "arena", "--lib"), "arena::"]
    elif kind == "arena_model":
        command = [built("--features", "arena", "--test", "arena_model"), *wanted]
    elif kind == "symbols":
        command = [built("--package", "heapwarden-symbols", "--test", "oracle"), *wanted]
    else:
        sys.exit(f"mutate: no such kind of test: {kind}")
    code, output = run(["nice", *command], **more)
    if code == 0:
        if not re.search(r"test result: ok\. [1-9]", output):
            sys.exit(f"mutate: no test is meant by {' '.join(test)}")
        return None
    if kind == "c":
        return f"c_tests/{wanted[0]}/{wanted[1]}"
    found = re.findall(r"^    ([\w:]+)$", output, re.M)
    found = found or re.findall(r"^test ([\w:]+) \.\.\. (?!ok)", output, re.M)
    if code is None:
        return (found or [" ".join(test)])[0] + " (does not end)"
    return found[0] if found else f"{' '.join(test)} (ends with {code})"


def copy_tree():
    os.makedirs(TREE, exist_ok=True)
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True,
                           text=True).stdout.split("\0")
    for folder, _, names in os.walk(TREE):  # what was moved away meanwhile
        for name in names:
            path = os.path.join(folder, name)
            if os.path.relpath(path, TREE) not in files:
                os.unlink(path)
    for name in filter(None, files):
        source, copy = os.path.join(ROOT, name), os.path.join(TREE, name)
        if not os.path.isfile(source):
            continue
        os.makedirs(os.path.dirname(copy), exist_ok=True)
        with open(source, "rb") as file:
            text = file.read()
        if not os.path.exists(copy) or open(copy, "rb").read() != text:
            shutil.copy(source, copy)


def main():
    arguments = sys.argv[1:]
    option = lambda name: arguments[arguments.index(name) + 1] if name in arguments else None
    faults = read_faults()
    stale = [fault for fault in faults if fault.apply(ROOT) is None]
    for fault in stale:
        print(f"mutate: [{fault.name}] does not apply: {fault.file} has not exactly "
              f"{fault.of} of: {fault.old}")
    print(f"mutate: {len(faults) - len(stale)} of {len(faults)} rules apply")
    if stale:
        sys.exit(2)
    if "--check" in arguments:
        return
    if only := option("--only"):
        faults = [fault for fault in faults if fault.name in only.split(",")]
    copy_tree()
    rows, survivors = [], []
    for test in sorted({tuple(test) for fault in faults for test in fault.tests}):
        if (failed := fails(list(test))) is not None:
            sys.exit(f"mutate: without any fault {failed} fails ({' '.join(test)})")
    print("mutate: without a fault all of these tests pass", flush=True)
    for number, fault in enumerate(faults, 1):
        path = os.path.join(TREE, fault.file)
        with open(path) as file:
            whole = file.read()
        text = fault.apply(TREE)
        begun, caught = time.time(), None
        try:
            with open(path, "w") as file:
                file.write(text)
            for test in fault.tests:
                if caught := fails(test):
                    break
        finally:
            with open(path, "w") as file:
                file.write(whole)
        if not caught:
            survivors.append(fault.name)
        print(f"mutate: {number}/{len(faults)} [{fault.name}] "
              f"{'caught by ' + caught if caught else 'SURVIVED'} ({time.time() - begun:.0f} s)",
              flush=True)
        rows.append((fault.name.replace("_", " "), fault.meaning, caught or "**nobody**"))
    print(f"mutate: {len(faults) - len(survivors)} of {len(faults)} faults caught")
    if markdown := option("--markdown"):
        with open(markdown, "w") as file:
            file.write("# Mutation check\n\nWritten by `make mutate` (scripts/mutations.txt holds "
                       "the faults).\n\n| fault | what it means | caught by |\n|---|---|---|\n")
            file.writelines(f"| {a} | {b} | `{c}` |\n" for a, b, c in rows)
            file.write(f"\n{len(rows) - len(survivors)} of {len(rows)} caught.\n")
    if survivors:
        sys.exit(1)


main()
