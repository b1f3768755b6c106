package hf

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"

	"gotune/internal/disk"
)

// Write writes tensors as a safetensors file in order of name, so that equal
// tensors give equal bytes. The header carries {"format": "pt"}, as files written
// by PyTorch programs do, and is padded with spaces to a multiple of eight. The type is
// that of all tensors but those of bytes.
func Write(w io.Writer, tensors map[string]Tensor, d DType) error {
	width, err := d.Bytes()
	if err != nil {
		return err
	}
	header := []byte(`{"__metadata__":{"format":"pt"}`)
	names := slices.Sorted(maps.Keys(tensors))
	at := 0
	for _, name := range names {
		t := tensors[name]
		size, stored := width*len(t.Data), d
		if t.Codes != nil {
			size, stored = len(t.Codes), U8
		}
		if n := len(t.Data) + len(t.Codes); Size(t.Shape) != n {
			return fmt.Errorf("tensor %q has %d values but the shape %v", name, n, t.Shape)
		}
		key, err := json.Marshal(name)
		if err != nil {
			return fmt.Errorf("tensor %q: %w", name, err)
		}
		shape := t.Shape
		if shape == nil {
			shape = []int{}
		}
		dims, err := json.Marshal(shape)
		if err != nil {
			return fmt.Errorf("tensor %q: %w", name, err)
		}
		end := at + size
		header = fmt.Appendf(header, `,%s:{"dtype":"%s","shape":%s,"data_offsets":[%d,%d]}`, key, stored, dims, at, end)
		at = end
	}
	header = append(header, '}')
	for len(header)%8 != 0 {
		header = append(header, ' ')
	}
	if _, err := w.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(header)))); err != nil {
		return err
	}
	if _, err := w.Write(header); err != nil {
		return err
	}
	buf := make([]byte, 1<<16)
	for _, name := range names {
		if _, err := w.Write(tensors[name].Codes); err != nil {
			return err
		}
		for data := tensors[name].Data; len(data) > 0; {
			n := min(len(data), len(buf)/width)
			if v, ok := narrow(buf, data[:n], d); !ok {
				return fmt.Errorf("tensor %q has the value %g, which %s cannot hold: its largest is 65504", name, v, d)
			}
			if _, err := w.Write(buf[:n*width]); err != nil {
				return err
			}
			data = data[n:]
		}
	}
	return nil
}

// WriteFile writes a safetensors file; either the whole file is there afterwards
// or what was there before.
func WriteFile(path string, tensors map[string]Tensor, d DType) error {
	return disk.WriteFile(path, func(w io.Writer) error { return Write(w, tensors, d) })
}
