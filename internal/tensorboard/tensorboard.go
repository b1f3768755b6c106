// Package tensorboard writes event files of TensorBoard: numbers and texts by
// step.
//
// A file is a row of records, each the length of its data (8 bytes, little
// endian), the masked CRC-32C of the length (4 bytes), the data, and the masked
// CRC-32C of the data (4 bytes); see tensorflow/core/lib/io/record_writer.h. The
// data is an Event in protocol buffers, the first of which names the version of
// the format; see tensorboard/compat/proto/event.proto and summary.proto.
package tensorboard

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// FileName is a name that TensorBoard takes for an event file.
const FileName = "events.out.tfevents.gotune"

// A Scalar is a number under a tag, such as train/loss. It is stored in float32.
type Scalar struct {
	Tag   string
	Value float64
}

// A Writer appends events to a file, each by one call of the file's Write.
type Writer struct {
	w      io.Writer
	record []byte // reused by all events
}

// NewWriter returns a writer of events. A file of its own begins with
// [Writer.Version].
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// Version writes the event that has to be the first of a file.
func (w *Writer) Version(at time.Time) error {
	return w.write(w.begin(at, 0, fieldVersion, "brain.Event:2"))
}

// Scalars writes numbers of one step. NaN and infinities are kept.
func (w *Writer) Scalars(at time.Time, step int, scalars ...Scalar) error {
	var summary, value []byte
	for _, s := range scalars {
		value = protowire.AppendTag(value[:0], fieldTag, protowire.BytesType)
		value = protowire.AppendString(value, s.Tag)
		value = protowire.AppendTag(value, fieldSimpleValue, protowire.Fixed32Type)
		value = protowire.AppendFixed32(value, math.Float32bits(float32(s.Value)))
		summary = appendMessage(summary, fieldValue, value)
	}
	return w.write(w.begin(at, step, fieldSummary, string(summary)))
}

// Text writes a text, which TensorBoard shows as Markdown.
func (w *Writer) Text(at time.Time, step int, tag, text string) error {
	plugin := appendMessage(nil, fieldPluginName, []byte("text"))
	metadata := appendMessage(nil, fieldPluginData, plugin)
	metadata = protowire.AppendTag(metadata, fieldDataClass, protowire.VarintType)
	metadata = protowire.AppendVarint(metadata, dataClassTensor)

	tensor := protowire.AppendTag(nil, fieldDType, protowire.VarintType)
	tensor = protowire.AppendVarint(tensor, dtypeString)
	tensor = appendMessage(tensor, fieldShape, nil) // no dimensions: one string
	tensor = appendMessage(tensor, fieldStringValue, []byte(text))

	value := appendMessage(nil, fieldTag, []byte(tag))
	value = appendMessage(value, fieldTensor, tensor)
	value = appendMessage(value, fieldMetadata, metadata)
	return w.write(w.begin(at, step, fieldSummary, string(appendMessage(nil, fieldValue, value))))
}

// The numbers of fields and values in the .proto files of TensorBoard.
const (
	fieldWallTime protowire.Number = 1 // of Event
	fieldStep     protowire.Number = 2
	fieldVersion  protowire.Number = 3
	fieldSummary  protowire.Number = 5

	fieldValue protowire.Number = 1 // of Summary

	fieldTag         protowire.Number = 1 // of Summary.Value
	fieldSimpleValue protowire.Number = 2
	fieldTensor      protowire.Number = 8
	fieldMetadata    protowire.Number = 9

	fieldPluginData protowire.Number = 1 // of SummaryMetadata
	fieldDataClass  protowire.Number = 4
	dataClassTensor                  = 2

	fieldPluginName protowire.Number = 1 // of SummaryMetadata.PluginData

	fieldDType       protowire.Number = 1 // of TensorProto
	fieldShape       protowire.Number = 2
	fieldStringValue protowire.Number = 8
	dtypeString                       = 7
)

// begin returns an event whose last field is a text or a message.
func (w *Writer) begin(at time.Time, step int, field protowire.Number, content string) []byte {
	seconds := float64(at.UnixMicro()) / 1e6
	const header = 12
	b := append(w.record[:0], make([]byte, header)...)
	b = protowire.AppendTag(b, fieldWallTime, protowire.Fixed64Type)
	b = protowire.AppendFixed64(b, math.Float64bits(seconds))
	if step != 0 { // 0 is what a missing field means
		b = protowire.AppendTag(b, fieldStep, protowire.VarintType)
		b = protowire.AppendVarint(b, uint64(step))
	}
	b = protowire.AppendTag(b, field, protowire.BytesType)
	return protowire.AppendString(b, content)
}

// write puts the frame of a record around an event that begins after 12 bytes.
func (w *Writer) write(b []byte) error {
	data := b[12:]
	binary.LittleEndian.PutUint64(b, uint64(len(data)))
	binary.LittleEndian.PutUint32(b[8:], masked(b[:8]))
	w.record = binary.LittleEndian.AppendUint32(b, masked(data))
	if _, err := w.w.Write(w.record); err != nil {
		return fmt.Errorf("writing an event for TensorBoard: %w", err)
	}
	return nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// masked is the CRC-32C of a record: rotated and moved, so that the CRC of data
// that holds CRCs stays a good one.
func masked(b []byte) uint32 {
	c := crc32.Checksum(b, castagnoli)
	return (c>>15 | c<<17) + 0xa282ead8
}

func appendMessage(b []byte, field protowire.Number, content []byte) []byte {
	b = protowire.AppendTag(b, field, protowire.BytesType)
	return protowire.AppendBytes(b, content)
}
