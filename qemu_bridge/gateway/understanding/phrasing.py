"""Forms of speech that mean what a plainer sentence means: courtesy around a question, ranges of numbers, two things compared.

>>> plain("If you have a moment, list the modules, if that is not too much trouble.")
'list the modules'
>>> plain("processes with pids between 90 and 99")
'processes with pid at least 90 and pid at most 99'
"""

from __future__ import annotations

import re

from .names import Names, StaticNames, find_exact

_MACHINE = r"(?:(?:the |this )?(?:machine|vm|guest|system|box|computer)|it)"
_GOOD = "lovely|great|nice|good|kind|wonderful|helpful|perfect|awesome|super|fantastic|very kind|very nice|really nice"
_TROUBLE = r"(?:trouble|bother|work|hassle|effort|problem|to ask|for you|with you|by you)"
_IF_IT_SUITS = (
    r"if (?:that|this|it)(?:'s| is| was| would be| isn't| is not| wouldn't be| wasn't)(?: not)?"
    rf"(?: too much| ok| okay| alright| all right| fine| possible| convenient| an?| no| any)*(?: of)?(?: an?)?(?: {_TROUBLE})*"
)
_STATES = r"(?:running|paused|stopped|up|alive|frozen|halted|idle)"
_UNUSED = r"(?:nobody|no one|no-one|none|no (?:process|program|task)(?:es|s)?|not any (?:process|program|task))"
_ON_CPU = (
    r"\b(?:on |at )?(?:which|what) (?:v?cpus?|cores?|processors?) (?:is|are|does|do|did|has|was) (?:the )?(?:process )?"
    r"([\w./:-]+)(?: (?:currently|now|last|just))*(?: (?:running|run|runs|ran|executing|execute|scheduled|executed))?(?: (?:last|now|on|at|in))*(?=\W*$)"
)
_PIDS = r"processes with pid at least \1 and pid at most \2"
_TO = r"\s*(?:to|till|until|up to|through|thru|-|–|\.\.)\s*"
_COURTESY = (
    r"\b(?:when|whenever|if)(?: ever)? you (?:have|had|get|got|find|can spare|could spare)(?: an?| some| any| the)?(?: free| spare)? (?:moment|minute|second|time|chance|opportunity)s?(?: to spare| for me| for that)?\b,?",
    r"\b(?:i'd|i would|we'd|we would) be (?:very |most |so |really )?(?:grateful|thankful|glad|happy|obliged|delighted|pleased)(?: to (?:learn|know|see|hear|find out)| if you (?:could|can|would))?\b",
    r"\b(?:i|we)(?:'d| would) (?:\w+ ){0,2}(?:like|love|want|wish) to (?:know|see|learn|find out|have)\b",
    r"\b(?:my|our|the) (?:boss|supervisor|teacher|professor|colleague|manager|friend|customer|team|tutor|lead) (?:asked|told|wants|wanted|needs|needed|expects|instructed)(?: (?:me|us))? to (?:find out|see|check|know|learn|look up|report|list|tell)\b(?: (?:him|her|them))?",
    rf"\b(?:it|that) (?:would|'d) be (?:so |really )?(?:{_GOOD})(?: of you)? (?:if (?:you|we|i) (?:could|can|would|might)|if|to (?:see|know|learn|have))\b",
    rf"[,\s]+{_IF_IT_SUITS}[\s.!?]*$",
    rf"^\W*{_IF_IT_SUITS}\s*,",
    r"\b(?:could|can|may|might) (?:i|we) (?:trouble|bother|ask|beg) you (?:for|to)\b(?: (?:show|give|tell) (?:me|us)\b)?",
    r"[,\s]+instead[\s.!?]*$",
)  # fmt: skip
_RULES = (
    *((pattern, " ") for pattern in _COURTESY),
    (r"\bthe (?:picture|image|view|display) (?:were|was|is|be|to be|should be)(?: to be)? (?=colou?red\b)", ""),
    (r"\b(show|tell|give|let|help|list|bring|take) us\b", r"\1 me"),
    (r"\b(?:the )?remote (?:addresses|ends|peers) (?:that |which )?([\w-]+) (?:is|are) connected (?:to|with)\b", r"connections of \1"),
    (r"\bswapper (?=kthread|thread|task|process)", ""),
    (r"^\W*how is (?:called|named)\b", "what is the name of"),
    (rf"^\W*is {_MACHINE} {_STATES}(?:,? or (?:is it )?{_STATES})+\b", "is the machine running"),
    (rf"\b(?:(?:that|which) )?{_UNUSED} owns\b|\bowned by {_UNUSED}\b", "of no process"),
    (r"^\W*(?:who|what)(?:'s| is| are)? (?:runs?|running) (?:as|under) (?:the )?(?:user )?root\b", "processes of root"),
    (r"^\W*(?:who|what)(?:'s| is| are)? (?:runs?|running) (?:as|under) (?:the )?(?:user|uid)(?: id)? (?=\d)", "processes of user "),
    (_ON_CPU, r"threads of \1"),
    (rf"\bsince when (?:(?:has|is|have) {_MACHINE}|{_MACHINE} (?:has|is))(?: been)? (?:running|up|on|alive)\b", "how long is it running"),
    (rf"\b(?:that|which) {_UNUSED} (?:has |have |is |are )?map(?:s|ped|ping)?\b|\bmapped by {_UNUSED}\b", "that are not mapped"),
    (rf"\b(?:(?:all )?(?:the )?process(?:es)? )?(?:with (?:a )?|from |between )?pids?(?: from| between)? (\d+){_TO}(?:pid )?(\d+)\b", _PIDS),
    (r"\b(?:(?:all )?(?:the )?process(?:es)? )?(?:with (?:an? )?)?(?:between pids?|pids? between) (\d+) and (\d+)\b", _PIDS),
    (rf"\b((?:kernel|log) (?:messages|lines|entries)|(?:messages|lines|entries) (?:of|in) (?:the )?(?:kernel )?(?:log|dmesg)) 1{_TO}(\d+)\b", r"first \2 \1"),
)  # fmt: skip

