#!/usr/bin/env python3
"""Writes cleaning-cases.json: what Wan's own cleaning (ftfy without its guess at mojibake, html, regex) makes of many texts.

    pip install ftfy==6.3.1 regex && python3 tests/NablaGen.Tests/Tokenizer/make_cleaning_cases.py
"""
import hashlib
import html
import json
import pathlib
import random
import unicodedata
from html.entities import html5

import ftfy
import regex

BLOCK = 0x1000
rng = random.Random(2)


def clean(text):
    text = ftfy.fix_text(text, fix_encoding=False)
    text = html.unescape(html.unescape(text)).strip()
    return regex.sub(r"\s+", " ", text).strip()


def by_hand():
    yield from ["", " ", "\t\r\n\u3000", "  two   cats\tfight \n on a stage. ", "a\r\nb\rc\u2028d\u2029e\x85f\fg\vh"]
    yield from ["“curly” ‘single’ ‚low‛ „low‟ ʼn it’s", "ﬁne ﬂuﬀy aﬃx baﬄe ﬅ ﬆ ŉ Ĳ ĳ Ǆǅǆ Ǉǈǉ Ǌǋǌ Ǳǲǳ ﬓ"]
    yield from ["ＷＩＤＥ　ｔｅｘｔ！（１２３）～｟｠", "ﾊﾝｶｸ ｶﾞｷﾞﾊﾟ ｡｢｣､･", "ﾡﾢￂￃￇ ￡￢￣￤￥￦￨￩￪￫￬￭￮"]
    yield from ["\x1b[36;44mblue\x1b[0m \x1b[31 \x1b[m", "a\x07b\ufeffc\x7fd\x0be\ufffcf\u206ag\u200dh\u200ei\u00adj", "\x80\x81\x85\x91\x9fx"]
    yield from ["&amp;", "&amp;amp;", "&amp;amp;amp;amp;lt;", "&lt;b&gt; &copy; &hellip;", "x < y &amp; z", "&eacute;\n<b>&eacute;&EACUTE;\n&eacute;"]
    yield from ["P&EACUTE;REZ stra&SZLIG;e &NTILDE; &nTILDE; &FFLIG; &NAPOS; &AMP; &CAPS;", "this&not that &notit; &notin; &ampamp;"]
    yield from ["&#38;#38;", "&#x26;lt;", "&#128; &#x80 &#150; &#0; &#xD800; &#x110000; &#99999999999999999999; &#13;x", "&#1;a&#11;b&#127;c&#xFDD0;d&#xFFFE;e&#x1FFFF;f"]
    yield from ["&#x3b; &#59; &;; && &#; &#x; &#xZ; &a; &nbsp;&nbsp;x&nbsp;", "&Jscr;ohn &HilbertSpace; &NotEqualTilde; &bne; &fjlig;"]
    yield from ["cafe\u0301 nai\u0308ve A\u030a \u212b \u2126", "q\u0323\u0307 q\u0307\u0323 a\u0315\u0300\u05ae\u0300b", "\u1112\u1161\u11ab\u1100\u116e\u11a8", "\uac00\u11a8 \uac00\u11a7 \u1100\u1161\u11a7"]
    yield from ["\u0301 alone \u0301", "\u0958 \u0929 \u0928\u093c \u0344 \u2adc \ufb1d \u1d15e", "\U0001d15e\U0001d1bc", "\uf900 \U0002f800 \u2f3c"]
    yield from ["👩\u200d👩\u200d👧 🇫🇷 🌧\ufe0f 𠀋", "شكرا\u200f על \u202eabc\u202c", "a▁b ▁ </s> <pad> <extra_id_0>", "a\u00a0b\u1680c\u2009d\u202fe\u205ff\u200bg"]
    yield from ["â€™ stays mojibake", "100% & more; AT&T &c", "色调艳丽，过曝，静态；“细节”……"]


def decomposed():
    marks = [c for c in map(chr, range(0x110000)) if unicodedata.combining(c)]
    composed = [c for c in map(chr, range(0x110000)) if unicodedata.decomposition(c) and "<" not in unicodedata.decomposition(c)]
    for _ in range(250):
        text = ""
        for _ in range(rng.randint(1, 3)):
            base = rng.choice([rng.choice(composed), chr(rng.randint(0xAC00, 0xD7A3)), rng.choice("aeinou")])
            tail = rng.choices(marks, k=rng.randint(0, 2)) + rng.choices("\u0300\u0301\u0323\u0327\u0308\u0338", k=rng.randint(0, 3))
            rng.shuffle(tail)
            text += unicodedata.normalize("NFD", base) + "".join(tail)
        yield text


def references():
    names = sorted(html5)
    for _ in range(150):
        text = ""
        for _ in range(rng.randint(1, 4)):
            name = rng.choice(names)
            text += rng.choice(["&", "&", "&amp;", "&#38;"]) + rng.choice([name, name, name.upper(), name.lower(), name[:-1], name + "x"])
            text += rng.choice(["", " ", ";", f"&#{rng.randint(0, 400)}", f"&#x{rng.randint(0, 0x11ffff):X};"])
        yield text


def blocks():
    """Every code point alone: a digest of a block of them, cleaned with an x on both sides."""
    for start in range(0, 0x110000, BLOCK):
        text = " ".join(f"x{chr(c)}x" for c in range(start, start + BLOCK) if not 0xD800 <= c <= 0xDFFF)
        yield hashlib.sha256(clean(text).encode()).hexdigest()[:16]


cases = [*by_hand(), *decomposed(), *references()]
result = {
    "made": f"ftfy {ftfy.__version__}, Unicode {unicodedata.unidata_version}",
    "block": BLOCK,
    "blocks": list(blocks()),
    "cases": [[text, clean(text)] for text in cases],
}
path = pathlib.Path(__file__).with_name("cleaning-cases.json")
path.write_text(json.dumps(result, indent=0) + "\n", encoding="ascii", newline="\n")
