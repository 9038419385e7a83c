"""Command lines of a guest's own tools, put into words: who knows ``ss -tlnp`` need not learn how to ask for it.

>>> to_words("ss -tlnp"), to_words("dmesg | grep usb | tail -3"), to_words("show sockets")
('listening tcp sockets', 'last 3 kernel messages containing "usb"', '')
"""

from __future__ import annotations

import re
import shlex

_PLAIN = {
    "ps": "processes",
    "pstree": "processes",
    "top": "top processes by memory",
    "htop": "top processes by memory",
    "lsmod": "loaded modules",
    "mount": "mounts",
    "findmnt": "mounts",
    "df": "mounts",
    "dmesg": "kernel messages",
    "free": "how much memory is free",
    "uname": "kernel version",
    "slabtop": "top slabs",
    "netstat": "sockets",
    "ss": "sockets",
    "lsof": "open files",
    "uptime": "uptime",
}
"""What is asked with a command alone."""
_SILENT = {
    "ps": r"-?[aAeflwuxjLHy]+|-o|[a-z]+(,[a-z]+)+",
    "pstree": r"-[a-zA-Z]+",
    "top": r"-b",
    "lsmod": r"",
    "mount": r"-[lv]",
    "findmnt": r"",
    "df": r"-[hkmaT]+",
    "dmesg": r"-[THxt]+",
    "free": r"-[bkmghtw]+",
    "uname": r"-[a-z]+",
    "slabtop": r"-o",
    "netstat": r"-[aneptW]+",
    "ss": r"-[anepmiro]+",
    "lsof": r"-[nP]+",
}
"""Options that change nothing about what is asked, as an expression."""
_SOCKET_LETTERS = {"t": "tcp", "u": "udp", "x": "unix", "l": "listening", "w": "raw"}
_LEVELS = {
    "err": "errors",
    "warn": "warnings",
    "crit": "critical messages",
    "notice": "notices",
    "info": "info messages",
    "debug": "debug messages",
}
_PROC = (
    (r"/proc/(\d+)/s?maps", "memory map of pid {}"),
    (r"/proc/(\d+)/(?:fd|fdinfo)/?", "open files of pid {}"),
    (r"/proc/(\d+)/(?:stack|wchan)", "stack trace of pid {}"),
    (r"/proc/(\d+)/(?:cmdline|comm|status|stat)", "command line of pid {}"),
    (r"/proc/(\d+)/task/?", "threads of pid {}"),
    (r"/proc/modules", "loaded modules"),
    (r"/proc/(?:self/|1/)?mount(?:s|info)", "mounts"),
    (r"/proc/slabinfo", "slab caches"),
    (r"/proc/(?:version|sys/kernel/osrelease)", "kernel version"),
    (r"/proc/uptime", "uptime"),
    (r"/proc/kmsg|/dev/kmsg|/var/log/dmesg", "kernel messages"),
    (r"/proc/net/(tcp6?|udp6?|unix|netlink|raw|packet)", "{} sockets"),
    (r"/proc/?", "processes"),
)
"""Files of ``/proc`` that say what can be asked."""
_READERS = ("cat", "less", "more", "ls", "head", "tail")


def to_words(text: str) -> str:
    """A command line as a question in words; empty if `text` is none, or has options whose meaning is not known."""
    try:
        stages = [shlex.split(stage) for stage in text.strip().rstrip("?").split("|")]
    except ValueError:
        return ""
    first = stages[0]
    if not first or not (len(stages) > 1 or len(first) > 1):
        return ""
    words = _command(first[0], first[1:])
    for stage in stages[1:]:
        words = _piped(words, stage) if words and stage else ""
    return words


def _command(name: str, rest: list[str]) -> str:
    if name in _READERS:
        files = [word for word in rest if not word.startswith("-")]
        return _proc_file(files[0]) if len(files) == 1 and len(rest) - 1 <= 1 else ""
    if name == "pmap" and len(rest) == 1 and rest[0].isdigit():
        return f"memory map of pid {rest[0]}"
    if name in ("pgrep", "pidof") and len(rest) == 1:
        return f"pid of {rest[0]}"
    if name in ("netstat", "ss") and rest and all(re.fullmatch("-[a-zA-Z]+", word) for word in rest):
        return _sockets("".join(word[1:] for word in rest))
    if name == "lsof":
        if len(rest) == 2 and rest[0] in ("-p", "-c"):
            return f"open files of {'pid ' if rest[0] == '-p' else ''}{rest[1]}"
        if len(rest) == 1 and rest[0].startswith("/"):
            return f"who has {rest[0]} open"
        if rest == ["-i"]:
            return "sockets"
    if name == "dmesg" and len(rest) == 2 and rest[0] in ("-l", "--level"):
        return f"{_LEVELS[rest[1]]} in the kernel log" if rest[1] in _LEVELS else ""
    if name == "ps" and len(rest) == 2 and rest[0] in ("-p", "-C", "-u", "-U"):
        return {"-p": "process {}", "-C": "process {}"}.get(rest[0], "processes of user {}").format(rest[1])
    if name in _PLAIN and rest and all(re.fullmatch(_SILENT.get(name, ""), word) for word in rest):
        return _PLAIN[name]
    return "" if rest else _PLAIN.get(name, "")


def _proc_file(path: str) -> str:
    for expression, words in _PROC:
        found = re.fullmatch(expression, path)
        if found:
            return words.format(*found.groups())
    return ""


def _sockets(letters: str) -> str:
    if set(letters) - {*_SOCKET_LETTERS, *"anepmiro46W"}:
        return ""
    protocols = [_SOCKET_LETTERS[letter] for letter in letters if letter in _SOCKET_LETTERS and letter != "l"]
    if len(set(protocols)) > 1:
        return ""
    return " ".join([*(["listening"] if "l" in letters else []), *protocols[:1], "sockets"])


def _piped(words: str, stage: list[str]) -> str:
    """`words` with what a filter behind them makes of it."""
    name, rest = stage[0], [word for word in stage[1:] if word not in ("-i", "-E", "-n")]
    if name == "grep" and len(rest) == 1:
        if words == "processes":
            return f"process {rest[0]}"
        if words == "loaded modules":
            return f"is module {rest[0]} loaded"
        return f'{words} containing "{rest[0]}"'
    if name == "grep" and len(rest) == 2 and rest[0] == "-v" and words == "processes":
        return f"processes not called {rest[1]}"
    if name == "wc" and rest == ["-l"]:
        return f"how many {words}"
    count = re.fullmatch(r"-?(\d+)", rest[0]) if len(rest) == 1 else None
    if name == "tail" and words.startswith("kernel messages"):
        return f"last {count[1] if count else 10} {words}"
    if name == "head" and words.startswith("top ") and count:
        return words.replace("top ", f"top {count[1]} ", 1)
    return words if name in ("less", "more", "cat") and not rest else ""
