"""Writes golden.gguf with the gguf package, for the tests of this package: metadata of every
kind, and tensors of the four types whose values are made by the formula of `values`.

Made with gguf 0.19.0, numpy 2.4.6: python golden.py
"""

import zlib

import numpy as np
from gguf import GGMLQuantizationType as T
from gguf import GGUFValueType as K
from gguf import GGUFWriter, quants


def values(name, n):
    """n numbers that are whole multiples of 2**-19 between -1/16 and 1/16."""
    x = (np.arange(n, dtype=np.uint64) * 0x9E3779B1 + zlib.crc32(name.encode())) & 0xFFFFFFFF
    x ^= x >> 15
    x = (x * 0x2C1B3C6D) & 0xFFFFFFFF
    x ^= x >> 12
    return ((x >> 16).astype(np.float32) - 32768) / np.float32(2**19)


def main():
    w = GGUFWriter("golden.gguf", "llama")
    for kind, value in (("uint8", 200), ("int8", -100), ("uint16", 60000), ("int16", -30000), ("uint32", 4000000000), ("int32", -2000000000),
                        ("uint64", 2**63 + 5), ("int64", -(2**62)), ("float32", 0.1), ("float64", 0.1)):
        w.add_key_value("test." + kind, value, K[kind.upper()])
    w.add_bool("test.bool", True)
    w.add_string("test.string", "Grüße, 世界 🦙")
    w.add_array("test.strings", ["", "a", "▁b"])
    w.add_array("test.floats", [0.5, -1.25])
    w.add_array("test.ints", [1, -2, 3])
    w.add_array("test.bools", [True, False, True])
    for name, shape, kind in (("f32", (3, 5), T.F32), ("f16", (2, 3, 4), T.F16), ("bf16", (7,), T.BF16), ("q8_0", (3, 64), T.Q8_0)):
        data = values(name, int(np.prod(shape))).reshape(shape)
        w.add_tensor(name + ".weight", quants.quantize(data, kind), raw_dtype=kind)
    # Values halfway between two steps, of a block whose scale is 1; a block of zeros.
    ties = np.concatenate([[127], np.arange(-15, 16) + 0.5, np.zeros(32)]).astype(np.float32)
    w.add_tensor("ties", quants.quantize(ties, T.Q8_0), raw_dtype=T.Q8_0)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


main()
