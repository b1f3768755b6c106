package data_test

import (
	_ "embed"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gotune/data"
	"gotune/tokenizer"
)

//go:embed testdata/masks.json
var golden []byte

// collated is what TRL's collator makes of the rows: labels are not shifted.
type collated struct {
	IDs       json.RawMessage `json:"input_ids"`
	Labels    json.RawMessage `json:"labels"`
	Positions json.RawMessage `json:"position_ids"`
}

type goldenFile struct {
	Rows         []json.RawMessage
	Padded, Flat collated
	Packing      []struct{ Seed, Size, Rows int }
}

func readGolden(t *testing.T) (g goldenFile) {
	t.Helper()
	if err := json.Unmarshal(golden, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// Ids, masks, padding, packing and positions are those of transformers and TRL.
func TestBatchesAreThoseOfTRL(t *testing.T) {
	g := readGolden(t)
	tok, err := tokenizer.Load(os.DirFS("testdata/tokenizer"), "testdata/tokenizer")
	if err != nil {
		t.Fatal(err)
	}
	// A file holds rows of one form.
	var paths []string
	for _, key := range []string{`"prompt"`, `"text"`, `"messages"`} {
		var rows strings.Builder
		for _, r := range g.Rows {
			if strings.Contains(string(r), key) {
				rows.Write(r)
				rows.WriteByte('\n')
			}
		}
		paths = append(paths, write(t, "rows.jsonl", rows.String()))
	}
	d, err := data.Open(t.Context(), data.Config{Corpora: data.Files(paths...), EncoderConfig: data.EncoderConfig{MaxLength: 1024, Tokenizer: tok}})
	if err != nil {
		t.Fatal(err)
	}
	t.Run("padded", func(t *testing.T) {
		var want struct{ ids, labels, positions [][]int32 }
		decode(t, g.Padded, &want.ids, &want.labels, &want.positions)
		b := one(t, d, data.BatchConfig{BatchSize: d.Len(), AccumulationSteps: 1})
		if len(b.Segments) != len(want.ids) || b.Padded != len(want.ids[0]) {
			t.Fatalf("a batch of %d rows that pads to %d, want %d×%d", len(b.Segments), b.Padded, len(want.ids), len(want.ids[0]))
		}
		// Here rows share rows of the batch, so padding is not where TRL has it.
		for _, s := range b.Segments {
			from, row, n := s.Row*b.Length+s.Start, s.Example, s.Length
			to := from + n
			compare(t, b.IDs[from:to], b.Targets[from:to], b.Positions[from:to], want.ids[row][:n], want.labels[row][:n], want.positions[row][:n])
			for _, label := range want.labels[row][n:] {
				if label != data.Ignore {
					t.Errorf("row %d has %d tokens, and TRL learns more", row, n)
				}
			}
		}
	})
	t.Run("packed", func(t *testing.T) {
		var ids, labels, positions []int32
		decode(t, g.Flat, &ids, &labels, &positions)
		b := one(t, d, data.BatchConfig{BatchSize: 1, AccumulationSteps: 1, Packing: true})
		compare(t, b.IDs, b.Targets, b.Positions, ids, labels, positions)
	})
}

func decode(t *testing.T, c collated, ids, labels, positions any) {
	t.Helper()
	for raw, into := range map[*json.RawMessage]any{&c.IDs: ids, &c.Labels: labels, &c.Positions: positions} {
		if err := json.Unmarshal(*raw, into); err != nil {
			t.Fatal(err)
		}
	}
}

// compare shifts the labels: token t must predict label t+1.
func compare(t *testing.T, ids, targets, positions, wantIDs, labels, wantPositions []int32) {
	t.Helper()
	shifted := append(append([]int32{}, labels[1:]...), data.Ignore)
	for name, pair := range map[string][2][]int32{
		"ids": {wantIDs, ids}, "targets": {shifted, targets}, "positions": {wantPositions, positions},
	} {
		if diff := cmp.Diff(pair[0], pair[1]); diff != "" {
			t.Errorf("%s -want +got:\n%s", name, diff)
		}
	}
}

// Packing needs as many rows as TRL's, whose strategy is best fit decreasing too.
func TestPackingNeedsTheRowsOfTRL(t *testing.T) {
	for _, p := range readGolden(t).Packing {
		var rows strings.Builder
		for i := range 150 * p.Seed {
			length := 2 + (i*i*31+i*17*p.Seed)%(p.Size-1)
			rows.WriteString(`{"text":"` + strings.Repeat("a", length-1) + "\"}\n") // and EOS
		}
		_, b := batches(t, write(t, "a.jsonl", rows.String()), p.Size, data.BatchConfig{BatchSize: 1, AccumulationSteps: 1, Packing: true})
		if b.Rows() != p.Rows {
			t.Errorf("%d examples of up to %d tokens need %d rows, %d with TRL", 150*p.Seed, p.Size, b.Rows(), p.Rows)
		}
	}
}