_COMPILED = tuple((re.compile(pattern, re.IGNORECASE), words) for pattern, words in _RULES)  # more than `re` keeps
_NAME = r"(?:(?:the )?(?:process|program|module|slab|slab cache|file) )?(?P<{}>[\w./+-]*[\w+])"
_USES = r"(?:uses?|takes?|has|have|needs?|occup(?:y|ies)|consumes?|eats?|holds?|is|using|taking)"
_BY = r"(?P<more>more|less|fewer|bigger|larger|greater|smaller|heavier)(?: (?:up )?(?P<what>memory|ram|space|threads|pages|objects))?"
_OR = r"\s*,?\s+(?:or|and|vs\.?|versus|than)\s+"
_WITH = r"(?:\s+(?:and|with|to|against|vs\.?|versus)\s+)"
_WHAT = (
    r"(?:(?:number|count)s? of )?(?P<what>memory|mem|ram|size|space|threads|pages|objects)"
    r"(?: (?:use|usage|uses|consumption|footprint|size|count|of processes))?s?"
)
_OF = r"(?: used)?(?: of| between| by| for)(?: the)?(?: processes| modules| files)?"
_COMPARED = tuple(
    re.compile(rf"^\W*{pattern}\W*$", re.IGNORECASE)
    for pattern in (
        rf"(?:does|do|is|has|did) {_NAME.format('one')}(?: {_USES})?(?: up)? {_BY} (?:than|then|as|compared (?:to|with)) {_NAME.format('other')}(?: (?:does|do|has|is))?",
        rf"(?:which|what|who)(?: one)? (?:of|out of|among) {_NAME.format('one')}{_OR}{_NAME.format('other')} (?:is )?{_USES}(?: up)?(?: the)? {_BY}",
        rf"{_NAME.format('one')} {_USES}(?: up)? {_BY} (?:than|then|as) {_NAME.format('other')}(?: (?:does|do|has|is))?",
        rf"(?:which|what|who)(?: one)?(?: of (?:them|the two|these))? {_USES}(?: up)?(?: the)? {_BY}(?: of the two)?\W+(?:of |between )?{_NAME.format('one')}{_OR}{_NAME.format('other')}",
        rf"{_NAME.format('one')}{_OR}{_NAME.format('other')}\W+(?:which|what|who)(?: one)?(?: of (?:them|the two|these))? {_USES}(?: up)?(?: the)? {_BY}",
        rf"compare (?:the )?{_WHAT}{_OF} {_NAME.format('one')}{_WITH}(?:(?:that|those) of )?{_NAME.format('other')}",
        rf"compare {_NAME.format('one')}(?:'s)?{_WITH}{_NAME.format('other')}(?:'s?)?(?: by)?(?: their)? {_WHAT}",
    )
)  # fmt: skip
_BEFORE = re.compile(r"^\W*(?:please|tell me|can you (?:tell me|say)|i want to know|do you know|hey|hi|hello|so)[\s,:]+(?:whether |if )?", re.IGNORECASE)  # fmt: skip
_TABLES = {"process": "memory", "module": "size", "slab": "size", "file": "size"}
"""Kinds of things that are compared, and by what where nothing is said."""
_HAS = {"process": ("memory", "threads", "pages"), "module": ("size",), "slab": ("size", "objects"), "file": ("size", "pages")}  # fmt: skip
_PLURALS = {"module": "modules", "slab": "slab caches", "file": "files in the page cache"}


