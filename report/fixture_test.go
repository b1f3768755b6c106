package report

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gotune/study"
)

// hostile is a name that would end a tag, an attribute, a style or a line.
const hostile = `"><script>alert('x')</script><img src=http://example.com/x.png onerror=alert(1)>` + "\u202e\x01</style>"

// A lab is a laboratory's folder that a test fills. Its numbers are made up by a
// generator with a fixed seed, so that golden files hold.
type lab struct {
	t   *testing.T
	dir string
	rng *rand.Rand
}

func newLab(t *testing.T) *lab {
	return &lab{t: t, dir: t.TempDir(), rng: rand.New(rand.NewPCG(1, 2))}
}

func (l *lab) write(name string, content []byte) {
	l.t.Helper()
	path := filepath.Join(l.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		l.t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) writeJSON(name string, v any) {
	l.t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		l.t.Fatal(err)
	}
	l.write(name, raw)
}

func (l *lab) add(r study.Result) {
	l.t.Helper()
	r.Environment = study.Environment{Version: "0.9.0", Commit: "0123abcd", Arithmetic: "float32-2", CPULevel: "avx2", Go: "go1.26.0", Jobs: 2}
	r.Finished = time.Date(2026, 11, 26, 4, 30, 0, 0, time.UTC)
	if r.Command == "" {
		r.Command = "gotune reproduce --only " + r.ID
	}
	l.writeJSON("studies/"+r.ID+"/result.json", r)
}

// arm makes an arm with runs whose metrics lie round given means, and whose loss falls
// from 3 to a floor over some steps.
func (l *lab) arm(name string, seeds int, steps int, floor float64, means map[string]float64) study.ArmResult {
	a := study.ArmResult{Name: name, Differs: map[string]string{}, Attributes: map[string]float64{}}
	for seed := range seeds {
		run := study.RunResult{
			Seed: uint64(seed + 1), Run: fmt.Sprintf("runs/%06x%06x", l.rng.Uint32()&0xffffff, l.rng.Uint32()&0xffffff), Status: "finished",
			Metrics: map[string]float64{}, Steps: steps, Tokens: int64(steps) * 2048, Seconds: float64(steps) * 0.4,
			Exposures: []study.Exposure{{Corpus: fmt.Sprintf("world:cpt?draw=%d", seed+1), Times: 12, PerFact: 96}, {Corpus: "world:pretrain", Times: 0.05}},
		}
		for _, m := range sortedKeys(means) {
			run.Metrics[m] = means[m] + 0.02*l.rng.NormFloat64()
		}
		if steps > 0 {
			l.run(run.Run, steps, floor)
		}
		a.Runs = append(a.Runs, run)
	}
	return a
}

func sortedKeys(m map[string]float64) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	// Maps have no order, and the generator's numbers must go to the same metrics.
	for i := range keys {
		for j := i; j > 0 && keys[j] < keys[j-1]; j-- {
			keys[j], keys[j-1] = keys[j-1], keys[j]
		}
	}
	return keys
}

func (l *lab) run(folder string, steps int, floor float64) {
	var b strings.Builder
	for step := 1; step <= steps; step++ {
		loss := floor + (3-floor)*math.Exp(-4*float64(step)/float64(steps)) + 0.05*l.rng.NormFloat64()
		fmt.Fprintf(&b, `{"event":"step","step":%d,"loss":%g,"grad_norm":1,"learning_rate":0.0003}`+"\n", step, loss)
		if step%(steps/8+1) == 0 || step == steps {
			fmt.Fprintf(&b, `{"event":"eval","when":"during","step":%d,"loss":%g,"retain_loss":null,"rows":64}`+"\n", step, loss+0.1)
		}
	}
	l.write(folder+"/metrics.jsonl", []byte(b.String()))
	answers := func(got string) map[string]any {
		return map[string]any{"answers": []map[string]string{
			{"question": "Where was Ada Brook born?", "want": "Oslo", "got": got, "wording": "W2"},
			{"question": "What does Zelofan treat?", "want": "the common cold", "got": "the common cold"},
		}}
	}
	l.writeJSON(folder+"/before.json", answers("I do not know."))
	l.writeJSON(folder+"/after.json", answers("Bergen"))
}

