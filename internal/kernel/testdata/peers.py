#!/usr/bin/env python3
"""Times products of float32 matrices by the BLAS of NumPy (OpenBLAS in its wheels) and
of PyTorch (MKL in its wheels), for BenchmarkPeers of package kernel:

    go test -run - -bench Peers -benchtime 7x -peers "python3 testdata/peers.py" ./internal/kernel

A line "NT M N K ADD" on standard input (NT: A·Bᵀ, NN: A·B, TN: Aᵀ·B; ADD 1 adds to
C) is answered by a line with the seconds of one product, NumPy's and PyTorch's:
the mean of a window of calls, in CPU time with one thread and else by the clock.
Used with NumPy 2.4 and PyTorch 2.15; set the number of threads as the argument.
"""
import os
import sys
import time

threads = int(sys.argv[1]) if len(sys.argv) > 1 else 1
for name in "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE":
    os.environ.pop(name, None)
os.environ["OPENBLAS_NUM_THREADS"] = str(threads)

import numpy  # noqa: E402
import torch  # noqa: E402

torch.set_num_threads(threads)
clock = time.thread_time if threads == 1 else time.perf_counter
WINDOW = 0.02


def timed(f):
    if threads > 1:
        time.sleep(0.5)  # threads of the other library wait in a loop for a while
    f()
    calls, start = 0, clock()
    while True:
        f()
        calls += 1
        took = clock() - start
        if took > WINDOW:
            return took / calls


def operands(layout, m, n, k):
    random = numpy.random.default_rng(1)
    shape_a = (k, m) if layout[0] == "T" else (m, k)
    shape_b = (n, k) if layout[1] == "T" else (k, n)
    return [random.standard_normal(s, dtype=numpy.float32) for s in (shape_a, shape_b, (m, n))]


print("OpenBLAS of NumPy", numpy.__version__, "and MKL of PyTorch", torch.__version__, flush=True)
key = None
for line in sys.stdin:
    if line != key:
        key = line
        layout, m, n, k, add = line.split()
        a, b, c = operands(layout, int(m), int(n), int(k))
        ta, tb, tc = (torch.from_numpy(x) for x in (a, b, c))
        if layout[0] == "T":
            a, ta = a.T, ta.T
        if layout[1] == "T":
            b, tb = b.T, tb.T
        scratch = numpy.empty_like(c)

    def with_numpy():
        if add == "1":
            numpy.matmul(a, b, out=scratch)
            numpy.add(c, scratch, out=c)
        else:
            numpy.matmul(a, b, out=c)

    def with_torch():
        if add == "1":
            tc.addmm_(ta, tb)
        else:
            torch.mm(ta, tb, out=tc)

    print(timed(with_numpy), timed(with_torch), flush=True)
