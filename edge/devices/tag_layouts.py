"""Reports of tags decoded by their layout: what sllurp reads parameter by parameter, unpacked in one go.

A reader is told once what to report, and from then on all of its tags look alike: the same parameters of the
same lengths in the same order. Such a *layout* is learned from the first tag that has it: where parameters
begin, and what their headers say. Another tag of that length whose headers say the same has its values at the
same places, for headers are all that a decoder goes by. A layout is kept only when it reads the tag that it
was learned from as sllurp does; whatever fits none is left to sllurp, parameter by parameter. That takes a
third of the time.

In: bodies of RO_ACCESS_REPORT and TagReportData as they came, whole or cut off. Out: the dicts that sllurp
makes of them; its exceptions where it raises.
"""

import struct
from binascii import hexlify
from collections.abc import Callable, Mapping
from typing import Any, Final, Self

from sllurp.llrp_proto import Message_struct, Param_struct, Param_Type2Name

from protocols.llrp import (
    CUSTOM,
    CUSTOM_PARAMETER_HEADER,
    IMPINJ,
    TLV_HEADER,
    LlrpError,
    Parameter,
    read_parameters,
)

# Of all readers of this process. One reader's tags have one layout for each length of EPC; what comes with
# ever new ones is decoded all the same.
MOST_LAYOUTS: Final = 64

TAG_REPORT_DATA: Final = 240
EPC_DATA: Final = 241
EPC_96: Final = 13

# Parameters that are one number each (sections 16.2.7.3 and 16.2.9), with its format: type, vendor, subtype.
_NUMBERS: Final = {
    (1, 0, 0): "H",  # AntennaID
    (2, 0, 0): "Q",  # FirstSeenTimestampUTC
    (3, 0, 0): "Q",  # FirstSeenTimestampUptime
    (4, 0, 0): "Q",  # LastSeenTimestampUTC
    (5, 0, 0): "Q",  # LastSeenTimestampUptime
    (6, 0, 0): "b",  # PeakRSSI
    (7, 0, 0): "H",  # ChannelIndex
    (8, 0, 0): "H",  # TagSeenCount
    (9, 0, 0): "I",  # ROSpecID
    (10, 0, 0): "H",  # InventoryParameterSpecID
    (14, 0, 0): "H",  # SpecIndex
    (16, 0, 0): "I",  # AccessSpecID
    (CUSTOM, IMPINJ, 56): "H",  # ImpinjRFPhaseAngle
    (CUSTOM, IMPINJ, 57): "h",  # ImpinjPeakRSSI
}

Tag = dict[str, Any]


class Layout:
    """Where the parameters of a TagReportData are."""

    __slots__ = ("_epc_96", "_epc_data", "_headers", "_made_epc", "_names", "_unpack")

    def __init__(self, data: bytes, parameters: list[Parameter], made_epc: Callable[[bytes], object]) -> None:
        """Of `data`, which is made of these parameters, all of them in `_NUMBERS` or an EPC."""
        formats, headers, names, at = ["!"], [], [], 0
        for parameter in parameters:
            kind = (parameter.type, parameter.vendor, parameter.subtype)
            size = len(parameter.body)
            header = _header_bytes(data[at], parameter.type)
            formats.append(f"{header}s{_NUMBERS.get(kind, f'{size}s')}")
            headers.append(data[at : at + header])
            names.append(Param_Type2Name[kind])
            at += header + size
        self._unpack = struct.Struct("".join(formats)).unpack
        self._headers = tuple(headers)
        self._names = tuple(names)
        self._epc_96 = Param_Type2Name[EPC_96, 0, 0] if EPC_96 in {one.type for one in parameters} else None
        self._epc_data = Param_Type2Name[EPC_DATA, 0, 0] if EPC_DATA in {one.type for one in parameters} else None
        self._made_epc = made_epc

    @classmethod
    def of(cls, data: bytes, made_epc: Callable[[bytes], object]) -> Self | None:
        """The layout of `data`; None when it is not made of single numbers and an EPC."""
        try:
            parameters = read_parameters(data, "TagReportData")
        except LlrpError:
            return None
        for one in parameters:
            number = _NUMBERS.get((one.type, one.vendor, one.subtype))
            if number is None and one.type not in (EPC_96, EPC_DATA):
                return None
            if number is not None and struct.calcsize("!" + number) != len(one.body):
                return None
        return cls(data, parameters, made_epc)

    def read(self, data: bytes) -> Tag | None:
        """The tag in `data`, which has the layout's length; None when its headers are not the layout's."""
        unpacked = self._unpack(data)
        if unpacked[::2] != self._headers:
            return None
        tag: Tag = dict(zip(self._names, unpacked[1::2], strict=True))
        if self._epc_data is not None:
            tag[self._epc_data] = self._made_epc(tag[self._epc_data])
        if self._epc_96 is not None:
            tag[self._epc_96] = tag["EPC"] = hexlify(tag[self._epc_96])
        return tag


class TagLayouts:
    """Layouts learned so far, those of one length together. Threads may share it: a layout learned twice costs
    its place twice, and nothing else."""

    def __init__(
        self, slowly: Callable[[bytes, str | None], tuple[Tag, str]], made_epc: Callable[[bytes], object]
    ) -> None:
        """`slowly` is sllurp's decoder of a TagReportData, `made_epc` makes a value of the body of an EPCData."""
        self._slowly = slowly
        self._made_epc = made_epc
        self._by_length: dict[int, tuple[Layout, ...]] = {}
        self._learned = 0

    @property
    def learned(self) -> int:
        """Layouts that were learned."""
        return self._learned

    def decode(self, data: bytes, name: str | None = None) -> tuple[Tag, str]:
        """What `slowly` gives."""
        for layout in self._by_length.get(len(data), ()):
            tag = layout.read(data)
            if tag is not None:
                return tag, ""
        decoded = self._slowly(data, name)
        if self._learned < MOST_LAYOUTS:
            self._learn(data, decoded[0])
        return decoded

    def _learn(self, data: bytes, tag: Tag) -> None:
        layout = Layout.of(data, self._made_epc)
        if layout is not None and layout.read(data) == tag:
            self._by_length[len(data)] = (*self._by_length.get(len(data), ()), layout)
            self._learned += 1


def _header_bytes(first: int, kind: int) -> int:
    if first & 0x80:
        return 1
    return CUSTOM_PARAMETER_HEADER.size if kind == CUSTOM else TLV_HEADER.size


def install(made_epc: Callable[[bytes], object]) -> None:
    """Have sllurp decode reports of tags by their layouts. Its tables of decoders are there to be added to."""
    slow_report: Callable[[bytes, str | None], Mapping[str, Any]] = Message_struct["RO_ACCESS_REPORT"]["decode"]
    layouts = TagLayouts(Param_struct["TagReportData"]["decode"], made_epc)

    def decode_report(body: bytes, name: str | None = None) -> Mapping[str, Any]:
        tags = []
        at, end = 0, len(body)
        while at < end:
            kind, size = TLV_HEADER.unpack_from(body, at) if end - at >= TLV_HEADER.size else (0, 0)
            if kind != TAG_REPORT_DATA or not TLV_HEADER.size <= size <= end - at:
                return slow_report(body, name)  # something else is in it, or it is cut off
            tags.append(layouts.decode(body[at + TLV_HEADER.size : at + size])[0])
            at += size
        return {"TagReportData": tags}

    Param_struct["TagReportData"]["decode"] = layouts.decode
    Message_struct["RO_ACCESS_REPORT"]["decode"] = decode_report
