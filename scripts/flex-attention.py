"""FlexAttention (PyTorch, compiled) on the masks that `nablagen bench kernels --masks DIR` wrote.

    nablagen bench kernels --only block_attention_sm90 --preset 14B --masks DIR && python3 scripts/flex-attention.py DIR

One line a mask: kept share of block pairs, median of five in milliseconds, TFLOP/s of the kept pairs. Head size 128, bfloat16. For a comparison
only: NablaGen itself needs no Python.
"""
import pathlib
import sys

import numpy
import torch
from torch.nn.attention.flex_attention import BlockMask, flex_attention

BLOCK, HEAD_SIZE, HEADS = 64, 128, {"14B": 40, "1.3B": 12}


def median_ms(run, repeats=5):
    for _ in range(3):
        run()
    times = []
    for _ in range(repeats):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        run()
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end))
    return sorted(times)[repeats // 2]


def main(folder):
    print(f"PyTorch {torch.__version__}, {torch.cuda.get_device_name()}")
    attention = torch.compile(flex_attention, mode="max-autotune-no-cudagraphs", dynamic=True)
    for path in sorted(pathlib.Path(folder).glob("*.npy")):
        heads = HEADS[path.stem.split("-")[0]]
        kept = torch.from_numpy(numpy.load(path)).cuda().expand(heads, -1, -1)[None]
        tokens = kept.shape[-1] * BLOCK
        counts = kept.sum(-1).int()
        # The kept blocks first, ascending: the sort is stable.
        lists = (~kept).int().argsort(dim=-1, stable=True).int()
        mask = BlockMask.from_kv_blocks(torch.zeros_like(counts), lists, counts, lists, BLOCK_SIZE=BLOCK, mask_mod=None)
        q, k, v = (torch.randn(1, heads, tokens, HEAD_SIZE, device="cuda", dtype=torch.bfloat16) for _ in range(3))
        density = kept.float().mean().item()
        ms = median_ms(lambda: attention(q, k, v, block_mask=mask))
        flops = 4 * tokens * tokens * HEAD_SIZE * heads * density
        print(f"{path.stem}: density {density:.3f}, {ms:.2f} ms, {flops / ms / 1e9:.0f} TFLOP/s", flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
