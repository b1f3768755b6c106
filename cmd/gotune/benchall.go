package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"gotune/train"
)

// benchWork is a line of the table of docs/performance.md. The peer takes the same
// flags under its own names.
type benchWork struct {
	name, shape, mode string
	precision         string // of products and, in the mode lora, of frozen weights
	rows, length      int
	masked            float64
	checkpointing     string // as the flag has it; none is left out
	steps             int    // of a run; small shapes take more
}

var benchWorks = []benchWork{
	{"SmolLM2-135M, LoRA, 4×512", "smollm2-135m", "lora", "fp32", 4, 512, 0.5, "none", 3},
	{"the same, gradient checkpointing", "smollm2-135m", "lora", "fp32", 4, 512, 0.5, "blocks", 3},
	{"the same, bf16", "smollm2-135m", "lora", "bf16", 4, 512, 0.5, "none", 3},
	{"the same, bf16, gradient checkpointing", "smollm2-135m", "lora", "bf16", 4, 512, 0.5, "blocks", 3},
	{"toy, LoRA, 16×128", "toy", "lora", "fp32", 16, 128, 0.5, "none", 21},
	{"toy, full, 16×128", "toy", "full", "fp32", 16, 128, 0.5, "none", 21},
	{"GPT-2 124M, full, 4×64", "gpt2-124m", "full", "fp32", 4, 64, 0, "none", 4},
	{"SmolLM2-360M, LoRA, 2×512, bf16, gradient checkpointing", "smollm2-360m", "lora", "bf16", 2, 512, 0.5, "blocks", 3},
}

// A benchRow is what was measured of one work, and of the peer on the same.
type benchRow struct {
	Name          string  `json:"name"`
	Tokens        float64 `json:"tokens_per_second"` // medians over the rounds
	MiB           float64 `json:"peak_rss_mib"`
	PeakShare     float64 `json:"peak_share"`
	Level         string  `json:"cpu_level"`
	PeerTokens    float64 `json:"peer_tokens_per_second,omitempty"`
	PeerMiB       float64 `json:"peer_peak_rss_mib,omitempty"`
	Ratio         float64 `json:"ratio,omitempty"` // of tokens a second in one round: median, lowest, highest
	RatioLow      float64 `json:"ratio_low,omitempty"`
	RatioHigh     float64 `json:"ratio_high,omitempty"`
	RatioOfMemory float64 `json:"ratio_of_memory,omitempty"`
}

// work is what the flags ask for.
func (f *benchFlags) work() benchWork {
	return benchWork{f.shape, f.shape, f.mode, f.precision, f.Rows, f.Length, f.Masked, f.checkpointing, f.Steps}
}

// benchAll measures the works of a table. Every measurement is a process of its own, so that
// resident memory is that of one work; with a peer the two take turns.
func (f *benchFlags) benchAll(ctx context.Context, w, progress io.Writer, works []benchWork) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	var rows []benchRow
	for _, work := range works {
		fmt.Fprintln(progress, work.name)
		r, err := f.inTurn(ctx, self, work)
		if err != nil {
			return fmt.Errorf("%s: %w", work.name, err)
		}
		rows = append(rows, r)
	}
	if f.json {
		return json.NewEncoder(w).Encode(rows)
	}
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "shape, work\ttokens/s\tMiB\tof peak\tlevel\tpeer tokens/s\tpeer MiB\tratio\tmemory")
	for _, r := range rows {
		fmt.Fprintf(t, "%s\t%.0f\t%.0f\t%.0f %%\t%s", r.Name, r.Tokens, r.MiB, 100*r.PeakShare, r.Level)
		if f.peer != "" {
			fmt.Fprintf(t, "\t%.0f\t%.0f\t%.2f× (%.2f…%.2f)\t%.2f", r.PeerTokens, r.PeerMiB, r.Ratio, r.RatioLow, r.RatioHigh, r.RatioOfMemory)
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}

// benchLine is what is read of the JSON of either side.
type benchLine struct {
	Tokens    float64 `json:"tokens_per_second"`
	MiB       float64 `json:"peak_rss_mib"`
	PeakShare float64 `json:"peak_share"`
	Level     string  `json:"cpu_level"`
}

// inTurn measures one work so many times, each time followed by the peer.
func (f *benchFlags) inTurn(ctx context.Context, self string, work benchWork) (benchRow, error) {
	r := benchRow{Name: work.name}
	var tokens, peers, shares, ratios train.BenchRounds
	base := "fp32"
	if work.mode == "lora" {
		base = work.precision
	}
	for range f.rounds {
		ours, err := measured(ctx, append([]string{self, "bench", "--json", "--precision", work.precision, "--base-precision", base}, work.flags(f.Threads, "--gradient-checkpointing", work.checkpointing)...))
		if err != nil {
			return r, err
		}
		tokens, shares = append(tokens, ours.Tokens), append(shares, ours.PeakShare)
		r.MiB, r.Level = max(r.MiB, ours.MiB), ours.Level
		if f.peer == "" {
			continue
		}
		peer, err := measured(ctx, append(strings.Fields(f.peer), append(work.flags(f.Threads, "--checkpointing"), "--dtype", work.precision)...))
		if err != nil {
			return r, err
		}
		peers, ratios = append(peers, peer.Tokens), append(ratios, ours.Tokens/peer.Tokens)
		r.PeerMiB = max(r.PeerMiB, peer.MiB)
	}
	r.Tokens, r.PeakShare = tokens.Median(), shares.Median()
	if f.peer != "" {
		r.PeerTokens, r.Ratio, r.RatioOfMemory = peers.Median(), ratios.Median(), r.MiB/r.PeerMiB
		r.RatioLow, r.RatioHigh = slices.Min(ratios), slices.Max(ratios)
	}
	return r, nil
}

// flags are those that both sides share, and what switches checkpointing on.
func (b benchWork) flags(threads int, checkpointing ...string) []string {
	all := []string{"--shape", b.shape, "--mode", b.mode, "--rows", strconv.Itoa(b.rows), "--length", strconv.Itoa(b.length),
		"--masked", strconv.FormatFloat(b.masked, 'g', -1, 64), "--steps", strconv.Itoa(b.steps)}
	if threads > 0 {
		all = append(all, "--threads", strconv.Itoa(threads))
	}
	if b.checkpointing != "none" {
		all = append(all, checkpointing...)
	}
	return all
}

// measured runs a command and reads the last line that it prints.
func measured(ctx context.Context, command []string) (benchLine, error) {
	var l benchLine
	var stderr bytes.Buffer
	c := exec.CommandContext(ctx, command[0], command[1:]...)
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		return l, fmt.Errorf("%s: %w\n%s", strings.Join(command, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
	if err := json.Unmarshal(lines[len(lines)-1], &l); err != nil {
		return l, fmt.Errorf("%s: its last line is no JSON: %w", strings.Join(command, " "), err)
	}
	if !(l.Tokens > 0) || math.IsInf(l.Tokens, 0) {
		return l, fmt.Errorf("%s: it says %g tokens_per_second", strings.Join(command, " "), l.Tokens)
	}
	return l, nil
}
