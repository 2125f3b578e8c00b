"""What a tag's EPC memory says, in every spelling that GS1 has for it.

Source: GS1 EPC Tag Data Standard (TDS) 2.1 and 2.3, sections 6 (pure identity EPC URI), 12 (EPC tag URI), 7
(element strings), 14 (binary encodings); GS1 Digital Link Standard: URI Syntax 1.2, sections 4 and 6.
"""

from dataclasses import dataclass

GS1_RESOLVER = "https://id.gs1.org"  # the host of a canonical Digital Link URI: a name, nobody is asked


class WrongEpc(ValueError):
    """No EPC can be read from this memory, or written from this URI or element string."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """EPC memory and what it means. What a scheme has no spelling for is None.

    hex             as given; upper-case where it could be read
    scheme          "sgtin-96", "gdti-174", "adi-var", "sgtin+", "dsgtin+", "giai++" …; None: unknown memory
    filter          the filter value, TDS section 10; None where the scheme has none
    epc_uri         pure identity, "urn:epc:id:…"; None where the standard gives none (+ and ++ schemes may lack it)
    tag_uri         identity, filter and encoding, "urn:epc:tag:…"; of unknown memory "urn:epc:raw:…" (TDS 12.4)
    element_string  GS1 element string with brackets, "(01)…(21)…", trailing +AIDC data included
    digital_link    canonical GS1 Digital Link URI
    error           why it was refused, or what is unknown about it; None when it was read
    aidc            of + schemes, the element string of the trailing +AIDC data alone; None without
    hostname        of ++ schemes, the host of the custom Digital Link
    """

    hex: str
    scheme: str | None = None
    filter: int | None = None
    epc_uri: str | None = None
    tag_uri: str | None = None
    element_string: str | None = None
    digital_link: str | None = None
    error: str | None = None
    aidc: str | None = None
    hostname: str | None = None
