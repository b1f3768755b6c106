package data_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gotune/data"
	"gotune/data/rows"
)

func stream(t testing.TB, c data.StreamConfig) *data.Stream {
	t.Helper()
	if c.Tokenizer == nil {
		c.Tokenizer = base
	}
	s, err := data.NewStream(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// next returns the batches of the next step, nil at the end.
func next(t testing.TB, s *data.Stream) []data.Batch {
	t.Helper()
	step, err := s.Next(t.Context())
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	all := make([]data.Batch, step.MicroBatches())
	for i := range all {
		step.Fill(&all[i], i)
	}
	return all
}

// mixed writes rows of several forms: texts that are cut into pieces, prompts
// with completions, conversations, some too long and some empty.
func mixed(t testing.TB, r *rand.Rand, n int) []data.Corpus {
	t.Helper()
	dir := t.TempDir()
	var texts, pairs, chats strings.Builder
	for i := range n {
		fmt.Fprintf(&texts, "{\"text\":%q}\n", fmt.Sprintf("text %d %s", i, strings.Repeat("t", r.IntN(90))))
		fmt.Fprintf(&pairs, "{\"prompt\":%q,\"completion\":%q}\n", fmt.Sprintf("prompt %d", i), strings.Repeat("c", r.IntN(30)+min(1, i%20)))
		fmt.Fprintf(&chats, `{"messages":[{"role":"user","content":%q},{"role":"assistant","content":"a"}]}`+"\n", fmt.Sprintf("ask %d", i))
	}
	var paths []string
	for name, content := range map[string]string{"texts.jsonl": texts.String(), "pairs.jsonl": pairs.String(), "chats.jsonl": chats.String()} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	slices.Sort(paths)
	return data.Files(paths...)
}

// segments lists what a step learns, an example an entry.
func segments(step []data.Batch) (all []string) {
	for _, b := range step {
		for _, s := range b.Segments {
			at := s.Row*b.Length + s.Start
			all = append(all, fmt.Sprint(s.At, b.IDs[at:at+s.Length], b.Targets[at:at+s.Length], b.Positions[at:at+s.Length]))
		}
	}
	return all
}

// In an epoch a stream gives exactly the examples that a dataset of the same
// data has, however they are laid out.
func TestStreamGivesEveryRowOnceInAnEpoch(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for trial := range 40 {
		c := data.StreamConfig{
			Corpora:       mixed(t, r, 1+r.IntN(80)),
			EncoderConfig: data.EncoderConfig{Tokenizer: base, MaxLength: 40 + r.IntN(40)},
			BatchConfig: data.BatchConfig{
				BatchSize: 1 + r.IntN(4), AccumulationSteps: 1 + r.IntN(3),
				Packing: r.IntN(2) == 0, Shuffle: r.IntN(3) > 0, Seed: r.Uint64(),
			},
			Buffer: 1 + r.IntN(50),
			Epochs: 3,
		}
		d, err := data.Open(t.Context(), data.Config{Corpora: c.Corpora, EncoderConfig: c.EncoderConfig})
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		whole, err := d.Batches(data.BatchConfig{BatchSize: 1, AccumulationSteps: 1})
		if err != nil {
			t.Fatal(err)
		}
		for i := range whole.Steps() {
			var b data.Batch
			whole.Plan(0).Step(i).Fill(&b, 0)
			want = append(want, segments([]data.Batch{b})...)
		}
		slices.Sort(want)

		s := stream(t, c)
		got := make([][]string, c.Epochs)
		short := 0
		for {
			step := next(t, s)
			if step == nil {
				break
			}
			got[s.Epoch()] = append(got[s.Epoch()], segments(step)...)
			rows := 0
			for i, b := range step {
				n := b.Rows
				if !c.Packing {
					n = len(b.Segments) // which may share rows
				}
				rows += n
				if b.Length > c.MaxLength || n < c.BatchSize && i < len(step)-1 {
					t.Fatalf("trial %d: micro-batch %d of %d has %d rows of %d", trial, i, len(step), n, b.Length)
				}
			}
			if rows < c.BatchSize*c.AccumulationSteps {
				short++
			}
		}
		inOrder := slices.Clone(got[0])
		for epoch, list := range got {
			if !c.Shuffle && !slices.Equal(list, inOrder) {
				t.Errorf("trial %d: epoch %d has another order", trial, epoch)
			}
			slices.Sort(list)
			if d := cmp.Diff(want, list); d != "" {
				t.Fatalf("trial %d, epoch %d: %s", trial, epoch, d)
			}
		}
		if short > c.Epochs {
			t.Errorf("trial %d: %d short steps in %d epochs", trial, short, c.Epochs)
		}
		report := d.Report()
		report.Lengths, report.Duplicates, report.FirstDuplicates, report.Findings = data.Lengths{}, 0, nil, nil // a stream does not look for these
		streamed := s.Report()
		streamed.Findings = nil
		if d := cmp.Diff(report, streamed, sameFiles); d != "" {
			t.Errorf("trial %d: the reports differ: %s", trial, d)
		}
	}
}

// A run that is killed after any step goes on with the same bytes.
func TestStreamResumesWithTheSameBytes(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for trial := range 6 {
		c := data.StreamConfig{
			Corpora:       mixed(t, r, 5+r.IntN(20)),
			EncoderConfig: data.EncoderConfig{Tokenizer: base, MaxLength: 40},
			BatchConfig:   data.BatchConfig{BatchSize: 1 + r.IntN(3), AccumulationSteps: 2, Packing: trial%2 == 0, Shuffle: trial%3 > 0, Seed: 7},
			Buffer:        1 + r.IntN(30),
			Epochs:        2,
		}
		s := stream(t, c)
		var steps [][]data.Batch
		states := [][]byte{state(t, s)}
		for {
			step := next(t, s)
			if step == nil {
				break
			}
			steps, states = append(steps, step), append(states, state(t, s))
		}
		report := s.Report()
		for killed := 0; killed <= len(steps); killed += 1 + r.IntN(4) {
			s := stream(t, c)
			if err := s.Restore(t.Context(), states[killed]); err != nil {
				t.Fatal(err)
			}
			for i := killed; i <= len(steps); i++ {
				if now := state(t, s); !bytes.Equal(now, states[i]) {
					t.Fatalf("trial %d, killed after %d: the state at step %d is\n%s\nwant\n%s", trial, killed, i, now, states[i])
				}
				if i == len(steps) {
					break
				}
				if d := cmp.Diff(steps[i], next(t, s)); d != "" {
					t.Fatalf("trial %d, killed after %d: step %d: %s", trial, killed, i, d)
				}
			}
			if end := next(t, s); end != nil {
				t.Error("a step too many")
			}
			if d := cmp.Diff(report, s.Report(), sameFiles); d != "" {
				t.Errorf("trial %d, killed after %d: %s", trial, killed, d)
			}
		}
	}
}

var sameFiles = cmp.Comparer(func(a, b rows.File) bool { return a.String() == b.String() })

func state(t testing.TB, s *data.Stream) []byte {
	t.Helper()
	b, err := s.State()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Cancelling in the middle of a step loses nothing either.
func TestStreamGoesOnAfterCancelling(t *testing.T) {
	c := data.StreamConfig{
		Corpora:       mixed(t, rand.New(rand.NewPCG(5, 6)), 30),
		EncoderConfig: data.EncoderConfig{MaxLength: 40},
		BatchConfig:   data.BatchConfig{BatchSize: 2, AccumulationSteps: 2, Shuffle: true},
		Buffer:        10,
	}
	straight, stopped := stream(t, c), stream(t, c)
	for i := range 40 {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := stopped.Next(ctx); err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		} else if err == nil {
			continue // everything for this step was in memory
		}
		if i%3 == 0 {
			again := stream(t, c)
			if err := again.Restore(t.Context(), state(t, stopped)); err != nil {
				t.Fatal(err)
			}
			stopped = again
		}
		if d := cmp.Diff(next(t, straight), next(t, stopped)); d != "" {
			t.Fatalf("step %d: %s", i, d)
		}
	}
}

func TestStreamRefusesChangedData(t *testing.T) {
	repeated := func(n int, text string) string {
		return strings.Repeat(`{"text":"`+text+`"}`+"\n", n)
	}
	path := write(t, "a.jsonl", repeated(50, "abc"))
	c := data.StreamConfig{
		Corpora:       data.Files(path),
		EncoderConfig: data.EncoderConfig{MaxLength: 40},
		BatchConfig:   data.BatchConfig{BatchSize: 2, AccumulationSteps: 1, Shuffle: true},
		Buffer:        10,
	}
	s := stream(t, c)
	for range 5 {
		next(t, s)
	}
	saved := state(t, s)
	tests := []struct {
		name, content string
		state         []byte
		want          string
	}{
		{"fewer rows", repeated(10, "abc"), saved, "there are 10 rows, and it had read 19"},
		{"other rows", repeated(50, "abd"), saved, "no longer the same"},
		{"no state", repeated(50, "abc"), []byte("x"), "cannot be read"},
		{"an empty state", repeated(50, "abc"), []byte("{}"), "does not fit"},
	}
	for _, tt := range tests {
		if err := os.WriteFile(path, []byte(tt.content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := stream(t, c).Restore(t.Context(), tt.state); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want one with %q", tt.name, err, tt.want)
		}
	}
	if err := os.WriteFile(path, []byte(repeated(50, "abc")), 0o600); err != nil {
		t.Fatal(err)
	}
	smaller := c
	smaller.Buffer = 3
	if err := stream(t, smaller).Restore(t.Context(), saved); err == nil || !strings.Contains(err.Error(), "a buffer of") {
		t.Errorf("a smaller buffer: %v", err)
	}
	if err := stream(t, c).Restore(t.Context(), saved); err != nil {
		t.Error(err)
	}
}

func TestStreamRefuses(t *testing.T) {
	good := data.Files(write(t, "a.jsonl", `{"text":"abc"}`))
	weighted := data.Files(good[0].Path)
	weighted[0].Weight = 1
	empty := data.Files(write(t, "b.jsonl", strings.Repeat(`{"prompt":"p","completion":""}`+"\n", 2000)))
	broken := data.Files(write(t, "c.jsonl", `{"text":"abc"}`+"\n{"))
	long := data.Files(write(t, "d.jsonl", `{"prompt":"p","completion":"`+strings.Repeat("c", 100)+`"}`))
	tests := []struct {
		name string
		c    data.StreamConfig
		want string
	}{
		{"no data", data.StreamConfig{Buffer: 1}, "name at least one file"},
		{"a weight", data.StreamConfig{Corpora: weighted, Buffer: 1}, "cannot be had with streaming"},
		{"no buffer", data.StreamConfig{Corpora: good}, "a shuffle buffer of 0 rows"},
		{"no file", data.StreamConfig{Corpora: data.Files("none.jsonl"), Buffer: 1}, "none.jsonl"},
		{"empty completions", data.StreamConfig{Corpora: empty, Buffer: 1}, "after 1000 rows: no row is left to learn from: of 1000, 1000 have nothing to learn, an empty completion or no assistant turn"},
		{"a broken row", data.StreamConfig{Corpora: broken, Buffer: 1}, "c.jsonl:2: invalid JSON"},
		{"all too long", data.StreamConfig{Corpora: long, Buffer: 1}, "no row is left to learn from: of 1, 0 have nothing to learn, an empty completion or no assistant turn and 1 are longer than 40 tokens"},
	}
	for _, tt := range tests {
		tt.c.EncoderConfig = data.EncoderConfig{Tokenizer: base, MaxLength: 40}
		tt.c.BatchConfig = data.BatchConfig{BatchSize: 1, AccumulationSteps: 1, Shuffle: true}
		s, err := data.NewStream(t.Context(), tt.c)
		for range 5 {
			if err == nil {
				_, err = s.Next(t.Context())
			}
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want one with %q", tt.name, err, tt.want)
		}
	}
}

// The buffer spreads rows: of 1000 rows with a buffer of 100, where a row comes
// is anywhere from 100 before its place on, and another place in each epoch.
func TestStreamShuffles(t *testing.T) {
	var content strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&content, "{\"text\":\"%d\"}\n", i)
	}
	c := data.StreamConfig{
		Corpora:       data.Files(write(t, "a.jsonl", content.String())),
		EncoderConfig: data.EncoderConfig{MaxLength: 40},
		BatchConfig:   data.BatchConfig{BatchSize: 1, AccumulationSteps: 1, Shuffle: true, Seed: 1},
		Buffer:        100,
		Epochs:        2,
	}
	s := stream(t, c)
	var order [2][]int
	for step := next(t, s); step != nil; step = next(t, s) {
		order[s.Epoch()] = append(order[s.Epoch()], step[0].Segments[0].At.Line-1)
	}
	if slices.Equal(order[0], order[1]) {
		t.Error("both epochs have the same order")
	}
	later := 0
	for i, row := range order[0] {
		if row > i+100 {
			t.Errorf("row %d comes %d-th, before it was in the buffer", row, i)
		}
		if row < i {
			later++
		}
	}
	if later < 300 {
		t.Errorf("only %d rows come later than in the file", later)
	}
	mean := 0.0
	for _, row := range order[0][:100] {
		mean += float64(row) / 100
	}
	if mean < 40 || mean > 140 {
		t.Errorf("the first hundred are rows %.0f on average", mean)
	}
}

// A file many times the size of what is held.
func TestStreamTakesConstantMemory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.jsonl")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	line := `{"text":"` + strings.Repeat("abcdefgh ", 100) + `"}` + "\n"
	for range 40 {
		if _, err := f.WriteString(strings.Repeat(line, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	s := stream(t, data.StreamConfig{
		Corpora:       data.Files(path),
		EncoderConfig: data.EncoderConfig{MaxLength: 256},
		BatchConfig:   data.BatchConfig{BatchSize: 50, AccumulationSteps: 10, Packing: true, Shuffle: true},
		Buffer:        200,
		Epochs:        1,
	})
	var most uint64
	n := 0
	for step := next(t, s); step != nil; step = next(t, s) {
		if n++; n%40 == 0 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
		}
	}
	if s.Report().Rows != 40_000 || most > 30<<20 {
		t.Errorf("%d rows, %d bytes in use", s.Report().Rows, most)
	}
	if saved := state(t, s); len(saved) > 64<<10 {
		t.Errorf("a state of %d bytes", len(saved))
	}
}

func FuzzStreamRestore(f *testing.F) {
	c := data.StreamConfig{
		Corpora:       data.Files(write(f, "a.jsonl", strings.Repeat(`{"text":"abc"}`+"\n", 20))),
		EncoderConfig: data.EncoderConfig{MaxLength: 8, Tokenizer: base},
		BatchConfig:   data.BatchConfig{BatchSize: 1, AccumulationSteps: 1, Shuffle: true, Packing: true},
		Buffer:        5,
	}
	s := stream(f, c)
	for range 3 {
		f.Add(state(f, s))
		next(f, s)
	}
	f.Fuzz(func(t *testing.T, saved []byte) {
		s := stream(t, c)
		if s.Restore(t.Context(), saved) == nil {
			for range 5 {
				next(t, s)
			}
		}
	})
}

// A step that is taken back comes again, from the stream and from its state.
func TestStreamTakesAStepBack(t *testing.T) {
	corpora := mixed(t, rand.New(rand.NewPCG(3, 4)), 30)
	for _, packing := range []bool{false, true} {
		c := data.StreamConfig{Corpora: corpora, EncoderConfig: data.EncoderConfig{MaxLength: 64, Tokenizer: base}, Buffer: 9, Epochs: 1,
			BatchConfig: data.BatchConfig{BatchSize: 4, AccumulationSteps: 1, Shuffle: true, Packing: packing}}
		s := stream(t, c)
		steps := 0
		for want := next(t, s); want != nil; want = next(t, s) {
			steps++
			s.Back()
			state, err := s.State()
			if err != nil {
				t.Fatal(err)
			}
			again := stream(t, c)
			if err := again.Restore(t.Context(), state); err != nil {
				t.Fatal(err)
			}
			for _, got := range [][]data.Batch{next(t, s), next(t, again)} {
				if diff := cmp.Diff(segments(want), segments(got)); diff != "" {
					t.Fatalf("packing %t, step %d: -want +got:\n%s", packing, steps, diff)
				}
			}
		}
		if steps < 8 {
			t.Errorf("%d steps", steps)
		}
	}
}
