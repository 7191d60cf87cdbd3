"""heapwarden in gdb: whose is this address, what is lost, who holds how much.

    (gdb) source /usr/local/share/heapwarden/heapwarden.py
    (gdb) heapwarden block ptr      what is known of an address
    (gdb) heapwarden leaks          heap check and leak check
    (gdb) heapwarden stats          who holds how much

Works on a live process and on a core. The work is done by the `heapwarden`
command, which reads the ledger in the process's memory: found beside this file's
prefix or in PATH, or named by `set heapwarden-command PATH`. Nothing is called
in the program, so it may be stopped anywhere, inside malloc too.
"""

import os
import re
import shutil
import subprocess
import tempfile

import gdb

HERE = os.path.dirname(os.path.realpath(__file__))


class CommandPath(gdb.Parameter):
    """The heapwarden command that the commands of this name call."""

    set_doc = "Set the path of the heapwarden command."
    show_doc = "Show the path of the heapwarden command."

    def __init__(self):
        super().__init__("heapwarden-command", gdb.COMMAND_DATA, gdb.PARAM_OPTIONAL_FILENAME)
        self.value = ""

    def get_set_string(self):
        return ""

    def get_show_string(self, value):
        return "The heapwarden command is %s." % tool()


class Heapwarden(gdb.Command):
    """Ask heapwarden about the program's heap."""

    def __init__(self):
        super().__init__("heapwarden", gdb.COMMAND_DATA, gdb.COMPLETE_NONE, True)


class Block(gdb.Command):
    """heapwarden block ADDRESS: what is known of an address.
ADDRESS is any expression. Tells the block that it points at or into: size,
state, who allocated it, who freed it."""

    def __init__(self):
        super().__init__("heapwarden block", gdb.COMMAND_DATA, gdb.COMPLETE_EXPRESSION)

    def invoke(self, argument, from_tty):
        if not argument:
            raise gdb.GdbError("heapwarden block ADDRESS: an address is expected")
        try:
            value = gdb.parse_and_eval(argument)
            if value.type.strip_typedefs().code == gdb.TYPE_CODE_ARRAY:
                value = value.address
            address = int(value.cast(gdb.lookup_type("unsigned long")))
        except gdb.error as error:
            raise gdb.GdbError(str(error)) from error
        run("check", *subject(), "--block", "%#x" % address)


class Leaks(gdb.Command):
    """heapwarden leaks: what is damaged, and what cannot be reached any more.
A live process is copied to a core in a temporary directory for it."""

    def __init__(self):
        super().__init__("heapwarden leaks", gdb.COMMAND_DATA, gdb.COMPLETE_NONE)

    def invoke(self, argument, from_tty):
        words = gdb.string_to_argv(argument)
        if core_file() is not None:
            run("check", *subject(), *words)
            return
        pid = process()
        with tempfile.TemporaryDirectory(prefix="heapwarden-") as directory:
            core = os.path.join(directory, "core.%d" % pid)
            gdb.execute("generate-core-file %s" % core, to_string=True)
            run("check", "--core", core, *program(), *words)


class Stats(gdb.Command):
    """heapwarden stats: live bytes, blocks and ages by call site."""

    def __init__(self):
        super().__init__("heapwarden stats", gdb.COMMAND_DATA, gdb.COMPLETE_NONE)

    def invoke(self, argument, from_tty):
        run("check", *subject(), "--stats", *gdb.string_to_argv(argument))


def tool():
    """The heapwarden command."""
    given = gdb.parameter("heapwarden-command")
    beside = os.path.join(HERE, "..", "..", "bin", "heapwarden")
    if given:
        return given
    if os.access(beside, os.X_OK):
        return os.path.normpath(beside)
    return shutil.which("heapwarden") or "heapwarden"


def core_file():
    """The core that is looked at, if it is one."""
    text = gdb.execute("info target", to_string=True)
    found = re.search(r"Local core dump file:\s*[`'\"](.+?)['\"], file type", text, re.DOTALL)
    return found.group(1) if found else None


def process():
    """The id of the live process."""
    pid = gdb.selected_inferior().pid
    if not pid:
        raise gdb.GdbError("heapwarden: there is neither a process nor a core")
    return pid


def program():
    """The program's file, if it is known."""
    name = gdb.current_progspace().filename
    return [name] if name else []


def subject():
    """What to look at, as the command's arguments."""
    core = core_file()
    if core is not None:
        return ["--core", core, *program()]
    return [str(process())]


def run(*words):
    """Runs the command and shows what it says."""
    try:
        done = subprocess.run(
            [tool(), *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # gdb's own LD_PRELOAD is no concern of the command's.
            env={name: value for name, value in os.environ.items() if name != "LD_PRELOAD"},
            check=False,
        )
    except OSError as error:
        raise gdb.GdbError(
            "heapwarden: the command cannot be run (%s): set heapwarden-command PATH" % error
        ) from error
    gdb.write(done.stdout.decode(errors="replace"))


CommandPath()
Heapwarden()
Block()
Leaks()
Stats()
