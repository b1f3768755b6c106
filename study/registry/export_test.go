package registry

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
)

// What is exported as Parquet is read back as what it was.
func TestParquet(t *testing.T) {
	all := listed(t, synced(t, lab(t)), Filter{})
	var b bytes.Buffer
	if err := Export(&b, Parquet, all); err != nil {
		t.Fatal(err)
	}
	type row struct {
		Run      string     `parquet:"run"`
		Status   *string    `parquet:"status"`
		Started  *time.Time `parquet:"started,timestamp"`
		Steps    *float64   `parquet:"steps"`
		Rank     *float64   `parquet:"recipe.lora_rank"`
		Schedule *string    `parquet:"recipe.schedule"`
		Loss     *float64   `parquet:"metric.loss"`
		Recall   *float64   `parquet:"metric.recall"`
	}
	got, err := parquet.Read[row](bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	var want []row
	for _, r := range all {
		one := row{Run: r.Folder, Status: &r.Status}
		if r.Status != statusBroken {
			steps, schedule := float64(r.Steps), "cosine"
			one.Steps, one.Schedule, one.Started = &steps, &schedule, &r.Started
		}
		if rank, ok := finite(string(r.Recipe["lora_rank"])); ok {
			one.Rank = &rank
		}
		if v, ok := r.Metrics["loss"]; ok {
			one.Loss = &v
		}
		if v, ok := r.Metrics["recall"]; ok {
			one.Recall = &v
		}
		want = append(want, one)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestExportText(t *testing.T) {
	all := listed(t, synced(t, lab(t)), Filter{})
	var b bytes.Buffer
	if err := Export(&b, CSV, all); err != nil {
		t.Fatal(err)
	}
	lines, err := csv.NewReader(&b).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	rank, match := slices.Index(lines[0], "recipe.lora_rank"), slices.Index(lines[0], "metric.exact_match")
	var got []string
	for _, line := range lines {
		got = append(got, strings.Join([]string{line[0], line[1], line[rank], line[match]}, " "))
	}
	if d := cmp.Diff([]string{
		"run status recipe.lora_rank metric.exact_match", "runs/halfway unfinished 8 ", "runs/all finished  1",
		"runs/large finished 32 0.75", "runs/small finished 8 0.25", "runs/broken broken  ",
	}, got); d != "" {
		t.Error(d)
	}

	b.Reset()
	if err := Export(&b, JSON, all); err != nil {
		t.Fatal(err)
	}
	var runs []struct {
		Run    string `json:"run"`
		Recipe struct {
			Rank    float64 `json:"lora_rank"`
			Full    bool    `json:"full"`
			Special string  `json:"special_tokens"`
		} `json:"recipe"`
		Metrics map[string]float64 `json:"metrics"`
	}
	if err := json.Unmarshal(b.Bytes(), &runs); err != nil {
		t.Fatal(err)
	}
	if r := runs[2]; r.Run != "runs/large" || r.Recipe.Rank != 32 || r.Recipe.Full || !strings.HasPrefix(r.Recipe.Special, "<|") || r.Metrics["recall"] != 0.25 {
		t.Errorf("%+v", r)
	}
	if strings.Contains(b.String(), `\u003c`) {
		t.Error("control tokens are escaped")
	}
	if err := Export(&b, "xml", all); err == nil || !strings.Contains(err.Error(), "csv, json, parquet") {
		t.Errorf("error: %v", err)
	}
}

// An export of no runs is a table without lines.
func TestExportNothing(t *testing.T) {
	for format, want := range map[Format]string{CSV: "run,status,error,started,model,method,data,steps,planned,arm\n", JSON: "[]\n"} {
		var b bytes.Buffer
		if err := Export(&b, format, nil); err != nil || b.String() != want {
			t.Errorf("%s: %q, %v", format, b.String(), err)
		}
	}
	var b bytes.Buffer
	if err := Export(&b, Parquet, nil); err != nil || b.Len() == 0 {
		t.Error(err)
	}
}

func TestCompare(t *testing.T) {
	all := listed(t, synced(t, lab(t)), Filter{Study: "k05-rise"})
	c := Compare(all)
	var got []string
	for _, d := range c.Recipe {
		got = append(got, d.Key+" "+string(d.Values[0])+" "+string(d.Values[1]))
	}
	if d := cmp.Diff([]string{"lora_rank 32 8", "seed 7 42"}, got); d != "" {
		t.Error(d)
	}
	if len(all[0].Recipe) != c.Same+len(c.Recipe) {
		t.Errorf("%d keys, %d of them the same", len(all[0].Recipe), c.Same)
	}
	last := c.Metrics[len(c.Metrics)-1]
	if c.Metrics[0].Name != "loss" || last.Name != "tokens" || *c.Metrics[0].Values[1] != 1.5 {
		t.Errorf("%+v", c.Metrics)
	}
}
