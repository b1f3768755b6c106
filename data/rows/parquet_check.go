package rows

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
	"github.com/pierrec/lz4/v4"
)

// Limits of a page of a Parquet file. Writers make pages of about a megabyte.
const (
	maxPage       = 256 << 20 // bytes unpacked
	maxPageValues = 16 << 20
)

// checkFooter checks that the footer, whose length the file's end says, lies
// inside of the file.
func checkFooter(at io.ReaderAt, n int64) error {
	if n < 12 {
		return errors.New("not a whole Parquet file: it is cut off")
	}
	var end [8]byte
	if _, err := at.ReadAt(end[:], n-8); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if string(end[4:]) != "PAR1" {
		return errors.New("not a whole Parquet file: it does not end in PAR1")
	}
	if length := int64(binary.LittleEndian.Uint32(end[:])); length > n-12 {
		return fmt.Errorf("the Parquet file is damaged: a footer of %d bytes in a file of %d", length, n)
	}
	return nil
}

// checkPages reads all pages of a column chunk and refuses those that would
// unpack or expand to more than pages have, or than their headers say: the
// library takes memory for as much as comes.
func checkPages(at io.ReaderAt, n int64, column *parquet.Column, chunk format.ColumnMetaData) error {
	from := chunk.DataPageOffset
	if d := chunk.DictionaryPageOffset; d != 0 {
		from = min(from, d)
	}
	end := from + chunk.TotalCompressedSize
	if from < 0 || end < from || end > n {
		return errors.New("pages outside of the file: it is damaged")
	}
	for from < end {
		header, length, err := pageHeader(at, from, end)
		if err != nil {
			return err
		}
		values := max(header.DataPageHeader.V.NumValues, header.DataPageHeaderV2.V.NumValues, header.DictionaryPageHeader.V.NumValues)
		if header.UncompressedPageSize > maxPage || values > maxPageValues {
			return fmt.Errorf("a page of %d bytes with %d values: the file is damaged, or write it with smaller pages", header.UncompressedPageSize, values)
		}
		if header.CompressedPageSize < 0 || int64(header.CompressedPageSize) > end-from-length {
			return errors.New("a page that is longer than its column: the file is damaged")
		}
		from += length
		packed := make([]byte, header.CompressedPageSize)
		if _, err := at.ReadAt(packed, from); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if err := checkPage(column, chunk.Codec, header, packed); err != nil {
			return fmt.Errorf("a damaged page: %w", err)
		}
		from += int64(header.CompressedPageSize)
	}
	return nil
}

// pageHeader reads the header of a page and returns its length in the file.
func pageHeader(at io.ReaderAt, from, end int64) (header format.PageHeader, length int64, err error) {
	// Headers are small but for the least and the largest value of the page.
	for _, window := range []int64{4 << 10, 4 << 20} {
		head := make([]byte, min(window, end-from))
		if _, err := at.ReadAt(head, from); err != nil && !errors.Is(err, io.EOF) {
			return header, 0, err
		}
		var protocol thrift.CompactProtocol
		r := protocol.NewReaderFromBytes(head)
		header = format.PageHeader{}
		if err = thrift.NewDecoder(r).Decode(&header); err == nil {
			return header, int64(r.BytesRead()), nil
		}
	}
	return header, 0, fmt.Errorf("a damaged header of a page: %w", err)
}

