#!/usr/bin/env python3
"""Writes character-map.model, a small Unigram model that normalises, and character-map.json, texts with the ids due to them.

    apt-get install python3-sentencepiece python3-protobuf python3-regex
    /usr/bin/python3 tests/NablaGen.Tests/Tokenizer/make_character_map.py

The map is a part of SentencePiece's own nmt_nfkc (the whole has 240 KB). Hugging Face's steps are written out here, after
tokenizers' precompiled.rs (spm_precompiled's shortest match, by grapheme cluster) and transformers' SpmConverter; each ▁word
is then segmented by SentencePiece itself.
"""
import io
import json
import pathlib
import re
import struct
import tempfile

import regex
import sentencepiece
from sentencepiece.sentencepiece_model_pb2 import ModelProto

FOLDER = pathlib.Path(__file__).parent
BLOCKS = [(0x01, 0x24F), (0x300, 0x345), (0x1680, 0x1680), (0x2000, 0x206F), (0x2100, 0x214F), (0x2460, 0x2473), (0x3000, 0x3000),
          (0x304B, 0x30FE), (0xFB00, 0xFB06), (0xFDFA, 0xFDFA), (0xFEFF, 0xFEFF), (0xFF01, 0xFF9F)]
CORPUS = """Two anthropomorphic cats in comfy boxing gear fight on a spotlighted stage.
A café in Zürich at night, naïve paintings, a crème brûlée and a piñata on the table.
Fine waffles float over a flat office; the fluffy cat sniffs a coffee and finds a file.
1 cat, 2 dogs, 10 birds, 20 fish: one half of them sleep, the other half run!
A red car drives through the rain in Tokyo, neon signs say カメラ and ガラス.
The camera moves slowly (close-up), 35 mm film, soft light, high quality, 4K.
Snow falls on the old town; a child in a blue coat looks at the window of a shop.""".splitlines()
TEXTS = [
    "", "A cat on a stage", "ＷＩＤＥ　ｔｅｘｔ！ （１２３）", "ﬁne waﬄes ﬂoat over an oﬃce", "a\u00a0cat\u00a0\u00a0on \u00a0a\u202fstage",
    "\u3000\u3000cats\u3000fight\u3000", "   three   spaces  ", "cafe\u0301 nai\u0308ve Zu\u0308rich cre\u0300me bru\u0302le\u0301e",
    "e\u0301\u0323 \u1e69 s\u0323\u0307",
    "Ａ\u0301 ﬁ\u0301x ﬁ\u0301\u0301x", "ｶﾒﾗ ｶﾞﾗｽ カ\u3099ラス", "the cat 👩\u200d👩\u200d👧 fights 🐱\ufe0f", "½ ² ① ⑳ ™ … ℃",
    "zero\u200bwidth\u200djoiner soft\u00adhyphen \ufefffeff",
    "one</s>ｔｗｏ<pad>\u00a0<extra_id_0>", "\u3000", "ﷺ" * 40, "a\tb\nc\u2028d\u0085e", "▁▁Ａ ▁cat", "漢字 ＸＹ",
]


def train(**normalizer):
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS * 4), model_writer=out, vocab_size=300, hard_vocab_limit=False, character_coverage=1.0,
        pad_id=0, eos_id=1, bos_id=2, unk_id=3, pad_piece="<pad>", remove_extra_whitespaces=False, minloglevel=2, **normalizer)
    return ModelProto.FromString(out.getvalue())


class Trie:
    """A Darts double array, then the replacements, each ended by a zero byte."""

    def __init__(self, charsmap):
        size = struct.unpack_from("<I", charsmap)[0]
        self.units = struct.unpack_from(f"<{size // 4}I", charsmap, 4)
        self.replacements = charsmap[4 + size:]

    @staticmethod
    def offset(unit):
        return unit >> 10 << ((unit & 0x200) >> 6)

    def child(self, node, byte):
        """The next node and its replacement (None if there is none), or None."""
        if (node ^ byte) >= len(self.units) or (unit := self.units[node ^ byte]) & 0x800000FF != byte:
            return None
        node ^= byte ^ self.offset(unit)
        start = self.units[node] & 0x7FFFFFFF
        return node, self.replacements[start:self.replacements.index(0, start)].decode() if unit & 0x100 else None

    def rules(self, node=None, key=b""):
        node = self.offset(self.units[0]) if node is None else node
        for byte in range(1, 256):
            if found := self.child(node, byte):
                if found[1] is not None:
                    yield (key + bytes([byte])).decode(), found[1]
                yield from self.rules(found[0], key + bytes([byte]))

    def shortest(self, text):
        node = self.offset(self.units[0])
        for byte in text.encode():
            if not (found := self.child(node, byte)):
                return None
            node, replacement = found
            if replacement is not None:
                return replacement
        return None


def precompiled(trie, text):
    result = ""
    for cluster in regex.findall(r"\X", text):
        whole = trie.shortest(cluster) if len(cluster.encode()) < 6 else None
        if whole is None:
            whole = "".join(c if (one := trie.shortest(c)) is None else one for c in cluster)
        result += whole
    return result


def encode(model, trie, words, text):
    added = {"<pad>": 0, "</s>": 1, "<s>": 2, "<unk>": 3} | {f"<extra_id_{i}>": len(model.pieces) + 299 - i for i in range(300)}
    ids = []
    for part in re.split(f"({'|'.join(map(re.escape, added))})", text):
        if part in added:
            ids.append(added[part])
            continue
        part = re.sub(" +", " ", precompiled(trie, part)).replace(" ", "▁")
        if part and part[0] != "▁":
            part = "▁" + part
        for word in re.findall("▁[^▁]*", part):
            found = words.encode(word)
            ids += [id for i, id in enumerate(found) if id != 3 or i == 0 or found[i - 1] != 3]
    return ids + [1]


with tempfile.NamedTemporaryFile("w", suffix=".tsv") as table:
    whole = Trie(train(normalization_rule_name="nmt_nfkc").normalizer_spec.precompiled_charsmap)
    for source, target in whole.rules():
        if all(any(low <= ord(c) <= high for low, high in BLOCKS + [(0x20, 0x7E)]) for c in source):
            print(*(" ".join(f"{ord(c):X}" for c in text) for text in (source, target)), sep="\t", file=table)
    table.flush()
    model = train(normalization_rule_tsv=table.name)

trie = Trie(model.normalizer_spec.precompiled_charsmap)
plain = ModelProto.FromString(model.SerializeToString())
plain.normalizer_spec.Clear()
plain.normalizer_spec.add_dummy_prefix = plain.normalizer_spec.remove_extra_whitespaces = False
words = sentencepiece.SentencePieceProcessor(model_proto=plain.SerializeToString())

model.normalizer_spec.ClearField("normalization_rule_tsv")
(FOLDER / "character-map.model").write_bytes(model.SerializeToString())
rows = [{"text": text, "ids": encode(model, trie, words, text)} for text in TEXTS]
lines = ",\n".join(json.dumps(row) for row in rows)
(FOLDER / "character-map.json").write_text(f"[\n{lines}\n]\n", encoding="ascii", newline="\n")
