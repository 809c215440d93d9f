#!/usr/bin/env python3
"""Writes unicode-nfc.txt and html5-entities.txt, the facts PromptCleaner needs and .NET (without ICU) does not have.

Run with the Python whose Unicode version is wanted:  python3 src/NablaGen/Models/TextEncoder/Text/make_tables.py
"""
import html
import pathlib
import unicodedata
from html.entities import html5

HERE = pathlib.Path(__file__).parent


def write(name, lines):
    (HERE / name).write_text("\n".join(lines) + "\n", encoding="ascii", newline="\n")


def nfc():
    classes, decompositions = {}, []
    for code in range(0x110000):
        char = chr(code)
        if order := unicodedata.combining(char):
            classes.setdefault(order, []).append(code)
        mapping = unicodedata.decomposition(char)
        if mapping and not mapping.startswith("<"):
            # What NFC takes apart and does not put together again: singletons and composition exclusions.
            lost = "" if unicodedata.normalize("NFC", char) == char else " !"
            decompositions.append(f"{code:X} {mapping}{lost}")
    yield f"# Unicode {unicodedata.unidata_version}, by make_tables.py. Canonical combining classes: class, then ranges of code points."
    for order, codes in sorted(classes.items()):
        ranges = []
        for code in codes:
            if ranges and ranges[-1][1] == code - 1:
                ranges[-1][1] = code
            else:
                ranges.append([code, code])
        yield f"ccc {order} " + " ".join(f"{a:X}" if a == b else f"{a:X}-{b:X}" for a, b in ranges)
    yield "# Canonical decompositions, one step each (Hangul is arithmetic); ! = not composed again."
    yield from decompositions


def entities():
    def code(text):
        return "+".join(f"{ord(c):X}" for c in text)

    yield "# HTML 5 entities, by make_tables.py: name, characters; * = also without the semicolon;"
    yield "# ^ = also read in capitals when cleaning text that is not HTML, as these characters."
    for name in sorted(n[:-1] for n in html5 if n.endswith(";")):
        char = html5[name + ";"]
        line = f"{name} {code(char)}"
        if name in html5:
            assert html5[name] == char
            line += " *"
        capitals = f"&{name.upper()};"
        if name == name.lower() and html.unescape(capitals) == capitals:
            line += f" ^{code(char.upper())}"
        yield line


write("unicode-nfc.txt", nfc())
write("html5-entities.txt", entities())
