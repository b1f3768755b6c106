"""Quantises a matrix as package kernel does, from the definitions, and writes
quantise.json.

Python 3.11, numpy 2.4 (only numpy is used). With bitsandbytes 0.50 and torch 2.15
at hand, `python quantise.py check` compares nf4 with bitsandbytes' own CPU code
instead: the codes must be equal, the numbers to the last bit of a scale's mean.
Run it in this folder.
"""
import hashlib, json, sys
from statistics import NormalDist
import numpy as np

f32 = np.float32
N = 64 * 300 + 37  # two groups of scales, and a last block that is short

# Whole numbers modulo 65,536, in sizes that differ from block to block.
i = np.arange(N, dtype=np.uint64)
x = ((i * i * np.uint64(40503) + i * np.uint64(7919) + (i >> np.uint64(5)) * np.uint64(31)) % np.uint64(65536)).astype(f32) - f32(32768)
x = x * (f32(2.0) ** (-((i // np.uint64(64)) % np.uint64(23)).astype(np.int32) - 12).astype(f32))
x[64 * 7:64 * 8] = 0  # a block of zeros


def blocks(v, n):
    return [v[a:a + n] for a in range(0, len(v), n)]


def nearest(book, v):
    """The code of the nearest value; the lower one in the middle between two."""
    return np.searchsorted((book[:-1] + book[1:]) / f32(2), v, side="left").astype(np.uint8)


def int8():
    out = []
    for b in blocks(x, 64):
        s = f32(np.abs(b).max() / f32(127))
        q = np.rint(b.astype(np.float64) / s) if s else np.zeros(len(b))
        out.append(q.astype(np.int8).astype(f32) * s)
    return np.concatenate(out)


def nf4_book():
    """Quantiles of the normal distribution (Dettmers et al. 2023, appendix E)."""
    quantile = NormalDist().inv_cdf
    offset = 0.9677083
    above = [quantile(p) for p in np.linspace(offset, 0.5, 9)[:-1]]
    below = [-quantile(p) for p in np.linspace(offset, 0.5, 8)[:-1]]
    book = np.sort(np.array(above + below + [0.0]).astype(f32))
    book = book / book.max()
    # The numbers that QLoRA and bitsandbytes published, which everybody's files hold.
    published = np.array([
        -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
        -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
        0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
        0.7229568362236023, 1.0], dtype=f32)
    assert np.abs(book - published).max() < 2e-7
    return published


def linspace(n):
    """0.1 … 1 in float32 with one rounding a value, as torch makes it."""
    low, high = f32(0.1), f32(1)
    step = np.float64((high - low) / f32(n - 1))
    return np.array([low + step * k if k < n // 2 else high - step * (n - 1 - k) for k in range(n)]).astype(f32)


def dynamic_book():
    book = [f32(0), f32(1)]
    for e in range(7):
        edges = linspace(2 ** e + 1)
        middles = (edges[:-1] + edges[1:]) / f32(2) * f32(10.0 ** (e - 6))
        book += list(middles) + list(-middles)
    return np.sort(np.array(book, dtype=f32))


def nf4():
    book = nf4_book()
    codes, scales = [], []
    for b in blocks(x, 64):
        top = f32(np.abs(b).max())
        scales.append(top)
        codes.append(nearest(book, b * (f32(1) / top if top else f32(0))))
    scales = np.array(scales, dtype=f32)
    mean = f32(scales.astype(np.float64).mean())
    rest, dyn, quantised = scales - mean, dynamic_book(), []
    for g in blocks(rest, 256):
        top = f32(np.abs(g).max())
        scaled = g * (f32(1) / top)
        # The nearest value; the lower of two that are as near.
        code = np.abs(scaled[:, None].astype(np.float64) - dyn[None, :].astype(np.float64)).argmin(axis=1)
        quantised.append(dyn[code] * top + mean)
    s = np.concatenate(quantised)
    return np.concatenate(codes), np.concatenate([book[c] * s[k] for k, c in enumerate(codes)])


def check():
    import torch
    import bitsandbytes.functional as F
    assert np.array_equal(F.create_dynamic_map().numpy(), dynamic_book()), "the book of the scales"
    theirs = F.get_4bit_type("nf4", device="cpu").numpy()
    assert np.array_equal(theirs, nf4_book()), "the book of nf4"
    packed, state = F.quantize_4bit(torch.from_numpy(x), blocksize=64, quant_type="nf4", compress_statistics=True)
    packed = packed.flatten().numpy()
    codes = np.stack([packed >> 4, packed & 15], axis=1).flatten()[:N]
    ours, wide = nf4()
    used = np.repeat([np.abs(b).max() > 0 for b in blocks(x, 64)], [len(b) for b in blocks(x, 64)])
    print("codes that differ:", int((codes != ours)[used].sum()), "of", N)
    back = F.dequantize_4bit(torch.from_numpy(packed[:, None]), state)
    back = back.flatten().numpy()
    print("largest difference of a number:", np.abs(back - wide).max(), "of", np.abs(wide).max())


if sys.argv[1:] == ["check"]:
    check()
    sys.exit()
codes, wide = nf4()
out = {
    "nf4_book": [float(v) for v in nf4_book()],
    "int8": {"sha256": hashlib.sha256(int8().tobytes()).hexdigest(), "first": [float(v) for v in int8()[:128]]},
    "nf4": {"sha256": hashlib.sha256(wide.tobytes()).hexdigest(), "first": [float(v) for v in wide[:128]]},
}
json.dump(out, open("quantise.json", "w"), indent=0)