// checkPage checks one page.
func checkPage(column *parquet.Column, codec format.CompressionCodec, header format.PageHeader, packed []byte) error {
	repeated, defined := bits.Len(uint(column.MaxRepetitionLevel())), bits.Len(uint(column.MaxDefinitionLevel()))
	want := int(header.UncompressedPageSize)
	if v2 := header.DataPageHeaderV2; v2.Valid {
		n, m := int(v2.V.RepetitionLevelsByteLength), int(v2.V.DefinitionLevelsByteLength)
		if n < 0 || m < 0 || n+m > min(want, len(packed)) {
			return errors.New("levels longer than the page")
		}
		if err := errors.Join(checkRuns(packed[:n], repeated, v2.V.NumValues), checkRuns(packed[n:n+m], defined, v2.V.NumValues)); err != nil {
			return err
		}
		if v2.V.IsCompressed.Valid && !v2.V.IsCompressed.V {
			codec = format.Uncompressed
		}
		values, err := unpack(codec, packed[n+m:], want-n-m)
		if err != nil {
			return err
		}
		return checkValues(v2.V.Encoding, values, v2.V.NumValues)
	}
	page, err := unpack(codec, packed, want)
	if err != nil || !header.DataPageHeader.Valid {
		return err
	}
	v1 := header.DataPageHeader.V
	for _, width := range []int{repeated, defined} {
		if width == 0 {
			continue
		}
		if len(page) < 4 || uint64(binary.LittleEndian.Uint32(page)) > uint64(len(page)-4) {
			return errors.New("levels longer than the page")
		}
		n := 4 + binary.LittleEndian.Uint32(page)
		if err := checkRuns(page[4:n], width, v1.NumValues); err != nil {
			return err
		}
		page = page[n:]
	}
	return checkValues(v1.Encoding, page, v1.NumValues)
}

// unpack returns the bytes of a page, which must not be more than its header
// says.
func unpack(codec format.CompressionCodec, packed []byte, want int) ([]byte, error) {
	var unpacked io.Reader
	var err error
	switch codec {
	case format.Snappy:
		if n, err := snappy.DecodedLen(packed); err != nil || n > want {
			return nil, fmt.Errorf("it unpacks to %d bytes where its header says %d", n, want)
		}
		return snappy.Decode(nil, packed)
	case format.Lz4Raw:
		page := make([]byte, want)
		n, err := lz4.UncompressBlock(packed, page)
		return page[:max(n, 0)], err
	case format.Gzip:
		unpacked, err = gzip.NewReader(bytes.NewReader(packed))
	case format.Brotli:
		unpacked = brotli.NewReader(bytes.NewReader(packed))
	case format.Zstd:
		var z *zstd.Decoder
		if z, err = zstd.NewReader(bytes.NewReader(packed), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxPage)); err == nil {
			defer z.Close()
			unpacked = z
		}
	default: // not packed, or not known to the library either
		return packed, nil
	}
	if err != nil {
		return nil, err
	}
	page, err := io.ReadAll(io.LimitReader(unpacked, int64(want)+1))
	if err == nil && len(page) > want {
		err = fmt.Errorf("it unpacks to more than the %d bytes of its header", want)
	}
	return page, err
}

// checkValues checks encodings in which a few bytes can stand for many values.
func checkValues(encoding format.Encoding, page []byte, values int32) error {
	switch encoding {
	case format.PlainDictionary, format.RLEDictionary: //lint:ignore SA1019 old files have it
		if len(page) == 0 {
			return nil
		}
		return checkRuns(page[1:], int(page[0]), values)
	case format.RLE:
		if len(page) < 4 {
			return nil
		}
		return checkRuns(page[4:], 1, values)
	case format.DeltaBinaryPacked, format.DeltaLengthByteArray, format.DeltaByteArray:
		var head [3]uint64 // values of a block, parts of a block, values
		for i := range head {
			v, n := binary.Uvarint(page)
			if n <= 0 {
				return errors.New("a header that is cut off")
			}
			head[i], page = v, page[n:]
		}
		if head[0] > maxPageValues || head[1] > head[0] || head[2] > uint64(values) {
			return fmt.Errorf("%d values where its header says %d", head[2], values)
		}
	}
	return nil
}

// checkRuns checks that runs of repeated and of bit-packed values, which are a
// number of bits wide, are no more than the values of the page.
func checkRuns(b []byte, width int, values int32) error {
	left := int64(values) + 7 // the last run may fill up eight
	for len(b) > 0 {
		head, n := binary.Uvarint(b)
		if n <= 0 || head > maxPageValues*2+16 {
			return errors.New("a run of values without end")
		}
		length, run := int64(head>>1), (width+7)/8
		if head&1 == 1 {
			length, run = length*8, int(length)*width
		}
		if left -= length; left < 0 {
			return fmt.Errorf("more values than the %d of its header", values)
		}
		b = b[min(n+run, len(b)):]
	}
	return nil
}
