package report_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"gotune/report"
	"gotune/study"
)

// A study's result becomes a page, and each picture files for slides.
func Example() {
	folder, err := os.MkdirTemp("", "report")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	arm := func(name string, recall ...float64) study.ArmResult {
		a := study.ArmResult{Name: name}
		for i, r := range recall {
			a.Runs = append(a.Runs, study.RunResult{Seed: uint64(i + 1), Status: "finished", Metrics: map[string]float64{"recall": r}})
		}
		return a
	}
	raw, err := json.Marshal(study.Result{
		ID: "ranks", Title: "Rank 8 or 32?", Seeds: []uint64{1, 2, 3},
		Metrics: []study.Metric{{Name: "recall", Better: "higher"}},
		Arms:    []study.ArmResult{arm("rank-8", 0.61, 0.64, 0.58), arm("rank-32", 0.63, 0.66, 0.65)},
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "result.json"), raw, 0o644); err != nil {
		log.Fatal(err)
	}

	r, err := report.Open(folder)
	if err != nil {
		log.Fatal(err)
	}
	page, err := r.Write(context.Background(), filepath.Join(folder, "report"))
	if err != nil {
		log.Fatal(err)
	}
	table, err := os.ReadFile(filepath.Join(folder, "report", "pictures", "ranks-recall-arms.csv"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(filepath.Base(page))
	fmt.Print(string(table))
	// Output:
	// report.html
	// arm,mean,low,high,seeds
	// rank-8,0.61,0.535475869,0.684524131,3
	// rank-32,0.646666667,0.608720836,0.684612497,3
}
