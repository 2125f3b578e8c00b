"""A gateway's reasons in sentences, in both languages of the console.

The gateway says a short English phrase, which stays as it is in the books; here stands what it means. A phrase
that is not known here, of a newer or an older gateway, is shown as the gateway wrote it.
"""

import re
from dataclasses import dataclass

LANGUAGES = ("zh", "en")


@dataclass(frozen=True, slots=True)
class Words:
    """One meaning in each language."""

    en: str
    zh: str

    def of(self, language: str) -> str:
        """Raises KeyError for a language that nobody wrote it in."""
        return {"en": self.en, "zh": self.zh}[language]


# What a gateway gives as `reason`, but for the count of reads that may follow it.
REASONS: dict[str, Words] = {
    "outside before inside": Words(
        "The antennas outside saw the tag at its strongest first, those inside after them: it came in.",
        "外侧天线先收到最强信号，内侧天线随后收到：货物进门。",
    ),
    "inside before outside": Words(
        "The antennas inside saw the tag at its strongest first, those outside after them: it went out.",
        "内侧天线先收到最强信号，外侧天线随后收到：货物出门。",
    ),
    "few reads": Words(
        "The tag was read too seldom to tell anything by itself.",
        "读取次数太少，单凭这个标签无法判断。",
    ),
    "no rise on either side": Words(
        "The signal hardly changed on either side: the tag stood still near the gate.",
        "两侧信号都几乎没有变化：标签停在门附近未动。",
    ),
    "its phase stood still": Words(
        "The phase of its signal hardly changed: the tag stood still, however often it was read.",
        "信号相位几乎没有变化：无论读到多少次，标签都没有移动。",
    ),
    "one side": Words(
        "Only the antennas of one side saw the tag: it came near and did not pass.",
        "只有一侧天线读到标签：它靠近过门，但没有通过。",
    ),
    "neither side first": Words(
        "Neither side saw the tag clearly before the other: it came, turned and went back.",
        "两侧天线分不出先后：货物来到门前又折返。",
    ),
    "went near the gate": Words(
        "On one side the signal hardly rose: the tag went past near the gate and not through it.",
        "一侧信号几乎没有上升：货物只从门旁经过，没有穿门。",
    ),
    "rise too weak": Words(
        "On one side the signal rose less than it does when a tag goes through, and more than when it passes by.",
        "一侧信号的上升弱于穿门、又强于路过，无法判断。",
    ),
    "order unclear": Words(
        "Both sides saw the tag, but which of them first is not clear enough.",
        "两侧天线都读到标签，但先后顺序不够清楚。",
    ),
    "ended where it began": Words(
        "Its strongest reads came by one side after the other, but its last ones by the side of the first: it turned "
        "back.",
        "最强信号虽有先后，但最后的读数仍来自最初的一侧：货物折返。",
    ),
    "ends unclear": Words(
        "Both sides saw it in order, but its first or its last reads came by both, so it may have stood in the door.",
        "两侧读到的先后清楚，但最初或最后的读数两侧都有，货物可能停在门口。",
    ),
    "the photo-eye cleared": Words(
        "It was decided when the photo-eye was clear again.",
        "光电开关恢复通光时作出判定。",
    ),
    "went with its group": Words(
        "Its own reads lean this way without proof; the tags that moved with it crossed this way for sure.",
        "自身读数倾向这个方向但证据不足；同行的标签确定朝这个方向通过。",
    ),
    "rested here and went alone": Words(
        "It looks like a crossing, but the tag had rested here and none of its neighbours went with it, so the gate "
        "decided nothing.",
        "看起来像是通过，但标签此前一直停在这里，邻近标签也没有同行，因此不作判定。",
    ),
    "contradicts the group": Words(
        "Its own reads contradict the tags that moved with it, so the gate decided nothing.",
        "自身读数与同行标签相矛盾，因此不作判定。",
    ),
    "changed sides with the others": Words(
        "It was read too seldom to tell by itself; many tags changed sides at one moment, and its reads fit theirs.",
        "单凭自身读数太少；许多标签在同一时刻换侧，它的读数与之相符。",
    ),
    "the photo-eyes saw it pass": Words(
        "Its own reads lean this way without proof; the photo-eyes saw something pass this way at that moment.",
        "自身读数倾向这个方向但证据不足；光电开关当时确实看到有物朝这个方向通过。",
    ),
    "the photo-eye saw nothing pass": Words(
        "Its own reads look like a crossing, but the photo-eye was clear all the time, so the gate decided nothing.",
        "自身读数像是通过，但光电开关始终未被遮挡，因此不作判定。",
    ),
    "the photo-eyes saw it turn back": Words(
        "The photo-eyes saw it come to the door and go back by the side that it came from.",
        "光电开关看到它到达门口，又从来的一侧退回。",
    ),
    "contradicts the photo-eyes": Words(
        "Its own reads say one way and the photo-eyes the other, so the gate decided nothing.",
        "自身读数与光电开关的方向相反，因此不作判定。",
    ),
}

# What a gateway gives as `decided_by`.
DECIDED_BY: dict[str, Words] = {
    "tag": Words("its own reads", "标签自身的读数"),
    "group": Words("the tags that moved with it", "同行的标签"),
    "anchor": Words("the moment at which the group changed sides", "整组标签换侧的时刻"),
    "phase": Words("the phase of its signal", "信号相位"),
    "photo-eye": Words("the photo-eyes", "光电开关"),
}

_KEPT = re.compile(r"([0-9]+) of ([0-9]+) reads kept")
_KEPT_WORDS = Words("{kept} of {of} reads were kept for judging.", "共 {of} 次读取，保留 {kept} 次用于判定。")


def reason_sentence(reason: str, language: str) -> str:
    """What the gateway's reason means; parts that are not known stand as they are."""
    said = [_part(part.strip(), language) for part in reason.split(";") if part.strip()]
    return ("" if language == "zh" else " ").join(said)


def decided_by_words(decided_by: str, language: str) -> str:
    """Whose evidence settled it."""
    known = DECIDED_BY.get(decided_by)
    return decided_by if known is None else known.of(language)


def _part(part: str, language: str) -> str:
    if (known := REASONS.get(part)) is not None:
        return known.of(language)
    if found := _KEPT.fullmatch(part):
        return _KEPT_WORDS.of(language).format(kept=found[1], of=found[2])
    return part
