"""Writes the Parquet files of the tests. pyarrow 26.0.1.

    python3 parquet.py
"""
import pyarrow as pa
import pyarrow.parquet as pq

turn = pa.struct([("content", pa.string()), ("role", pa.string()), ("weight", pa.float64())])
pq.write_table(
    pa.table(
        {
            "id": pa.array([1, 2, 3], pa.int64()),
            "messages": pa.array(
                [
                    [{"role": "user", "content": "q1"}, {"role": "assistant", "content": "a1", "weight": 0.5}],
                    [],
                    [{"role": "user", "content": "ü\n\"x\""}],
                ],
                pa.list_(turn),
            ),
            "tools": pa.array(["[]", None, '[{"name":"add"}]']),
            "score": pa.array([0.5, None, float("nan")]),
            "embedding": pa.array([[0.1, 0.2], None, [0.3]], pa.list_(pa.float32())),
        }
    ),
    "messages.parquet",
    compression="snappy",
    row_group_size=2,
)
texts = [f"text {i}" for i in range(1000)]
for name, options in {
    "none": dict(compression="none", use_dictionary=False),
    "zstd": dict(compression="zstd", data_page_version="2.0"),
    "gzip": dict(compression="gzip"),
    "brotli": dict(compression="brotli"),
    "lz4": dict(compression="lz4"),
    "delta": dict(compression="snappy", use_dictionary=False, column_encoding={"text": "DELTA_BYTE_ARRAY"}),
}.items():
    pq.write_table(pa.table({"text": pa.array(texts, pa.large_string())}), f"{name}.parquet",
                   row_group_size=300, data_page_size=1024, **options)
pq.write_table(
    pa.table(
        {
            "task": pa.array(["i", "j"]).dictionary_encode(),
            "instances": pa.array([[{"input": "x", "output": "y"}], [{"input": None, "output": "z"}]],
                                  pa.list_(pa.struct([("input", pa.string()), ("output", pa.string())]))),
            "meta": pa.array([{"a": {"b": ["c", "d"]}}, {"a": None}],
                             pa.struct([("a", pa.struct([("b", pa.list_(pa.string()))]))])),
            "n": pa.array([1, 2], pa.uint32()),
            "raw": pa.array([b"\xff", b"ok"], pa.binary()),
            "nested": pa.array([[[1, 2], []], None], pa.list_(pa.list_(pa.int32()))),
        }
    ),
    "nested.parquet",
)
