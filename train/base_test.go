package train

import (
	"io/fs"
	"math"
	"regexp"
	"strconv"
	"testing"

	"gotune/data"
	"gotune/internal/exec"
	"gotune/model"
	"gotune/model/base"
	"gotune/tokenizer"
)

// figures are those of a base's card that can be measured of its weights.
var figures = regexp.MustCompile(`(?s)Recall of old facts: ([0-9.]+) %.*Held-out loss: ([0-9.]+) nats`)

// The embedded bases recall and predict what their cards say that the pre-training
// gave.
func TestBasesAreWhatTheirCardsSay(t *testing.T) {
	for _, name := range base.Names() {
		t.Run(name, func(t *testing.T) {
			src, err := OpenModel(name)
			if err != nil {
				t.Fatal(err)
			}
			card, err := fs.ReadFile(src, "README.md")
			if err != nil {
				t.Fatal(err)
			}
			said := figures.FindSubmatch(card)
			if said == nil {
				t.Fatal("the card has no figures")
			}
			m, err := model.Load(t.Context(), src, name)
			if err != nil {
				t.Fatal(err)
			}
			tok, err := tokenizer.Load(src, name)
			if err != nil {
				t.Fatal(err)
			}
			score := func(corpus string, ignoreEOS bool) Scores {
				t.Helper()
				corpora, err := Paths(corpus).Corpora("", "", Objective{})
				if err != nil {
					t.Fatal(err)
				}
				d, err := data.Open(t.Context(), data.Config{Corpora: corpora, HeldOut: true, EncoderConfig: data.EncoderConfig{Tokenizer: tok, MaxLength: 1024}})
				if err != nil {
					t.Fatal(err)
				}
				e := NewEvaluator(m, nil, exec.NewArena(nil))
				if id, ok := tok.EOS(); ok && ignoreEOS {
					e.IgnoreEOS(id)
				}
				s, err := e.Score(t.Context(), d)
				if err != nil {
					t.Fatal(err)
				}
				return s
			}
			recall, loss := score("world:recall", true), score("world:pretrain-heldout", false)
			for _, c := range []struct {
				what      string
				said      []byte
				is, close float64
			}{{"recall", said[1], 100 * *recall.ExactMatch, 0.05}, {"held-out loss", said[2], *loss.Loss, 0.0001}} {
				if want, _ := strconv.ParseFloat(string(c.said), 64); math.Abs(c.is-want) > c.close {
					t.Errorf("%s: %v, the card says %v", c.what, c.is, want)
				}
			}
		})
	}
}