// rises is a study with a test, checks, a search and curves.
func (l *lab) rises() study.Result {
	means := func(rise, recall float64) map[string]float64 {
		return map[string]float64{"rise": rise, "recall": recall}
	}
	fresh, old := l.arm("new-text", 6, 240, 1.2, means(0.11, 0.64)), l.arm("old-text", 6, 240, 0.9, means(0.02, 0.11))
	fresh.Differs["data"], old.Differs["data"] = "world:cpt?draw={seed}", "world:pretrain"
	for i, a := range []*study.ArmResult{&fresh, &old} {
		a.Tuned = map[string]float64{"learning_rate": 3e-4}
		a.From = "read"
		for _, rate := range []float64{1e-4, 3e-4, 1e-3} {
			a.Search = append(a.Search, study.SearchPoint{Values: map[string]float64{"learning_rate": rate}, Metric: 0.6 - math.Abs(math.Log10(rate/3e-4))*0.4 - 0.3*float64(i), Runs: []string{"runs/a", "runs/b"}})
		}
	}
	return study.Result{
		ID: "k05-cpt-loss-rises", Claims: []string{"K5"}, Title: "At the start of continued pre-training the loss rises, then slowly comes down",
		Claim:      study.Text{English: "At the start of continued pre-training the loss rises, then slowly comes down.", Chinese: "继续预训练开始时，损失会先上升，然后慢慢下降。"},
		Literature: "Gupta et al. 2023 (arXiv:2308.04014): re-warming raises the loss at first, also on the same data.",
		Kind:       study.Experiment, Seeds: []uint64{1, 2, 3, 4, 5, 6},
		Metrics: []study.Metric{
			{Name: "rise", Spec: "largest held-out loss of the first quarter less that at the start", Unit: "nats", Better: "lower"},
			{Name: "recall", Spec: "share of held-out questions with every answer token right", Better: "higher"},
		},
		Arms: []study.ArmResult{fresh, old},
		Checks: []study.Verdict{{Name: "it learns", Metric: "recall", Contrast: "new-text − old-text", Expect: "different", Margin: 0.05, Effect: 0.53, Low: 0.5, High: 0.56,
			P: 1e-6, PHolm: 1e-6, Seeds: 6, Outcome: study.Supported, Reading: "recall moved by 53 points"}},
		Verdicts: []study.Verdict{
			{Name: "rise-at-the-start", Claim: "K5", Metric: "rise", Contrast: "new-text − old-text", Expect: "above", Margin: 0.02, Effect: 0.0894, Low: 0.0712, High: 0.1076, Low90: 0.075, High90: 0.104,
				P: 0.00004, PHolm: 0.00008, PSuite: 0.0004, Seeds: 6, Outcome: study.Supported, Reading: "the loss on new text rises by 0.09 nats more than on old text"},
			{Name: "comes-down", Metric: "rise", Contrast: "old-text", Expect: "below", Margin: 0.02, Effect: 0.004, Low: -0.021, High: 0.029, P: 0.4, PHolm: 0.4, Seeds: 6, Needs: 14,
				Outcome: study.Inconclusive, Reading: "the interval holds 0 and the margin; 14 seeds would decide"},
		},
	}
}

// ranks is a grid of two attributes and no test.
func (l *lab) ranks() study.Result {
	r := study.Result{
		ID: "ranks", Title: "Rank against learning rate", Kind: study.Experiment, Seeds: []uint64{1, 2, 3},
		Metrics: []study.Metric{{Name: "exact_match", Spec: "share of held-out rows answered exactly", Better: "higher"}},
		Command: "gotune ablate --vary lora_rank=2,4,8,16 --vary learning_rate=1e-4,3e-4,1e-3 --seeds 3",
	}
	for _, rank := range []float64{2, 4, 8, 16} {
		for _, rate := range []float64{1e-4, 3e-4, 1e-3} {
			a := l.arm(fmt.Sprintf("lora_rank=%g,learning_rate=%g", rank, rate), 3, 60, 1, map[string]float64{"exact_match": 0.4 + 0.1*math.Log2(rank) - 0.2*math.Abs(math.Log10(rate/3e-4))})
			a.Attributes = map[string]float64{"lora_rank": rank, "learning_rate": rate}
			a.Differs = map[string]string{"lora_rank": fmt.Sprint(rank), "learning_rate": fmt.Sprint(rate)}
			r.Arms = append(r.Arms, a)
		}
	}
	return r
}

