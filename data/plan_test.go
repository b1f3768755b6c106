package data_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"gotune/data"
)

// rows writes prompt/completion rows. Row i has a prompt of prompts[i] bytes
// and a completion of completions[i], so prompts[i]+completions[i]+1 tokens.
func jsonRows(prompts, completions []int) string {
	var s strings.Builder
	for i := range prompts {
		fmt.Fprintf(&s, `{"prompt":%q,"completion":%q}`+"\n",
			strings.Repeat(string(rune('a'+i%26)), prompts[i]), strings.Repeat(string(rune('A'+i%26)), completions[i]))
	}
	return s.String()
}

func batches(t *testing.T, path string, maxLength int, c data.BatchConfig) (*data.Dataset, *data.Batches) {
	t.Helper()
	d, err := data.Open(t.Context(), data.Config{Corpora: data.Files(path), EncoderConfig: data.EncoderConfig{MaxLength: maxLength, Tokenizer: base}})
	if err != nil {
		t.Fatal(err)
	}
	b, err := d.Batches(c)
	if err != nil {
		t.Fatal(err)
	}
	return d, b
}

// one fills the only batch of an epoch.
func one(t *testing.T, d *data.Dataset, c data.BatchConfig) *data.Batch {
	t.Helper()
	batches, err := d.Batches(c)
	if err != nil {
		t.Fatal(err)
	}
	if batches.Steps() != 1 {
		t.Fatalf("%d steps, want one", batches.Steps())
	}
	var b data.Batch
	batches.Plan(0).Step(0).Fill(&b, 0)
	return &b
}

// unplaced compares batches without where their rows stand.
var unplaced = cmpopts.IgnoreFields(data.Segment{}, "At")