_CAMERA = r"(?:(?:the |my |your )?(?:camera|view|viewer|picture|eye)|there)"
_UNMOVED = re.compile(
    rf"[\s,;-]+(?:but |and )?(?:please )?(?:do not|don't|dont|without|not|never) (?:to )?(?:move|moving|fly|flying|turn|turning|touch|touching|change|changing|go|going)(?: to)? {_CAMERA}\b"
    rf"|[\s,;-]+(?:but |and )?(?:leave|leaving|keep|keeping|let) {_CAMERA} (?:where it is|as it is|in place|alone|still|unmoved|fixed|stay)\b"
    r"|[\s,;-]+(?:but |and )?(?:stay|staying|remain|remaining) (?:where (?:i am|we are|it is)|in place)\b",
    re.IGNORECASE,
)


def without_camera(text: str) -> str | None:
    """`text` without its words that the camera is to stay where it is; None where it has none."""
    rest, count = _UNMOVED.subn("", text)
    return rest if count else None


def plain(text: str, names: Names | None = None) -> str:
    """`text` in plainer words, of a guest with these `names`; the same where it is plain. What is in quotes stays as it is."""
    names = names or StaticNames()
    kept: list[str] = []

    def keep(found: re.Match[str]) -> str:
        kept.append(found[0])
        return f"\x02{len(kept) - 1}\x02"

    hidden = re.sub(r"\"[^\"]*\"|“[^”]*”|`[^`]*`|(?<![\w'])'[^']+'(?!\w)", keep, text)
    for pattern, words in _COMPILED:
        hidden = pattern.sub(words, hidden)
    hidden = hidden if hidden == text else re.sub(r"\s+", " ", hidden).strip(" ,")
    hidden = _compare(hidden, names) or hidden
    return re.sub("\x02(\\d+)\x02", lambda found: kept[int(found[1])], hidden)


def _compare(text: str, names: Names) -> str:
    """Rows of the two things that `text` compares, in order; empty where it compares none, or things that have no number in common."""
    found = next(filter(None, (each.match(_BEFORE.sub("", text)) for each in _COMPARED)), None)
    if found is None:
        return ""
    pair = (found["one"], found["other"])
    both = [{match.kind for match in find_exact(names, each)} for each in pair]
    kinds = [kind for kind in _TABLES if kind in both[0] & both[1]]
    if len(kinds) != 1:
        return ""
    kind, what = kinds[0], (found["what"] or "").lower()
    what = _TABLES[kind] if what in ("", "memory", "mem", "ram", "space", "size") else what
    order = " ascending" if (found.groupdict().get("more") or "").lower() in ("less", "fewer", "smaller") else ""
    if what not in _HAS[kind]:
        return ""
    if kind != "process":
        return f"{_PLURALS[kind]} {pair[0]} or {pair[1]} sorted by {what}{order}"
    pids = [[process.pid for process in names.processes if process.name == each] for each in pair]
    # Of several of a name it is not known which is meant.
    return f"pids {pids[0][0]} and {pids[1][0]} by {what}{order}" if [len(each) for each in pids] == [1, 1] else ""