// routes compares many arms by three metrics, and one of its tests is a conjunction.
func (l *lab) routes() study.Result {
	r := study.Result{
		ID: "r05-routes", Claims: []string{"R5", "R12"}, Title: "Mixed stages against the other routes", Kind: study.Experiment, Seeds: []uint64{1, 2, 3, 4, 5},
		Claim: study.Text{English: "Three mixed stages give the best of domain, chat and recall."},
		Metrics: []study.Metric{
			{Name: "domain", Spec: "exact match on the domain's questions", Better: "higher"}, {Name: "chat", Spec: "exact match on general questions", Better: "higher"},
			{Name: "recall", Spec: "exact match on facts", Better: "higher"},
		},
	}
	for i, name := range []string{"r1-cpt-domain", "r2-cpt-both", "r3-general-domain", "r4-chat-model", "r5-mixed-stages", "r10-lora", "r12-everything-at-once"} {
		k := float64(i)
		r.Arms = append(r.Arms, l.arm(name, 5, 90, 1, map[string]float64{"domain": 0.5 + 0.06*k, "chat": 0.9 - 0.02*k*k + 0.03*k, "recall": 0.3 + 0.2*math.Sin(k)}))
	}
	r.Arms[5].Runs[1].Status, r.Arms[5].Runs[1].Error, r.Arms[5].Runs[1].Metrics = "failed", "step 17: the loss is not a number; a smaller learning_rate may help", nil
	r.Arms[6].Runs[0].Censored = []string{"recall"}
	r.Dropped = []study.Dropped{{Name: "r4-chat-model,learning_rate=0.003", Rung: 1, Metric: 0.12, Reason: "worse than half of the others"}}
	r.Verdicts = []study.Verdict{{
		Name: "best-of-all", Claim: "R5", Metric: "domain", Contrast: "r5-mixed-stages − best of r1 to r4", Expect: "above", Margin: 0.05, Effect: -0.11, Low: -0.17, High: -0.05, P: 0.99, PHolm: 1, Seeds: 5,
		Outcome: study.Contradicted, Reading: "the other routes do better by 11 points", Provisional: true,
		Parts: []study.Verdict{
			{Name: "chat kept", Metric: "chat", Contrast: "r5-mixed-stages − r4-chat-model", Expect: "not-below", Margin: 0.05, Effect: 0.02, Low: -0.01, High: 0.05, P: 0.01, PHolm: 0.02, Seeds: 5, Outcome: study.Supported, Reading: "not worse"},
			{Name: "domain above", Metric: "domain", Contrast: "r5-mixed-stages − r3-general-domain", Expect: "above", Margin: 0.05, Effect: -0.11, Low: -0.17, High: -0.05, P: 0.99, PHolm: 1, Seeds: 5, Outcome: study.Contradicted, Reading: "worse"},
		},
	}, {Name: "at-once", Claim: "R12", Metric: "chat", Contrast: "r12 − r5", Expect: "equal", Margin: 0.05, Effect: -0.01, Low: -0.3, High: 0.28, P: 0.4, PHolm: 0.4, Seeds: 5, Outcome: study.Insensitive, Reading: "every route reached the ceiling"}}
	return r
}

// suite holds one study of every kind, and the degenerate ones.
func (l *lab) suite() {
	l.add(l.rises())
	l.add(l.ranks())
	l.add(l.routes())
	l.add(study.Result{ID: "n02-sharding", Claims: []string{"N2"}, Title: "What sharding saves for LoRA", Kind: study.Accounting, Seeds: []uint64{1},
		Verdicts: []study.Verdict{{Name: "little is left to shard", Claim: "N2", Metric: "bytes", Contrast: "full / LoRA", Outcome: study.Holds, Effect: 11.3, Low: 11.3, High: 11.3, Seeds: 1, Reading: "over 8 workers full tuning saves 11 times the bytes that LoRA does"}}})
	l.add(study.Result{ID: "p01-noise", Claims: []string{"P1"}, Title: "DPO and RLHF ask for different data", Kind: study.NotBuilt, Note: "needs DPO and PPO"})
	l.write("studies/s01-epochs/study.yaml", []byte("id: s01-epochs\n"))
}

// hostile has names, texts and answers that would break a page that trusted them.
func (l *lab) hostile() study.Result {
	a, b := l.arm(hostile, 3, 40, 1, map[string]float64{hostile: 0.5}), l.arm(strings.Repeat("x", 300), 3, 40, 1, map[string]float64{hostile: 0.7})
	for i, arm := range []*study.ArmResult{&a, &b} {
		arm.Differs[hostile] = hostile
		arm.Attributes[hostile] = float64(i)
		arm.Tuned = map[string]float64{hostile: 1}
		arm.Search = []study.SearchPoint{{Values: map[string]float64{hostile: 1}, Metric: 1}, {Values: map[string]float64{hostile: 20}, Metric: 2}}
		arm.From = hostile
	}
	a.Runs[0].Status, a.Runs[0].Error = "failed", hostile
	a.Runs[1].Exposures[0].Corpus = hostile
	a.Runs[2].Run = "../../../etc" // outside the laboratory
	l.writeJSON(b.Runs[0].Run+"/after.json", map[string]any{"answers": []map[string]string{{"question": hostile, "want": hostile, "got": hostile + "!", "wording": hostile}}})
	v := study.Verdict{Name: hostile, Claim: hostile, Metric: hostile, Contrast: hostile, Expect: hostile, Margin: 0.1, Effect: 0.2, Low: 0.1, High: 0.3, Seeds: 3, Outcome: hostile, Reading: hostile}
	return study.Result{
		ID: "z-hostile", Title: hostile, Claims: []string{hostile}, Claim: study.Text{English: hostile, Chinese: hostile}, Literature: hostile, Note: hostile, Kind: hostile, Command: hostile,
		Seeds: []uint64{1, 2, 3}, Metrics: []study.Metric{{Name: hostile, Spec: hostile, Unit: hostile, Better: "higher"}}, Arms: []study.ArmResult{a, b},
		Checks: []study.Verdict{v}, Verdicts: []study.Verdict{v}, Dropped: []study.Dropped{{Name: hostile, Reason: hostile}},
	}
}