// A padded batch by hand: "ab"+"cd" and "e"+"f", each with EOS, with a row that
// leaves no room for another.
func TestPaddedBatch(t *testing.T) {
	path := write(t, "a.jsonl", `{"prompt":"ab","completion":"cd"}`+"\n"+`{"prompt":"e","completion":"f"}`)
	_, b := batches(t, path, 6, data.BatchConfig{BatchSize: 2, AccumulationSteps: 1})
	var got data.Batch
	b.Plan(0).Step(0).Fill(&got, 0)
	want := data.Batch{
		Rows: 2, Length: 6, Padded: 6,
		IDs:          []int32{'a', 'b', 'c', 'd', endOfText, padding, 'e', 'f', endOfText, padding, padding, padding},
		Targets:      []int32{-100, 'c', 'd', endOfText, -100, -100, 'f', endOfText, -100, -100, -100, -100},
		Positions:    []int32{0, 1, 2, 3, 4, 0, 0, 1, 2, 0, 0, 0},
		Segments:     []data.Segment{{Example: 0, Row: 0, Length: 5}, {Example: 1, Row: 1, Length: 3}},
		Weights:      slices.Repeat([]float32{1}, 12),
		Tokens:       8,
		TargetTokens: 5,
	}
	if diff := cmp.Diff(want, got, unplaced); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// The same rows packed: one row, positions restart, and the last token of the
// first example does not predict the first of the second.
func TestPackedBatch(t *testing.T) {
	path := write(t, "a.jsonl", `{"prompt":"ab","completion":"cd"}`+"\n"+`{"prompt":"e","completion":"f"}`)
	_, b := batches(t, path, 64, data.BatchConfig{BatchSize: 2, AccumulationSteps: 1, Packing: true})
	var got data.Batch
	b.Plan(0).Step(0).Fill(&got, 0)
	want := data.Batch{
		Rows: 1, Length: 32, Padded: 32,
		IDs:          slices.Concat([]int32{'a', 'b', 'c', 'd', endOfText, 'e', 'f', endOfText}, fill(24, padding)),
		Targets:      slices.Concat([]int32{-100, 'c', 'd', endOfText, -100, 'f', endOfText, -100}, fill(24, -100)),
		Positions:    slices.Concat([]int32{0, 1, 2, 3, 4, 0, 1, 2}, fill(24, 0)),
		Segments:     []data.Segment{{Example: 0, Length: 5}, {Example: 1, Start: 5, Length: 3}},
		Weights:      slices.Repeat([]float32{1}, 32),
		Tokens:       8,
		TargetTokens: 5,
	}
	if diff := cmp.Diff(want, got, unplaced); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// Lengths in tokens 7, 3, 10, 5, 4 and rows of 10: best fit takes them in the
// order 10, 7, 5, 4, 3 and leaves 10 | 7+3 | 5+4.
func TestPackingIsBestFitDecreasing(t *testing.T) {
	path := write(t, "a.jsonl", jsonRows([]int{1, 1, 1, 1, 1}, []int{5, 1, 8, 3, 2}))
	_, b := batches(t, path, 10, data.BatchConfig{BatchSize: 3, AccumulationSteps: 1, Packing: true})
	var got data.Batch
	b.Plan(0).Step(0).Fill(&got, 0)
	want := []data.Segment{
		{Example: 0, Row: 0, Length: 7}, {Example: 1, Row: 0, Start: 7, Length: 3},
		{Example: 2, Row: 1, Length: 10},
		{Example: 3, Row: 2, Length: 5}, {Example: 4, Row: 2, Start: 5, Length: 4},
	}
	if diff := cmp.Diff(want, got.Segments, unplaced); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// Rows of a micro-batch share the rows of the batch where that saves padding.
// Lengths 40, 20, 44, 20, 44, 40, by hand: six rows of 64 are 384 tokens; 44+20,
// 44+20, 40 and 40 are four of 64, 256 tokens; 44+44+40 and 40+20+20 are two of 128,
// as many, so the shorter rows win; one of 224 is the fewest.
func TestRowsShareABatch(t *testing.T) {
	lengths := []int{40, 20, 44, 20, 44, 40}
	for _, test := range []struct {
		most, rows, length int
	}{
		{256, 1, 224}, {128, 4, 64}, {64, 4, 64}, {44, 5, 44},
	} {
		var prompts, completions []int
		for _, n := range lengths {
			prompts, completions = append(prompts, n-2), append(completions, 1)
		}
		path := write(t, "a.jsonl", jsonRows(prompts, completions))
		_, b := batches(t, path, test.most, data.BatchConfig{BatchSize: 6, AccumulationSteps: 1})
		var got data.Batch
		b.Plan(0).Step(0).Fill(&got, 0)
		if got.Rows != test.rows || got.Length != test.length || got.Tokens != 208 || got.Padded != min(64, test.most) {
			t.Errorf("at most %d: %d rows of %d with %d tokens, padded %d; want %d of %d", test.most, got.Rows, got.Length, got.Tokens, got.Padded, test.rows, test.length)
		}
	}
}

// Ten rows, three to a micro-batch and two micro-batches to a step: steps of
// 3+3 and 3+1 rows, which share rows of the batch. The last short batch is trained.
func TestStepsOfAnEpoch(t *testing.T) {
	path := write(t, "a.jsonl", jsonRows(slices.Repeat([]int{2}, 10), []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 40}))
	_, b := batches(t, path, 64, data.BatchConfig{BatchSize: 3, AccumulationSteps: 2})
	if b.Steps() != 2 || b.Rows() != 10 {
		t.Fatalf("%d steps of %d rows", b.Steps(), b.Rows())
	}
	p := b.Plan(0)
	var batch data.Batch
	var got []string
	for step := range p.Steps() {
		for micro := range p.Step(step).MicroBatches() {
			p.Step(step).Fill(&batch, micro)
			got = append(got, fmt.Sprintf("step %d of %d targets: %d×%d, %d targets, rows", step, int(p.Step(step).Weight()), batch.Rows, batch.Length, batch.TargetTokens))
			for _, s := range batch.Segments {
				got[len(got)-1] += fmt.Sprint(" ", s.Example)
			}
		}
	}
	want := []string{
		"step 0 of 27 targets: 1×32, 9 targets, rows 0 1 2",
		"step 0 of 27 targets: 1×32, 18 targets, rows 3 4 5",
		"step 1 of 68 targets: 2×32, 27 targets, rows 6 7 8",
		"step 1 of 68 targets: 1×64, 41 targets, rows 9",
	}
	if diff := cmp.Diff(want, got, unplaced); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// An epoch's order depends on seed and epoch alone. The shuffled orders were
// worked out by another program from the definition of the stream.
func TestOrder(t *testing.T) {
	path := write(t, "a.jsonl", jsonRows(slices.Repeat([]int{1}, 8), slices.Repeat([]int{1}, 8)))
	order := func(c data.BatchConfig, epoch int) (got []int) {
		c.BatchSize, c.AccumulationSteps = 8, 1
		_, b := batches(t, path, 64, c)
		var batch data.Batch
		b.Plan(epoch).Step(0).Fill(&batch, 0)
		for _, s := range batch.Segments {
			got = append(got, s.Example)
		}
		return got
	}
	tests := []struct {
		name   string
		config data.BatchConfig
		epoch  int
		want   []int
	}{
		{"file order", data.BatchConfig{Seed: 7}, 0, []int{0, 1, 2, 3, 4, 5, 6, 7}},
		{"file order, another epoch", data.BatchConfig{Seed: 7}, 3, []int{0, 1, 2, 3, 4, 5, 6, 7}},
		{"shuffled", data.BatchConfig{Seed: 7, Shuffle: true}, 0, []int{5, 1, 3, 2, 7, 6, 4, 0}},
		{"another epoch", data.BatchConfig{Seed: 7, Shuffle: true}, 1, []int{5, 4, 2, 0, 1, 3, 7, 6}},
		{"another seed", data.BatchConfig{Seed: 8, Shuffle: true}, 0, []int{2, 6, 4, 7, 1, 5, 3, 0}},
	}
	seen := map[string]string{}
	for _, tt := range tests {
		got := order(tt.config, tt.epoch)
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
		if before, ok := seen[fmt.Sprint(got)]; ok && tt.config.Shuffle {
			t.Errorf("%s has the order of %s", tt.name, before)
		}
		seen[fmt.Sprint(got)] = tt.name
		if again := order(tt.config, tt.epoch); !slices.Equal(got, again) {
			t.Errorf("%s: %v, then %v", tt.name, got, again)
		}
	}
}

func TestBatchesRefuses(t *testing.T) {
	d, err := open(t, write(t, "a.jsonl", `{"text":"abc"}`))
	if err != nil {
		t.Fatal(err)
	}
	for want, c := range map[string]data.BatchConfig{
		"a batch of 0 rows":     {AccumulationSteps: 1},
		"-1 accumulation steps": {BatchSize: 1, AccumulationSteps: -1},
	} {
		if _, err := d.Batches(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v", c, err)
		}
	}
}

// Filling a batch that has grown to its largest shape allocates nothing.
func TestFillAllocatesNothing(t *testing.T) {
	path := write(t, "a.jsonl", jsonRows(slices.Repeat([]int{3}, 50), slices.Repeat([]int{1, 5, 9, 20, 30}, 10)))
	for _, packing := range []bool{false, true} {
		_, b := batches(t, path, 64, data.BatchConfig{BatchSize: 4, AccumulationSteps: 2, Packing: packing, Shuffle: true})
		p := b.Plan(0)
		var batch data.Batch
		epoch := func() {
			for step := range p.Steps() {
				_ = int(p.Step(step).Weight())
				for micro := range p.Step(step).MicroBatches() {
					p.Step(step).Fill(&batch, micro)
				}
			}
		}
		epoch()
		if n := testing.AllocsPerRun(10, epoch); n != 0 {
			t.Errorf("packing %v: %v allocations", packing, n)
		}
	}
}

// Whatever the rows and the layout, in an epoch every token of every example is
// exactly one of target, prompt and padding, no row is lost or doubled, no
// target crosses into another example, and the counts are those announced.
func TestEveryTokenIsAccountedFor(t *testing.T) {
	dir := t.TempDir()
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(1, seed))
		between := func(low, high int) int { return low + r.IntN(high-low+1) }
		list := func(n, low, high int) []int {
			l := make([]int, n)
			for i := range l {
				l[i] = between(low, high)
			}
			return l
		}
		n := between(1, 40)
		maxLength := between(20, 90)
		prompts := list(n, 0, 9)
		completions := list(n, 1, 9)
		text := list(between(0, 3), 1, 400)
		paths := []string{filepath.Join(dir, "rows.jsonl")}
		contents := []string{jsonRows(prompts, completions)}
		for i, n := range text {
			paths = append(paths, filepath.Join(dir, fmt.Sprintf("%d.txt", i)))
			contents = append(contents, strings.Repeat("t", n))
		}
		for i, path := range paths {
			if err := os.WriteFile(path, []byte(contents[i]), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		d, err := data.Open(context.Background(), data.Config{Corpora: data.Files(paths...), EncoderConfig: data.EncoderConfig{MaxLength: maxLength, Tokenizer: base}})
		if err != nil {
			t.Fatal(err)
		}
		c := data.BatchConfig{
			BatchSize:         between(1, 5),
			AccumulationSteps: between(1, 4),
			Packing:           r.IntN(2) == 0,
			Shuffle:           r.IntN(2) == 0,
			Seed:              r.Uint64(),
		}
		b, err := d.Batches(c)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			checkEpoch(t, d, b.Plan(between(0, 3)), c, maxLength)
		})
	}
}

func checkEpoch(t *testing.T, d *data.Dataset, p *data.Plan, c data.BatchConfig, maxLength int) {
	seen := make([]int, d.Len())
	total := 0
	var batch data.Batch
	for step := range p.Steps() {
		targets := 0
		for micro := range p.Step(step).MicroBatches() {
			p.Step(step).Fill(&batch, micro)
			checkBatch(t, d, &batch, seen)
			targets += batch.TargetTokens
			if got, want := p.Step(step).Shape(micro), (data.Shape{Rows: batch.Rows, Length: batch.Length, Targets: batch.TargetTokens}); got != want {
				t.Fatalf("shape %+v, batch %+v", got, want)
			}
			if l := batch.Length; l%32 != 0 && l != maxLength || l > maxLength || batch.Rows > c.BatchSize {
				t.Fatalf("%d rows of %d tokens", batch.Rows, l)
			}
		}
		if targets == 0 || targets != int(p.Step(step).Weight()) {
			t.Fatalf("step %d: %d targets, announced %d", step, targets, int(p.Step(step).Weight()))
		}
		if p.Step(step).MicroBatches() > c.AccumulationSteps {
			t.Fatalf("step %d has %d micro-batches", step, p.Step(step).MicroBatches())
		}
		total += targets
	}
	for i, n := range seen {
		if n != 1 {
			t.Fatalf("example %d comes %d times", i, n)
		}
	}
	if total != d.Report().TargetTokens {
		t.Fatalf("%d targets in the epoch, %d in the report", total, d.Report().TargetTokens)
	}
}

func checkBatch(t *testing.T, d *data.Dataset, b *data.Batch, seen []int) {
	covered := make([]bool, b.Rows*b.Length)
	targets, tokens := 0, 0
	for _, s := range b.Segments {
		e := d.Example(s.Example)
		seen[s.Example]++
		if s.Length != len(e.IDs) || s.Start+s.Length > b.Length {
			t.Fatalf("segment %+v of an example of %d tokens in rows of %d", s, len(e.IDs), b.Length)
		}
		for i, id := range e.IDs {
			at := s.Row*b.Length + s.Start + i
			if covered[at] {
				t.Fatalf("two segments at row %d position %d", s.Row, s.Start+i)
			}
			covered[at] = true
			tokens++
			if b.IDs[at] != id || int(b.Positions[at]) != i {
				t.Fatalf("token %d of example %d: id %d at position %d, want %d", i, s.Example, b.IDs[at], b.Positions[at], id)
			}
			want := int32(data.Ignore)
			if i+1 < len(e.IDs) && e.Target[i+1] {
				want = e.IDs[i+1]
				targets++
			}
			if b.Targets[at] != want {
				t.Fatalf("token %d of example %d has target %d, want %d", i, s.Example, b.Targets[at], want)
			}
		}
	}
	for at, c := range covered {
		if !c && (b.IDs[at] != padding || b.Targets[at] != data.Ignore || b.Positions[at] != 0) {
			t.Fatalf("padding at %d: id %d, target %d, position %d", at, b.IDs[at], b.Targets[at], b.Positions[at])
		}
	}
	if tokens != b.Tokens || targets != b.TargetTokens {
		t.Fatalf("%d tokens and %d targets, the batch says %d and %d", tokens, targets, b.Tokens, b.TargetTokens)
	}
}

func fill(n int, v int32) []int32 { return slices.Repeat([]int32{v}, n) }
