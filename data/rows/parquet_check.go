package rows

import (
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
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

// checkPages reads the headers of all pages of a column chunk and refuses those
// that would unpack to more than pages have, or than their headers say: the
// library takes memory for as much as comes.
func checkPages(at io.ReaderAt, n int64, chunk format.ColumnMetaData) error {
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
		packed := io.NewSectionReader(at, from, int64(header.CompressedPageSize))
		if err := checkUnpacked(chunk.Codec, header, packed); err != nil {
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

// checkUnpacked checks that a page unpacks to no more than its header says.
func checkUnpacked(codec format.CompressionCodec, header format.PageHeader, packed *io.SectionReader) error {
	want := int64(header.UncompressedPageSize)
	if v2 := header.DataPageHeaderV2; v2.Valid {
		if v2.V.IsCompressed.Valid && !v2.V.IsCompressed.V {
			return nil
		}
		levels := int64(v2.V.RepetitionLevelsByteLength) + int64(v2.V.DefinitionLevelsByteLength)
		if levels < 0 || levels > min(want, packed.Size()) {
			return errors.New("levels longer than the page")
		}
		want -= levels
		packed = io.NewSectionReader(packed, levels, packed.Size()-levels)
	}
	var unpacked io.Reader
	var err error
	switch codec {
	case format.Snappy, format.Lz4Raw:
		return checkBlock(codec, packed, want)
	case format.Gzip:
		unpacked, err = gzip.NewReader(packed)
	case format.Brotli:
		unpacked = brotli.NewReader(packed)
	case format.Zstd:
		var z *zstd.Decoder
		if z, err = zstd.NewReader(packed, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxPage)); err == nil {
			defer z.Close()
			unpacked = z
		}
	default: // not packed, or not known to the library either
		return nil
	}
	if err != nil {
		return err
	}
	n, err := io.Copy(io.Discard, io.LimitReader(unpacked, want+1))
	if err == nil && n > want {
		err = fmt.Errorf("it unpacks to more than the %d bytes of its header", want)
	}
	return err
}

// checkBlock is checkUnpacked for codecs that work on whole blocks.
func checkBlock(codec format.CompressionCodec, packed *io.SectionReader, want int64) error {
	block, err := io.ReadAll(packed)
	if err != nil {
		return err
	}
	var n int
	if codec == format.Snappy {
		n, err = snappy.DecodedLen(block)
	} else {
		n, err = lz4.UncompressBlock(block, make([]byte, want))
	}
	if err == nil && int64(n) != want {
		err = fmt.Errorf("it unpacks to %d bytes where its header says %d", n, want)
	}
	return err
}
