package train

import (
	"slices"
	"testing"
)

func TestMeant(t *testing.T) {
	var keys []string
	for _, f := range Keys() {
		keys = append(keys, Key(f))
	}
	for unknown, want := range map[string]string{
		"lora_rnak":                   "lora_rank",
		"learning_rat":                "learning_rate",
		"Epochs":                      "epochs",
		"lora_r":                      "lora_rank",
		"per_device_train_batch_size": "batch_size",
		"num_layers":                  "last_layers",
		"bf16":                        "",
		"x":                           "",
		"":                            "",
	} {
		if got := Meant(unknown, keys); got != want {
			t.Errorf("%q: got %q, want %q", unknown, got, want)
		}
	}
	for name, key := range elsewhere {
		if slices.Contains(keys, name) || key != "resume" && !slices.Contains(keys, key) {
			t.Errorf("%s stands for %s: the first must not be a key, the second must be one", name, key)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"abc", "", 3}, {"abc", "abc", 0}, {"abc", "acb", 1}, {"abc", "abd", 1}, {"abc", "ab", 1}, {"kitten", "sitting", 3}} {
		if got := distance(c.a, c.b); got != c.want || distance(c.b, c.a) != c.want {
			t.Errorf("%q to %q: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
