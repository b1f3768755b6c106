# Writes events.golden, an event file by TensorBoard's own writer, which
# TestGolden compares with ours byte for byte.
# tensorboard 2.21.0, protobuf 7.36.2. Run in this folder.
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata, DATA_CLASS_TENSOR
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.summary.writer.record_writer import RecordWriter

NAN, INF = float("nan"), float("inf")

with open("events.golden", "wb") as f:
    w = RecordWriter(f)

    def put(**fields):
        w.write(Event(**fields).SerializeToString(deterministic=True))

    put(wall_time=1767225600.25, file_version="brain.Event:2")
    text = Summary.Value(
        tag="recipe",
        tensor=TensorProto(dtype="DT_STRING", tensor_shape=TensorShapeProto(), string_val=["a: 1\nb: é".encode()]),
        metadata=SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="text"), data_class=DATA_CLASS_TENSOR),
    )
    put(wall_time=1767225600.5, summary=Summary(value=[text]))
    for step, loss, rate in [(1, 2.5, 1e-4), (300, NAN, -INF), (2**31, 0.0, 3.1415926535)]:
        value = [Summary.Value(tag="train/loss", simple_value=loss), Summary.Value(tag="train/learning_rate", simple_value=rate)]
        put(wall_time=1767225601.0 + step / 4, step=step, summary=Summary(value=value))
    w.flush()
